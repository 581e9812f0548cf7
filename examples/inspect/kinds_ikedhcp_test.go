package main

import (
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/ikedhcp"
	"dhcpsec.example/internal/dhcp4"
)

// payload is one IKE payload: the type of the next one, the octet with the C bit,
// and the body.
func payload(next, flags byte, body []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{next, flags}, uint16(4+len(body)))
	return append(b, body...)
}

func TestIKEPayloads(t *testing.T) {
	discover, err := dhcp4.Header{Op: dhcp4.BootRequest, HType: 31, XID: 7, CHAddr: []byte{2, 0, 0, 0, 0, 1}}.AppendBinary(nil)
	require.NoError(t, err)
	discover, err = dhcp4.AppendOption(discover, dhcp4.OptionMessageType, []byte{byte(dhcp4.Discover)})
	require.NoError(t, err)
	discover = dhcp4.AppendEnd(discover, 0)

	chain := []byte{43}
	chain = append(chain, payload(200, 0, []byte(ikedhcp.VendorID))...)
	chain = append(chain, payload(200, 0x80, discover)...)
	chain = append(chain, payload(199, 0x01, []byte{1, 2, 3})...)
	chain = append(chain, payload(0, 0x80, nil)...)
	const want = `V, 16 octets: DHCP payloads are understood
private(200), 300 octets, critical: DHCPDISCOVER xid 0x00000007 hops 0 ciaddr 0.0.0.0 yiaddr 0.0.0.0 giaddr 0.0.0.0 chaddr 02 00 00 00 00 01
private(200), 3 octets, reserved bits 0x01, unusable: BOOTP header: truncated
private(199), 0 octets, critical
a request with private(199) must be refused: critical, and of unknown type`

	lines, got := inspectHexLines(t, "ikepayloads",
		chain, []byte{0}, []byte{200, 0, 0, 0, 3}, chain[:len(chain)-1], append(chain[:len(chain):len(chain)], 0))
	require.Equal(t, 1, got.status)
	require.Equal(t, want, lines[0].Text)
	require.Equal(t, hex.EncodeToString(chain), lines[0].Reencoded)
	require.Equal(t, "no payloads", lines[1].Text)
	require.Equal(t, "00", lines[1].Reencoded)
	require.Contains(t, lines[2].Error, "impossible length")
	require.Equal(t, 3, lines[2].Offset, "offsets count from the start of the object")
	require.Contains(t, lines[3].Error, "truncated")
	require.Contains(t, lines[4].Error, "trailing octets")
	require.Equal(t, len(chain), lines[4].Offset)

	empty := inspect("", "-as", "ikepayloads")
	require.Equal(t, 1, empty.status)
	require.Contains(t, empty.stderr, "Next Payload of the first payload at offset 0: truncated")
}
