package dhcp4

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/wire"
)

// discover is a message with the options given, End and padding.
func discover(options ...string) []byte {
	b := open(options...)
	return AppendEnd(b, 0)
}

// open is a message that ends with the last of options, each "code, length, data".
func open(options ...string) []byte {
	b, err := Header{Op: BootRequest, HType: 1, XID: 0x12345678, CHAddr: []byte{2, 0, 0, 0, 0, 1}}.AppendBinary(nil)
	if err != nil {
		panic(err)
	}
	for _, o := range options {
		b = append(b, o...)
	}
	return b
}

// overloaded is a message whose file and sname hold options.
func overloaded(options, file, sname string) []byte {
	b := discover("\x34\x01\x03", options)
	copy(b[fileOffset:], file)
	copy(b[snameOffset:], sname)
	return b
}

func with(b []byte, offset int, value ...byte) []byte {
	b = slices.Clone(b)
	copy(b[offset:], value)
	return b
}

func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		data   []byte
		field  string
		offset int
		err    error
	}{
		{"nothing", nil, "BOOTP header", 0, wire.ErrTruncated},
		{"a header without the cookie's last octet", open()[:239], "magic cookie", 236, wire.ErrTruncated},
		{"op 0 (RFC 1542 2.1)", with(discover(), 0, 0), "op", 0, wire.ErrValue},
		{"op 3 (RFC 1542 2.1)", with(discover(), 0, 3), "op", 0, wire.ErrValue},
		{"hlen 17", with(discover(), 2, 17), "hlen", 2, wire.ErrLength},
		{"hlen 255", with(discover(), 2, 255), "hlen", 2, wire.ErrLength},
		{"another cookie", with(discover(), 239, 98), "magic cookie", 236, wire.ErrValue},
		{"an option without length", open("\x0c"), "option length", 241, wire.ErrTruncated},
		{"an option over the end of the message", open("\x0c\x02a"), "option length", 241, wire.ErrTruncated},
		{"a message type of two octets", discover("\x35\x02\x01\x01"), "DHCP message type length", 241, wire.ErrLength},
		{"a message type of no octets", discover("\x35\x00"), "DHCP message type length", 241, wire.ErrLength},
		{"message type 0", discover("\x35\x01\x00"), "DHCP message type", 242, wire.ErrValue},
		{"two message types", discover("\x35\x01\x01", "\x35\x01\x01"), "DHCP message type", 243, wire.ErrDuplicate},
		{"a second message type in file", overloaded("\x35\x01\x01", "\x35\x01\x01", ""), "DHCP message type", 108, wire.ErrDuplicate},
		{"overload 0", discover("\x34\x01\x00"), "option overload", 242, wire.ErrValue},
		{"overload 4", discover("\x34\x01\x04"), "option overload", 242, wire.ErrValue},
		{"overload of two octets", discover("\x34\x02\x01\x01"), "option overload length", 241, wire.ErrLength},
		{"two overloads", discover("\x34\x01\x01", "\x34\x01\x01"), "option overload", 243, wire.ErrDuplicate},
		{
			"an option from file into the cookie (RFC 3396 5)",
			overloaded("", "\x0c\x7d"+string(make([]byte, 125))+"\x0c", ""), "option length", 236, wire.ErrTruncated,
		},
		{
			"an option from sname into file (RFC 3396 5)",
			overloaded("", "", "\x0c\x3f"), "option length", 45, wire.ErrTruncated,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var m Message
			err := m.Parse(tc.data)
			require.Equal(t, &wire.ParseError{Field: tc.field, Offset: tc.offset, Err: tc.err}, err)
			require.Equal(t, Message{}, m, "the view after an error")
		})
	}
}

func TestHeaderFields(t *testing.T) {
	h := Header{
		Op: BootReply, HType: 31, Hops: 2, XID: 0x01020304, Secs: 0x0506, Flags: FlagBroadcast,
		CIAddr: netip.MustParseAddr("192.0.2.1"), YIAddr: netip.MustParseAddr("192.0.2.2"),
		SIAddr: netip.MustParseAddr("192.0.2.3"), GIAddr: netip.MustParseAddr("192.0.2.4"),
		CHAddr: []byte{0x40, 0, 192, 0, 2, 1, 1},
	}
	data, err := h.AppendBinary([]byte("before"))
	require.NoError(t, err)
	require.Len(t, data, len("before")+MinLen)
	data = AppendEnd(data[len("before"):], 0)
	require.Len(t, data, MinBOOTPLen)

	var m Message
	require.NoError(t, m.Parse(data))
	require.Equal(t, h, Header{m.Op(), m.HType(), m.Hops(), m.XID(), m.Secs(), m.Flags(), m.CIAddr(), m.YIAddr(), m.SIAddr(), m.GIAddr(), m.CHAddr()})
	require.True(t, m.Relayed())
	require.Equal(t, MessageType(0), m.Type(), "a BOOTP message has no type")
	require.Equal(t, data, m.Bytes())
	require.Equal(t, 7, cap(m.CHAddr()), "an append to chaddr must not reach the message")
}

func TestHeaderRefuses(t *testing.T) {
	b := []byte("before")
	got, err := Header{CHAddr: make([]byte, MaxHLen+1)}.AppendBinary(b)
	require.ErrorIs(t, err, wire.ErrTooLarge)
	require.Equal(t, b, got)
	got, err = Header{GIAddr: netip.MustParseAddr("2001:db8::1")}.AppendBinary(b)
	require.ErrorIs(t, err, wire.ErrValue)
	require.Equal(t, b, got)
	got, err = AppendOption(b, 12, make([]byte, 256))
	require.ErrorIs(t, err, wire.ErrTooLarge)
	require.Equal(t, b, got)
}

// codes lists the options of a message as "code@offset".
func codes(m *Message) (list []string) {
	for o := range m.Options() {
		list = append(list, fmt.Sprintf("%d@%d", o.Code, o.Offset))
	}
	return list
}

func fieldAt(offset int) Field {
	switch {
	case offset >= MinLen:
		return FieldOptions
	case offset >= fileOffset:
		return FieldFile
	}
	return FieldSName
}

func TestOptionsComeInAggregateOrder(t *testing.T) {
	file, sname := "\x00\x43\x01f\xff\x0c\x01z", "\x0c\x01s\xff"
	for _, tc := range []struct {
		name     string
		overload string
		want     []string
	}{
		{"RFC 3396 5: options alone", "", []string{"53@240", "12@243"}},
		{"RFC 2132 9.3: file", "\x34\x01\x01", []string{"52@240", "53@243", "12@246", "67@109"}},
		{"RFC 2132 9.3: sname", "\x34\x01\x02", []string{"52@240", "53@243", "12@246", "12@44"}},
		{"RFC 3396 5: options, file, sname", "\x34\x01\x03", []string{"52@240", "53@243", "12@246", "67@109", "12@44"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			data := discover(tc.overload, "\x35\x01\x01", "\x0c\x01o")
			copy(data[fileOffset:], file)
			copy(data[snameOffset:], sname)
			var m Message
			require.NoError(t, m.Parse(data))
			require.Equal(t, tc.want, codes(&m))
			for o := range m.Options() {
				require.Equal(t, fieldAt(o.Offset), o.Field)
				require.Equal(t, len(o.Data), cap(o.Data), "an append to a value must not reach the message")
			}
			require.Equal(t, Discover, m.Type())
		})
	}
}

func TestOptionsStopWhenToldTo(t *testing.T) {
	data := overloaded("\x0c\x01o", "\x0c\x01f", "\x0c\x01s")
	var m Message
	require.NoError(t, m.Parse(data))
	for n := range 4 {
		seen := 0
		for range m.Options() {
			if seen == n {
				break
			}
			seen++
		}
		require.Equal(t, n, seen)
	}
}

// RFC 3396 section 7: the parts MUST be treated as one option, reassembled in
// aggregate order.
func TestSplitOptionIsJoined(t *testing.T) {
	data := overloaded("\x43\x07/diskle", "\x43\x02ss", "\x43\x04/foo")
	var m Message
	require.NoError(t, m.Parse(data))
	value, ok := m.Option(67)
	require.True(t, ok)
	require.Equal(t, "/diskless/foo", string(value))
	require.Equal(t, "\x43\x07/diskle", string(data[243:252]), "joining must not write into the message")

	_, ok = m.Option(66)
	require.False(t, ok)
}

// The offset of a fault in a split option 82 is that of the octet in the message.
func TestInRelayAgentInfo(t *testing.T) {
	var m Message
	require.NoError(t, m.Parse(open("\x52\x02ab\x00\x52\x00\x0c\x01h\x52\x03cde\xff")))
	for at, want := range []int{242, 243, 252, 253, 254, 255} { // the last is the end of it
		require.Equal(t, wire.Errorf("field", want, wire.ErrValue), m.InRelayAgentInfo(wire.Errorf("field", at, wire.ErrValue)))
	}
	require.NoError(t, m.InRelayAgentInfo(nil))
	require.Equal(t, wire.ErrValue, m.InRelayAgentInfo(wire.ErrValue), "no offset, none made up")
}

func TestOverloadInFileHasNoEffect(t *testing.T) {
	data := discover("\x34\x01\x01")
	copy(data[fileOffset:], "\x34\x01\x02\xff")
	copy(data[snameOffset:], "\x0c\xff") // no option list: it would be refused
	var m Message
	require.NoError(t, m.Parse(data))
	require.Equal(t, []string{"52@240", "52@108"}, codes(&m))
}

func TestMessageTypeInFile(t *testing.T) {
	data := overloaded("", "\x35\x01\x05\xff", "\xff")
	var m Message
	require.NoError(t, m.Parse(data))
	require.Equal(t, ACK, m.Type())
}

func TestEndAndPad(t *testing.T) {
	for _, tc := range []struct {
		name   string
		data   []byte
		last   int
		hasEnd bool
		codes  []string
	}{
		{"End and padding", discover("\x0c\x01a"), 243, true, []string{"12@240"}},
		{"no option at all", open(), 240, false, nil},
		{"End alone", open("\xff"), 240, true, nil},
		{"no End", open("\x0c\x01a"), 243, false, []string{"12@240"}},
		{"no End, but Pad", open("\x0c\x01a", "\x00\x00"), 243, false, []string{"12@240"}},
		{"Pad before, between and after", open("\x00\x0c\x01a", "\x00\x00\x0f\x00", "\x00\xff\x00"), 248, true, []string{"12@241", "15@246"}},
		{"octets after End mean nothing", open("\x0c\x01a", "\xff\x0c\x05"), 243, true, []string{"12@240"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var m Message
			require.NoError(t, m.Parse(tc.data))
			require.Equal(t, tc.last, m.LastOption())
			require.Equal(t, tc.hasEnd, m.HasEnd())
			require.Equal(t, tc.codes, codes(&m))
		})
	}
}

func TestRelayAgentInfo(t *testing.T) {
	data := overloaded("\x52\x01a\x00\x0c\x01o\x52\x00\x52\x02bc", "\x52\x01f", "")
	var m Message
	require.NoError(t, m.Parse(data))
	var got []string
	for o := range m.RelayAgentInfo() {
		got = append(got, fmt.Sprintf("%s@%d", o.Data, o.Offset))
	}
	require.Equal(t, []string{"a@243", "@250", "bc@252"}, got)
	require.Equal(t, 3+2+4, m.RelayAgentInfoSize())
	require.True(t, m.RelayAgentInfoElsewhere())

	for range m.RelayAgentInfo() {
		break
	}
	require.NoError(t, m.Parse(discover("\x0c\x01o")))
	for range m.RelayAgentInfo() {
		t.Fatal("an option 82 that is not there")
	}
	require.Zero(t, m.RelayAgentInfoSize())
	require.False(t, m.RelayAgentInfoElsewhere())
}

// everything reads all that a view offers, so that a bad index would panic.
func everything(m *Message) {
	_ = m.String()
	for o := range m.Options() {
		_, _ = m.Option(o.Code)
	}
	for o := range m.RelayAgentInfo() {
		_ = o.Data
	}
}

func requireParseError(t *testing.T, data []byte, err error) {
	t.Helper()
	pe, ok := errors.AsType[*wire.ParseError](err)
	if !ok || pe.Offset < 0 || pe.Offset > len(data) {
		t.Fatalf("%v is not an error with an offset in the message", err)
	}
}

func TestEveryTruncation(t *testing.T) {
	data := overloaded("\x35\x01\x01\x0c\x03abc\x52\x04\x01\x02xy", "\x0c\x03abc\xff", "\x0c\x03abc\xff")
	for n := range len(data) {
		cut := slices.Clone(data[:n])
		var m Message
		if err := m.Parse(cut); err != nil {
			requireParseError(t, cut, err)
			continue
		}
		require.GreaterOrEqual(t, n, MinLen)
		everything(&m)
	}
}

func TestEveryOctetSetToEveryValue(t *testing.T) {
	data := overloaded("\x35\x01\x01\x0c\x03abc\x52\x04\x01\x02xy", "\x0c\x03abc\xff", "\x0c\x03abc\xff")
	data = data[:266]
	limits := map[Field]int{FieldOptions: len(data), FieldFile: cookieOffset, FieldSName: fileOffset}
	for i := range data {
		for v := range 256 {
			changed := with(data, i, byte(v))
			var m Message
			if err := m.Parse(changed); err != nil {
				requireParseError(t, changed, err)
				continue
			}
			everything(&m)
			for o := range m.Options() {
				if o.Offset+2+len(o.Data) > limits[o.Field] {
					t.Fatalf("octet %d set to %d: option %d overruns its field", i, v, o.Code)
				}
			}
		}
	}
}

func TestString(t *testing.T) {
	var m Message
	require.Equal(t, "invalid DHCP message", m.String())
	for _, tc := range []struct {
		data []byte
		want string
	}{
		{discover("\x35\x01\x01"), "DHCPDISCOVER xid 0x12345678 hops 0 ciaddr 0.0.0.0 yiaddr 0.0.0.0 giaddr 0.0.0.0 chaddr 02 00 00 00 00 01"},
		{with(discover(), 2, 0), "BOOTREQUEST xid 0x12345678 hops 0 ciaddr 0.0.0.0 yiaddr 0.0.0.0 giaddr 0.0.0.0"},
		{with(discover("\x35\x01\x63"), 24, 192, 0, 2, 1), "DHCP message type 99 xid 0x12345678 hops 0 ciaddr 0.0.0.0 yiaddr 0.0.0.0 giaddr 192.0.2.1 chaddr 02 00 00 00 00 01"},
	} {
		require.NoError(t, m.Parse(tc.data))
		require.Equal(t, tc.want, m.String())
	}
	for typ, name := range map[MessageType]string{Discover: "DHCPDISCOVER", Offer: "DHCPOFFER", Request: "DHCPREQUEST", Decline: "DHCPDECLINE", ACK: "DHCPACK", NAK: "DHCPNAK", Release: "DHCPRELEASE", Inform: "DHCPINFORM", 0: "DHCP message type 0", 9: "DHCP message type 9"} {
		require.Equal(t, name, typ.String())
	}
}

func BenchmarkParse(b *testing.B) {
	data := discover("\x35\x01\x01", "\x3d\x07\x01\x02\x00\x00\x00\x00\x01", "\x0c\x0broadwarrior", "\x39\x02\x05\xc0", "\x37\x04\x01\x03\x06\x0f")
	b.ReportAllocs()
	for b.Loop() {
		var m Message
		if err := m.Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
