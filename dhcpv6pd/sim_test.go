package dhcpv6pd

import (
	"crypto"
	"crypto/ed25519"
	crand "crypto/rand"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"dhcpsec.example/certopt"
	"dhcpsec.example/internal/dhcp6"
	"dhcpsec.example/internal/sim"
	"github.com/stretchr/testify/require"
)

// Two requesting routers and a delegating router live through six minutes in
// which messages are lost, duplicated and reordered, the certificate server and
// the database are late, silent or failing, and every side crashes; then all is
// well. At each moment
//
//   - no certificate is issued twice for one client, key and lease;
//   - no certificate outlives the delegation that it was issued for, and no
//     Reply delegates what is not stored;
//   - what may be advertised is held, and stored for no other;
//
// and in the end each router is certified for all that it asks for, and stays so
// when it renews.
func TestSimulationOfBothRouters(t *testing.T) {
	sim.Seeds(t, 1000, func(t *testing.T, net *sim.Net) {
		w := newWorld(net)
		require.NoError(t, net.RunUntil(start.Add(trouble)))
		w.endTrouble()
		require.NoError(t, net.RunWhile(start.Add(trouble+convergence), func() bool { return !w.certified() }))
		require.True(t, w.certified(), "%v after the trouble not all are certified", convergence)
		// What began in the trouble may end in it; what begins now may not.
		require.NoError(t, net.RunUntil(net.Now().Add(simLease.Valid)))
		require.NoError(t, net.RunWhile(net.Now().Add(convergence), func() bool { return !w.certified() }))
		w.settled = true
		require.NoError(t, net.RunUntil(net.Now().Add(simLease.Preferred)))
		require.True(t, w.certified(), "a renewal without trouble went wrong")
	})
}

const (
	trouble = 6 * time.Minute
	// convergence leaves time for a client whose retransmission time grew to as
	// long as the trouble was.
	convergence = 40 * time.Minute
	// maxLatency is how long a message is under way at most. Who comes back after
	// that meets none of its own.
	maxLatency = time.Second
	// slack is by how much a client may hold a prefix for longer than is stored:
	// lifetimes are in whole seconds, rounded up, and count from when the Reply arrives.
	slack = time.Second + maxLatency
)

// simLease is what every prefix is delegated for.
var simLease = Prefix{Preferred: 200 * time.Second, Valid: 300 * time.Second}

// simPrefixes is the delegating router's pool.
var simPrefixes = []netip.Prefix{
	prefix("2001:db8:0:100::/56"), prefix("2001:db8:0:200::/56"), prefix("2001:db8:0:300::/56"), prefix("2001:db8:0:400::/56"),
}

// simKeys are the requesting routers' keys: of a kind that SEND cannot use, but
// that is cheap.
var simKeys = sync.OnceValue(func() (keys [2]crypto.Signer) {
	for i := range keys {
		_, keys[i], _ = ed25519.GenerateKey(crand.Reader)
	}
	return keys
})

// world is one run: the routers, and what survives their crashes.
type world struct {
	net     *sim.Net
	faulty  bool // the trouble has not ended
	settled bool // all were certified since
	routers []*simRequesting
	dr      *simDelegating

	stored map[clientID]storedBinding // the delegating router's database
	known  map[string]simKnown        // what the certificate server was told, by DUID
	issued map[string]*simCertificate // what it issued for the delegating router, by DER
}

type storedBinding struct {
	prefixes []Prefix
	since    time.Time
	notAfter time.Time
}

type simKnown struct {
	prefixes []netip.Prefix
	notAfter time.Time
}

type simCertificate struct {
	duid     string
	prefixes []netip.Prefix
	notAfter time.Time
	revoked  bool
	orphan   bool // the delegating router crashed since, and knows nothing of it
}

func newWorld(net *sim.Net) *world {
	w := &world{
		net: net, faulty: true,
		stored: map[clientID]storedBinding{}, known: map[string]simKnown{}, issued: map[string]*simCertificate{},
	}
	faults := sim.Faults{
		Latency: net.Between(0, maxLatency/10), Jitter: net.Between(0, maxLatency*9/10),
		Loss: net.Rand().Float64() * 0.4, Duplicate: net.Rand().Float64() * 0.3,
	}
	w.dr = &simDelegating{world: w, config: DelegatingRouterConfig{
		DUID: serverDUID,
		Registrar: RegistrarConfig{
			CAPointer: caURI, Certify: true, AllowAnyKey: true,
			RequireKeyProof: net.Chance(0.5),
			OnFailure:       FailurePolicy(net.Rand().IntN(int(PrefixOnly) + 1)),
		},
		Preference:  uint8(net.Rand().IntN(2) * 255),
		RapidCommit: net.Chance(0.5),
	}}
	w.dr.node = sim.NewNode(net, "delegating router", w.dr.perform)
	w.dr.boot()
	for i, key := range simKeys() {
		r := &simRequesting{world: w, address: netip.AddrPortFrom(netip.AddrFrom16([16]byte{0xfe, 0x80, 15: byte(i + 1)}), 546)}
		r.name = "router " + string(rune('A'+i))
		r.config = RequestingRouterConfig{
			Holder: HolderConfig{
				DUID: []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, byte(i + 1)}, Key: key, OfferKey: net.Chance(0.6),
				TrustAnchors: []*x509.Certificate{trustAnchor().cert},
			},
			IAs:         []IA{{IAID: 1}, {IAID: 2}}[:1+i],
			RapidCommit: net.Chance(0.5),
		}
		r.node = sim.NewNode(net, r.name, r.perform)
		r.up = net.Link(r.name+" up", faults, func(pkt []byte) { w.dr.hears(r.address, pkt) })
		r.down = net.Link(r.name+" down", faults, r.hears)
		w.routers = append(w.routers, r)
		r.boot()
		for range net.Rand().IntN(3) {
			net.After(net.Between(0, trouble), r.crash)
		}
		for range net.Rand().IntN(3) {
			net.After(net.Between(0, trouble), r.release)
		}
	}
	for range net.Rand().IntN(4) {
		net.After(net.Between(0, trouble), w.dr.crash)
	}
	return w
}

// endTrouble makes links and servers reliable.
func (w *world) endTrouble() {
	w.net.Logf("the trouble ends")
	w.faulty = false
	for _, r := range w.routers {
		r.up.Loss, r.up.Duplicate, r.up.Jitter = 0, 0, 0
		r.down.Faults = r.up.Faults
	}
}

// patience is how long a server takes; while there is trouble also longer than
// anybody waits, or for ever.
func (w *world) patience() (d time.Duration, ever bool) {
	if w.faulty && w.net.Chance(0.15) {
		return w.net.Between(9*time.Second, 40*time.Second), w.net.Chance(0.5)
	}
	return w.net.Between(time.Millisecond, time.Second), true
}

// fails says that a server is to fail this time.
func (w *world) fails() bool { return w.faulty && w.net.Chance(0.1) }

func (w *world) certified() bool {
	return !slices.ContainsFunc(w.routers, func(r *simRequesting) bool { return !r.certified() })
}

// certify is the certificate server's work.
func (w *world) certify(key []byte, duid []byte, notAfter time.Time, prefixes []netip.Prefix) []byte {
	for i, k := range simKeys() {
		if string(spki(k)) == string(key) {
			w.net.Logf("certificate server: certifies router %c for %v until %v", 'A'+i, prefixes, notAfter.Format(time.TimeOnly))
			return trustAnchor().router(k.Public(), duid, w.net.Now().Truncate(time.Second), notAfter, prefixes...)
		}
	}
	w.net.Fail("a key that no router has")
	return nil
}

// simRequesting is a requesting router.
type simRequesting struct {
	*world
	name     string
	address  netip.AddrPort
	config   RequestingRouterConfig
	node     *sim.Node[Action]
	machine  *RequestingRouter
	up, down *sim.Link
	held     map[netip.Prefix]time.Time // until when, as the machine said
}

func (r *simRequesting) boot() {
	r.config.Holder.Rand = rand.NewPCG(r.net.Rand().Uint64(), 0)
	r.machine = must(NewRequestingRouter(r.config))
	r.held = map[netip.Prefix]time.Time{}
	r.node.Start(r.machine)
	r.start()
}

// crash takes all the router knows: it keeps no state on disk.
func (r *simRequesting) crash() {
	if r.node.Up() {
		r.node.Crash()
		r.net.After(r.net.Between(maxLatency, time.Minute), r.boot)
	}
}

func (r *simRequesting) start() {
	r.input(func(now time.Time, acts []Action) ([]Action, error) { return r.machine.Start(now, acts), nil })
}

// release gives everything up, and starts over when that is done.
func (r *simRequesting) release() {
	if !r.node.Up() {
		return
	}
	r.net.Logf("%s: release", r.name)
	r.input(func(now time.Time, acts []Action) ([]Action, error) { return r.machine.Release(now, acts), nil })
	var again func()
	again = func() {
		if r.machine.State() == StateInit {
			r.start()
		} else if r.machine.State() == StateReleasing {
			r.node.After(2*maxLatency, again)
		}
	}
	r.node.After(2*maxLatency, again)
}

func (r *simRequesting) hears(pkt []byte) {
	r.input(func(now time.Time, acts []Action) ([]Action, error) {
		acts, err := r.machine.HandleMessage(now, pkt, acts)
		poison(pkt)
		return acts, err
	})
}

func (r *simRequesting) input(call func(now time.Time, acts []Action) ([]Action, error)) {
	r.node.Input(func(now time.Time, acts []Action) []Action {
		acts, err := call(now, acts)
		if err != nil {
			r.net.Logf("%s: %v", r.name, err)
		}
		return acts
	})
	r.check()
}

func (r *simRequesting) perform(a Action) {
	a = taken([]Action{a})[0]
	if a.Kind != ActionSend {
		r.net.Logf("%s: %v %v %v", r.name, a.Kind, a.IAs, a.Err)
	}
	switch a.Kind {
	case ActionSend:
		m, _ := dhcp6.ParseMessage(a.Data)
		r.net.Logf("%s: sends %v %x", r.name, m.Type, m.TransactionID)
		r.up.Send(a.Data)
	case ActionPrefixBound:
		clear(r.held)
		for _, ia := range a.IAs {
			for _, p := range ia.Prefixes {
				r.held[p.Prefix] = until(r.net.Now(), p.Valid)
			}
		}
	case ActionPrefixLost:
		for _, ia := range a.IAs {
			for _, p := range ia.Prefixes {
				delete(r.held, p.Prefix)
			}
		}
		r.mustNotBeSettled(a)
	case ActionCertificateLost, ActionCertificateRejected, ActionFailed:
		r.mustNotBeSettled(a)
	case ActionEnroll:
		if d, ever := r.patience(); ever {
			r.node.After(d, func() { r.enroll(a) })
		}
	}
}

// mustNotBeSettled fails if something went wrong without trouble.
func (r *simRequesting) mustNotBeSettled(a Action) {
	if r.settled {
		r.net.Fail("%s: %v without trouble: %v", r.name, a.Kind, a.Err)
	}
}

// enroll is Case 1: the certificate server certifies what the delegating router
// told it of, and for as long.
func (r *simRequesting) enroll(a Action) {
	r.input(func(now time.Time, acts []Action) ([]Action, error) {
		k, ok := r.known[string(a.DUID)]
		slices.SortFunc(a.Prefixes, netip.Prefix.Compare)
		notAfter := earlier(k.notAfter, a.NotAfter).Truncate(time.Second)
		if r.fails() || !ok || !slices.Equal(k.prefixes, a.Prefixes) || !notAfter.After(now) {
			return r.machine.HandleEnrollFailed(now, a.ID, acts)
		}
		return r.machine.HandleEnrolled(now, a.ID, r.certify(a.Key, a.DUID, notAfter, a.Prefixes), nil, acts)
	})
}

// check holds MayAdvertise against what is held, and against the database.
func (r *simRequesting) check() {
	now := r.net.Now()
	for _, p := range simPrefixes {
		end, ok := r.machine.MayAdvertise(now, p)
		if !ok || !r.node.Up() {
			continue
		}
		heldUntil, held := r.held[p]
		switch {
		case !held:
			r.net.Fail("%s: may advertise %v, which it does not hold", r.name, p)
		case !end.After(now) || end.After(heldUntil):
			r.net.Fail("%s: may advertise %v until %v, holds it until %v", r.name, p, end, heldUntil)
		case !slices.ContainsFunc(r.config.IAs, func(ia IA) bool {
			b := r.stored[clientID{string(r.config.Holder.DUID), ia.IAID}]
			return !b.notAfter.Add(slack).Before(end) && slices.ContainsFunc(b.prefixes, func(s Prefix) bool { return s.Prefix == p })
		}):
			r.net.Fail("%s: may advertise %v until %v, but it is not delegated to it for so long", r.name, p, end)
		}
	}
}

func (r *simRequesting) certified() bool {
	if !r.node.Up() || r.machine.HolderState() != HolderCertified || len(r.held) != len(r.config.IAs) {
		return false
	}
	for p := range r.held {
		if _, ok := r.machine.MayAdvertise(r.net.Now(), p); !ok {
			return false
		}
	}
	return true
}

// simDelegating is the delegating router, with what it loses when it crashes.
type simDelegating struct {
	*world
	config  DelegatingRouterConfig
	node    *sim.Node[Action]
	machine *DelegatingRouter
	pool    map[netip.Prefix]string // DUIDs of those who have an allocation
	issuing map[string]simIssue     // the ActionIssue under way, by DUID
}

type simIssue struct {
	prefixes []netip.Prefix
	expires  time.Time
}

// boot starts the router with the bindings that were stored.
func (d *simDelegating) boot() {
	d.machine = must(NewDelegatingRouter(d.config))
	d.pool, d.issuing = map[netip.Prefix]string{}, map[string]simIssue{}
	for id, b := range d.stored {
		switch err := d.machine.Restore(d.net.Now(), []byte(id.duid), IA{id.iaid, b.prefixes}, b.since); {
		case errors.Is(err, ErrExpired):
			delete(d.stored, id)
			continue
		case err != nil:
			d.net.Fail("a stored binding is not taken back: %v", err)
		}
		for _, p := range b.prefixes {
			d.pool[p.Prefix] = id.duid
		}
	}
	d.node.Start(d.machine)
}

func (d *simDelegating) crash() {
	if !d.node.Up() {
		return
	}
	d.node.Crash()
	for _, c := range d.issued {
		c.orphan = true
	}
	d.net.After(d.net.Between(0, time.Minute), d.boot)
}

func (d *simDelegating) hears(src netip.AddrPort, pkt []byte) {
	d.input(func(now time.Time, acts []Action) ([]Action, error) {
		acts, err := d.machine.HandleMessage(now, src, pkt, acts)
		poison(pkt)
		return acts, err
	})
}

func (d *simDelegating) input(call func(now time.Time, acts []Action) ([]Action, error)) {
	d.node.Input(func(now time.Time, acts []Action) []Action {
		acts, err := call(now, acts)
		if err != nil {
			d.net.Logf("delegating router: %v", err)
		}
		return acts
	})
}

// answers makes an input call when the server behind an action is done.
func (d *simDelegating) answers(call func(now time.Time, acts []Action) ([]Action, error)) {
	if wait, ever := d.patience(); ever {
		d.node.After(wait, func() { d.input(call) })
	}
}

func (d *simDelegating) perform(a Action) {
	a = taken([]Action{a})[0]
	duid := string(a.DUID)
	if a.Kind != ActionSend {
		d.net.Logf("delegating router: %v %d %x %v %v", a.Kind, a.ID, a.DUID, a.IAs, a.Prefixes)
	}
	switch a.Kind {
	case ActionSend:
		d.send(a)
	case ActionAllocate:
		d.answers(func(now time.Time, acts []Action) ([]Action, error) { return d.allocate(now, a, acts) })
	case ActionFree:
		delete(d.issuing, duid)
		for _, ia := range a.IAs {
			for _, p := range ia.Prefixes {
				d.freed(clientID{duid, ia.IAID}, p.Prefix)
			}
		}
	case ActionIssue:
		d.issue(a)
	case ActionRevoke:
		c := d.issued[string(a.Certificate)]
		if c == nil {
			d.net.Fail("a certificate is revoked that was never issued")
			return
		}
		c.revoked = true
	case ActionNotifyCA:
		d.answers(func(now time.Time, acts []Action) ([]Action, error) {
			if d.fails() {
				return d.machine.HandleNotified(now, a.ID, false, acts)
			}
			d.known[duid] = simKnown{a.Prefixes, a.NotAfter}
			return d.machine.HandleNotified(now, a.ID, true, acts)
		})
	case ActionWithdrawCA:
		delete(d.known, duid)
	case ActionCommit:
		d.answers(func(now time.Time, acts []Action) ([]Action, error) { return d.commit(now, a, acts) })
	case ActionForget:
		for _, ia := range a.IAs {
			d.forget(clientID{duid, ia.IAID})
		}
	default:
		d.net.Fail("the delegating router wants %v", a.Kind)
	}
}

// send holds a Reply against the database before it goes out.
func (d *simDelegating) send(a Action) {
	m, err := dhcp6.ParseMessage(a.Data)
	if err != nil {
		d.net.Fail("the delegating router sends what does not parse: %v", err)
		return
	}
	d.net.Logf("delegating router: sends %v %x", m.Type, m.TransactionID)
	i := slices.IndexFunc(d.routers, func(r *simRequesting) bool { return r.address == a.To })
	if i < 0 {
		d.net.Fail("the delegating router answers %v, where nobody is", a.To)
		return
	}
	if m.Type == dhcp6.Reply {
		d.checkReply(string(d.routers[i].config.Holder.DUID), m)
	}
	d.routers[i].down.Send(a.Data)
}

func (d *simDelegating) checkReply(duid string, m dhcp6.Message) {
	now := d.net.Now()
	end := noExpiry // of the first prefix in the Reply
	for ia := range m.Options.IAPDs() {
		b := d.stored[clientID{duid, ia.IAID}]
		for p := range ia.Prefixes() {
			if !slices.ContainsFunc(b.prefixes, func(s Prefix) bool { return s.Prefix == p.Prefix }) {
				d.net.Fail("a Reply delegates %v, which is not stored", p.Prefix)
			}
			// The wire has whole seconds, rounded up.
			if b.notAfter.Before(now.Add(seconds(p.Valid) - time.Second)) {
				d.net.Fail("a Reply delegates %v for %d seconds, stored until %v", p.Prefix, p.Valid, b.notAfter)
			}
			end = earlier(end, b.notAfter)
		}
	}
	options, err := certopt.Codec{}.Find(m.Options)
	if err != nil {
		d.net.Fail("a Reply with options that do not parse: %v", err)
	}
	if options.Certificate == nil {
		return
	}
	switch c := d.issued[string(options.Certificate)]; {
	case c == nil || c.duid != duid:
		d.net.Fail("a Reply with a certificate that was not issued for this client")
	case c.revoked:
		d.net.Fail("a Reply with a certificate that is revoked")
	case c.notAfter.After(end):
		d.net.Fail("a Reply with a certificate until %v, a delegation until %v", c.notAfter, end)
	}
}

func (d *simDelegating) allocate(now time.Time, a Action, acts []Action) ([]Action, error) {
	var granted []IA
	var taken []netip.Prefix
	for _, ia := range a.IAs {
		i := slices.IndexFunc(simPrefixes, func(p netip.Prefix) bool { return d.pool[p] == "" && !slices.Contains(taken, p) })
		if i < 0 || d.fails() {
			continue
		}
		taken = append(taken, simPrefixes[i])
		granted = append(granted, IA{ia.IAID, []Prefix{{simPrefixes[i], simLease.Preferred, simLease.Valid}}})
	}
	if !a.Tentative {
		for _, p := range taken {
			d.pool[p] = string(a.DUID)
		}
	}
	out, err := d.machine.HandleAllocated(now, a.ID, granted, acts)
	if err != nil && !a.Tentative {
		for _, p := range taken { // the answer came too late
			delete(d.pool, p)
		}
	}
	return out, err
}

func (d *simDelegating) freed(client clientID, p netip.Prefix) {
	if d.pool[p] != client.duid {
		d.net.Fail("%v is freed, which is not allocated to this client", p)
	}
	if slices.ContainsFunc(d.stored[client].prefixes, func(s Prefix) bool { return s.Prefix == p }) {
		d.net.Fail("%v is freed while it is stored as delegated", p)
	}
	delete(d.pool, p)
}

// issue fails if a certificate as good is valid or under way.
func (d *simDelegating) issue(a Action) {
	now, duid := d.net.Now(), string(a.DUID)
	for _, c := range d.issued {
		if c.duid == duid && !c.revoked && !c.orphan && c.notAfter.After(now) && slices.Equal(c.prefixes, a.Prefixes) && c.notAfter.Equal(a.NotAfter) {
			d.net.Fail("a second certificate for one client, key and lease")
		}
	}
	if pending, ok := d.issuing[duid]; ok && slices.Equal(pending.prefixes, a.Prefixes) && now.Before(pending.expires) {
		d.net.Fail("a certificate is asked for while it is being issued")
	}
	for _, p := range a.Prefixes {
		if d.pool[p] != duid {
			d.net.Fail("a certificate is asked for %v, which is not allocated to this client", p)
		}
	}
	if !a.Proven {
		d.net.Fail("possession was not proven, though every client does")
	}
	d.issuing[duid] = simIssue{a.Prefixes, now.Add(d.machine.reg.cfg.AnswerTimeout)}
	d.answers(func(now time.Time, acts []Action) ([]Action, error) {
		delete(d.issuing, duid)
		if d.fails() {
			return d.machine.HandleIssueFailed(now, a.ID, acts)
		}
		if !a.NotAfter.After(a.NotBefore) {
			d.net.Fail("a certificate is asked for that ends before it begins")
			return acts, nil
		}
		if !a.NotAfter.After(now) { // the lease ended meanwhile
			return d.machine.HandleIssueFailed(now, a.ID, acts)
		}
		der := d.certify(a.Key, a.DUID, a.NotAfter, a.Prefixes)
		d.issued[string(der)] = &simCertificate{duid: duid, prefixes: a.Prefixes, notAfter: a.NotAfter}
		return d.machine.HandleIssued(now, a.ID, der, nil, acts)
	})
}

// commit is one transaction of the database: undone if nobody waits for it any more.
func (d *simDelegating) commit(now time.Time, a Action, acts []Action) ([]Action, error) {
	before := map[clientID]storedBinding{}
	ok := !d.fails()
	for _, ia := range a.IAs {
		stored := d.stored[clientID{string(a.DUID), ia.IAID}]
		before[clientID{string(a.DUID), ia.IAID}] = stored
		ok = ok && !stored.notAfter.After(a.NotAfter) // a later one is not undone by an earlier
		for _, p := range ia.Prefixes {
			ok = ok && d.pool[p.Prefix] == string(a.DUID) // or it was freed meanwhile
		}
	}
	if !ok {
		return d.machine.HandleCommitted(now, a.ID, false, acts)
	}
	for _, ia := range a.IAs {
		d.stored[clientID{string(a.DUID), ia.IAID}] = storedBinding{ia.Prefixes, a.NotBefore, a.NotAfter}
	}
	if d.faulty && d.net.Chance(0.05) {
		d.net.Logf("delegating router: stored, and then")
		d.crash()
		return acts, nil
	}
	out, err := d.machine.HandleCommitted(now, a.ID, true, acts)
	if err != nil {
		for id, b := range before {
			if d.stored[id] = b; b.prefixes == nil {
				delete(d.stored, id)
			}
		}
	}
	return out, err
}

// forget fails if a certificate is left that outlives the delegation. Those from
// before a crash are the caller's to revoke.
func (d *simDelegating) forget(client clientID) {
	b, ok := d.stored[client]
	if !ok {
		return // the commit failed
	}
	delete(d.stored, client)
	for _, c := range d.issued {
		if c.duid != client.duid || c.revoked || c.orphan || !c.notAfter.After(d.net.Now()) {
			continue
		}
		if slices.ContainsFunc(b.prefixes, func(p Prefix) bool { return slices.Contains(c.prefixes, p.Prefix) }) {
			d.net.Fail("a certificate until %v outlives the delegation of %v", c.notAfter, b.prefixes)
		}
	}
}
