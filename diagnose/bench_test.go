package diagnose_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"crashloop/diagnose"
	"crashloop/diagnose/rules"
)

// realisticLog is about one mebibyte of what a busy service logs before it dies.
func realisticLog() []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < 1<<20; i++ {
		switch i % 23 {
		case 0:
			fmt.Fprintf(&b, `{"level":"info","ts":17723591%05d,"caller":"server/http.go:118","msg":"request served","method":"GET","path":"/api/orders/%d","status":200,"took":"%dms"}`+"\n", i%100000, i, i%97)
		case 5:
			fmt.Fprintf(&b, "2026-03-01 09:%02d:%02d.123  INFO 1 --- [nio-8080-exec-%d] c.e.shop.OrderController : order %d accepted\n", i/60%60, i%60, i%10, i)
		case 11:
			fmt.Fprintf(&b, "I0301 09:%02d:%02d.000000       1 controller.go:%d] Reconciled object shop/order-%d\n", i/60%60, i%60, i%900, i)
		case 17:
			fmt.Fprintf(&b, "2026-03-01T09:%02d:%02dZ WARN cache: connection refused by redis:6379, attempt %d\n", i/60%60, i%60, i)
		default:
			fmt.Fprintf(&b, "10.244.1.%d - - [01/Mar/2026:09:%02d:%02d +0000] \"GET /static/app-%x.js HTTP/1.1\" 200 %d \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"\n", i%250, i/60%60, i%60, i*2654435761, 1000+i%5000)
		}
	}
	b.WriteString("panic: assignment to entry in nil map\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:14 +0x1c\n")
	return b.Bytes()
}

func newEngine(tb testing.TB) *diagnose.Engine {
	tb.Helper()
	e, err := diagnose.New(rules.All(), diagnose.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// BenchmarkScan is the one pass of all rules' patterns over a mebibyte of log, cleaning included.
func BenchmarkScan(b *testing.B) {
	e, raw := newEngine(b), realisticLog()
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		l := diagnose.NewLog("log", raw)
		if e.Scan(l) == 0 {
			b.Fatal("no rule found anything")
		}
	}
}

// BenchmarkGrep is grep -E with the same literals over the same log, for comparison.
func BenchmarkGrep(b *testing.B) {
	raw := realisticLog()
	words := append(diagnose.Literals(rules.All()), "connection refused") // one of the engine's own, which the log holds
	for i := range words {
		words[i] = strings.NewReplacer(`\`, `\\`, `(`, `\(`, `)`, `\)`, `[`, `\[`, `]`, `\]`, `{`, `\{`, `}`, `\}`, `.`, `\.`, `*`, `\*`, `+`, `\+`, `?`, `\?`, `|`, `\|`, `^`, `\^`, `$`, `\$`).Replace(words[i])
	}
	pattern := strings.Join(words, "|")
	if _, err := exec.LookPath("grep"); err != nil {
		b.Skip("grep is not installed")
	}
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		c := exec.Command("grep", "-E", "-i", "-c", pattern)
		c.Stdin = bytes.NewReader(raw)
		if out, err := c.CombinedOutput(); err != nil {
			b.Fatalf("grep: %v: %s", err, out)
		}
	}
}

// BenchmarkGrowth diagnoses logs made to be slow to read, at sizes that double: ns/byte stays what it is when the time is linear.
func BenchmarkGrowth(b *testing.B) {
	e := newEngine(b)
	for name, line := range map[string]string{
		"traceback":  "Traceback (most recent call last):\n  File \"/app/a.py\", line 1, in f\nINFO:x\n",
		"caused-by":  "java.lang.IllegalStateException: x\n\tat a.b.C.d(C.java:1)\nCaused by: java.io.IOException: y\n",
		"panic":      "panic: x\n\tpanic: y\n\n",
		"spring":     "APPLICATION FAILED TO START\n\nDescription:\n\nx\n",
		"anyhow":     "Error: x\n\nCaused by:\n    0: y\n",
		"elixir":     "** (MatchError) x\n    ** (EXIT) y\n",
		"node":       "TypeError: x\n  y\n  z\n",
		"dart":       "Unhandled exception:\nx\n",
		"json":       `{"level":"error","msg":"yaml: line 1: x","stack":"a\nb\nc\nd","err":{"cause":{"cause":{"message":"no such host"}}}}` + "\n",
		"quotes":     `level=error msg="\"\"\"\"" err="connection refused `,
		"parens":     "permission denied ((((((((((((((((((((((((((((((((/",
		"one-line":   "bind: address already in use :",
		"registered": "/app/x.conf:1: yaml: unmarshal errors:\n",
	} {
		for _, size := range []int{128 << 10, 256 << 10, 512 << 10, 1 << 20} {
			raw := []byte(strings.Repeat(line, size/len(line)))
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) {
				for b.Loop() {
					if _, err := e.Diagnose(b.Context(), oneLog{raw}, web); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(raw)), "ns/byte")
			})
		}
	}
}

// BenchmarkDiagnose is a whole diagnosis of a pod with a mebibyte of log.
func BenchmarkDiagnose(b *testing.B) {
	e, view := newEngine(b), oneLog{realisticLog()}
	b.ReportAllocs()
	for b.Loop() {
		if d, err := e.Diagnose(b.Context(), view, web); err != nil || d.Cause != "app.panic" {
			b.Fatalf("got %s, %v", d.Cause, err)
		}
	}
}
