package dhcpv6pd

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// ID names an action that asks for an answer. The answer, whenever it comes,
// carries the ID back. IDs are never reused by one machine; zero is none.
type ID uint64

// Action is one thing the caller has to do for a machine. It is flat: Kind says
// which of the other fields are set, and those not named there are zero.
//
// Actions are performed in the order given. A machine that must not go on
// before something is done (a binding stored, a certificate issued) does not
// put the next step into the same list: it waits for the answer.
//
// Data and the slices inside an Action are the machine's: they are valid until
// the next call on that machine. Clone what must live longer.
type Action struct {
	Kind ActionKind
	ID   ID

	// Data is the UDP payload to send, or option octets to add to a message.
	Data []byte
	// To is where to send Data.
	To netip.AddrPort

	// DUID is the requesting router's DUID, whole (type included), unless the
	// Kind says otherwise.
	DUID []byte
	// IAID is the lowest IAID of the message that the action is about.
	IAID uint32
	// IAs are the IA_PDs the action is about.
	IAs []IA

	// Prefixes are the prefixes that a certificate does or shall bind.
	Prefixes []netip.Prefix
	// Key is a DER SubjectPublicKeyInfo.
	Key []byte
	// Proven says that possession of the private key to Key was proven. An RA
	// may set raVerified only then (RFC 4210 section 5.2.8.4).
	Proven bool
	// URI is the CA pointer.
	URI string
	// NotBefore and NotAfter bound the validity of a certificate, or of what
	// stands for one: a binding, or the right to advertise a prefix.
	NotBefore, NotAfter time.Time
	// Certificate is one DER certificate, Chain the DER certificates between it
	// and the trust anchor, the issuer of Certificate first.
	Certificate []byte
	Chain       [][]byte

	// Link is the link-address of the relay agent nearest to the client, for the
	// choice of a pool; the zero Addr if there is no relay agent.
	Link netip.Addr
	// Tentative says that an allocation only serves an Advertise.
	Tentative bool
	// Outcome says what came of a request for a certificate.
	Outcome Outcome
	// Err says why, where the Kind reports something that went wrong.
	Err error
}

// Clone copies an Action with all that it holds, to be used beyond the next call
// on the machine: by a goroutine, for example.
func (a Action) Clone() Action {
	a.Data, a.DUID, a.Key = bytes.Clone(a.Data), bytes.Clone(a.DUID), bytes.Clone(a.Key)
	a.IAs, a.Prefixes = cloneIAs(a.IAs), slices.Clone(a.Prefixes)
	a.Certificate, a.Chain = bytes.Clone(a.Certificate), slices.Clone(a.Chain)
	for i, c := range a.Chain {
		a.Chain[i] = bytes.Clone(c)
	}
	return a
}

// ActionKind says what an [Action] asks for.
type ActionKind uint8

const (
	// ActionSend: send Data to To. A requesting router's To is
	// All_DHCP_Relay_Agents_and_Servers, [ff02::1:2]:547, on its upstream link.
	ActionSend ActionKind = iota + 1

	// Requesting router.

	// ActionPrefixBound: IAs are all prefixes now held, with lifetimes that
	// count from now; DUID is the delegating router's. Whether one may be
	// advertised is another matter: see ActionCertified.
	ActionPrefixBound
	// ActionPrefixLost: the prefixes in IAs are no longer held. Err says why.
	// Stop using them before performing the next action.
	ActionPrefixLost
	// ActionEnroll: obtain a certificate from the certificate server at URI for
	// subject DUID, public key Key and Prefixes, valid no longer than NotAfter.
	// Answer with HandleEnrolled or HandleEnrollFailed and ID.
	// Another ActionEnroll, for another URI, ends this one: an answer to it is then
	// stale.
	ActionEnroll
	// ActionCertified: Certificate, with Chain, passed every check. Prefixes
	// may be advertised until NotAfter.
	ActionCertified
	// ActionCertificateRejected: no acceptable certificate came. Err says why.
	// The prefixes stay held; they may not be advertised unless an earlier
	// certificate still covers them.
	ActionCertificateRejected
	// ActionCertificateLost: what ActionCertified allowed ends now. Err says why.
	ActionCertificateLost
	// ActionFailed: a message exchange ended without result, or a message could not
	// be sent because signing the key proof failed. Err says why. The machine goes
	// on by itself.
	ActionFailed

	// Delegating router.

	// ActionAllocate: find prefixes for each of IAs, for DUID. Prefixes in IAs
	// are hints: what the client asks for, perhaps only a length (::/56). Link
	// says where the client is.
	// With Tentative the answer only serves an Advertise: no ActionFree follows,
	// so that the allocator must forget it by itself after a while.
	// Answer with HandleAllocated and ID.
	ActionAllocate
	// ActionFree: the prefixes in IAs, allocated for DUID, are not used (any more).
	ActionFree
	// ActionIssue: have a certificate issued for subject DUID, public key Key
	// and exactly Prefixes, valid from NotBefore to NotAfter. Proven says
	// whether the requester proved possession of the key.
	// Answer with HandleIssued or HandleIssueFailed and ID.
	ActionIssue
	// ActionRevoke: Certificate, issued for DUID (empty if it came too late to
	// tell), must not be relied on any more.
	ActionRevoke
	// ActionNotifyCA: tell the certificate server that Prefixes are delegated
	// to DUID until NotAfter, before the requesting router asks it for a
	// certificate. Answer with HandleNotified and ID.
	ActionNotifyCA
	// ActionWithdrawCA: tell the certificate server that what it was told
	// of DUID and Prefixes holds no more.
	ActionWithdrawCA
	// ActionAnswer (Registrar only): add Data to the options of the Reply to
	// DUID and IAID. Outcome says what Data holds; NotAfter is when a certificate
	// in it ends, before which T1 has to come. With OutcomeRefused the Reply must
	// delegate nothing (Err says why).
	ActionAnswer
	// ActionCommit: store that IAs are delegated to DUID, with lifetimes that count
	// from NotBefore, and until NotAfter at the latest, which leaves time for the answer. What is stored later for the same
	// IA replaces what was stored before. Answer with HandleCommitted and ID; the
	// Reply is sent after that. With ID zero, for a lease that a client released a
	// part of, no answer is awaited.
	ActionCommit
	// ActionForget: delete what an ActionCommit stored, or may have stored, for
	// DUID and each of IAs.
	ActionForget
)

var actionNames = [...]string{
	ActionSend:                "Send",
	ActionPrefixBound:         "PrefixBound",
	ActionPrefixLost:          "PrefixLost",
	ActionEnroll:              "Enroll",
	ActionCertified:           "Certified",
	ActionCertificateRejected: "CertificateRejected",
	ActionCertificateLost:     "CertificateLost",
	ActionFailed:              "Failed",
	ActionAllocate:            "Allocate",
	ActionFree:                "Free",
	ActionIssue:               "Issue",
	ActionRevoke:              "Revoke",
	ActionNotifyCA:            "NotifyCA",
	ActionWithdrawCA:          "WithdrawCA",
	ActionAnswer:              "Answer",
	ActionCommit:              "Commit",
	ActionForget:              "Forget",
}

func (k ActionKind) String() string { return name(actionNames[:], int(k), "Action") }

// Outcome is what came of the certificate side of one Request.
type Outcome uint8

const (
	// OutcomeNone: the client asked for nothing this side provides, or policy
	// PrefixOnly let the prefix go out alone.
	OutcomeNone Outcome = iota
	// OutcomePointer: Case 1, the Reply carries the CA pointer.
	OutcomePointer
	// OutcomeCertificate: Case 2, the Reply carries the certificate.
	OutcomeCertificate
	// OutcomeRefused: a certificate was due and there is none; policy
	// FailClosed lets no prefix go out without it.
	OutcomeRefused
)

var outcomeNames = [...]string{"none", "pointer", "certificate", "refused"}

func (o Outcome) String() string { return name(outcomeNames[:], int(o), "Outcome") }

func name(names []string, i int, kind string) string {
	if i < len(names) && names[i] != "" {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", kind, i)
}
