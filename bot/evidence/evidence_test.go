package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"crashloop/bot/state"
	"crashloop/diagnose"
	"crashloop/diagnose/rules"
	"crashloop/diagnose/snapshot"
)

// ledger is a store that counts, and fails when it is told to.
type ledger struct {
	*state.Memory
	puts, deletes atomic.Int64
	mu            sync.Mutex
	fail          error
}

func newLedger() *ledger { return &ledger{Memory: state.NewMemory()} }

func (l *ledger) failing() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fail
}

func (l *ledger) breaks(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
}

func (l *ledger) Put(ctx context.Context, key string, value []byte) error {
	l.puts.Add(1)
	if err := l.failing(); err != nil {
		return err
	}
	return l.Memory.Put(ctx, key, value)
}

func (l *ledger) Delete(ctx context.Context, key string) error {
	l.deletes.Add(1)
	if err := l.failing(); err != nil {
		return err
	}
	return l.Memory.Delete(ctx, key)
}

func (l *ledger) stored(t *testing.T) map[string][]byte {
	t.Helper()
	all, err := l.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func newKeeper(t *testing.T, store Store, change func(*Options)) *Keeper {
	t.Helper()
	o := Options{Store: store, Redact: diagnose.NewRedactor(), Age: 24 * time.Hour, PerIncident: 256 << 10, Total: 8 << 20, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	k, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k
}

// begin makes a keeper over a store, which works until stop is called.
func begin(t *testing.T, store Store, change func(*Options)) (k *Keeper, stop func()) {
	t.Helper()
	k = newKeeper(t, store, change)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := k.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return k, func() { cancel(); <-done }
}

// crash is a cluster in which container web of a pod has crashed and left this log; no log when it is empty.
func crash(t *testing.T, log string) diagnose.View {
	t.Helper()
	files := fstest.MapFS{
		"snapshot.json": {Data: fmt.Appendf(nil, `{"now": %q, "cluster": "test"}`, time.Now().UTC().Format(time.RFC3339))},
		"web.yaml": {Data: []byte(`
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, uid: p1, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: web, uid: s1, controller: true}]}
spec:
  containers: [{name: web, image: "shop/web:1", env: [{name: DB_PASSWORD, value: hunter2hunter2}]}]
status:
  phase: Running
  containerStatuses: [{name: web, restartCount: 3, ready: false, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1, reason: Error, finishedAt: "2026-01-01T00:00:00Z"}}}]
`)},
	}
	if log != "" {
		files["logs/shop/web-1/web.previous.log"] = &fstest.MapFile{Data: []byte(log)}
	}
	s, err := snapshot.FromFS(files, snapshot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func incident(id string) diagnose.Incident {
	return diagnose.Incident{ID: id, State: diagnose.Open, Condition: diagnose.CrashLoop, Says: "ended 3 times", Subject: diagnose.Subject{
		Cluster: "test", Namespace: "shop", Workload: "StatefulSet/web", Pod: "web-1", Container: "web", ContainerType: diagnose.App,
	}}
}

// looks is one diagnosis of an incident: it reads the pod and its log, and finds the cause.
func looks(t *testing.T, k *Keeper, id string, view diagnose.View, cause string) {
	t.Helper()
	inc := incident(id)
	through, keep := k.Witness(view, inc)
	if _, err := through.Get(t.Context(), diagnose.Pods, "shop", "web-1"); err != nil {
		t.Fatal(err)
	}
	_, err := through.Log(t.Context(), diagnose.LogRequest{Namespace: "shop", Pod: "web-1", Container: "web", Previous: true})
	if err != nil && !errors.Is(err, diagnose.ErrGone) {
		t.Fatal(err)
	}
	keep(diagnose.Diagnosis{Subject: inc.Subject, Cause: cause, Confidence: diagnose.Certain, Summary: "It is " + cause + ".", Restarts: 3})
}

func logOf(t *testing.T, k *Keeper, r Recording) string {
	t.Helper()
	e, err := k.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := e.View.Log(t.Context(), diagnose.LogRequest{Namespace: "shop", Pod: "web-1", Container: "web", Previous: true})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The log of a crash can be seen at once, after the next write, after a restart, and until it is too old; then nothing is left of it.
func TestALogOutlivesItsPodAndTheBot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		k, stop := begin(t, store, nil)
		looks(t, k, "i1", crash(t, "fatal: no DATABASE_URL\n"), "config.env-missing")
		synctest.Wait()
		have := k.Of("i1")
		if len(have) != 1 || len(store.stored(t)) != 0 {
			t.Fatalf("at once: %d recordings, and %d stored", len(have), len(store.stored(t)))
		}
		if got := logOf(t, k, have[0]); got != "fatal: no DATABASE_URL\n" {
			t.Errorf("before it is written the log is %q", got)
		}
		time.Sleep(writeEvery)
		synctest.Wait()
		if len(store.stored(t)) != 1 {
			t.Fatal("it was not written")
		}
		stop()

		k, stop = begin(t, store, nil)
		have = k.Of("i1")
		if len(have) != 1 || have[0].Cause != "config.env-missing" || have[0].Summary != "It is config.env-missing." || have[0].Subject.Pod != "web-1" || !have[0].Log {
			t.Fatalf("after a restart there is %+v", have)
		}
		if got := logOf(t, k, have[0]); got != "fatal: no DATABASE_URL\n" {
			t.Errorf("after a restart the log is %q", got)
		}
		time.Sleep(24*time.Hour - time.Minute)
		if len(k.Of("i1")) != 1 {
			t.Error("it went before its time")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if len(k.Of("i1")) != 0 || len(store.stored(t)) != 0 {
			t.Errorf("it is too old, and there are %d recordings, %d of them stored", len(k.Of("i1")), len(store.stored(t)))
		}
		if _, err := k.Open(t.Context(), have[0]); !errors.Is(err, ErrGone) {
			t.Errorf("opening what is gone: %v", err)
		}
		stop()
	})
}

// What waits for the next write goes out when the program stops.
func TestStoppingWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		k, stop := begin(t, store, nil)
		looks(t, k, "i1", crash(t, "a\n"), "x")
		stop()
		if len(store.stored(t)) != 1 {
			t.Error("what was captured last is lost")
		}
	})
}

// A write that fails is made again, and meanwhile nothing is lost.
func TestALostWriteIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		store.breaks(errors.New("the API server is away"))
		k, stop := begin(t, store, nil)
		defer stop()
		looks(t, k, "i1", crash(t, "a\n"), "x")
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if len(store.stored(t)) != 0 || logOf(t, k, k.Of("i1")[0]) != "a\n" {
			t.Error("it is not in memory, or was stored by a broken store")
		}
		store.breaks(nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if len(store.stored(t)) != 1 {
			t.Error("the write was not repeated")
		}
	})
}

// A value that is damaged is left out and removed; the others are there.
func TestDamagedEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		k, stop := begin(t, store, nil)
		looks(t, k, "good", crash(t, "a\n"), "x")
		looks(t, k, "cut", crash(t, "b\n"), "x")
		stop()
		whole := store.stored(t)["evidence/cut/1"]
		for key, raw := range map[string][]byte{
			"evidence/cut/1": whole[:20], "evidence/other/1": whole, "evidence/x/1": []byte("{}"), "evidence/": nil, "evidence/y/1": []byte(formatMark + "{}\n"),
		} {
			if err := store.Put(t.Context(), key, raw); err != nil {
				t.Fatal(err)
			}
		}
		// An archive that is damaged is found when it is opened.
		broken := bytes.Clone(store.stored(t)["evidence/good/1"])
		broken[len(broken)-20] ^= 0xff
		r, _, err := decode("evidence/good/1", broken)
		if err != nil {
			t.Fatal(err)
		}
		k, stop = begin(t, store, nil)
		synctest.Wait()
		if got := slices.Sorted(maps.Keys(store.stored(t))); !slices.Equal(got, []string{"evidence/good/1"}) {
			t.Errorf("left are %q", got)
		}
		if err := store.Put(t.Context(), "evidence/good/1", broken); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Open(t.Context(), r); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("opening a damaged archive: %v", err)
		}
		stop()
	})
}

// Two thousand incidents at once: memory, writes and what is stored stay within bounds, and the newest can be read.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const total, incidents = 1 << 20, 2000
		store := newLedger()
		k, stop := begin(t, store, func(o *Options) { o.Total, o.PerIncident = total, 64<<10 })
		random := rand.New(rand.NewPCG(1, 2))
		noise := make([]byte, 6<<10)
		for i := range incidents {
			for j := range noise {
				noise[j] = byte(' ' + random.IntN(90))
			}
			looks(t, k, fmt.Sprintf("i%d", i), crash(t, string(noise)+"\n"), "x")
			if i%4 == 3 {
				time.Sleep(40 * time.Millisecond) // one hundred diagnoses in a second
			}
		}
		time.Sleep(2 * writeEvery)
		synctest.Wait()
		size, kept := 0, 0
		for _, raw := range store.stored(t) {
			size += len(raw)
			kept++
		}
		if size > total || size < total*8/10 {
			t.Errorf("%d bytes are stored, of %d", size, total)
		}
		// Twenty seconds of storm are four writes or five, each of at most what there is room for.
		if most := int64(6 * kept); store.puts.Load() > most {
			t.Errorf("%d values were written to keep %d", store.puts.Load(), kept)
		}
		taken := 0
		for i := range incidents {
			taken += len(k.Of(fmt.Sprintf("i%d", i)))
		}
		if taken != kept {
			t.Errorf("%d recordings are known, and %d stored", taken, kept)
		}
		if have := k.Of(fmt.Sprintf("i%d", incidents-1)); len(have) != 1 || logOf(t, k, have[0]) == "" {
			t.Error("the newest is not there")
		}
		stop()
	})
}

// A tape that finds no room waits for nobody: the incident's next look is taken.
func TestAFullQueueDoesNotBlock(t *testing.T) {
	k := newKeeper(t, newLedger(), nil) // and nobody packs
	for i := range waiting + 5 {
		looks(t, k, fmt.Sprintf("i%d", i), crash(t, "a\n"), "x")
	}
	if len(k.tapes) != waiting {
		t.Errorf("%d tapes wait", len(k.tapes))
	}
}

// None of the secrets of redaction's corpus is in the stored bytes, wherever it stood.
func TestStoredEvidenceHoldsNoSecret(t *testing.T) {
	raw, err := os.ReadFile("../../diagnose/testdata/redact/planted.txt")
	if err != nil {
		t.Fatal(err)
	}
	mark := regexp.MustCompile(`⟦(?:\\n)?(.*?)(?:\\n)?⟧`)
	var log, clear strings.Builder
	var secrets []string
	for line := range strings.Lines(string(raw)) {
		line = strings.ReplaceAll(line, "‖", "")
		if strings.HasPrefix(line, "# ") || strings.Contains(line, `\n`) {
			continue
		}
		for _, m := range mark.FindAllStringSubmatch(line, -1) {
			if len(m[1]) >= 7 {
				secrets = append(secrets, m[1])
			}
		}
		log.WriteString(strings.NewReplacer("⟦", "", "⟧", "").Replace(line))
		clear.WriteString(mark.ReplaceAllString(line, ""))
	}
	// A word such as "postgres" is a secret in one line and a scheme in the next.
	secrets = slices.DeleteFunc(secrets, func(s string) bool { return strings.Contains(clear.String(), s) })
	if len(secrets) < 50 {
		t.Fatalf("only %d secrets", len(secrets))
	}
	store := newLedger()
	k, stop := begin(t, store, nil)
	inc := incident("i1")
	inc.Says = "said password=hunter2hunter2"
	through, keep := k.Witness(crash(t, log.String()), inc)
	e, err := diagnose.New(rules.All(), diagnose.Options{}) // an engine that redacts nothing
	if err != nil {
		t.Fatal(err)
	}
	d, err := e.Diagnose(t.Context(), through, diagnose.Symptom{Subject: inc.Subject, Condition: inc.Condition, Says: inc.Says})
	if err != nil {
		t.Fatal(err)
	}
	d.Summary += " password=hunter2hunter2"
	keep(d)
	stop()
	stored := store.stored(t)["evidence/i1/1"]
	if stored == nil {
		t.Fatal("nothing is stored")
	}
	line, _, _ := bytes.Cut(stored, []byte("\n"))
	opened, err := k.Open(t.Context(), k.Of("i1")[0])
	if err != nil {
		t.Fatal(err)
	}
	files, err := opened.View.Without(nil)
	if err != nil {
		t.Fatal(err)
	}
	files["what it says of itself"] = line
	if len(files["logs/shop/web-1/web.previous.log"]) < 1000 {
		t.Errorf("the log is not in it: %q", slices.Sorted(maps.Keys(files)))
	}
	for name, text := range files {
		for _, secret := range append(secrets, "hunter2hunter2") {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%q stands in %s", secret, name)
			}
		}
	}
}

// FuzzDecode feeds any bytes to the decoder of stored entries, and opens what it takes.
func FuzzDecode(f *testing.F) {
	r := Recording{Incident: "i", Number: 1, Subject: incident("i").Subject, At: time.Unix(1, 0)}
	packed, err := snapshot.Pack(map[string][]byte{"a.json": []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}`)}, time.Unix(1, 0))
	if err != nil {
		f.Fatal(err)
	}
	raw, err := encode(r, packed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(formatMark + "{}\n\x1f\x8b"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, packed, err := decode("evidence/i/1", raw)
		if err != nil {
			return
		}
		if again, err := encode(r, packed); err != nil {
			t.Error(err)
		} else if _, same, err := decode("evidence/i/1", again); err != nil || !bytes.Equal(same, packed) {
			t.Errorf("what was read cannot be written and read again: %v", err)
		}
		store := state.NewMemory()
		if err := store.Put(t.Context(), r.key(), raw); err != nil {
			t.Fatal(err)
		}
		k, err := New(Options{Store: store, Redact: diagnose.NewRedactor(), Age: 1 << 62, PerIncident: 1 << 20, Total: 1 << 20, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if e, err := k.Open(t.Context(), r); err == nil {
			if _, err := e.View.Parts(); err != nil {
				t.Error(err)
			}
		}
	})
}
