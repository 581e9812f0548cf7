package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"dhcpsec.example/dhcpv6pd"
)

// delegator is the delegating router: a socket and a loop around a
// dhcpv6pd.DelegatingRouter, with a pool of prefixes and a database.
type delegator struct {
	machine *dhcpv6pd.DelegatingRouter
	conn    *net.UDPConn
	pool    pool
	// database stands for what survives a restart: see DelegatingRouter.Restore.
	database map[lease]dhcpv6pd.IA
	ca       registrationAuthority
	ladder   *ladder
	inputs   inputs
	work     sync.WaitGroup   // goroutines that answer actions
	asked    chan struct{}    // closed when the certificate server has the last request
	told     chan raOperation // what the certificate server was told without its answer mattering
}

// lease names an IA_PD of a client.
type lease struct {
	duid string
	iaid uint32
}

func newDelegator(config dhcpv6pd.DelegatingRouterConfig, conn *net.UDPConn, delegate netip.Prefix, ca registrationAuthority, l *ladder) (*delegator, error) {
	machine, err := dhcpv6pd.NewDelegatingRouter(config)
	if err != nil {
		return nil, err
	}
	return &delegator{
		machine: machine, conn: conn, pool: pool{delegate: delegate, holder: make(map[netip.Prefix]lease)},
		database: make(map[lease]dhcpv6pd.IA), ca: ca, ladder: l, inputs: make(inputs), told: make(chan raOperation, 16),
	}, nil
}

// run is the loop; see requester.run.
func (d *delegator) run(ctx context.Context) {
	defer d.work.Wait()
	datagrams := receive(ctx, d.conn)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var acts []dhcpv6pd.Action
	for {
		for _, a := range acts {
			d.perform(ctx, a)
		}
		arm(timer, d.machine)
		var err error
		select {
		case p := <-datagrams:
			acts, err = d.machine.HandleMessage(time.Now(), p.from, p.data, acts[:0])
		case in := <-d.inputs:
			acts, err = in(time.Now(), acts[:0])
		case <-timer.C:
			acts = d.machine.HandleTimeout(time.Now(), acts[:0])
		case <-ctx.Done():
			return
		}
		if err != nil {
			d.ladder.ignored(nodeDR, err)
		}
	}
}

// perform does one thing for the machine. None of it calls the machine, whose
// actions are being gone through: answers come in as inputs.
func (d *delegator) perform(ctx context.Context, a dhcpv6pd.Action) {
	a = a.Clone() // goroutines use it beyond the next call on the machine
	switch a.Kind {
	case dhcpv6pd.ActionAllocate:
		var ias []dhcpv6pd.IA
		for _, ia := range a.IAs {
			if p, ok := d.pool.allocate(lease{string(a.DUID), ia.IAID}); ok {
				ias = append(ias, dhcpv6pd.IA{IAID: ia.IAID, Prefixes: []dhcpv6pd.Prefix{p}})
			}
		}
		d.answer(ctx, func(now time.Time, acts []dhcpv6pd.Action) ([]dhcpv6pd.Action, error) {
			return d.machine.HandleAllocated(now, a.ID, ias, acts)
		})

	case dhcpv6pd.ActionNotifyCA: // Case 1
		request := raRequest{Op: opBind, DUID: a.DUID, Prefixes: a.Prefixes, NotAfter: a.NotAfter}
		d.ask(ctx, request, func(_ [][]byte, err error) {
			d.inputs.give(ctx, func(now time.Time, acts []dhcpv6pd.Action) ([]dhcpv6pd.Action, error) {
				return d.machine.HandleNotified(now, a.ID, err == nil, acts)
			})
		})

	case dhcpv6pd.ActionIssue: // Case 2
		request := raRequest{
			Op: opIssue, DUID: a.DUID, Prefixes: a.Prefixes, NotBefore: a.NotBefore, NotAfter: a.NotAfter,
			Key: a.Key, Proven: a.Proven,
		}
		d.ask(ctx, request, func(chain [][]byte, err error) {
			d.inputs.give(ctx, func(now time.Time, acts []dhcpv6pd.Action) ([]dhcpv6pd.Action, error) {
				if err != nil || len(chain) == 0 {
					return d.machine.HandleIssueFailed(now, a.ID, acts)
				}
				return d.machine.HandleIssued(now, a.ID, chain[0], chain[1:], acts)
			})
		})

	case dhcpv6pd.ActionCommit:
		// The machine sends the Reply once it knows that this is stored: a delegation
		// must not be forgotten by the one who made it.
		for _, ia := range a.IAs {
			d.database[lease{string(a.DUID), ia.IAID}] = ia
		}
		if a.ID != 0 { // otherwise nobody waits
			d.answer(ctx, func(now time.Time, acts []dhcpv6pd.Action) ([]dhcpv6pd.Action, error) {
				return d.machine.HandleCommitted(now, a.ID, true, acts)
			})
		}

	case dhcpv6pd.ActionSend:
		d.ladder.dhcp(nodeDR, nodeRR, a.Data)
		if _, err := d.conn.WriteToUDPAddrPort(a.Data, a.To); err != nil {
			d.ladder.ignored(nodeDR, err) // the client will ask again
		}

	case dhcpv6pd.ActionWithdrawCA:
		d.tell(ctx, raRequest{Op: opUnbind, DUID: a.DUID, Prefixes: a.Prefixes})
	case dhcpv6pd.ActionRevoke:
		d.tell(ctx, raRequest{Op: opRevoke, Certificate: a.Certificate})
	case dhcpv6pd.ActionForget:
		for _, ia := range a.IAs {
			delete(d.database, lease{string(a.DUID), ia.IAID})
		}
	case dhcpv6pd.ActionFree:
		for _, ia := range a.IAs {
			d.pool.free(ia.Prefixes)
		}
	}
}

// ask asks the certificate server while the loop goes on. What it is asked arrives
// in the order of the actions: it must not hear that a delegation is over before
// it hears that it began.
func (d *delegator) ask(ctx context.Context, r raRequest, then func([][]byte, error)) {
	before, done := d.asked, make(chan struct{})
	d.asked = done
	d.work.Go(func() {
		if before != nil {
			<-before
		}
		chain, err := d.ca.ask(ctx, r)
		close(done)
		then(chain, err)
	})
}

// tell tells the certificate server something that the machine does not wait for.
// A product repeats it until it succeeds.
func (d *delegator) tell(ctx context.Context, r raRequest) {
	d.ask(ctx, r, func(_ [][]byte, err error) {
		if err != nil {
			d.ladder.ignored(nodeDR, fmt.Errorf("certificate server not told: %w", err))
			return
		}
		select {
		case d.told <- r.Op:
		default: // nobody counts that many
		}
	})
}

// answer hands the loop an answer that is there at once.
func (d *delegator) answer(ctx context.Context, in input) {
	d.work.Go(func() { d.inputs.give(ctx, in) })
}

// The lifetimes of what is delegated.
const (
	preferredLifetime = 30 * time.Minute
	validLifetime     = time.Hour
)

// delegatedBits is the length of what is delegated.
const delegatedBits = 56

// pool holds the prefixes to delegate.
type pool struct {
	delegate netip.Prefix
	holder   map[netip.Prefix]lease
}

// allocate returns the prefix that l has, or else the first that nobody has: what
// an Advertise offers is then what the Request gets. In a product, an offer that
// no Request takes up expires.
func (p *pool) allocate(l lease) (dhcpv6pd.Prefix, bool) {
	for held, holder := range p.holder {
		if holder == l {
			return lend(held), true
		}
	}
	for c := netip.PrefixFrom(p.delegate.Addr(), delegatedBits); p.delegate.Contains(c.Addr()); c = next(c) {
		if _, taken := p.holder[c]; !taken {
			p.holder[c] = l
			return lend(c), true
		}
	}
	return dhcpv6pd.Prefix{}, false
}

func lend(p netip.Prefix) dhcpv6pd.Prefix {
	return dhcpv6pd.Prefix{Prefix: p, Preferred: preferredLifetime, Valid: validLifetime}
}

func (p *pool) free(prefixes []dhcpv6pd.Prefix) {
	for _, f := range prefixes {
		delete(p.holder, f.Prefix)
	}
}

// next is the prefix behind p, of the same length, which is 1 to 64.
func next(p netip.Prefix) netip.Prefix {
	a := p.Addr().As16()
	binary.BigEndian.PutUint64(a[:], binary.BigEndian.Uint64(a[:])+1<<(64-p.Bits()))
	return netip.PrefixFrom(netip.AddrFrom16(a), p.Bits())
}

// subnet is the first /64 of p.
func subnet(p netip.Prefix) netip.Prefix { return netip.PrefixFrom(p.Addr(), 64) }
