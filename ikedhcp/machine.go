package ikedhcp

import "time"

// instant is a point in time as a machine sees it: since its first input. It is
// half the size of a time.Time, and a machine may hold a million of them.
type instant time.Duration

// clock turns what the caller passes as now into instants that never run back.
type clock struct {
	epoch time.Time
	last  instant
}

func (c *clock) advance(now time.Time) instant {
	if c.epoch.IsZero() {
		c.epoch = now
	}
	c.last = max(c.last, c.instant(now))
	return c.last
}

func (c *clock) instant(t time.Time) instant { return instant(t.Sub(c.epoch)) }

// time is the inverse of instant.
func (c *clock) time(at instant) time.Time { return c.epoch.Add(time.Duration(at)) }

// after is at plus d, and the end of time where that is beyond it.
func (at instant) after(d time.Duration) instant {
	if sum := at + instant(d); sum >= at {
		return sum
	}
	return 1<<63 - 1
}

// timer is one element of a fifo: the struct that has something to time out
// contains it.
type timer[T any] struct {
	owner      *T // nil while it is not armed
	at         instant
	prev, next *timer[T]
}

func (t *timer[T]) armed() bool { return t.owner != nil }

// fifo is the timers of one constant timeout. Since now never runs back, the
// order in which they are armed is the order in which they are due: to arm and to
// stop are a few pointers, however many there are.
type fifo[T any] struct{ head, tail *timer[T] }

// arm makes t, which belongs to owner, the last to be due.
func (f *fifo[T]) arm(t *timer[T], owner *T, at instant) {
	f.stop(t)
	t.owner, t.at, t.prev = owner, at, f.tail
	if f.tail == nil {
		f.head = t
	} else {
		f.tail.next = t
	}
	f.tail = t
}

func (f *fifo[T]) stop(t *timer[T]) {
	if !t.armed() {
		return
	}
	if t.prev == nil {
		f.head = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		f.tail = t.prev
	} else {
		t.next.prev = t.prev
	}
	*t = timer[T]{}
}

// due is the owner of the first timer, if its time has come.
func (f *fifo[T]) due(now instant) *T {
	if f.head == nil || f.head.at > now {
		return nil
	}
	return f.head.owner
}

// earliest returns at, or the time of the first timer if that is earlier or armed
// is not set.
func (f *fifo[T]) earliest(at instant, armed bool) (instant, bool) {
	if f.head == nil || armed && at <= f.head.at {
		return at, armed
	}
	return f.head.at, true
}

// orDefault is v, or def if v is zero: how configuration fields get defaults.
func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
