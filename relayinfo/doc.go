// Package relayinfo reads, builds, inserts and removes the DHCPv4 Relay Agent
// Information option, option 82 (RFC 3046), and touches nothing else in the
// messages it edits.
//
// An option 82 is a sequence of sub-options, without padding and without an end
// mark; sub-option codes 0 and 255 have no special meaning:
//
//	 0               1               2               3
//	+---------------+---------------+---------------+---------------+
//	|    82 (1)     |     N (1)     |   code (1)    |   length (1)  |
//	+---------------+---------------+---------------+---------------+
//	|   value (length octets), further sub-options, N octets in all |
//	+---------------------------------------------------------------+
//
// [Info] is a view of the N octets, its body; [Fields] builds one.
//
//	request:  info, err := relayinfo.Fields{CircuitID: spi}.Info()
//	          cfg := relayinfo.Config{GIAddr: addr, Info: info}
//	          out, outcome, err := relayinfo.Insert(buf[:0], msg, &cfg)
//	reply:    err := relayinfo.Match(msg, &cfg)
//	          out, info, err := relayinfo.Strip(buf[:0], msg)
//
// A relay agent that serves many circuits reads the reply's option with [Find]
// first, looks up the circuit by [Info.CircuitID], and calls Match with the Config
// it used for that circuit.
//
// # Ownership
//
// Views alias the octets they were parsed from; Info.Clone copies. Insert and
// Strip append to dst, do not modify msg, retain nothing, and cost one copy of the
// message; dst and msg must not overlap. Nothing here allocates, except to grow
// dst, to join an option 82 that was sent in parts, and to make an error. All
// functions are safe for concurrent use.
//
// # Sources
//
// RFC 3046 sections 2.0 to 3.2 (the option, the agent, the server), RFC 1542
// sections 2.1 and 4.1 (the relay agent), RFC 2131 sections 2 and 4.1, RFC 2132
// section 9.3 and RFC 3396 (where options are), and for the sub-options RFC 3256,
// 3527, 3993, 4014 with 2865 section 5, 4243, 5010, 5107, 6607, 6925 and 8357.
//
// # Rulings
//
// Where the documents leave room or contradict each other:
//
//   - An option 82 without a sub-option is an error and not the same as no option
//     82 (RFC 3046 section 2.0: a sequence of sub-options).
//   - The value of a sub-option is checked by its accessor and not by [Parse]: a
//     server echoes what it does not understand, and one bad value must not hide
//     the others.
//   - A sub-option that occurs twice is kept twice, in order. Its accessor then
//     returns ErrDuplicate: no RFC says which of the two counts.
//   - Several option 82 in a message are parts of one (RFC 3396 section 7), so two
//     whole ones are one body with everything twice. Strip removes them all; Match
//     refuses them.
//   - Insert puts the option behind the last option and before any Pad that stands
//     between that and End, and adds an End that is missing. Padding is not used
//     up: all octets of the message stay, in their order.
//   - RFC 3046 section 2.1 forbids to look for option 82 in file and sname in a
//     reply. In a request it counts there as present, because a server would join
//     it to ours.
//   - A giaddr that is set, from an untrusted circuit, is refused like an option 82
//     from there. RFC 3046 section 2.1.1 would relay it; [Forward] does so.
//   - [Replace] overwrites giaddr against RFC 1542 section 4.1.1. A gateway that
//     must set giaddr whatever the client sent has no other choice.
//   - Strip sets giaddr to zero, though RFC 1542 section 4.1.2 would have a relay
//     agent modify no field: a reply that goes on inside a tunnel is to look as if
//     the client's own link had delivered it.
//   - What is made is padded to 300 octets, the least BOOTP message (RFC 1542
//     section 2.1); what is read may be shorter, because servers in use send less.
//   - A vendor's data in sub-option 9 always has its length octet, as in the diagram
//     of RFC 4243 section 3; the minimum of four octets in its text is one short.
//   - Match takes sub-option 151 in a reply as it comes: RFC 6607 lets a server
//     leave it out, return another (section 7.2), and add one (section 5.1). The
//     gateway looks at it and drops what is from a VPN that it does not serve.
//   - The authentication sub-option (8, RFC 4030) has no accessor, and Match does
//     not know that a server's differs from the agent's.
//
// # Clauses and their tests
//
//	RFC 1542 4.1.1  hops over 16, or over the threshold (4), discarded   TestInsertDecisions
//	RFC 1542 4.1.1  zero giaddr filled in, hops incremented              TestInsertDecisions
//	RFC 1542 4.1.1  giaddr never a broadcast address                     TestInsertRefusesMisuse
//	RFC 1542 4.1.1  all other fields preserved                           TestInsertPosition, FuzzInsertStrip
//	RFC 1542 4.1.2  a reply with a foreign giaddr discarded              TestMatch
//	RFC 3046 2.0    at least one sub-option, none overruns the option    TestParseRefuses
//	RFC 3046 2.1    disabled by default                                  TestInsertDecisions
//	RFC 3046 2.1    last option, before End                              TestInsertPosition
//	RFC 3046 2.1    untrusted circuit: option 82 present, discarded      TestInsertDecisions
//	RFC 3046 2.1    trusted circuit: no second option                    TestInsertDecisions
//	RFC 3046 2.1    maximum size: forwarded without the option           TestInsertSizeLimit
//	RFC 3046 2.1    the echo removed before the client                   TestStrip
//	RFC 3046 2.1    file and sname neither used nor edited               TestInsertWithOverloadLeavesFileAndSName,
//	                                                                     TestStripLeavesFileAndSName
//	RFC 3046 2.1.1  spoofed giaddr discarded                             TestInsertDecisions
//	RFC 3046 2.1.1  giaddr set: forwarded, nothing added or modified     TestInsertDecisions
//	RFC 3046 2.2    a reply may come without the option                  TestMatch
//	RFC 3396 7      parts joined in order                                TestFind, TestStrip
//	RFC 3527 3      no action on whether link-selection comes back       TestMatch
//	RFC 3993 3.1    subscriber-id not NULL terminated                    TestAccessors, TestFieldsRefuse
//	RFC 5010 3      reserved bits of the flags zero when sent            TestFieldsRefuse
//	RFC 5010 4      flags also say "broadcast"                           TestFieldsLayout
//	RFC 5010 5      the first octet of longer flags evaluated            TestAccessors
//	RFC 6607 3.5    no information with type 255, no trailing zero       TestAccessors, TestFieldsRefuse
//	RFC 6607 5      VSS-Control goes with VSS; the server removes it     TestFieldsLayout, TestMatch
//	RFC 6607 7.2    another VSS, or none, may come back                  TestMatch
package relayinfo
