// Package x509ip is the IP address delegation extension of X.509 certificates
// (RFC 3779 section 2): the address blocks that a certificate's subject may use
// or advertise. It reads and writes the extension, verifies that resources
// nest along a certification path, and makes the certificates that let a router
// advertise a delegated prefix under SEND (RFC 3971, RFC 6494).
//
// A [Blocks] is what one certificate says. [Verify] finds the path from a
// certificate to a trust anchor and checks it whole, which crypto/x509 alone
// refuses to do, and [VerifiedBlocks] then tells what its subject holds:
//
//	paths, err := x509ip.Verify(router, x509ip.VerifyOptions{...})
//	if err != nil { ... }
//	held, err := x509ip.VerifiedBlocks(paths[0])
//	if err == nil && held.Contains(prefix) { ... }
//
// # Wire format
//
// The extension is id-pe-ipAddrBlocks, 1.3.6.1.5.5.7.1.7, and its value the DER
// of
//
//	IPAddrBlocks      ::= SEQUENCE OF IPAddressFamily          30 len
//	IPAddressFamily   ::= SEQUENCE {                           30 len
//	   addressFamily     OCTET STRING (SIZE (2..3)),           04 len AFI(2) [SAFI(1)]
//	   ipAddressChoice   CHOICE {
//	      inherit           NULL,                              05 00
//	      addressesOrRanges SEQUENCE OF IPAddressOrRange } }   30 len
//	IPAddressOrRange  ::= CHOICE {
//	   addressPrefix     IPAddress,
//	   addressRange      SEQUENCE { min, max IPAddress } }     30 len
//	IPAddress         ::= BIT STRING                           03 len unused octets
//
// A prefix is its first N bits. The first address of a range is written without
// the zero bits at its end, the last without the one bits at its end. 10.0.0.0/8
// and IPv6 inherited, for example:
//
//	30 14                            IPAddrBlocks
//	   30 0a                         IPAddressFamily
//	      04 02 00 01                   addressFamily: IPv4
//	      30 04                         addressesOrRanges
//	         03 02 00 0a                   addressPrefix: 8 bits
//	   30 06                         IPAddressFamily
//	      04 02 00 02                   addressFamily: IPv6
//	      05 00                         inherit
//
// # Rulings
//
// Where the RFCs leave a choice:
//
//   - [Parse] accepts DER in canonical form only, so that what it accepts has one
//     encoding: no BER lengths, no unused bits that are not zero, no ends of
//     ranges with bits left that should have been removed.
//   - RFC 3779 section 2.2.3.9 asks that the end of a range has at least one bit
//     that is 1, but also that all one bits at its end are removed, which leaves
//     none of 127.255.255.255 and nothing at all of 255.255.255.255. The removal
//     wins, as in OpenSSL: the MUST would otherwise exclude ranges that exist.
//   - An extension without any family is refused: section 2.2.3.3 forbids a family
//     that grants nothing, and this would be nothing else.
//   - Of the address families only IPv4 and IPv6 are accepted. The SAFIs are 1, 2,
//     3, 4, 64, 65, 66 and 128, those with an assigned meaning that concerns IP
//     addresses; 0 is reserved. Addresses with a SAFI are a resource apart, in
//     every comparison; RFC 6487 section 4.8.10 has no use for them.
//   - What a family that inherits holds is unknown without the issuer:
//     [Blocks.Contains] and [Blocks.Covers] are then false, on either side.
//   - A family inherits from the issuer's same family. Where the issuer has none,
//     the path is invalid: it is not looked for further up, as a literal reading
//     of section 2.2.3.5 might have it, since an issuer cannot pass on what it
//     does not hold. RFC 6494 section 9 speaks of "the existence of a parent
//     prefix". A trust anchor that inherits, in any family, is invalid for the
//     same reason.
//   - A certificate without the extension breaks the path. RFC 3971 section 6.3.1
//     took it as unconstrained; RFC 6494 section 4 ended that.
//   - IPv4-mapped IPv6 addresses (::ffff:0:0/96) are IPv6 addresses.
//   - The name of a DUID is not standardized; see [DUIDName].
//   - RFC 6494 refers to sections 4.9.10 and 4.9.11 of RFC 6487; they are 4.8.10
//     and 4.8.11. The certificates made here are those of its appendix A, which
//     leaves out the certificate policies and the access to a repository that
//     RFC 6487 sections 4.8.6 to 4.8.9 require where there is a global RPKI: add
//     them to the template.
//
// # Limits
//
// The work of every function is linear in the size of its input, except that
// [FromPrefixes] sorts. Parse takes up to 16 times the memory of its input, and
// allocates twice. An extension of 16 MiB or more is neither read nor written. A
// certificate from a peer is bounded by the message that brought it.
//
// # Clauses and tests
//
//	RFC 3779 2.2.2      critical                              TestExtensionIsCritical
//	RFC 3779 2.2.3.1    syntax, DER                           TestParseRefuses (2.2.3.1, DER)
//	RFC 3779 2.2.3.3    no family without resources           TestParseRefuses (2.2.3.3), TestAppendBinaryOfNothing
//	RFC 3779 2.2.3.3    one family each, in order             TestParseRefuses (2.2.3.3), TestFromPrefixes
//	RFC 3779 2.2.3.5    inherit, recursively                  TestVerifyPath
//	RFC 3779 2.2.3.6    sorted, disjoint, merged              TestParseRefuses (2.2.3.6), TestSetIsSortedDisjointAndMerged
//	RFC 3779 2.2.3.7    a prefix where there is one           TestParseRefuses (2.2.3.7), TestSpanExhaustively
//	RFC 3779 2.2.3.8    prefix as a BIT STRING                TestParseRefuses (2.2.3.8), TestAppendBinaryAgreesWithBuilder
//	RFC 3779 2.2.3.9    ends of a range                       TestParseRefuses (2.2.3.9), TestAppendBinaryAgreesWithBuilder
//	RFC 3779 2.3        resources nest along the path         TestVerifyPath, TestInteropVerify
//	RFC 3779 2.3        every certificate has the extension   TestVerifyPath
//	RFC 5280 4.2        one instance of an extension          TestFromCertificate
//	RFC 6487 4.4, 4.5   subject                               TestRouterCertificate, TestAuthorityCertificateName
//	RFC 6487 4.8        extensions of a certificate           TestRouterCertificate, TestAuthorityCertificate
//	RFC 6494 4          IPv6 addresses                        TestRouterCertificateRefuses
//	RFC 6494 7          extended key usage                    TestVerify, TestVerifyAnyExtendedKeyUsageIsNotEnough
//	RFC 8415 11.1       length of a DUID                      TestDUIDLength
package x509ip
