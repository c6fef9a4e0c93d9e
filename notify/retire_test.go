package notify_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A thread is forgotten a month after its last change, while the queue runs; one that is ensured now and then is not, however little of it
// changes, so that no restart sends it anew.
func TestOldThreadsAreRetired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, l := &chat{}, newLedger()
		q, stop := run(t, c, l)
		ensure(t, q, root("over", "a"), reply("over", "detail", "b"), root("stuck", "c"), reply("stuck", "detail", "d"))
		settle(t, q)
		for range 40 {
			time.Sleep(24 * time.Hour)
			ensure(t, q, root("stuck", "c"))
		}
		settle(t, q)
		keys := strings.Join(l.keys(), " ")
		if strings.Contains(keys, "over") {
			t.Errorf("40 days later the ledger still holds %s", keys)
		}
		stop()
		q, stop = run(t, c, l)
		ensure(t, q, root("stuck", "c"), reply("stuck", "detail", "d"))
		settle(t, q)
		time.Sleep(2 * time.Hour)
		stop()
		if got := c.texts(); got != "a, b, c, d" {
			t.Errorf("the channel holds %s", got)
		}
	})
}
