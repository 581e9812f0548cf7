package fuzz

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/dhcp6"
)

// dhcp6Seeds are messages in hex; spaces are for reading.
var dhcp6Seeds = []string{
	// A Solicit with client identifier, option request, elapsed time and an IA_PD.
	"01 010203 0001000a00030001020000000001 0006000400520017 00080002 0096 0019000c 00000001 00000000 00000000",
	// A Reply with an IA_PD of one prefix whose status is Success.
	"07 010203 0002000a00030001020000000002 0019002f 00000001 000003e8 000007d0 001a001f 00000bb8 00000fa0 38 20010db8800001000000000000000000 000d00020000",
	// A Reply that refuses: NoPrefixAvail, with text, within the IA_PD.
	"07 010203 00190017 00000001 00000000 00000000 000d0007 0006 6e6f6e6521",
	// A prefix-length of 200, which loses the prefix but not the message.
	"07 010203 0019002900000001000000000000000000 1a0019 0000000000000000 c8 00000000000000000000000000000000",
	// An Option Request of an odd number of octets.
	"01 010203 00060003005200",
	// A Relay-forward of one level, with interface-id and relay source port.
	"0c00 20010db8000000000000000000000001 fe80000000000000000000000000000c 0012000470743033 008700020000 00090004 01010203",
	// A Relay-reply that carries a message of an unknown type.
	"0d00 00000000000000000000000000000000 fe80000000000000000000000000000c 00090002 c801",
	// A Relay-forward without its Relay Message option.
	"0c00 00000000000000000000000000000000 fe80000000000000000000000000000c",
	// Two client identifiers.
	"01 010203 00010003000301 00010003000301",
	// An option that ends beyond the message.
	"01 010203 0001000a0003",
}

func addDHCP6Seeds(f *testing.F) {
	f.Helper()
	for _, seed := range dhcp6Seeds {
		b, err := hex.DecodeString(strings.ReplaceAll(seed, " ", ""))
		require.NoError(f, err)
		f.Add(b)
	}
	// Twelve Relay-forwards around a Solicit, deeper than HOP_COUNT_LIMIT allows.
	deep := []byte{1, 1, 2, 3}
	for range 12 {
		level := append(make([]byte, 34), 0, 9, 0, byte(len(deep)))
		if len(deep) > 255 {
			level[36] = byte(len(deep) >> 8)
		}
		level[0] = 12
		deep = append(level, deep...)
	}
	f.Add(deep)
}

// FuzzDHCP6Parse: no input panics; what is accepted comes out of a structural
// re-encoding as it was; errors point into the input; summaries are bounded and
// fit to print.
func FuzzDHCP6Parse(f *testing.F) {
	addDHCP6Seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		kept := bytes.Clone(b)
		if r, err := dhcp6.ParseRelay(b); err != nil {
			requireDHCP6Offset(t, err, len(b))
		} else {
			out, err := r.AppendBinary([]byte("before"))
			require.NoError(t, err)
			require.Equal(t, append([]byte("before"), b...), out)
			requireDHCP6LogLine(t, r.String())
		}
		relays, m, err := dhcp6.Unwrap(b, nil)
		if err != nil {
			requireDHCP6Offset(t, err, len(b))
			return
		}
		require.LessOrEqual(t, len(relays), dhcp6.HopCountLimit+1)
		out, err := m.AppendBinary(nil)
		require.NoError(t, err)
		if len(relays) == 0 {
			require.Equal(t, b, out)
		}
		require.True(t, bytes.Contains(b, out), "the message within came out otherwise")
		requireDHCP6LogLine(t, m.String())
		walkDHCP6(t, m.Options)
		if len(relays) > 0 && relays[0].Type == dhcp6.RelayForward {
			answer, err := dhcp6.AppendRelayReply(nil, relays, out)
			require.NoError(t, err, "the way back has no more options than the way there")
			back, inner, err := dhcp6.Unwrap(answer, nil)
			require.NoError(t, err)
			require.Len(t, back, len(relays))
			require.Equal(t, m.Options, inner.Options)
			for i := range back {
				require.Equal(t, relays[i].PeerAddress, back[i].PeerAddress)
				require.Equal(t, relays[i].LinkAddress, back[i].LinkAddress)
				require.Equal(t, relays[i].HopCount, back[i].HopCount)
			}
		}
		require.Equal(t, kept, b, "the input was changed")
	})
}

// walkDHCP6 reads everything there is to read.
func walkDHCP6(t *testing.T, o dhcp6.Options) {
	t.Helper()
	if id, ok := o.ClientID(); ok {
		require.True(t, dhcp6.MinDUIDLen <= len(id) && len(id) <= dhcp6.MaxDUIDLen)
	}
	if rt, ok := o.SolMaxRT(); ok {
		require.True(t, 60 <= rt.Seconds() && rt.Seconds() <= 86400)
	}
	o.Requests(65001)
	o.Preference()
	o.ElapsedTime()
	o.Status()
	o.RapidCommit()
	for ia, err := range o.IAPDs() {
		if err != nil {
			requireDHCP6Offset(t, err, len(o))
			continue
		}
		requireDHCP6LogLine(t, ia.String())
		for p, err := range ia.Prefixes() {
			if err != nil {
				requireDHCP6Offset(t, err, len(ia.Options))
				continue
			}
			require.True(t, p.Prefix.IsValid())
			requireDHCP6LogLine(t, p.String())
		}
	}
}

// FuzzDHCP6Build: what the Builder lets out parses to what went in.
func FuzzDHCP6Build(f *testing.F) {
	// An ordinary Reply.
	f.Add(byte(7), []byte{0, 3, 0, 1, 2}, uint32(1), uint32(1000), uint32(2000), byte(56), []byte("0123456789abcdef"), uint16(6), "none", uint16(65001), []byte("x"))
	// A DUID that is too short, and text with a NUL.
	f.Add(byte(7), []byte{0, 3}, uint32(1), uint32(0), uint32(0xffffffff), byte(0), []byte{}, uint16(0), "a\x00", uint16(1), []byte{})
	// A type that is none, and a prefix-length that is none.
	f.Add(byte(0), []byte{0, 3, 0, 1, 2}, uint32(1), uint32(0), uint32(0), byte(129), []byte{1}, uint16(0), "", uint16(25), []byte{})
	f.Fuzz(func(t *testing.T, typ byte, duid []byte, iaid, t1, t2 uint32, bits byte, addr []byte, status uint16, text string, code uint16, data []byte) {
		var octets [16]byte
		copy(octets[:], addr)
		prefix := netip.PrefixFrom(netip.AddrFrom16(octets), int(bits))
		before := []byte("before")
		w := dhcp6.NewBuilder(before, dhcp6.MessageType(typ), dhcp6.TransactionID{1, 2, 3})
		w.Option(dhcp6.OptionClientID, duid)
		w.BeginIAPD(iaid, t1, t2)
		w.IAPrefix(t1, t2, prefix)
		w.Status(dhcp6.StatusCode(status), text)
		w.End()
		w.Option(code, data)
		w.ORO(code, status)
		out, err := w.Bytes()
		if err != nil {
			require.Equal(t, "before", string(out))
			return
		}
		require.Equal(t, "before", string(out[:6]))
		m, err := dhcp6.ParseMessage(out[6:])
		require.NoError(t, err)
		require.Equal(t, dhcp6.MessageType(typ), m.Type)
		id, ok := m.Options.ClientID()
		require.True(t, ok)
		require.True(t, bytes.Equal(duid, id))
		require.True(t, m.Options.Requests(code) && m.Options.Requests(status))
		for ia, err := range m.Options.IAPDs() {
			require.NoError(t, err)
			require.Equal(t, [3]uint32{iaid, t1, t2}, [3]uint32{ia.IAID, ia.T1, ia.T2})
			gotStatus, gotText := ia.Options.Status()
			require.Equal(t, dhcp6.StatusCode(status), gotStatus)
			require.Equal(t, text, string(gotText))
			for p, err := range ia.Prefixes() {
				require.NoError(t, err)
				require.Equal(t, prefix, p.Prefix)
			}
			break
		}
		last, ok := m.Options.Find(code)
		require.True(t, ok)
		if code != dhcp6.OptionIAPD {
			require.True(t, bytes.Equal(data, last))
		}
	})
}

func requireDHCP6Offset(t *testing.T, err error, size int) {
	t.Helper()
	var pe *dhcp6.ParseError
	require.True(t, errors.As(err, &pe), "%v is no ParseError", err)
	require.True(t, 0 <= pe.Offset && pe.Offset <= size, "offset %d of %d octets", pe.Offset, size)
}

func requireDHCP6LogLine(t *testing.T, text string) {
	t.Helper()
	require.Less(t, len(text), 8192)
	for _, r := range text {
		require.True(t, unicode.IsPrint(r), "%q in %q", r, text)
	}
}
