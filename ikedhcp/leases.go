package ikedhcp

// leaseHeap is the leases that end, first end first: a binary heap of SA indexes,
// each SA knowing its place. Unlike the other timeouts they are not constant.
type leaseHeap []lease

type lease struct {
	end instant
	sa  int32
}

// set makes the lease of s end at end.
func (h *leaseHeap) set(r *Relay, s *sa, end instant) {
	if s.lease < 0 {
		s.lease = int32(len(*h))
		*h = append(*h, lease{end, s.index})
	} else {
		(*h)[s.lease].end = end
	}
	h.fix(r, int(s.lease))
}

// remove forgets the lease of s, if it has one that ends.
func (h *leaseHeap) remove(r *Relay, s *sa) {
	if s.lease < 0 {
		return
	}
	at, last := int(s.lease), len(*h)-1
	s.lease = -1
	if at < last {
		h.put(r, at, (*h)[last])
	}
	*h = (*h)[:last]
	if at < last {
		h.fix(r, at)
	}
}

// due is the SA whose lease ends first, if it has ended.
func (h leaseHeap) due(now instant) (int32, bool) {
	if len(h) == 0 || h[0].end > now {
		return 0, false
	}
	return h[0].sa, true
}

// earliest returns at, or the first end if that is earlier or armed is not set.
func (h leaseHeap) earliest(at instant, armed bool) (instant, bool) {
	if len(h) == 0 || armed && at <= h[0].end {
		return at, armed
	}
	return h[0].end, true
}

func (h leaseHeap) put(r *Relay, i int, l lease) {
	h[i] = l
	r.at(l.sa).lease = int32(i)
}

// fix moves the lease at i to where its end belongs.
func (h leaseHeap) fix(r *Relay, i int) {
	l := h[i]
	for i > 0 && l.end < h[(i-1)/2].end {
		h.put(r, i, h[(i-1)/2])
		i = (i - 1) / 2
	}
	for {
		child := 2*i + 1
		if child+1 < len(h) && h[child+1].end < h[child].end {
			child++
		}
		if child >= len(h) || l.end <= h[child].end {
			break
		}
		h.put(r, i, h[child])
		i = child
	}
	h.put(r, i, l)
}
