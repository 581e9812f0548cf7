// Package dhcpsec is the front door of a library of independent packages that
// (1) let a DHCPv6 prefix delegation carry, or arrange for, the certificate that
// lets the requesting router advertise the delegated prefix under SEND, and (2)
// let an IKEv2 gateway configure its remote-access clients from an existing DHCP
// server. This package has no code; import the ones below.
//
// The sources are "Certificate provisioning with DHCP" (slides, IETF 71) for the
// first and draft-ietf-ipsec-dhcp-over-ike-dhcpd-00 for the second.
//
// # Package map
//
// Codecs read and write one wire format each and import no other public package
// of the module:
//
//	certopt    DHCPv6 options: CA pointer, public key, certificate, key proof, chain
//	x509ip     RFC 3779 resources: codec, set algebra, path validation, issuing
//	relayinfo  RFC 3046 Relay Agent Information (option 82), and what a relay
//	           agent does with it
//
// Machines run an exchange and do no I/O:
//
//	dhcpv6pd   requesting and delegating router (RFC 8415), and the
//	           certificate's life beside anybody else's DHCPv6
//	ikedhcp    DHCP over IKEv2: payload codec, gateway relay, client, responder
//	certreq    certificate enrolment by CMP (RFC 4210, RFC 4211)           (coming)
//	certpath   SEND certification path messages (RFC 3971)                 (coming)
//
// Below certopt, relayinfo and ikedhcp, gopkt has gopacket layers for captures.
//
// Programs to copy from are below examples: each owns its sockets and is run by
// its own tests.
//
// # The driving loop
//
// A machine is driven by its caller, who owns the sockets, the clock, the key
// store and the database. An input call takes the time and appends what is to be
// done; the caller does it in that order and arms one timer:
//
//	for {
//		deadline, armed := m.Deadline()
//		select {
//		case p := <-packets:
//			acts, err = m.HandleMessage(now(), p.From, p.Data, acts[:0])
//		case <-timer(deadline, armed):
//			acts, err = m.HandleTimeout(now(), acts[:0]), nil
//		}
//		if err != nil {
//			log(err) // the input was ignored, a counter went up
//		}
//		for _, a := range acts {
//			perform(a)
//		}
//	}
//
// The order of the actions is part of the contract: a binding is stored before
// the message goes out that tells of it. What takes time or I/O, such as to
// allocate a prefix, to have a certificate issued or to commit to a database, is
// an action with an ID. It is answered by an input call with that ID, in any
// order, late, or never: a timer covers what never comes.
//
// Early and repeated timeouts are harmless. The time passed in is clamped and
// never runs back. The work of one call is bounded, and so is every table, by a
// field of the machine's Config; what does not fit is refused and counted.
//
// # Ownership
//
// A parsed value is a view: it aliases the octets it was parsed from, unless its
// documentation says that it copies. Its slices end where their field ends, with
// no capacity beyond. Whoever keeps a view longer than the buffer copies it.
//
// Append functions append to the slice they are given, never change what is in it
// already, and return it as it came when they fail.
//
// Inputs of a machine are not kept. The slices of its actions are valid until the
// next call on that machine.
//
// Codecs are safe for concurrent use. Machines are not: use one from one
// goroutine at a time, and several, by a hash of the client, to use more cores.
//
// # Errors
//
// There are three families:
//
//   - A ParseError is about octets that are malformed. It names the field and its
//     offset in the slice that the caller passed, and wraps a sentinel
//     (ErrTruncated, ErrLength, ErrTrailing, ErrValue, ErrDuplicate,
//     ErrNotCanonical, ErrTooLarge). Packages share the sentinels, so [errors.Is]
//     works across them.
//   - A DropError is about an input that a machine ignored: its state did not
//     change but for a counter.
//   - Any other error is misuse by the caller, reported by a constructor or a
//     command before anything happens.
//
// What a protocol decides, such as no prefix or a refused certificate, is an
// action and no error. No error text has a key, a DUID or the content of a packet
// in it.
package dhcpsec
