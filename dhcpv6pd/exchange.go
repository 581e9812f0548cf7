package dhcpv6pd

import (
	"math"
	"math/rand/v2"
	"time"

	"dhcpsec.example/internal/dhcp6"
)

// retransmission is how often a message is sent (RFC 8415 sections 7.6 and 15).
type retransmission struct {
	irt time.Duration // initial retransmission time
	mrt time.Duration // maximum retransmission time; 0: none
	mrc int           // maximum retransmission count; 0: none
}

// retransmissionOf is how often a client sends msg. The maximum retransmission
// durations of Renew and Rebind are not here: T2 and the end of the last lease
// end those exchanges (sections 18.2.4 and 18.2.5).
func retransmissionOf(msg dhcp6.MessageType) retransmission {
	switch msg {
	case dhcp6.Solicit:
		return retransmission{irt: time.Second, mrt: time.Hour}
	case dhcp6.Request:
		return retransmission{irt: time.Second, mrt: 30 * time.Second, mrc: 10}
	case dhcp6.Release:
		return retransmission{irt: time.Second, mrc: 4}
	default: // Renew, Rebind
		return retransmission{irt: 10 * time.Second, mrt: 10 * time.Minute}
	}
}

// solMaxDelay is SOL_MAX_DELAY: "The first Solicit message from the client on the
// interface SHOULD be delayed by a random amount of time between 0 and
// SOL_MAX_DELAY" (section 18.2.1).
const solMaxDelay = time.Second

// exchange is the one message in flight of a client: every transmission of it
// has the same transaction id.
type exchange struct {
	retransmission
	msg     dhcp6.MessageType
	xid     dhcp6.TransactionID
	started time.Time     // of the first transmission, for Elapsed Time
	tries   int           // transmissions so far
	rt      time.Duration // the current retransmission time
	ias     []IA          // the IA_PDs that the message names
	options []byte        // certificate options: signed once for all transmissions
}

func newExchange(msg dhcp6.MessageType, ias []IA, rng *rand.Rand) exchange {
	id := rng.Uint32()
	return exchange{
		retransmission: retransmissionOf(msg),
		msg:            msg,
		xid:            dhcp6.TransactionID{byte(id >> 16), byte(id >> 8), byte(id)},
		ias:            ias,
	}
}

// transmitted counts a transmission and returns how long to wait for an answer
// (section 15). RAND is "a random number chosen with a uniform distribution
// between -0.1 and +0.1"; but "the first RT MUST be selected to be strictly
// greater than IRT" for a Solicit (section 18.2.1), so that Advertises are awaited
// for at least that long.
func (x *exchange) transmitted(now time.Time, rng *rand.Rand) time.Duration {
	if x.tries++; x.tries == 1 {
		x.started = now
		r := jitter(rng, x.irt)
		if x.msg == dhcp6.Solicit {
			r = max(r, -r, 1)
		}
		x.rt = x.irt + r
		return x.rt
	}
	x.rt = 2*x.rt + jitter(rng, x.rt)
	if x.mrt > 0 && x.rt > x.mrt {
		x.rt = x.mrt + jitter(rng, x.mrt)
	}
	return x.rt
}

// exhausted says that the transmissions allowed are used up.
func (x *exchange) exhausted() bool { return x.mrc > 0 && x.tries >= x.mrc }

// elapsed is the value of the Elapsed Time option: "in hundredths of a second",
// 0xffff "to represent any elapsed-time values greater" (section 21.9).
func (x *exchange) elapsed(now time.Time) uint16 {
	if x.tries == 0 {
		return 0
	}
	return uint16(min(now.Sub(x.started)/(10*time.Millisecond), math.MaxUint16))
}
