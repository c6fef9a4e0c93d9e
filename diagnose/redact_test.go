package diagnose

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// corpus reads the lines of a file in testdata that are no comments.
func corpus(t testing.TB, name string) []string {
	t.Helper()
	raw, err := os.ReadFile("testdata/redact/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for text := range strings.SplitSeq(strings.TrimRight(string(raw), "\n"), "\n") {
		if !strings.HasPrefix(text, "# ") {
			text = strings.ReplaceAll(text, "‖", "")
			text = strings.ReplaceAll(text, `\\n`, "\x00")
			text = strings.ReplaceAll(text, `\n`, "\n")
			out = append(out, strings.ReplaceAll(text, "\x00", `\n`))
		}
	}
	if len(out) < 20 {
		t.Fatalf("only %d lines in %s", len(out), name)
	}
	return out
}

var planted = regexp.MustCompile(`(?s)⟦(\n?)(.*?)⟧`)

// unmark gives a line as it is read, and as it has to come out.
func unmark(text string) (in, want string) {
	return planted.ReplaceAllString(text, "$1$2"), planted.ReplaceAllString(text, "$1"+Redacted)
}

func TestRedactPlanted(t *testing.T) {
	r := NewRedactor()
	for _, text := range corpus(t, "planted.txt") {
		in, want := unmark(text)
		if in == want {
			t.Errorf("%q holds no mark", text)
		}
		got := r.Redact(in)
		if got != want {
			t.Errorf("%q\n got %q\nwant %q", in, got, want)
		}
		if again := r.Redact(got); again != got {
			t.Errorf("%q, redacted twice, is %q", got, again)
		}
	}
}

func TestRedactKeeps(t *testing.T) {
	r := NewRedactor()
	lines := corpus(t, "keep.txt")
	for _, text := range append(lines, strings.Join(lines, "\n")) {
		if got := r.Redact(text); got != text {
			t.Errorf("%q\n became %q", text, got)
		}
	}
}

func TestRedactPrivateKeyOnManyLines(t *testing.T) {
	r := NewRedactor()
	body := "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF0PbnGcY5unA67hqxnfZoGjBxpKu\nZ3VS5JJcds3xfn\n"
	begin, end := "-----BEGIN EC"+" PRIVATE KEY-----\n", "-----END EC"+" PRIVATE KEY-----\n"
	for _, test := range []struct{ name, in, want string }{
		{"whole", "a\n" + begin + body + end + "b\n", "a\n" + begin + Redacted + "\n" + Redacted + "\n" + end + "b\n"},
		{"cut off at the end", "a\n" + begin + body + "2026 next line\n", "a\n" + begin + Redacted + "\n" + Redacted + "\n2026 next line\n"},
		{"cut off at the start", body[:65] + end, Redacted + "\n" + end},
		{"a certificate stays", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := r.Redact(test.in); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestRedactThroughColours(t *testing.T) {
	token := "ghp" + "_16C7e42F292c6912E7710c838347Ae178B4a"
	in := "\x1b[33mpassword\x1b[0m=\x1b[1;31mhunter2\x1b[0m \x1b[32m" + token + "\x1b[0m done\x1b"
	if got, want := NewRedactor().Redact(in), "password="+Redacted+" "+Redacted+" done"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRedactKnown(t *testing.T) {
	r := NewRedactor("my-own-words", "abc")
	if got, want := r.Redact("say my-own-words, abc"), "say "+Redacted+", abc"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRedactCleanTextIsNotCopied(t *testing.T) {
	r := NewRedactor()
	text := ordinaryLog(64 << 10)
	if got := r.Redact(text); got != text {
		t.Fatalf("became %.2000q", got)
	}
	if n := testing.AllocsPerRun(10, func() { r.Redact(text) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// ordinaryLog makes a log of ordinary lines of about n bytes.
func ordinaryLog(n int) string {
	lines := []string{
		`2026-03-01T12:00:00.123456Z INFO  [main] com.example.shop.Server - handled GET /cart in 12ms status=200 user=4711`,
		`{"level":"info","ts":"2026-03-01T12:00:00Z","caller":"server/server.go:142","msg":"request","method":"GET","path":"/cart","status":200,"took":"12ms"}`,
		`I0301 12:00:00.123456       1 controller.go:142] "Reconciling" deployment="shop/web" revision=7 replicas=3`,
		`10.244.0.7 - - [01/Mar/2026:12:00:00 +0000] "GET /healthz HTTP/1.1" 200 2 "-" "kube-probe/1.36"`,
		`	at org.springframework.web.servlet.DispatcherServlet.doDispatch(DispatcherServlet.java:1089)`,
		`Traceback (most recent call last): File "/app/shop/views.py", line 42, in cart return render(request)`,
	}
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		b.WriteString(lines[i%len(lines)])
		b.WriteByte('\n')
	}
	return b.String()
}

func BenchmarkRedactClean(b *testing.B) {
	r := NewRedactor()
	text := ordinaryLog(1 << 20)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		r.Redact(text)
	}
}

func BenchmarkRedactOneLongLine(b *testing.B) {
	r := NewRedactor()
	for name, unit := range map[string]string{"equals": "a=", "colons": ":", "at": "a:b@", "dashes": "--token ", "begin": "-----BEGIN A PRIVATE KEY-----", "url": "a://b:c", "quote": "password='", "key": "password", "base64": "aB3/", "cookie": "Cookie: ", "name": `"name":"DB_PASSWORD",`} {
		text := strings.Repeat(unit, (1<<20)/len(unit))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				r.Redact(text)
			}
		})
	}
}
