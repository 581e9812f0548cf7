package sim_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"dhcpsec.example/internal/sim"
	"github.com/stretchr/testify/require"
)

var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func TestEventsHappenInOrderOfTimeThenOfScheduling(t *testing.T) {
	net := sim.New(1, start)
	var order []string
	add := func(s string) func() { return func() { order = append(order, s) } }
	net.After(2*time.Second, add("third"))
	net.After(time.Second, add("first"))
	net.After(time.Second, add("second"))
	net.After(time.Second, func() { net.At(start, add("what is overdue happens next")) })
	net.After(time.Hour, add("never"))
	require.NoError(t, net.RunUntil(start.Add(time.Minute)))
	require.Equal(t, []string{"first", "second", "what is overdue happens next", "third"}, order)
	require.Equal(t, start.Add(time.Minute), net.Now())
}

func TestRunWhileStopsAtTheEventThatEndsIt(t *testing.T) {
	net := sim.New(1, start)
	done := false
	net.After(time.Second, func() { done = true })
	net.After(2*time.Second, func() { t.Error("ran on") })
	require.NoError(t, net.RunWhile(start.Add(time.Minute), func() bool { return !done }))
	require.Equal(t, start.Add(time.Second), net.Now())
}

func TestARunIsBounded(t *testing.T) {
	net := sim.New(1, start)
	var again func()
	again = func() { net.After(0, again) }
	again()
	require.ErrorContains(t, net.RunUntil(start.Add(time.Minute)), "no rest after")
	require.Equal(t, start, net.Now())
}

func TestTheFirstFailureEndsTheRun(t *testing.T) {
	net := sim.New(1, start)
	net.After(time.Second, func() { net.Fail("on %s", "purpose"); net.Fail("again") })
	net.After(2*time.Second, func() { t.Error("ran on") })
	require.EqualError(t, net.RunUntil(start.Add(time.Minute)), "on purpose")
	require.Equal(t, []string{"00:00:01.000 FAILED: on purpose"}, net.Trace())
}

// story is what becomes of 1,000 packets sent one each millisecond: their numbers
// in the order of arrival, and when the last one arrives.
func story(t *testing.T, seed uint64, faults sim.Faults) (arrived []int, last time.Duration) {
	t.Helper()
	net := sim.New(seed, start)
	link := net.Link("link", faults, func(packet []byte) {
		arrived = append(arrived, int(packet[0])<<8|int(packet[1]))
		last = net.Now().Sub(start)
	})
	for i := range 1000 {
		packet := []byte{byte(i >> 8), byte(i)}
		net.After(time.Duration(i)*time.Millisecond, func() {
			link.Send(packet)
			packet[0] = 0xff // the sender's buffer is its own again
		})
	}
	require.NoError(t, net.RunUntil(start.Add(time.Minute)))
	return arrived, last
}

func TestLinkFaults(t *testing.T) {
	arrived, last := story(t, 1, sim.Faults{Latency: 5 * time.Millisecond})
	require.Len(t, arrived, 1000)
	require.True(t, slices.IsSorted(arrived))
	require.Equal(t, 999*time.Millisecond+5*time.Millisecond, last)

	arrived, last = story(t, 1, sim.Faults{Latency: 5 * time.Millisecond, Jitter: 10 * time.Millisecond})
	require.False(t, slices.IsSorted(arrived), "jitter reorders")
	slices.Sort(arrived)
	require.Len(t, slices.Compact(arrived), 1000, "and loses nothing")
	require.LessOrEqual(t, last, 999*time.Millisecond+15*time.Millisecond)

	arrived, _ = story(t, 1, sim.Faults{Loss: 0.3})
	require.InDelta(t, 700, len(arrived), 60)

	arrived, _ = story(t, 1, sim.Faults{Duplicate: 0.3})
	require.InDelta(t, 1300, len(arrived), 60)

	arrived, _ = story(t, 1, sim.Faults{Loss: 1, Duplicate: 1})
	require.Empty(t, arrived)
}

func TestARunDependsOnItsSeedAlone(t *testing.T) {
	faults := sim.Faults{Jitter: time.Second, Loss: 0.1, Duplicate: 0.1}
	one, _ := story(t, 1, faults)
	again, _ := story(t, 1, faults)
	other, _ := story(t, 2, faults)
	require.Equal(t, one, again)
	require.NotEqual(t, one, other)
}

// alarm is a machine that says "ring" at its deadline.
type alarm struct {
	at    time.Time
	early bool // faulty: it does not look at the clock
	moves bool // faulty: a look at the clock moves its deadline
}

func (a *alarm) Deadline() (time.Time, bool) { return a.at, !a.at.IsZero() }

func (a *alarm) HandleTimeout(now time.Time, acts []string) []string {
	if a.at.IsZero() || now.Before(a.at) && !a.early {
		if a.moves {
			a.at = a.at.Add(time.Second)
		}
		return acts
	}
	a.at = time.Time{}
	return append(acts, "ring")
}

// set is an input that sets the alarm.
func (a *alarm) set(at time.Time) func(time.Time, []string) []string {
	return func(_ time.Time, acts []string) []string {
		a.at = at
		return append(acts, "set")
	}
}

func TestNodePerformsActionsAndKeepsTheDeadline(t *testing.T) {
	net := sim.New(1, start)
	var heard []string
	node := sim.NewNode(net, "node", func(a string) { heard = append(heard, a+net.Now().Format(" 05")) })
	machine := &alarm{}
	node.Input(machine.set(start)) // down: nobody hears it
	node.Start(machine)
	node.Input(machine.set(start.Add(2 * time.Second)))
	net.After(time.Second, func() { node.Input(machine.set(start.Add(3 * time.Second))) })
	net.After(4*time.Second, func() { node.Input(machine.set(start)) })
	require.NoError(t, net.RunUntil(start.Add(time.Minute)))
	require.Equal(t, []string{"set 00", "set 01", "ring 03", "set 04", "ring 04"}, heard)
}

func TestCrashEndsAllThatTheNodeHadBegun(t *testing.T) {
	net := sim.New(1, start)
	var heard []string
	node := sim.NewNode(net, "node", func(a string) { heard = append(heard, a) })
	machine := &alarm{at: start.Add(2 * time.Second)}
	node.Start(machine)
	node.After(2*time.Second, func() { heard = append(heard, "from the life before") })
	net.After(time.Second, func() {
		node.Crash()
		require.False(t, node.Up())
		node.Start(&alarm{at: start.Add(3 * time.Second)})
	})
	require.NoError(t, net.RunUntil(start.Add(time.Minute)))
	require.Equal(t, []string{"ring"}, heard)
}

func TestCrashBetweenTwoActions(t *testing.T) {
	net := sim.New(1, start)
	var heard []string
	var node *sim.Node[string]
	node = sim.NewNode(net, "node", func(a string) {
		heard = append(heard, a)
		node.Crash()
	})
	node.Start(&alarm{})
	node.Input(func(_ time.Time, acts []string) []string { return append(acts, "store", "send") })
	require.Equal(t, []string{"store"}, heard)
}

func TestNodeCatchesMachinesThatDoNotKeepTheDeadline(t *testing.T) {
	for name, machine := range map[string]*alarm{
		"acts early":         {early: true},
		"moves the deadline": {moves: true},
	} {
		t.Run(name, func(t *testing.T) {
			net := sim.New(1, start)
			node := sim.NewNode(net, "node", func(string) {})
			node.Start(machine)
			for range 100 {
				node.Input(machine.set(start.Add(time.Hour)))
			}
			require.Error(t, net.RunUntil(start.Add(time.Minute)))
		})
	}
}

func TestNodeCatchesInputWhileActionsArePerformed(t *testing.T) {
	net := sim.New(1, start)
	machine := &alarm{}
	var node *sim.Node[string]
	node = sim.NewNode(net, "node", func(string) { node.Input(machine.set(start)) })
	node.Start(machine)
	node.Input(machine.set(start))
	require.ErrorContains(t, net.RunUntil(start), "while actions are being performed")
}

func TestSeedsAreDistinctRuns(t *testing.T) {
	var mu sync.Mutex
	seen := map[uint64]bool{}
	t.Run("seeds", func(t *testing.T) {
		sim.Seeds(t, 20, func(_ *testing.T, net *sim.Net) {
			mu.Lock()
			defer mu.Unlock()
			seen[net.Rand().Uint64()] = true
		})
	})
	want := 20
	if testing.Short() {
		want = 2
	}
	require.Len(t, seen, want)
}
