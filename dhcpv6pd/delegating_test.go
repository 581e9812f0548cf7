package dhcpv6pd

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"dhcpsec.example/certopt"
	"dhcpsec.example/internal/dhcp6"
	"github.com/stretchr/testify/require"
)

var (
	fromClient = netip.MustParseAddrPort("[fe80::1%eth0]:40546")
	pd56       = prefix("2001:db8:8000:100::/56")
	lifetime   = Prefix{Prefix: pd56, Preferred: 3000 * time.Second, Valid: 4000 * time.Second}
)

// server is a DelegatingRouter and the time at it.
type server struct {
	*DelegatingRouter
	t   testing.TB
	now time.Time
}

func newServer(t testing.TB, change func(*DelegatingRouterConfig)) *server {
	t.Helper()
	cfg := DelegatingRouterConfig{DUID: serverDUID}
	if change != nil {
		change(&cfg)
	}
	return &server{must(NewDelegatingRouter(cfg)), t, start}
}

// case1 and case2 configure the two cases.
func case1(cfg *DelegatingRouterConfig) { cfg.Registrar.CAPointer = caURI }
func case2(cfg *DelegatingRouterConfig) { cfg.Registrar.Certify = true }

// hears delivers a client's message, which must be accepted.
func (s *server) hears(pkt []byte) []Action {
	s.t.Helper()
	acts, err := s.HandleMessage(s.now, fromClient, pkt, nil)
	require.NoError(s.t, err)
	poison(pkt)
	return taken(acts)
}

// allocates answers an ActionAllocate with one prefix for each IA.
func (s *server) allocates(a Action, prefixes ...Prefix) []Action {
	s.t.Helper()
	require.Equal(s.t, ActionAllocate, a.Kind)
	var ias []IA
	for i, p := range prefixes {
		ias = append(ias, IA{a.IAs[i].IAID, []Prefix{p}})
	}
	return taken(must(s.HandleAllocated(s.now, a.ID, ias, nil)))
}

// issues answers an ActionIssue with what was asked for.
func (s *server) issues(a Action, key crypto.Signer) []Action {
	s.t.Helper()
	require.Equal(s.t, ActionIssue, a.Kind)
	cert := trustAnchor().router(key.Public(), a.DUID, a.NotBefore, a.NotAfter, a.Prefixes...)
	return taken(must(s.HandleIssued(s.now, a.ID, cert, nil, nil)))
}

func (s *server) commits(a Action) []Action {
	s.t.Helper()
	require.Equal(s.t, ActionCommit, a.Kind)
	return taken(must(s.HandleCommitted(s.now, a.ID, true, nil)))
}

// asks is a message of the client with one IA_PD.
func asks(t testing.TB, typ dhcp6.MessageType, xid byte, parts ...part) []byte {
	t.Helper()
	all := []part{option(dhcp6.OptionClientID, routerDUID)}
	switch typ {
	case dhcp6.Request, dhcp6.Renew, dhcp6.Release:
		all = append(all, option(dhcp6.OptionServerID, serverDUID))
	}
	return message(t, typ, dhcp6.TransactionID{0, 0, xid}, append(all, parts...)...)
}

// offers offers a public key with the proof for a message of asks.
func offers(t testing.TB, key crypto.Signer, typ dhcp6.MessageType, xid byte) part {
	t.Helper()
	about := certopt.Statement{TransactionID: [3]byte{0, 0, xid}, ClientDUID: routerDUID}
	if typ != dhcp6.Rebind && typ != dhcp6.Solicit {
		about.ServerDUID = serverDUID
	}
	proof := must(certopt.SignKeyProof(nil, key, nil, about))
	return raw(must(certopt.Codec{}.Append(nil, certopt.Options{PublicKey: spki(key), KeyProof: proof})))
}

// bareKey offers a public key and nothing else, as on the slides.
func bareKey(key crypto.Signer) part {
	return raw(must(certopt.Codec{}.Append(nil, certopt.Options{PublicKey: spki(key)})))
}

// sent is the message in the one ActionSend, and its certificate options.
func sent(t testing.TB, acts []Action) (dhcp6.Message, certopt.Options) {
	t.Helper()
	m := parsed(t, only(t, acts, ActionSend).Data)
	return m, must(certopt.Codec{}.Find(m.Options))
}

// iaStatus is the status inside the one IA_PD of a message.
func iaStatus(t testing.TB, m dhcp6.Message) dhcp6.StatusCode {
	t.Helper()
	for ia, err := range m.Options.IAPDs() {
		require.NoError(t, err)
		code, _ := ia.Options.Status()
		return code
	}
	t.Fatal("no IA_PD in the message")
	return 0
}

// delegates runs a whole Case 2 exchange.
func (s *server) delegates(xid byte) certopt.Options {
	s.t.Helper()
	acts := s.hears(asks(s.t, dhcp6.Request, xid, iaPD(1, 0, 0), offers(s.t, routerKey(), dhcp6.Request, xid)))
	acts = s.allocates(only(s.t, acts, ActionAllocate), lifetime)
	acts = s.issues(only(s.t, acts, ActionIssue), routerKey())
	_, opts := sent(s.t, s.commits(only(s.t, acts, ActionCommit)))
	require.NotNil(s.t, opts.Certificate)
	return opts.Clone()
}

func TestSolicitIsAnsweredWithATentativeOffer(t *testing.T) {
	s := newServer(t, func(c *DelegatingRouterConfig) { case1(c); c.Preference = 7 })
	acts := s.hears(asks(t, dhcp6.Solicit, 1, iaPD(1, 0, 0, iaPrefix("::/56", 0, 0)), oro(65001)))
	require.Equal(t, []ActionKind{ActionAllocate}, kinds(acts))
	require.True(t, acts[0].Tentative)
	require.Equal(t, routerDUID, acts[0].DUID)
	require.Equal(t, []IA{{1, []Prefix{{Prefix: prefix("::/56")}}}}, acts[0].IAs, "the hint reaches the allocator")

	acts = s.allocates(acts[0], lifetime)
	require.Equal(t, []ActionKind{ActionSend}, kinds(acts), "an Advertise delegates nothing: no commit, no word to the CA")
	m, opts := sent(t, acts)
	require.Equal(t, dhcp6.Advertise, m.Type)
	require.Equal(t, uint8(7), m.Options.Preference())
	require.Equal(t, caURI, string(opts.CAPointer), "the pointer in an Advertise is informative")
	require.Equal(t, []netip.Prefix{pd56}, prefixesOf(t, m)[1])
	require.Zero(t, s.Bindings())
	require.Equal(t, netip.MustParseAddrPort("[fe80::1%eth0]:546"), acts[0].To, "clients listen on 546 (RFC 8415 section 7.2)")
}

func TestCase1EachStepWaitsForTheOneBefore(t *testing.T) {
	s := newServer(t, case1)
	acts := s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), oro(65001)))
	require.Equal(t, []ActionKind{ActionAllocate}, kinds(acts))
	require.False(t, acts[0].Tentative)

	acts = s.allocates(acts[0], lifetime)
	require.Equal(t, []ActionKind{ActionNotifyCA}, kinds(acts), "the CA learns of the binding before the client can ask it")
	notify := acts[0]
	require.Equal(t, routerDUID, notify.DUID)
	require.Equal(t, []netip.Prefix{pd56}, notify.Prefixes)
	require.Equal(t, start.Add(4000*time.Second), notify.NotAfter)

	acts = taken(must(s.HandleNotified(s.now, notify.ID, true, nil)))
	require.Equal(t, []ActionKind{ActionCommit}, kinds(acts))
	commit := acts[0]
	require.Equal(t, []IA{{1, []Prefix{lifetime}}}, commit.IAs)
	require.Equal(t, start.Add(4012*time.Second), commit.NotAfter, "with the time that the answer may take")
	require.Zero(t, s.Bindings(), "nothing is delegated before it is stored")

	acts = s.commits(commit)
	require.Equal(t, []ActionKind{ActionSend}, kinds(acts))
	m, opts := sent(t, acts)
	require.Equal(t, dhcp6.Reply, m.Type)
	require.Equal(t, caURI, string(opts.CAPointer))
	require.Nil(t, opts.Certificate)
	for ia := range m.Options.IAPDs() {
		require.Equal(t, [2]uint32{1500, 2400}, [2]uint32{ia.T1, ia.T2}, "0.5 and 0.8 of the shortest preferred lifetime")
	}
	require.Equal(t, 1, s.Bindings())
}

func TestCase1ReplyGoesOutEvenIfTheCACannotBeTold(t *testing.T) {
	for name, answer := range map[string]func(*server, ID) []Action{
		"refused": func(s *server, id ID) []Action { return must(s.HandleNotified(s.now, id, false, nil)) },
		"silent": func(s *server, _ ID) []Action {
			s.now = must2(s.Deadline())
			return s.HandleTimeout(s.now, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, case1)
			acts := s.allocates(s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), oro(65001)))[0], lifetime)
			acts = taken(answer(s, only(t, acts, ActionNotifyCA).ID))
			_, opts := sent(t, s.commits(only(t, acts, ActionCommit)))
			require.Equal(t, caURI, string(opts.CAPointer))
			require.Equal(t, uint64(1), s.Stats()[ReasonNotify])

			acts = s.hears(asks(t, dhcp6.Request, 2, iaPD(1, 0, 0), oro(65001)))
			require.Equal(t, []ActionKind{ActionNotifyCA}, kinds(acts), "the next Request tries again to tell the CA")
		})
	}
}

func must2(t time.Time, ok bool) time.Time {
	if !ok {
		panic("no deadline")
	}
	return t
}

// RFC 8415 section 21.7: "Other top-level options MUST appear in the Option
// Request option or they will not be sent by the server".
func TestRFC8415_21_7_PointerOnlyIfRequested(t *testing.T) {
	s := newServer(t, case1)
	acts := s.allocates(s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), oro(82)))[0], lifetime)
	require.Equal(t, []ActionKind{ActionCommit}, kinds(acts), "nobody asked for the CA")
	_, opts := sent(t, s.commits(acts[0]))
	require.Equal(t, certopt.Options{}, opts)
}

func TestCase2EachStepWaitsForTheOneBefore(t *testing.T) {
	s := newServer(t, func(c *DelegatingRouterConfig) { case2(c); c.Registrar.Backdate = time.Minute })
	s.now = start.Add(300 * time.Millisecond)
	acts := s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), offers(t, routerKey(), dhcp6.Request, 1), oro(65003, 65005)))
	acts = s.allocates(only(t, acts, ActionAllocate), lifetime)
	require.Equal(t, []ActionKind{ActionIssue}, kinds(acts))
	issue := acts[0]
	require.Equal(t, routerDUID, issue.DUID)
	require.Equal(t, spki(routerKey()), issue.Key)
	require.True(t, issue.Proven)
	require.Equal(t, []netip.Prefix{pd56}, issue.Prefixes)
	require.Equal(t, start.Add(-time.Minute), issue.NotBefore)
	require.Equal(t, start.Add(4000*time.Second), issue.NotAfter, "whole seconds, never past the delegation")

	s.now = s.now.Add(2 * time.Second)
	cert := trustAnchor().router(routerKey().Public(), routerDUID, issue.NotBefore, issue.NotAfter, pd56)
	acts = taken(must(s.HandleIssued(s.now, issue.ID, cert, [][]byte{trustAnchor().cert.Raw}, nil)))
	require.Equal(t, []ActionKind{ActionCommit}, kinds(acts))
	m, opts := sent(t, s.commits(acts[0]))
	require.Equal(t, cert, opts.Certificate, "certificate and prefix travel in the same Reply (slide 9)")
	require.Equal(t, [][]byte{trustAnchor().cert.Raw}, slices.Collect(opts.Chain.All()))
	require.Equal(t, []netip.Prefix{pd56}, prefixesOf(t, m)[1])
}

// Slide 8: "DHCP_REQUEST [DUID, key]" gets its certificate, though possession of
// the key is then not proven and must not be claimed (RFC 4210 section 5.2.8.4).
func TestSlide8BareKeyGetsItsCertificateUnproven(t *testing.T) {
	s := newServer(t, case2)
	acts := s.allocates(s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), bareKey(routerKey())))[0], lifetime)
	issue := only(t, acts, ActionIssue)
	require.False(t, issue.Proven)
	_, opts := sent(t, s.commits(only(t, s.issues(issue, routerKey()), ActionCommit)))
	require.NotNil(t, opts.Certificate)
	require.Nil(t, opts.Chain, "the chain was not asked for")
}

func TestWhatIsNotCertifiedFollowsTheFailurePolicy(t *testing.T) {
	ecKey := must(ecdsa.GenerateKey(elliptic.P256(), crand.Reader))
	fails := map[string]struct {
		change func(*RegistrarConfig)
		offer  func(t *testing.T) part
		fail   func(s *server, issue Action) []Action // nil: refused before it is issued
		reason Reason
	}{
		"proof of another transaction": {
			offer:  func(t *testing.T) part { return offers(t, routerKey(), dhcp6.Request, 99) },
			reason: ReasonKeyProof,
		},
		"no proof where it is required": {
			change: func(c *RegistrarConfig) { c.RequireKeyProof = true },
			offer:  func(*testing.T) part { return bareKey(routerKey()) },
			reason: ReasonKeyProof,
		},
		"key that SEND cannot use": {
			offer:  func(t *testing.T) part { return offers(t, ecKey, dhcp6.Request, 1) },
			reason: ReasonKey,
		},
		"CA refuses": {
			fail:   func(s *server, a Action) []Action { return must(s.HandleIssueFailed(s.now, a.ID, nil)) },
			reason: ReasonIssue,
		},
		"CA is silent": {
			fail: func(s *server, _ Action) []Action {
				s.now = must2(s.Deadline())
				return s.HandleTimeout(s.now, nil)
			},
			reason: ReasonIssue,
		},
		"CA certifies another key": {
			fail: func(s *server, a Action) []Action {
				cert := trustAnchor().router(strangerKey().Public(), a.DUID, a.NotBefore, a.NotAfter, a.Prefixes...)
				return must(s.HandleIssued(s.now, a.ID, cert, nil, nil))
			},
			reason: ReasonCertificate,
		},
		"CA certifies more prefixes": {
			fail: func(s *server, a Action) []Action {
				cert := trustAnchor().router(routerKey().Public(), a.DUID, a.NotBefore, a.NotAfter, prefix("2001:db8:8000::/40"))
				return must(s.HandleIssued(s.now, a.ID, cert, nil, nil))
			},
			reason: ReasonCertificate,
		},
		"CA certifies for a second too long": {
			fail: func(s *server, a Action) []Action {
				cert := trustAnchor().router(routerKey().Public(), a.DUID, a.NotBefore, a.NotAfter.Add(time.Second), a.Prefixes...)
				return must(s.HandleIssued(s.now, a.ID, cert, nil, nil))
			},
			reason: ReasonCertificate,
		},
		"CA returns garbage": {
			fail: func(s *server, a Action) []Action {
				return must(s.HandleIssued(s.now, a.ID, []byte{0x30, 0}, nil, nil))
			},
			reason: ReasonCertificate,
		},
	}
	for name, f := range fails {
		for policy := FailClosed; policy <= PrefixOnly; policy++ {
			t.Run(name+"/"+policy.String(), func(t *testing.T) {
				s := newServer(t, func(c *DelegatingRouterConfig) {
					case2(c)
					c.Registrar.OnFailure = policy
					if policy == DegradeToPointer {
						case1(c)
					}
					if f.change != nil {
						f.change(&c.Registrar)
					}
				})
				offer := offers(t, routerKey(), dhcp6.Request, 1)
				if f.offer != nil {
					offer = f.offer(t)
				}
				acts := s.allocates(s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), offer))[0], lifetime)
				if f.fail != nil {
					acts = taken(f.fail(s, only(t, acts, ActionIssue)))
				}
				none(t, acts, ActionIssue)
				require.Equal(t, uint64(1), s.Stats()[f.reason], "the reason is counted")
				if f.reason == ReasonCertificate {
					require.NotEmpty(t, only(t, acts, ActionRevoke).Certificate, "what the CA made must not stay valid")
				}
				switch policy {
				case FailClosed:
					require.Equal(t, []Prefix{lifetime}, only(t, acts, ActionFree).IAs[0].Prefixes)
					m, opts := sent(t, acts)
					require.Equal(t, certopt.Options{}, opts)
					require.Equal(t, dhcp6.NoPrefixAvail, iaStatus(t, m), "no prefix without certificate")
					require.Empty(t, prefixesOf(t, m)[1])
					require.Zero(t, s.Bindings())
				case DegradeToPointer:
					acts = taken(must(s.HandleNotified(s.now, only(t, acts, ActionNotifyCA).ID, true, nil)))
					m, opts := sent(t, s.commits(only(t, acts, ActionCommit)))
					require.Equal(t, caURI, string(opts.CAPointer))
					require.Nil(t, opts.Certificate)
					require.Equal(t, []netip.Prefix{pd56}, prefixesOf(t, m)[1])
				case PrefixOnly:
					m, opts := sent(t, s.commits(only(t, acts, ActionCommit)))
					require.Equal(t, certopt.Options{}, opts)
					require.Equal(t, []netip.Prefix{pd56}, prefixesOf(t, m)[1])
				}
			})
		}
	}
}

func TestAllowAnyKeyCertifiesAnECDSAKey(t *testing.T) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), crand.Reader))
	s := newServer(t, func(c *DelegatingRouterConfig) { case2(c); c.Registrar.AllowAnyKey = true })
	acts := s.allocates(s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), offers(t, key, dhcp6.Request, 1)))[0], lifetime)
	require.True(t, only(t, acts, ActionIssue).Proven)
}

// While an answer is pending, a retransmission starts nothing, and the answer
// carries the latest transaction id to the latest sender.
func TestRetransmissionJoinsThePendingRequest(t *testing.T) {
	s := newServer(t, func(c *DelegatingRouterConfig) { case2(c); c.ReplyToSourcePort = true })
	ask := func(xid byte, from string) []Action {
		t.Helper()
		pkt := asks(t, dhcp6.Request, xid, iaPD(1, 0, 0), offers(t, routerKey(), dhcp6.Request, xid))
		acts := must(s.HandleMessage(s.now, netip.MustParseAddrPort(from), pkt, nil))
		return taken(acts)
	}
	allocate := only(t, ask(1, "[fe80::1]:1"), ActionAllocate)
	require.Empty(t, ask(1, "[fe80::1]:2"), "while the allocation is pending")
	issue := only(t, s.allocates(allocate, lifetime), ActionIssue)
	require.Empty(t, ask(1, "[fe80::1]:3"), "while the certificate is pending")
	require.Empty(t, ask(2, "[fe80::1]:4"), "a client that started anew, with another transaction id")
	commit := only(t, s.issues(issue, routerKey()), ActionCommit)
	require.Empty(t, ask(3, "[fe80::2]:5"), "while the commit is pending")
	acts := s.commits(commit)
	m, _ := sent(t, acts)
	require.Equal(t, dhcp6.TransactionID{0, 0, 3}, m.TransactionID)
	require.Equal(t, netip.MustParseAddrPort("[fe80::2]:5"), acts[0].To)
}

func TestRetransmissionAfterTheReplyIsAnsweredFromTheBinding(t *testing.T) {
	s := newServer(t, case2)
	first := s.delegates(1)
	for _, xid := range []byte{1, 2} { // the Reply was lost; the client started anew
		s.now = s.now.Add(10 * time.Second)
		acts := s.hears(asks(t, dhcp6.Request, xid, iaPD(1, 0, 0), offers(t, routerKey(), dhcp6.Request, xid)))
		require.Equal(t, []ActionKind{ActionSend}, kinds(acts), "nothing is allocated, issued or stored twice")
		m, opts := sent(t, acts)
		require.Equal(t, first.Certificate, opts.Certificate)
		for ia := range m.Options.IAPDs() {
			for p := range ia.Prefixes() {
				require.Equal(t, uint32(4000-s.now.Sub(start)/time.Second), p.Valid, "what is left of the lifetime")
			}
		}
	}
}

// A stranger who knows the DUID, but not the key, does not disturb a Request.
func TestWrongProofDoesNotDisturbThePendingRequest(t *testing.T) {
	s := newServer(t, case2)
	request := asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), offers(t, routerKey(), dhcp6.Request, 1))
	acts := s.allocates(s.hears(request)[0], lifetime)
	issue := only(t, acts, ActionIssue)
	spoiled := asks(t, dhcp6.Request, 2, iaPD(1, 0, 0), offers(t, routerKey(), dhcp6.Request, 99))
	_, err := s.HandleMessage(s.now, fromClient, spoiled, nil)
	requireDrop(t, ReasonKeyProof, err)
	m, opts := sent(t, s.commits(only(t, s.issues(issue, routerKey()), ActionCommit)))
	require.Equal(t, dhcp6.TransactionID{0, 0, 1}, m.TransactionID)
	require.NotNil(t, opts.Certificate)
}

func TestCertificateThatComesTooLateIsRevoked(t *testing.T) {
	s := newServer(t, case2)
	acts := s.allocates(s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), bareKey(routerKey())))[0], lifetime)
	issue := only(t, acts, ActionIssue)
	deadline := must2(s.Deadline())
	require.Equal(t, start.Add(10*time.Second), deadline)
	require.Empty(t, s.HandleTimeout(deadline.Add(-1), nil), "one nanosecond early")
	acts = taken(s.HandleTimeout(deadline, nil))
	require.Equal(t, []ActionKind{ActionFree, ActionSend}, kinds(acts))
	require.Empty(t, s.HandleTimeout(deadline, nil), "twice")

	cert := trustAnchor().router(routerKey().Public(), routerDUID, start, start.Add(time.Hour), pd56)
	acts, err := s.HandleIssued(deadline, issue.ID, cert, nil, nil)
	requireDrop(t, ReasonStale, err)
	require.Equal(t, cert, only(t, acts, ActionRevoke).Certificate)
}

func TestAnotherKeyReplacesTheFirst(t *testing.T) {
	s := newServer(t, case2)
	first := s.delegates(1)
	acts := s.hears(asks(t, dhcp6.Request, 2, iaPD(1, 0, 0), offers(t, strangerKey(), dhcp6.Request, 2)))
	none(t, acts, ActionRevoke)
	acts = s.issues(only(t, acts, ActionIssue), strangerKey())
	require.Equal(t, []ActionKind{ActionRevoke, ActionSend}, kinds(acts))
	require.Equal(t, first.Certificate, acts[0].Certificate)
}

func TestPinKeyKeepsTheFirst(t *testing.T) {
	s := newServer(t, func(c *DelegatingRouterConfig) { case2(c); c.Registrar.PinKey = true })
	s.delegates(1)
	acts := s.hears(asks(t, dhcp6.Request, 2, iaPD(1, 0, 0), offers(t, strangerKey(), dhcp6.Request, 2)))
	require.Equal(t, []ActionKind{ActionSend}, kinds(acts))
	m, opts := sent(t, acts)
	require.Nil(t, opts.Certificate)
	require.Equal(t, dhcp6.NoPrefixAvail, iaStatus(t, m))
	require.Equal(t, 1, s.Bindings(), "the first one keeps what it has")

	s.now = s.now.Add(time.Minute)
	acts = s.hears(asks(t, dhcp6.Renew, 3, iaPD(1, 0, 0), offers(t, routerKey(), dhcp6.Renew, 3)))
	only(t, acts, ActionIssue)
}

func TestRenewIsCertifiedToItsNewEnd(t *testing.T) {
	for _, typ := range []dhcp6.MessageType{dhcp6.Renew, dhcp6.Rebind} {
		t.Run(typ.String(), func(t *testing.T) {
			s := newServer(t, case2)
			first := s.delegates(1)
			s.now = start.Add(1500 * time.Second)
			acts := s.hears(asks(t, typ, 2, iaPD(1, 0, 0, iaPrefix(pd56.String(), 0, 0)), offers(t, routerKey(), typ, 2)))
			issue := only(t, acts, ActionIssue)
			require.True(t, issue.Proven)
			require.Equal(t, s.now.Add(4000*time.Second), issue.NotAfter)
			acts = s.issues(issue, routerKey())
			require.Equal(t, []ActionKind{ActionCommit}, kinds(acts), "the certificate before stays: the Reply may be lost")
			require.Equal(t, s.now.Add(4012*time.Second), acts[0].NotAfter)
			m, second := sent(t, s.commits(acts[0]))
			require.NotEqual(t, first.Certificate, second.Certificate)
			for ia := range m.Options.IAPDs() {
				for p := range ia.Prefixes() {
					require.Equal(t, uint32(4000), p.Valid)
				}
			}
			s.now = s.now.Add(time.Second)
			acts = s.hears(asks(t, typ, 2, iaPD(1, 0, 0), offers(t, routerKey(), typ, 2)))
			require.Equal(t, []ActionKind{ActionCommit}, kinds(acts), "a retransmission is not certified again")

			s.commits(acts[0])
			s.now = s.now.Add(time.Second)
			acts = s.hears(asks(t, dhcp6.Release, 3, iaPD(1, 0, 0, iaPrefix(pd56.String(), 0, 0))))
			require.Equal(t, []ActionKind{ActionRevoke, ActionRevoke, ActionForget, ActionFree, ActionSend}, kinds(acts),
				"all certificates not expired are revoked, and all before the answer")
		})
	}
}

func TestRFC8415_18_3_4_RenewOfAnUnknownBindingIsNoBinding(t *testing.T) {
	s := newServer(t, case2)
	m, _ := sent(t, s.hears(asks(t, dhcp6.Renew, 1, iaPD(1, 0, 0), bareKey(routerKey()))))
	require.Equal(t, dhcp6.NoBinding, iaStatus(t, m))
}

func TestRFC8415_18_3_5_RebindOfAnUnknownBindingIsIgnored(t *testing.T) {
	s := newServer(t, case2)
	_, err := s.HandleMessage(start, fromClient, asks(t, dhcp6.Rebind, 1, iaPD(1, 0, 0)), nil)
	requireDrop(t, ReasonNoPrefix, err)
}

func TestRFC8415_18_3_7_Release(t *testing.T) {
	s := newServer(t, case2)
	s.delegates(1)
	acts := s.hears(asks(t, dhcp6.Release, 2, iaPD(1, 0, 0, iaPrefix("2001:db8:dead::/56", 0, 0)), iaPD(9, 0, 0)))
	require.Equal(t, []ActionKind{ActionSend}, kinds(acts), "a prefix that is not the client's is not released")
	require.Equal(t, 1, s.Bindings())

	acts = s.hears(asks(t, dhcp6.Release, 3, iaPD(1, 0, 0, iaPrefix(pd56.String(), 0, 0)), iaPD(9, 0, 0)))
	require.Equal(t, []ActionKind{ActionRevoke, ActionForget, ActionFree, ActionSend}, kinds(acts))
	m, _ := sent(t, acts)
	code, _ := m.Options.Status()
	require.Equal(t, dhcp6.Success, code)
	var named []uint32
	for ia := range m.Options.IAPDs() {
		named = append(named, ia.IAID)
	}
	require.Equal(t, []uint32{9}, named, "only the IA without a binding is named")
	require.Equal(t, dhcp6.NoBinding, iaStatus(t, m))
	require.Zero(t, s.Bindings())
}

// Of two prefixes of one IA one is released, along with one of somebody else's.
func TestReleaseOfAPartOfAnIA(t *testing.T) {
	s := newServer(t, nil)
	second := lifetime
	second.Prefix = prefix("2001:db8:8000:200::/56")
	acts := s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0)))
	acts = taken(must(s.HandleAllocated(s.now, only(t, acts, ActionAllocate).ID, []IA{{1, []Prefix{lifetime, second}}}, nil)))
	commit := only(t, acts, ActionCommit)
	s.commits(commit)

	acts = s.hears(asks(t, dhcp6.Release, 2, iaPD(1, 0, 0, iaPrefix(pd56.String(), 0, 0), iaPrefix("2001:db8:dead::/56", 0, 0))))
	require.Equal(t, []ActionKind{ActionCommit, ActionFree, ActionSend}, kinds(acts))
	require.Equal(t, []IA{{1, []Prefix{second}}}, acts[0].IAs, "what is left is stored")
	require.Zero(t, acts[0].ID, "nobody waits for it")
	require.Equal(t, commit.NotAfter, acts[0].NotAfter)
	require.Equal(t, []IA{{1, []Prefix{lifetime}}}, acts[1].IAs, "only what was the client's is freed")
	m, _ := sent(t, s.hears(asks(t, dhcp6.Request, 3, iaPD(1, 0, 0))))
	require.Equal(t, []netip.Prefix{second.Prefix}, prefixesOf(t, m)[1])
}

func TestNoCertificateForLessThanASecond(t *testing.T) {
	s := newServer(t, case2)
	s.now = start.Add(500 * time.Millisecond)
	short := Prefix{Prefix: pd56, Valid: 400 * time.Millisecond}
	acts := s.allocates(s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), bareKey(routerKey())))[0], short)
	require.Equal(t, []ActionKind{ActionFree, ActionSend}, kinds(acts))
}

// RFC 8415 sections 16.2 to 16.9: what a server must discard.
func TestRFC8415_16_ServerDiscards(t *testing.T) {
	client, mine, other := option(dhcp6.OptionClientID, routerDUID), option(dhcp6.OptionServerID, serverDUID), option(dhcp6.OptionServerID, otherDUID)
	for name, c := range map[string]struct {
		typ    dhcp6.MessageType
		parts  []part
		reason Reason
	}{
		"Solicit without Client Identifier":           {dhcp6.Solicit, nil, ReasonClientID},
		"Solicit with Server Identifier":              {dhcp6.Solicit, []part{client, mine}, ReasonServerID},
		"Request without Client Identifier":           {dhcp6.Request, []part{mine}, ReasonClientID},
		"Request without Server Identifier":           {dhcp6.Request, []part{client}, ReasonServerID},
		"Request to another server":                   {dhcp6.Request, []part{client, other}, ReasonServerID},
		"Renew to another server":                     {dhcp6.Renew, []part{client, other}, ReasonServerID},
		"Renew without Server Identifier":             {dhcp6.Renew, []part{client}, ReasonServerID},
		"Rebind with Server Identifier":               {dhcp6.Rebind, []part{client, mine}, ReasonServerID},
		"Rebind without Client Identifier":            {dhcp6.Rebind, nil, ReasonClientID},
		"Release to another server":                   {dhcp6.Release, []part{client, other}, ReasonServerID},
		"Release without Client Identifier":           {dhcp6.Release, []part{mine}, ReasonClientID},
		"Advertise":                                   {dhcp6.Advertise, []part{client, mine}, ReasonMessageType},
		"Reply":                                       {dhcp6.Reply, []part{client, mine}, ReasonMessageType},
		"Reconfigure":                                 {dhcp6.Reconfigure, []part{client, mine}, ReasonMessageType},
		"Confirm, which is about addresses":           {dhcp6.Confirm, []part{client}, ReasonMessageType},
		"Decline, which is about addresses":           {dhcp6.Decline, []part{client, mine}, ReasonMessageType},
		"Information-request, which is about neither": {dhcp6.InformationRequest, []part{client}, ReasonMessageType},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, case2)
			pkt := message(t, c.typ, dhcp6.TransactionID{1}, append(c.parts, iaPD(1, 0, 0))...)
			acts, err := s.HandleMessage(start, fromClient, pkt, nil)
			requireDrop(t, c.reason, err)
			require.Empty(t, acts)
			require.Equal(t, uint64(1), s.Stats()[c.reason])
		})
	}
	t.Run("a Relay-reply", func(t *testing.T) {
		s := newServer(t, case2)
		pkt := must(dhcp6.AppendRelayReply(nil, []dhcp6.Relay{relayLevel("eth0", false)}, asks(t, dhcp6.Solicit, 1, iaPD(1, 0, 0))))
		_, err := s.HandleMessage(start, fromClient, pkt, nil)
		requireDrop(t, ReasonMessageType, err)
	})
}

func TestAddressesAreNotToBeHadHere(t *testing.T) {
	s := newServer(t, nil)
	na := func(w *dhcp6.Builder) { w.BeginIANA(5, 0, 0); w.End() }
	ta := func(w *dhcp6.Builder) { w.BeginIATA(6); w.End() }
	acts := s.hears(asks(t, dhcp6.Solicit, 1, na, ta))
	m, _ := sent(t, acts)
	require.Equal(t, dhcp6.Advertise, m.Type)
	for code, header := range map[uint16]int{dhcp6.OptionIANA: 12, dhcp6.OptionIATA: 4} {
		data, ok := m.Options.Find(code)
		require.True(t, ok)
		status, _ := dhcp6.Options(data[header:]).Status()
		require.Equal(t, dhcp6.NoAddrsAvail, status)
	}

	acts = s.allocates(s.hears(asks(t, dhcp6.Solicit, 2, na, iaPD(1, 0, 0)))[0], lifetime)
	m, _ = sent(t, acts)
	require.Equal(t, []netip.Prefix{pd56}, prefixesOf(t, m)[1], "the prefix is to be had")
	_, ok := m.Options.Find(dhcp6.OptionIANA)
	require.True(t, ok)
}

func TestNoPrefixAvailIsInsideTheIA(t *testing.T) {
	s := newServer(t, case2)
	for _, typ := range []dhcp6.MessageType{dhcp6.Solicit, dhcp6.Request} {
		acts := s.hears(asks(t, typ, 1, iaPD(1, 0, 0), bareKey(routerKey())))
		acts = s.allocates(acts[0])
		require.Equal(t, []ActionKind{ActionSend}, kinds(acts))
		m, _ := sent(t, acts)
		code, _ := m.Options.Status()
		require.Equal(t, dhcp6.Success, code, "not at top level")
		require.Equal(t, dhcp6.NoPrefixAvail, iaStatus(t, m))
	}
}

func TestSeveralIAsShareOneCertificateAndOneT1(t *testing.T) {
	s := newServer(t, case2)
	second := Prefix{Prefix: prefix("2001:db8:8000:200::/56"), Preferred: 1000 * time.Second, Valid: 2000 * time.Second}
	acts := s.hears(asks(t, dhcp6.Request, 1, iaPD(7, 0, 0), iaPD(3, 0, 0), bareKey(routerKey())))
	allocate := only(t, acts, ActionAllocate)
	require.Equal(t, []IA{{IAID: 7}, {IAID: 3}}, allocate.IAs)
	require.Equal(t, uint32(3), allocate.IAID)
	issue := only(t, s.allocates(allocate, lifetime, second), ActionIssue)
	require.Equal(t, []netip.Prefix{pd56, second.Prefix}, issue.Prefixes)
	require.Equal(t, start.Add(2000*time.Second), issue.NotAfter, "the first of them to end")
	commit := only(t, s.issues(issue, routerKey()), ActionCommit)
	require.Len(t, commit.IAs, 2)
	m, _ := sent(t, s.commits(commit))
	for ia := range m.Options.IAPDs() {
		require.Equal(t, [2]uint32{500, 800}, [2]uint32{ia.T1, ia.T2}, "IAID %d", ia.IAID)
	}
	require.Equal(t, 2, s.Bindings())

	acts = s.hears(asks(t, dhcp6.Release, 2, iaPD(7, 0, 0, iaPrefix(pd56.String(), 0, 0))))
	require.Equal(t, []ActionKind{ActionRevoke, ActionForget, ActionFree, ActionSend}, kinds(acts),
		"a certificate that claims a released prefix is revoked, though it covers another")
}

func TestPartOfTheIAsServed(t *testing.T) {
	s := newServer(t, case2)
	acts := s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), iaPD(2, 0, 0), bareKey(routerKey())))
	allocate := only(t, acts, ActionAllocate)
	acts = taken(must(s.HandleAllocated(s.now, allocate.ID, []IA{{2, []Prefix{lifetime}}}, nil)))
	acts = s.commits(only(t, s.issues(only(t, acts, ActionIssue), routerKey()), ActionCommit))
	m, _ := sent(t, acts)
	require.Equal(t, dhcp6.NoPrefixAvail, iaStatus(t, m), "IAID 1 comes first")
	require.Equal(t, []netip.Prefix{pd56}, prefixesOf(t, m)[2])
}

func TestRapidCommit(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		s := newServer(t, func(c *DelegatingRouterConfig) { case2(c); c.RapidCommit = allowed })
		acts := s.hears(asks(t, dhcp6.Solicit, 1, iaPD(1, 0, 0), rapidCommit(), offers(t, routerKey(), dhcp6.Solicit, 1)))
		require.Equal(t, !allowed, acts[0].Tentative)
		acts = s.allocates(acts[0], lifetime)
		if allowed {
			issue := only(t, acts, ActionIssue)
			require.True(t, issue.Proven, "the proof names no server")
			acts = s.commits(only(t, s.issues(issue, routerKey()), ActionCommit))
		}
		m, opts := sent(t, acts)
		require.Equal(t, allowed, m.Options.RapidCommit())
		require.Equal(t, allowed, m.Type == dhcp6.Reply)
		require.Equal(t, allowed, opts.Certificate != nil)
	}
}

// relayLevel is one level of a Relay-forward, before it carries a message.
func relayLevel(interfaceID string, sourcePort bool) dhcp6.Relay {
	options := must(certopt.AppendOption(nil, dhcp6.OptionInterfaceID, []byte(interfaceID)))
	if sourcePort {
		options = must(certopt.AppendOption(options, dhcp6.OptionRelaySourcePort, []byte{0, 0}))
	}
	return dhcp6.Relay{
		Type: dhcp6.RelayForward, LinkAddress: netip.MustParseAddr("2001:db8::1"), PeerAddress: netip.MustParseAddr("fe80::1"), Options: options,
	}
}

// relayed wraps a message in Relay-forwards, the first outermost.
func relayed(t testing.TB, msg []byte, levels ...dhcp6.Relay) []byte {
	t.Helper()
	for i, r := range slices.Backward(levels) {
		r.HopCount = uint8(len(levels) - 1 - i)
		w := dhcp6.NewRelayBuilder(nil, r)
		w.Raw(r.Options)
		w.Option(37, []byte("remote id, which is not echoed"))
		w.Option(dhcp6.OptionRelayMessage, msg)
		msg = must(w.Bytes())
	}
	return msg
}

// RFC 8415 section 19.3 and RFC 8357 section 5.2.
func TestAnswerTakesTheWayBackThroughTheRelayAgents(t *testing.T) {
	for name, c := range map[string]struct {
		levels []dhcp6.Relay
		to     string
	}{
		"direct":                {nil, "[2001:db8::9]:546"},
		"one relay agent":       {[]dhcp6.Relay{relayLevel("eth0", false)}, "[2001:db8::9]:547"},
		"two, with source port": {[]dhcp6.Relay{relayLevel("outer", true), relayLevel("inner", false)}, "[2001:db8::9]:40547"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, nil)
			pkt := relayed(t, asks(t, dhcp6.Solicit, 1, iaPD(1, 0, 0)), c.levels...)
			acts := taken(must(s.HandleMessage(start, netip.MustParseAddrPort("[2001:db8::9]:40547"), pkt, nil)))
			poison(pkt)
			acts = s.allocates(acts[0], lifetime)
			require.Equal(t, netip.MustParseAddrPort(c.to), acts[0].To)
			back, m, err := dhcp6.Unwrap(acts[0].Data, nil)
			require.NoError(t, err)
			require.Equal(t, dhcp6.Advertise, m.Type)
			require.Len(t, back, len(c.levels))
			for i, r := range back {
				require.Equal(t, dhcp6.RelayReply, r.Type)
				require.Equal(t, uint8(len(back)-1-i), r.HopCount)
				want, _ := c.levels[i].InterfaceID()
				got, _ := r.InterfaceID()
				require.Equal(t, want, got)
				_, sourcePort := r.RelaySourcePort()
				require.Equal(t, i == 0 && len(back) == 2, sourcePort)
				_, remote := r.Options.Find(37)
				require.False(t, remote)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	t.Run("IAs of a message", func(t *testing.T) {
		s := newServer(t, func(c *DelegatingRouterConfig) { c.MaxIAs = 2 })
		_, err := s.HandleMessage(start, fromClient, asks(t, dhcp6.Solicit, 1, iaPD(1, 0, 0), iaPD(2, 0, 0), iaPD(3, 0, 0)), nil)
		requireDrop(t, ReasonTooMany, err)
	})
	t.Run("transactions", func(t *testing.T) {
		s := newServer(t, func(c *DelegatingRouterConfig) { c.MaxTransactions = 1 })
		s.hears(asks(t, dhcp6.Solicit, 1, iaPD(1, 0, 0)))
		_, err := s.HandleMessage(start, fromClient, asks(t, dhcp6.Solicit, 2, iaPD(2, 0, 0)), nil)
		requireDrop(t, ReasonTooMany, err)
		s.hears(asks(t, dhcp6.Solicit, 1, iaPD(1, 0, 0))) // the known one is served on
	})
	t.Run("bindings", func(t *testing.T) {
		s := newServer(t, func(c *DelegatingRouterConfig) { c.MaxBindings = 1 })
		s.commits(s.allocates(s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0)))[0], lifetime)[0])
		m, _ := sent(t, s.hears(asks(t, dhcp6.Request, 2, iaPD(2, 0, 0))))
		require.Equal(t, dhcp6.NoPrefixAvail, iaStatus(t, m))
		require.Equal(t, 1, s.Bindings())
	})
	t.Run("registrations", func(t *testing.T) {
		s := newServer(t, func(c *DelegatingRouterConfig) { case2(c); c.Registrar.MaxClients = 1 })
		s.delegates(1)
		acts := s.allocates(s.hears(asks(t, dhcp6.Request, 2, iaPD(2, 0, 0), bareKey(routerKey())))[0], lifetime)
		require.Equal(t, []ActionKind{ActionFree, ActionSend}, kinds(acts))
		require.Equal(t, uint64(1), s.Stats()[ReasonTooMany])
	})
	t.Run("options that relay agents want back", func(t *testing.T) {
		s := newServer(t, nil)
		pkt := relayed(t, asks(t, dhcp6.Solicit, 1, iaPD(1, 0, 0)), relayLevel(string(make([]byte, 2000)), false))
		_, err := s.HandleMessage(start, fromClient, pkt, nil)
		requireDrop(t, ReasonTooMany, err)
	})
	t.Run("work of one HandleTimeout", func(t *testing.T) {
		s := newServer(t, nil)
		for i := range 3 * maxPerTimeout {
			duid := binary.BigEndian.AppendUint32([]byte{0, 4}, uint32(i))
			require.NoError(t, s.Restore(start, duid, IA{1, []Prefix{lifetime}}, start))
		}
		end, calls := start.Add(4012*time.Second), 0
		for deadline, ok := s.Deadline(); ok && !deadline.After(end); deadline, ok = s.Deadline() {
			require.LessOrEqual(t, len(s.HandleTimeout(end, nil)), 2*maxPerTimeout)
			calls++
		}
		require.Equal(t, 3, calls)
		require.Zero(t, s.Bindings())
	})
}

func TestNothingIsDelegatedThatCannotBeStored(t *testing.T) {
	for name, answer := range map[string]func(*server, ID) []Action{
		"refused": func(s *server, id ID) []Action { return must(s.HandleCommitted(s.now, id, false, nil)) },
		"silent": func(s *server, _ ID) []Action {
			s.now = must2(s.Deadline())
			return s.HandleTimeout(s.now, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, case2)
			acts := s.allocates(s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), bareKey(routerKey())))[0], lifetime)
			commit := only(t, s.issues(only(t, acts, ActionIssue), routerKey()), ActionCommit)
			acts = taken(answer(s, commit.ID))
			require.Equal(t, []ActionKind{ActionRevoke, ActionForget, ActionFree}, kinds(acts), "and nothing is sent")
			require.Zero(t, s.Bindings())
			require.Equal(t, uint64(1), s.Stats()[ReasonStore])
			_, err := s.HandleCommitted(s.now, commit.ID, true, nil)
			requireDrop(t, ReasonStale, err)
		})
	}
}

// A binding that goes while a renewal of it waits is not brought back by it.
func TestReleaseOvertakesARenewal(t *testing.T) {
	for name, release := range map[string]func(*server) []Action{
		"released": func(s *server) []Action {
			return s.hears(asks(s.t, dhcp6.Release, 9, iaPD(1, 0, 0, iaPrefix(pd56.String(), 0, 0))))
		},
		"reclaimed": func(s *server) []Action { return taken(s.Reclaim(s.now, routerDUID, 1, nil)) },
		"expired": func(s *server) []Action {
			s.now = start.Add(4002 * time.Second)
			return taken(s.HandleTimeout(s.now, nil))
		},
	} {
		for _, pending := range []ActionKind{ActionIssue, ActionCommit} {
			t.Run(name+" while "+pending.String()+" is pending", func(t *testing.T) {
				s := newServer(t, case2)
				s.delegates(1)
				s.now = start.Add(3999 * time.Second)
				acts := s.hears(asks(t, dhcp6.Renew, 2, iaPD(1, 0, 0), bareKey(routerKey())))
				wait := only(t, acts, ActionIssue)
				if pending == ActionCommit {
					wait = only(t, s.issues(wait, routerKey()), ActionCommit)
				}
				acts = release(s)
				only(t, acts, ActionFree)
				var err error
				if pending == ActionCommit {
					_, err = s.HandleCommitted(s.now, wait.ID, true, nil)
				} else {
					cert := trustAnchor().router(routerKey().Public(), wait.DUID, wait.NotBefore, wait.NotAfter, wait.Prefixes...)
					acts, err = s.HandleIssued(s.now, wait.ID, cert, nil, acts)
				}
				requireDrop(t, ReasonStale, err)
				require.Zero(t, s.Bindings())
				require.Empty(t, s.transactions, "nothing waits for an answer that will not come")
				require.Contains(t, kinds(acts), ActionRevoke, "the certificate for the extended delegation")
				for _, a := range acts {
					if a.Kind == ActionSend {
						require.Empty(t, prefixesOf(t, parsed(t, a.Data))[1], "nothing is delegated any more")
					}
				}
			})
		}
	}
}

func TestDelegationThatEndsBeforeTheCertificateComes(t *testing.T) {
	s := newServer(t, case2)
	short := Prefix{Prefix: pd56, Preferred: 5 * time.Second, Valid: 5 * time.Second}
	acts := s.allocates(s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), bareKey(routerKey())))[0], short)
	only(t, acts, ActionIssue)
	s.now = must2(s.Deadline())
	require.Equal(t, start.Add(5*time.Second), s.now)
	m, _ := sent(t, taken(s.HandleTimeout(s.now, nil)))
	require.Equal(t, dhcp6.NoPrefixAvail, iaStatus(t, m))
	require.Empty(t, s.transactions)
	require.Empty(t, s.reg.clients)
}

func TestAllocationThatComesTooLateIsTheCallersAgain(t *testing.T) {
	s := newServer(t, nil)
	allocate := s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0)))[0]
	require.Empty(t, s.HandleTimeout(must2(s.Deadline()), nil))
	_, err := s.HandleAllocated(s.now, allocate.ID, []IA{{1, []Prefix{lifetime}}}, nil)
	requireDrop(t, ReasonStale, err)
	require.Equal(t, uint64(1), s.Stats()[ReasonStore])
}

func TestImpossibleAllocationIsTheCallersMistake(t *testing.T) {
	s := newServer(t, func(c *DelegatingRouterConfig) { c.MaxIAs = 1 })
	allocate := s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0)))[0]
	change := func(f func(*Prefix)) []IA {
		p := lifetime
		f(&p)
		return []IA{{1, []Prefix{p}}}
	}
	for name, ias := range map[string][]IA{
		"another IA":             {{2, []Prefix{lifetime}}},
		"an IA twice":            {{1, []Prefix{lifetime}}, {1, []Prefix{lifetime}}},
		"too many prefixes":      {{1, []Prefix{lifetime, lifetime}}},
		"IPv4":                   change(func(p *Prefix) { p.Prefix = prefix("10.0.0.0/8") }),
		"host bits":              change(func(p *Prefix) { p.Prefix = prefix("2001:db8::1/56") }),
		"multicast":              change(func(p *Prefix) { p.Prefix = prefix("ff00::/16") }),
		"everything":             change(func(p *Prefix) { p.Prefix = prefix("::/0") }),
		"no prefix":              change(func(p *Prefix) { p.Prefix = netip.Prefix{} }),
		"no lifetime":            change(func(p *Prefix) { p.Valid, p.Preferred = 0, 0 }),
		"preferred beyond valid": change(func(p *Prefix) { p.Preferred = p.Valid + time.Second }),
		"beyond infinity":        change(func(p *Prefix) { p.Valid = Infinite + time.Second }),
		"negative":               change(func(p *Prefix) { p.Preferred = -time.Second }),
	} {
		acts, err := s.HandleAllocated(s.now, allocate.ID, ias, nil)
		require.Error(t, err, name)
		require.NotErrorAs(t, err, new(*DropError), name)
		require.Empty(t, acts, name)
	}
	s.allocates(allocate, lifetime) // still awaited
}

func TestAnswersInAnyOrder(t *testing.T) {
	s := newServer(t, case2)
	var issue [4]Action
	for i := range issue {
		acts := s.hears(asks(t, dhcp6.Request, byte(i), iaPD(uint32(i), 0, 0), bareKey(routerKey())))
		p := lifetime
		p.Prefix = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0x80, 0, byte(i)}), 56)
		issue[i] = only(t, s.allocates(acts[0], p), ActionIssue)
	}
	var commit [4]Action
	for _, i := range []int{2, 0, 3, 1} {
		commit[i] = only(t, s.issues(issue[i], routerKey()), ActionCommit)
	}
	for _, i := range []int{1, 2, 0, 3} {
		m, opts := sent(t, s.commits(commit[i]))
		require.Equal(t, dhcp6.TransactionID{0, 0, byte(i)}, m.TransactionID)
		require.NotNil(t, opts.Certificate)
	}
}

func TestBindingEndsWithItsLifetime(t *testing.T) {
	s := newServer(t, case2)
	s.delegates(1)
	ended := start.Add(4000 * time.Second) // the registration's certificate
	require.Equal(t, ended, must2(s.Deadline()))
	require.Empty(t, s.HandleTimeout(ended, nil))
	end := ended.Add(2 * time.Second) // for sure, wherever the Reply was
	require.Equal(t, end, must2(s.Deadline()))
	require.Empty(t, s.HandleTimeout(end.Add(-1), nil))
	acts := s.HandleTimeout(end, nil)
	require.Equal(t, []ActionKind{ActionForget, ActionFree}, kinds(acts), "the certificate ended by itself")
	require.Zero(t, s.Bindings())
	_, ok := s.Deadline()
	require.False(t, ok)
}

func TestReclaim(t *testing.T) {
	s := newServer(t, func(c *DelegatingRouterConfig) { case1(c) })
	acts := s.allocates(s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), oro(65001)))[0], lifetime)
	s.commits(must(s.HandleNotified(s.now, acts[0].ID, true, nil))[0])
	acts = taken(s.Reclaim(s.now, routerDUID, 1, nil))
	require.Equal(t, []ActionKind{ActionWithdrawCA, ActionForget, ActionFree}, kinds(acts))
	require.Empty(t, s.Reclaim(s.now, routerDUID, 1, nil))
	m, _ := sent(t, s.hears(asks(t, dhcp6.Renew, 2, iaPD(1, 0, 0))))
	require.Equal(t, dhcp6.NoBinding, iaStatus(t, m))
}

func TestRestoredBindingIsAnsweredWithWhatIsLeft(t *testing.T) {
	s := newServer(t, case2)
	s.now = start.Add(1000 * time.Second)
	require.NoError(t, s.Restore(s.now, routerDUID, IA{1, []Prefix{lifetime}}, start))
	require.Error(t, s.Restore(s.now, routerDUID, IA{1, []Prefix{lifetime}}, start), "twice")
	require.Error(t, s.Restore(s.now, nil, IA{2, []Prefix{lifetime}}, start), "no DUID")
	require.Error(t, s.Restore(s.now, routerDUID, IA{2, []Prefix{{}}}, start), "no prefix")
	require.ErrorIs(t, s.Restore(s.now, routerDUID, IA{2, nil}, start), ErrExpired)
	require.ErrorIs(t, s.Restore(s.now, routerDUID, IA{2, []Prefix{lifetime}}, s.now.Add(-4012*time.Second)), ErrExpired)
	require.NoError(t, s.Restore(s.now, routerDUID, IA{3, []Prefix{lifetime}}, s.now.Add(time.Hour)), "a clock that was set back")
	acts := s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), bareKey(routerKey())))
	acts = s.issues(only(t, acts, ActionIssue), routerKey())
	require.Equal(t, []ActionKind{ActionSend}, kinds(acts), "no new commit: the binding is as it was stored")
	m, _ := sent(t, acts)
	for ia := range m.Options.IAPDs() {
		for p := range ia.Prefixes() {
			require.Equal(t, [2]uint32{2000, 3000}, [2]uint32{p.Preferred, p.Valid})
		}
	}
}

// RFC 5280 section 4.1.2.5: "no well-defined expiration date" is
// 99991231235959Z.
func TestValidityIsTheEarliestOfAllEnds(t *testing.T) {
	infinite := Prefix{Prefix: pd56, Preferred: Infinite, Valid: Infinite}
	for name, c := range map[string]struct {
		change func(*RegistrarConfig)
		grant  Prefix
		want   time.Time
	}{
		"delegation":          {nil, lifetime, start.Add(4000 * time.Second)},
		"longest allowed":     {func(c *RegistrarConfig) { c.MaxValidity = time.Hour }, lifetime, start.Add(time.Hour)},
		"issuing authority":   {func(c *RegistrarConfig) { c.AuthorityNotAfter = start.Add(90 * time.Second) }, lifetime, start.Add(90 * time.Second)},
		"infinite":            {nil, infinite, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
		"infinite, but":       {func(c *RegistrarConfig) { c.MaxValidity = time.Hour }, infinite, start.Add(time.Hour)},
		"fraction of seconds": {func(c *RegistrarConfig) { c.MaxValidity = time.Hour + 999*time.Millisecond }, infinite, start.Add(time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, func(cfg *DelegatingRouterConfig) {
				case2(cfg)
				if c.change != nil {
					c.change(&cfg.Registrar)
				}
			})
			acts := s.allocates(s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), bareKey(routerKey())))[0], c.grant)
			issue := only(t, acts, ActionIssue)
			require.Equal(t, c.want, issue.NotAfter)
			if c.grant.Valid == Infinite {
				m, _ := sent(t, s.commits(only(t, s.issues(issue, routerKey()), ActionCommit)))
				times := [2]uint32{dhcp6.Infinity, dhcp6.Infinity}
				if c.want.Year() != 9999 {
					times = [2]uint32{1800, 2880} // the certificate must be renewed
				}
				for ia := range m.Options.IAPDs() {
					require.Equal(t, times, [2]uint32{ia.T1, ia.T2})
				}
			}
		})
	}
}

// Malformed certificate options are discarded, their message is not (RFC 7227
// section 21.1).
func TestRFC7227_21_1_MalformedCertificateOptions(t *testing.T) {
	s := newServer(t, case2)
	acts := s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), option(65002, []byte{0x30, 0x80})))
	require.Equal(t, uint64(1), s.Stats()[ReasonOptions])
	acts = s.allocates(acts[0], lifetime)
	m, _ := sent(t, s.commits(only(t, acts, ActionCommit)))
	require.Equal(t, []netip.Prefix{pd56}, prefixesOf(t, m)[1])
}

// Every truncation, and every octet changed, of a Request: no panic, an error
// that is a *DropError, and then nothing but a counter changed.
func TestBadMessagesLeaveNoTrace(t *testing.T) {
	whole := relayed(t, asks(t, dhcp6.Request, 1, iaPD(1, 0, 0, iaPrefix(pd56.String(), 0, 0)), bareKey(routerKey()), oro(65003)), relayLevel("eth0", true))
	try := func(pkt []byte, what string, i int) {
		s := newServer(t, case2)
		acts, err := s.HandleMessage(start, fromClient, pkt, nil)
		if err == nil {
			return
		}
		require.ErrorAs(t, err, new(*DropError), "%s %d", what, i)
		require.Empty(t, acts, "%s %d", what, i)
		require.Empty(t, s.transactions, "%s %d", what, i)
		require.Empty(t, s.reg.clients, "%s %d", what, i)
		_, armed := s.Deadline()
		require.False(t, armed, "%s %d", what, i)
	}
	for n := range whole {
		_, err := newServer(t, case2).HandleMessage(start, fromClient, whole[:n], nil)
		require.Error(t, err, "cut to %d octets", n)
		try(whole[:n], "cut to", n)
	}
	for i := range whole {
		for _, x := range []byte{0x01, 0x80, 0xff} {
			bad := bytes.Clone(whole)
			bad[i] ^= x
			try(bad, "changed at", i)
		}
	}
}

func TestClockThatRunsBackStandsStill(t *testing.T) {
	s := newServer(t, nil)
	allocate := s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0)))[0]
	acts := taken(must(s.HandleAllocated(start.Add(-time.Hour), allocate.ID, []IA{{1, []Prefix{lifetime}}}, nil)))
	require.Equal(t, start.Add(4012*time.Second), only(t, acts, ActionCommit).NotAfter)
}

func TestDelegatingRouterConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*DelegatingRouterConfig){
		"no DUID":                  func(c *DelegatingRouterConfig) { c.DUID = nil },
		"DUID too long":            func(c *DelegatingRouterConfig) { c.DUID = make([]byte, 131) },
		"negative limit":           func(c *DelegatingRouterConfig) { c.MaxBindings = -1 },
		"answer past the client":   func(c *DelegatingRouterConfig) { c.Registrar.AnswerTimeout = 151 * time.Second },
		"long backdate":            func(c *DelegatingRouterConfig) { c.Registrar.Backdate = time.Hour },
		"pointer is not a URI":     func(c *DelegatingRouterConfig) { c.Registrar.CAPointer = "ca.example" },
		"degrade to no pointer":    func(c *DelegatingRouterConfig) { c.Registrar.OnFailure = DegradeToPointer },
		"unknown policy":           func(c *DelegatingRouterConfig) { c.Registrar.OnFailure = 9 },
		"option codes in conflict": func(c *DelegatingRouterConfig) { c.Registrar.Options.Codes.CAPointer = 17 },
		"negative validity":        func(c *DelegatingRouterConfig) { c.Registrar.MaxValidity = -1 },
	} {
		cfg := DelegatingRouterConfig{DUID: serverDUID}
		change(&cfg)
		_, err := NewDelegatingRouter(cfg)
		require.Error(t, err, name)
	}
}
