package dhcpv6pd

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"net/netip"
	"slices"
	"testing"
	"time"

	"dhcpsec.example/certopt"
	"dhcpsec.example/x509ip"
	"github.com/stretchr/testify/require"
)

var errSigner = errors.New("the key is locked away")

// countingSigner is a key that counts its signatures, or makes none.
type countingSigner struct {
	crypto.Signer
	signatures int
	broken     bool
}

func (s *countingSigner) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if s.broken {
		return nil, errSigner
	}
	s.signatures++
	return s.Signer.Sign(r, digest, opts)
}

// holderTest drives a Holder beside a DHCPv6 client that is not ours.
type holderTest struct {
	t   testing.TB
	h   *Holder
	now time.Time
}

func newHolderTest(t testing.TB, edit ...func(*HolderConfig)) *holderTest {
	t.Helper()
	cfg := HolderConfig{DUID: routerDUID, Key: routerKey(), TrustAnchors: anchors(), Rand: seeded(1)}
	for _, e := range edit {
		e(&cfg)
	}
	h, err := NewHolder(cfg)
	require.NoError(t, err)
	return &holderTest{t: t, h: h, now: start}
}

// leaseTime is how long the prefixes of these tests are delegated.
const leaseTime = 4000 * time.Second

// leased is prefixes that are delegated for leaseTime from now.
func leased(prefixes ...string) []Prefix {
	out := make([]Prefix, len(prefixes))
	for i, p := range prefixes {
		out[i] = Prefix{prefix(p), leaseTime / 2, leaseTime}
	}
	return out
}

// reply feeds the Holder a Reply with these certificate options.
func (x *holderTest) reply(o certopt.Options, prefixes ...Prefix) []Action {
	x.t.Helper()
	area, err := certopt.Codec{}.Append(nil, o)
	require.NoError(x.t, err)
	acts := x.h.HandleReply(x.now, area, prefixes, nil)
	poison(area)
	return acts
}

func pointer() certopt.Options { return certopt.Options{CAPointer: []byte(caURI)} }

func (x *holderTest) enrolled(id ID, certificate []byte, chain ...[]byte) []Action {
	x.t.Helper()
	acts, err := x.h.HandleEnrolled(x.now, id, certificate, chain, nil)
	require.NoError(x.t, err)
	return acts
}

func (x *holderTest) requireState(s HolderState) {
	x.t.Helper()
	require.Equal(x.t, s.String(), x.h.State().String(), "state")
}

func (x *holderTest) deadline() time.Time {
	x.t.Helper()
	at, armed := x.h.Deadline()
	require.True(x.t, armed, "no deadline in state %v", x.h.State())
	return at
}

func (x *holderTest) fire() []Action {
	x.t.Helper()
	x.now = x.deadline()
	return x.h.HandleTimeout(x.now, nil)
}

// cert is a good certificate for prefixes from now to notAfter.
func (x *holderTest) cert(notAfter time.Time, prefixes ...string) []byte {
	ps := make([]netip.Prefix, len(prefixes))
	for i, p := range prefixes {
		ps[i] = prefix(p)
	}
	return trustAnchor().router(routerKey().Public(), routerDUID, x.now.Truncate(time.Second), notAfter, ps...)
}

// certify gives the Holder delegated and a certificate for it that ends with it.
func (x *holderTest) certify() {
	x.t.Helper()
	acts := x.reply(certopt.Options{Certificate: x.cert(x.now.Add(leaseTime), delegated)}, leased(delegated)...)
	only(x.t, acts, ActionCertified)
	x.requireState(HolderCertified)
}

func (x *holderTest) mayAdvertise(p string) bool {
	_, ok := x.h.MayAdvertise(x.now, prefix(p))
	return ok
}

// Case 1: the pointer and the prefix make the request for a certificate.
func TestCase1PointerLeadsToEnroll(t *testing.T) {
	x := newHolderTest(t)
	second := Prefix{prefix("2001:db8:8000:200::/56"), 100 * time.Second, 200 * time.Second}
	acts := x.reply(pointer(), append(leased(delegated), second)...)
	require.Equal(t, []ActionKind{ActionEnroll}, kinds(acts))
	require.NotZero(t, acts[0].ID)
	require.Equal(t, Action{
		Kind: ActionEnroll, ID: acts[0].ID, URI: caURI, DUID: routerDUID, Key: spki(routerKey()),
		Prefixes: []netip.Prefix{prefix(delegated), second.Prefix},
		NotAfter: start.Add(200 * time.Second), // the first to expire
	}, acts[0])
	x.requireState(HolderEnrolling)
	require.False(t, x.mayAdvertise(delegated))
}

func TestCase1InfiniteLeaseHasNoNotAfter(t *testing.T) {
	x := newHolderTest(t)
	acts := x.reply(pointer(), Prefix{prefix(delegated), Infinite, Infinite})
	require.Zero(t, only(t, acts, ActionEnroll).NotAfter)
}

func TestCase1EnrolledCertificateIsPutToUse(t *testing.T) {
	x := newHolderTest(t)
	enroll := only(t, x.reply(pointer(), leased(delegated)...), ActionEnroll)
	cert := x.cert(start.Add(leaseTime), delegated)
	acts := x.enrolled(enroll.ID, cert)
	require.Equal(t, []Action{{
		Kind: ActionCertified, Certificate: cert, Prefixes: []netip.Prefix{prefix(delegated)}, NotAfter: start.Add(leaseTime),
	}}, acts)
	x.requireState(HolderCertified)
	require.True(t, x.mayAdvertise(delegated))
	require.Equal(t, start.Add(leaseTime), x.deadline(), "nothing to do before it ends")
}

func TestCase1EnrolmentThatFailsIsTriedAgain(t *testing.T) {
	tests := []struct {
		name string
		fail func(x *holderTest, id ID) []Action
		want error
	}{
		{"refused", func(x *holderTest, id ID) []Action {
			acts, err := x.h.HandleEnrollFailed(x.now, id, nil)
			require.NoError(x.t, err)
			return acts
		}, ErrNotIssued},
		{"no answer", func(x *holderTest, _ ID) []Action {
			begun := x.now
			acts := x.fire()
			require.Equal(x.t, begun.Add(30*time.Second), x.now, "EnrollTimeout")
			return acts
		}, ErrNoAnswer},
		{"wrong certificate", func(x *holderTest, id ID) []Action {
			return x.enrolled(id, x.cert(x.now.Add(time.Hour), "2001:db8:8000:200::/56"))
		}, ErrWrongPrefixes},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := newHolderTest(t)
			// For ever, so that the lease does not end the attempts.
			enroll := only(t, x.reply(pointer(), Prefix{prefix(delegated), Infinite, Infinite}), ActionEnroll)
			for pause := range backOffs(12) {
				acts := tt.fail(x, enroll.ID)
				require.Equal(t, []ActionKind{ActionCertificateRejected}, kinds(acts))
				require.ErrorIs(t, acts[0].Err, tt.want)
				x.requireState(HolderBackoff)
				failed, last := x.now, enroll.ID
				enroll = only(t, x.fire(), ActionEnroll)
				require.Greater(t, enroll.ID, last, "IDs are not used twice")
				require.InEpsilon(t, pause.Seconds(), x.now.Sub(failed).Seconds(), 0.1000001)
				require.NotEqual(t, pause, x.now.Sub(failed), "without jitter")
				x.requireState(HolderEnrolling)
			}
		})
	}
}

// backOffs yields n pauses between the default RetryMin and RetryMax.
func backOffs(n int) func(yield func(time.Duration) bool) {
	return func(yield func(time.Duration) bool) {
		for pause := 2 * time.Second; n > 0; n, pause = n-1, min(2*pause, 10*time.Minute) {
			if !yield(pause) {
				return
			}
		}
	}
}

// A certificate that came ends the back-off: the next failure waits RetryMin again.
func TestCase1SuccessResetsTheBackOff(t *testing.T) {
	x := newHolderTest(t)
	id := only(t, x.reply(pointer(), leased(delegated)...), ActionEnroll).ID
	for range 5 {
		x.fire()
		id = only(t, x.fire(), ActionEnroll).ID
	}
	x.enrolled(id, x.cert(x.now.Add(10*time.Second), delegated))
	id = only(t, x.fire(), ActionEnroll).ID
	_, err := x.h.HandleEnrollFailed(x.now, id, nil)
	require.NoError(t, err)
	require.LessOrEqual(t, x.h.enroll.at.Sub(x.now), 2200*time.Millisecond)
}

// Answers to enrolments that are over, or never were, change nothing.
func TestStaleEnrolmentAnswersAreDropped(t *testing.T) {
	good := newHolderTest(t).cert(start.Add(leaseTime), delegated)
	tests := []struct {
		name string
		to   func(x *holderTest) ID
	}{
		{"none under way", func(*holderTest) ID { return 1 }},
		{"zero", func(x *holderTest) ID { x.reply(pointer(), leased(delegated)...); return 0 }},
		{"never given", func(x *holderTest) ID {
			return only(x.t, x.reply(pointer(), leased(delegated)...), ActionEnroll).ID + 1
		}},
		{"late: after the timeout", func(x *holderTest) ID {
			id := only(x.t, x.reply(pointer(), leased(delegated)...), ActionEnroll).ID
			x.fire()
			return id
		}},
		{"late: the next attempt is under way", func(x *holderTest) ID {
			id := only(x.t, x.reply(pointer(), leased(delegated)...), ActionEnroll).ID
			x.fire()
			x.fire()
			return id
		}},
		{"answered before", func(x *holderTest) ID {
			id := only(x.t, x.reply(pointer(), leased(delegated)...), ActionEnroll).ID
			x.enrolled(id, good)
			return id
		}},
		{"the prefixes are gone", func(x *holderTest) ID {
			id := only(x.t, x.reply(pointer(), leased(delegated)...), ActionEnroll).ID
			x.h.HandleLease(x.now, nil, ErrExpired, nil)
			return id
		}},
		{"another CA pointer came", func(x *holderTest) ID {
			id := only(x.t, x.reply(pointer(), leased(delegated)...), ActionEnroll).ID
			only(x.t, x.reply(certopt.Options{CAPointer: []byte("ldap:other")}, leased(delegated)...), ActionEnroll)
			return id
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := newHolderTest(t)
			id := tt.to(x)
			state, enroll, cert := x.h.State(), x.h.enroll, x.h.cert
			acts, err := x.h.HandleEnrolled(x.now, id, good, nil, nil)
			requireDrop(t, ReasonStale, err)
			require.Empty(t, acts)
			acts, err = x.h.HandleEnrollFailed(x.now, id, nil)
			requireDrop(t, ReasonStale, err)
			require.Empty(t, acts)
			require.Equal(t, state, x.h.State())
			require.Equal(t, enroll, x.h.enroll)
			require.Same(t, cert, x.h.cert)
			require.EqualValues(t, 2, x.h.Stats()[ReasonStale])
		})
	}
}

// A pointer that is repeated, as each Reply does, does not start a second enrolment.
func TestRepeatedPointerKeepsTheEnrolment(t *testing.T) {
	x := newHolderTest(t)
	id := only(t, x.reply(pointer(), leased(delegated)...), ActionEnroll).ID
	require.Empty(t, x.reply(pointer(), leased(delegated)...), "one is under way")
	_, err := x.h.HandleEnrollFailed(x.now, id, nil)
	require.NoError(t, err)
	require.Empty(t, x.reply(pointer(), leased(delegated)...), "the next is planned")
	id = only(t, x.fire(), ActionEnroll).ID
	x.enrolled(id, x.cert(x.now.Add(leaseTime).Truncate(time.Second), delegated))
	require.Empty(t, x.reply(pointer(), leased(delegated)...), "there is nothing to gain")
}

// All that a requesting router must refuse in a certificate: "The returned
// certificate needs to be checked by the requestor" (RFC 4211 section 5), against
// what it asked for, RFC 3779 and RFC 6494. It is refused in either case, and the
// prefix stays held.
func TestCertificateChecks(t *testing.T) {
	const other = "2001:db8:8000:200::/56"
	day := start.AddDate(0, 0, 1)
	end := start.Add(leaseTime)
	router := func(notBefore, notAfter time.Time, prefixes ...string) []byte {
		x := holderTest{now: notBefore}
		return x.cert(notAfter, prefixes...)
	}
	spoilt := func(spoil func(c *x509.Certificate)) []byte {
		template := trustAnchor().template(routerKey().Public(), routerDUID, start, end, prefix(delegated))
		spoil(template)
		return trustAnchor().sign(routerKey().Public(), template)
	}
	wide := trustAnchor().authority("Claims more than it has", prefix("2001:db8::/31"))
	narrow := trustAnchor().authority("Has less than it gives", prefix("2001:db8:9000::/36"))
	unknown := newTrustAnchor("Trust anchor", prefix("2001:db8::/32"))
	good := router(start, end, delegated)
	tests := []struct {
		name  string
		der   []byte
		chain [][]byte
		want  error // nil: any
	}{
		{"other key", trustAnchor().router(strangerKey().Public(), routerDUID, start, end, prefix(delegated)), nil, ErrWrongKey},
		{"other prefix", router(start, end, other), nil, ErrWrongPrefixes},
		{"more prefixes", router(start, end, delegated, other), nil, ErrWrongPrefixes},
		{"shorter prefix", router(start, end, "2001:db8:8000::/48"), nil, ErrWrongPrefixes},
		{"longer prefix", router(start, end, "2001:db8:8000:100::/57"), nil, ErrWrongPrefixes},
		{"IPv4 as well", router(start, end, delegated, "192.0.2.0/24"), nil, ErrWrongPrefixes},
		{"outlives the delegation", router(start, end.Add(5*time.Minute+time.Second), delegated), nil, ErrOutlives},
		{"not valid yet", router(start.Add(5*time.Minute+time.Second), end, delegated), nil, ErrNotValid},
		{"expired", router(start.Add(-time.Hour), start.Add(-time.Second), delegated), nil, ErrNotValid},
		{"expires now", router(start.Add(-time.Hour), start, delegated), nil, ErrNotValid},
		{"no RFC 3779 extension", spoilt(func(c *x509.Certificate) { c.ExtraExtensions = nil }), nil, x509ip.ErrNoExtension},
		{"inherited prefixes", spoilt(func(c *x509.Certificate) {
			c.ExtraExtensions[0].Value = []byte{0x30, 8, 0x30, 6, 4, 2, 0, 2, 5, 0}
		}), nil, ErrWrongPrefixes},
		{"malformed RFC 3779 extension", spoilt(func(c *x509.Certificate) { c.ExtraExtensions[0].Value = []byte{0x30, 1} }), nil, ErrWrongPrefixes},
		{"no sendRouter key usage", spoilt(func(c *x509.Certificate) { c.UnknownExtKeyUsage = nil }), nil, x509ip.ErrKeyUsage},
		{"key usage of a sendOwner", spoilt(func(c *x509.Certificate) {
			c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{x509ip.OIDSendOwner()}
		}), nil, x509ip.ErrKeyUsage},
		{"any key usage", spoilt(func(c *x509.Certificate) {
			c.UnknownExtKeyUsage, c.ExtKeyUsage = nil, []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
		}), nil, x509ip.ErrKeyUsage},
		{"unknown critical extension", spoilt(func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}})
		}), nil, nil},
		{"unknown trust anchor of the same name", unknown.router(routerKey().Public(), routerDUID, start, end, prefix(delegated)), nil, nil},
		{"unknown trust anchor in the chain", unknown.router(routerKey().Public(), routerDUID, start, end, prefix(delegated)), [][]byte{unknown.cert.Raw}, nil},
		{"issuer missing", wide.router(routerKey().Public(), routerDUID, start, end, prefix(delegated)), nil, nil},
		{"issuer claims more than the anchor", wide.router(routerKey().Public(), routerDUID, start, end, prefix(delegated)), [][]byte{wide.cert.Raw}, x509ip.ErrNotHeld},
		{"issuer does not have the prefix", narrow.router(routerKey().Public(), routerDUID, start, end, prefix(delegated)), [][]byte{narrow.cert.Raw}, x509ip.ErrNotHeld},
		{"chain too long", good, slices.Repeat([][]byte{trustAnchor().cert.Raw}, certopt.MaxChainCertificates+1), ErrFull},
		{"chain does not parse", good, [][]byte{{0x30, 0}}, nil},
		{"signed by the router itself", testCA{cert: must(x509.ParseCertificate(good)), key: routerKey()}.router(routerKey().Public(), routerDUID, start, end, prefix(delegated)), [][]byte{good}, nil},
		{"a day too long, and too early", router(start.AddDate(0, 0, -1), day, delegated), nil, ErrOutlives},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requireRejected := func(x *holderTest, acts []Action) {
				t.Helper()
				rejected := only(t, acts, ActionCertificateRejected)
				require.Error(t, rejected.Err)
				if tt.want != nil {
					require.ErrorIs(t, rejected.Err, tt.want)
				}
				require.Len(t, acts, 1)
				require.False(t, x.mayAdvertise(delegated))
				require.NotEqual(t, HolderCertified, x.h.State())
				require.Len(t, x.h.held, 1, "the prefix stays held")
				require.EqualValues(t, 1, x.h.Stats()[ReasonCertificate])
			}
			one := newHolderTest(t)
			enroll := only(t, one.reply(pointer(), leased(delegated)...), ActionEnroll)
			requireRejected(one, one.enrolled(enroll.ID, tt.der, tt.chain...))

			chain, err := certopt.AppendChain(nil, tt.chain...)
			require.NoError(t, err)
			options := certopt.Options{Certificate: tt.der, Chain: chain}
			if _, err := (certopt.Codec{}).Append(nil, options); err != nil {
				return // not in Case 2: see TestRFC7227_21_1_MalformedOptionsOfAReply
			}
			two := newHolderTest(t)
			requireRejected(two, two.reply(options, leased(delegated)...))
		})
	}
}

// What is good enough, at the very edge.
func TestCertificateThatPasses(t *testing.T) {
	end := start.Add(leaseTime)
	skew := 5 * time.Minute
	middle := trustAnchor().authority("Intermediate", prefix("2001:db8:8000::/36"))
	template := trustAnchor().template(routerKey().Public(), otherDUID, start, end, prefix(delegated))
	template.ExtraExtensions[0].Critical = false
	tests := []struct {
		name  string
		der   []byte
		chain [][]byte
	}{
		{"from the anchor", trustAnchor().router(routerKey().Public(), routerDUID, start, end, prefix(delegated)), nil},
		{"through an intermediate", middle.router(routerKey().Public(), routerDUID, start, end, prefix(delegated)), [][]byte{middle.cert.Raw}},
		{"with the anchor in the chain", middle.router(routerKey().Public(), routerDUID, start, end, prefix(delegated)), [][]byte{middle.cert.Raw, trustAnchor().cert.Raw}},
		{"issuer's clock is ahead by the skew", trustAnchor().router(routerKey().Public(), routerDUID, start.Add(skew), end, prefix(delegated)), nil},
		{"ends after the delegation by the skew", trustAnchor().router(routerKey().Public(), routerDUID, start, end.Add(skew), prefix(delegated)), nil},
		{"ends in a second", trustAnchor().router(routerKey().Public(), routerDUID, start, start.Add(time.Second), prefix(delegated)), nil},
		{"the issuer chose the name", trustAnchor().router(routerKey().Public(), otherDUID, start, end, prefix(delegated)), nil},
		{`"This extension SHOULD be CRITICAL" (RFC 3779 section 2.2.2), and need not`, trustAnchor().sign(routerKey().Public(), template), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			chain, err := certopt.AppendChain(nil, tt.chain...)
			require.NoError(t, err)
			x := newHolderTest(t)
			acts := x.reply(certopt.Options{Certificate: tt.der, Chain: chain}, leased(delegated)...)
			require.Equal(t, []ActionKind{ActionCertified}, kinds(acts))
			until, ok := x.h.MayAdvertise(start, prefix(delegated))
			require.True(t, ok)
			require.False(t, until.After(end), "the delegation ends before the certificate")
			require.Equal(t, until, acts[0].NotAfter)
		})
	}
}

func TestEveryTruncationOfACertificate(t *testing.T) {
	x := newHolderTest(t)
	good := x.cert(start.Add(leaseTime), delegated)
	for n := range good {
		x := newHolderTest(t)
		id := only(t, x.reply(pointer(), leased(delegated)...), ActionEnroll).ID
		require.Equal(t, []ActionKind{ActionCertificateRejected}, kinds(x.enrolled(id, good[:n])), "first %d of %d octets", n, len(good))
	}
}

// An error may end up in a log: it says nothing of what the packet had in it.
func TestRejectionDoesNotQuoteTheCertificate(t *testing.T) {
	x := newHolderTest(t)
	id := only(t, x.reply(pointer(), leased(delegated)...), ActionEnroll).ID
	acts := x.enrolled(id, []byte("\x30\x0bNOT SECRETS"))
	require.NotContains(t, only(t, acts, ActionCertificateRejected).Err.Error(), "SECRET")
}

// "Clients MUST discard option foo if it is invalid", not the message: malformed
// certificate options count as none, and what was in hand stays.
func TestRFC7227_21_1_MalformedOptionsOfAReply(t *testing.T) {
	good := newHolderTest(t).cert(start.Add(leaseTime), delegated)
	append2 := func(code uint16, data []byte, more ...byte) []byte {
		b, err := certopt.AppendOption(nil, code, data)
		require.NoError(t, err)
		return append(b, more...)
	}
	chain, err := certopt.AppendChain(nil, good)
	require.NoError(t, err)
	tests := []struct {
		name string
		area []byte
	}{
		{"truncated certificate", append2(65003, good[:len(good)-1])},
		{"octets after the certificate", append2(65003, append(bytes.Clone(good), 0))},
		{"empty certificate", append2(65003, nil)},
		{"two certificates", append(append2(65003, good), append2(65003, good)...)},
		{"CA pointer is no URI", append2(65001, []byte("no uri"))},
		{"good certificate, bad CA pointer", append(append2(65003, good), append2(65001, []byte{0})...)},
		{"good certificate, bad chain", append(append2(65003, good), append2(65005, chain[:len(chain)-1])...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := newHolderTest(t)
			acts := x.h.HandleReply(x.now, tt.area, leased(delegated), nil)
			require.Equal(t, []ActionKind{ActionCertificateRejected}, kinds(acts))
			_, isParseError := errors.AsType[*certopt.ParseError](acts[0].Err)
			require.True(t, isParseError, "%v", acts[0].Err)
			require.EqualValues(t, 1, x.h.Stats()[ReasonOptions])
			x.requireState(HolderIdle)

			x.certify()
			x.h.HandleReply(x.now, tt.area, leased(delegated), nil)
			x.requireState(HolderCertified)
			require.True(t, x.mayAdvertise(delegated))
		})
	}
}

func TestReplyWithNeitherCertificateNorPointer(t *testing.T) {
	x := newHolderTest(t)
	acts := x.reply(certopt.Options{}, leased(delegated)...)
	require.ErrorIs(t, only(t, acts, ActionCertificateRejected).Err, ErrNotOffered)
	x.requireState(HolderIdle)
	until, armed := x.h.Deadline()
	require.True(t, armed)
	require.Empty(t, x.h.HandleTimeout(until, nil), "the lease ends, and with it nothing")
	_, armed = x.h.Deadline()
	require.False(t, armed)
}

// A Holder that is not told of the end of a lease notices by itself.
func TestHolderNoticesTheEndOfTheLease(t *testing.T) {
	x := newHolderTest(t)
	only(t, x.reply(certopt.Options{CAPointer: []byte(caURI)}, leased(delegated)...), ActionEnroll)
	for range 1000 {
		at, armed := x.h.Deadline()
		if !armed {
			break
		}
		for _, a := range x.h.HandleTimeout(at, nil) {
			if a.Kind == ActionEnroll {
				require.True(t, a.NotAfter.After(at), "enrolment for a lease that ended")
			}
		}
	}
	_, armed := x.h.Deadline()
	require.False(t, armed, "enrolment goes on for ever")
	x.requireState(HolderIdle)
}

// The ruling of HandleReply: a certificate has a validity of its own.
func TestCertificateIsKeptWhereTheReplyHasNone(t *testing.T) {
	x := newHolderTest(t)
	x.certify()
	x.now = x.now.Add(1000 * time.Second)
	require.Empty(t, x.reply(certopt.Options{}, leased(delegated)...))
	x.requireState(HolderCertified)
	until, ok := x.h.MayAdvertise(x.now, prefix(delegated))
	require.True(t, ok)
	require.Equal(t, start.Add(leaseTime), until, "the delegation now lasts longer, the certificate does not")
}

func TestNoPrefixNoCertificate(t *testing.T) {
	x := newHolderTest(t)
	o := pointer()
	o.Certificate = x.cert(start.Add(leaseTime), delegated)
	require.Empty(t, x.reply(o))
	require.Empty(t, x.reply(o, Prefix{prefix(delegated), 0, 0}), "valid lifetime 0")
	x.requireState(HolderIdle)
	_, armed := x.h.Deadline()
	require.False(t, armed)
}

// What may be advertised: a prefix inside both the delegation and the certificate.
func TestMayAdvertiseInsideAndOutside(t *testing.T) {
	x := newHolderTest(t)
	require.False(t, x.mayAdvertise(delegated), "before anything is held")
	x.h.HandleReply(x.now, nil, leased(delegated), nil)
	require.False(t, x.mayAdvertise(delegated), "held, not certified")
	x.certify()
	tests := []struct {
		prefix string
		want   bool
	}{
		{delegated, true},
		{"2001:db8:8000:100::/64", true},
		{"2001:db8:8000:1ff::/64", true},
		{"2001:db8:8000:1ff:ffff:ffff:ffff:ffff/128", true},
		{"2001:db8:8000:100::/55", false},
		{"2001:db8:8000::/48", false},
		{"2001:db8:8000:200::/64", false},
		{"2001:db8:8000:ff::/64", false},
		{"::/0", false},
		{"0.0.0.0/0", false},
		{"::ffff:192.0.2.0/120", false},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, x.mayAdvertise(tt.prefix), tt.prefix)
	}
	_, ok := x.h.MayAdvertise(x.now, netip.Prefix{})
	require.False(t, ok, "the zero Prefix")
}

func TestMayAdvertiseToTheNanosecond(t *testing.T) {
	t.Run("the certificate ends first", func(t *testing.T) {
		x := newHolderTest(t)
		end := start.Add(time.Hour)
		x.reply(certopt.Options{Certificate: x.cert(end, delegated)}, leased(delegated)...)
		for _, p := range []string{delegated, "2001:db8:8000:100::/64"} {
			until, ok := x.h.MayAdvertise(end.Add(-1), prefix(p))
			require.True(t, ok)
			require.Equal(t, end, until)
			_, ok = x.h.MayAdvertise(end, prefix(p))
			require.False(t, ok, "at its end, before HandleTimeout")
		}
		require.Equal(t, end, x.deadline())
		acts := x.fire()
		require.ErrorIs(t, only(t, acts, ActionCertificateLost).Err, ErrExpired)
		x.requireState(HolderIdle)
		_, ok := x.h.MayAdvertise(end.Add(-1), prefix(delegated))
		require.False(t, ok, "lost is lost")
	})
	t.Run("the delegation ends first", func(t *testing.T) {
		x := newHolderTest(t)
		end := start.Add(leaseTime)
		x.reply(certopt.Options{Certificate: x.cert(end.Add(time.Minute), delegated)}, leased(delegated)...)
		until, ok := x.h.MayAdvertise(end.Add(-1), prefix(delegated))
		require.True(t, ok)
		require.Equal(t, end, until)
		_, ok = x.h.MayAdvertise(end, prefix(delegated))
		require.False(t, ok)
	})
	t.Run("nothing ends", func(t *testing.T) {
		x := newHolderTest(t)
		x.reply(certopt.Options{Certificate: x.cert(noExpiry, delegated)}, Prefix{prefix(delegated), Infinite, Infinite})
		until, ok := x.h.MayAdvertise(start.AddDate(40, 0, 0), prefix(delegated))
		require.True(t, ok)
		require.Equal(t, noExpiry, until)
	})
}

// Each of several prefixes has its own end, and the certificate one for all.
func TestMayAdvertiseSeveralPrefixes(t *testing.T) {
	const other = "2001:db8:8000:200::/56"
	x := newHolderTest(t)
	short := Prefix{prefix(other), 100 * time.Second, 200 * time.Second}
	acts := x.reply(certopt.Options{Certificate: x.cert(start.Add(200*time.Second), delegated, other)}, append(leased(delegated), short)...)
	require.ElementsMatch(t, []netip.Prefix{prefix(delegated), prefix(other)}, only(t, acts, ActionCertified).Prefixes)
	require.True(t, x.mayAdvertise(delegated) && x.mayAdvertise(other))
	require.False(t, x.mayAdvertise("2001:db8:8000::/54"), "what no single delegation holds")
	// The short one is gone: the certificate claims more than is delegated.
	x.now = x.now.Add(199 * time.Second)
	acts = x.h.HandleLease(x.now, leased(delegated), ErrExpired, nil)
	require.ErrorIs(t, only(t, acts, ActionCertificateLost).Err, ErrExpired)
	require.False(t, x.mayAdvertise(delegated))
}

// Case 1: a prefix less or more needs another certificate, at once.
func TestPrefixesThatChangeLeadToAnotherEnrolment(t *testing.T) {
	const other = "2001:db8:8000:200::/56"
	for name, planned := range map[string]bool{"certificate for all of the delegation": false, "next enrolment planned": true} {
		t.Run(name, func(t *testing.T) {
			certified := func(prefixes ...string) *holderTest {
				x := newHolderTest(t)
				id := only(t, x.reply(pointer(), leased(prefixes...)...), ActionEnroll).ID
				end := start.Add(leaseTime)
				if planned {
					end = start.Add(leaseTime / 2)
				}
				only(t, x.enrolled(id, x.cert(end, prefixes...)), ActionCertified)
				x.now = x.now.Add(time.Second)
				return x
			}
			soon := func(x *holderTest, acts []Action) Action {
				t.Helper()
				if !slices.Contains(kinds(acts), ActionEnroll) {
					require.Equal(t, x.now, x.deadline(), "the enrolment is not due")
					acts = x.fire()
				}
				return only(t, acts, ActionEnroll)
			}
			x := certified(delegated)
			enroll := soon(x, x.reply(pointer(), leased(delegated, other)...))
			require.Equal(t, []netip.Prefix{prefix(delegated), prefix(other)}, enroll.Prefixes)
			require.True(t, x.mayAdvertise(delegated), "the one before still holds")
			require.False(t, x.mayAdvertise(other))

			x = certified(delegated, other)
			acts := x.h.HandleLease(x.now, leased(delegated), ErrExpired, nil)
			only(t, acts, ActionCertificateLost)
			require.Equal(t, []netip.Prefix{prefix(delegated)}, soon(x, acts).Prefixes)
		})
	}
}

// Case 1: when the lease is extended, so is the certificate, while the one in hand
// is in use.
func TestCertificateIsRenewedWithTheLease(t *testing.T) {
	x := newHolderTest(t)
	id := only(t, x.reply(pointer(), leased(delegated)...), ActionEnroll).ID
	x.enrolled(id, x.cert(start.Add(leaseTime), delegated))
	x.now = x.now.Add(1000 * time.Second)
	enroll := only(t, x.reply(pointer(), leased(delegated)...), ActionEnroll)
	require.Equal(t, x.now.Add(leaseTime), enroll.NotAfter)
	x.requireState(HolderCertified)
	require.True(t, x.mayAdvertise(delegated))
	next := x.cert(x.now.Add(leaseTime), delegated)
	require.Equal(t, next, only(t, x.enrolled(enroll.ID, next), ActionCertified).Certificate)
	until, _ := x.h.MayAdvertise(x.now, prefix(delegated))
	require.Equal(t, x.now.Add(leaseTime), until)
}

// Case 2: the certificate of each Reply replaces the one before; the same one again
// is no news.
func TestCase2CertificateIsReplaced(t *testing.T) {
	x := newHolderTest(t)
	first := x.cert(start.Add(leaseTime), delegated)
	only(t, x.reply(certopt.Options{Certificate: first}, leased(delegated)...), ActionCertified)
	require.Empty(t, x.reply(certopt.Options{Certificate: first}, leased(delegated)...))
	x.now = x.now.Add(1000 * time.Second)
	second := x.cert(x.now.Add(leaseTime), delegated)
	require.Equal(t, second, only(t, x.reply(certopt.Options{Certificate: second}, leased(delegated)...), ActionCertified).Certificate)
	require.Equal(t, x.now.Add(leaseTime), x.deadline())
}

// A bad certificate does not take the good one away.
func TestRejectedCertificateLeavesTheOneInHand(t *testing.T) {
	x := newHolderTest(t)
	x.certify()
	bad := trustAnchor().router(strangerKey().Public(), routerDUID, start, start.Add(leaseTime), prefix(delegated))
	require.Equal(t, []ActionKind{ActionCertificateRejected}, kinds(x.reply(certopt.Options{Certificate: bad}, leased(delegated)...)))
	require.True(t, x.mayAdvertise(delegated))
}

// A certificate server may allow less time than the delegation has: the next
// certificate is asked for when a third of this one is left, and the one in hand
// is used until it ends, whatever becomes of that.
func TestShortCertificateIsRenewedBeforeItEnds(t *testing.T) {
	x := newHolderTest(t)
	id := only(t, x.reply(pointer(), leased(delegated)...), ActionEnroll).ID
	x.enrolled(id, x.cert(start.Add(900*time.Second), delegated))
	enroll := only(t, x.fire(), ActionEnroll)
	require.Equal(t, start.Add(600*time.Second), x.now)
	x.requireState(HolderCertified)
	_, err := x.h.HandleEnrollFailed(x.now, enroll.ID, nil)
	require.NoError(t, err)
	var lost []Action
	for range 100 {
		acts := x.fire()
		if i := slices.IndexFunc(acts, func(a Action) bool { return a.Kind == ActionCertificateLost }); i >= 0 {
			lost = acts[i:]
			break
		}
		require.True(t, x.mayAdvertise(delegated))
	}
	require.NotEmpty(t, lost)
	require.ErrorIs(t, lost[0].Err, ErrExpired)
	require.Equal(t, start.Add(900*time.Second), x.now)
	require.NotEqual(t, HolderIdle, x.h.State(), "it goes on trying")
}

// A delegation that was extended without a word of the CA outlives the certificate:
// the CA that is known is asked for the next one.
func TestCertificateThatExpiresIsEnrolledForAgain(t *testing.T) {
	x := newHolderTest(t)
	id := only(t, x.reply(pointer(), leased(delegated)...), ActionEnroll).ID
	x.enrolled(id, x.cert(start.Add(leaseTime), delegated))
	x.now = x.now.Add(1000 * time.Second)
	require.Empty(t, x.reply(certopt.Options{}, leased(delegated)...))
	acts := x.fire()
	require.Equal(t, start.Add(leaseTime), x.now)
	require.Equal(t, []ActionKind{ActionCertificateLost, ActionEnroll}, kinds(acts))
	require.Equal(t, start.Add(leaseTime+1000*time.Second), acts[1].NotAfter)
}

// An enrolment ends with the delegation.
func TestEnrolmentEndsWithTheDelegation(t *testing.T) {
	for name, to := range map[string]func(x *holderTest){
		"under way": func(*holderTest) {},
		"backoff":   func(x *holderTest) { x.fire() },
	} {
		t.Run(name, func(t *testing.T) {
			x := newHolderTest(t)
			x.reply(pointer(), leased(delegated)...)
			to(x)
			require.Empty(t, x.h.HandleLease(x.now, nil, ErrExpired, nil))
			x.requireState(HolderIdle)
			_, armed := x.h.Deadline()
			require.False(t, armed)
		})
	}
}

// A Reply with both: the certificate is taken, and the pointer has nothing to add.
func TestReplyWithCertificateAndPointer(t *testing.T) {
	x := newHolderTest(t)
	o := pointer()
	o.Certificate = x.cert(start.Add(leaseTime), delegated)
	require.Equal(t, []ActionKind{ActionCertified}, kinds(x.reply(o, leased(delegated)...)))

	x = newHolderTest(t)
	o.Certificate = trustAnchor().router(strangerKey().Public(), routerDUID, start, start.Add(leaseTime), prefix(delegated))
	require.Equal(t, []ActionKind{ActionCertificateRejected, ActionEnroll}, kinds(x.reply(o, leased(delegated)...)),
		"the pointer helps where the certificate does not")
}

func TestAppendOptions(t *testing.T) {
	head := []byte("head")
	t.Run("Case 1 appends nothing", func(t *testing.T) {
		x := newHolderTest(t)
		b, err := x.h.AppendOptions(bytes.Clone(head), [3]byte{1, 2, 3}, serverDUID)
		require.NoError(t, err)
		require.Equal(t, head, b)
	})
	t.Run("Case 2 appends key and proof", func(t *testing.T) {
		x := newHolderTest(t, func(c *HolderConfig) { c.OfferKey = true })
		b, err := x.h.AppendOptions(bytes.Clone(head), [3]byte{1, 2, 3}, serverDUID)
		require.NoError(t, err)
		require.Equal(t, head, b[:len(head)])
		o, err := certopt.Codec{}.Find(b[len(head):])
		require.NoError(t, err)
		require.NoError(t, certopt.VerifyKeyProof(o.KeyProof, spki(routerKey()), certopt.Statement{
			TransactionID: [3]byte{1, 2, 3}, ClientDUID: routerDUID, ServerDUID: serverDUID,
		}))
	})
	t.Run("a key that fails leaves b as it came", func(t *testing.T) {
		x := newHolderTest(t, func(c *HolderConfig) {
			c.OfferKey, c.Key = true, &countingSigner{Signer: routerKey(), broken: true}
		})
		b, err := x.h.AppendOptions(bytes.Clone(head), [3]byte{1, 2, 3}, serverDUID)
		require.ErrorIs(t, err, errSigner)
		require.Equal(t, head, b)
	})
}

func TestAppendRequestedDoesNotRepeatACode(t *testing.T) {
	x := newHolderTest(t)
	require.Equal(t, []uint16{82, 65003, 65001, 65005}, x.h.AppendRequested([]uint16{82, 65003}))
}
