package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"
)

// MaxSteps bounds the events of one run: a machine that never comes to rest is a
// failure, not a test that hangs.
const MaxSteps = 1_000_000

// Net is a virtual clock with everything that is going to happen.
type Net struct {
	now      time.Time
	rng      *rand.Rand
	events   eventHeap
	sequence uint64
	steps    int
	trace    []string
	err      error // the first, which ends the run
}

// New makes a world whose clock shows start. What happens in it depends on seed,
// and on the calls made, alone.
func New(seed uint64, start time.Time) *Net {
	return &Net{now: start, rng: rand.New(rand.NewPCG(seed, 0))}
}

// Now is the time on the clock.
func (n *Net) Now() time.Time { return n.now }

// Rand is the randomness of this run. Machines get a source of their own made
// from it, so that a change inside one does not change all others:
// rand.NewPCG(net.Rand().Uint64(), 0).
func (n *Net) Rand() *rand.Rand { return n.rng }

// Between is a duration in [low, high], which may be equal.
func (n *Net) Between(low, high time.Duration) time.Duration {
	return low + time.Duration(n.rng.Int64N(int64(high-low)+1))
}

// Chance is true with probability p.
func (n *Net) Chance(p float64) bool { return n.rng.Float64() < p }

// At has event happen at t, or next if t has passed.
func (n *Net) At(t time.Time, event func()) {
	if t.Before(n.now) {
		t = n.now
	}
	n.sequence++
	heap.Push(&n.events, scheduled{t, n.sequence, event})
}

// After has event happen when d has passed.
func (n *Net) After(d time.Duration, event func()) { n.At(n.now.Add(d), event) }

// RunUntil lets happen what is due until t, and leaves the clock there. The error
// is what [Net.Fail] was told, or that the run exceeds [MaxSteps].
func (n *Net) RunUntil(t time.Time) error {
	return n.RunWhile(t, func() bool { return true })
}

// RunWhile is RunUntil that ends early, with the clock at the last event, once
// condition is false. It is asked before each event.
func (n *Net) RunWhile(t time.Time, condition func() bool) error {
	for n.err == nil && condition() {
		if len(n.events) == 0 || n.events[0].at.After(t) {
			n.now = t
			break
		}
		if n.steps++; n.steps > MaxSteps {
			n.Fail("no rest after %d events", MaxSteps)
			break
		}
		next := heap.Pop(&n.events).(scheduled)
		n.now = next.at
		next.event()
	}
	return n.err
}

// Fail ends the run: RunUntil returns the first failure as its error.
func (n *Net) Fail(format string, args ...any) {
	if n.err == nil {
		n.err = fmt.Errorf(format, args...)
		n.Logf("FAILED: %v", n.err)
	}
}

// Logf adds a line to the story of this run.
func (n *Net) Logf(format string, args ...any) {
	n.trace = append(n.trace, n.now.Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// Trace is the story of this run so far, a line for each call of Logf.
func (n *Net) Trace() []string { return n.trace }

// scheduled is something that is going to happen.
type scheduled struct {
	at       time.Time
	sequence uint64
	event    func()
}

// eventHeap is what is going to happen, the next first.
type eventHeap []scheduled

func (h eventHeap) Len() int { return len(h) }

func (h eventHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].sequence < h[j].sequence
	}
	return h[i].at.Before(h[j].at)
}

func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(scheduled)) }

func (h *eventHeap) Pop() any {
	old := *h
	last := len(old) - 1
	next := old[last]
	old[last] = scheduled{} // what it closes over may go
	*h = old[:last]
	return next
}
