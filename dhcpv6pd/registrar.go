package dhcpv6pd

import (
	"bytes"
	"cmp"
	"container/heap"
	"container/list"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"dhcpsec.example/certopt"
	"dhcpsec.example/x509ip"
)

// RegistrarConfig configures a [Registrar].
type RegistrarConfig struct {
	// CAPointer, if not empty, is the URI of the certificate server that a
	// requesting router is pointed to (Case 1).
	CAPointer string
	// Certify has certificates issued for requesting routers that send a public
	// key (Case 2): the delegating router "acts as a Registration Authority"
	// (slide 9).
	Certify bool
	// OnFailure says what a requesting router gets whose certificate was refused.
	OnFailure FailurePolicy
	// RequireKeyProof refuses a public key without a key proof. A key proof that
	// is present is verified in any case.
	RequireKeyProof bool
	// PinKey refuses another public key while a certificate for the first one is
	// valid. Without it the key of a client that starts anew replaces the old
	// one, whose certificate is revoked; and since nothing in DHCPv6
	// authenticates a DUID, so does that of a neighbour who pretends to be it.
	PinKey bool
	// AllowAnyKey certifies keys that SEND hosts "MUST disregard" too (RFC 3971
	// section 5.2): other than RSA of 2048 to 4096 bits.
	AllowAnyKey bool
	// Options says how the certificate options are carried.
	Options certopt.Codec
	// MaxValidity bounds the validity of certificates. Default: the delegation's.
	MaxValidity time.Duration
	// AuthorityNotAfter is when the issuing authority's certificate ends; no
	// certificate outlives it. Zero: not known here.
	AuthorityNotAfter time.Time
	// Backdate puts notBefore before the time of issue, for hosts whose clocks
	// are slow: 0 to 5 minutes. RFC 6487 section 4.6.1 would have none.
	Backdate time.Duration
	// AnswerTimeout is how long the caller may take to answer one action, at most
	// 150 seconds. A requesting router gives up a Request after 181 seconds (RFC 8415
	// section 18.2.2), in which several actions have to be answered. Default 10 seconds.
	AnswerTimeout time.Duration
	// MaxClients bounds the registrations. Default 100,000.
	MaxClients int
}

// FailurePolicy says what becomes of a delegation when the certificate that was
// asked for is not to be had: the key or its proof is unacceptable, the
// certificate server refuses or does not answer, or what it returns is wrong.
type FailurePolicy uint8

const (
	// FailClosed delegates nothing: the client is told NoPrefixAvail.
	FailClosed FailurePolicy = iota
	// DegradeToPointer delegates the prefix with a CA pointer, as in Case 1.
	DegradeToPointer
	// PrefixOnly delegates the prefix alone.
	PrefixOnly
)

var failurePolicyNames = [...]string{"FailClosed", "DegradeToPointer", "PrefixOnly"}

func (p FailurePolicy) String() string { return name(failurePolicyNames[:], int(p), "FailurePolicy") }

func (c *RegistrarConfig) setDefaults() error {
	c.AnswerTimeout = cmp.Or(c.AnswerTimeout, 10*time.Second)
	c.MaxClients = cmp.Or(c.MaxClients, 100_000)
	switch {
	case c.AnswerTimeout < 0 || c.AnswerTimeout > 150*time.Second:
		return errors.New("dhcpv6pd: AnswerTimeout must be 0 to 150 seconds")
	case c.Backdate < 0 || c.Backdate > 5*time.Minute:
		return errors.New("dhcpv6pd: Backdate must be 0 to 5 minutes")
	case c.MaxValidity < 0 || c.MaxClients < 0:
		return errors.New("dhcpv6pd: MaxValidity and MaxClients must not be negative")
	case c.OnFailure > PrefixOnly:
		return errors.New("dhcpv6pd: unknown OnFailure")
	case c.OnFailure == DegradeToPointer && c.CAPointer == "":
		return errors.New("dhcpv6pd: DegradeToPointer needs a CAPointer")
	}
	if err := c.Options.Validate(); err != nil {
		return fmt.Errorf("dhcpv6pd: Options: %w", err)
	}
	if c.CAPointer != "" {
		if _, err := c.Options.Append(nil, certopt.Options{CAPointer: []byte(c.CAPointer)}); err != nil {
			return fmt.Errorf("dhcpv6pd: CAPointer: %w", err)
		}
	}
	return nil
}

// Request tells a [Registrar] of a Solicit with Rapid Commit, Request, Renew or
// Rebind that the DHCP server is about to answer with a delegation. The slices
// are the caller's and are not retained.
type Request struct {
	// DUID is the client's, from its Client Identifier: 3 to 130 octets. IAID is
	// the lowest among the message's IA_PDs. The two together name a
	// registration, whose certificate covers all IA_PDs of the message.
	DUID []byte
	IAID uint32
	// TransactionID is the message's: a second message with the same one is a
	// retransmission.
	TransactionID [3]byte
	// ServerDUID is from the message's Server Identifier, nil if it has none.
	ServerDUID []byte
	// Options are the message's top-level options.
	Options []byte
	// Prefixes are what the Reply is going to delegate, in all IA_PDs, with
	// lifetimes that count from now.
	Prefixes []Prefix
}

// Registrar is the delegating router's side of the certificates' life. It works
// beside any DHCPv6 server, and in a relay agent before one: tell it of each
// Request that is about to be answered, add the options of its ActionAnswer to
// the Reply, and tell it when the binding ends.
//
// A Registrar is not safe for concurrent use.
type Registrar struct {
	cfg   RegistrarConfig
	clock clock
	ids   *ids
	stats Stats
	out   []byte // the option octets of this call's ActionAnswers

	clients map[clientID]*registration
	pending map[ID]*registration
	waiting list.List                 // *registration with an action pending, oldest first
	ends    expiryHeap[*registration] // by end of delegation
}

// clientID names a registration, or the IA_PD binding of a client.
type clientID struct {
	duid string
	iaid uint32
}

// registration is what the Registrar knows of one client.
type registration struct {
	client   clientID
	prefixes []netip.Prefix // of the last Request, sorted
	end      time.Time      // of their delegation; zero is never
	heapPos  int

	last     [3]byte    // transaction id of the last Request
	ask      ask        // of the last Request
	certs    []issuance // certificates not expired, newest last
	told     bool       // the certificate server may know of prefixes
	notified bool       // it confirmed that it knows of them, until end

	id        ID // of the pending ActionIssue or ActionNotifyCA, or zero
	notifying bool
	since     time.Time // when that action was given
	notAfter  time.Time // what the pending ActionIssue asks for
	elem      *list.Element
}

func (g *registration) expiry() time.Time { return g.end }
func (g *registration) position() *int    { return &g.heapPos }

// issuance is a certificate made for a registration.
type issuance struct {
	key      []byte // DER SubjectPublicKeyInfo
	prefixes []netip.Prefix
	der      []byte
	chain    certopt.Chain
	asked    time.Time // the notAfter that was asked for: the authority may give less
	notAfter time.Time
}

// maxCerts bounds the certificates of one registration that are valid at a time.
const maxCerts = 8

// ask is what a message asks of the certificate side.
type ask struct {
	key     []byte // DER SubjectPublicKeyInfo: a certificate is due; nil: none
	proven  bool   // possession of it was proven
	refused error  // why it is not to be certified
	chain   bool   // the certificate chain is requested
	pointer bool   // the CA pointer is requested, and there is one
}

// reason is the one under which a refusal is counted.
func (a ask) reason() Reason {
	if a.refused == ErrKeyProof {
		return ReasonKeyProof
	}
	return ReasonKey
}

func (a ask) equal(b ask) bool {
	return bytes.Equal(a.key, b.key) && a.proven == b.proven && (a.refused == nil) == (b.refused == nil) &&
		a.chain == b.chain && a.pointer == b.pointer
}

// NewRegistrar checks cfg, fills in defaults and makes a Registrar without clients.
func NewRegistrar(cfg RegistrarConfig) (*Registrar, error) { return newRegistrar(cfg, new(ids)) }

func newRegistrar(cfg RegistrarConfig, ids *ids) (*Registrar, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	return &Registrar{
		cfg:     cfg,
		ids:     ids,
		clients: make(map[clientID]*registration),
		pending: make(map[ID]*registration),
	}, nil
}

// HandleRequest leads, at once or after an ActionIssue or ActionNotifyCA is
// answered, to one ActionAnswer for q.DUID and q.IAID. A retransmission never
// leads to a second ActionIssue: while one is pending there is nothing more to
// do, and afterwards the certificate is at hand. The one ActionAnswer is then
// for the latest message.
//
// The error is of the caller's making: a DUID of impossible length, no prefixes,
// or one that is not IPv6 or has host bits. Malformed certificate options are
// none: they count as absent.
func (r *Registrar) HandleRequest(now time.Time, q Request, acts []Action) ([]Action, error) {
	now = r.clock.advance(now)
	r.out = r.out[:0]
	if _, err := x509ip.DUIDName(q.DUID); err != nil {
		return acts, fmt.Errorf("dhcpv6pd: DUID: %w", err)
	}
	if err := checkPrefixes(q.Prefixes); err != nil {
		return acts, err
	}
	if len(q.Prefixes) == 0 {
		return acts, errors.New("dhcpv6pd: Request without prefixes")
	}
	a := r.examine(q.DUID, q.ServerDUID, q.TransactionID, q.Options)
	a.key = bytes.Clone(a.key)
	return r.request(now, clientID{string(q.DUID), q.IAID}, q.TransactionID, a, q.Prefixes, acts), nil
}

// HandleIssued answers an ActionIssue with the certificate, and those between
// its issuer and the trust anchor. One that does not bind exactly the key and
// the prefixes asked for, or ends later than asked, is revoked and not handed
// on. So is one that comes too late.
func (r *Registrar) HandleIssued(now time.Time, id ID, certificate []byte, chain [][]byte, acts []Action) ([]Action, error) {
	now = r.clock.advance(now)
	r.out = r.out[:0]
	g := r.pending[id]
	if g == nil || g.notifying {
		if len(certificate) > 0 {
			acts = append(acts, Action{Kind: ActionRevoke, Certificate: certificate})
		}
		return acts, r.stats.drop(ReasonStale, nil)
	}
	r.settle(g)
	return r.issued(now, g, certificate, chain, acts), nil
}

// HandleIssueFailed answers an ActionIssue that brought no certificate. The
// error is a *DropError with ReasonStale if it comes too late.
func (r *Registrar) HandleIssueFailed(now time.Time, id ID, acts []Action) ([]Action, error) {
	now = r.clock.advance(now)
	r.out = r.out[:0]
	g := r.pending[id]
	if g == nil || g.notifying {
		return acts, r.stats.drop(ReasonStale, nil)
	}
	r.settle(g)
	r.stats[ReasonIssue]++
	return r.fail(now, g, ErrNotIssued, acts), nil
}

// HandleNotified answers an ActionNotifyCA. The Reply goes out whether or not
// the certificate server could be told: in Case 1 the delegating router is a
// helper. A failure is counted, and the next Request leads to another attempt.
func (r *Registrar) HandleNotified(now time.Time, id ID, ok bool, acts []Action) ([]Action, error) {
	r.clock.advance(now)
	r.out = r.out[:0]
	g := r.pending[id]
	if g == nil || !g.notifying {
		return acts, r.stats.drop(ReasonStale, nil)
	}
	r.settle(g)
	return r.notified(g, ok, acts), nil
}

// End tells the Registrar that the delegation to duid and iaid ended before its
// time: it was released or reclaimed. Certificates still valid are revoked, and
// what the certificate server was told is withdrawn. An ActionAnswer that was
// still to come does not.
func (r *Registrar) End(now time.Time, duid []byte, iaid uint32, acts []Action) []Action {
	return r.end(r.clock.advance(now), clientID{string(duid), iaid}, acts)
}

// Stats returns the counters.
func (r *Registrar) Stats() Stats { return r.stats }

// Deadline is when HandleTimeout has something to do.
func (r *Registrar) Deadline() (time.Time, bool) {
	var t time.Time
	if e := r.waiting.Front(); e != nil {
		t = e.Value.(*registration).since.Add(r.cfg.AnswerTimeout)
	}
	if len(r.ends) > 0 {
		t = earlier(t, r.ends[0].end)
	}
	return t, !t.IsZero()
}

// maxPerTimeout bounds the work of one HandleTimeout; Deadline stays due until
// all is done.
const maxPerTimeout = 256

// HandleTimeout does what is due, some of it if it is much. Called early, it
// does nothing. Registrations whose delegation ends are forgotten: their
// certificates ended before.
func (r *Registrar) HandleTimeout(now time.Time, acts []Action) []Action {
	now = r.clock.advance(now)
	r.out = r.out[:0]
	return r.timeout(now, acts)
}

func (r *Registrar) timeout(now time.Time, acts []Action) []Action {
	for range maxPerTimeout {
		if e := r.waiting.Front(); e != nil && due(now, e.Value.(*registration).since.Add(r.cfg.AnswerTimeout)) {
			g := e.Value.(*registration)
			r.settle(g)
			if g.notifying {
				acts = r.notified(g, false, acts)
			} else {
				r.stats[ReasonIssue]++
				acts = r.fail(now, g, ErrNoAnswer, acts)
			}
			continue
		}
		if len(r.ends) > 0 && due(now, r.ends[0].end) {
			g := r.ends[0]
			if g.id != 0 { // somebody still waits for an answer
				r.settle(g)
				acts = r.refuse(g, ErrExpired, acts)
			}
			acts = r.end(now, g.client, acts)
			continue
		}
		break
	}
	return acts
}

// pointerWanted says that there is a CA pointer and a message asks for it.
func (r *Registrar) pointerWanted(options []byte) bool {
	wants, err := r.cfg.Options.Requests(options)
	return err == nil && wants.CAPointer && r.cfg.CAPointer != ""
}

// examine finds out what a message asks for. The key aliases options.
func (r *Registrar) examine(client, server []byte, xid [3]byte, options []byte) ask {
	opts, err := r.cfg.Options.Find(options)
	if err != nil {
		r.stats[ReasonOptions]++
		return ask{}
	}
	wants, err := r.cfg.Options.Requests(options)
	if err != nil {
		r.stats[ReasonOptions]++
		return ask{}
	}
	a := ask{pointer: wants.CAPointer && r.cfg.CAPointer != "", chain: wants.Chain}
	if opts.PublicKey == nil || !r.cfg.Certify {
		return a
	}
	// The slides have "DHCP_REQUEST [DUID, key]" and nothing else: the key itself
	// asks for the certificate, whether or not the ORO does.
	a.key = opts.PublicKey
	about := certopt.Statement{TransactionID: xid, ClientDUID: client, ServerDUID: server}
	switch {
	case !r.cfg.AllowAnyKey && !sendKey(opts.PublicKey):
		r.stats[ReasonKey]++
		a.refused = ErrKeyPolicy
	case opts.KeyProof == nil && r.cfg.RequireKeyProof,
		opts.KeyProof != nil && certopt.VerifyKeyProof(opts.KeyProof, opts.PublicKey, about) != nil:
		r.stats[ReasonKeyProof]++
		a.refused = ErrKeyProof
	default:
		a.proven = opts.KeyProof != nil
	}
	return a
}

// sendKey says that SEND can use a public key: RSA (RFC 3971 section 5.2), of 2048
// bits or more (RFC 7935 section 3), and not so large that to verify its
// signatures becomes a burden.
func sendKey(spki []byte) bool {
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return false
	}
	k, ok := key.(*rsa.PublicKey)
	return ok && k.N.BitLen() >= 2048 && k.N.BitLen() <= 4096 && k.E <= 1<<16+1
}

// request is HandleRequest for a message already examined. It keeps a.key.
func (r *Registrar) request(now time.Time, client clientID, xid [3]byte, a ask, prefixes []Prefix, acts []Action) []Action {
	g := r.clients[client]
	if a.key == nil && !a.pointer && g == nil {
		return r.answer(&registration{client: client}, OutcomeNone, nil, acts)
	}
	nets := make([]netip.Prefix, 0, len(prefixes))
	valid := Infinite
	for _, p := range prefixes {
		nets = append(nets, p.Prefix)
		valid = min(valid, p.Valid)
	}
	slices.SortFunc(nets, netip.Prefix.Compare)
	if g == nil {
		if len(r.clients) >= r.cfg.MaxClients {
			r.stats[ReasonTooMany]++
			return r.refuse(&registration{client: client, ask: a}, ErrFull, acts)
		}
		g = &registration{client: client, prefixes: nets, end: until(now, valid)}
		r.clients[client] = g
		heap.Push(&r.ends, g)
	}
	r.pin(now, g, &a)
	same, end := slices.Equal(g.prefixes, nets), until(now, valid)
	retransmission := g.last == xid && same
	switch {
	case g.id != 0 && a.refused != nil:
		return acts // whoever sent this does not disturb what is under way
	case g.id != 0 && same && g.ask.equal(a) && (g.notifying || end.IsZero() || !g.notAfter.After(end)):
		g.last = xid
		return acts // the answer to come is for the latest message
	}
	r.settle(g)
	if !same {
		acts = r.withdraw(g, acts)
	}
	// A certificate that outlives a delegation was for an extension of it that did
	// not come about.
	acts = r.revoke(now, g, func(c *issuance) bool { return !c.within(nets) || c.outlives(now, prefixes) }, acts)
	g.last, g.ask, g.prefixes = xid, a, nets
	if retransmission {
		end = earlier(end, g.end) // it extends nothing
	}
	if end != g.end {
		g.end = end
		heap.Fix(&r.ends, g.heapPos)
		g.notified = false
	}
	switch {
	case a.key == nil && a.pointer:
		return r.point(now, g, acts)
	case a.key == nil:
		return r.answer(g, OutcomeNone, nil, acts)
	case a.refused != nil:
		return r.fail(now, g, a.refused, acts)
	}
	notAfter := r.notAfter(now, g.end)
	if c := g.current(now); c != nil {
		switch {
		case !bytes.Equal(c.key, a.key) || !slices.Equal(c.prefixes, nets):
		case retransmission, !c.asked.Before(notAfter.Add(-r.slack(now, notAfter))):
			return r.answer(g, OutcomeCertificate, nil, acts)
		}
	}
	return r.issue(now, g, notAfter, acts)
}

// pin refuses, under the policy PinKey, a key other than the one certified.
func (r *Registrar) pin(now time.Time, g *registration, a *ask) {
	if !r.cfg.PinKey || g == nil || a.key == nil || a.refused != nil {
		return
	}
	if c := g.current(now); c != nil && !bytes.Equal(c.key, a.key) {
		r.stats[ReasonKey]++
		a.refused = ErrWrongKey
	}
}

// current is the newest certificate if it is still valid.
func (g *registration) current(now time.Time) *issuance {
	if n := len(g.certs); n > 0 && g.certs[n-1].notAfter.After(now) {
		return &g.certs[n-1]
	}
	return nil
}

// within says that a certificate binds none but prefixes.
func (c *issuance) within(prefixes []netip.Prefix) bool {
	return !slices.ContainsFunc(c.prefixes, func(p netip.Prefix) bool { return !slices.Contains(prefixes, p) })
}

// outlives says that a certificate ends later than a delegation of its prefixes
// with lifetimes that count from now.
func (c *issuance) outlives(now time.Time, prefixes []Prefix) bool {
	return slices.ContainsFunc(prefixes, func(p Prefix) bool {
		return p.Valid < Infinite && slices.Contains(c.prefixes, p.Prefix) && c.notAfter.After(now.Add(p.Valid))
	})
}

// binds says that a certificate binds any of prefixes.
func (c *issuance) binds(prefixes []netip.Prefix) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return slices.Contains(c.prefixes, p) })
}

// notAfter is when a certificate issued now must end: with the delegation, the
// issuing authority or the longest validity allowed, whichever is first, in
// the whole seconds that certificates count in.
func (r *Registrar) notAfter(now, end time.Time) time.Time {
	t := earlier(end, r.cfg.AuthorityNotAfter)
	if r.cfg.MaxValidity > 0 {
		t = earlier(t, now.Add(r.cfg.MaxValidity))
	}
	if t.IsZero() {
		return noExpiry
	}
	return t.Truncate(time.Second).UTC()
}

// slack is by how much a certificate at hand may end before one issued now would:
// a delegation counts from after its certificate was asked for.
func (r *Registrar) slack(now, notAfter time.Time) time.Duration {
	return min(2*r.cfg.AnswerTimeout, notAfter.Sub(now)/10)
}

func (r *Registrar) issue(now time.Time, g *registration, notAfter time.Time, acts []Action) []Action {
	if !notAfter.After(now) { // less than a second is left
		return r.fail(now, g, ErrExpired, acts)
	}
	r.await(now, g, false)
	g.notAfter = notAfter
	return append(acts, Action{
		Kind: ActionIssue, ID: g.id, DUID: []byte(g.client.duid), IAID: g.client.iaid, Key: g.ask.key, Proven: g.ask.proven,
		Prefixes: g.prefixes, NotBefore: now.Add(-r.cfg.Backdate).Truncate(time.Second).UTC(), NotAfter: notAfter,
	})
}

// issued checks a new certificate and hands it on.
func (r *Registrar) issued(now time.Time, g *registration, der []byte, chain [][]byte, acts []Action) []Action {
	d := delegation{key: g.ask.key, prefixes: g.prefixes, notAfter: g.notAfter, early: clockSkew}
	cert, _, err := d.certifies(now, der)
	var encoded certopt.Chain
	if err == nil {
		encoded, err = certopt.AppendChain(nil, chain...)
	}
	if err == nil {
		// What does not fit its option cannot be delivered.
		_, err = r.cfg.Options.Append(nil, certopt.Options{Certificate: der, Chain: encoded})
	}
	if err != nil {
		r.stats[ReasonCertificate]++
		if len(der) > 0 {
			acts = append(acts, Action{Kind: ActionRevoke, DUID: []byte(g.client.duid), Certificate: der})
		}
		return r.fail(now, g, err, acts)
	}
	// A certificate for another key contradicts the new one. One that it merely
	// extends stays, lest a requesting router that does not get the Reply be left
	// with nothing.
	acts = r.revoke(now, g, func(c *issuance) bool { return !bytes.Equal(c.key, g.ask.key) }, acts)
	if len(g.certs) >= maxCerts {
		oldest := g.certs[0].der
		acts = r.revoke(now, g, func(c *issuance) bool { return bytes.Equal(c.der, oldest) }, acts)
	}
	g.certs = append(g.certs, issuance{
		key: g.ask.key, prefixes: g.prefixes, der: bytes.Clone(der), chain: encoded,
		asked: g.notAfter, notAfter: cert.NotAfter,
	})
	return r.answer(g, OutcomeCertificate, nil, acts)
}

// revoke drops the certificates that which picks, and revokes those of them that
// are still valid. Expired ones are dropped in passing.
func (r *Registrar) revoke(now time.Time, g *registration, which func(*issuance) bool, acts []Action) []Action {
	g.certs = slices.DeleteFunc(g.certs, func(c issuance) bool {
		expired := !c.notAfter.After(now)
		if picked := which(&c); !expired && picked {
			acts = append(acts, Action{Kind: ActionRevoke, DUID: []byte(g.client.duid), Certificate: c.der})
			return true
		}
		return expired
	})
	return acts
}

// fail does what the policy says of a certificate that is due and not to be had.
func (r *Registrar) fail(now time.Time, g *registration, err error, acts []Action) []Action {
	if r.cfg.OnFailure == DegradeToPointer {
		return r.point(now, g, acts)
	}
	return r.refuse(g, err, acts)
}

func (r *Registrar) refuse(g *registration, err error, acts []Action) []Action {
	if len(g.certs) == 0 && !g.told && r.clients[g.client] == g {
		r.forget(g) // there is nothing to remember
	}
	if g.ask.key != nil && r.cfg.OnFailure == FailClosed {
		return r.answer(g, OutcomeRefused, err, acts)
	}
	return r.answer(g, OutcomeNone, err, acts)
}

// point makes sure that the certificate server knows of the delegation before
// the requesting router, pointed to it, can ask.
func (r *Registrar) point(now time.Time, g *registration, acts []Action) []Action {
	if g.notified {
		return r.answer(g, OutcomePointer, nil, acts)
	}
	r.await(now, g, true)
	g.told = true
	return append(acts, Action{
		Kind: ActionNotifyCA, ID: g.id, DUID: []byte(g.client.duid), IAID: g.client.iaid,
		Prefixes: g.prefixes, NotAfter: g.end,
	})
}

func (r *Registrar) notified(g *registration, ok bool, acts []Action) []Action {
	if !ok {
		r.stats[ReasonNotify]++
	}
	g.notified = ok
	return r.answer(g, OutcomePointer, nil, acts)
}

// answer gives the ActionAnswer with the options for the Reply.
func (r *Registrar) answer(g *registration, o Outcome, err error, acts []Action) []Action {
	var opts certopt.Options
	var notAfter time.Time
	switch o {
	case OutcomePointer:
		opts.CAPointer = []byte(r.cfg.CAPointer)
	case OutcomeCertificate:
		c := &g.certs[len(g.certs)-1]
		opts.Certificate, notAfter = c.der, c.notAfter
		if g.ask.chain {
			opts.Chain = c.chain
		}
	}
	start := len(r.out)
	r.out, _ = r.cfg.Options.Append(r.out, opts) // every part passed Append before
	return append(acts, Action{
		Kind: ActionAnswer, DUID: []byte(g.client.duid), IAID: g.client.iaid,
		Outcome: o, Data: r.out[start:len(r.out):len(r.out)], NotAfter: notAfter, Err: err,
	})
}

// withdraw takes back what the certificate server was told.
func (r *Registrar) withdraw(g *registration, acts []Action) []Action {
	if g.told {
		g.told, g.notified = false, false
		acts = append(acts, Action{Kind: ActionWithdrawCA, DUID: []byte(g.client.duid), Prefixes: g.prefixes})
	}
	return acts
}

func (r *Registrar) end(now time.Time, client clientID, acts []Action) []Action {
	g := r.clients[client]
	if g == nil {
		return acts
	}
	r.settle(g)
	if !due(now, g.end) {
		acts = r.withdraw(g, acts)
	}
	for _, c := range g.certs {
		if c.notAfter.After(now) {
			acts = append(acts, Action{Kind: ActionRevoke, DUID: []byte(client.duid), Certificate: c.der})
		}
	}
	r.forget(g)
	return acts
}

// retract takes back what stands for prefixes that are not delegated after all:
// the pending action, certificates that bind any of them, what the certificate
// server was told.
func (r *Registrar) retract(now time.Time, client clientID, prefixes []netip.Prefix, acts []Action) []Action {
	g := r.clients[client]
	if g == nil {
		return acts
	}
	r.settle(g)
	acts = r.withdraw(g, acts)
	acts = r.revoke(now, g, func(c *issuance) bool { return c.binds(prefixes) }, acts)
	if len(g.certs) == 0 {
		r.forget(g)
	}
	return acts
}

// cancel gives up the pending action of a client: its answer is then too late.
func (r *Registrar) cancel(client clientID) {
	if g := r.clients[client]; g != nil {
		r.settle(g)
	}
}

// binds says that a certificate of a client binds any of prefixes.
func (r *Registrar) binds(client clientID, prefixes []netip.Prefix) bool {
	g := r.clients[client]
	return g != nil && slices.ContainsFunc(g.certs, func(c issuance) bool { return c.binds(prefixes) })
}

func (r *Registrar) forget(g *registration) {
	heap.Remove(&r.ends, g.heapPos)
	delete(r.clients, g.client)
}

// await makes a new action pending for g.
func (r *Registrar) await(now time.Time, g *registration, notifying bool) {
	g.id, g.notifying, g.since = r.ids.next(), notifying, now
	r.pending[g.id] = g
	g.elem = r.waiting.PushBack(g)
}

// settle ends the wait for the pending action, if there is one.
func (r *Registrar) settle(g *registration) {
	if g.id != 0 {
		delete(r.pending, g.id)
		r.waiting.Remove(g.elem)
		g.id, g.elem = 0, nil
	}
}

// checkPrefixes checks what a caller says is delegated.
func checkPrefixes(prefixes []Prefix) error {
	for _, p := range prefixes {
		if !delegable(p.Prefix) {
			return errors.New("dhcpv6pd: a delegated prefix must be IPv6 without host bits, not multicast or link-local")
		}
		if p.Valid <= 0 || p.Valid > Infinite || p.Preferred < 0 || p.Preferred > p.Valid {
			return errors.New("dhcpv6pd: lifetimes must be positive, Preferred at most Valid, Valid at most Infinite")
		}
	}
	return nil
}
