package dhcpv6pd

import (
	"net/netip"
	"testing"
	"time"

	"dhcpsec.example/internal/dhcp6"
	"github.com/stretchr/testify/require"
)

// renews runs a whole Case 2 Renew and returns the certificate and what was revoked.
func (s *server) renews(xid byte) (certificate []byte, revoked [][]byte) {
	s.t.Helper()
	acts := s.hears(asks(s.t, dhcp6.Renew, xid, iaPD(1, 0, 0), offers(s.t, routerKey(), dhcp6.Renew, xid)))
	acts = s.issues(only(s.t, acts, ActionIssue), routerKey())
	for _, a := range acts {
		if a.Kind == ActionRevoke {
			revoked = append(revoked, a.Certificate)
		}
	}
	_, opts := sent(s.t, s.commits(only(s.t, acts, ActionCommit)))
	return opts.Clone().Certificate, revoked
}

func TestManyRenewalsRevokeOnlyTheOldestCertificates(t *testing.T) {
	s := newServer(t, case2)
	valid := [][]byte{s.delegates(1).Certificate}
	for xid := byte(2); xid < 3*maxCerts; xid++ {
		s.now = s.now.Add(time.Minute)
		certificate, revoked := s.renews(xid)
		if len(valid) < maxCerts {
			require.Empty(t, revoked)
		} else {
			require.Equal(t, valid[:1], revoked)
			valid = valid[1:]
		}
		valid = append(valid, certificate)
	}
}

// A stranger with a key of his own does not get at a pinned client's prefix by
// asking for more.
func TestPinKeyHoldsForEveryIAOfTheClient(t *testing.T) {
	s := newServer(t, func(c *DelegatingRouterConfig) { case2(c); c.Registrar.PinKey = true })
	s.delegates(1)
	acts := s.hears(asks(t, dhcp6.Request, 2, iaPD(0, 0, 0), iaPD(1, 0, 0), offers(t, strangerKey(), dhcp6.Request, 2)))
	acts = s.allocates(only(t, acts, ActionAllocate), Prefix{Prefix: prefix("2001:db8:8000:900::/56"), Valid: time.Hour})
	require.Equal(t, []ActionKind{ActionFree, ActionSend}, kinds(acts))
	require.Equal(t, uint64(1), s.Stats()[ReasonKey])
}

// Possession that is proven counts, whoever came first without the proof.
func TestProvenRequestDisplacesAnUnprovenOne(t *testing.T) {
	s := newServer(t, case2)
	acts := s.allocates(s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), bareKey(routerKey())))[0], lifetime)
	require.False(t, only(t, acts, ActionIssue).Proven)

	acts = s.hears(asks(t, dhcp6.Request, 2, iaPD(1, 0, 0), offers(t, routerKey(), dhcp6.Request, 2)))
	acts = s.allocates(only(t, acts, ActionAllocate), lifetime)
	issue := only(t, acts, ActionIssue)
	require.True(t, issue.Proven)

	for _, key := range []part{bareKey(routerKey()), func(*dhcp6.Builder) {}} {
		_, err := s.HandleMessage(s.now, fromClient, asks(t, dhcp6.Request, 3, iaPD(1, 0, 0), key), nil)
		requireDrop(t, ReasonKeyProof, err)
	}
	require.Equal(t, uint64(2), s.Stats()[ReasonKeyProof], "each is counted once")
	s.issues(issue, routerKey())
}

// Two IAs renew together, with a key; before the certificate comes one of them
// renews alone, without. What comes then covers a prefix that nobody would revoke.
func TestCertificateForAnAbandonedRenewalIsRevoked(t *testing.T) {
	s := newServer(t, case2)
	second := Prefix{Prefix: prefix("2001:db8:8000:200::/56"), Preferred: time.Hour, Valid: time.Hour}
	acts := s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), iaPD(2, 0, 0)))
	s.commits(only(t, s.allocates(acts[0], lifetime, second), ActionCommit))

	issue := only(t, s.hears(asks(t, dhcp6.Renew, 2, iaPD(1, 0, 0), iaPD(2, 0, 0), bareKey(routerKey()))), ActionIssue)
	s.commits(only(t, s.hears(asks(t, dhcp6.Renew, 3, iaPD(2, 0, 0))), ActionCommit))
	cert := trustAnchor().router(routerKey().Public(), issue.DUID, issue.NotBefore, issue.NotAfter, issue.Prefixes...)
	acts, err := s.HandleIssued(s.now, issue.ID, cert, nil, nil)
	requireDrop(t, ReasonStale, err)
	require.Equal(t, cert, only(t, acts, ActionRevoke).Certificate)
}

// A client with a certificate asks for one more prefix, and that fails.
func TestFailedAdditionLeavesTheCertificate(t *testing.T) {
	s := newServer(t, case2)
	first := s.delegates(1)
	more := Prefix{Prefix: prefix("2001:db8:8000:200::/56"), Preferred: time.Hour, Valid: time.Hour}
	acts := s.hears(asks(t, dhcp6.Request, 2, iaPD(1, 0, 0), iaPD(2, 0, 0), offers(t, routerKey(), dhcp6.Request, 2)))
	allocate := only(t, acts, ActionAllocate)
	require.Equal(t, []IA{{IAID: 2}}, allocate.IAs)
	acts = s.allocates(allocate, more)
	acts = s.issues(only(t, acts, ActionIssue), routerKey())
	acts = taken(must(s.HandleCommitted(s.now, only(t, acts, ActionCommit).ID, false, nil)))
	require.Equal(t, []ActionKind{ActionRevoke, ActionForget, ActionFree}, kinds(acts))
	require.NotEqual(t, first.Certificate, acts[0].Certificate)

	acts = s.hears(asks(t, dhcp6.Request, 3, iaPD(1, 0, 0), offers(t, routerKey(), dhcp6.Request, 3)))
	_, opts := sent(t, acts)
	require.Equal(t, first.Certificate, opts.Certificate, "the one for the prefix that it has")
}

func TestRefusedRenewalIsNotAnswered(t *testing.T) {
	s := newServer(t, case2)
	s.delegates(1)
	s.now = start.Add(1500 * time.Second)
	acts := s.hears(asks(t, dhcp6.Renew, 2, iaPD(1, 0, 0), offers(t, routerKey(), dhcp6.Renew, 2)))
	acts = must(s.HandleIssueFailed(s.now, only(t, acts, ActionIssue).ID, nil))
	require.Empty(t, acts, "the client keeps what it has, and asks again")
	require.Equal(t, 1, s.Bindings())
}

// Leases that one ActionCommit stored are restored each with its own end.
func TestLeasesStoredTogetherEndApart(t *testing.T) {
	s := newServer(t, nil)
	short, long := lifetime, Prefix{Prefix: prefix("2001:db8:8000:200::/56"), Preferred: Infinite, Valid: Infinite}
	acts := s.hears(asks(t, dhcp6.Request, 1, iaPD(1, 0, 0), iaPD(2, 0, 0)))
	commit := only(t, s.allocates(acts[0], short, long), ActionCommit)
	require.Equal(t, start, commit.NotBefore)
	require.Zero(t, commit.NotAfter, "one of them does not end")

	s = newServer(t, nil)
	s.now = start.Add(time.Hour)
	for _, ia := range commit.IAs {
		require.NoError(t, s.Restore(s.now, commit.DUID, ia, commit.NotBefore))
	}
	end := must2(s.Deadline())
	require.Equal(t, start.Add(4012*time.Second), end)
	s.HandleTimeout(end, nil)
	require.Equal(t, 1, s.Bindings())
}

// Beside another server, whose delegation shrinks: what was certified shrinks too.
func TestRegistrarRevokesWhatIsNotDelegatedAnyMore(t *testing.T) {
	r := must(NewRegistrar(RegistrarConfig{Certify: true}))
	request := func(xid byte, options []byte, prefixes ...Prefix) []Action {
		return taken(must(r.HandleRequest(start, Request{
			DUID: routerDUID, IAID: 1, TransactionID: [3]byte{xid}, Options: options, Prefixes: prefixes,
		}, nil)))
	}
	second := Prefix{Prefix: prefix("2001:db8:8000:200::/56"), Preferred: time.Hour, Valid: time.Hour}
	w := dhcp6.NewBuilder(nil, dhcp6.Request, dhcp6.TransactionID{})
	bareKey(routerKey())(&w)
	withKey := must(w.Bytes())[dhcp6.HeaderLen:]

	issue := only(t, request(1, withKey, lifetime, second), ActionIssue)
	cert := trustAnchor().router(routerKey().Public(), issue.DUID, issue.NotBefore, issue.NotAfter, issue.Prefixes...)
	answer := only(t, must(r.HandleIssued(start, issue.ID, cert, nil, nil)), ActionAnswer)
	require.Equal(t, OutcomeCertificate, answer.Outcome)
	require.Equal(t, issue.NotAfter, answer.NotAfter)

	acts := request(2, nil, lifetime)
	require.Equal(t, []ActionKind{ActionRevoke, ActionAnswer}, kinds(acts))
	require.Equal(t, cert, acts[0].Certificate)

	only(t, request(3, withKey, lifetime), ActionIssue)
	at, _ := r.Deadline()
	require.Equal(t, OutcomeRefused, only(t, r.HandleTimeout(at, nil), ActionAnswer).Outcome)
	require.Equal(t, uint64(1), r.Stats()[ReasonIssue])
	require.Empty(t, r.End(at, routerDUID, 1, nil))

	for name, q := range map[string]Request{
		"no DUID":      {Prefixes: []Prefix{lifetime}},
		"no prefix":    {DUID: routerDUID},
		"IPv4 address": {DUID: routerDUID, Prefixes: []Prefix{{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Valid: time.Hour}}},
	} {
		_, err := r.HandleRequest(start, q, nil)
		require.Error(t, err, name)
	}
}
