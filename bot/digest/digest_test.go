package digest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crashloop/diagnose"
	"crashloop/notify"
)

func TestPostsOnItsSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var keys []string
		d, err := New(Options{
			Spec: "CRON_TZ=UTC 0 9 * * *",
			Open: func() []Entry { return nil },
			Post: func(_ context.Context, key string, _ notify.Message) error { keys = append(keys, key); return nil },
			Log:  slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- d.Run(ctx) }()
		time.Sleep(72*time.Hour - time.Minute) // the bubble's clock begins at midnight
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		want := "[digest/2000-01-01T09:00 digest/2000-01-02T09:00 digest/2000-01-03T09:00]"
		if got := fmt.Sprint(keys); got != want {
			t.Errorf("posted %s, want %s", got, want)
		}
	})
}

func TestMistakeInTheExpression(t *testing.T) {
	if _, err := New(Options{Spec: "each morning"}); err == nil || !strings.Contains(err.Error(), `"each morning"`) {
		t.Errorf("error is %v", err)
	}
}

func TestMessage(t *testing.T) {
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	var open []Entry
	for i := range 20 {
		open = append(open, Entry{Incident: diagnose.Incident{
			ID: fmt.Sprint(i), Says: "ended 3 times", Since: now.Add(-time.Duration(i+1) * time.Hour),
			Subject: diagnose.Subject{Namespace: "shop", Workload: fmt.Sprintf("Deployment/web-%d", i)},
		}})
	}
	open[19].Diagnosis = &diagnose.Diagnosis{Summary: "web-19 cannot reach postgres."}
	m := Message(open, now)
	if m.Text != "20 workloads are failing" || len(m.Blocks) != 3 || len(m.Blocks[1].List) != most {
		t.Fatalf("message is %+v", m)
	}
	if first := fmt.Sprint(m.Blocks[1].List[0]); !strings.Contains(first, "shop/web-19") || !strings.Contains(first, "20h") || !strings.Contains(first, "cannot reach postgres") {
		t.Errorf("the longest-standing incident is not first: %s", first)
	}
	if rest := fmt.Sprint(m.Blocks[2]); !strings.Contains(rest, "and 5 more") {
		t.Errorf("the rest is not counted: %s", rest)
	}
}
