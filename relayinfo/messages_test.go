package relayinfo

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/dhcp4"
)

var (
	giaddr   = netip.MustParseAddr("192.0.2.1")
	hardware = []byte{0x02, 0, 0, 0, 0, 0x01}
)

// option is one option of a message that a test builds.
type option struct {
	code uint8
	data []byte
}

// build is a message with End and padding to 300 octets.
func build(t testing.TB, h dhcp4.Header, options ...option) []byte {
	t.Helper()
	return dhcp4.AppendEnd(buildOpen(t, h, options...), 0)
}

// buildOpen is a message that stops behind its last option.
func buildOpen(t testing.TB, h dhcp4.Header, options ...option) []byte {
	t.Helper()
	if h.CHAddr == nil {
		h.HType, h.CHAddr = 1, hardware
	}
	msg, err := h.AppendBinary(nil)
	require.NoError(t, err)
	for _, o := range options {
		msg, err = dhcp4.AppendOption(msg, o.code, o.data)
		require.NoError(t, err)
	}
	return msg
}

// request is a BOOTREQUEST as it leaves a client.
func request(t testing.TB, options ...option) []byte {
	t.Helper()
	return build(t, dhcp4.Header{Op: dhcp4.BootRequest, XID: 0x12345678}, options...)
}

// reply is a BOOTREPLY as it leaves a server for the relay agent giaddr.
func reply(t testing.TB, options ...option) []byte {
	t.Helper()
	return build(t, dhcp4.Header{
		Op: dhcp4.BootReply, XID: 0x12345678, Hops: 1,
		YIAddr: netip.MustParseAddr("192.0.2.77"), GIAddr: giaddr,
	}, options...)
}

func messageType(t dhcp4.MessageType) option {
	return option{dhcp4.OptionMessageType, []byte{uint8(t)}}
}

func relayAgentInfo(body []byte) option { return option{dhcp4.OptionRelayAgentInfo, body} }

// discover is a DHCPDISCOVER of an ordinary client.
func discover(t testing.TB) []byte {
	t.Helper()
	return request(
		t,
		messageType(dhcp4.Discover),
		option{dhcp4.OptionClientIdentifier, append([]byte{1}, hardware...)},
		option{12, []byte("roadwarrior")},
		option{60, []byte("dhcpcd-9.4.1:Linux")},
		option{dhcp4.OptionMaxMessageSize, []byte{0x05, 0xc0}},
		option{dhcp4.OptionParameterRequestList, []byte{1, 3, 6, 15, 28, 51, 58, 59}},
	)
}

// ack is a DHCPACK of an ordinary server that echoes body.
func ack(t testing.TB, body []byte) []byte {
	t.Helper()
	return reply(
		t,
		messageType(dhcp4.ACK),
		option{dhcp4.OptionServerIdentifier, []byte{192, 0, 2, 53}},
		option{dhcp4.OptionLeaseTime, []byte{0, 0, 0x0e, 0x10}},
		option{58, []byte{0, 0, 7, 8}},
		option{59, []byte{0, 0, 0x0c, 0x4e}},
		option{1, []byte{255, 255, 255, 0}},
		option{3, []byte{192, 0, 2, 1}},
		option{6, []byte{192, 0, 2, 53, 192, 0, 2, 54}},
		option{15, []byte("vpn.example")},
		relayAgentInfo(body),
	)
}

// fiveSubOptions is a body of five sub-options, as an access node may add it.
func fiveSubOptions(t testing.TB) Info {
	t.Helper()
	info, err := Fields{
		CircuitID:        []byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef},
		RemoteID:         []byte("gw1.example"),
		LinkSelection:    netip.MustParseAddr("198.51.100.0"),
		SubscriberID:     "alice@vpn.example",
		ServerIDOverride: giaddr,
	}.Info()
	require.NoError(t, err)
	return info
}
