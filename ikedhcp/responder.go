package ikedhcp

import (
	"net/netip"
	"time"

	"dhcpsec.example/relayinfo"
)

// ResponderConfig configures a [Responder].
type ResponderConfig struct {
	// ServerID is the server identifier: the address that the Relay has in Servers.
	ServerID netip.Addr
	// AssignTime is how long an ActionAssign may take; default 10 s.
	AssignTime time.Duration
	// MaxPending bounds the ActionAssign under way; default 4096.
	MaxPending int
}

// AssignRequest is what a DHCP client asks for.
type AssignRequest struct {
	// Purpose says what the answer is for.
	Purpose Purpose
	// Circuit is the option 82 that the relay agent added: circuit id, subscriber id.
	Circuit relayinfo.Info
	// ClientID is option 61, or nil; HType and CHAddr are the hardware address.
	ClientID []byte
	HType    uint8
	CHAddr   []byte
	// Requested is the address the client has or would like; not valid if it names none.
	Requested netip.Addr
}

// Purpose says what an assignment is for.
type Purpose uint8

const (
	// PurposeOffer: to be offered; the client may not take it.
	PurposeOffer Purpose = iota + 1
	// PurposeLease: to be leased, as offered before or asked for again.
	PurposeLease
	// PurposeInform: the client has its address and asks for options only.
	PurposeInform
)

// Assignment answers an [AssignRequest].
type Assignment struct {
	// Address is the client's; for PurposeInform it is not looked at.
	Address netip.Addr
	// Lease is how long, in whole seconds; 0 is for ever.
	Lease time.Duration
	// Options are further DHCP options, in the order to send them.
	Options []Option
}

// Option is a DHCP option.
type Option struct {
	Code uint8
	Data []byte
}

// Responder is the DHCP server inside the gateway.
//
// Not safe for concurrent use.
type Responder struct{}

// NewResponder makes a Responder.
func NewResponder(cfg ResponderConfig) (*Responder, error) { return nil, nil }

// HandleMessage takes in a relayed message: Data of an ActionToServer.
func (s *Responder) HandleMessage(now time.Time, pkt []byte, acts []Action) ([]Action, error) {
	panic("todo")
}

// HandleAssigned answers an ActionAssign.
func (s *Responder) HandleAssigned(now time.Time, id ID, a Assignment, acts []Action) ([]Action, error) {
	panic("todo")
}

// HandleRefused answers an ActionAssign with no: an OFFER does not go out, a REQUEST is answered with NAK.
func (s *Responder) HandleRefused(now time.Time, id ID, acts []Action) ([]Action, error) {
	panic("todo")
}

// Deadline is when HandleTimeout is due, if at all.
func (s *Responder) Deadline() (time.Time, bool) { panic("todo") }

// HandleTimeout gives up assignments that were not answered.
func (s *Responder) HandleTimeout(now time.Time, acts []Action) []Action { panic("todo") }

// Stats counts what was ignored.
func (s *Responder) Stats() Stats { panic("todo") }
