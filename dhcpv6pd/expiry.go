package dhcpv6pd

import "time"

// expiryHeap orders what ends at different times, first end first; the zero time
// is never. It is a heap.Interface whose elements know their place, so that one
// can be removed when it ends early.
type expiryHeap[T interface {
	expiry() time.Time
	position() *int
}] []T

func (h expiryHeap[T]) Len() int { return len(h) }

func (h expiryHeap[T]) Less(i, j int) bool {
	a, b := h[i].expiry(), h[j].expiry()
	return !a.IsZero() && (b.IsZero() || a.Before(b))
}

func (h expiryHeap[T]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	*h[i].position() = i
	*h[j].position() = j
}

func (h *expiryHeap[T]) Push(x any) {
	e := x.(T)
	*e.position() = len(*h)
	*h = append(*h, e)
}

func (h *expiryHeap[T]) Pop() any {
	old := *h
	last := len(old) - 1
	e := old[last]
	var zero T
	old[last] = zero
	*h = old[:last]
	return e
}
