package dhcpv6pd

import (
	crand "crypto/rand"
	"math/rand/v2"
	"time"
)

// clock keeps a machine's idea of now from running back, whatever the caller passes.
type clock struct{ last time.Time }

func (c *clock) advance(now time.Time) time.Time {
	if now.After(c.last) {
		c.last = now
	}
	return c.last
}

// ids hands out action IDs. The two halves of a router share one, so that an ID
// names one action of the whole.
type ids struct{ last ID }

func (i *ids) next() ID {
	i.last++
	return i.last
}

// newRand is the machine's randomness: transaction ids and jitter. A nil source
// stands for ChaCha8 seeded from crypto/rand; it is the one place of this
// package that draws on the system.
func newRand(src rand.Source) *rand.Rand {
	if src == nil {
		var seed [32]byte
		crand.Read(seed[:]) // never fails: it aborts the program instead
		src = rand.NewChaCha8(seed)
	}
	return rand.New(src)
}

// jitter is RAND of RFC 8415 section 15 times d: uniform in [-0.1, +0.1] d.
func jitter(rng *rand.Rand, d time.Duration) time.Duration {
	return time.Duration((rng.Float64()*0.2 - 0.1) * float64(d))
}
