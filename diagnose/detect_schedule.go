package diagnose

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
)

// SecondDue is when a CronJob was due for the second time since it last succeeded, or since it was made where it never did, and since its
// spec was last edited, for it may have been suspended until then. It is zero when the schedule cannot be read. Of a CronJob that keeps one
// failed Job, a failure from then on tells that the run before it had no success, either.
func SecondDue(c *batchv1.CronJob) time.Time {
	zone := "UTC" // the controller manager's own zone stands in no object
	if c.Spec.TimeZone != nil {
		zone = *c.Spec.TimeZone
	}
	schedule, err := cron.ParseStandard("CRON_TZ=" + zone + " " + c.Spec.Schedule)
	if err != nil || strings.Contains(c.Spec.Schedule, "TZ=") { // which no API server takes
		return time.Time{}
	}
	since := c.CreationTimestamp.Time
	if at := c.Status.LastSuccessfulTime; at != nil && at.After(since) {
		since = at.Time
	}
	if at, _, _ := edited(c, time.Unix(1<<40, 0), func(f fieldSet) []string { return f.names("f:spec") }); at.After(since) {
		since = at
	}
	if since.IsZero() {
		return time.Time{}
	}
	first := schedule.Next(since)
	if first.IsZero() {
		return time.Time{}
	}
	return schedule.Next(first).UTC()
}

// Overdue says whether a CronJob's failed pods are an incident though no more than one round of them is left, as where it keeps one failed Job:
// the newest was made when the CronJob was due for the second time without a success.
func Overdue(failures []Failure, secondDue time.Time) (string, bool) {
	if len(failures) == 0 || secondDue.IsZero() {
		return "", false
	}
	newest := slices.MaxFunc(failures, func(a, b Failure) int { return a.At.Compare(b.At) })
	if newest.GivenUp || newest.Created.Before(secondDue) {
		return "", false
	}
	return fmt.Sprintf("it has had no success for two runs or more, the last one failed with %s", newest.Words()), true
}
