// Package x509ip is the IP address and AS identifier delegation extensions of
// X.509 certificates (RFC 3779): the address blocks and AS numbers that a
// certificate's subject may use or advertise. It reads and writes the
// extensions, computes with the sets in them, verifies that resources nest along
// a certification path (RFC 3779, or RFC 8360), holds certificates to the
// profiles of the RPKI and of SEND (RFC 6487, RFC 6494), and makes those that let
// a router advertise a delegated prefix under SEND (RFC 3971).
//
// A [Blocks] is what one certificate says of addresses, an [ASIdentifiers] what
// it says of AS numbers. [Verify] finds the path from a certificate to a trust
// anchor and checks it whole, which crypto/x509 alone refuses to do, and
// [VerifiedBlocks] then tells what its subject holds:
//
//	paths, err := x509ip.Verify(router, x509ip.VerifyOptions{...})
//	if err != nil { ... }
//	held, err := x509ip.VerifiedBlocks(paths[0])
//	if err == nil && held.Contains(prefix) { ... }
//
// Values are immutable, except that what a [Decoder] returns lasts until its
// next use. [ParseText] and [ParseASText] read what people write in a
// configuration, [ParseLenient] what others have put into certificates.
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
// The extension of AS identifiers is id-pe-autonomousSysIds, 1.3.6.1.5.5.7.1.8,
// and its value the DER of
//
//	ASIdentifiers      ::= SEQUENCE {                           30 len
//	   asnum              [0] EXPLICIT ASIdentifierChoice OPTIONAL,   a0 len
//	   rdi                [1] EXPLICIT ASIdentifierChoice OPTIONAL }  a1 len
//	ASIdentifierChoice ::= CHOICE {
//	   inherit            NULL,                                 05 00
//	   asIdsOrRanges      SEQUENCE OF ASIdOrRange }             30 len
//	ASIdOrRange        ::= CHOICE {
//	   id                 INTEGER,                              02 len octets
//	   range              SEQUENCE { min, max INTEGER } }       30 len
//
// RFC 8360 has both under identifiers of their own, 1.3.6.1.5.5.7.1.28 and .29,
// in certificates with the policy 1.3.6.1.5.5.7.14.3.
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
//   - Of the address families only IPv4 and IPv6 are accepted, and of the SAFIs 1,
//     2, 3, 4, 64, 65, 66 and 128, those that OpenSSL can name, so that what is
//     made here can be read there; 0 is reserved. Addresses with a SAFI are a
//     resource apart, in every comparison; RFC 6487 section 4.8.10 has no use for
//     them.
//   - AS identifiers have 32 bits (RFC 6793), routing domain identifiers too.
//     RFC 3779 section 3.2.3.4 has contiguous ones combined; a range of a single
//     number is accepted no more than two numbers that are a range, so that each
//     set has one encoding.
//   - What a family that inherits holds is unknown without the issuer:
//     [Blocks.Contains], [Blocks.Covers] and [Blocks.Overlaps] answer true only of
//     what is known, and the operations that make new blocks are [ErrInherits].
//   - [ParseLenient] tolerates only what leaves no doubt about the meaning. A range
//     that ends before it begins, an address that is too long, and a family that
//     both inherits and has addresses are errors for it too.
//   - A family inherits from the issuer's same family. Where the issuer has none,
//     the path is invalid: it is not looked for further up, as a literal reading
//     of section 2.2.3.5 might have it, since an issuer cannot pass on what it
//     does not hold. RFC 6494 section 9 speaks of "the existence of a parent
//     prefix". A trust anchor that inherits, in any family, is invalid for the
//     same reason.
//   - A certificate with neither extension breaks the path; one of them is enough
//     (RFC 6487 section 4.8.10), and what it lacks nobody below it can have. RFC
//     3971 section 6.3.1 took a certificate without addresses as unconstrained;
//     RFC 6494 section 4 ended that.
//   - RFC 8360 is applied to a certificate by its policy, never by the caller's
//     wish, and only where reconsideration is asked for: section 4.2.4.4 has
//     overclaiming certificates with the policy of RFC 6484 rejected. One with the
//     extension of the one and the policy of the other is refused. A family that
//     inherits from an issuer without it is empty under RFC 8360. An empty
//     result is not an error, as there: ask what is left.
//   - IPv4-mapped IPv6 addresses (::ffff:0:0/96) are IPv6 addresses.
//   - The name of a DUID is not standardized; see [DUIDName].
//   - RFC 6494 refers to sections 4.9.10 and 4.9.11 of RFC 6487; they are 4.8.10
//     and 4.8.11. Its appendix A leaves out the certificate policies and the
//     access to a repository that RFC 6487 sections 4.8.7 to 4.8.9 require where
//     there is a global RPKI: hence [ProfileLocal] and [ProfileStrict].
//
// # Limits
//
// The work of every function is linear in the size of its input, except that
// what takes elements in any order sorts them, and that [Verify] reads a
// certificate once for each path it is part of, of which crypto/x509 builds no
// more than it may check signatures for. An extension has at most [MaxElements]
// elements, when it is read, when it is written and in a text, so that what
// [Parse] returns never holds more than 8 MiB; the deviations of [ParseLenient]
// may take 16 MiB more. [Parse] allocates twice, a [Decoder] not at all once it
// has enough. A certificate from a peer is bounded by the message that brought
// it.
//
// # Clauses and tests
//
//	RFC 3779 2.2.2      critical                              TestExtensionIsCritical
//	RFC 3779 2.2.3.1    syntax, DER                           TestParseRefuses (2.2.3.1, DER)
//	RFC 3779 2.2.3.3    no family without resources           TestParseRefuses (2.2.3.3), TestAppendBinaryOfNothing
//	RFC 3779 2.2.3.3    one family each, in order             TestParseRefuses (2.2.3.3), TestFromPrefixes
//	RFC 3779 2.2.3.5    inherit, recursively                  TestVerifyPath
//	RFC 3779 2.2.3.6    sorted, disjoint, merged              TestParseRefuses (2.2.3.6), TestSetPairsExhaustively
//	RFC 3779 2.2.3.7    a prefix where there is one           TestParseRefuses (2.2.3.7), TestSpanExhaustively
//	RFC 3779 2.2.3.8    prefix as a BIT STRING                TestParseRefuses (2.2.3.8), TestAppendBinaryAgreesWithBuilder
//	RFC 3779 2.2.3.9    ends of a range                       TestParseRefuses (2.2.3.9), TestAppendBinaryAgreesWithBuilder
//	RFC 3779 2.3        resources nest along the path         TestVerifyPath, TestInteropVerify, TestInteropVerifyRandomPaths
//	RFC 3779 2.3        every certificate has the extension   TestVerifyPath
//	RFC 3779 3.2.3.1    asnum before rdi                      TestParseASIdentifiersRefuses (3.2.3.1)
//	RFC 3779 3.2.3.3    no form without identifiers           TestParseASIdentifiersRefuses (3.2.3.3)
//	RFC 3779 3.2.3.4    sorted, disjoint, combined            TestParseASIdentifiersRefuses (3.2.3.4)
//	RFC 3779 3.2.3.10   ASId is an INTEGER                    TestASIdentifiersEncoding, TestInteropASIdentifiers
//	RFC 3779 3.3        AS identifiers nest along the path    TestVerifyPathOfASIdentifiers
//	RFC 5280 4.2        one instance of an extension          TestFromCertificate
//	RFC 6487 4.1 - 4.8  profile                               TestProfileRules, TestInteropRPKIClient
//	RFC 6487 4.4, 4.5   subject                               TestRouterCertificate, TestAuthorityCertificateName
//	RFC 6487 4.8        extensions of a certificate           TestRouterCertificate, TestAuthorityCertificate
//	RFC 6487 7.2        not revoked                           TestVerifyCheckRevocation
//	RFC 6494 4          IPv6 addresses                        TestRouterCertificateRefuses, TestProfileRules
//	RFC 6494 7          extended key usage                    TestVerify, TestVerifyAnyExtendedKeyUsageIsNotEnough
//	RFC 7935 3          RSA key                               TestProfileRules
//	RFC 8360 4.2.2      identifiers go with the policy        TestReconsiderPathNeedsExtensionAndPolicy
//	RFC 8360 4.2.4.4    verified resource set                 TestReconsiderPath
//	RFC 8415 11.1       length of a DUID                      TestDUIDLength
package x509ip
