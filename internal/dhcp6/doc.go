// Package dhcp6 is a checked view and a builder of DHCPv6 messages, as far as
// prefix delegation needs them.
//
// [ParseMessage] reads what a client or server sends, [ParseRelay] one level of
// what a relay agent sends, and [Unwrap] a message through all its levels. The
// result is a view of the octets: nothing is copied and nothing allocated, so
// whoever keeps a part of it beyond the life of the buffer clones that part.
// [Builder] and [AppendRelayReply] are the way back.
//
// # Wire format
//
// Client/server message (RFC 8415 section 8):
//
//	0        1                                4
//	+--------+--------------------------------+-------------
//	|msg-type|         transaction-id         | options ...
//	+--------+--------------------------------+-------------
//
// Relay message (section 9):
//
//	0        1         2                18               34
//	+--------+---------+----------------+----------------+-------------
//	|msg-type|hop-count|  link-address  |  peer-address  | options ...
//	+--------+---------+----------------+----------------+-------------
//
// Option (section 21.1), IA_PD (21.21) and IA Prefix (21.22):
//
//	0             2            4
//	+-------------+------------+---------------------------------+
//	| option-code | option-len | option-len octets               |
//	+-------------+------------+---------------------------------+
//
//	0      4    8    12
//	+------+----+----+------------------
//	| IAID | T1 | T2 | IA_PD-options ...
//	+------+----+----+------------------
//
//	0           4       8               9             25
//	+-----------+-------+---------------+-------------+---------------------
//	| preferred | valid | prefix-length | IPv6-prefix | IAprefix-options ...
//	+-----------+-------+---------------+-------------+---------------------
//
// # What loses a message, and what does not
//
// RFC 8415 section 16 lets a receiver either use what is good in a message with
// an invalid option, or ignore the message. One bad option should not lose the
// whole message, unless nothing sensible can be said about it any more:
//
//   - Lost: a header cut short, a message type unknown here (section 16: "MUST
//     discard"), an option that does not fit in what contains it, two instances
//     of an option that section 21 makes a singleton (which one counts is not for
//     a reader to guess), a Client or Server Identifier whose DUID is not 3 to 130
//     octets (the message is from or for nobody), a Status Code of less than two
//     octets (a failure must not pass for the Success of an absent one), and a
//     relay message without its Relay Message option.
//   - An IA_PD that is cut short, or whose options have one of these faults, is
//     lost alone, and so is an IA Prefix, or one with a prefix-length over 128.
//     [Options.IAPDs] and [IAPD.Prefixes] report it in its place and go on.
//   - As if absent: a Preference, Elapsed Time, Rapid Commit, SOL_MAX_RT or Relay
//     Source Port of the wrong size, a SOL_MAX_RT out of range (section 21.24:
//     "MUST ignore"), and an Option Request of an odd size.
//   - Not looked at: unknown options, and options where they do not belong. They
//     stay in their places in Options.
//
// # Other rulings
//
//   - The text of a Status Code is the sender's octets. RFC 8415 wants UTF-8 that
//     is not null-terminated; the code counts even if the text is neither. The
//     Builder writes nothing but UTF-8 without NUL.
//   - An IA Prefix is kept with the bits beyond its length, since a view must
//     give the message back as it came. Whoever delegates or certifies it masks
//     or refuses them.
//   - Vendor Class and Vendor-specific Information options may be repeated: "For
//     each Enterprise Number, there MUST only be a single instance" (section 24)
//     is left to those who read them, as is the unique IAID of section 21.21.
//   - An interface-id and a relay source port are echoed by [AppendRelayReply];
//     of the source port, only one that is two octets.
//
// # Clauses and their tests
//
//	RFC 8415 8, 9    truncations                 TestEveryTruncation
//	RFC 8415 11.1    size of a DUID              TestRFC8415Section11_1DUIDSize
//	RFC 8415 16      unknown message type        TestRFC8415Section16UnknownMessageType
//	RFC 8415 16      unknown options             TestRFC8415Section16UnknownOptions
//	RFC 8415 9, 19.3 relay reply                 TestRFC8415Section19_3RelayReply
//	RFC 8415 19.1    nesting                     TestUnwrapLevels
//	RFC 8415 21      singletons                  TestRFC8415Section21Singletons
//	RFC 8415 21.7    option request              TestRFC8415Section21_7OptionRequest
//	RFC 8415 21.9    saturated elapsed time      TestRFC8415Section21_9ElapsedTime
//	RFC 8415 21.10   one relay message           TestRFC8415Section21_10RelayMessage
//	RFC 8415 21.13   absent status is Success    TestRFC8415Section21_13StatusCode
//	RFC 8415 21.18   interface-id copied         TestRFC8415Section19_3RelayReply
//	RFC 8415 21.21   IA_PD                       TestRFC8415Section21_21IAPD
//	RFC 8415 21.22   IA Prefix                   TestRFC8415Section21_22IAPrefix
//	RFC 8415 21.24   range of SOL_MAX_RT         TestRFC8415Section21_24SolMaxRT
//	RFC 8357 5.2     relay source port copied    TestRFC8415Section19_3RelayReply
package dhcp6
