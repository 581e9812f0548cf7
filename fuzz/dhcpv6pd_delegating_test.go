package fuzz

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/x509"
	"errors"
	"maps"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"dhcpsec.example/certopt"
	"dhcpsec.example/dhcpv6pd"
	"dhcpsec.example/internal/dhcp6"
	"dhcpsec.example/x509ip"
	"github.com/stretchr/testify/require"
)

// FuzzDelegatingRouter takes its input as a sequence of operations: messages of
// a few clients, answers to actions in any order (good, bad, late or never), and
// time passing. Beside the machine stand a pool and a list of certificates that
// believe what the actions say, and are checked at each step and at the end.
func FuzzDelegatingRouter(f *testing.F) {
	f.Add([]byte{})
	// Solicit, Request with key, allocation, certificate, commit, Renew, Release.
	f.Add([]byte{0, 0, 6, 0, 1, 0, 6, 0, 7, 0, 8, 0, 2, 0, 7, 0, 8, 0, 4, 0})
	// A Request whose client goes on asking while nobody answers.
	f.Add([]byte{1, 4, 1, 4, 1, 4, 11, 9, 1, 4, 11, 255})
	// Certificate server and store fail in turn.
	f.Add([]byte{1, 0, 6, 0, 7, 1, 1, 0, 6, 0, 7, 0, 8, 1})
	for seed := range uint64(40) { // long mixtures
		rng := rand.New(rand.NewPCG(seed, 1))
		ops := make([]byte, 300)
		for i := range ops {
			ops[i] = byte(rng.Uint32())
		}
		f.Add(ops)
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		w := newDelegatingWorld(t)
		for len(ops) >= 2 && w.steps < 400 {
			w.step(ops[0], ops[1])
			ops = ops[2:]
			w.steps++
		}
		w.finish()
	})
}

// delegatingWorld is a DelegatingRouter and all that its caller keeps.
type delegatingWorld struct {
	t       *testing.T
	d       *dhcpv6pd.DelegatingRouter
	now     time.Time
	steps   int
	xid     byte
	pending []dhcpv6pd.Action // awaiting an answer, oldest first
	pool    map[netip.Prefix]bool
	next    byte
	valid   []issuedCert
	stored  map[storedKey]bool
}

type issuedCert struct {
	der      []byte
	notAfter time.Time
	revoked  bool
}

type storedKey struct {
	duid string
	iaid uint32
}

var delegatingServerDUID = []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 0xff}

// delegatingKeys are two clients' keys and the authority's: the machine is the
// subject here, so they are of the cheapest kind.
var delegatingKeys = sync.OnceValue(func() [3]*ecdsa.PrivateKey {
	var keys [3]*ecdsa.PrivateKey
	for i := range keys {
		keys[i], _ = ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	}
	return keys
})

func newDelegatingWorld(t *testing.T) *delegatingWorld {
	d, err := dhcpv6pd.NewDelegatingRouter(dhcpv6pd.DelegatingRouterConfig{
		DUID:            delegatingServerDUID,
		RapidCommit:     true,
		MaxBindings:     5,
		MaxTransactions: 4,
		MaxIAs:          3,
		Registrar: dhcpv6pd.RegistrarConfig{
			CAPointer: "http://[2001:db8::1]/", Certify: true, AllowAnyKey: true, MaxClients: 4,
		},
	})
	require.NoError(t, err)
	return &delegatingWorld{
		t: t, d: d, now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
		pool: map[netip.Prefix]bool{}, stored: map[storedKey]bool{},
	}
}

func (w *delegatingWorld) step(op, arg byte) {
	switch op % 12 {
	case 0, 1, 2, 3, 4, 5: // a client's message; the operation picks the type
		types := []dhcp6.MessageType{dhcp6.Solicit, dhcp6.Request, dhcp6.Renew, dhcp6.Rebind, dhcp6.Release, dhcp6.Request}
		pkt := w.message(types[op%12], arg)
		acts, err := w.d.HandleMessage(w.now, netip.MustParseAddrPort("[fe80::1]:546"), pkt, nil)
		w.dropOnly(err)
		clear(pkt)
		w.perform(acts)
	case 6, 7, 8, 9: // answer one of what is pending; the operation says how well
		if len(w.pending) > 0 {
			i := int(arg>>2) % len(w.pending)
			a := w.pending[i]
			w.pending = slices.Delete(w.pending, i, i+1)
			w.answer(a, op%12 != 9 && arg%4 != 1)
		}
	case 10: // the operator takes a prefix back
		w.perform(w.d.Reclaim(w.now, w.duid(arg), uint32(arg>>1%3), nil))
	case 11: // time passes: to the deadline, or by as many seconds as are asked for
		if deadline, ok := w.d.Deadline(); ok && arg%2 == 0 && deadline.After(w.now) {
			w.now = deadline
		} else {
			w.now = w.now.Add(time.Duration(arg) * time.Second)
		}
		w.timeout()
	}
	require.LessOrEqual(w.t, w.d.Bindings(), 5)
}

func (w *delegatingWorld) duid(arg byte) []byte { return []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, arg % 2} }

// message is a client's: who, which IA_PDs and which key is up to arg.
func (w *delegatingWorld) message(typ dhcp6.MessageType, arg byte) []byte {
	if arg%4 != 3 {
		w.xid++ // otherwise a retransmission, perhaps
	}
	b := dhcp6.NewBuilder(nil, typ, dhcp6.TransactionID{0, 0, w.xid})
	b.Option(dhcp6.OptionClientID, w.duid(arg))
	if typ != dhcp6.Solicit && typ != dhcp6.Rebind {
		b.Option(dhcp6.OptionServerID, delegatingServerDUID)
	}
	if typ == dhcp6.Solicit && arg&4 != 0 {
		b.Option(dhcp6.OptionRapidCommit, nil)
	}
	for iaid := range uint32(3) {
		if (arg>>1)%3 == byte(iaid) || arg&64 != 0 {
			b.BeginIAPD(iaid, 0, 0)
			for _, p := range slices.SortedFunc(maps.Keys(w.pool), netip.Prefix.Compare) {
				b.IAPrefix(0, 0, p)
			}
			b.End()
		}
	}
	if arg&8 != 0 {
		b.ORO(65001)
	}
	var options []byte
	if arg&16 != 0 {
		key := delegatingKeys()[arg>>5&1]
		spki, _ := x509.MarshalPKIXPublicKey(key.Public())
		about := certopt.Statement{TransactionID: [3]byte{0, 0, w.xid}, ClientDUID: w.duid(arg), ServerDUID: delegatingServerDUID}
		if typ == dhcp6.Solicit || typ == dhcp6.Rebind {
			about.ServerDUID = nil
		}
		if arg&128 != 0 {
			about.TransactionID[0] = 1 // a proof of something else
		}
		proof, err := certopt.SignKeyProof(nil, key, nil, about)
		require.NoError(w.t, err)
		options, err = certopt.Codec{}.Append(nil, certopt.Options{PublicKey: spki, KeyProof: proof})
		require.NoError(w.t, err)
	}
	b.Raw(options)
	pkt, err := b.Bytes()
	require.NoError(w.t, err)
	return pkt
}

// perform believes the actions, and checks that they can be believed.
func (w *delegatingWorld) perform(acts []dhcpv6pd.Action) {
	for _, a := range acts {
		switch a.Kind {
		case dhcpv6pd.ActionAllocate, dhcpv6pd.ActionIssue, dhcpv6pd.ActionNotifyCA, dhcpv6pd.ActionCommit:
			require.NotZero(w.t, a.ID)
			if a.Kind == dhcpv6pd.ActionIssue {
				require.False(w.t, a.NotAfter.Before(w.now.Truncate(time.Second)), "a certificate that ended already")
			}
			if a.Kind == dhcpv6pd.ActionCommit {
				for _, ia := range a.IAs {
					w.stored[storedKey{string(a.DUID), ia.IAID}] = true
				}
			}
			w.pending = append(w.pending, a.Clone())
		case dhcpv6pd.ActionFree:
			for _, ia := range a.IAs {
				for _, p := range ia.Prefixes {
					require.True(w.t, w.pool[p.Prefix], "%v freed, but not allocated", p.Prefix)
					delete(w.pool, p.Prefix)
				}
			}
		case dhcpv6pd.ActionForget:
			for _, ia := range a.IAs {
				key := storedKey{string(a.DUID), ia.IAID}
				require.True(w.t, w.stored[key], "forgotten, but not stored")
				delete(w.stored, key)
			}
		case dhcpv6pd.ActionRevoke:
			i := slices.IndexFunc(w.valid, func(c issuedCert) bool { return bytes.Equal(c.der, a.Certificate) })
			require.GreaterOrEqual(w.t, i, 0, "revoked, but not issued")
			require.False(w.t, w.valid[i].revoked, "revoked twice")
			w.valid[i].revoked = true
		case dhcpv6pd.ActionSend:
			w.checkSent(a.Data)
		case dhcpv6pd.ActionWithdrawCA:
		default:
			w.t.Fatalf("a delegating router has no use for %v", a.Kind)
		}
	}
}

// checkSent holds a certificate against the delegation that it travels with.
func (w *delegatingWorld) checkSent(data []byte) {
	m, err := dhcp6.ParseMessage(data)
	require.NoError(w.t, err)
	opts, err := certopt.Codec{}.Find(m.Options)
	require.NoError(w.t, err)
	if opts.Certificate == nil {
		return
	}
	cert, err := x509.ParseCertificate(opts.Certificate)
	require.NoError(w.t, err)
	resources, err := x509ip.FromCertificate(cert)
	require.NoError(w.t, err)
	var delegated []netip.Prefix
	for ia, err := range m.Options.IAPDs() {
		require.NoError(w.t, err)
		for p, err := range ia.Prefixes() {
			require.NoError(w.t, err)
			delegated = append(delegated, p.Prefix)
			require.True(w.t, w.pool[p.Prefix], "delegated, but not allocated")
			require.False(w.t, cert.NotAfter.After(w.now.Add(time.Duration(p.Valid)*time.Second)), "the certificate outlives the delegation")
		}
	}
	want, err := x509ip.FromPrefixes(delegated...)
	require.NoError(w.t, err)
	require.True(w.t, resources.Equal(want), "the certificate is for %v, the delegation %v", resources, want)
	i := slices.IndexFunc(w.valid, func(c issuedCert) bool { return bytes.Equal(c.der, opts.Certificate) })
	require.GreaterOrEqual(w.t, i, 0)
	require.False(w.t, w.valid[i].revoked, "a revoked certificate was sent")
}

// answer answers an action, well or badly.
func (w *delegatingWorld) answer(a dhcpv6pd.Action, well bool) {
	var acts []dhcpv6pd.Action
	var err error
	switch a.Kind {
	case dhcpv6pd.ActionAllocate:
		var ias []dhcpv6pd.IA
		for _, ia := range a.IAs {
			if well {
				w.next++
				p := netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0x80, w.next}), 56)
				ias = append(ias, dhcpv6pd.IA{IAID: ia.IAID, Prefixes: []dhcpv6pd.Prefix{{Prefix: p, Preferred: 30 * time.Second, Valid: 40 * time.Second}}})
				w.pool[p] = true
			}
		}
		acts, err = w.d.HandleAllocated(w.now, a.ID, ias, nil)
		if err != nil || a.Tentative {
			for _, ia := range ias {
				delete(w.pool, ia.Prefixes[0].Prefix)
			}
		}
	case dhcpv6pd.ActionIssue:
		if !well {
			acts, err = w.d.HandleIssueFailed(w.now, a.ID, nil)
			break
		}
		der := w.certificate(a)
		w.valid = append(w.valid, issuedCert{der: der, notAfter: a.NotAfter})
		acts, err = w.d.HandleIssued(w.now, a.ID, der, nil, nil)
	case dhcpv6pd.ActionNotifyCA:
		acts, err = w.d.HandleNotified(w.now, a.ID, well, nil)
	case dhcpv6pd.ActionCommit:
		acts, err = w.d.HandleCommitted(w.now, a.ID, well, nil)
	}
	w.dropOnly(err)
	w.perform(acts)
}

func (w *delegatingWorld) certificate(a dhcpv6pd.Action) []byte {
	pub, err := x509.ParsePKIXPublicKey(a.Key)
	require.NoError(w.t, err)
	resources, err := x509ip.FromPrefixes(a.Prefixes...)
	require.NoError(w.t, err)
	serial := big.NewInt(int64(a.ID))
	template, err := x509ip.RouterCertificate(pub, a.DUID, resources, serial, a.NotBefore, a.NotAfter)
	require.NoError(w.t, err)
	var signer crypto.Signer = delegatingKeys()[2]
	der, err := x509.CreateCertificate(crand.Reader, template, &x509.Certificate{Subject: template.Subject, PublicKey: signer.Public()}, pub, signer)
	require.NoError(w.t, err)
	return der
}

// timeout calls HandleTimeout until nothing is due.
func (w *delegatingWorld) timeout() {
	for range 100 {
		deadline, ok := w.d.Deadline()
		if !ok || deadline.After(w.now) {
			return
		}
		w.perform(w.d.HandleTimeout(w.now, nil))
	}
	w.t.Fatal("HandleTimeout does not come to an end")
}

// finish lets everything run out: nothing may remain anywhere.
func (w *delegatingWorld) finish() {
	for range 1000 {
		deadline, ok := w.d.Deadline()
		if !ok {
			break
		}
		if deadline.After(w.now) {
			w.now = deadline
		}
		w.timeout()
	}
	_, ok := w.d.Deadline()
	require.False(w.t, ok, "something waits for ever")
	require.Zero(w.t, w.d.Bindings())
	for _, a := range w.pending { // all too late
		w.answer(a, true)
	}
	require.Empty(w.t, w.pool, "prefixes that nobody has and nobody freed")
	require.Empty(w.t, w.stored, "bindings stored that are over")
	for _, c := range w.valid {
		require.True(w.t, c.revoked || !c.notAfter.After(w.now), "a certificate is valid for what is not delegated")
	}
	acts, err := w.d.HandleMessage(w.now, netip.MustParseAddrPort("[fe80::1]:546"), w.message(dhcp6.Solicit, 0), nil)
	require.NoError(w.t, err, "the machine must still serve")
	require.Len(w.t, acts, 1)
}

func (w *delegatingWorld) dropOnly(err error) {
	if err != nil {
		_, ok := errors.AsType[*dhcpv6pd.DropError](err)
		require.True(w.t, ok, "not a *DropError: %v", err)
	}
}
