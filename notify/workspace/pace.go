package workspace

import (
	"math"
	"time"
)

// bucket is a token bucket. It holds at most burst tokens and gains perSecond.
type bucket struct {
	tokens float64
	at     time.Time
}

// paceLocked takes one token from the named bucket, or says when there will be one.
func (w *Workspace) paceLocked(name string, perSecond, burst float64) *apiError {
	if w.opts.Pace.Off {
		return nil
	}
	now := w.opts.Now()
	b := w.buckets[name]
	if b == nil {
		b = &bucket{tokens: burst, at: now}
		w.buckets[name] = b
	}
	b.tokens = math.Min(burst, b.tokens+now.Sub(b.at).Seconds()*perSecond)
	b.at = now
	if b.tokens < 1 {
		wait := time.Duration((1 - b.tokens) / perSecond * float64(time.Second))
		return &apiError{code: "ratelimited", retry: wait}
	}
	b.tokens--
	return nil
}
