package notify

import "time"

// How fast a channel is written to. Slack takes about one new message a second per channel, with short bursts, and 50 edits a minute in
// all; the rest is left for what people ask for.
const (
	postEvery   = time.Second
	postBurst   = 3
	updateEvery = 1300 * time.Millisecond
	updateBurst = 8
)

const (
	// ledgerLimit bounds one write to the ledger.
	ledgerLimit = 5 * time.Second
	// ledgerPatience is how long a message waits for its intent to be stored. Longer than that, being told twice after a crash is the
	// lesser evil than not being told.
	ledgerPatience = 10 * time.Second
	// affirmEvery is how often it is written down that a message is still meant to stand.
	affirmEvery = 12 * time.Hour
	// retireEvery is how often old messages are looked for.
	retireEvery = time.Hour
	// settling is how long after a send its message may still turn up in the channel's history.
	settling = 15 * time.Second
	// skew is how far the chat's clock may differ from ours.
	skew = 2 * time.Minute
)

// bucket is a token bucket that holds at most burst tokens and gains one per interval. Tokens are taken when a call has been answered,
// so that the chat, which counts when a call arrives, never sees more than the bucket allows.
type bucket struct {
	every time.Duration
	burst int
	// full is when the bucket is, or was, full again.
	full time.Time
}

func newBucket(every time.Duration, burst int) bucket { return bucket{every: every, burst: burst} }

// ready is when there is a token.
func (b *bucket) ready() time.Time { return b.full.Add(-time.Duration(b.burst-1) * b.every) }

// take takes a token at now.
func (b *bucket) take(now time.Time) {
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(b.every)
}

// backoff is the pause after so many failures in a row.
func backoff(failures int, first, most time.Duration) time.Duration {
	d := first
	for range failures - 1 {
		if d *= 2; d >= most {
			return most
		}
	}
	return d
}
