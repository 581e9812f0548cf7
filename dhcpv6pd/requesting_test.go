package dhcpv6pd

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"dhcpsec.example/certopt"
	"dhcpsec.example/internal/dhcp6"
	"github.com/stretchr/testify/require"
)

// rrTest drives a RequestingRouter through virtual time. All that it hands to the
// machine and gets from it is overwritten after use: see taken and poison.
type rrTest struct {
	t    testing.TB
	rr   *RequestingRouter
	src  *rand.PCG
	now  time.Time
	sent []byte // the last message sent
}

const caURI = "http://[2001:db8:ca::1]/cmp"

// newRRTest makes a router for Case 1 with one IA, changed by edit.
func newRRTest(t testing.TB, edit ...func(*RequestingRouterConfig)) *rrTest {
	t.Helper()
	x := &rrTest{t: t, src: rand.NewPCG(1, 0), now: start}
	cfg := RequestingRouterConfig{Holder: HolderConfig{
		DUID: routerDUID, Key: routerKey(), TrustAnchors: anchors(), Rand: x.src,
	}}
	for _, e := range edit {
		e(&cfg)
	}
	rr, err := NewRequestingRouter(cfg)
	require.NoError(t, err)
	x.rr = rr
	return x
}

func withSeed(seed uint64) func(*RequestingRouterConfig) {
	return func(c *RequestingRouterConfig) { c.Holder.Rand = seeded(seed) }
}

func withIAs(ias ...IA) func(*RequestingRouterConfig) {
	return func(c *RequestingRouterConfig) { c.IAs = ias }
}

func withRapidCommit(c *RequestingRouterConfig) { c.RapidCommit = true }
func withKey(c *RequestingRouterConfig)         { c.Holder.OfferKey = true }

func (x *rrTest) take(acts []Action) []Action {
	acts = taken(acts)
	for _, a := range acts {
		if a.Kind == ActionSend {
			x.sent = a.Data
		}
	}
	return acts
}

// start starts the router and lets it send its first Solicit.
func (x *rrTest) start() {
	x.t.Helper()
	require.Empty(x.t, x.take(x.rr.Start(x.now, nil)), "the first Solicit is delayed")
	x.fire()
	x.requireSent(dhcp6.Solicit)
}

func (x *rrTest) deadline() time.Time {
	x.t.Helper()
	at, armed := x.rr.Deadline()
	require.True(x.t, armed, "no deadline in state %v", x.rr.State())
	return at
}

// fire goes to the next deadline.
func (x *rrTest) fire() []Action {
	x.t.Helper()
	x.now = x.deadline()
	return x.timeout()
}

// fireUntil goes from deadline to deadline until one brings an action of kind.
func (x *rrTest) fireUntil(kind ActionKind) []Action {
	x.t.Helper()
	for range 1000 {
		if acts := x.fire(); slices.Contains(kinds(acts), kind) {
			return acts
		}
	}
	require.FailNow(x.t, "never came", "%v in state %v", kind, x.rr.State())
	return nil
}

func (x *rrTest) timeout() []Action { return x.take(x.rr.HandleTimeout(x.now, nil)) }

func (x *rrTest) release() []Action { return x.take(x.rr.Release(x.now, nil)) }

// handle delivers octets, which are gone afterwards.
func (x *rrTest) handle(pkt []byte) ([]Action, error) {
	pkt = bytes.Clone(pkt)
	acts, err := x.rr.HandleMessage(x.now, pkt, nil)
	poison(pkt)
	return x.take(acts), err
}

// deliver lets server answer the message last sent. It must be accepted.
func (x *rrTest) deliver(typ dhcp6.MessageType, server []byte, parts ...part) []Action {
	x.t.Helper()
	acts, err := x.handle(answerTo(x.t, x.sent, typ, server, parts...))
	require.NoError(x.t, err, "the %v is not accepted", typ)
	return acts
}

// ignore lets server answer the message last sent. It must change nothing.
func (x *rrTest) ignore(reason Reason, typ dhcp6.MessageType, server []byte, parts ...part) {
	x.t.Helper()
	x.ignoreOctets(reason, answerTo(x.t, x.sent, typ, server, parts...))
}

func (x *rrTest) ignoreOctets(reason Reason, pkt []byte) {
	x.t.Helper()
	before, count := x.snapshot(), x.rr.Stats()[reason]
	acts, err := x.handle(pkt)
	requireDrop(x.t, reason, err)
	require.Empty(x.t, acts)
	require.Equal(x.t, before, x.snapshot(), "an ignored message changed the state")
	require.Greater(x.t, x.rr.Stats()[reason], count, "not counted")
}

func (x *rrTest) requireSent(typ dhcp6.MessageType) dhcp6.Message {
	x.t.Helper()
	m := parsed(x.t, x.sent)
	require.Equal(x.t, typ, m.Type)
	return m
}

func (x *rrTest) requireState(s RequestingState) {
	x.t.Helper()
	require.Equal(x.t, s.String(), x.rr.State().String(), "state")
}

// request brings the router to Requesting, with an offer of one prefix.
func (x *rrTest) request() {
	x.t.Helper()
	x.start()
	x.deliver(dhcp6.Advertise, serverDUID, preference(255), iaPD(1, 0, 0, iaPrefix(delegated, 3000, 4000)))
	x.requireState(StateRequesting)
}

// bind brings the router to Bound with what the Reply has.
func (x *rrTest) bind(parts ...part) []Action {
	x.t.Helper()
	x.request()
	acts := x.deliver(dhcp6.Reply, serverDUID, parts...)
	x.requireState(StateBound)
	return acts
}

// renew brings the router to Renewing, after bind with delegation.
func (x *rrTest) renew(parts ...part) {
	x.t.Helper()
	x.bind(parts...)
	x.fireUntil(ActionSend)
	x.requireState(StateRenewing)
}

// rebind brings the router to Rebinding, after bind with delegation.
func (x *rrTest) rebind(parts ...part) {
	x.t.Helper()
	x.renew(parts...)
	for x.rr.State() == StateRenewing {
		x.fire()
	}
	x.requireState(StateRebinding)
}

// delegated is the prefix that most tests delegate, as delegation has it.
const delegated = "2001:db8:8000:100::/56"

func delegation1() part { return iaPD(1, 1000, 2000, iaPrefix(delegated, 3000, 4000)) }

func anchors() []*x509.Certificate { return []*x509.Certificate{trustAnchor().cert} }

// snapshot is all that a machine knows, but for how late it is, and for its
// counters and what SOL_MAX_RT sets, which an ignored message may change.
func (x *rrTest) snapshot() any {
	r, h := *x.rr, *x.rr.holder
	r.cfg, r.holder, r.rng, r.clock = RequestingRouterConfig{}, nil, nil, clock{}
	r.stats, r.solMaxRT, r.ex.mrt = Stats{}, 0, 0
	r.out, r.leases, r.server = bytes.Clone(r.out), slices.Clone(r.leases), bytes.Clone(r.server)
	r.best.ias, r.best.server, r.ex.ias = cloneIAs(r.best.ias), bytes.Clone(r.best.server), cloneIAs(r.ex.ias)
	h.cfg, h.rng, h.clock, h.stats, h.held = HolderConfig{}, nil, clock{}, Stats{}, slices.Clone(h.held)
	ids := *h.ids
	h.ids = nil
	var cert certified
	if h.cert != nil {
		cert = *h.cert
	}
	h.cert = nil
	random := must(x.src.MarshalBinary())
	return []any{r, h, ids, cert, random}
}

// RFC 8415 section 15 and the parameters of section 7.6.
func TestRFC8415_15_RetransmissionTimes(t *testing.T) {
	tests := []struct {
		msg      dhcp6.MessageType
		irt, mrt time.Duration
		first    [2]float64 // bounds of the first RT in IRTs
		to       func(x *rrTest)
	}{
		{dhcp6.Solicit, time.Second, 3600 * time.Second, [2]float64{1, 1.1}, func(x *rrTest) { x.start() }},
		{dhcp6.Request, time.Second, 30 * time.Second, [2]float64{0.9, 1.1}, func(x *rrTest) { x.request() }},
		{dhcp6.Renew, 10 * time.Second, 600 * time.Second, [2]float64{0.9, 1.1}, func(x *rrTest) {
			x.renew(iaPD(1, 10, 1e6, iaPrefix(delegated, 2e6, 2e6)))
		}},
		{dhcp6.Rebind, 10 * time.Second, 600 * time.Second, [2]float64{0.9, 1.1}, func(x *rrTest) {
			x.rebind(iaPD(1, 10, 20, iaPrefix(delegated, 2e6, 2e6)))
		}},
		{dhcp6.Release, time.Second, 0, [2]float64{0.9, 1.1}, func(x *rrTest) {
			x.bind(delegation1())
			x.release()
		}},
	}
	for _, tt := range tests {
		t.Run(tt.msg.String(), func(t *testing.T) {
			times := func(d time.Duration, f float64) time.Duration { return time.Duration(f * float64(d)) }
			above, below, distinct := false, false, map[time.Duration]bool{}
			for seed := range uint64(40) {
				x := newRRTest(t, withSeed(seed))
				tt.to(x)
				var last time.Duration
				for try := 1; try <= 16; try++ {
					x.requireSent(tt.msg)
					rt := x.deadline().Sub(x.now)
					switch {
					case try == 1:
						require.GreaterOrEqual(t, rt, times(tt.irt, tt.first[0]), "first RT, seed %d", seed)
						require.LessOrEqual(t, rt, times(tt.irt, tt.first[1]), "first RT, seed %d", seed)
						distinct[rt] = true
					case tt.mrt > 0 && times(last, 2.1) > tt.mrt && (rt > tt.mrt || times(last, 1.9) > tt.mrt):
						// RT = MRT + RAND*MRT
						require.GreaterOrEqual(t, rt, times(tt.mrt, 0.9), "RT %d, seed %d", try, seed)
						require.LessOrEqual(t, rt, times(tt.mrt, 1.1), "RT %d, seed %d", try, seed)
						above, below = above || rt > tt.mrt, below || rt < tt.mrt
					case tt.mrt > 0 && times(last, 2.1) > tt.mrt:
						// Either of the two, as RAND was.
						require.GreaterOrEqual(t, rt, min(times(last, 1.9), times(tt.mrt, 0.9)), "RT %d, seed %d", try, seed)
					default:
						// RT = 2*RTprev + RAND*RTprev
						require.GreaterOrEqual(t, rt, times(last, 1.9), "RT %d, seed %d", try, seed)
						require.LessOrEqual(t, rt, times(last, 2.1), "RT %d, seed %d", try, seed)
					}
					last = rt
					x.sent = nil
					if x.fire(); x.sent == nil || parsed(t, x.sent).Type != tt.msg {
						break
					}
				}
			}
			require.Greater(t, len(distinct), 30, "RAND is the same with different seeds")
			if tt.mrt > 0 {
				require.True(t, above && below, "RAND applies after RT is capped to MRT")
			}
		})
	}
}

// "The first Solicit message from the client on the interface SHOULD be delayed
// by a random amount of time between 0 and SOL_MAX_DELAY."
func TestRFC8415_18_2_1_FirstSolicitIsDelayed(t *testing.T) {
	distinct := map[time.Duration]bool{}
	for seed := range uint64(200) {
		x := newRRTest(t, withSeed(seed))
		require.Empty(t, x.take(x.rr.Start(x.now, nil)))
		delay := x.deadline().Sub(x.now)
		require.GreaterOrEqual(t, delay, time.Duration(0))
		require.LessOrEqual(t, delay, time.Second)
		distinct[delay] = true
	}
	require.Greater(t, len(distinct), 190)
}

// "the first RT MUST be selected to be strictly greater than IRT by choosing RAND
// to be strictly greater than 0"
func TestRFC8415_18_2_1_FirstRTIsStrictlyGreaterThanIRT(t *testing.T) {
	for seed := range uint64(500) {
		x := newRRTest(t, withSeed(seed))
		x.start()
		require.Greater(t, x.deadline().Sub(x.now), time.Second, "seed %d", seed)
	}
	// Of these 53 bits Float64 makes 1/2, which makes RAND exactly 0.
	x := newRRTest(t, func(c *RequestingRouterConfig) { c.Holder.Rand = constant(1 << 52) })
	x.start()
	require.Greater(t, x.deadline().Sub(x.now), time.Second, "RAND 0")
}

// constant is a source of no randomness.
type constant uint64

func (c constant) Uint64() uint64 { return uint64(c) }

// REQ_MAX_RC is 10: "the message exchange fails once the client has transmitted
// the message MRC times" (section 15), that is, when the RT after the last is over.
func TestRFC8415_18_2_2_RequestFailsAfterTenTransmissions(t *testing.T) {
	x := newRRTest(t)
	x.request()
	for range 9 {
		only(t, x.fire(), ActionSend)
		x.requireSent(dhcp6.Request)
	}
	failed := x.fire()
	require.Equal(t, []ActionKind{ActionFailed}, kinds(failed))
	require.ErrorIs(t, failed[0].Err, ErrNoAnswer)
	x.requireState(StateSoliciting)
	x.fire()
	x.requireSent(dhcp6.Solicit)
}

func TestRFC8415_18_2_7_ReleaseEndsAfterFourTransmissions(t *testing.T) {
	x := newRRTest(t)
	x.bind(delegation1())
	x.release()
	for range 3 {
		only(t, x.fire(), ActionSend)
		x.requireSent(dhcp6.Release)
	}
	require.Empty(t, x.fire())
	x.requireState(StateInit)
	_, armed := x.rr.Deadline()
	require.False(t, armed, "a released router has nothing to wait for")
}

// "The message exchange is terminated when the earliest time T2 is reached".
func TestRFC8415_18_2_4_RenewEndsAtT2(t *testing.T) {
	x := newRRTest(t)
	x.bind(delegation1())
	bound := x.now
	x.fire()
	require.Equal(t, bound.Add(1000*time.Second), x.now, "T1")
	renew := x.requireSent(dhcp6.Renew)
	for x.rr.State() == StateRenewing {
		require.LessOrEqual(t, x.deadline().Sub(bound), 2000*time.Second)
		x.fire()
	}
	require.Equal(t, bound.Add(2000*time.Second), x.now, "T2")
	rebind := x.requireSent(dhcp6.Rebind)
	require.NotEqual(t, renew.TransactionID, rebind.TransactionID)
}

// MRD is "Remaining time until valid lifetimes of all leases in all IAs have
// expired", "at which time the client uses the Solicit message".
func TestRFC8415_18_2_5_RebindEndsWhenTheLastLeaseExpires(t *testing.T) {
	x := newRRTest(t)
	x.rebind(delegation1())
	acts := x.fireUntil(ActionPrefixLost)
	lost := only(t, acts, ActionPrefixLost)
	require.ErrorIs(t, lost.Err, ErrExpired)
	require.Equal(t, prefix(delegated), lost.IAs[0].Prefixes[0].Prefix)
	x.requireState(StateSoliciting)
	x.fireUntil(ActionSend)
	x.requireSent(dhcp6.Solicit)
}

// "A client MUST leave the transaction ID unchanged in retransmissions of a
// message", and "generate a random number [...] for each new message it sends".
func TestRFC8415_16_1_TransactionID(t *testing.T) {
	x := newRRTest(t)
	x.start()
	seen := map[dhcp6.TransactionID]dhcp6.MessageType{}
	check := func() {
		t.Helper()
		first := parsed(t, x.sent)
		require.NotContains(t, seen, first.TransactionID, "%v reuses a transaction id", first.Type)
		seen[first.TransactionID] = first.Type
		x.fire()
		require.Equal(t, first.TransactionID, x.requireSent(first.Type).TransactionID)
	}
	check()
	x.deliver(dhcp6.Advertise, serverDUID, delegation1())
	check()
	x.deliver(dhcp6.Reply, serverDUID, delegation1())
	x.fire()
	check()
	for x.rr.State() == StateRenewing {
		x.fire()
	}
	check()
	x.release()
	check()
	require.Len(t, seen, 5)
}

// "The client MUST update an 'elapsed-time' value within an Elapsed Time option
// [...] in the retransmitted message"; it is 0 in the first message, counts in
// hundredths of a second and saturates (section 21.9).
func TestRFC8415_15_ElapsedTimeIsUpdated(t *testing.T) {
	x := newRRTest(t)
	x.start()
	first := x.now
	for x.now.Sub(first) < 2000*time.Second {
		elapsed, ok := parsed(t, x.sent).Options.ElapsedTime()
		require.True(t, ok)
		require.Equal(t, min(x.now.Sub(first).Truncate(10*time.Millisecond), 0xffff*10*time.Millisecond), elapsed)
		x.fire()
	}
	x.deliver(dhcp6.Advertise, serverDUID, delegation1())
	elapsed, _ := x.requireSent(dhcp6.Request).Options.ElapsedTime()
	require.Zero(t, elapsed, "a new exchange counts from 0")
}

// Each deadline is acted upon at its very nanosecond, not before, and once.
func TestDeadlinesToTheNanosecond(t *testing.T) {
	tests := []struct {
		name string
		to   func(x *rrTest)
		want []ActionKind
	}{
		{"first Solicit", func(x *rrTest) { x.rr.Start(x.now, nil) }, []ActionKind{ActionSend}},
		{"Solicit again", func(x *rrTest) { x.start() }, []ActionKind{ActionSend}},
		{"end of the collection", func(x *rrTest) {
			x.start()
			x.deliver(dhcp6.Advertise, serverDUID, delegation1())
		}, []ActionKind{ActionSend}},
		{"Request again", func(x *rrTest) { x.request() }, []ActionKind{ActionSend}},
		{"T1", func(x *rrTest) { x.bind(delegation1()) }, []ActionKind{ActionSend}},
		{"Renew again", func(x *rrTest) { x.renew(delegation1()) }, []ActionKind{ActionSend}},
		{"T2", func(x *rrTest) { x.renew(iaPD(1, 10, 15, iaPrefix(delegated, 20, 30))) }, []ActionKind{ActionSend}},
		{"Rebind again", func(x *rrTest) { x.rebind(delegation1()) }, []ActionKind{ActionSend}},
		{"expiry", func(x *rrTest) { x.bind(iaPD(1, 10, 15, iaPrefix(delegated, 5, 9))) }, []ActionKind{ActionPrefixLost}},
		{"Release again", func(x *rrTest) { x.bind(delegation1()); x.release() }, []ActionKind{ActionSend}},
		{"enrolment timeout", func(x *rrTest) { x.bind(delegation1(), caPointer(t)) }, []ActionKind{ActionCertificateRejected}},
		{"enrolment again", func(x *rrTest) { x.bind(delegation1(), caPointer(t)); x.fire() }, []ActionKind{ActionEnroll}},
		{"certificate expiry", func(x *rrTest) {
			enroll := only(t, x.bind(iaPD(1, 1000, 2000, iaPrefix(delegated, 3000, 4000)), caPointer(t)), ActionEnroll)
			x.enrolled(enroll.ID, trustAnchor().router(routerKey().Public(), routerDUID, start, start.Add(100*time.Second), prefix(delegated)))
			x.requireHolder(HolderCertified)
			x.rr.holder.enroll = enrollment{} // no next enrolment before the expiry
		}, []ActionKind{ActionCertificateLost}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := newRRTest(t)
			tt.to(x)
			at := x.deadline()
			before := x.snapshot()
			x.now = at.Add(-1)
			require.Empty(t, x.timeout(), "one nanosecond early")
			require.Empty(t, x.timeout(), "twice one nanosecond early")
			require.Equal(t, before, x.snapshot(), "an early HandleTimeout changed the state")
			x.now = at
			require.Equal(t, tt.want, kinds(x.timeout()))
			after := x.snapshot()
			require.Empty(t, x.timeout(), "a second time")
			require.Equal(t, after, x.snapshot(), "a repeated HandleTimeout changed the state")
		})
	}
}

func caPointer(t testing.TB) part { return certOptions(t, certopt.Options{CAPointer: []byte(caURI)}) }

// certOptions is certificate options as a delegating router adds them to a Reply.
func certOptions(t testing.TB, o certopt.Options) part {
	t.Helper()
	b, err := certopt.Codec{}.Append(nil, o)
	require.NoError(t, err)
	return raw(b)
}

func (x *rrTest) enrolled(id ID, certificate []byte, chain ...[]byte) []Action {
	x.t.Helper()
	certificate = bytes.Clone(certificate)
	acts, err := x.rr.HandleEnrolled(x.now, id, certificate, chain, nil)
	require.NoError(x.t, err)
	poison(certificate)
	return x.take(acts)
}

func (x *rrTest) requireHolder(s HolderState) {
	x.t.Helper()
	require.Equal(x.t, s.String(), x.rr.HolderState().String(), "holder state")
}

func (x *rrTest) mayAdvertise(p string) bool {
	_, ok := x.rr.MayAdvertise(x.now, prefix(p))
	return ok
}

// What each message must have, must not have, and has nothing else than
// (sections 18.2.1, 18.2.2, 18.2.4, 18.2.5, 18.2.7 and 21.7).
func TestRFC8415_18_2_OptionsOfEachMessage(t *testing.T) {
	const (
		client, server, oro, elapsed, rapid, pd = dhcp6.OptionClientID, dhcp6.OptionServerID, dhcp6.OptionORO,
			dhcp6.OptionElapsedTime, dhcp6.OptionRapidCommit, dhcp6.OptionIAPD
		key, proof = 65002, 65004
	)
	tests := []struct {
		name string
		msg  dhcp6.MessageType
		to   func(x *rrTest)
		edit func(*RequestingRouterConfig)
		want []uint16
	}{
		{"Solicit", dhcp6.Solicit, func(x *rrTest) { x.start() }, withKey, []uint16{client, elapsed, pd, oro}},
		{"Solicit with Rapid Commit", dhcp6.Solicit, func(x *rrTest) { x.start() }, func(c *RequestingRouterConfig) {
			withKey(c)
			withRapidCommit(c)
		}, []uint16{client, elapsed, rapid, pd, oro, key, proof}},
		{"Request", dhcp6.Request, func(x *rrTest) { x.request() }, withKey, []uint16{client, server, elapsed, pd, oro, key, proof}},
		{"Request of Case 1", dhcp6.Request, func(x *rrTest) { x.request() }, func(*RequestingRouterConfig) {}, []uint16{client, server, elapsed, pd, oro}},
		{"Renew", dhcp6.Renew, func(x *rrTest) { x.renew(delegation1()) }, withKey, []uint16{client, server, elapsed, pd, oro, key, proof}},
		{"Rebind", dhcp6.Rebind, func(x *rrTest) { x.rebind(delegation1()) }, withKey, []uint16{client, elapsed, pd, oro, key, proof}},
		{"Release", dhcp6.Release, func(x *rrTest) { x.bind(delegation1()); x.release() }, withKey, []uint16{client, server, elapsed, pd}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := newRRTest(t, tt.edit)
			tt.to(x)
			m := x.requireSent(tt.msg)
			var got []uint16
			for code := range m.Options.All() {
				got = append(got, code)
			}
			require.ElementsMatch(t, tt.want, got)
			id, _ := m.Options.ClientID()
			require.Equal(t, routerDUID, id)
			if id, ok := m.Options.ServerID(); ok {
				require.Equal(t, serverDUID, id)
			}
			if codes, ok := m.Options.Find(oro); ok {
				require.Equal(t, []uint16{82, 65001, 65003, 65005}, codesOf(t, codes), "SOL_MAX_RT and the certificate options")
			}
			for ia, err := range m.Options.IAPDs() {
				require.NoError(t, err)
				require.Zero(t, ia.T1, `"T1 and T2 fields SHOULD be set to 0" (section 21.21)`)
				require.Zero(t, ia.T2, `"T1 and T2 fields SHOULD be set to 0" (section 21.21)`)
				for p, err := range ia.Prefixes() {
					require.NoError(t, err)
					require.Zero(t, p.Preferred, "lifetimes SHOULD be set to 0 (section 21.22)")
					require.Zero(t, p.Valid, "lifetimes SHOULD be set to 0 (section 21.22)")
				}
			}
		})
	}
}

func codesOf(t testing.TB, oro []byte) []uint16 {
	t.Helper()
	require.Zero(t, len(oro)%2)
	var out []uint16
	for ; len(oro) > 0; oro = oro[2:] {
		out = append(out, binary.BigEndian.Uint16(oro))
	}
	return out
}

// "Only top-level options MAY appear in the Option Request option": with an
// enterprise number it is VENDOR_OPTS that is asked for.
func TestRFC8415_21_7_VendorOptionsAreRequestedAsOne(t *testing.T) {
	x := newRRTest(t, func(c *RequestingRouterConfig) { c.Holder.Options = certopt.Codec{Enterprise: 32473} })
	x.start()
	codes, _ := x.requireSent(dhcp6.Solicit).Options.Find(dhcp6.OptionORO)
	require.Equal(t, []uint16{82, 17}, codesOf(t, codes))
}

func TestSendGoesToAllRelayAgentsAndServers(t *testing.T) {
	x := newRRTest(t)
	x.rr.Start(x.now, nil)
	require.Equal(t, netip.MustParseAddrPort("[ff02::1:2]:547"), only(t, x.fire(), ActionSend).To)
}

// A hint is in the Solicit; the Request and what follows name what was offered.
func TestRFC8415_18_2_1_Hints(t *testing.T) {
	x := newRRTest(t, withIAs(
		IA{IAID: 1, Prefixes: []Prefix{{Prefix: prefix("::/56")}}},
		IA{IAID: 2, Prefixes: []Prefix{{Prefix: prefix("2001:db8:8000:200::/56")}}},
		IA{IAID: 3},
	))
	x.start()
	require.Equal(t, map[uint32][]netip.Prefix{
		1: {prefix("::/56")}, 2: {prefix("2001:db8:8000:200::/56")}, 3: nil,
	}, prefixesOf(t, x.requireSent(dhcp6.Solicit)))
	x.deliver(dhcp6.Advertise, serverDUID, preference(255), delegation1())
	require.Equal(t, map[uint32][]netip.Prefix{
		1: {prefix(delegated)}, 2: {prefix("2001:db8:8000:200::/56")}, 3: nil,
	}, prefixesOf(t, x.requireSent(dhcp6.Request)))
}

// "The client MUST NOT include addresses and prefixes in any IA option that the
// client did not obtain from the server"; an IA without leases MAY be there, with
// "the 'IPv6-prefix' field set to 0" for a hint.
func TestRFC8415_18_2_4_RenewAndRebindNameOnlyWhatWasDelegated(t *testing.T) {
	x := newRRTest(t, withIAs(
		IA{IAID: 1},
		IA{IAID: 2, Prefixes: []Prefix{{Prefix: prefix("2001:db8:8000:200::/56")}}},
		IA{IAID: 3, Prefixes: []Prefix{{Prefix: prefix("::/60")}}},
	))
	want := map[uint32][]netip.Prefix{1: {prefix(delegated)}, 2: nil, 3: {prefix("::/60")}}
	x.renew(delegation1())
	require.Equal(t, want, prefixesOf(t, x.requireSent(dhcp6.Renew)))
	for x.rr.State() == StateRenewing {
		x.fire()
	}
	require.Equal(t, want, prefixesOf(t, x.requireSent(dhcp6.Rebind)))
}

// "The client MUST NOT include [...] prefixes [...] that are no longer valid"
// (section 18.2.4), not in retransmissions either (section 15).
func TestRFC8415_15_RetransmissionOmitsExpiredPrefixes(t *testing.T) {
	x := newRRTest(t)
	x.bind(iaPD(1, 10, 1000, iaPrefix(delegated, 2000, 3000), iaPrefix("2001:db8:8000:200::/56", 15, 25)))
	x.fire()
	require.Len(t, prefixesOf(t, x.requireSent(dhcp6.Renew))[1], 2)
	x.fireUntil(ActionPrefixLost)
	x.requireState(StateRenewing)
	x.fireUntil(ActionSend)
	require.Equal(t, map[uint32][]netip.Prefix{1: {prefix(delegated)}}, prefixesOf(t, x.requireSent(dhcp6.Renew)))
}

// answers is an Advertise or Reply that would be accepted, in the state that
// waits for it.
var answers = []struct {
	name  string
	typ   dhcp6.MessageType
	to    func(x *rrTest)
	other dhcp6.MessageType // of the two, the one that is not expected
}{
	{"Advertise", dhcp6.Advertise, func(x *rrTest) { x.start() }, dhcp6.Reply},
	{"Reply to Request", dhcp6.Reply, func(x *rrTest) { x.request() }, dhcp6.Advertise},
	{"Reply to Renew", dhcp6.Reply, func(x *rrTest) { x.renew(delegation1()) }, dhcp6.Advertise},
	{"Reply to Rebind", dhcp6.Reply, func(x *rrTest) { x.rebind(delegation1()) }, dhcp6.Advertise},
	{"Reply to Release", dhcp6.Reply, func(x *rrTest) { x.bind(delegation1()); x.release() }, dhcp6.Advertise},
}

func forEachAnswer(t *testing.T, test func(t *testing.T, x *rrTest, typ, other dhcp6.MessageType)) {
	t.Helper()
	for _, a := range answers {
		t.Run(a.name, func(t *testing.T) {
			x := newRRTest(t)
			a.to(x)
			test(t, x, a.typ, a.other)
			// What was dropped did not spoil the real answer.
			x.deliver(a.typ, serverDUID, delegation1())
		})
	}
}

func TestRFC8415_16_3_16_10_WithoutServerIDIsDropped(t *testing.T) {
	forEachAnswer(t, func(t *testing.T, x *rrTest, typ, _ dhcp6.MessageType) {
		x.ignoreOctets(ReasonServerID, message(t, typ, parsed(t, x.sent).TransactionID,
			option(dhcp6.OptionClientID, routerDUID), delegation1()))
	})
}

func TestRFC8415_16_3_16_10_WithoutClientIDIsDropped(t *testing.T) {
	forEachAnswer(t, func(t *testing.T, x *rrTest, typ, _ dhcp6.MessageType) {
		x.ignoreOctets(ReasonClientID, message(t, typ, parsed(t, x.sent).TransactionID,
			option(dhcp6.OptionServerID, serverDUID), delegation1()))
	})
}

func TestRFC8415_16_3_16_10_OtherClientIDIsDropped(t *testing.T) {
	forEachAnswer(t, func(t *testing.T, x *rrTest, typ, _ dhcp6.MessageType) {
		for _, id := range [][]byte{append(bytes.Clone(routerDUID), 0), routerDUID[:9], otherDUID} {
			x.ignoreOctets(ReasonClientID, message(t, typ, parsed(t, x.sent).TransactionID,
				option(dhcp6.OptionClientID, id), option(dhcp6.OptionServerID, serverDUID), delegation1()))
		}
	})
}

func TestRFC8415_16_3_16_10_OtherTransactionIDIsDropped(t *testing.T) {
	forEachAnswer(t, func(t *testing.T, x *rrTest, typ, _ dhcp6.MessageType) {
		for octet := range 3 {
			xid := parsed(t, x.sent).TransactionID
			xid[octet] ^= 1
			x.ignoreOctets(ReasonTransactionID, message(t, typ, xid,
				option(dhcp6.OptionClientID, routerDUID), option(dhcp6.OptionServerID, serverDUID), delegation1()))
		}
	})
}

// Sections 16.2 to 16.12: a client receives nothing but Advertise, Reply and
// Reconfigure, which it was not asked to accept; each in its state only.
func TestRFC8415_16_UnexpectedMessageTypesAreDropped(t *testing.T) {
	forEachAnswer(t, func(t *testing.T, x *rrTest, _, other dhcp6.MessageType) {
		for typ := dhcp6.Solicit; typ <= dhcp6.InformationRequest; typ++ {
			if typ == other || typ != dhcp6.Advertise && typ != dhcp6.Reply {
				x.ignore(ReasonMessageType, typ, serverDUID, delegation1())
			}
		}
	})
}

func TestRFC8415_16_UnknownAndRelayMessagesAreDropped(t *testing.T) {
	forEachAnswer(t, func(t *testing.T, x *rrTest, typ, _ dhcp6.MessageType) {
		for _, octet := range []byte{0, 12, 13, 14, 255} {
			pkt := answerTo(t, x.sent, typ, serverDUID, delegation1())
			pkt[0] = octet
			x.ignoreOctets(ReasonMalformed, pkt)
		}
	})
}

// The server chosen is the only one that may answer a Request, Renew or Release.
func TestReplyOfAnotherServerIsDropped(t *testing.T) {
	for _, a := range answers {
		if a.name == "Advertise" || a.name == "Reply to Rebind" {
			continue // any server may answer
		}
		t.Run(a.name, func(t *testing.T) {
			x := newRRTest(t)
			a.to(x)
			x.ignore(ReasonServerID, a.typ, otherDUID, delegation1())
		})
	}
}

// "Clients [...] MUST NOT discard messages that contain unknown options."
func TestRFC8415_16_UnknownOptionsAreIgnored(t *testing.T) {
	unknown := option(0x7fff, []byte("whatever"))
	x := newRRTest(t)
	x.start()
	x.deliver(dhcp6.Advertise, serverDUID, unknown, preference(255), delegation1())
	acts := x.deliver(dhcp6.Reply, serverDUID, unknown, iaPD(1, 1000, 2000, unknown, iaPrefix(delegated, 3000, 4000)))
	only(t, acts, ActionPrefixBound)
}

// Nothing is in flight before the first Solicit and after the last answer.
func TestAnswersToNothingAreDropped(t *testing.T) {
	pkt := message(t, dhcp6.Advertise, dhcp6.TransactionID{},
		option(dhcp6.OptionClientID, routerDUID), option(dhcp6.OptionServerID, serverDUID), delegation1())
	x := newRRTest(t)
	x.ignoreOctets(ReasonTransactionID, pkt)
	x.rr.Start(x.now, nil)
	xid := x.rr.ex.xid
	copy(pkt[1:], xid[:])
	x.ignoreOctets(ReasonTransactionID, pkt) // a guess, before the Solicit is out
	x.fire()
	x.deliver(dhcp6.Advertise, serverDUID, preference(255), delegation1())
	reply := answerTo(t, x.sent, dhcp6.Reply, serverDUID, delegation1())
	_, err := x.handle(reply)
	require.NoError(t, err)
	x.ignoreOctets(ReasonTransactionID, reply)
	x.requireState(StateBound)
}

// Server selection: sections 18.2.1 and 18.2.9.

func TestRFC8415_18_2_1_Preference255IsTakenAtOnce(t *testing.T) {
	x := newRRTest(t)
	x.start()
	require.Empty(t, x.deliver(dhcp6.Advertise, otherDUID, preference(254), delegation1()), "254 is collected")
	only(t, x.deliver(dhcp6.Advertise, serverDUID, preference(255), delegation1()), ActionSend)
	server, _ := x.requireSent(dhcp6.Request).Options.ServerID()
	require.Equal(t, serverDUID, server)
}

// "A client MUST collect valid Advertise messages for the first RT seconds."
func TestRFC8415_18_2_1_AdvertisesAreCollectedForTheFirstRT(t *testing.T) {
	second := iaPD(2, 0, 0, iaPrefix("2001:db8:8000:200::/56", 3000, 4000))
	duid := func(i byte) []byte { return []byte{0, 2, 0, 0, 0x7e, 0xd9, i} }
	tests := []struct {
		name   string
		offers [][]part
		want   byte
	}{
		{"the only one", [][]part{{delegation1()}}, 0},
		{"the highest preference, last", [][]part{{delegation1()}, {preference(1), delegation1()}}, 1},
		{"the highest preference, first", [][]part{{preference(7), delegation1()}, {preference(6), delegation1()}}, 0},
		{"without Preference option it is 0", [][]part{{delegation1()}, {preference(0), delegation1(), second}}, 1},
		{"the first of equals", [][]part{{preference(3), delegation1()}, {preference(3), delegation1()}}, 0},
		{"more IAs among equals", [][]part{{preference(3), delegation1()}, {preference(3), delegation1(), second}}, 1},
		{"preference before more IAs", [][]part{{preference(4), delegation1()}, {preference(3), delegation1(), second}}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := newRRTest(t, withIAs(IA{IAID: 1}, IA{IAID: 2}))
			x.start()
			end := x.deadline()
			for i, parts := range tt.offers {
				require.Empty(t, x.deliver(dhcp6.Advertise, duid(byte(i)), parts...))
				require.Equal(t, end, x.deadline(), "the collection ends when it ends")
			}
			x.now = end.Add(-1)
			require.Empty(t, x.timeout())
			x.now = end
			only(t, x.timeout(), ActionSend)
			server, _ := x.requireSent(dhcp6.Request).Options.ServerID()
			require.Equal(t, duid(tt.want), server)
		})
	}
}

// "The client terminates the retransmission process as soon as it receives any
// valid Advertise message" after the first RT.
func TestRFC8415_18_2_1_AfterTheFirstRTTheFirstAdvertiseIsTaken(t *testing.T) {
	x := newRRTest(t)
	x.start()
	x.fire()
	x.requireSent(dhcp6.Solicit)
	only(t, x.deliver(dhcp6.Advertise, serverDUID, delegation1()), ActionSend)
	x.requireState(StateRequesting)
}

// "The client MUST ignore any Advertise message that contains no [...] delegated
// prefixes", and it "MUST NOT restart the Solicit retransmission timer".
func TestRFC8415_18_2_9_AdvertiseWithoutPrefixIsIgnored(t *testing.T) {
	tests := []struct {
		name   string
		parts  []part
		reason Reason
	}{
		{"no IA_PD", nil, ReasonNoPrefix},
		{"empty IA_PD", []part{iaPD(1, 0, 0)}, ReasonNoPrefix},
		{"NoPrefixAvail in the IA_PD", []part{iaPD(1, 0, 0, status(dhcp6.NoPrefixAvail))}, ReasonNoPrefix},
		{"NoPrefixAvail for the message", []part{status(dhcp6.NoPrefixAvail)}, ReasonStatus},
		{"UnspecFail for the message", []part{status(dhcp6.UnspecFail), delegation1()}, ReasonStatus},
		{"IA_PD of another IAID", []part{iaPD(2, 0, 0, iaPrefix(delegated, 1, 2))}, ReasonNoPrefix},
		{"prefix in a failed IA_PD", []part{iaPD(1, 0, 0, status(dhcp6.NoPrefixAvail), iaPrefix(delegated, 1, 2))}, ReasonNoPrefix},
		{"valid lifetime 0", []part{iaPD(1, 0, 0, iaPrefix(delegated, 0, 0))}, ReasonNoPrefix},
		{"preferred exceeds valid", []part{iaPD(1, 0, 0, iaPrefix(delegated, 2, 1))}, ReasonNoPrefix},
		{"T1 exceeds T2", []part{iaPD(1, 2, 1, iaPrefix(delegated, 2, 3))}, ReasonNoPrefix},
		{"::/0", []part{iaPD(1, 0, 0, iaPrefix("::/0", 2, 3))}, ReasonNoPrefix},
		{"link-local", []part{iaPD(1, 0, 0, iaPrefix("fe80::/64", 2, 3))}, ReasonNoPrefix},
		{"multicast", []part{iaPD(1, 0, 0, iaPrefix("ff00::/8", 2, 3))}, ReasonNoPrefix},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := newRRTest(t)
			x.start()
			x.ignore(tt.reason, dhcp6.Advertise, serverDUID, append(tt.parts, preference(255))...)
		})
	}
}

// SOL_MAX_RT, in range (section 21.24), "MUST" be processed "even if the message
// contains a Status Code option indicating a failure", in an Advertise (18.2.9)
// and in a Reply (18.2.10).
func TestRFC8415_18_2_9_SolMaxRTOfAnUselessAdvertise(t *testing.T) {
	tests := []struct {
		name  string
		parts []part
		want  time.Duration
	}{
		{"failure", []part{status(dhcp6.NoPrefixAvail), solMaxRT(60)}, time.Minute},
		{"no prefix", []part{solMaxRT(86400)}, 24 * time.Hour},
		{"too small", []part{solMaxRT(59)}, time.Hour},
		{"too large", []part{solMaxRT(86401)}, time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := newRRTest(t)
			x.start()
			_, err := x.handle(answerTo(t, x.sent, dhcp6.Advertise, serverDUID, tt.parts...))
			require.Error(t, err)
			var longest time.Duration
			for range 40 {
				x.fire()
				longest = max(longest, x.deadline().Sub(x.now))
			}
			require.InDelta(t, tt.want.Seconds(), longest.Seconds(), 0.1*tt.want.Seconds())
		})
	}
}

func TestRFC8415_18_2_10_SolMaxRTOfAReplyHoldsForTheNextDiscovery(t *testing.T) {
	x := newRRTest(t)
	x.request()
	x.ignore(ReasonStatus, dhcp6.Reply, serverDUID, status(dhcp6.UnspecFail), solMaxRT(60))
	x.fireUntil(ActionFailed)
	x.fire()
	var longest time.Duration
	for range 20 {
		x.requireSent(dhcp6.Solicit)
		longest = max(longest, x.deadline().Sub(x.now))
		x.fire()
	}
	require.LessOrEqual(t, longest, 66*time.Second)
	require.GreaterOrEqual(t, longest, 54*time.Second)
}

// Rapid Commit: section 18.2.1.

func TestRFC8415_18_2_1_RapidCommit(t *testing.T) {
	t.Run("Reply is taken", func(t *testing.T) {
		x := newRRTest(t, withRapidCommit)
		x.start()
		only(t, x.deliver(dhcp6.Reply, serverDUID, rapidCommit(), delegation1()), ActionPrefixBound)
		x.requireState(StateBound)
	})
	t.Run(`"discard any Reply messages that do not contain the Rapid Commit option"`, func(t *testing.T) {
		x := newRRTest(t, withRapidCommit)
		x.start()
		x.ignore(ReasonMessageType, dhcp6.Reply, serverDUID, delegation1())
	})
	t.Run("Reply is not taken where it was not asked for", func(t *testing.T) {
		x := newRRTest(t)
		x.start()
		x.ignore(ReasonMessageType, dhcp6.Reply, serverDUID, rapidCommit(), delegation1())
	})
	t.Run("Advertise does as well", func(t *testing.T) {
		x := newRRTest(t, withRapidCommit)
		x.start()
		x.deliver(dhcp6.Advertise, serverDUID, delegation1())
		x.fire()
		x.requireSent(dhcp6.Request)
	})
	t.Run("Reply without prefix does not lose the Advertises", func(t *testing.T) {
		x := newRRTest(t, withRapidCommit)
		x.start()
		x.deliver(dhcp6.Advertise, serverDUID, delegation1())
		x.ignore(ReasonNoPrefix, dhcp6.Reply, otherDUID, rapidCommit(), iaPD(1, 0, 0, status(dhcp6.NoPrefixAvail)))
		x.fire()
		x.requireSent(dhcp6.Request)
	})
	t.Run("the Reply that comes after the Request is discarded", func(t *testing.T) {
		x := newRRTest(t, withRapidCommit)
		x.start()
		late := answerTo(t, x.sent, dhcp6.Reply, otherDUID, rapidCommit(), delegation1())
		x.deliver(dhcp6.Advertise, serverDUID, preference(255), delegation1())
		x.ignoreOctets(ReasonTransactionID, late)
	})
	t.Run("the key proof names no server", func(t *testing.T) {
		x := newRRTest(t, withRapidCommit, withKey)
		x.start()
		requireKeyProof(t, x.requireSent(dhcp6.Solicit), nil)
	})
}

// T1 and T2: sections 14.2, 18.2.4 and 21.21. One prefix, preferred 3000 s and
// valid 4000 s, unless the test says otherwise.
func TestRFC8415_21_21_T1AndT2(t *testing.T) {
	const never = -1
	inf := dhcp6.Infinity
	tests := []struct {
		name         string
		parts        []part
		renew, bound int // seconds from the Reply to the Renew, to the Rebind
	}{
		{"as the server says", []part{delegation1()}, 1000, 2000},
		{"both 0: half and four fifths of preferred", []part{iaPD(1, 0, 0, iaPrefix(delegated, 3000, 4000))}, 1500, 2400},
		{"both 0: of the shortest preferred", []part{iaPD(1, 0, 0, iaPrefix(delegated, 3000, 4000), iaPrefix("2001:db8:8000:200::/56", 1000, 4000))}, 500, 800},
		{"both 0, deprecated: of valid", []part{iaPD(1, 0, 0, iaPrefix(delegated, 0, 4000))}, 2000, 3200},
		{"T1 0 is before T2", []part{iaPD(1, 0, 800, iaPrefix(delegated, 3000, 4000))}, 500, 800},
		{"T2 0", []part{iaPD(1, 1000, 0, iaPrefix(delegated, 3000, 4000))}, 1000, 2400},
		{"T2 0 is after T1", []part{iaPD(1, 3000, 0, iaPrefix(delegated, 3000, 9000))}, 3000, 4800},
		{"equal: straight to Rebind", []part{iaPD(1, 500, 500, iaPrefix(delegated, 3000, 4000))}, never, 500},
		{"T1 infinite", []part{iaPD(1, inf, inf, iaPrefix(delegated, 3000, 4000))}, never, never},
		{"T2 infinite", []part{iaPD(1, 1000, inf, iaPrefix(delegated, 3000, 4000))}, 1000, never},
		{"all infinite", []part{iaPD(1, 0, 0, iaPrefix(delegated, inf, inf))}, never, never},
		{"infinite lifetimes, T1 given", []part{iaPD(1, 10, 20, iaPrefix(delegated, inf, inf))}, 10, 20},
		{"infinite lifetimes, T2 given", []part{iaPD(1, 0, 80, iaPrefix(delegated, inf, inf))}, 50, 80},
		{"the earliest of several IAs", []part{
			iaPD(1, 1000, 2000, iaPrefix(delegated, 3000, 4000)),
			iaPD(2, 1200, 1800, iaPrefix("2001:db8:8000:200::/56", 3000, 4000)),
		}, 1000, 1800},
		{"several IAs, 0 in one", []part{
			iaPD(1, 1000, 2000, iaPrefix(delegated, 3000, 4000)),
			iaPD(2, 0, 0, iaPrefix("2001:db8:8000:200::/56", 1000, 4000)),
		}, 500, 800},
		{"several IAs, T1 of one and T2 of the other", []part{
			iaPD(1, 1000, 0, iaPrefix(delegated, 3000, 4000)),
			iaPD(2, 0, 400, iaPrefix("2001:db8:8000:200::/56", 3000, 4000)),
		}, 250, 400},
		{"an IA without prefix does not count", []part{delegation1(), iaPD(2, 1, 1)}, 1000, 2000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := newRRTest(t, withIAs(IA{IAID: 1}, IA{IAID: 2}))
			x.bind(tt.parts...)
			bound := x.now
			renew, rebind := never, never
			for range 100 {
				if _, armed := x.rr.Deadline(); !armed || x.rr.State() == StateSoliciting {
					break
				}
				x.fire()
				switch x.rr.State() {
				case StateRenewing:
					if renew == never {
						renew = int(x.now.Sub(bound) / time.Second)
					}
				case StateRebinding:
					if rebind == never {
						rebind = int(x.now.Sub(bound) / time.Second)
					}
				}
			}
			require.Equal(t, tt.renew, renew, "Renew")
			require.Equal(t, tt.bound, rebind, "Rebind")
		})
	}
}

// "it MUST NOT transmit immediately": with T1 0, however short the lifetimes, and
// however often the server says so.
func TestRFC8415_14_2_RenewsAreRateLimitedWhereT1IsZero(t *testing.T) {
	x := newRRTest(t)
	x.bind(iaPD(1, 0, 0, iaPrefix(delegated, 1, 30)))
	renewals := 0
	for x.rr.State() != StateSoliciting {
		before := x.now
		acts := x.fire()
		if !slices.Contains(kinds(acts), ActionSend) {
			continue
		}
		require.GreaterOrEqual(t, x.now.Sub(before), time.Second, "renewal %d", renewals)
		renewals++
		require.Less(t, renewals, 40)
		// The server has the IA but nothing new for it.
		x.deliver(dhcp6.Reply, serverDUID, iaPD(1, 0, 0))
	}
	require.NotZero(t, renewals)
}

// "If a client receives an IA_PD with T1 greater than T2 and both T1 and T2 are
// greater than 0, the client discards the IA_PD option and processes the remainder
// of the message as though the server had not included the IA_PD option."
func TestRFC8415_21_21_IAWithT1GreaterThanT2IsDiscarded(t *testing.T) {
	x := newRRTest(t, withIAs(IA{IAID: 1}, IA{IAID: 2}))
	acts := x.bind(iaPD(1, 2001, 2000, iaPrefix(delegated, 3000, 4000)),
		iaPD(2, 1000, 2000, iaPrefix("2001:db8:8000:200::/56", 3000, 4000)))
	require.Equal(t, []IA{{IAID: 2, Prefixes: []Prefix{{
		prefix("2001:db8:8000:200::/56"), 3000 * time.Second, 4000 * time.Second,
	}}}}, only(t, acts, ActionPrefixBound).IAs)
	require.EqualValues(t, 1, x.rr.Stats()[ReasonIA])
}

// "The client MUST discard any prefixes for which the preferred lifetime is greater
// than the valid lifetime."
func TestRFC8415_21_22_PreferredGreaterThanValidIsDiscarded(t *testing.T) {
	x := newRRTest(t)
	acts := x.bind(iaPD(1, 0, 0, iaPrefix(delegated, 3001, 3000), iaPrefix("2001:db8:8000:200::/56", 3000, 3000)))
	require.Equal(t, []Prefix{{prefix("2001:db8:8000:200::/56"), 3000 * time.Second, 3000 * time.Second}},
		only(t, acts, ActionPrefixBound).IAs[0].Prefixes)
	require.EqualValues(t, 1, x.rr.Stats()[ReasonIA])
}

// The ruling of the package comment.
func TestPrefixWithHostBitsIsTakenWithoutThem(t *testing.T) {
	x := newRRTest(t)
	acts := x.bind(iaPD(1, 0, 0, iaPrefix("2001:db8:8000:1ab::1/56", 3000, 4000)))
	require.Equal(t, prefix(delegated), only(t, acts, ActionPrefixBound).IAs[0].Prefixes[0].Prefix)
}

func TestInfiniteLifetimesNeverExpire(t *testing.T) {
	x := newRRTest(t)
	acts := x.bind(iaPD(1, 0, 0, iaPrefix(delegated, dhcp6.Infinity, dhcp6.Infinity)))
	require.Equal(t, []Prefix{{prefix(delegated), Infinite, Infinite}}, only(t, acts, ActionPrefixBound).IAs[0].Prefixes)
	_, armed := x.rr.Deadline()
	require.False(t, armed)
}

// A Reply updates the leases: section 18.2.10.1.
func TestRFC8415_18_2_10_1_ReplyUpdatesTheLeases(t *testing.T) {
	const second = "2001:db8:8000:200::/56"
	tests := []struct {
		name  string
		reply []part
		lost  []string
		held  []string
	}{
		{
			`"Add any new leases"`,
			[]part{iaPD(1, 0, 0, iaPrefix(delegated, 3000, 4000), iaPrefix(second, 3000, 4000), iaPrefix("2001:db8:8000:300::/56", 3000, 4000))},
			nil,
			[]string{delegated, second, "2001:db8:8000:300::/56"},
		},
		{
			`"Discard any leases [...] that have a valid lifetime of 0"`,
			[]part{iaPD(1, 0, 0, iaPrefix(delegated, 0, 0), iaPrefix(second, 3000, 4000))},
			[]string{delegated},
			[]string{second},
		},
		{
			`"Leave unchanged any information about leases [...] not included"`,
			[]part{iaPD(1, 0, 0, iaPrefix(second, 3000, 4000))},
			nil,
			[]string{delegated, second},
		},
		{
			"the old one at 0 and a new one, as Kea answers a Rebind",
			[]part{iaPD(1, 0, 0, iaPrefix("2001:db8:8000:300::/56", 3000, 4000), iaPrefix(delegated, 0, 0), iaPrefix(second, 0, 0))},
			[]string{delegated, second},
			[]string{"2001:db8:8000:300::/56"},
		},
		{
			"0 for a prefix that was never held",
			[]part{iaPD(1, 0, 0, iaPrefix("2001:db8:8000:300::/56", 0, 0))},
			nil,
			[]string{delegated, second},
		},
	}
	for _, tt := range tests {
		for _, state := range []RequestingState{StateRenewing, StateRebinding} {
			t.Run(fmt.Sprintf("%s, %v", tt.name, state), func(t *testing.T) {
				x := newRRTest(t)
				bind := iaPD(1, 1000, 2000, iaPrefix(delegated, 3000, 4000), iaPrefix(second, 3000, 4000))
				if state == StateRenewing {
					x.renew(bind)
				} else {
					x.rebind(bind)
				}
				acts := x.deliver(dhcp6.Reply, serverDUID, tt.reply...)
				x.requireState(StateBound)
				var lost, held []string
				for _, a := range acts {
					for _, ia := range a.IAs {
						for _, p := range ia.Prefixes {
							switch a.Kind {
							case ActionPrefixLost:
								require.ErrorIs(t, a.Err, ErrWithdrawn)
								lost = append(lost, p.Prefix.String())
							case ActionPrefixBound:
								held = append(held, p.Prefix.String())
							}
						}
					}
				}
				require.ElementsMatch(t, tt.lost, lost, "lost")
				require.ElementsMatch(t, tt.held, held, "held")
				if tt.lost != nil {
					require.Equal(t, ActionPrefixLost, acts[0].Kind, "what is lost is reported first")
				}
			})
		}
	}
}

// "Update lifetimes for any leases in the IA option that the client already has
// recorded in the IA": they count from now.
func TestRFC8415_18_2_10_1_RenewExtendsTheLifetimes(t *testing.T) {
	x := newRRTest(t)
	x.renew(delegation1())
	acts := x.deliver(dhcp6.Reply, serverDUID, delegation1())
	require.Equal(t, []Prefix{{prefix(delegated), 3000 * time.Second, 4000 * time.Second}}, only(t, acts, ActionPrefixBound).IAs[0].Prefixes)
	require.Equal(t, x.now.Add(1000*time.Second), x.deadline(), "T1 counts from the Reply")
}

// A Rebind may be answered by another server, which is then the one to renew with.
func TestRFC8415_18_2_5_RebindIsAnsweredByAnotherServer(t *testing.T) {
	x := newRRTest(t)
	x.rebind(delegation1())
	bound := only(t, x.deliver(dhcp6.Reply, otherDUID, delegation1()), ActionPrefixBound)
	require.Equal(t, otherDUID, bound.DUID)
	x.fire()
	server, _ := x.requireSent(dhcp6.Renew).Options.ServerID()
	require.Equal(t, otherDUID, server)
}

// "Sends a Request message to the server that responded if any of the IAs in the
// Reply message contain the NoBinding status code. The client places IA options in
// this message for all IAs. The client continues to use other bindings for which
// the server did not return an error."
func TestRFC8415_18_2_10_1_NoBindingLeadsToRequest(t *testing.T) {
	const second = "2001:db8:8000:200::/56"
	both := []part{delegation1(), iaPD(2, 1000, 2000, iaPrefix(second, 3000, 4000))}
	noBinding := []part{iaPD(1, 0, 0, status(dhcp6.NoBinding)), iaPD(2, 1000, 2000, iaPrefix(second, 600, 700))}
	two := withIAs(IA{IAID: 1}, IA{IAID: 2})
	t.Run("Renew", func(t *testing.T) {
		x := newRRTest(t, two)
		x.renew(both...)
		acts := x.deliver(dhcp6.Reply, serverDUID, noBinding...)
		x.requireState(StateRequesting)
		none(t, acts, ActionPrefixLost)
		require.Equal(t, map[uint32][]netip.Prefix{1: {prefix(delegated)}, 2: {prefix(second)}},
			prefixesOf(t, x.requireSent(dhcp6.Request)), "all IAs")
		for _, ia := range only(t, acts, ActionPrefixBound).IAs {
			if ia.IAID == 2 {
				require.Equal(t, 700*time.Second, ia.Prefixes[0].Valid, "the other binding has its new lifetime")
			}
		}
	})
	t.Run("Rebind, to the server that responded", func(t *testing.T) {
		x := newRRTest(t, two)
		x.rebind(both...)
		x.deliver(dhcp6.Reply, otherDUID, noBinding...)
		server, _ := x.requireSent(dhcp6.Request).Options.ServerID()
		require.Equal(t, otherDUID, server)
	})
	t.Run("NoBinding for the message too", func(t *testing.T) {
		x := newRRTest(t)
		x.renew(delegation1())
		x.deliver(dhcp6.Reply, serverDUID, status(dhcp6.NoBinding), iaPD(1, 0, 0, status(dhcp6.NoBinding)))
		x.requireSent(dhcp6.Request)
	})
	t.Run("the same prefix comes back", func(t *testing.T) {
		x := newRRTest(t, two)
		x.renew(both...)
		x.deliver(dhcp6.Reply, serverDUID, noBinding...)
		acts := x.deliver(dhcp6.Reply, serverDUID, both...)
		none(t, acts, ActionPrefixLost)
		require.Len(t, only(t, acts, ActionPrefixBound).IAs, 2)
	})
	t.Run("another prefix takes its place", func(t *testing.T) {
		x := newRRTest(t, two)
		x.renew(both...)
		x.deliver(dhcp6.Reply, serverDUID, noBinding...)
		acts := x.deliver(dhcp6.Reply, serverDUID, iaPD(1, 1000, 2000, iaPrefix("2001:db8:8000:300::/56", 3000, 4000)))
		lost := only(t, acts, ActionPrefixLost)
		require.ErrorIs(t, lost.Err, ErrWithdrawn)
		require.Equal(t, prefix(delegated), lost.IAs[0].Prefixes[0].Prefix)
		require.Len(t, only(t, acts, ActionPrefixBound).IAs, 2, "IA 2 is untouched")
	})
	t.Run("the Request is not answered", func(t *testing.T) {
		x := newRRTest(t, two)
		x.renew(both...)
		x.deliver(dhcp6.Reply, serverDUID, noBinding...)
		acts := x.fireUntil(ActionFailed)
		require.Equal(t, []ActionKind{ActionFailed, ActionPrefixLost}, kinds(acts))
		x.requireState(StateSoliciting)
	})
	t.Run("a lease expires meanwhile", func(t *testing.T) {
		x := newRRTest(t)
		x.renew(iaPD(1, 10, 20, iaPrefix(delegated, 11, 12)))
		x.deliver(dhcp6.Reply, serverDUID, iaPD(1, 0, 0, status(dhcp6.NoBinding)))
		only(t, x.fireUntil(ActionPrefixLost), ActionPrefixLost)
		x.requireState(StateSoliciting)
	})
}

// Top-level status: UnspecFail and UseMulticast fail the message and the same
// message is sent again; "(no status code or another status code), the client
// processes the Reply".
func TestRFC8415_18_2_10_StatusOfTheReply(t *testing.T) {
	for code := dhcp6.Success; code <= dhcp6.NoPrefixAvail+1; code++ {
		t.Run(code.String(), func(t *testing.T) {
			x := newRRTest(t)
			x.request()
			if code == dhcp6.UnspecFail || code == dhcp6.UseMulticast {
				at := x.deadline()
				x.ignore(ReasonStatus, dhcp6.Reply, serverDUID, status(code), delegation1())
				require.Equal(t, at, x.deadline(), "the rate of retransmissions is kept")
				x.fire()
				x.requireSent(dhcp6.Request)
				return
			}
			only(t, x.deliver(dhcp6.Reply, serverDUID, status(code), delegation1()), ActionPrefixBound)
		})
	}
}

// A Reply that delegates nothing ends in server discovery, later each time: "a
// client must not initiate transmissions too frequently" (section 14.1).
func TestRFC8415_18_2_10_1_ReplyWithoutPrefixRestartsDiscovery(t *testing.T) {
	tests := []struct {
		name  string
		parts []part
	}{
		{"NoPrefixAvail inside the IA_PD", []part{iaPD(1, 0, 0, status(dhcp6.NoPrefixAvail))}},
		{"NoPrefixAvail for the message", []part{status(dhcp6.NoPrefixAvail)}},
		{"no IA_PD", nil},
		{"valid lifetime 0", []part{iaPD(1, 0, 0, iaPrefix(delegated, 0, 0))}},
		{"a prefix with NoPrefixAvail", []part{iaPD(1, 0, 0, status(dhcp6.NoPrefixAvail), iaPrefix(delegated, 1, 1))}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := newRRTest(t)
			x.start()
			var pause time.Duration
			for range 12 {
				x.deliver(dhcp6.Advertise, serverDUID, preference(255), delegation1())
				acts := x.deliver(dhcp6.Reply, serverDUID, tt.parts...)
				require.Equal(t, []ActionKind{ActionFailed}, kinds(acts))
				require.ErrorIs(t, acts[0].Err, ErrNoPrefixAvail)
				x.requireState(StateSoliciting)
				next := x.deadline().Sub(x.now)
				require.GreaterOrEqual(t, next, pause*3/4, "discovery is tried in a loop")
				pause = next
				x.fire()
			}
			require.Greater(t, pause, time.Minute)

			x.deliver(dhcp6.Advertise, serverDUID, preference(255), delegation1())
			x.deliver(dhcp6.Reply, serverDUID, delegation1())
			x.fire()
			x.deliver(dhcp6.Reply, serverDUID, iaPD(1, 0, 0, iaPrefix(delegated, 0, 0)))
			require.Less(t, x.deadline().Sub(x.now), 3*time.Second, "a prefix makes up for all failures before it")
		})
	}
}

func TestRFC8415_18_2_10_1_NoPrefixAvailInOneOfTwoIAs(t *testing.T) {
	x := newRRTest(t, withIAs(IA{IAID: 1}, IA{IAID: 2}))
	acts := x.bind(delegation1(), iaPD(2, 0, 0, status(dhcp6.NoPrefixAvail)))
	require.Len(t, only(t, acts, ActionPrefixBound).IAs, 1)
	x.fire()
	require.Equal(t, map[uint32][]netip.Prefix{1: {prefix(delegated)}, 2: nil}, prefixesOf(t, x.requireSent(dhcp6.Renew)),
		`"The client MAY include the IAs for which it received [...] NoPrefixAvail [...] in subsequent Renew"`)
	acts = x.deliver(dhcp6.Reply, serverDUID, delegation1(), iaPD(2, 1000, 2000, iaPrefix("2001:db8:8000:200::/56", 3000, 4000)))
	require.Len(t, only(t, acts, ActionPrefixBound).IAs, 2)
}

// Replies to a Renew that name none of the IAs: "MAY just wait for the normal
// retransmission time (as if the Reply message had not been received)".
func TestRFC8415_18_2_10_1_RenewReplyWithoutOurIAs(t *testing.T) {
	x := newRRTest(t)
	x.renew(delegation1())
	at := x.deadline()
	x.ignore(ReasonNoPrefix, dhcp6.Reply, serverDUID)
	x.ignore(ReasonNoPrefix, dhcp6.Reply, serverDUID, iaPD(7, 0, 0, iaPrefix("2001:db8:8000:200::/56", 3000, 4000)))
	require.Equal(t, at, x.deadline())
	x.fire()
	x.requireSent(dhcp6.Renew)
}

// One IA of two is not in the Reply: it is still renewed before it expires, and
// its T2 stands.
func TestRFC8415_18_2_4_T2OfAnIAThatTheReplyLacks(t *testing.T) {
	x := newRRTest(t, withIAs(IA{IAID: 1}, IA{IAID: 2}))
	x.bind(delegation1(), iaPD(2, 1000, 2000, iaPrefix("2001:db8:8000:200::/56", 3000, 4000)))
	bound := x.now
	x.fire()
	x.deliver(dhcp6.Reply, serverDUID, iaPD(1, 100000, 200000, iaPrefix(delegated, 300000, 400000)))
	x.fireUntil(ActionSend)
	require.LessOrEqual(t, x.now.Sub(bound), 2000*time.Second)
	x.requireState(StateRebinding)
}

func TestDuplicateIAIsUsedOnce(t *testing.T) {
	x := newRRTest(t)
	acts := x.bind(delegation1(), iaPD(1, 1000, 2000, iaPrefix("2001:db8:8000:200::/56", 3000, 4000)))
	require.Len(t, only(t, acts, ActionPrefixBound).IAs[0].Prefixes, 1)
	require.EqualValues(t, 1, x.rr.Stats()[ReasonIA])
}

func TestMaxPrefixesBoundsTheLeases(t *testing.T) {
	x := newRRTest(t, func(c *RequestingRouterConfig) { c.MaxPrefixes = 3 })
	var many []part
	for i := range 20 {
		many = append(many, iaPrefix(fmt.Sprintf("2001:db8:8000:%x00::/56", i+1), 3000, 4000))
	}
	acts := x.bind(iaPD(1, 1000, 2000, many...))
	require.Len(t, only(t, acts, ActionPrefixBound).IAs[0].Prefixes, 3)
	require.EqualValues(t, 17, x.rr.Stats()[ReasonTooMany])
}

// The end of one prefix is not that of another.
func TestExpiryOfOnePrefixAndOfAll(t *testing.T) {
	const second = "2001:db8:8000:200::/56"
	x := newRRTest(t)
	inf := dhcp6.Infinity
	x.bind(iaPD(1, inf, inf, iaPrefix(delegated, 100, 100), iaPrefix(second, 200, 200)))
	bound := x.now
	acts := x.fire()
	require.Equal(t, bound.Add(100*time.Second), x.now)
	require.Equal(t, []ActionKind{ActionPrefixLost}, kinds(acts))
	require.Equal(t, prefix(delegated), acts[0].IAs[0].Prefixes[0].Prefix)
	require.ErrorIs(t, acts[0].Err, ErrExpired)
	x.requireState(StateBound)
	acts = x.fire()
	require.Equal(t, bound.Add(200*time.Second), x.now)
	require.Equal(t, []ActionKind{ActionPrefixLost}, kinds(acts))
	require.Equal(t, prefix(second), acts[0].IAs[0].Prefixes[0].Prefix)
	x.requireState(StateSoliciting)
}

// "The client MUST stop using all of the leases being released before the client
// begins the Release message exchange process."
func TestRFC8415_18_2_7_ReleaseStopsUseBeforeItIsSent(t *testing.T) {
	x := newCertifiedRRTest(t)
	acts := x.release()
	require.Equal(t, []ActionKind{ActionPrefixLost, ActionCertificateLost, ActionSend}, kinds(acts))
	require.ErrorIs(t, acts[0].Err, ErrReleased)
	require.False(t, x.mayAdvertise(delegated))
	m := x.requireSent(dhcp6.Release)
	require.Equal(t, map[uint32][]netip.Prefix{1: {prefix(delegated)}}, prefixesOf(t, m))
	require.Empty(t, x.release(), "a second Release")
}

// "When the client receives a valid Reply message in response to a Release message,
// the client considers the Release event completed, regardless of the Status Code
// option".
func TestRFC8415_18_2_10_2_AnyReplyEndsTheRelease(t *testing.T) {
	for code := dhcp6.Success; code <= dhcp6.NoPrefixAvail+1; code++ {
		t.Run(code.String(), func(t *testing.T) {
			x := newRRTest(t)
			x.bind(delegation1())
			x.release()
			require.Empty(t, x.deliver(dhcp6.Reply, serverDUID, status(code), iaPD(1, 0, 0, status(code))))
			x.requireState(StateInit)
			_, armed := x.rr.Deadline()
			require.False(t, armed)
			x.start()
		})
	}
}

func TestReleaseOfNothingSendsNothing(t *testing.T) {
	for name, to := range map[string]func(x *rrTest){
		"Init": func(*rrTest) {}, "Soliciting": func(x *rrTest) { x.start() }, "Requesting": func(x *rrTest) { x.request() },
	} {
		t.Run(name, func(t *testing.T) {
			x := newRRTest(t)
			to(x)
			require.Empty(t, x.release())
			x.requireState(StateInit)
			_, armed := x.rr.Deadline()
			require.False(t, armed)
		})
	}
}

func TestStartTwiceDoesNothing(t *testing.T) {
	x := newRRTest(t)
	x.start()
	before := x.snapshot()
	require.Empty(t, x.rr.Start(x.now, nil))
	require.Equal(t, before, x.snapshot())
}

// A clock that runs back stands still.
func TestClockNeverRunsBack(t *testing.T) {
	x := newRRTest(t)
	x.bind(delegation1())
	at := x.deadline()
	require.Empty(t, x.rr.HandleTimeout(x.now.Add(-time.Hour), nil))
	require.Equal(t, at, x.deadline())
	x.now = at
	x.timeout()
	x.now = start
	acts := x.deliver(dhcp6.Reply, serverDUID, delegation1())
	require.Equal(t, 4000*time.Second, only(t, acts, ActionPrefixBound).IAs[0].Prefixes[0].Valid)
	require.Equal(t, at.Add(1000*time.Second), x.deadline())
}

// A router that slept through everything takes one call to know it.
func TestTimeJumpOverEverything(t *testing.T) {
	x := newCertifiedRRTest(t)
	x.now = x.now.AddDate(1, 0, 0)
	acts := x.timeout()
	require.Equal(t, []ActionKind{ActionPrefixLost, ActionCertificateLost}, kinds(acts))
	x.requireState(StateSoliciting)
	require.False(t, x.deadline().Before(x.now))
}

// newCertifiedRRTest is a router in Case 2 with a prefix and its certificate.
func newCertifiedRRTest(t testing.TB) *rrTest {
	t.Helper()
	x := newRRTest(t, withKey)
	x.request()
	acts := x.deliver(dhcp6.Reply, serverDUID, delegation1(), certOptions(t, certopt.Options{
		Certificate: trustAnchor().router(routerKey().Public(), routerDUID, start, start.Add(time.Hour), prefix(delegated)),
	}))
	only(t, acts, ActionCertified)
	x.requireHolder(HolderCertified)
	return x
}

// requireKeyProof checks that a message has the router's public key and a proof of
// its possession, for this message and this server.
func requireKeyProof(t testing.TB, m dhcp6.Message, server []byte) {
	t.Helper()
	o, err := certopt.Codec{}.Find(m.Options)
	require.NoError(t, err)
	require.Equal(t, spki(routerKey()), o.PublicKey)
	s := certopt.Statement{TransactionID: m.TransactionID, ClientDUID: routerDUID, ServerDUID: server}
	require.NoError(t, certopt.VerifyKeyProof(o.KeyProof, o.PublicKey, s))
	s.TransactionID[2]++
	require.ErrorIs(t, certopt.VerifyKeyProof(o.KeyProof, o.PublicKey, s), certopt.ErrKeyProof, "for this message only")
}

// Case 2: each Request, Renew and Rebind carries the key, and the proof that ties
// it to this exchange. It is made once for all transmissions of a message.
func TestCase2KeyAndProofAreInEachRequest(t *testing.T) {
	key := &countingSigner{Signer: routerKey()}
	x := newRRTest(t, withKey, func(c *RequestingRouterConfig) { c.Holder.Key = key })
	x.request()
	requireKeyProof(t, x.requireSent(dhcp6.Request), serverDUID)
	x.fire()
	requireKeyProof(t, x.requireSent(dhcp6.Request), serverDUID)
	require.Equal(t, 1, key.signatures)
	x.deliver(dhcp6.Reply, serverDUID, delegation1())
	x.fire()
	requireKeyProof(t, x.requireSent(dhcp6.Renew), serverDUID)
	for x.rr.State() == StateRenewing {
		x.fire()
	}
	requireKeyProof(t, x.requireSent(dhcp6.Rebind), nil)
	require.Equal(t, 3, key.signatures)
}

// A key that cannot sign, for now, costs a transmission, not the exchange.
func TestSigningFailureIsReportedAndTriedAgain(t *testing.T) {
	key := &countingSigner{Signer: routerKey(), broken: true}
	x := newRRTest(t, withKey, func(c *RequestingRouterConfig) { c.Holder.Key = key })
	x.start()
	acts := x.deliver(dhcp6.Advertise, serverDUID, preference(255), delegation1())
	require.Equal(t, []ActionKind{ActionFailed}, kinds(acts))
	require.ErrorIs(t, acts[0].Err, errSigner)
	key.broken = false
	only(t, x.fire(), ActionSend)
	requireKeyProof(t, x.requireSent(dhcp6.Request), serverDUID)
}

// Having a prefix and being allowed to advertise it are different states.
func TestPrefixHeldIsNotPrefixCertified(t *testing.T) {
	x := newRRTest(t)
	acts := x.bind(delegation1(), caPointer(t))
	require.Equal(t, []ActionKind{ActionPrefixBound, ActionEnroll}, kinds(acts))
	x.requireState(StateBound)
	x.requireHolder(HolderEnrolling)
	require.False(t, x.mayAdvertise(delegated))
	enroll := only(t, acts, ActionEnroll)
	x.enrolled(enroll.ID, trustAnchor().router(routerKey().Public(), routerDUID, start, start.Add(time.Hour), prefix(delegated)))
	x.requireState(StateBound)
	x.requireHolder(HolderCertified)
	require.True(t, x.mayAdvertise(delegated))
}

// The lease's end takes the certificate with it, in one list of actions.
func TestLeaseExpiryEndsTheCertificate(t *testing.T) {
	x := newCertifiedRRTest(t)
	x.rr.holder.cert.notAfter = start.AddDate(1, 0, 0) // as if it outlived the lease
	acts := x.fireUntil(ActionPrefixLost)
	require.Equal(t, []ActionKind{ActionPrefixLost, ActionCertificateLost}, kinds(acts))
	require.False(t, x.mayAdvertise(delegated))
	x.requireHolder(HolderIdle)
}

// NoBinding may shorten the lifetimes of other IAs: MayAdvertise knows at once.
func TestMayAdvertiseFollowsLifetimesThatComeWithNoBinding(t *testing.T) {
	const second = "2001:db8:8000:200::/56"
	x := newRRTest(t, withKey, withIAs(IA{IAID: 1}, IA{IAID: 2}))
	x.request()
	x.deliver(dhcp6.Reply, serverDUID, delegation1(), iaPD(2, 1000, 2000, iaPrefix(second, 3000, 4000)), certOptions(t, certopt.Options{
		Certificate: trustAnchor().router(routerKey().Public(), routerDUID, start, start.Add(time.Hour), prefix(delegated), prefix(second)),
	}))
	x.fire()
	x.deliver(dhcp6.Reply, serverDUID, iaPD(1, 0, 0, status(dhcp6.NoBinding)), iaPD(2, 1000, 2000, iaPrefix(second, 10, 10)))
	until, ok := x.rr.MayAdvertise(x.now, prefix(second))
	require.True(t, ok)
	require.Equal(t, x.now.Add(10*time.Second), until)
}

// validAnswers is an Advertise and a Reply with everything that either can carry.
func validAnswers(t *testing.T, deliver func(t *testing.T, x *rrTest, pkt []byte)) {
	t.Helper()
	cert := trustAnchor().router(routerKey().Public(), routerDUID, start, start.Add(time.Hour), prefix(delegated))
	chain, err := certopt.AppendChain(nil, trustAnchor().cert.Raw)
	require.NoError(t, err)
	everything := []part{
		solMaxRT(3600), status(dhcp6.Success), delegation1(),
		certOptions(t, certopt.Options{CAPointer: []byte(caURI), Certificate: cert, Chain: chain}),
	}
	t.Run("Advertise", func(t *testing.T) {
		x := newRRTest(t, withKey)
		x.start()
		deliver(t, x, answerTo(t, x.sent, dhcp6.Advertise, serverDUID, append(everything, preference(3))...))
	})
	t.Run("Reply", func(t *testing.T) {
		x := newRRTest(t, withKey)
		x.renew(delegation1())
		deliver(t, x, answerTo(t, x.sent, dhcp6.Reply, serverDUID, everything...))
	})
}

// tryOctets delivers octets to a router that is put back afterwards.
func (x *rrTest) tryOctets(pkt []byte, what string) {
	x.t.Helper()
	router, holder, random := *x.rr, *x.rr.holder, must(x.src.MarshalBinary())
	router.out, holder.held = bytes.Clone(router.out), slices.Clone(holder.held)
	ids := *holder.ids
	before := x.snapshot()
	acts, err := x.handle(pkt)
	if err != nil {
		_, isDrop := err.(*DropError)
		require.True(x.t, isDrop, "%s: not a *DropError: %v", what, err)
		require.Empty(x.t, acts, what)
		require.Equal(x.t, before, x.snapshot(), "%s: an ignored message changed the state", what)
	}
	*x.rr, *x.rr.holder, *holder.ids = router, holder, ids
	require.NoError(x.t, x.src.UnmarshalBinary(random))
}

func TestEveryTruncationOfAnAnswer(t *testing.T) {
	validAnswers(t, func(t *testing.T, x *rrTest, pkt []byte) {
		for n := range pkt {
			x.tryOctets(pkt[:n], fmt.Sprintf("first %d of %d octets", n, len(pkt)))
		}
		_, err := x.handle(pkt)
		require.NoError(t, err, "all of it")
	})
}

func TestEveryCorruptOctetOfAnAnswer(t *testing.T) {
	validAnswers(t, func(t *testing.T, x *rrTest, pkt []byte) {
		for i := range pkt {
			for _, flip := range []byte{0x01, 0x80, 0xff} {
				bad := bytes.Clone(pkt)
				bad[i] ^= flip
				x.tryOctets(bad, fmt.Sprintf("octet %d xor %#x", i, flip))
			}
		}
		_, err := x.handle(pkt)
		require.NoError(t, err, "unspoilt")
	})
}

// The slices of an Action are the machine's, not the packet's, until the next call.
func TestActionsDoNotAliasThePacket(t *testing.T) {
	ca := trustAnchor().authority("Intermediate", prefix("2001:db8:8000::/36"))
	cert := ca.router(routerKey().Public(), routerDUID, start, start.Add(time.Hour), prefix(delegated))
	chain, err := certopt.AppendChain(nil, ca.cert.Raw)
	require.NoError(t, err)
	x := newRRTest(t, withKey)
	x.request()
	pkt := answerTo(t, x.sent, dhcp6.Reply, serverDUID, delegation1(), certOptions(t, certopt.Options{
		CAPointer: []byte(caURI), Certificate: cert, Chain: chain,
	}))
	acts, err := x.rr.HandleMessage(x.now, pkt, nil)
	require.NoError(t, err)
	poison(pkt)
	require.Equal(t, serverDUID, only(t, acts, ActionPrefixBound).DUID)
	certified := only(t, acts, ActionCertified)
	require.Equal(t, cert, certified.Certificate)
	require.Equal(t, [][]byte{ca.cert.Raw}, certified.Chain)
}

// The same seed and the same inputs give the same actions and deadlines.
func TestSameSeedAndInputsGiveTheSameOutputs(t *testing.T) {
	cert := trustAnchor().router(routerKey().Public(), routerDUID, start, start.Add(time.Hour), prefix(delegated))
	run := func() (all [][]Action, deadlines []time.Time) {
		x := newRRTest(t, withKey)
		note := func(acts []Action) {
			all = append(all, acts)
			at, _ := x.rr.Deadline()
			deadlines = append(deadlines, at)
		}
		note(x.take(x.rr.Start(x.now, nil)))
		note(x.fire())
		note(x.fire())
		note(x.deliver(dhcp6.Advertise, serverDUID, delegation1()))
		note(x.fire())
		note(x.deliver(dhcp6.Reply, serverDUID, delegation1(), caPointer(t), certOptions(t, certopt.Options{Certificate: cert})))
		for range 30 {
			note(x.fire())
		}
		note(x.release())
		return all, deadlines
	}
	acts, deadlines := run()
	actsAgain, deadlinesAgain := run()
	require.Equal(t, deadlines, deadlinesAgain)
	require.Equal(t, acts, actsAgain)
}

// All rows of requestingTransitions occur, and no other.
func TestEveryTransitionOccurs(t *testing.T) {
	withdrawn := iaPD(1, 0, 0, iaPrefix(delegated, 0, 0))
	noBinding := iaPD(1, 0, 0, status(dhcp6.NoBinding))
	// The events, as far as they come from outside or are a matter of time.
	events := map[requestingEvent]func(x *rrTest){
		eventStart:    func(x *rrTest) { x.rr.Start(x.now, nil) },
		eventSelected: func(x *rrTest) { x.answer(dhcp6.Advertise, preference(255), delegation1()) },
		eventBound:    func(x *rrTest) { x.answer(dhcp6.Reply, rapidCommit(), delegation1()) },
		eventNoBinding: func(x *rrTest) {
			x.answer(dhcp6.Reply, rapidCommit(), noBinding)
		},
		eventFailed:  func(x *rrTest) { x.answer(dhcp6.Reply, rapidCommit(), withdrawn) },
		eventT1:      func(x *rrTest) { x.jump(timerT1) },
		eventT2:      func(x *rrTest) { x.jump(timerT2) },
		eventLost:    func(x *rrTest) { x.jump(timerLease) },
		eventRelease: func(x *rrTest) { x.release() },
		eventStop: func(x *rrTest) { // with nothing to release
			if x.rr.State() == StateRequesting {
				*x = *newRRTest(x.t)
				x.request()
			}
			x.release()
		},
		eventDone: func(x *rrTest) { x.answer(dhcp6.Reply, status(dhcp6.NoBinding)) },
	}
	states := map[RequestingState]func(x *rrTest){
		StateInit:       func(*rrTest) {},
		StateSoliciting: func(x *rrTest) { x.start() },
		StateRequesting: func(x *rrTest) { // one that holds a lease
			x.renew(delegation1())
			x.deliver(dhcp6.Reply, serverDUID, noBinding)
		},
		StateBound:     func(x *rrTest) { x.bind(delegation1()) },
		StateRenewing:  func(x *rrTest) { x.renew(delegation1()) },
		StateRebinding: func(x *rrTest) { x.rebind(delegation1()) },
		StateReleasing: func(x *rrTest) { x.bind(delegation1()); x.release() },
	}
	for from, to := range states {
		allowed := map[RequestingState]bool{from: true}
		for _, tr := range requestingTransitions {
			if tr.from != from {
				continue
			}
			allowed[tr.to] = true
			t.Run(fmt.Sprintf("%v, %v", from, tr.on), func(t *testing.T) {
				x := newRRTest(t, withRapidCommit)
				to(x)
				x.requireState(from)
				events[tr.on](x)
				x.requireState(tr.to)
			})
		}
		for event, cause := range events {
			x := newRRTest(t, withRapidCommit)
			to(x)
			cause(x)
			require.True(t, allowed[x.rr.State()], "%v, %v: leads to %v", from, event, x.rr.State())
		}
	}
}

// answer lets the server answer the message last sent, if there is one, whether or
// not that is accepted.
func (x *rrTest) answer(typ dhcp6.MessageType, parts ...part) {
	if x.sent != nil {
		_, _ = x.handle(answerTo(x.t, x.sent, typ, serverDUID, parts...))
	}
}

// jump goes to when t goes off, and lets nothing else happen before.
func (x *rrTest) jump(t timer) {
	if at := x.rr.timers[t]; !at.IsZero() {
		x.now = at
		x.timeout()
	}
}

func TestNewRequestingRouterRefusesWhatCannotWork(t *testing.T) {
	hint := func(p netip.Prefix) func(*RequestingRouterConfig) {
		return withIAs(IA{IAID: 1, Prefixes: []Prefix{{Prefix: p}}})
	}
	tests := []struct {
		name string
		edit func(*RequestingRouterConfig)
	}{
		{"two IAs with one IAID", withIAs(IA{IAID: 1}, IA{IAID: 1})},
		{"more IAs than MaxPrefixes", func(c *RequestingRouterConfig) { c.MaxPrefixes = 1; c.IAs = []IA{{IAID: 1}, {IAID: 2}} }},
		{"negative MaxPrefixes", func(c *RequestingRouterConfig) { c.MaxPrefixes = -1 }},
		{"two hints", withIAs(IA{IAID: 1, Prefixes: make([]Prefix, 2)})},
		{"zero hint", hint(netip.Prefix{})},
		{"hint ::/0", hint(prefix("::/0"))},
		{"hint without a length", hint(netip.PrefixFrom(netip.IPv6Unspecified(), 129))},
		{"IPv4 hint", hint(prefix("10.0.0.0/8"))},
		{"no DUID", func(c *RequestingRouterConfig) { c.Holder.DUID = nil }},
		{"DUID too long", func(c *RequestingRouterConfig) { c.Holder.DUID = make([]byte, 131) }},
		{"no key", func(c *RequestingRouterConfig) { c.Holder.Key = nil }},
		{"no trust anchor", func(c *RequestingRouterConfig) { c.Holder.TrustAnchors = nil }},
		{"option codes in use", func(c *RequestingRouterConfig) {
			c.Holder.Options.Codes = certopt.Codes{CAPointer: 1, PublicKey: 2, Certificate: 3, KeyProof: 4, CertificateChain: 5}
		}},
		{"negative clock skew", func(c *RequestingRouterConfig) { c.Holder.ClockSkew = -1 }},
		{"RetryMax less than RetryMin", func(c *RequestingRouterConfig) { c.Holder.RetryMin, c.Holder.RetryMax = 2, 1 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := RequestingRouterConfig{Holder: HolderConfig{DUID: routerDUID, Key: routerKey(), TrustAnchors: anchors()}}
			tt.edit(&cfg)
			_, err := NewRequestingRouter(cfg)
			require.Error(t, err)
		})
	}
}

// The configuration is the caller's again when the router is made.
func TestConfigurationIsNotRetained(t *testing.T) {
	duid := bytes.Clone(routerDUID)
	ias := []IA{{IAID: 1, Prefixes: []Prefix{{Prefix: prefix("::/56")}}}}
	x := newRRTest(t, func(c *RequestingRouterConfig) { c.Holder.DUID, c.IAs = duid, ias })
	poison(duid)
	ias[0].Prefixes[0].Prefix, ias[0].IAID = prefix("::/60"), 9
	x.start()
	m := x.requireSent(dhcp6.Solicit)
	id, _ := m.Options.ClientID()
	require.Equal(t, routerDUID, id)
	require.Equal(t, map[uint32][]netip.Prefix{1: {prefix("::/56")}}, prefixesOf(t, m))
}
