// Package dhcpv6pd delegates IPv6 prefixes together with the certificates that
// let their holders advertise them under SEND ("Certificate provisioning with
// DHCP", slides, IETF 71): DHCPv6 prefix delegation of RFC 8415, Case 1 and
// Case 2 of the slides.
//
//	Case 1: the Reply carries a pointer to the certificate server
//
//	requesting router       delegating router       certificate server
//	    |--- Solicit ------------>|                         |
//	    |<-- Advertise -----------|                         |
//	    |--- Request[DUID] ------>|                         |
//	    |                         |--- DUID, prefix, until ->|   ActionNotifyCA
//	    |<-- Reply[prefix, CA] ---|                         |
//	    |--- certificate request[DUID, key, prefix] ------->|   ActionEnroll
//	    |<-- certificate -----------------------------------|   HandleEnrolled
//
//	Case 2: the Reply carries the certificate
//
//	requesting router       delegating router (RA)  certificate server
//	    |--- Solicit ------------>|                         |
//	    |<-- Advertise -----------|                         |
//	    |--- Request[DUID, key] ->|                         |
//	    |                         |--- DUID, key, prefix -->|   ActionIssue
//	    |                         |<-- certificate ---------|   HandleIssued
//	    |<-- Reply[prefix, cert] -|                         |
//
// # Two layers
//
// A certificate's life is a machine of its own, for those who have a DHCPv6
// client or server already: [Holder] for a requesting router, [Registrar] for a
// delegating router or a relay agent before it. A lease's life is a machine
// around it, for those who have not: [RequestingRouter], [DelegatingRouter].
//
// # Driving a machine
//
// A machine does no I/O, starts no goroutine and reads no clock. An input call
// appends to acts what the caller has to do, in the order in which to do it:
//
//	acts, err = m.HandleMessage(now, pkt, acts[:0]) // err: a *DropError, input ignored
//	for _, a := range acts { perform(a) }
//	deadline, armed := m.Deadline()                 // arm one timer
//	acts = m.HandleTimeout(now, acts[:0])           // early or repeated calls do nothing
//
// What takes time (to allocate a prefix, to issue a certificate, to commit to a
// database) is an [Action] with an [ID]; the answer is an input call with that
// ID, in any order, late or never. What of an Action is memory of the machine is
// valid until the next call on that machine; what is passed in is not retained.
// now must be wall-clock time, since certificates are dated in it; if it runs
// back, the machine stands still.
//
// # States of a RequestingRouter
//
//	from         on           to
//	Init         start        Soliciting
//	Soliciting   selected     Requesting
//	Soliciting   bound        Bound
//	Soliciting   release      Init
//	Requesting   bound        Bound
//	Requesting   failed       Soliciting
//	Requesting   lost         Soliciting
//	Requesting   release      Init
//	Bound        T1           Renewing
//	Bound        T2           Rebinding
//	Bound        lost         Soliciting
//	Bound        release      Releasing
//	Renewing     bound        Bound
//	Renewing     no binding   Requesting
//	Renewing     failed       Soliciting
//	Renewing     T2           Rebinding
//	Renewing     lost         Soliciting
//	Renewing     release      Releasing
//	Rebinding    bound        Bound
//	Rebinding    no binding   Requesting
//	Rebinding    failed       Soliciting
//	Rebinding    lost         Soliciting
//	Rebinding    release      Releasing
//	Releasing    done         Init
//
// Beside it, and apart from it, runs the certificate: [HolderState]. "CPE/RR
// might not be operational even though it has a prefix" (slide 7): a prefix may
// be advertised while MayAdvertise says so.
//
// # Steps of a DelegatingRouter
//
//	Solicit:        Allocate (tentative) -> Advertise
//	Request:        Allocate -> Issue or NotifyCA -> Commit -> Reply
//	Renew, Rebind:              Issue or NotifyCA -> Commit -> Reply
//	Release:        Revoke, WithdrawCA, Forget, Free -> Reply
//
// # Rulings
//
// Where the sources are silent or leave a choice:
//
//   - A certificate binds exactly the prefixes of one Reply, in all its IA_PDs,
//     to the key that was offered. More or fewer is refused by both sides.
//   - It ends no later than the first of those prefixes' valid lifetimes, the
//     issuing authority, and MaxValidity; for infinite lifetimes there is
//     99991231235959Z (RFC 5280 section 4.1.2.5). The delegating router counts
//     from before it sends the Reply, so the certificate ends first.
//   - A Renew or Rebind leads to a new certificate, since the delegation then ends
//     later. The one before stays valid until it expires: the Reply may be lost.
//     A certificate for another key or other prefixes is revoked when the new
//     one is there; all are when the delegation ends early.
//   - A public key in a Request is itself the request for a certificate: the
//     slides show "DHCP_REQUEST [DUID, key]" and nothing else. The CA pointer must
//     be asked for by the Option Request option.
//   - The requesting router always sends a key proof with its key. The delegating
//     router verifies it whenever it is there, may require it, and says in
//     ActionIssue whether possession was proven: "the RA uses [raVerified] if and
//     only if it has verified POP" (RFC 4210 section 5.2.8.4).
//   - If the certificate is not to be had, nothing is delegated (FailClosed),
//     unless configured otherwise: Case 2 is to eliminate "corner cases" (slide 11).
//   - In Case 1 the Reply goes out even if the certificate server could not be
//     told: the delegating router is a helper there (slide 11).
//   - Only RSA keys of 2048 bits or more are certified by default: SEND has no other.
//   - The subject name is not checked by the requesting router: "the subject name
//     is determined by the issuer" (RFC 6487 section 4.5). Key and prefixes are.
//   - A prefix with host bits in a Reply is taken without them.
//   - A certificate in hand is kept when a later Reply has none: see
//     [Holder.HandleReply].
//   - To a Solicit or Request for addresses the answer is NoAddrsAvail. Confirm,
//     Decline and Information-request are dropped: they are not about prefixes.
//   - A Rebind that names no binding of ours is dropped: another server may have it.
//   - Reconfigure is not accepted and never sent.
package dhcpv6pd
