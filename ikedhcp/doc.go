// Package ikedhcp configures IKEv2 remote-access clients from a DHCP server, as
// draft-ietf-ipsec-dhcp-over-ike-dhcpd-00 ("the draft") describes: the packets of an
// ordinary DHCP client travel in payloads of IKE messages, and the security gateway
// is a DHCP relay agent between them and an ordinary DHCP server.
//
//	DHCP client   Client                        Relay            DHCP server
//	    |            |                            |                   |
//	    |-DISCOVER-->|-- IKE_AUTH [DHCP] -------->|-- giaddr, 82 ---->|
//	    |<---OFFER---|<- IKE_AUTH [DHCP] ---------|<-- giaddr, 82 ----|
//	    |-REQUEST--->|-- IKE_AUTH [DHCP] -------->|-- giaddr, 82 ---->|
//	    |            |                            |<-- giaddr, 82 ----|
//	    |            |               set address, narrow TSi          |
//	    |<-----ACK---|<- IKE_AUTH [DHCP], SA, TS -|                   |
//	    |            |                            |                   |
//	    |-REQUEST--->|-- INFORMATIONAL [DHCP] --->|-- giaddr, 82 ---->|
//	    |            |<- INFORMATIONAL [] --------|  (after 3 s)      |
//	    |            |                            |<-- giaddr, 82 ----|
//	    |<-----ACK---|<- INFORMATIONAL [DHCP] ----|                   |
//	    |            |-- INFORMATIONAL [] ------->|                   |
//
// [Codec] reads and writes the payloads, [Client] is the end of the remote-access
// client, [Relay] that of the gateway. [Responder] takes the place of the server,
// for addresses that come from a pool, a database or RADIUS.
//
// # DHCP payload
//
//	 0               1               2               3
//	+---------------+-+-------------+-------------------------------+
//	| Next Payload  |C|  RESERVED   |        Payload Length         |
//	+---------------+-+-------------+-------------------------------+
//	|   DHCP message, from op to the end of the UDP data            |
//	+---------------------------------------------------------------+
//
// An IKE message has any number of them, in any place of the chain of payloads.
//
// # Driving a machine
//
// A machine does no I/O, starts no goroutine, reads no clock and draws no random
// numbers. An input call appends to acts what the caller has to do, in the order
// in which to do it:
//
//	acts, err = m.HandleRequest(now, spi, id, messages, acts[:0])
//	for _, a := range acts { perform(a) }
//	deadline, armed := m.Deadline()       // arm one timer
//	acts = m.HandleTimeout(now, acts[:0]) // early or repeated calls do nothing
//
// A *[DropError] tells of input that was ignored and counted. What of an [Action]
// is memory of the machine is valid until the next call on that machine; what is
// passed in is not retained. If now runs back, the machine stands still.
//
// # Phases of an IKE SA in a Relay
//
//	from            on              to
//	None            OpenSA          Open
//	Open            Authenticated   Authenticated
//	Authenticated   Established     Established
//	Open            CloseSA         None
//	Authenticated   CloseSA         None
//	Established     CloseSA         None
//
// # States of a Client
//
//	from            on              to
//	Idle            Ready           Setup
//	Setup           Established     Established
//	Setup           Closed          Idle
//	Established     Closed          Idle
//
// # Rulings
//
// Where the draft is silent or leaves a choice:
//
//   - No payload number was ever assigned. The default is 200, of the private use
//     range, which means something only to a peer that has sent [VendorID] (RFC
//     7296 section 3.12): see [Gate].
//   - The C bit of a DHCP payload is clear unless configured, and always in
//     responses (RFC 7296 section 2.5).
//   - The circuit id is the gateway's own SPI of the IKE SA, eight octets. After
//     the IKE SA is rekeyed, it is the new one; replies that name the old one are
//     taken for AliasTime.
//   - An SA's entity is the identity that was authenticated (RFC 7296 section
//     2.16). Until then its messages are held, a few, and nothing is relayed.
//   - "Few seconds" (K3.9) are 3. A REQUEST or INFORM waits for its ACK or NAK, a
//     DISCOVER for the first OFFER unless RelayConfig.Offers says otherwise.
//     RELEASE and DECLINE have no reply and wait for none.
//   - An IKE_AUTH request without DHCP payloads asks for replies that are still
//     under way; it waits for them as long as one with payloads.
//   - The replies held for an SA (K3.15) are a queue of 8. If it is full, the oldest
//     OFFER is given up first.
//   - A client's message with giaddr or option 82 is refused: RFC 3046 section 2.1
//     for an untrusted circuit. So is one with an address that is not the SA's, in
//     ciaddr, or in the option 50 of a DECLINE.
//   - So is one that has no room for option 82. RFC 3046 section 2.1 would forward it
//     without; but the option is how a server knows the client (see below), and its
//     size is the client's choice.
//   - A reply has an effect only if it comes from a configured server, with our
//     giaddr, and answers, by xid and chaddr, what its SA has asked. It answers once:
//     an ACK or NAK ends the transaction, and ReplyTime does. If a REQUEST is for one
//     server, by option 54, another server's ACK or NAK does not answer it.
//   - The ACK to an INFORM never sets an address (K3.30 taken literally: INFORM is
//     relayed). An ACK without option 51 is a lease that does not end.
//   - A NAK takes no address away: it may be forged, and the lease ends by itself.
//   - An address of two entities is the newer one's. All SAs of the older one with
//     that address are to be deleted, before the newer one has it. SAs of the same
//     entity share it.
//   - Intercepted packets never move an address (K3.26); an ACK extends its lease.
//     One that answers nothing is dropped, but for a FORCERENEW (RFC 3203).
//   - Option 82 in sname or file, from where a relay agent must not remove it (RFC
//     3046 section 2.1), cannot go to a client either (K3.14): such a reply is dropped.
//   - RELEASE, DECLINE, the end of a lease, and CloseSA clear the address. RELEASE
//     and DECLINE are relayed after that.
//   - If there is no address SetupTime after authentication, requests are answered
//     with INTERNAL_ADDRESS_FAILURE.
//   - A client that asks for an address by CP and by DHCP at once is the caller's to
//     refuse: the machines see the DHCP payloads only.
//   - The U flag of sub-option 10 (RFC 5010) is 0: a payload does not show whether
//     the client sent a unicast.
//   - A client can ask a server for anything, also by another's client identifier.
//     What stops it from being given another's address, which evicts the other, is
//     a server that looks at the subscriber id or remote id of option 82: pass them
//     to [Relay.Authenticated].
//
// # Sources
//
// The draft; RFC 7296 sections 2.5, 2.16, 2.21, 3.1 to 3.3, 3.12 to 3.15; RFC 4306
// section 3.2 (private use numbers); RFC 2131; RFC 1542 section 4.1; RFC 3046;
// RFC 3203, 4039, 5010, 5107, 6842, 8357.
//
// Sentence 14 of section 3 of the draft is K3.14. Those that say what to do, and
// the tests that hold them; the others (K2.1, K3.5, K3.8, K3.25 and section 1) give
// reasons:
//
//	K2.2   TestK2_2PacketsOfTheClientArePutIntoPayloads
//	K2.3   TestK2_3PayloadsAreInIKEAuthWhileTheSAIsCreated
//	K2.4   TestK2_4PayloadsAreInformationalWhenTheSAStands
//	K2.5   TestK2_5NoInformationalBeforeTheSAStands
//	K2.6   TestK2_6ABroadcastNAKComesBackThroughTheRelay
//	K2.7   TestK2_7TheBackendNeedNotBeADHCPServer
//	K2.8   TestK2_8AResponseMayBeEmptyAndTheReplyComeLater
//	K3.1   TestK3_1TheGatewayIsARelayAgent
//	K3.2   TestK3_2GiaddrIsSetAndOption82IsLast
//	K3.3   TestK3_3TheCircuitIDIsTheSPI
//	K3.4   TestK3_4TheGiaddrMayBeAnAlias
//	K3.6   TestK3_6AServerWithoutOption82NeedsTheMap
//	K3.7   TestK3_7TheMapFindsTheSA
//	K3.9   TestK3_9TheGatewayWaitsForReplies
//	K3.10  TestK3_10FirstReplyOrAll
//	K3.11  TestK3_11AnACKOrNAKEndsTheWait
//	K3.12  TestK3_12WaitForSeveralOffers
//	K3.13  TestK3_13TheCircuitIDFindsTheSA
//	K3.14  TestK3_14TheClientSeesNeitherGiaddrNorOption82
//	K3.15  TestK3_15RepliesAreHeldForTheNextRequest
//	K3.16  TestK3_16TheClientDrivesTheExchange
//	K3.17  TestK3_17RepliesAreInformationalOnceTheSAStands
//	K3.18  TestK3_18AnACKSetsTheAddress
//	K3.19  TestK3_19TheSelectorIsTheAddressAlone
//	K3.20  TestK3_20AnAddressIsOneEntitys
//	K3.21  TestK3_21AnACKAtAnyTimeEvicts
//	K3.22  TestK3_22DirectRepliesAreTaken
//	K3.23  TestK3_23DirectPacketsGoIntoTheIKESA
//	K3.24  TestK3_24NothingIsInterceptedDuringIKEAuth
//	K3.26  TestK3_26DirectPacketsMoveNoAddress
//	K3.27  TestK3_27AnACKWithANewAddressMovesTheSA
//	K3.28  TestK3_28AClientWhoseACKWasLostRebinds
//	K3.29  TestK3_29TheClientRefusesINFORM
//	K3.30  TestK3_30INFORMIsRelayedAndSetsNoAddress
//	K4.1   TestK4_1RepliesAreNotBelievedUnchecked
//	K4.2   TestK4_2TheResponderNeedsNoNetwork
package ikedhcp
