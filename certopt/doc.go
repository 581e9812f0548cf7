// Package certopt encodes and decodes the DHCPv6 options by which a prefix
// delegation carries, or points to, the certificate that lets a requesting
// router advertise the delegated prefix under SEND.
//
// It works on raw option octets, so it fits beside any DHCPv6 implementation. An
// option area is what follows the four header octets (msg-type, transaction-id)
// of a client/server message:
//
//	opts, err := codec.Find(received[4:])
//	...
//	reply, err = codec.Append(reply, certopt.Options{CAPointer: uri})
//
// Functions do not keep what they are given, and a [Codec] is never changed by
// its methods: everything here is safe for concurrent use.
//
// # Wire format
//
// "Certificate provisioning with DHCP" (slides, IETF 71) asks for three
// "new, variable length" options and fixes neither codes nor contents. Each is
// a DHCPv6 option as of RFC 8415 §21.1:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|          option-code          |           option-len          |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	.                 value (option-len octets)                     .
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
//	option             default code   value                             found in
//	CA pointer         65001          absolute URI                      Advertise, Reply
//	public key         65002          DER SubjectPublicKeyInfo          Request, Renew, Rebind
//	certificate        65003          DER X.509 certificate             Reply
//	key proof          65004          DER AlgorithmIdentifier,          beside the public key
//	                                  DER BIT STRING (see SignKeyProof)
//	certificate chain  65005          {16-bit length, DER certificate}  beside the certificate
//	                                  repeated (see Chain)
//
// A Solicit with Rapid Commit carries what a Request does. With
// [Codec.Enterprise], the five travel as sub-options 1 to 5 of one VENDOR_OPTS
// (RFC 8415 §21.17):
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|              17               |           option-len          |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                       enterprise-number                       |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|          sub-opt-code         |         sub-option-len        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	.                        value ...                              .
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// # Rulings
//
// Where the sources are silent or leave a choice:
//
//   - Codes. None are assigned, and the DHCPv6 registry has no range for private
//     use: all are configurable, and VENDOR_OPTS is the carrier that cannot
//     collide with a later assignment.
//   - An invalid option. Find reports the first fault and returns no option. The
//     caller goes on as if the message had no certificate options (RFC 7227
//     §21.1); the rest of the message stands. Half of a set of options that belong
//     together is worth less than none.
//   - Framing. Find stops at the first fault in wire order, be it a value or an
//     option that runs past the end of the area. Whether the message as a whole is
//     well formed is for the DHCPv6 implementation to say, or for a loop over
//     [Walk].
//   - Singletons (RFC 7227 §16). Each option may appear once, and so may the
//     VENDOR_OPTS of the configured enterprise: a second one is an error even if it
//     is empty.
//   - Other options and sub-options are skipped unseen, as are VENDOR_OPTS of
//     other enterprises, and any too short to name one.
//   - Empty values are errors on the wire; in [Options], an empty field and a nil
//     one mean the same, an absent option.
//   - CA pointer: absolute-URI of RFC 3986 §4.3, so no fragment, and something
//     after the scheme. Only characters of RFC 3986, no NUL at the end (RFC 7227
//     §5.7), percent-encodings complete, square brackets in the authority only.
//     Which schemes are useful is for the caller to say.
//   - Public key, certificate, key proof: one strict DER value whose outline is
//     checked: the elements that RFC 5280 §4.1 names, in its order, each ending
//     where it must, BIT STRINGs of whole octets. What is inside
//     (TBSCertificate, key material) is for x509.ParseCertificate and its kin.
//     rsaEncryption needs its NULL parameters (RFC 3279 §2.3.1).
//   - The chain is an option of its own, for the certificate is a singleton. It
//     leaves out the certificate of the certificate option and starts with its
//     issuer. Find checks each certificate's outline, not that one certifies
//     the other.
//   - The key proof is an addition: the slides send a bare key, and
//     RFC 4210 lets a registration authority vouch only for possession that it has
//     verified. It covers the transaction and both DUIDs, so it proves nothing in
//     another exchange.
//   - Algorithms of a key proof: one for each kind of key, so that there is
//     nothing to negotiate or to downgrade.
//
// # Clauses and their tests
//
//	RFC 8415 §11.1   DUID of 3 to 130 octets                    TestRFC8415s11_1DUIDLength
//	RFC 8415 §21.1   an option ends within its area             TestRFC8415s21_1OptionEndsWithinItsArea
//	RFC 8415 §21.7   only top-level options in the ORO          TestRFC8415s21_7OnlyTopLevelOptionsAreRequested
//	RFC 8415 §21.17  one VENDOR_OPTS for each enterprise        TestRFC8415s21_17OneVendorOptsPerEnterprise
//	RFC 8415 §21.17  sub-options formatted as options           TestRFC8415s21_17SubOptions
//	RFC 7227 §5.7    one URI                                    TestRFC7227s5_7URI
//	RFC 7227 §16     singletons                                 TestRFC7227s16Singletons
//	RFC 7227 §21.1   an invalid option is discarded             TestRFC7227s21_1InvalidOptionIsDiscarded
//	RFC 3279 §2.3.1  rsaEncryption has NULL parameters          TestRFC3279s2_3_1RSAParametersAreNULL
//	RFC 5280 §4.1    outline of SubjectPublicKeyInfo            TestRFC5280s4_1PublicKeyOutline
//	RFC 5280 §4.1    outline of Certificate                     TestRFC5280s4_1CertificateOutline
package certopt
