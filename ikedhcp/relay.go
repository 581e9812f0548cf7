package ikedhcp

import (
	"net/netip"
	"time"

	"dhcpsec.example/relayinfo"
)

const maxMessage = 1472

// MaxIdentity is the size of the largest identity, in octets.
const MaxIdentity = 1024

// Relay is the DHCP relay agent in a security gateway, for all its IKE SAs.
//
// Not safe for concurrent use. Scale out with one Relay for each giaddr.
type Relay struct{}

// NewRelay fails if the configuration makes no sense.
func NewRelay(cfg RelayConfig) (*Relay, error) { return nil, nil }

// OpenSA begins an IKE SA: IKE_SA_INIT is done. spi is the gateway's.
func (r *Relay) OpenSA(now time.Time, spi SPI) error { panic("todo") }

// Authenticated says that the peer of the SA has proven identity: AUTH was verified,
// and EAP, if any, has succeeded. Call it before HandleRequest for the same IKE request.
func (r *Relay) Authenticated(now time.Time, spi SPI, identity []byte, fields relayinfo.Fields, acts []Action) ([]Action, error) {
	panic("todo")
}

// HandleRequest takes in the DHCP payloads of an IKE request of the client.
func (r *Relay) HandleRequest(now time.Time, spi SPI, id MessageID, messages [][]byte, acts []Action) ([]Action, error) {
	panic("todo")
}

// Established says that the IKE SA stands: the last IKE_AUTH response is sent.
func (r *Relay) Established(now time.Time, spi SPI, acts []Action) ([]Action, error) { panic("todo") }

// HandleServer takes in a datagram from src to giaddr.
func (r *Relay) HandleServer(now time.Time, src netip.AddrPort, pkt []byte, acts []Action) ([]Action, error) {
	panic("todo")
}

// HandleIntercepted takes in a datagram from src to the client's own address, dst.
func (r *Relay) HandleIntercepted(now time.Time, src netip.AddrPort, dst netip.Addr, pkt []byte, acts []Action) ([]Action, error) {
	panic("todo")
}

// Rekeyed says that an SA goes on under a new SPI.
func (r *Relay) Rekeyed(now time.Time, old, spi SPI) error { panic("todo") }

// CloseSA ends an SA.
func (r *Relay) CloseSA(now time.Time, spi SPI, acts []Action) ([]Action, error) { panic("todo") }

// Deadline is when HandleTimeout is due, if at all.
func (r *Relay) Deadline() (time.Time, bool) { panic("todo") }

// HandleTimeout does what is due. Work per call is capped; Deadline is then not after now.
func (r *Relay) HandleTimeout(now time.Time, acts []Action) []Action { panic("todo") }

// Stats counts what was ignored.
func (r *Relay) Stats() Stats { panic("todo") }

// Len is the number of SAs.
func (r *Relay) Len() int { panic("todo") }

// Address is the address of the client behind an SA.
func (r *Relay) Address(spi SPI) (netip.Addr, bool) { panic("todo") }

// AppendSnapshot appends all that a restart must not lose: SAs, identities, addresses, leases.
func (r *Relay) AppendSnapshot(b []byte) []byte { panic("todo") }

// Restore fills a new Relay from a snapshot.
func (r *Relay) Restore(now time.Time, snapshot []byte) error { panic("todo") }
