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
//	Soliciting   stop         Init
//	Requesting   bound        Bound
//	Requesting   failed       Soliciting
//	Requesting   lost         Soliciting
//	Requesting   release      Releasing
//	Requesting   stop         Init
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
//	Release:        WithdrawCA, Revoke, Forget, Free -> Reply
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
//     One for another key is revoked when the new one is there; one that binds a
//     prefix that is not delegated any more, at once; all, when the delegation ends
//     early.
//   - T1 and T2 are 0.5 and 0.8 of the shortest preferred lifetime or of what is left
//     of the certificate, so that a Renew comes before either ends.
//   - A Renew or Rebind whose certificate is refused under FailClosed is not answered:
//     the client keeps what it has until that ends, and asks again.
//   - The requesting router takes "exactly" to be all that it holds. If it is
//     renumbered and the old prefix is not withdrawn, a certificate for the new one
//     alone is refused until the old one expires.
//   - A message without proof of the key does not displace one with it.
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
//   - Only RSA keys of 2048 to 4096 bits are certified by default: SEND has no other
//     kind, and larger ones are a burden to verify.
//   - The subject name is checked by neither side: "the subject name is determined
//     by the issuer" (RFC 6487 section 4.5). Key and prefixes are.
//   - A prefix with host bits in a Reply is taken without them.
//   - A certificate in hand is kept when a later Reply has none: see
//     [Holder.HandleReply].
//   - To a Solicit or Request for addresses the answer is NoAddrsAvail. Confirm,
//     Decline and Information-request are dropped: they are not about prefixes.
//   - A Rebind that names no binding of ours is dropped: another server may have it.
//   - Reconfigure is not accepted and never sent.
//   - T1 and T2 are computed for each IA_PD and the earliest taken; one that a Reply
//     to a Renew leaves out keeps the T2 that it has. Where T1 is left to the
//     client, it is never less than a second (RFC 8415 section 14.2).
//   - After NoBinding in a Reply to a Renew, the prefixes of that IA are kept until
//     the Reply to the Request that follows, and dropped if that lacks them.
//   - A certificate made before the Reply may end a little before the delegation,
//     up to a tenth of the time left; it is not replaced for that.
//
// # Clauses and their tests
//
//	slide 8, RFC 4210 5.2.8.4   TestSlide8BareKeyGetsItsCertificateUnproven
//	RFC 4211 5, RFC 6494 7      TestCertificateChecks
//	RFC 5280 4.1.2.5            TestValidityIsTheEarliestOfAllEnds
//	RFC 7227 21.1               TestRFC7227_21_1_MalformedCertificateOptions
//	                            TestRFC7227_21_1_MalformedOptionsOfAReply
//	RFC 8415 14.2               TestRFC8415_14_2_RenewsAreRateLimitedWhereT1IsZero
//	RFC 8415 15                 TestRFC8415_15_ElapsedTimeIsUpdated
//	                            TestRFC8415_15_RetransmissionOmitsExpiredPrefixes
//	                            TestRFC8415_15_RetransmissionTimes
//	RFC 8415 16                 TestRFC8415_16_ServerDiscards
//	                            TestRFC8415_16_UnexpectedMessageTypesAreDropped
//	                            TestRFC8415_16_UnknownAndRelayMessagesAreDropped
//	                            TestRFC8415_16_UnknownOptionsAreIgnored
//	RFC 8415 16.1               TestRFC8415_16_1_TransactionID
//	RFC 8415 16.3 and 16.10     TestRFC8415_16_3_16_10_OtherClientIDIsDropped
//	                            TestRFC8415_16_3_16_10_OtherTransactionIDIsDropped
//	                            TestRFC8415_16_3_16_10_WithoutClientIDIsDropped
//	                            TestRFC8415_16_3_16_10_WithoutServerIDIsDropped
//	RFC 8415 18.2               TestRFC8415_18_2_OptionsOfEachMessage
//	RFC 8415 18.2.1             TestRFC8415_18_2_1_AdvertisesAreCollectedForTheFirstRT
//	                            TestRFC8415_18_2_1_AfterTheFirstRTTheFirstAdvertiseIsTaken
//	                            TestRFC8415_18_2_1_FirstRTIsStrictlyGreaterThanIRT
//	                            TestRFC8415_18_2_1_FirstSolicitIsDelayed
//	                            TestRFC8415_18_2_1_Hints
//	                            TestRFC8415_18_2_1_Preference255IsTakenAtOnce
//	                            TestRFC8415_18_2_1_RapidCommit
//	RFC 8415 18.2.2             TestRFC8415_18_2_2_RequestFailsAfterTenTransmissions
//	RFC 8415 18.2.4             TestRFC8415_18_2_4_RenewAndRebindNameOnlyWhatWasDelegated
//	                            TestRFC8415_18_2_4_RenewEndsAtT2
//	                            TestRFC8415_18_2_4_T2OfAnIAThatTheReplyLacks
//	RFC 8415 18.2.5             TestRFC8415_18_2_5_RebindEndsWhenTheLastLeaseExpires
//	                            TestRFC8415_18_2_5_RebindIsAnsweredByAnotherServer
//	RFC 8415 18.2.7             TestRFC8415_18_2_7_ReleaseEndsAfterFourTransmissions
//	                            TestRFC8415_18_2_7_ReleaseStopsUseBeforeItIsSent
//	RFC 8415 18.2.9             TestRFC8415_18_2_9_AdvertiseWithoutPrefixIsIgnored
//	                            TestRFC8415_18_2_9_SolMaxRTOfAnUselessAdvertise
//	RFC 8415 18.2.10            TestRFC8415_18_2_10_SolMaxRTOfAReplyHoldsForTheNextDiscovery
//	                            TestRFC8415_18_2_10_StatusOfTheReply
//	RFC 8415 18.2.10.1          TestRFC8415_18_2_10_1_NoBindingLeadsToRequest
//	                            TestRFC8415_18_2_10_1_NoPrefixAvailInOneOfTwoIAs
//	                            TestRFC8415_18_2_10_1_RenewExtendsTheLifetimes
//	                            TestRFC8415_18_2_10_1_RenewReplyWithoutOurIAs
//	                            TestRFC8415_18_2_10_1_ReplyUpdatesTheLeases
//	                            TestRFC8415_18_2_10_1_ReplyWithoutPrefixRestartsDiscovery
//	                            TestMayAdvertiseToTheNanosecond
//	RFC 8415 18.2.10.2          TestRFC8415_18_2_10_2_AnyReplyEndsTheRelease
//	RFC 8415 18.3.2             TestNoPrefixAvailIsInsideTheIA
//	                            TestSeveralIAsShareOneCertificateAndOneT1
//	                            TestAddressesAreNotToBeHadHere
//	RFC 8415 18.3.4             TestRFC8415_18_3_4_RenewOfAnUnknownBindingIsNoBinding
//	RFC 8415 18.3.5             TestRFC8415_18_3_5_RebindOfAnUnknownBindingIsIgnored
//	RFC 8415 18.3.7             TestRFC8415_18_3_7_Release
//	RFC 8415 19.3, RFC 8357 5.2 TestAnswerTakesTheWayBackThroughTheRelayAgents
//	RFC 8415 21.7               TestRFC8415_21_7_PointerOnlyIfRequested
//	                            TestRFC8415_21_7_VendorOptionsAreRequestedAsOne
//	RFC 8415 21.21              TestRFC8415_21_21_IAWithT1GreaterThanT2IsDiscarded
//	                            TestRFC8415_21_21_T1AndT2
//	RFC 8415 21.22              TestRFC8415_21_22_PreferredGreaterThanValidIsDiscarded
package dhcpv6pd
