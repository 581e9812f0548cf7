package dhcpv6pd

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"dhcpsec.example/certopt"
	"dhcpsec.example/x509ip"
)

// HolderConfig configures a [Holder].
type HolderConfig struct {
	// DUID is the requesting router's DUID, 3 to 130 octets.
	DUID []byte
	// Key is the key to be certified. SEND hosts accept RSA only (RFC 3971
	// section 5.2). Its Sign is called for each Request that carries the key.
	Key crypto.Signer
	// OfferKey asks for Case 2: each Request carries the public key and a proof
	// of possession. Without it the Holder only follows a CA pointer (Case 1),
	// which it does with it too, when that is what the Reply has.
	OfferKey bool
	// TrustAnchors are what a certificate must lead to: those the hosts have.
	TrustAnchors []*x509.Certificate
	// Options says how the certificate options are carried.
	Options certopt.Codec
	// ClockSkew is how far the clocks of the certificate server and this machine
	// may disagree. Default 5 minutes.
	ClockSkew time.Duration
	// EnrollTimeout is how long an ActionEnroll may take. Default 30 seconds.
	EnrollTimeout time.Duration
	// RetryMin and RetryMax bound the pause between enrolments, which doubles
	// after each failure. Defaults 2 seconds and 10 minutes.
	RetryMin, RetryMax time.Duration
	// Rand is the source of jitter. Default: ChaCha8 seeded from crypto/rand.
	Rand rand.Source
}

func (c *HolderConfig) setDefaults() error {
	if _, err := x509ip.DUIDName(c.DUID); err != nil {
		return fmt.Errorf("dhcpv6pd: DUID: %w", err)
	}
	if c.Key == nil {
		return errors.New("dhcpv6pd: Key is required")
	}
	if len(c.TrustAnchors) == 0 {
		return errors.New("dhcpv6pd: TrustAnchors are required: without one no certificate can be checked")
	}
	if err := c.Options.Validate(); err != nil {
		return fmt.Errorf("dhcpv6pd: Options: %w", err)
	}
	c.ClockSkew = cmp.Or(c.ClockSkew, clockSkew)
	c.EnrollTimeout = cmp.Or(c.EnrollTimeout, 30*time.Second)
	c.RetryMin = cmp.Or(c.RetryMin, 2*time.Second)
	c.RetryMax = cmp.Or(c.RetryMax, 10*time.Minute)
	if c.ClockSkew < 0 || c.EnrollTimeout < 0 || c.RetryMin < 0 || c.RetryMax < c.RetryMin {
		return errors.New("dhcpv6pd: durations must not be negative, nor RetryMax less than RetryMin")
	}
	return nil
}

// HolderState says how far a [Holder] is.
type HolderState uint8

const (
	// HolderIdle: no certificate, and nothing under way to get one.
	HolderIdle HolderState = iota
	// HolderEnrolling: no certificate; an ActionEnroll awaits its answer.
	HolderEnrolling
	// HolderBackoff: no certificate; enrolment failed and will be tried again.
	HolderBackoff
	// HolderCertified: a valid certificate binds prefixes that are held.
	HolderCertified
)

var holderStateNames = [...]string{"idle", "enrolling", "backoff", "certified"}

func (s HolderState) String() string { return name(holderStateNames[:], int(s), "HolderState") }

// Holder is the requesting router's side of a certificate's life. It works
// beside any DHCPv6 client: put what AppendRequested and AppendOptions give into
// each Request, Renew and Rebind, and feed it each Reply.
//
// "CPE/RR might not be operational even though it has a prefix" (slide 7): the
// Holder, not the lease, says what may be advertised.
//
// A Holder is not safe for concurrent use.
type Holder struct {
	cfg   HolderConfig
	key   []byte // DER SubjectPublicKeyInfo of cfg.Key
	clock clock
	ids   *ids
	rng   *rand.Rand
	stats Stats

	held   []heldPrefix
	cert   *certified // nil: none that passed every check and still holds
	enroll enrollment
}

type heldPrefix struct {
	prefix netip.Prefix
	until  time.Time // zero is never
}

// certified is a certificate that passed every check.
type certified struct {
	der       []byte
	resources x509ip.Blocks
	notAfter  time.Time
}

// enrollment is the exchange with the certificate server that a CA pointer
// started (Case 1).
type enrollment struct {
	uri   string
	id    ID            // of the ActionEnroll that awaits its answer, or zero
	at    time.Time     // end of the wait: for the answer, or before the next attempt
	pause time.Duration // the last pause after a failure
}

// NewHolder checks cfg, fills in defaults and makes a Holder without prefixes.
func NewHolder(cfg HolderConfig) (*Holder, error) {
	return newHolder(cfg, new(ids), newRand(cfg.Rand))
}

func newHolder(cfg HolderConfig, ids *ids, rng *rand.Rand) (*Holder, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKIXPublicKey(cfg.Key.Public())
	if err != nil {
		return nil, fmt.Errorf("dhcpv6pd: Key: %w", err)
	}
	cfg.DUID = bytes.Clone(cfg.DUID)
	return &Holder{cfg: cfg, key: key, ids: ids, rng: rng}, nil
}

// AppendRequested appends the codes that the Option Request option of a Solicit,
// Request, Renew or Rebind must name: "Other top-level options MUST appear in
// the Option Request option or they will not be sent by the server" (RFC 8415
// section 21.7).
func (h *Holder) AppendRequested(codes []uint16) []uint16 {
	return h.cfg.Options.AppendRequested(codes)
}

// AppendOptions appends to b the certificate options of a Request, Renew, Rebind,
// or Solicit with Rapid Commit: in Case 2 the public key and the proof of its
// possession, which ties it to this message's transaction id and to the two
// DUIDs. server is the DUID in the message's Server Identifier, nil if it has
// none. On error, which is that of Key's Sign, b comes back as it was.
func (h *Holder) AppendOptions(b []byte, transactionID [3]byte, server []byte) ([]byte, error) {
	if !h.cfg.OfferKey {
		return b, nil
	}
	proof, err := certopt.SignKeyProof(nil, h.cfg.Key, nil, certopt.Statement{
		TransactionID: transactionID, ClientDUID: h.cfg.DUID, ServerDUID: server,
	})
	if err != nil {
		return b, err
	}
	return h.cfg.Options.Append(b, certopt.Options{PublicKey: h.key, KeyProof: proof})
}

// HandleReply takes in what an accepted Reply brought: its top-level options,
// and all prefixes now held, with lifetimes that count from now.
//
// A certificate in it is checked and, if good, put to use (ActionCertified);
// otherwise ActionCertificateRejected says why. A CA pointer leads to
// ActionEnroll unless the certificate in hand lasts as long as the delegation.
//
// Where the Reply has neither, a certificate in hand stays in use. RFC 8415
// section 18.2.10 has a client stop using what a Reply no longer carries, but a
// certificate is no parameter of that server's: it has a validity of its own,
// and whoever issued it can revoke it.
func (h *Holder) HandleReply(now time.Time, options []byte, prefixes []Prefix, acts []Action) []Action {
	now = h.clock.advance(now)
	acts = h.setHeld(now, prefixes, ErrWithdrawn, acts)
	if len(h.held) == 0 {
		return acts
	}
	opts, err := h.cfg.Options.Find(options)
	if err != nil {
		// "Clients MUST discard option foo if it is invalid", and not its message
		// (RFC 7227 section 21.1).
		h.stats[ReasonOptions]++
		return append(acts, Action{Kind: ActionCertificateRejected, Err: err})
	}
	if opts.Certificate != nil {
		acts, _ = h.accept(now, opts.Certificate, slices.Collect(opts.Chain.All()), acts)
	}
	if opts.CAPointer != nil {
		return h.pointed(now, string(opts.CAPointer), acts)
	}
	if opts.Certificate == nil && h.cert == nil {
		acts = append(acts, Action{Kind: ActionCertificateRejected, Err: ErrNotOffered})
	}
	return acts
}

// HandleLease takes in that the prefixes held changed without a Reply: one
// expired, or all were released (nil). A certificate that thereby claims too much
// is lost (ActionCertificateLost), and why becomes the reason.
func (h *Holder) HandleLease(now time.Time, prefixes []Prefix, why error, acts []Action) []Action {
	now = h.clock.advance(now)
	acts = h.setHeld(now, prefixes, why, acts)
	if h.cert == nil && h.enroll.uri != "" && h.enroll.at.IsZero() {
		acts = h.startEnroll(now, acts)
	}
	return acts
}

// HandleEnrolled answers an ActionEnroll with the certificate that the
// certificate server returned, and those between it and the trust anchor. If it
// fails a check, enrolment is tried again later. The error is a *DropError with
// ReasonStale if id is not that of the enrolment under way.
func (h *Holder) HandleEnrolled(now time.Time, id ID, certificate []byte, chain [][]byte, acts []Action) ([]Action, error) {
	now = h.clock.advance(now)
	if id == 0 || id != h.enroll.id {
		return acts, h.stats.drop(ReasonStale, nil)
	}
	acts, ok := h.accept(now, certificate, chain, acts)
	if !ok {
		h.backOff(now)
	}
	return acts, nil
}

// HandleEnrollFailed answers an ActionEnroll that brought no certificate. The
// enrolment is tried again later. Errors are those of HandleEnrolled.
func (h *Holder) HandleEnrollFailed(now time.Time, id ID, acts []Action) ([]Action, error) {
	now = h.clock.advance(now)
	if id == 0 || id != h.enroll.id {
		return acts, h.stats.drop(ReasonStale, nil)
	}
	return h.enrollFailed(now, ErrNotIssued, acts), nil
}

// MayAdvertise says whether p, which is a prefix held or a longer one inside it,
// may be advertised now, and until when (the zero time: for ever). "The
// advertised preferred and valid lifetimes MUST NOT exceed the corresponding
// remaining lifetimes of the delegated prefix" (RFC 8415 section 18.2.10.1), and
// hosts stop believing at the certificate's end.
func (h *Holder) MayAdvertise(now time.Time, p netip.Prefix) (until time.Time, ok bool) {
	if h.cert == nil || due(now, h.cert.notAfter) || !h.cert.resources.Contains(p) {
		return time.Time{}, false
	}
	for _, held := range h.held {
		if held.prefix.Bits() <= p.Bits() && held.prefix.Contains(p.Addr()) && !due(now, held.until) {
			return earlier(h.cert.notAfter, held.until), true
		}
	}
	return time.Time{}, false
}

// State says how far the Holder is.
func (h *Holder) State() HolderState {
	switch {
	case h.cert != nil:
		return HolderCertified
	case h.enroll.id != 0:
		return HolderEnrolling
	case !h.enroll.at.IsZero():
		return HolderBackoff
	default:
		return HolderIdle
	}
}

// Stats returns the counters.
func (h *Holder) Stats() Stats { return h.stats }

// Deadline is when HandleTimeout has something to do.
func (h *Holder) Deadline() (time.Time, bool) {
	t := earlier(h.enroll.at, h.leaseEnd())
	if h.cert != nil {
		t = earlier(t, h.cert.notAfter)
	}
	return t, !t.IsZero()
}

// HandleTimeout does what is due. Called early, or twice, it does nothing.
func (h *Holder) HandleTimeout(now time.Time, acts []Action) []Action {
	now = h.clock.advance(now)
	if due(now, h.leaseEnd()) {
		h.held = slices.DeleteFunc(h.held, func(p heldPrefix) bool { return due(now, p.until) })
		acts = h.reconcile(now, ErrExpired, acts)
	}
	if h.cert != nil && due(now, h.cert.notAfter) {
		acts = h.uncertify(ErrExpired, acts)
		if h.enroll.uri != "" && h.enroll.at.IsZero() {
			acts = h.startEnroll(now, acts)
		}
	}
	if due(now, h.enroll.at) {
		if h.enroll.id != 0 {
			return h.enrollFailed(now, ErrNoAnswer, acts)
		}
		return h.startEnroll(now, acts)
	}
	return acts
}

// setHeld records the prefixes held.
func (h *Holder) setHeld(now time.Time, prefixes []Prefix, why error, acts []Action) []Action {
	h.held = h.held[:0]
	for _, p := range prefixes {
		if p.Valid > 0 && delegable(p.Prefix) {
			h.held = append(h.held, heldPrefix{p.Prefix, until(now, p.Valid)})
		}
	}
	return h.reconcile(now, why, acts)
}

// reconcile drops a certificate that binds a prefix no longer held, since it claims
// more than is delegated, and ends the enrolment if there are no prefixes.
func (h *Holder) reconcile(now time.Time, why error, acts []Action) []Action {
	if len(h.held) == 0 {
		h.enroll = enrollment{}
	}
	if h.cert != nil {
		mine, err := x509ip.FromPrefixes(h.heldPrefixes()...)
		if err != nil || !mine.Covers(h.cert.resources) {
			acts = h.uncertify(why, acts)
		}
	}
	if planned := h.enroll.id == 0 && h.enroll.pause == 0; planned && !h.enroll.at.IsZero() && !h.bindsHeld() {
		// The next enrolment was planned when a certificate bound all that was held.
		h.enroll.at = now
	}
	return acts
}

func (h *Holder) heldPrefixes() []netip.Prefix {
	out := make([]netip.Prefix, len(h.held))
	for i, p := range h.held {
		out[i] = p.prefix
	}
	return out
}

// leaseEnd is when the first of the prefixes held expires; zero is never.
func (h *Holder) leaseEnd() time.Time {
	var end time.Time
	for _, p := range h.held {
		end = earlier(end, p.until)
	}
	return end
}

// bindsHeld says that the certificate in hand binds all that is held.
func (h *Holder) bindsHeld() bool {
	return h.cert != nil && !slices.ContainsFunc(h.held, func(p heldPrefix) bool {
		return !h.cert.resources.Contains(p.prefix)
	})
}

// sufficient says that the certificate in hand binds all that is held for as
// long as it is held, give or take a tenth of the time left: a certificate made
// before the Reply ends a little before the delegation does.
func (h *Holder) sufficient(now time.Time) bool {
	if !h.bindsHeld() {
		return false
	}
	end := h.leaseEnd()
	if end.IsZero() {
		return !h.cert.notAfter.Before(noExpiry)
	}
	slack := min(h.cfg.ClockSkew, end.Sub(now)/10)
	return !h.cert.notAfter.Before(end.Add(-slack))
}

// accept checks a certificate and puts it to use, or says why not.
func (h *Holder) accept(now time.Time, der []byte, chain [][]byte, acts []Action) ([]Action, bool) {
	d := delegation{key: h.key, prefixes: h.heldPrefixes(), notAfter: h.leaseEnd(), early: h.cfg.ClockSkew, late: h.cfg.ClockSkew}
	cert, resources, err := d.certifies(now, der)
	if err == nil {
		err = verifyRouter(now, cert, chain, h.cfg.TrustAnchors)
	}
	if err != nil {
		h.stats[ReasonCertificate]++
		return append(acts, Action{Kind: ActionCertificateRejected, Err: err}), false
	}
	if h.cert == nil || !bytes.Equal(h.cert.der, der) {
		h.cert = &certified{der: bytes.Clone(der), resources: resources, notAfter: cert.NotAfter}
		acts = append(acts, Action{
			Kind: ActionCertified, Certificate: h.cert.der, Chain: cloneChain(chain),
			Prefixes: d.prefixes, NotAfter: earlier(cert.NotAfter, d.notAfter),
		})
	}
	h.enroll.id, h.enroll.at, h.enroll.pause = 0, time.Time{}, 0
	if h.enroll.uri != "" && !h.sufficient(now) {
		// The certificate server allowed less time than the delegation has:
		// ask for the next certificate when a third of this one is left.
		h.enroll.at = now.Add(max(cert.NotAfter.Sub(now)/3*2, h.cfg.RetryMin))
	}
	return acts, true
}

// cloneChain copies certificates that are still in a message of the caller's.
func cloneChain(chain [][]byte) [][]byte {
	out := slices.Clone(chain)
	for i := range out {
		out[i] = bytes.Clone(out[i])
	}
	return out
}

func (h *Holder) uncertify(err error, acts []Action) []Action {
	h.cert = nil
	return append(acts, Action{Kind: ActionCertificateLost, Err: err})
}

// pointed follows a CA pointer, unless there is nothing to gain by it or it is
// being followed already.
func (h *Holder) pointed(now time.Time, uri string, acts []Action) []Action {
	if uri != h.enroll.uri {
		h.enroll = enrollment{uri: uri}
	}
	if h.sufficient(now) || !h.enroll.at.IsZero() {
		return acts
	}
	return h.startEnroll(now, acts)
}

func (h *Holder) startEnroll(now time.Time, acts []Action) []Action {
	h.enroll.id = h.ids.next()
	h.enroll.at = now.Add(h.cfg.EnrollTimeout)
	return append(acts, Action{
		Kind: ActionEnroll, ID: h.enroll.id, URI: h.enroll.uri, DUID: h.cfg.DUID,
		Key: h.key, Prefixes: h.heldPrefixes(), NotAfter: h.leaseEnd(),
	})
}

func (h *Holder) enrollFailed(now time.Time, err error, acts []Action) []Action {
	h.stats[ReasonIssue]++
	h.backOff(now)
	return append(acts, Action{Kind: ActionCertificateRejected, Err: err})
}

// backOff arms the next attempt. It needs no limit of its own: setHeld ends the
// enrolment with the delegation.
func (h *Holder) backOff(now time.Time) {
	e := &h.enroll
	e.id = 0
	e.pause = min(max(2*e.pause, h.cfg.RetryMin), h.cfg.RetryMax)
	e.at = now.Add(e.pause + jitter(h.rng, e.pause))
}
