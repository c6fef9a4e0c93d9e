package diagnose_test

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crashloop/diagnose"
)

// oneLog is a View of one crashed pod and its log.
type oneLog struct{ log []byte }

func (v oneLog) Cluster() string { return "test" }
func (v oneLog) Now() time.Time  { return time.Unix(1772359200, 0) }

func (v oneLog) Get(_ context.Context, kind diagnose.Kind, _, name string) (diagnose.Object, error) {
	if kind != diagnose.Pods || name != "web" {
		return nil, diagnose.ErrNotFound
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web:1"}}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Name: "web", RestartCount: 3, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", StartedAt: metav1.Unix(1772359100, 0), FinishedAt: metav1.Unix(1772359110, 0)}},
		}}},
	}, nil
}

func (v oneLog) List(context.Context, diagnose.Kind, string, diagnose.Where) ([]diagnose.Object, error) {
	return nil, nil
}

func (v oneLog) Log(context.Context, diagnose.LogRequest) ([]byte, error) { return v.log, nil }

var web = diagnose.Symptom{Subject: diagnose.Subject{Namespace: "shop", Workload: "Pod/web", Pod: "web", Container: "web"}}

// FuzzLog feeds any bytes as a log to the whole catalogue: no rule may fail, and what comes out is valid, bounded text.
func FuzzLog(f *testing.F) {
	for _, s := range []string{
		"", "panic: x\n\ngoroutine 1 [running]:\nmain.main()\n\t/a.go:1 +0x1\n", "Traceback (most recent call last):\n  File \"x\", line 1, in <module>\nKeyError: 'A_B'\n", "\x1b[31mERROR\x1b[0m \xff\xfe\x00 x\r\n",
		"Error: connect ECONNREFUSED 10.0.0.1:5432\n    at x (a.js:1:2)\n", `{"level":"error","err":{"stack":"Error: x\n    at y (z:1:1)"}}`, "Exception in thread \"main\" a.b.CException: x\n\tat a.b.C.d(C.java:1)\nCaused by: a.DError\n",
		"dial tcp: lookup x on 1.2.3.4:53: no such host", strings.Repeat("a", 20000) + " permission denied: /data/x", "env: 'bash\r': No such file or directory",
		"APPLICATION FAILED TO START\n\nDescription:\n\nA bean is missing.\n\nAction:\n\nx\n", "Error: cannot start\n\nCaused by:\n    0: open /data/x\n    1: Permission denied (os error 13)\n",
		"Unhandled exception:\nFormatException: x\n\n#0      main (file:///app/bin/server.dart:14:7)\n", "error: Uncaught (in promise) NotCapable: x\n    at file:///app/main.ts:3:23\n",
		"    ** (EXIT) an exception was raised:\n        ** (MatchError) x\n            (a 1.0) lib/a.ex:2: A.b/1\nKernel pid terminated (application_controller) ({application_start_failure,a,{x}})\n",
		"Runtime terminating during boot (", "init terminating in do_boot (", "Error: LinkageError occurred while loading main class A\n\tjava.lang.UnsupportedClassVersionError: A\n", "Traceback (most recent call last):\nINFO:x\n  File \"a.py\", line 1, in <module>\nINFO:y\nValueError: z\n",
		`{"level":"info","msg":"record","record":{"error_severity":"FATAL","message":"could not open directory \"pg_replslot\""}}`, "[Error: x]\n", "/a.swift:1: Fatal error: x\n", "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n",
		"failed parsing config: yaml: unmarshal errors:\n  line 3: field x not found\n", "ts=1 level=error msg=\"x\" err=\"yaml: line 3: \\\"y\\\"\"", "listen tcp :80: bind: permission denied", "SUMMARY: AddressSanitizer: heap-use-after-free /a.cc:5:1 in f()",
	} {
		f.Add([]byte(s))
	}
	engine := newEngine(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := engine.Diagnose(t.Context(), oneLog{raw}, web)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range d.Gaps {
			if strings.Contains(g, "please report it") {
				t.Fatal(g)
			}
		}
		for _, s := range append([]string{d.Summary}, texts(d)...) {
			if !utf8.ValidString(s) || len(s) > 20000 {
				t.Fatalf("a text is invalid or too long: %q", s)
			}
		}
		if strings.ContainsRune(diagnose.Text(d), 0x1b) {
			t.Fatal("an escape sequence reaches the terminal")
		}
	})
}

// FuzzEntry feeds any line to what takes level and words out of it.
func FuzzEntry(f *testing.F) {
	for _, s := range []string{
		"", "{", `{"level":60,"err":{"type":"TypeError","stack":"TypeError: x\n    at y (z:1:1)"},"msg":"fatal"}`, `2026-03-01T09:59:27Z ERROR setup x {"error": "y"}`, `{"record":{"record":{}}}`, `{"record":{"error_severity":1}}`,
		`{"msg":["a",["b",["c",["d"]]]]}`, `level=`, `level="`, "E0301 09:59:18.412178       1 x.go:1] y", "W123", `{"level":1e300}`, `{"level":-5}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if level := diagnose.LineLevel(line); level < diagnose.NoLevel || level > diagnose.Fatal {
			t.Fatalf("%q has the level %d", line, level)
		}
		if says := diagnose.Say(line); utf8.ValidString(line) && !utf8.ValidString(says) || len(says) > 2*len(line)+64<<10 {
			t.Fatalf("%q says %q", line, says)
		}
	})
}

func texts(d diagnose.Diagnosis) []string {
	var out []string
	for _, e := range d.Evidence {
		out = append(out, e.Source, e.Text)
	}
	for _, f := range d.Fixes {
		out = append(out, f.Title, f.Command, f.Patch)
	}
	for _, l := range d.Excerpt.Lines {
		out = append(out, l.Text)
	}
	return out
}

// FuzzAddresses feeds any text to the search for addresses.
func FuzzAddresses(f *testing.F) {
	for _, s := range []string{
		"postgres://u:p@db:5432/shop", "jdbc:postgresql://db.shop.svc/shop", "mongodb://a:1,b:2/x", "user:pass@tcp(db:3306)/shop", "host=db port=5432", "dial tcp 10.96.0.12:5432: connect: connection refused", "[fd00::1]:53", "main.go:42 10:00:00",
		`connection to server at "db" (10.96.0.12), port 5432 failed`,
	} {
		f.Add(s)
	}
	engine := newEngine(f)
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range engine.FindAddresses(text) {
			if a.Host == "" || a.Port < 0 || a.Port > 65535 || strings.ContainsAny(a.Host, " \t\n/") {
				t.Fatalf("%q gives the address %+v", text, a)
			}
		}
	})
}

// TestAddresses holds the forms in which programs write addresses.
func TestAddresses(t *testing.T) {
	engine := newEngine(t)
	for text, want := range map[string]string{
		"postgres://shop:secret@db:5432/shop?sslmode=disable":                    "db:5432",
		"jdbc:postgresql://db.data.svc.cluster.local/shop":                       "db.data.svc.cluster.local:5432",
		"jdbc:oracle:thin:@ora:1521:XE":                                          "ora:1521",
		"mongodb://a:27017,b:27018/shop":                                         "a:27017 b:27018",
		"shop:secret@tcp(mysql:3306)/shop":                                       "mysql:3306",
		"host=db port=5433 user=shop":                                            "db:5433",
		"dial tcp 10.96.0.12:5432: connect: connection refused":                  "10.96.0.12:5432",
		"connect ECONNREFUSED 10.96.0.12:6379":                                   "10.96.0.12:6379",
		`connection to server at "postgres" (10.96.0.12), port 5432 failed`:      "postgres:5432",
		"HTTPConnectionPool(host='api', port=8080): Max retries exceeded":        "api:8080",
		"Connection to node -1 (kafka/10.96.1.1:9092) could not be established.": "10.96.1.1:9092",
		"Error 111 connecting to redis:6379. Connection refused.":                "redis:6379",
		"amqp://guest:guest@rabbitmq//":                                          "rabbitmq:5672",
		"bootstrap.servers = [kafka-0.kafka:9092, kafka-1.kafka:9092]":           "kafka-0.kafka:9092 kafka-1.kafka:9092",
		"http://[fd00::1]:8080/x":                                                "[fd00::1]:8080",
		"panic at main.go:42 10:00:00 v1.2.3":                                    "",
		"Caused by: java.lang.X: y (Main.java:12)":                               "",
	} {
		var got []string
		for _, a := range engine.FindAddresses(text) {
			got = append(got, a.String())
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%q gives %q, want %q", text, s, want)
		}
	}
}
