package fuzz

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/ikedhcp"
	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/relayinfo"
)

// ikedhcpChain is payloads that are linked by their Next fields.
func ikedhcpChain(payloads ...ikedhcp.Payload) (b []byte) {
	for i, p := range payloads {
		if i+1 < len(payloads) {
			p.Next = payloads[i+1].Type
		}
		b, _ = p.AppendBinary(b)
	}
	return b
}

func FuzzPayloadChain(f *testing.F) {
	discover := dhcpv4("\x35\x01\x01\xff")
	// An IKE_AUTH request with a DHCPDISCOVER between other payloads.
	f.Add(uint8(35), uint8(200), ikedhcpChain(ikedhcp.Payload{Type: 35, Body: []byte("id")}, ikedhcp.Payload{Type: 200, Body: discover}, ikedhcp.Payload{Type: 39, Body: []byte("auth")}), discover)
	// Two DHCP payloads, the first of which ends in the middle of an option.
	f.Add(uint8(200), uint8(200), ikedhcpChain(ikedhcp.Payload{Type: 200, Body: discover[:242]}, ikedhcp.Payload{Type: 200, Body: discover}), discover)
	// A critical payload that nobody knows.
	f.Add(uint8(250), uint8(200), ikedhcpChain(ikedhcp.Payload{Type: 250, Flags: 0x80}), discover)
	// The Vendor ID, and a DHCP payload under another number.
	f.Add(uint8(43), uint8(201), ikedhcpChain(ikedhcp.Payload{Type: 43, Body: []byte(ikedhcp.VendorID)}, ikedhcp.Payload{Type: 201, Body: discover}), discover)
	// An SK payload whose Next Payload names what is inside.
	f.Add(uint8(46), uint8(200), ikedhcpChain(ikedhcp.Payload{Type: 46, Next: 41, Body: []byte("ciphertext")}), discover)
	// An empty chain.
	f.Add(uint8(0), uint8(200), []byte{}, []byte{})
	// A length of three, which counts less than its own header.
	f.Add(uint8(41), uint8(200), []byte{0, 0, 0, 3}, []byte{})
	f.Fuzz(func(t *testing.T, first, typ uint8, chain, message []byte) {
		given := bytes.Clone(chain)
		codec := ikedhcp.Codec{Type: ikedhcp.PayloadType(typ), Force: true}
		var gate ikedhcp.Gate
		var again []byte
		var malformed error
		for p, err := range ikedhcp.Payloads(ikedhcp.PayloadType(first), chain) {
			if err != nil {
				malformed = err
				requireIKEDHCPParseError(t, err, len(chain))
				break
			}
			gate.Observe(p)
			require.Equal(t, len(p.Body), cap(p.Body))
			require.Equal(t, len(again), p.Offset)
			requirePrintable(t, p.Type.String())
			again, err = p.AppendBinary(again)
			require.NoError(t, err)
		}
		if malformed == nil {
			require.True(t, bytes.Equal(chain, again), "what is accepted re-encodes to the same octets")
		}

		var messages [][]byte
		for m, err := range codec.Messages(gate, ikedhcp.PayloadType(first), chain) {
			if critical, ok := errors.AsType[*ikedhcp.CriticalError](err); ok {
				requirePrintable(t, critical.Error())
				require.Less(t, critical.Offset, len(chain))
			} else if err != nil {
				requireIKEDHCPParseError(t, err, len(chain))
			} else {
				messages = append(messages, m)
			}
		}

		out, head, err := codec.AppendPayloads([]byte("before"), gate, ikedhcp.InRequest, ikedhcp.PayloadType(first), chain, message)
		require.Equal(t, given, chain, "the chain is not modified")
		require.Equal(t, "before", string(out[:6]))
		if err != nil {
			require.Len(t, out, 6)
			return
		}
		require.NoError(t, malformed)
		var parsed [][]byte
		for m, err := range codec.Messages(gate, head, out[6:]) {
			if err == nil {
				parsed = append(parsed, m)
			}
		}
		var m dhcp4.Message
		if m.Parse(message) == nil && m.Type() != 0 {
			messages = append(messages, message)
		}
		require.Equal(t, len(messages), len(parsed))
		for i := range parsed {
			require.True(t, bytes.Equal(messages[i], parsed[i]), "parse(append(x)) == x")
		}
	})
}

func requireIKEDHCPParseError(t *testing.T, err error, size int) {
	t.Helper()
	pe, ok := errors.AsType[*ikedhcp.ParseError](err)
	require.True(t, ok, "%v", err)
	require.GreaterOrEqual(t, pe.Offset, 0)
	require.LessOrEqual(t, pe.Offset, size)
}

// ikedhcpMessage is a DHCP message of the one client that all fuzzing is about.
func ikedhcpMessage(h dhcp4.Header, typ dhcp4.MessageType, options ...byte) []byte {
	h.HType, h.CHAddr = 31, []byte{0x40, 0, 203, 0, 113, 7, 1}
	b, err := h.AppendBinary(nil)
	if err != nil {
		panic(err)
	}
	b = append(b, dhcp4.OptionMessageType, 1, byte(typ))
	return dhcp4.AppendEnd(append(b, options...), 0)
}

// ikedhcpTaken overwrites what a machine has lent, as its caller may.
func ikedhcpTaken(acts []ikedhcp.Action) {
	for _, a := range acts {
		for i := range a.Data {
			a.Data[i] = 0xa5
		}
		for _, m := range a.Messages {
			for i := range m {
				m[i] = 0xa5
			}
		}
	}
}

// FuzzClientOps drives a Client by operations of two octets each: what, and with
// what. The model is the rules of section 2 of the draft.
func FuzzClientOps(f *testing.F) {
	// Ready, DISCOVER, its answer, Established, REQUEST, its answer.
	f.Add([]byte{0, 0, 1, 0, 3, 0, 4, 0, 1, 1, 3, 1})
	// Packets that wait, sent one by one.
	f.Add([]byte{1, 0, 1, 1, 1, 2, 0, 0, 3, 0, 3, 0, 3, 0})
	// Polls without an answer.
	f.Add([]byte{0, 0, 1, 0, 3, 9, 6, 0, 3, 9, 6, 0, 3, 9, 6, 0})
	// An SA that is closed with a request under way.
	f.Add([]byte{0, 0, 1, 0, 5, 0, 0, 0, 3, 0, 1, 1})
	f.Fuzz(func(t *testing.T, ops []byte) {
		c, err := ikedhcp.NewClient(ikedhcp.ClientConfig{MaxQueue: 3, MaxPolls: 2})
		require.NoError(t, err)
		now := time.Unix(1_900_000_000, 0)
		var underWay ikedhcp.ID // the request that has no response yet
		var lastID ikedhcp.ID
		var queued []string // what the local client has sent, and not the IKE layer
		up, established := false, false
		var acts []ikedhcp.Action

		for len(ops) >= 2 && len(ops) < 4096 {
			op, arg := ops[0], ops[1]
			ops = ops[2:]
			typ := dhcp4.MessageType(1 + arg%10)
			xid := uint32(arg / 10 % 3)
			packet := ikedhcpMessage(dhcp4.Header{Op: dhcp4.BootRequest, XID: xid}, typ)
			reply := ikedhcpMessage(dhcp4.Header{Op: dhcp4.BootReply, XID: xid}, typ)
			isReply := slices.Contains([]dhcp4.MessageType{dhcp4.Offer, dhcp4.ACK, dhcp4.NAK, 9}, typ)
			deliver, respond := 0, 0
			err = nil
			acts = acts[:0]
			switch op % 8 {
			case 0:
				acts, err = c.Ready(now, acts)
				require.Equal(t, up, err != nil)
				up = true
			case 1:
				acts, err = c.HandleLocal(now, packet, acts)
				name := fmt.Sprint(typ, xid)
				i := slices.Index(queued, name)
				switch {
				case !slices.Contains([]dhcp4.MessageType{dhcp4.Discover, dhcp4.Request, dhcp4.Release, dhcp4.Decline}, typ):
					require.Error(t, err, "%v is not for a client to send", typ)
				case i < 0 && len(queued) == 3:
					require.Error(t, err, "the queue is full")
				default:
					require.NoError(t, err)
					if i >= 0 {
						queued = slices.Delete(queued, i, i+1)
					}
					queued = append(queued, name)
				}
			case 2:
				acts, err = c.HandleResponse(now, lastID+ikedhcp.ID(arg), [][]byte{reply}, acts)
				if stale := lastID+ikedhcp.ID(arg) != underWay && lastID+ikedhcp.ID(arg) != 0; stale {
					require.Error(t, err)
				} else if isReply {
					deliver = 1
				}
				if lastID+ikedhcp.ID(arg) == underWay {
					underWay = 0
				}
			case 3:
				if underWay == 0 {
					break
				}
				acts, err = c.HandleResponse(now, underWay, [][]byte{reply, packet}, acts)
				require.Error(t, err, "a client's packet is no reply")
				underWay = 0
				if isReply {
					deliver = 1
				}
			case 4:
				acts, err = c.Established(now, acts)
				require.Equal(t, !up || established, err != nil)
				established = established || up
			case 5:
				c.Closed(now)
				up, established, underWay, queued = false, false, 0, nil
			case 6:
				now = now.Add(time.Second)
				acts = c.HandleTimeout(now, acts)
				deadline, armed := c.Deadline()
				require.False(t, armed && !deadline.After(now), "what is due was not done")
			case 7:
				acts, err = c.HandleInform(now, ikedhcp.MessageID(arg), [][]byte{reply}, acts)
				if !established {
					require.Error(t, err)
				} else if respond = 1; isReply {
					deliver = 1
				}
			}
			for _, a := range acts {
				switch a.Kind {
				case ikedhcp.ActionRequest:
					require.True(t, up, "a request without an IKE SA")
					require.Zero(t, underWay, "a second request under way")
					require.Greater(t, a.ID, lastID)
					require.Equal(t, established, a.Exchange == ikedhcp.Informational)
					underWay, lastID = a.ID, a.ID
					if len(a.Messages) == 0 {
						require.False(t, established, "only IKE_AUTH needs polls")
						require.Empty(t, queued)
						break
					}
					require.Len(t, a.Messages, 1)
					var m dhcp4.Message
					require.NoError(t, m.Parse(a.Messages[0]))
					require.Equal(t, queued[0], fmt.Sprint(m.Type(), m.XID()), "packets go out in their order")
					queued = queued[1:]
				case ikedhcp.ActionDeliver:
					require.Equal(t, reply, a.Data)
					deliver--
				case ikedhcp.ActionEmptyResponse:
					require.Equal(t, ikedhcp.MessageID(arg), a.MessageID)
					respond--
				default:
					t.Fatalf("%v is no action of a Client", a.Kind)
				}
			}
			require.Zero(t, deliver, "messages that were not delivered")
			require.Zero(t, respond, "requests of the gateway that were not answered")
			require.False(t, up && underWay == 0 && len(queued) > 0, "a packet waits for nothing")
			ikedhcpTaken(acts)
		}
	})
}

// FuzzRelayWire gives the octets to every input of a Relay that takes octets from
// others, and to Restore.
func FuzzRelayWire(f *testing.F) {
	giaddr := netip.MustParseAddr("192.0.2.1")
	info, err := relayinfo.Fields{CircuitID: binary.BigEndian.AppendUint64(nil, 1)}.AppendBinary([]byte{82, 10})
	if err != nil {
		f.Fatal(err)
	}
	// A DHCPDISCOVER, which is relayed.
	f.Add(ikedhcpMessage(dhcp4.Header{Op: dhcp4.BootRequest, XID: 2}, dhcp4.Discover))
	// The ACK that the SA waits for.
	f.Add(ikedhcpMessage(dhcp4.Header{Op: dhcp4.BootReply, XID: 1, YIAddr: netip.MustParseAddr("10.0.0.1"), GIAddr: giaddr}, dhcp4.ACK, info...))
	// The same, with an option 82 in which the circuit id overruns.
	f.Add(ikedhcpMessage(dhcp4.Header{Op: dhcp4.BootReply, XID: 1, GIAddr: giaddr}, dhcp4.ACK, 82, 3, 1, 8, 0))
	// A FORCERENEW, straight to the client.
	f.Add(ikedhcpMessage(dhcp4.Header{Op: dhcp4.BootReply}, 9))
	// A snapshot of one SA that is not authenticated.
	f.Add([]byte("IKEDHCP\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		now := time.Unix(1_900_000_000, 0)
		server := netip.MustParseAddrPort("198.51.100.1:67")
		newRelay := func() *ikedhcp.Relay {
			r, err := ikedhcp.NewRelay(ikedhcp.RelayConfig{GIAddr: giaddr, XIDMap: true, ReleaseOnClose: true})
			require.NoError(t, err)
			return r
		}
		r := newRelay()
		require.NoError(t, r.OpenSA(now, 1))
		_, err := r.Authenticated(now, 1, []byte("a"), relayinfo.Fields{}, nil)
		require.NoError(t, err)
		_, err = r.HandleRequest(now, 1, 1, [][]byte{ikedhcpMessage(dhcp4.Header{Op: dhcp4.BootRequest, XID: 1}, dhcp4.Request)}, nil)
		require.NoError(t, err)
		given := bytes.Clone(data)

		acts, err := r.HandleServer(now, server, data, nil)
		require.True(t, err == nil || len(acts) == 0, "ignored, and yet it has actions")
		requireIKEDHCPActions(t, acts)
		acts, err = r.HandleRequest(now, 1, 2, [][]byte{data}, nil)
		requireIKEDHCPActions(t, acts)
		requireIKEDHCPDrop(t, err)
		_, err = r.Established(now, 1, nil)
		require.NoError(t, err)
		addr, _ := r.Address(1)
		acts, err = r.HandleIntercepted(now, server, addr, data, nil)
		requireIKEDHCPActions(t, acts)
		requireIKEDHCPDrop(t, err)
		after, _ := r.Address(1)
		require.Equal(t, addr, after, "an intercepted packet has moved the address")
		requireIKEDHCPActions(t, r.HandleTimeout(now.Add(ikedhcp.DefaultReplyTime), nil))
		acts, err = r.CloseSA(now, 1, nil)
		require.NoError(t, err)
		requireIKEDHCPActions(t, acts)
		require.Equal(t, given, data, "input is not modified")

		restored := newRelay()
		if err := restored.Restore(now, data); err != nil {
			requireIKEDHCPParseError(t, err, len(data))
			require.Zero(t, restored.Len())
			return
		}
		again := restored.AppendSnapshot(nil)
		require.NoError(t, newRelay().Restore(now, again))
		require.Len(t, again, len(data))
	})
}

// FuzzResponder gives the octets to a Responder, whatever their giaddr, and answers
// what it asks for.
func FuzzResponder(f *testing.F) {
	relayed := dhcp4.Header{Op: dhcp4.BootRequest, XID: 1, GIAddr: netip.MustParseAddr("192.0.2.1")}
	// A DISCOVER with option 82, a client identifier and a list of parameters.
	f.Add(ikedhcpMessage(relayed, dhcp4.Discover, 61, 3, 0, 'm', 'e', 55, 2, 6, 15, 82, 4, 1, 2, 0, 7))
	// A REQUEST for the address that it will be given, by a client that accepts little.
	f.Add(ikedhcpMessage(relayed, dhcp4.Request, 50, 4, 10, 0, 0, 1, 57, 2, 0, 1))
	// A REQUEST for another address.
	f.Add(ikedhcpMessage(relayed, dhcp4.Request, 50, 4, 10, 0, 0, 2))
	// A RELEASE of no address.
	f.Add(ikedhcpMessage(relayed, dhcp4.Release))
	// A server-id override in option 82, and a REQUEST for that server.
	f.Add(ikedhcpMessage(relayed, dhcp4.Request, 50, 4, 10, 0, 0, 1, 54, 4, 192, 0, 2, 9, 82, 6, 11, 4, 192, 0, 2, 9))
	// A client identifier in two parts, of 256 octets together (RFC 3396).
	f.Add(ikedhcpMessage(relayed, dhcp4.Discover, slices.Concat([]byte{61, 128}, make([]byte, 128), []byte{61, 128}, make([]byte, 128))...))
	f.Fuzz(func(t *testing.T, data []byte) {
		server := netip.MustParseAddr("198.51.100.1")
		s, err := ikedhcp.NewResponder(ikedhcp.ResponderConfig{ServerID: server})
		require.NoError(t, err)
		now := time.Unix(1_900_000_000, 0)
		given := bytes.Clone(data)
		acts, err := s.HandleMessage(now, data, nil)
		requireIKEDHCPDrop(t, err)
		if err != nil {
			require.Empty(t, acts)
			return
		}
		require.Len(t, acts, 1)
		if acts[0].Kind != ikedhcp.ActionAssign {
			require.True(t, acts[0].Address.Is4())
			return
		}
		id, purpose := acts[0].ID, acts[0].Assign.Purpose
		_, err = s.HandleMessage(now, data, nil)
		requireIKEDHCPDrop(t, err)
		require.Error(t, err, "a retransmission is asked for twice")
		require.Equal(t, given, data, "input is not modified")

		granted := ikedhcp.Assignment{
			Address: netip.MustParseAddr("10.0.0.1"), Lease: time.Hour,
			Options: []ikedhcp.Option{{Code: 1, Data: []byte{255, 255, 255, 0}}, {Code: 224, Data: make([]byte, 255)}, {Code: 225, Data: make([]byte, 255)}, {Code: 6, Data: make([]byte, 4)}},
		}
		acts, err = s.HandleAssigned(now, id, granted, nil)
		require.NoError(t, err)
		require.Len(t, acts, 1)
		var q, m dhcp4.Message
		require.NoError(t, q.Parse(data))
		require.NoError(t, m.Parse(acts[0].Data))
		require.Equal(t, dhcp4.BootReply, m.Op())
		require.Equal(t, q.XID(), m.XID())
		require.Equal(t, q.GIAddr(), m.GIAddr())
		require.Equal(t, q.CHAddr(), m.CHAddr())
		require.LessOrEqual(t, len(acts[0].Data), 1472)
		switch purpose {
		case ikedhcp.PurposeOffer:
			require.Equal(t, dhcp4.Offer, m.Type())
		case ikedhcp.PurposeInform:
			require.Equal(t, dhcp4.ACK, m.Type())
			require.Equal(t, netip.IPv4Unspecified(), m.YIAddr())
		default:
			require.Contains(t, []dhcp4.MessageType{dhcp4.ACK, dhcp4.NAK}, m.Type())
		}
		if info, err := relayinfo.Find(data); err == nil && len(info.Bytes()) <= relayinfo.MaxBody {
			echo, err := relayinfo.Find(acts[0].Data)
			require.NoError(t, err)
			require.Equal(t, info.Bytes(), echo.Bytes(), "the echo of option 82")
		}
		_, armed := s.Deadline()
		require.False(t, armed)
	})
}

func requireIKEDHCPDrop(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		drop, ok := errors.AsType[*ikedhcp.DropError](err)
		require.True(t, ok, "%v", err)
		requirePrintable(t, drop.Error())
	}
}

// requireIKEDHCPActions checks what goes either way.
func requireIKEDHCPActions(t *testing.T, acts []ikedhcp.Action) {
	t.Helper()
	for _, a := range acts {
		requirePrintable(t, a.Kind.String())
		var m dhcp4.Message
		if a.Kind == ikedhcp.ActionToServer {
			require.NoError(t, m.Parse(a.Data))
			require.Equal(t, dhcp4.BootRequest, m.Op())
			require.True(t, m.Relayed())
		}
		for _, b := range a.Messages {
			require.NoError(t, m.Parse(b))
			require.Equal(t, dhcp4.BootReply, m.Op())
			require.False(t, m.Relayed(), "giaddr reaches the client")
			require.Zero(t, m.RelayAgentInfoSize(), "option 82 reaches the client")
			require.False(t, m.RelayAgentInfoElsewhere(), "option 82 reaches the client")
		}
	}
}
