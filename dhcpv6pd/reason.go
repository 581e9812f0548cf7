package dhcpv6pd

import "errors"

// Reason says why a machine ignored an input, or part of one.
type Reason uint8

const (
	// ReasonMalformed: the message does not parse.
	ReasonMalformed Reason = iota
	// ReasonMessageType: not a message this role receives, or not in this state.
	ReasonMessageType
	// ReasonTransactionID: not an answer to the message in flight (RFC 8415 section 16).
	ReasonTransactionID
	// ReasonClientID: the Client Identifier is missing or not ours (RFC 8415 section 16).
	ReasonClientID
	// ReasonServerID: the Server Identifier is missing, not the one expected,
	// or present where it must not be (RFC 8415 section 16).
	ReasonServerID
	// ReasonStatus: the server reports a failure for the whole message.
	ReasonStatus
	// ReasonNoPrefix: an Advertise or Reply that delegates nothing usable.
	ReasonNoPrefix
	// ReasonIA: an IA_PD or prefix inside a message breaks a rule of RFC 8415
	// sections 21.21 and 21.22; the rest of the message was used.
	ReasonIA
	// ReasonOptions: the certificate options are malformed and were taken as
	// absent (RFC 7227 section 21.1); the rest of the message was used.
	ReasonOptions
	// ReasonTooMany: a limit of the configuration is reached.
	ReasonTooMany
	// ReasonStale: an answer to an action that is over or never was.
	ReasonStale
	// ReasonKeyProof: a key proof is wrong, or missing where it is required.
	ReasonKeyProof
	// ReasonKey: a public key that policy does not certify.
	ReasonKey
	// ReasonCertificate: a certificate failed a check.
	ReasonCertificate
	// ReasonIssue: the certificate server refused, failed or did not answer in time.
	ReasonIssue
	// ReasonNotify: the certificate server could not be told of a binding in time.
	ReasonNotify
	// ReasonStore: a binding could not be allocated or committed in time.
	ReasonStore

	numReasons
)

var reasonNames = [numReasons]string{
	ReasonMalformed:     "malformed message",
	ReasonMessageType:   "unexpected message type",
	ReasonTransactionID: "transaction id matches nothing in flight",
	ReasonClientID:      "client identifier",
	ReasonServerID:      "server identifier",
	ReasonStatus:        "failure status",
	ReasonNoPrefix:      "no usable prefix",
	ReasonIA:            "invalid IA_PD",
	ReasonOptions:       "malformed certificate options",
	ReasonTooMany:       "limit reached",
	ReasonStale:         "stale answer",
	ReasonKeyProof:      "key proof",
	ReasonKey:           "public key not acceptable",
	ReasonCertificate:   "certificate not acceptable",
	ReasonIssue:         "certificate not issued",
	ReasonNotify:        "certificate server not notified",
	ReasonStore:         "binding not stored",
}

func (r Reason) String() string { return name(reasonNames[:], int(r), "Reason") }

// DropError reports an input that a machine ignored: its state is unchanged
// except for the counter of Reason.
type DropError struct {
	Reason Reason
	Err    error // more about it, or nil
}

func (e *DropError) Error() string {
	if e.Err == nil {
		return "dropped: " + e.Reason.String()
	}
	return "dropped: " + e.Reason.String() + ": " + e.Err.Error()
}

func (e *DropError) Unwrap() error { return e.Err }

// Stats counts, by Reason, the inputs a machine ignored whole or in part since
// it was made.
type Stats [numReasons]uint64

// drop counts r and makes the error for it.
func (s *Stats) drop(r Reason, err error) error {
	s[r]++
	return &DropError{Reason: r, Err: err}
}

func (s *Stats) add(o *Stats) {
	for i, n := range o {
		s[i] += n
	}
}

// What an [Action]'s Err holds or wraps.
var (
	// ErrNotOffered: the Reply carries neither certificate nor CA pointer.
	ErrNotOffered = errors.New("the Reply carries neither a certificate nor a CA pointer")
	// ErrNoAnswer: nobody answered within the limit.
	ErrNoAnswer = errors.New("no answer in time")
	// ErrNotIssued: the caller said that there will be no certificate.
	ErrNotIssued = errors.New("no certificate was issued")
	// ErrNoPrefixAvail: the server has no prefix for us.
	ErrNoPrefixAvail = errors.New("server delegates no prefix")
	// ErrExpired: a lifetime ran out.
	ErrExpired = errors.New("lifetime expired")
	// ErrReleased: the caller asked for it.
	ErrReleased = errors.New("released")
	// ErrWithdrawn: the server took it back.
	ErrWithdrawn = errors.New("withdrawn by the server")
	// ErrWrongKey: the certificate is for another key.
	ErrWrongKey = errors.New("certificate is for another key")
	// ErrWrongPrefixes: the certificate binds other prefixes than those delegated.
	ErrWrongPrefixes = errors.New("certificate does not bind exactly the delegated prefixes")
	// ErrOutlives: the certificate is valid for longer than the delegation.
	ErrOutlives = errors.New("certificate outlives the delegation")
	// ErrNotValid: the certificate is not valid now.
	ErrNotValid = errors.New("certificate is not valid now")
	// ErrKeyProof: the key proof is wrong or missing.
	ErrKeyProof = errors.New("key proof wrong or missing")
	// ErrKeyPolicy: the key is not one that SEND can use.
	ErrKeyPolicy = errors.New("key is not RSA of 2048 to 4096 bits")
	// ErrFull: a table of the machine is full.
	ErrFull = errors.New("table full")
)
