package dhcp6

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseMessage(t *testing.T) {
	b := reply()
	m, err := ParseMessage(b)
	require.NoError(t, err)
	require.Equal(t, Reply, m.Type)
	require.Equal(t, TransactionID{1, 2, 3}, m.TransactionID)
	require.Equal(t, Options(b[HeaderLen:]), m.Options)

	m, err = ParseMessage([]byte{byte(Solicit), 0, 0, 0})
	require.NoError(t, err, "a message needs no options to be one")
	require.Empty(t, m.Options)
}

func TestMessageAliasesItsInputWithCappedSlices(t *testing.T) {
	b := append(reply(), "behind"...)
	m, err := ParseMessage(b[:len(b)-len("behind")])
	require.NoError(t, err)
	before := bytes.Clone(b)
	_ = append(m.Options, 0xff)
	id, _ := m.Options.ClientID()
	_ = append(id, 0xff)
	_, text := m.Options.Status()
	_ = append(text, 0xff)
	for ia, err := range m.Options.IAPDs() {
		require.NoError(t, err)
		_ = append(ia.Options, 0xff)
		for p, err := range ia.Prefixes() {
			require.NoError(t, err)
			_ = append(p.Options, 0xff)
		}
	}
	require.Equal(t, before, b, "append to a view reached the octets behind it")
	b[HeaderLen+4] = 0xee
	require.Equal(t, byte(0xee), id[0], "the view is documented to alias the input")
}

func TestRFC8415Section16UnknownMessageType(t *testing.T) {
	for n := range 256 {
		b := message(MessageType(n))
		_, err := ParseMessage(b)
		if 1 <= n && n <= 11 {
			require.NoError(t, err, "msg-type %d", n)
			continue
		}
		requireParseError(t, err, "msg-type", 0, ErrValue)
	}
}

func TestRFC8415Section16UnknownOptions(t *testing.T) {
	b := message(Reply,
		option(65001), option(65001, []byte("again")), option(0, []byte{1}), option(200),
		option(OptionInterfaceID, []byte("not a relay message")))
	m, err := ParseMessage(b)
	require.NoError(t, err, "MUST NOT discard messages that contain unknown options")
	out, err := m.AppendBinary(nil)
	require.NoError(t, err)
	require.Equal(t, b, out)
}

func TestRFC8415Section11_1DUIDSize(t *testing.T) {
	for _, code := range []uint16{OptionClientID, OptionServerID} {
		for _, size := range []int{0, 1, 2, 3, 130, 131, 65535} {
			m, err := ParseMessage(message(Reply, option(65001), option(code, make([]byte, size))))
			if size < 3 || size > 130 {
				requireParseError(t, err, optionName(code), 10, ErrLength)
				continue
			}
			require.NoError(t, err, "%s of %d octets", optionName(code), size)
			id, ok := m.Options.Find(code)
			require.True(t, ok)
			require.Len(t, id, size)
		}
	}
}

func TestRFC8415Section21Singletons(t *testing.T) {
	content := map[uint16][]byte{
		OptionClientID: clientDUID, OptionServerID: serverDUID, OptionStatusCode: {0, 0},
	}
	// Table 4, restricted to RFC 8415's own options and the one of RFC 8357.
	singletons := []uint16{1, 2, 6, 7, 8, 9, 11, 12, 13, 14, 15, 18, 19, 20, 32, 82, 83, 135}
	repeatable := []uint16{3, 4, 5, 16, 17, 25, 26, 0, 10, 64, 191, 192, 65001, 65535}
	for _, code := range singletons {
		o := option(code, content[code])
		_, err := ParseMessage(message(Reply, o))
		require.NoError(t, err, "one %s", optionName(code))
		_, err = ParseMessage(message(Reply, o, option(65001), o))
		requireParseError(t, err, optionName(code), 4+len(o)+4, ErrDuplicate)
	}
	for _, code := range repeatable {
		o := option(code, content[code])
		_, err := ParseMessage(message(Reply, o, o))
		require.NoError(t, err, "two options %d", code)
	}
}

func TestOneBadOptionDoesNotLoseTheMessage(t *testing.T) {
	for name, bad := range map[string][]byte{
		"preference of 2 octets":           option(OptionPreference, []byte{1, 2}),
		"empty elapsed time":               option(OptionElapsedTime),
		"rapid commit with content":        option(OptionRapidCommit, []byte{1}),
		"SOL_MAX_RT of 3 octets":           option(OptionSolMaxRT, []byte{0, 0, 60}),
		"odd option request":               option(OptionORO, []byte{0, 82, 0}),
		"IA_PD of 11 octets":               option(OptionIAPD, make([]byte, 11)),
		"IA_PD with an option cut short":   option(OptionIAPD, make([]byte, 12), []byte{0, 26, 0}),
		"IA_PD with two status codes":      iapd(1, 0, 0, option(13, u16(6)), option(13, u16(0))),
		"IA_PD with a status of one octet": iapd(1, 0, 0, option(13, []byte{6})),
		"IA Prefix outside an IA_PD":       iaprefix(1, 2, 56, "2001:db8::"),
		"status text with NUL, not UTF-8":  option(OptionStatusCode, u16(1), []byte{0xff, 0}),
	} {
		t.Run(name, func(t *testing.T) {
			b := message(Reply, option(OptionClientID, clientDUID), bad, option(65001, []byte("kept")))
			m, err := ParseMessage(b)
			require.NoError(t, err)
			require.Zero(t, m.Options.Preference())
			_, ok := m.Options.ElapsedTime()
			require.False(t, ok)
			_, ok = m.Options.SolMaxRT()
			require.False(t, ok)
			require.False(t, m.Options.RapidCommit())
			require.False(t, m.Options.Requests(OptionSolMaxRT))
			for _, err := range m.Options.IAPDs() {
				require.Error(t, err)
			}
			kept, ok := m.Options.Find(65001)
			require.True(t, ok)
			require.Equal(t, "kept", string(kept))
			out, err := m.AppendBinary(nil)
			require.NoError(t, err)
			require.Equal(t, b, out)
		})
	}
}

func TestEveryTruncation(t *testing.T) {
	for name, b := range map[string][]byte{
		"solicit": solicit(), "reply": reply(), "relay": twoRelays(), "nine relays": nested(9, reply()),
	} {
		t.Run(name, func(t *testing.T) {
			for n := range len(b) {
				cut := b[:n:n]
				relays, m, err := Unwrap(cut, nil)
				if err == nil {
					// Cut between two options: what is left is a message of its own.
					out, err := rewrap(relays, m)
					require.NoError(t, err)
					require.Equal(t, cut, out, "cut to %d octets", n)
					continue
				}
				var pe *ParseError
				require.ErrorAs(t, err, &pe, "cut to %d octets", n)
				require.LessOrEqual(t, pe.Offset, n, "cut to %d octets: %v", n, err)
				require.GreaterOrEqual(t, pe.Offset, 0, "cut to %d octets: %v", n, err)
				require.ErrorIs(t, err, ErrTruncated, "cut to %d octets", n)
			}
		})
	}
}

// rewrap is the structural re-encoding of what Unwrap returned.
func rewrap(relays []Relay, m Message) ([]byte, error) {
	if len(relays) > 0 {
		return relays[0].AppendBinary(nil)
	}
	return m.AppendBinary(nil)
}

func TestEveryOctetChanged(t *testing.T) {
	for name, b := range map[string][]byte{"solicit": solicit(), "reply": reply(), "relay": twoRelays()} {
		t.Run(name, func(t *testing.T) {
			for i := range b {
				for _, flip := range []byte{0x01, 0x80, 0xff} {
					changed := bytes.Clone(b)
					changed[i] ^= flip
					relays, m, err := Unwrap(changed, nil)
					if err != nil {
						var pe *ParseError
						require.ErrorAs(t, err, &pe)
						require.LessOrEqual(t, pe.Offset, len(changed))
						continue
					}
					out, err := rewrap(relays, m)
					require.NoError(t, err, "octet %d changed by %#x", i, flip)
					require.Equal(t, changed, out, "octet %d changed by %#x", i, flip)
				}
			}
		})
	}
}

func TestMessageAppendBinaryRefusesWhatDoesNotParse(t *testing.T) {
	before := []byte{9, 9}
	for name, m := range map[string]Message{
		"no type":         {},
		"relay type":      {Type: RelayForward},
		"two client IDs":  {Type: Reply, Options: append(option(1, clientDUID), option(1, clientDUID)...)},
		"short server ID": {Type: Reply, Options: option(OptionServerID, []byte{0, 1})},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := m.AppendBinary(before)
			require.Error(t, err)
			require.Equal(t, before, out)
		})
	}
}

func TestNames(t *testing.T) {
	require.Equal(t, "Information-request", InformationRequest.String())
	require.Equal(t, "MessageType(0)", MessageType(0).String())
	require.Equal(t, "NoPrefixAvail", NoPrefixAvail.String())
	require.Equal(t, "StatusCode(65535)", StatusCode(65535).String())
	seen := map[string]bool{}
	for n := range 256 {
		name := MessageType(n).String()
		require.False(t, seen[name], "two message types are called %q", name)
		seen[name] = true
	}
	for n := range 300 {
		if name := optionName(uint16(n)); name != "" {
			require.False(t, seen[name], "two options are called %q", name)
			seen[name] = true
		}
	}
}
