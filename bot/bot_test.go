package bot

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crashloop/diagnose"
	"crashloop/notify"
)

func TestOpensWithRootAndDetail(t *testing.T) {
	tell(t, newMemory(), func(s *story) {
		s.Incident(s.inc)
		synctest.Wait()
		if got := s.out.keys(); got != "incident/i1/detail incident/i1/root" {
			t.Errorf("sent %s", got)
		}
		if !strings.HasPrefix(s.out.history[0], "incident/i1/root: ") || !strings.Contains(s.out.history[0], "app.panic") {
			t.Errorf("the first message is not the root with its cause: %q", s.out.history)
		}
	})
}

func TestSlowDiagnosisDoesNotHoldUpTheRoot(t *testing.T) {
	tell(t, newMemory(), func(s *story) {
		s.finder.takes = 5 * time.Second
		s.Incident(s.inc)
		time.Sleep(time.Second)
		if got := s.out.keys(); got != "incident/i1/root" {
			t.Fatalf("after a second, sent %q", got)
		}
		if strings.Contains(s.out.text("incident/i1/root"), "app.panic") {
			t.Error("the root knows the cause too early")
		}
		time.Sleep(5 * time.Second)
		if got := s.out.text("incident/i1/root"); !strings.Contains(got, "app.panic") {
			t.Errorf("the root was not revised: %s", got)
		}
	})
}

func TestLateEvidenceRevisesQuietly(t *testing.T) {
	tell(t, newMemory(), func(s *story) {
		s.finder.set("app.exit-code", diagnose.Possible)
		s.Incident(s.inc)
		synctest.Wait()
		s.finder.set("probe.slow-start", diagnose.Certain)
		time.Sleep(3 * time.Second)
		if got := s.out.text("incident/i1/root"); !strings.Contains(got, "probe.slow-start") {
			t.Errorf("the root was not revised: %s", got)
		}
		if got := s.out.keys(); got != "incident/i1/detail incident/i1/root" {
			t.Errorf("a revision in the first minute was announced: %s", got)
		}
	})
}

func TestChangedCauseIsSaidOnce(t *testing.T) {
	tell(t, newMemory(), func(s *story) {
		s.Incident(s.inc)
		time.Sleep(10 * time.Minute)
		s.finder.set("resources.oom-limit", diagnose.Certain)
		s.inc.Fingerprint, s.inc.Restarts = "OOMKilled/137", 6
		s.Incident(s.inc)
		time.Sleep(10 * time.Minute)
		if got := s.out.keys(); got != "incident/i1/cause/1 incident/i1/detail incident/i1/root" {
			t.Errorf("sent %s", got)
		}
	})
}

func TestLesserEvidenceChangesNothing(t *testing.T) {
	tell(t, newMemory(), func(s *story) {
		s.Incident(s.inc)
		time.Sleep(5 * time.Minute)
		s.finder.set("app.exit-code", diagnose.Possible) // the log is gone
		s.inc.Restarts++
		s.Incident(s.inc)
		time.Sleep(5 * time.Minute)
		if got := s.out.text("incident/i1/root"); !strings.Contains(got, "app.panic") {
			t.Errorf("the proven cause was lost: %s", got)
		}
	})
}

// TestMoreEvidenceIsTakenOver holds that a lesser confidence does not keep a deeper cause out: what proved the first one is still seen.
func TestMoreEvidenceIsTakenOver(t *testing.T) {
	seen := diagnose.Evidence{Source: "status.containerStatuses[web].state.waiting", Text: `configmap "settings" not found`}
	tell(t, newMemory(), func(s *story) {
		s.finder.set("config.configmap-missing", diagnose.Certain, seen)
		s.Incident(s.inc)
		synctest.Wait()
		s.finder.set("dependency.job-incomplete", diagnose.Possible, diagnose.Evidence{Source: "Job shop/make-settings status", Text: "has failed"}, seen)
		time.Sleep(5 * time.Minute)
		if got := s.out.text("incident/i1/root"); !strings.Contains(got, "dependency.job-incomplete") {
			t.Errorf("the deeper cause was not taken over: %s", got)
		}
	})
}

// TestNumbersAddUp holds that runs which the pod's status has forgotten, and what metrics-server measured before the container waited, stay.
func TestNumbersAddUp(t *testing.T) {
	tell(t, newMemory(), func(s *story) {
		begin := time.Now()
		run := func(n int, lived time.Duration) diagnose.Run {
			start := begin.Add(time.Duration(n) * time.Minute)
			return diagnose.Run{Started: start, Ended: start.Add(lived), ExitCode: 137}
		}
		found := func(evidence []diagnose.Evidence, runs ...diagnose.Run) {
			s.finder.set("resources.oom-limit", diagnose.Certain)
			s.finder.mu.Lock()
			s.finder.answer.Timeline, s.finder.answer.Evidence = runs, evidence
			s.finder.mu.Unlock()
		}
		found([]diagnose.Evidence{{Source: "metrics of pod web-1", Text: "memory 61Mi of 64Mi (95 %)"}}, run(0, 31*time.Second), run(1, 30*time.Second))
		s.Incident(s.inc)
		time.Sleep(5 * time.Minute)
		found(nil, run(1, 30*time.Second), run(2, 33*time.Second))
		s.inc.Restarts++
		s.Incident(s.inc)
		time.Sleep(5 * time.Minute)
		got := s.out.text("incident/i1/detail")
		for _, want := range []string{"lived 31s, 30s, 33s", "memory 61Mi of 64Mi (95 %)"} {
			if !strings.Contains(got, want) {
				t.Errorf("the thread lacks %q:\n%s", want, got)
			}
		}
	})
}

// TestUsageIsLookedForWhileItRuns holds that a run is looked at shortly before its end as the runs before it went: metrics-server knows
// nothing of a container that waits, or has just begun.
func TestUsageIsLookedForWhileItRuns(t *testing.T) {
	for name, tc := range map[string]struct {
		lived time.Duration
		looks []time.Duration // after the restart
	}{
		"long enough": {35 * time.Second, []time.Duration{0, 28 * time.Second}},
		"too short":   {10 * time.Second, []time.Duration{0}},
	} {
		t.Run(name, func(t *testing.T) {
			tell(t, newMemory(), func(s *story) {
				s.finder.mu.Lock()
				s.finder.answer.Timeline = []diagnose.Run{{Started: time.Now().Add(-tc.lived), Ended: time.Now()}}
				s.finder.mu.Unlock()
				s.Incident(s.inc)
				time.Sleep(10 * time.Minute)
				restarted, before := time.Now(), len(s.finder.times())
				s.inc.Restarts++
				s.Incident(s.inc)
				time.Sleep(10 * time.Minute)
				var looks []time.Duration
				for _, at := range s.finder.times()[before:] {
					looks = append(looks, at.Sub(restarted))
				}
				if !slices.Equal(looks, tc.looks) {
					t.Errorf("looked %v after the restart, want %v", looks, tc.looks)
				}
				// Once it is measured, nothing more is looked for.
				s.finder.mu.Lock()
				s.finder.answer.Evidence = []diagnose.Evidence{{Source: "metrics of pod web-1", Text: "memory 61Mi of 64Mi (95 %)"}}
				s.finder.mu.Unlock()
				s.inc.Restarts++
				s.Incident(s.inc)
				time.Sleep(10 * time.Minute)
				before = len(s.finder.times())
				s.inc.Restarts++
				s.Incident(s.inc)
				time.Sleep(10 * time.Minute)
				if again := len(s.finder.times()) - before; again != 1 {
					t.Errorf("looked %d times after a restart, although it was measured", again)
				}
			})
		})
	}
}

// TestFailureIsTriedAgainBeforeALaterLook holds that a look planned for late in a long run does not put off the one that makes up for a failure.
func TestFailureIsTriedAgainBeforeALaterLook(t *testing.T) {
	tell(t, newMemory(), func(s *story) {
		s.finder.mu.Lock()
		s.finder.answer.Timeline = []diagnose.Run{{Started: time.Now().Add(-50 * time.Minute), Ended: time.Now()}}
		s.finder.mu.Unlock()
		s.Incident(s.inc)
		time.Sleep(10 * time.Minute)
		s.finder.mu.Lock()
		s.finder.err = errors.New("the API server is away")
		s.finder.mu.Unlock()
		s.inc.Restarts++
		s.Incident(s.inc)
		synctest.Wait()
		before := s.finder.count()
		time.Sleep(refresh + time.Second)
		if again := s.finder.count() - before; again != 1 {
			t.Errorf("looked %d times within %s of a failure, want once", again, refresh)
		}
	})
}

func TestEvidenceIsKeptAfterThePost(t *testing.T) {
	tell(t, newMemory(), func(s *story) {
		s.Incident(s.inc)
		synctest.Wait()
		if got := s.kept.all(); !slices.Equal(got, []string{"app.panic after the post"}) {
			t.Fatalf("kept %q", got)
		}
		time.Sleep(5 * time.Minute)
		looks := len(s.kept.all())
		s.finder.set("app.exit-code", diagnose.Possible) // the log is gone: what proved the cause is kept already
		s.inc.Restarts++
		s.Incident(s.inc)
		time.Sleep(5 * time.Minute)
		if got := s.kept.all(); len(got) != looks {
			t.Errorf("a lesser look was kept: %q", got)
		}
		s.finder.set("resources.oom-limit", diagnose.Certain)
		s.inc.Fingerprint, s.inc.Restarts = "OOMKilled/137", 6
		s.Incident(s.inc)
		time.Sleep(time.Minute)
		got := s.kept.all()[looks:]
		if len(got) == 0 || slices.ContainsFunc(got, func(k string) bool { return k != "resources.oom-limit after the post" }) {
			t.Errorf("of another cause, after its post, was kept: %q", got)
		}
	})
}

func TestRestartOfTheBotRepeatsNothing(t *testing.T) {
	memory := newMemory()
	var before diagnose.Incident
	tell(t, memory, func(s *story) {
		s.Incident(s.inc)
		synctest.Wait()
		before = s.inc
	})
	tell(t, memory, func(s *story) {
		time.Sleep(time.Hour)
		s.finder.set("app.exit-code", diagnose.Possible)
		s.Incident(before)
		time.Sleep(time.Minute)
		if got := s.out.text("incident/i1/root"); !strings.Contains(got, "app.panic") {
			t.Errorf("the cause that was known before the restart is lost: %s", got)
		}
		if strings.Contains(s.out.keys(), "cause/") {
			t.Errorf("a change of cause was made up: %s", s.out.keys())
		}
	})
}

func TestEndIsSaidAndNothingAfterIt(t *testing.T) {
	memory := newMemory()
	tell(t, memory, func(s *story) {
		s.Incident(s.inc)
		synctest.Wait()
		s.inc.State, s.inc.Ended = diagnose.Recovered, time.Now()
		s.Incident(s.inc)
		synctest.Wait()
		asked := s.finder.count()
		if got := s.out.keys(); got != "incident/i1/detail incident/i1/end incident/i1/root" {
			t.Errorf("sent %s", got)
		}
		time.Sleep(time.Hour)
		if s.finder.count() != asked {
			t.Error("an incident that is over was diagnosed again")
		}
		if len(s.Incidents()) != 0 {
			t.Error("it still counts as open")
		}
		time.Sleep(remember)
		if _, ok := s.Find("i1"); ok {
			t.Error("it is still known a day later")
		}
		if len(memory.all) != 0 {
			t.Errorf("memory still holds %d entries", len(memory.all))
		}
	})
}

func TestFailedDiagnosisIsTriedAgain(t *testing.T) {
	tell(t, newMemory(), func(s *story) {
		s.finder.err = errors.New("the API server is away")
		s.Incident(s.inc)
		time.Sleep(2 * time.Minute)
		if got := s.out.keys(); got != "incident/i1/root" {
			t.Fatalf("sent %s", got)
		}
		s.finder.mu.Lock()
		s.finder.err = nil
		s.finder.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if got := s.out.text("incident/i1/root"); !strings.Contains(got, "app.panic") {
			t.Errorf("the diagnosis was not tried again: %s", got)
		}
	})
}

func TestFullOutboxIsTriedAgain(t *testing.T) {
	tell(t, newMemory(), func(s *story) {
		s.out.fail = errors.New("the disk is full")
		s.Incident(s.inc)
		time.Sleep(5 * time.Minute)
		s.out.mu.Lock()
		s.out.fail = nil
		s.out.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if got := s.out.keys(); got != "incident/i1/detail incident/i1/root" {
			t.Errorf("sent %q", got)
		}
	})
}

func TestSayGoesToTheThread(t *testing.T) {
	tell(t, newMemory(), func(s *story) {
		if err := s.Say(t.Context(), "i1", "action/1", notify.Message{Text: "x"}); err == nil {
			t.Error("said something in the thread of an incident that is not known")
		}
		s.Incident(s.inc)
		if err := s.Say(t.Context(), "i1", "action/1", notify.Message{Text: "restarted"}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got := s.out.text("incident/i1/action/1"); got != "restarted" {
			t.Errorf("said %q", got)
		}
	})
}

func TestManyIncidentsAreAllServed(t *testing.T) {
	tell(t, newMemory(), func(s *story) {
		s.finder.takes = 10 * time.Millisecond
		for i := range 500 {
			inc := s.inc
			inc.ID = "m" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)
			s.Incident(inc)
		}
		time.Sleep(10 * time.Second)
		if got := len(strings.Fields(s.out.keys())); got != 1000 {
			t.Errorf("%d messages stand, want 1000", got)
		}
	})
}

// An end that could not be queued is said once it can be.
func TestEndIsSaidThoughTheOutboxWasFull(t *testing.T) {
	tell(t, newMemory(), func(s *story) {
		s.Incident(s.inc)
		synctest.Wait()
		s.out.mu.Lock()
		s.out.fail = errors.New("too many messages wait")
		s.out.mu.Unlock()
		s.inc.State, s.inc.Ended = diagnose.Recovered, time.Now()
		s.Incident(s.inc)
		time.Sleep(5 * time.Minute)
		s.out.mu.Lock()
		s.out.fail = nil
		s.out.mu.Unlock()
		asked := s.finder.count()
		time.Sleep(2 * time.Minute)
		if got := s.out.keys(); got != "incident/i1/detail incident/i1/end incident/i1/root" {
			t.Errorf("sent %q", got)
		}
		if s.finder.count() != asked {
			t.Error("an incident that is over was diagnosed again")
		}
	})
}

// The tracker tells of an end again after a restart, since it may not have been said. The root keeps its cause, buttons find the incident,
// and a day after the end it is forgotten.
func TestEndIsToldAgainAfterARestart(t *testing.T) {
	memory := newMemory()
	var ended diagnose.Incident
	tell(t, memory, func(s *story) {
		s.Incident(s.inc)
		synctest.Wait()
		ended = s.inc
	})
	ended.State = diagnose.Closed
	tell(t, memory, func(s *story) {
		ended.Ended = time.Now()
		time.Sleep(20 * time.Hour)
		s.Incident(ended)
		synctest.Wait()
		if got := s.out.keys(); got != "incident/i1/detail incident/i1/end incident/i1/root" {
			t.Errorf("sent %q", got)
		}
		if got := s.out.text("incident/i1/root"); !strings.Contains(got, "app.panic") {
			t.Errorf("the root lost its cause: %s", got)
		}
		if _, ok := s.Find("i1"); !ok {
			t.Error("a click on its buttons finds nothing")
		}
		time.Sleep(6 * time.Hour)
		if _, ok := s.Find("i1"); ok || len(memory.all) != 0 {
			t.Errorf("it is still known, or memory still holds something: %d entries", len(memory.all))
		}
	})
}

// A later look is not put off by one that was planned earlier.
func TestLooksComeInOrder(t *testing.T) {
	tell(t, newMemory(), func(s *story) {
		s.Incident(s.inc)
		time.Sleep(11 * time.Second)
		s.inc.Fingerprint = "Error/2"
		s.Incident(s.inc)
		synctest.Wait()
		asked := s.finder.count()
		time.Sleep(3 * time.Second)
		if s.finder.count() != asked+1 {
			t.Error("two seconds after a change nobody looked again")
		}
	})
}

// The thread of an incident that does not change for months is affirmed, so that the outbox keeps it.
func TestUnchangingIncidentIsAffirmed(t *testing.T) {
	tell(t, newMemory(), func(s *story) {
		s.Incident(s.inc)
		time.Sleep(time.Hour)
		s.out.mu.Lock()
		clear(s.out.now)
		s.out.mu.Unlock()
		time.Sleep(26 * time.Hour)
		if got := s.out.keys(); got != "incident/i1/detail incident/i1/root" {
			t.Errorf("within a day, ensured %q", got)
		}
	})
}

// Two causes that take turns are each said once, not at each turn.
func TestCausesThatTakeTurnsAreNotRepeated(t *testing.T) {
	tell(t, newMemory(), func(s *story) {
		s.Incident(s.inc)
		for turn := range 60 {
			time.Sleep(2 * time.Minute)
			s.finder.set([]string{"dependency.no-endpoints", "dependency.crash-looping"}[turn%2], diagnose.Likely)
			s.inc.Fingerprint, s.inc.Restarts = []string{"Error/1", "Error/2"}[turn%2], s.inc.Restarts+1
			s.Incident(s.inc)
		}
		time.Sleep(time.Minute)
		if n := strings.Count(s.out.keys(), "cause/"); n < 2 || n > 5 {
			t.Errorf("in two hours a change of cause was said %d times", n)
		}
		if got := s.out.text("incident/i1/root"); !strings.Contains(got, "dependency.crash-looping") {
			t.Errorf("the root does not show the newest cause: %s", got)
		}
		before := strings.Count(s.out.keys(), "cause/")
		for range 60 {
			time.Sleep(2 * time.Minute)
			s.inc.Restarts++
			s.Incident(s.inc)
		}
		if n := strings.Count(s.out.keys(), "cause/") - before; n != 1 {
			t.Errorf("a cause that stayed in the end was said %d times", n)
		}
	})
}
