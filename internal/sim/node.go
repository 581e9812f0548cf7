package sim

import "time"

// Machine is what a node knows of a machine whose actions are of type A.
type Machine[A any] interface {
	Deadline() (time.Time, bool)
	HandleTimeout(now time.Time, acts []A) []A
}

// Node is a computer that runs one machine, or none while it is down.
type Node[A any] struct {
	net     *Net
	name    string
	perform func(A)
	machine Machine[A]
	life    int // counts crashes: what was begun in an earlier life is void
	armed   time.Time
	busy    bool
	acts    []A
}

// NewNode makes a node that is down. perform does what an action says. It may
// crash the node, and then the actions behind that one are not performed. What
// takes time it leaves to [Node.After], and it makes no input to this node itself.
func NewNode[A any](net *Net, name string, perform func(A)) *Node[A] {
	return &Node[A]{net: net, name: name, perform: perform}
}

// Start runs machine on a node that is down.
func (n *Node[A]) Start(machine Machine[A]) {
	n.machine = machine
	n.net.Logf("%s: up", n.name)
	n.arm()
}

// Crash ends the machine: nothing that was begun on this node goes on.
func (n *Node[A]) Crash() {
	n.machine = nil
	n.life++
	n.armed = time.Time{}
	n.net.Logf("%s: crash", n.name)
}

// Up says that a machine runs.
func (n *Node[A]) Up() bool { return n.machine != nil }

// After has event happen on this node when d has passed, unless it crashes before.
func (n *Node[A]) After(d time.Duration, event func()) {
	life := n.life
	n.net.After(d, func() {
		if n.life == life {
			event()
		}
	})
}

// Input makes an input call to the machine, then performs the actions that it
// appends to acts. On a node that is down nothing happens.
//
// Now and then the timer goes off too early, which must change nothing: the run
// fails if a machine acts before its deadline.
func (n *Node[A]) Input(call func(now time.Time, acts []A) []A) {
	if !n.Up() {
		return
	}
	if n.busy {
		n.net.Fail("%s: input while actions are being performed", n.name)
		return
	}
	n.do(call)
	if !n.Up() {
		return
	}
	if at, ok := n.machine.Deadline(); n.net.Chance(0.1) && (!ok || at.After(n.net.now)) {
		if acts := n.machine.HandleTimeout(n.net.now, nil); len(acts) > 0 {
			n.net.Fail("%s: %d actions before the deadline", n.name, len(acts))
		}
		if again, armed := n.machine.Deadline(); armed != ok || !again.Equal(at) {
			n.net.Fail("%s: a timer that went off too early moved the deadline from %v to %v", n.name, at, again)
		}
	}
	n.arm()
}

// do calls the machine and performs what it wants.
func (n *Node[A]) do(call func(now time.Time, acts []A) []A) {
	n.acts = call(n.net.now, n.acts[:0])
	life := n.life
	n.busy = true
	for _, a := range n.acts {
		if n.life != life {
			break // crashed half-way
		}
		n.perform(a)
	}
	n.busy = false
	clear(n.acts)
}

// arm sets the timer to the machine's deadline.
func (n *Node[A]) arm() {
	at, ok := n.machine.Deadline()
	if !ok {
		n.armed = time.Time{}
		return
	}
	if at.Equal(n.armed) {
		return // set already
	}
	n.armed = at
	n.net.At(at, func() {
		if n.Up() && n.armed.Equal(at) {
			n.armed = time.Time{}
			n.Input(n.machine.HandleTimeout)
		}
	})
}
