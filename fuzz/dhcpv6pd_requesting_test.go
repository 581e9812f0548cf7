package fuzz

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	mrand "math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/certopt"
	"dhcpsec.example/dhcpv6pd"
	"dhcpsec.example/internal/dhcp6"
	"dhcpsec.example/x509ip"
)

// The operations of FuzzRequestingRouter: an octet that says which, modulo
// rrOps, and one that says how.
const (
	rrStart         = iota // start
	rrFire                 // go to the deadline
	rrAlmost               // go to one nanosecond before the deadline
	rrWait                 // let 2^arg seconds pass (modulo 24), and HandleTimeout
	rrAdvertise            // deliver an Advertise: bits as in rrRouter.answer
	rrReply                // deliver a Reply
	rrSpoilt               // deliver a Reply, and an octet of it changed: a third octet says which
	rrEnrolled             // answer the enrolment
	rrEnrolledWrong        // answer it with a certificate for another key
	rrEnrollFailed         // answer it with failure
	rrEnrollStale          // answer one that never was
	rrRelease              // release
	rrOps
)

var (
	rrDUID    = []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1}
	rrServers = [][]byte{{0, 3, 0, 1, 2, 0, 0, 0, 0, 2}, {0, 3, 0, 1, 2, 0, 0, 0, 0, 3}}
)

const rrMaxPrefixes = 3

// rrPKI is a trust anchor for all of IPv6, the router's key and somebody else's.
type rrPKI struct {
	anchor               *x509.Certificate
	caKey, key, wrongKey *ecdsa.PrivateKey
}

var rrKeys = sync.OnceValue(func() *rrPKI {
	p := new(rrPKI)
	for _, k := range []**ecdsa.PrivateKey{&p.caKey, &p.key, &p.wrongKey} {
		*k, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	all, _ := x509ip.FromPrefixes(netip.MustParsePrefix("::/0"))
	template, err := x509ip.AuthorityCertificate(p.caKey.Public(), "Anchor", all, big.NewInt(1),
		time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC))
	if err != nil {
		panic(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, p.caKey.Public(), p.caKey)
	if err != nil {
		panic(err)
	}
	p.anchor, _ = x509.ParseCertificate(der)
	return p
})

// certificate is nil where there is none to make, as for no time at all.
func (p *rrPKI) certificate(key *ecdsa.PrivateKey, from, to time.Time, prefixes []netip.Prefix) []byte {
	blocks, err := x509ip.FromPrefixes(prefixes...)
	if err != nil {
		return nil
	}
	if to.IsZero() {
		to = from.Add(time.Hour)
	}
	template, err := x509ip.RouterCertificate(key.Public(), rrDUID, blocks, big.NewInt(2), from.Truncate(time.Second), to.Truncate(time.Second))
	if err != nil {
		return nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, p.anchor, key.Public(), p.caKey)
	if err != nil {
		return nil
	}
	return der
}

// rrRouter is a RequestingRouter and what its caller knows of it by its actions.
type rrRouter struct {
	t    *testing.T
	rr   *dhcpv6pd.RequestingRouter
	now  time.Time
	sent []byte // the last message sent

	held      map[rrLease]time.Time // until when; the zero time is for ever
	certified []netip.Prefix        // of the certificate in use
	enrolling dhcpv6pd.Action       // the enrolment under way
}

// rrLease is a prefix held. Two IAs may hold the same one.
type rrLease struct {
	iaid   uint32
	prefix netip.Prefix
}

// Whatever a server, a certificate server, time and the caller do, in whatever
// order: the router does not panic; it holds no more than it may; a prefix may be
// advertised only while it is held and a certificate for it was accepted; there is
// one enrolment at a time; what it sends is a DHCPv6 message; time goes on.
func FuzzRequestingRouter(f *testing.F) {
	// Case 1 from Solicit to a certificate, to its renewal with the lease.
	f.Add([]byte{rrStart, 0, rrFire, 0, rrAdvertise, 0, rrFire, 0, rrReply, 0x10, rrEnrolled, 0, rrFire, 0, rrReply, 0x10, rrEnrolled, 0})
	// Case 2, then the end of the lease.
	f.Add([]byte{rrStart, 0, rrFire, 0, rrAdvertise, 0x80, rrReply, 0x20, rrWait, 13})
	// The enrolment times out, fails, brings a wrong certificate and then a good one.
	f.Add([]byte{rrStart, 0, rrFire, 0, rrAdvertise, 0x80, rrReply, 0x10, rrFire, 0, rrFire, 0, rrEnrollFailed, 0, rrFire, 0, rrEnrolledWrong, 0, rrEnrollStale, 0, rrFire, 0, rrEnrolled, 0})
	// A Renew meets NoBinding, the Request brings another prefix, and all is released.
	f.Add([]byte{rrStart, 0, rrFire, 0, rrAdvertise, 0x80, rrReply, 0x20, rrFire, 0, rrReply, 0x0c, rrReply, 0x21, rrRelease, 0, rrFire, 0, rrReply, 0})
	// Nobody answers the Request, and discovery starts over with Rapid Commit.
	f.Add([]byte{rrStart, 1, rrFire, 0, rrAdvertise, 0x80, rrFire, 0, rrFire, 0, rrFire, 0, rrFire, 0, rrFire, 0, rrFire, 0, rrFire, 0, rrFire, 0, rrFire, 0, rrFire, 0, rrFire, 0, rrReply, 0x60})
	// A Reply takes the prefix back while a certificate for it is in use.
	f.Add([]byte{rrStart, 0, rrFire, 0, rrAdvertise, 0x80, rrReply, 0x20, rrAlmost, 0, rrFire, 0, rrReply, 0x08})
	// A spoilt Reply, then the Rebind is answered by another server.
	f.Add([]byte{rrStart, 0, rrFire, 0, rrAdvertise, 0x80, rrReply, 0x10, rrSpoilt, 0x20, 60, rrWait, 11, rrReply, 0xa0})

	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) > 400 {
			return // longer ones find nothing more, later
		}
		rapid := len(program) > 1 && program[1]&1 != 0
		rr, err := dhcpv6pd.NewRequestingRouter(dhcpv6pd.RequestingRouterConfig{
			Holder: dhcpv6pd.HolderConfig{
				DUID: rrDUID, Key: rrKeys().key, TrustAnchors: []*x509.Certificate{rrKeys().anchor}, Rand: mrand.NewPCG(1, 2),
			},
			IAs: []dhcpv6pd.IA{{IAID: 1}, {IAID: 2}}, RapidCommit: rapid, MaxPrefixes: rrMaxPrefixes,
		})
		require.NoError(t, err)
		x := &rrRouter{t: t, rr: rr, now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
		for len(program) >= 2 {
			op, arg := program[0]%rrOps, program[1]
			program = program[2:]
			spoil := 0
			if op == rrSpoilt && len(program) > 0 {
				spoil, program = int(program[0])+1, program[1:]
			}
			x.do(op, arg, spoil)
			x.check()
		}
	})
}

func (x *rrRouter) do(op, arg byte, spoil int) {
	switch op {
	case rrStart:
		x.perform(x.rr.Start(x.now, nil), nil)
	case rrFire:
		if at, armed := x.rr.Deadline(); armed {
			x.now = at
			x.timeout()
		}
	case rrAlmost:
		if at, armed := x.rr.Deadline(); armed && at.After(x.now) {
			x.now = at.Add(-1)
			require.Empty(x.t, x.rr.HandleTimeout(x.now, nil), "one nanosecond early")
		}
	case rrWait:
		x.now = x.now.Add(time.Second << (arg % 24))
		x.timeout()
	case rrAdvertise:
		x.answer(dhcp6.Advertise, arg, 0)
	case rrReply:
		x.answer(dhcp6.Reply, arg, 0)
	case rrSpoilt:
		x.answer(dhcp6.Reply, arg, spoil)
	case rrEnrolled, rrEnrolledWrong:
		key := rrKeys().key
		if op == rrEnrolledWrong {
			key = rrKeys().wrongKey
		}
		e := x.enrolling
		if e.ID == 0 {
			return
		}
		x.enrolling = dhcpv6pd.Action{}
		cert := rrKeys().certificate(key, x.now, e.NotAfter, e.Prefixes)
		acts, err := x.rr.HandleEnrolled(x.now, e.ID, cert, nil, nil)
		require.NoError(x.t, err)
		clear(cert)
		x.perform(acts, nil)
	case rrEnrollFailed:
		if e := x.enrolling; e.ID != 0 {
			x.enrolling = dhcpv6pd.Action{}
			acts, err := x.rr.HandleEnrollFailed(x.now, e.ID, nil)
			require.NoError(x.t, err)
			x.perform(acts, nil)
		}
	case rrEnrollStale:
		acts, err := x.rr.HandleEnrolled(x.now, x.enrolling.ID+1+dhcpv6pd.ID(arg), nil, nil, nil)
		require.Error(x.t, err)
		x.perform(acts, err)
	case rrRelease:
		x.perform(x.rr.Release(x.now, nil), nil)
	}
}

// timeout calls HandleTimeout until nothing is due.
func (x *rrRouter) timeout() {
	for range 8 {
		x.perform(x.rr.HandleTimeout(x.now, nil), nil)
		if at, armed := x.rr.Deadline(); !armed || at.After(x.now) {
			return
		}
	}
	require.FailNow(x.t, "the deadline stays in the past")
}

// answer delivers an answer to the message last sent. By the bits of how:
//
//	0-1  which prefix of four
//	2    IA 1 has the status NoBinding
//	3    the prefix has a lifetime of 0
//	4    with a CA pointer
//	5    with a certificate for the prefix
//	6    with Rapid Commit, and a second IA with two prefixes
//	7    with preference 255; a Reply is the other server's
func (x *rrRouter) answer(typ dhcp6.MessageType, how byte, spoil int) {
	if x.sent == nil {
		return
	}
	bit := func(n int) bool { return how>>n&1 != 0 }
	sent, err := dhcp6.ParseMessage(x.sent)
	require.NoError(x.t, err)
	w := dhcp6.NewBuilder(nil, typ, sent.TransactionID)
	w.Option(dhcp6.OptionClientID, rrDUID)
	server := rrServers[0]
	if typ == dhcp6.Reply && bit(7) {
		server = rrServers[1]
	}
	w.Option(dhcp6.OptionServerID, server)
	if bit(7) {
		w.OptionUint8(dhcp6.OptionPreference, 255)
	}
	prefix := func(i byte) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, i + 1}), 56)
	}
	preferred, valid := uint32(3000), uint32(4000)
	if bit(3) {
		preferred, valid = 0, 0
	}
	w.BeginIAPD(1, 0, 0)
	if bit(2) {
		w.Status(dhcp6.NoBinding, "")
	} else {
		w.IAPrefix(preferred, valid, prefix(how&3))
	}
	w.End()
	if bit(6) {
		w.Option(dhcp6.OptionRapidCommit, nil)
		w.BeginIAPD(2, 10, 20)
		w.IAPrefix(30, 40, prefix(4))
		w.IAPrefix(dhcp6.Infinity, dhcp6.Infinity, prefix(5+how&3))
		w.End()
	}
	var o certopt.Options
	if bit(4) {
		o.CAPointer = []byte("http://ca.example/")
	}
	if bit(5) {
		o.Certificate = rrKeys().certificate(rrKeys().key, x.now, x.now.Add(time.Duration(valid)*time.Second), []netip.Prefix{prefix(how & 3)})
	}
	options, err := certopt.Codec{}.Append(nil, o)
	require.NoError(x.t, err)
	w.Raw(options)
	pkt, err := w.Bytes()
	require.NoError(x.t, err)
	if spoil > 0 {
		pkt[spoil*7%len(pkt)] ^= how | 1
	}
	acts, err := x.rr.HandleMessage(x.now, pkt, nil)
	clear(pkt)
	x.perform(acts, err)
}

// perform keeps the caller's books.
func (x *rrRouter) perform(acts []dhcpv6pd.Action, err error) {
	if err != nil {
		_, isDrop := errors.AsType[*dhcpv6pd.DropError](err)
		require.True(x.t, isDrop, "not a *DropError: %v", err)
		require.Empty(x.t, acts, "an input that is ignored has no consequences")
	}
	for _, a := range acts {
		require.NotContains(x.t, a.Kind.String(), "(", "a kind without a name")
		switch a.Kind {
		case dhcpv6pd.ActionSend:
			_, err := dhcp6.ParseMessage(a.Data)
			require.NoError(x.t, err)
			require.True(x.t, a.To.Addr().IsMulticast())
			x.sent = slices.Clone(a.Data)
			clear(a.Data)
		case dhcpv6pd.ActionPrefixBound:
			x.held = map[rrLease]time.Time{}
			for _, ia := range a.IAs {
				for _, p := range ia.Prefixes {
					end := time.Time{}
					if p.Valid != dhcpv6pd.Infinite {
						end = x.now.Add(p.Valid)
					}
					x.held[rrLease{ia.IAID, p.Prefix}] = end
				}
			}
		case dhcpv6pd.ActionPrefixLost:
			require.Error(x.t, a.Err)
			for _, ia := range a.IAs {
				for _, p := range ia.Prefixes {
					require.Contains(x.t, x.held, rrLease{ia.IAID, p.Prefix}, "lost, and never had")
					delete(x.held, rrLease{ia.IAID, p.Prefix})
				}
			}
		case dhcpv6pd.ActionEnroll:
			// Another certificate server takes the place of the one before.
			require.True(x.t, x.enrolling.ID == 0 || a.URI != x.enrolling.URI, "two enrolments at a time")
			x.enrolling = a.Clone()
		case dhcpv6pd.ActionCertified:
			x.certified = slices.Clone(a.Prefixes)
			x.enrolling = dhcpv6pd.Action{} // nothing more is to be had from it
			_, err := x509.ParseCertificate(a.Certificate)
			require.NoError(x.t, err)
		case dhcpv6pd.ActionCertificateRejected:
			require.Error(x.t, a.Err)
			if errors.Is(a.Err, dhcpv6pd.ErrNoAnswer) {
				x.enrolling = dhcpv6pd.Action{}
			}
		case dhcpv6pd.ActionCertificateLost:
			require.Error(x.t, a.Err)
			require.NotNil(x.t, x.certified, "lost, and never had")
			x.certified = nil
		case dhcpv6pd.ActionFailed:
			require.Error(x.t, a.Err)
		default:
			require.FailNow(x.t, "an action of the other side", "%v", a.Kind)
		}
	}
	if len(x.held) == 0 {
		x.enrolling = dhcpv6pd.Action{} // it ends with the delegation
	}
}

// check compares what may be advertised with the books.
func (x *rrRouter) check() {
	require.LessOrEqual(x.t, len(x.held), rrMaxPrefixes)
	require.Equal(x.t, x.certified != nil, x.rr.HolderState() == dhcpv6pd.HolderCertified)
	seen := map[netip.Prefix]bool{}
	for l := range x.held {
		seen[l.prefix] = true
	}
	for p := range seen {
		until, ok := x.rr.MayAdvertise(x.now, p)
		if !ok {
			continue
		}
		require.Contains(x.t, x.certified, p, "no certificate for it")
		require.True(x.t, until.After(x.now), "over")
		require.True(x.t, x.heldUntil(p, until), "longer than it is held")
	}
	for i := range byte(12) {
		p := netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, i + 1}), 56)
		if _, ok := x.rr.MayAdvertise(x.now, p); ok {
			require.True(x.t, x.heldUntil(p, x.now.Add(1)), "not held")
		}
	}
}

// heldUntil says whether p, or a shorter prefix around it, is held until then.
func (x *rrRouter) heldUntil(p netip.Prefix, then time.Time) bool {
	for l, end := range x.held {
		if l.prefix.Bits() <= p.Bits() && l.prefix.Contains(p.Addr()) && (end.IsZero() || !end.Before(then)) {
			return true
		}
	}
	return false
}
