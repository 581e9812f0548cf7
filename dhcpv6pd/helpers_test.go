package dhcpv6pd

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"dhcpsec.example/internal/dhcp6"
	"dhcpsec.example/x509ip"
	"github.com/stretchr/testify/require"
)

// start is when every test begins: any whole second would do, since that is what
// a certificate can say.
var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

var (
	routerDUID = []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1}
	serverDUID = []byte{0, 2, 0, 0, 0x7e, 0xd9, 'd', 'r', '0', '1'}
	otherDUID  = []byte{0, 2, 0, 0, 0x7e, 0xd9, 'd', 'r', '0', '2'}
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// seeded is a source of randomness that gives the same numbers in every run.
func seeded(seed uint64) rand.Source { return rand.NewPCG(seed, 0) }

// Keys are costly, so that all tests share two: the requesting router's, and
// that of somebody else.
var (
	routerKey   = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(crand.Reader, 2048)) })
	strangerKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(crand.Reader, 2048)) })
)

// spki is the DER SubjectPublicKeyInfo of a key.
func spki(key crypto.Signer) []byte { return must(x509.MarshalPKIXPublicKey(key.Public())) }

// testCA is a certification authority that is valid for a century around start.
type testCA struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// trustAnchor is the CA that hosts and routers trust, for all of 2001:db8::/32.
var trustAnchor = sync.OnceValue(func() testCA { return newTrustAnchor("Trust anchor", prefix("2001:db8::/32")) })

// newTrustAnchor makes a CA that signs itself.
func newTrustAnchor(name string, prefixes ...netip.Prefix) testCA {
	return testCA{}.authority(name, prefixes...)
}

// authority makes a CA below ca, whether or not ca has the prefixes to give.
func (ca testCA) authority(name string, prefixes ...netip.Prefix) testCA {
	key := must(ecdsa.GenerateKey(elliptic.P256(), crand.Reader))
	template := must(x509ip.AuthorityCertificate(key.Public(), name, must(x509ip.FromPrefixes(prefixes...)),
		big.NewInt(1), start.AddDate(-50, 0, 0), start.AddDate(50, 0, 0)))
	if ca.cert == nil {
		ca = testCA{cert: template, key: key}
	}
	return testCA{cert: must(x509.ParseCertificate(ca.sign(key.Public(), template))), key: key}
}

// sign makes a certificate for pub from a template.
func (ca testCA) sign(pub crypto.PublicKey, template *x509.Certificate) []byte {
	return must(x509.CreateCertificate(crand.Reader, template, ca.cert, pub, ca.key))
}

// template is what router signs, for a test to spoil.
func (ca testCA) template(pub crypto.PublicKey, duid []byte, notBefore, notAfter time.Time, prefixes ...netip.Prefix) *x509.Certificate {
	return must(x509ip.RouterCertificate(pub, duid, must(x509ip.FromPrefixes(prefixes...)), big.NewInt(2), notBefore, notAfter))
}

// router makes a Router Authorization Certificate (RFC 6494 appendix A).
func (ca testCA) router(pub crypto.PublicKey, duid []byte, notBefore, notAfter time.Time, prefixes ...netip.Prefix) []byte {
	return ca.sign(pub, ca.template(pub, duid, notBefore, notAfter, prefixes...))
}

// A part adds options to a message under construction.
type part func(w *dhcp6.Builder)

// message builds a client/server message.
func message(t testing.TB, typ dhcp6.MessageType, xid dhcp6.TransactionID, parts ...part) []byte {
	t.Helper()
	w := dhcp6.NewBuilder(nil, typ, xid)
	for _, p := range parts {
		p(&w)
	}
	b, err := w.Bytes()
	require.NoError(t, err, "building a %v", typ)
	return b
}

// answerTo builds what server says to a client's message: with the transaction
// id and the Client Identifier of that message, then the parts.
func answerTo(t testing.TB, client []byte, typ dhcp6.MessageType, server []byte, parts ...part) []byte {
	t.Helper()
	m := parsed(t, client)
	id, ok := m.Options.ClientID()
	require.True(t, ok, "the %v has no Client Identifier", m.Type)
	return message(t, typ, m.TransactionID, append([]part{
		option(dhcp6.OptionClientID, id), option(dhcp6.OptionServerID, server),
	}, parts...)...)
}

func option(code uint16, data []byte) part {
	return func(w *dhcp6.Builder) { w.Option(code, data) }
}

func preference(v uint8) part {
	return func(w *dhcp6.Builder) { w.OptionUint8(dhcp6.OptionPreference, v) }
}

func solMaxRT(seconds uint32) part {
	return func(w *dhcp6.Builder) { w.OptionUint32(dhcp6.OptionSolMaxRT, seconds) }
}

func rapidCommit() part { return option(dhcp6.OptionRapidCommit, nil) }

func oro(codes ...uint16) part {
	return func(w *dhcp6.Builder) { w.ORO(codes...) }
}

func status(code dhcp6.StatusCode) part {
	return func(w *dhcp6.Builder) { w.Status(code, "said the server") }
}

// iaPD is an IA_PD with what is in it; T1 and T2 are in seconds.
func iaPD(iaid, t1, t2 uint32, parts ...part) part {
	return func(w *dhcp6.Builder) {
		w.BeginIAPD(iaid, t1, t2)
		for _, p := range parts {
			p(w)
		}
		w.End()
	}
}

// iaPrefix is an IA Prefix, not masked; the lifetimes are in seconds.
func iaPrefix(p string, preferred, valid uint32) part {
	return func(w *dhcp6.Builder) { w.IAPrefix(preferred, valid, prefix(p)) }
}

// raw is whole options.
func raw(options []byte) part {
	return func(w *dhcp6.Builder) { w.Raw(options) }
}

// parsed is a client/server message that must parse.
func parsed(t testing.TB, b []byte) dhcp6.Message {
	t.Helper()
	m, err := dhcp6.ParseMessage(b)
	require.NoError(t, err, "the message does not parse")
	return m
}

// prefixesOf is the prefixes in each IA_PD of a message, by IAID.
func prefixesOf(t testing.TB, m dhcp6.Message) map[uint32][]netip.Prefix {
	t.Helper()
	all := make(map[uint32][]netip.Prefix)
	for ia, err := range m.Options.IAPDs() {
		require.NoError(t, err)
		require.NotContains(t, all, ia.IAID, "two IA_PDs with one IAID")
		all[ia.IAID] = nil
		for p, err := range ia.Prefixes() {
			require.NoError(t, err)
			all[ia.IAID] = append(all[ia.IAID], p.Prefix)
		}
	}
	return all
}

// taken copies the actions that a machine returned and then does what a caller
// may do: it overwrites the Data that was lent to it. What a machine still needs
// must not be there.
func taken(acts []Action) []Action {
	out := make([]Action, len(acts))
	for i := range acts {
		out[i] = acts[i].Clone()
		poison(acts[i].Data)
	}
	return out
}

// poison overwrites octets that nobody may rely on any more.
func poison(b []byte) {
	for i := range b {
		b[i] = 0xa5
	}
}

// kinds is what the actions are, in their order.
func kinds(acts []Action) []ActionKind {
	out := make([]ActionKind, len(acts))
	for i, a := range acts {
		out[i] = a.Kind
	}
	return out
}

// only is the one action of this kind.
func only(t testing.TB, acts []Action, kind ActionKind) Action {
	t.Helper()
	var found []Action
	for _, a := range acts {
		if a.Kind == kind {
			found = append(found, a)
		}
	}
	require.Len(t, found, 1, "%v actions among %v", kind, kinds(acts))
	return found[0]
}

// none checks that no action is of this kind.
func none(t testing.TB, acts []Action, kind ActionKind) {
	t.Helper()
	require.NotContains(t, kinds(acts), kind)
}

// requireDrop checks that an input was ignored, and for which reason.
func requireDrop(t testing.TB, reason Reason, err error) {
	t.Helper()
	drop, ok := errors.AsType[*DropError](err)
	require.True(t, ok, "not a *DropError: %v", err)
	require.Equal(t, reason, drop.Reason, "dropped for %v", drop.Reason)
}
