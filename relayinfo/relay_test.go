package relayinfo

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/dhcp4"
)

var (
	circuit    = []byte{1, 2, 0xaa, 0xbb}           // the body that the tests add
	option82   = append([]byte{82, 4}, circuit...)  // as an option
	foreign    = []byte{82, 3, 1, 1, 0xcc}          // somebody else's
	downstream = netip.MustParseAddr("203.0.113.9") // some other relay agent
)

func config(t testing.TB) *Config {
	t.Helper()
	info, err := Parse(circuit)
	require.NoError(t, err)
	return &Config{GIAddr: giaddr, Info: info}
}

// raw is a request with the octets given as its options field, and no padding.
func raw(t testing.TB, options ...[]byte) []byte {
	t.Helper()
	return append(buildOpen(t, dhcp4.Header{Op: dhcp4.BootRequest, XID: 0x12345678}), slices.Concat(options...)...)
}

// relayed is msg with giaddr set, hops as given, the octets from 240 on replaced,
// and padded to 300.
func relayed(msg []byte, from netip.Addr, hops uint8, options ...[]byte) []byte {
	msg = append(slices.Clone(msg[:dhcp4.MinLen]), slices.Concat(options...)...)
	copy(msg[24:28], from.AsSlice())
	msg[3] = hops
	return dhcp4.AppendPadding(msg, 0)
}

func TestInsertPosition(t *testing.T) {
	long := append([]byte{12, 58}, make([]byte, 58)...)
	end, pad := []byte{255}, []byte{0, 0, 0}
	hostname, typ := []byte{12, 1, 'h'}, []byte{53, 1, 1}
	for _, tc := range []struct {
		name string
		in   [][]byte
		want [][]byte
	}{
		{"RFC 3046 2.1: as the last option, before End", [][]byte{typ, hostname, end}, [][]byte{typ, hostname, option82, end}},
		{"the padding behind End stays", [][]byte{typ, end, make([]byte, 80)}, [][]byte{typ, option82, end, make([]byte, 80)}},
		{"no End: it is added", [][]byte{typ, hostname}, [][]byte{typ, hostname, option82, end}},
		{"no End, but Pad: before the Pad", [][]byte{typ, hostname, pad}, [][]byte{typ, hostname, option82, end, pad}},
		{"Pad before End: before the Pad", [][]byte{typ, pad, end}, [][]byte{typ, option82, pad, end}},
		{"Pad between options stays where it is", [][]byte{pad, typ, pad, hostname, end}, [][]byte{pad, typ, pad, hostname, option82, end}},
		{"octets behind End stay", [][]byte{typ, end, []byte("behind"), foreign}, [][]byte{typ, option82, end, []byte("behind"), foreign}},
		{"no option", [][]byte{end}, [][]byte{option82, end}},
		{"an empty options field", nil, [][]byte{option82, end}},
		{"an option that looks like End inside", [][]byte{{43, 2, 255, 82}, end}, [][]byte{{43, 2, 255, 82}, option82, end}},
		{"over 300 octets: no padding", [][]byte{long, end}, [][]byte{long, option82, end}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			msg := raw(t, tc.in...)
			before := slices.Clone(msg)
			out, outcome, err := Insert([]byte("dst"), msg, config(t))
			require.NoError(t, err)
			require.Equal(t, Added, outcome)
			require.Equal(t, append([]byte("dst"), relayed(msg, giaddr, 1, tc.want...)...), out)
			require.Equal(t, before, msg, "the message given must not change")
		})
	}
}

func TestInsertWithOverloadLeavesFileAndSName(t *testing.T) {
	msg := raw(t, []byte{53, 1, 1, 52, 1, 3, 255})
	copy(msg[108:], "\x0c\x01f\xff") // RFC 3046 2.1: SHALL NOT use file or sname
	copy(msg[44:], "\x0c\x01s\xff")
	out, outcome, err := Insert(nil, msg, config(t))
	require.NoError(t, err)
	require.Equal(t, Added, outcome)
	require.Equal(t, relayed(msg, giaddr, 1, []byte{53, 1, 1, 52, 1, 3}, option82, []byte{255}), out)
}

func TestInsertDecisions(t *testing.T) {
	ours := netip.MustParseAddr("192.0.2.200")
	typ, end := []byte{53, 1, 1}, []byte{255}
	plain := raw(t, typ, end)
	with82 := raw(t, typ, foreign, end)
	split82 := raw(t, foreign, typ, []byte{0}, foreign, []byte{0}, end)
	from := func(msg []byte, a netip.Addr) []byte {
		msg = slices.Clone(msg)
		copy(msg[24:28], a.AsSlice())
		return msg
	}
	hops := func(msg []byte, n uint8) []byte {
		msg = slices.Clone(msg)
		msg[3] = n
		return msg
	}
	inFile := raw(t, typ, []byte{52, 1, 1}, end)
	copy(inFile[108:], foreign)
	bootreply := slices.Clone(plain)
	bootreply[0] = dhcp4.BootReply

	for _, tc := range []struct {
		clause  string
		msg     []byte
		change  func(*Config)
		want    []byte
		outcome Outcome
		err     error
	}{
		{"RFC 1542 4.1.1: giaddr MUST be filled in, hops MUST be incremented", plain, nil, relayed(plain, giaddr, 1, typ, option82, end), Added, nil},
		{"RFC 3046 2.1: without the option by default", plain, func(c *Config) { c.Info = Info{} }, relayed(plain, giaddr, 1, typ, end), None, nil},
		{"a BOOTREPLY is not relayed to a server", bootreply, nil, nil, 0, ErrNotRequest},

		{"RFC 1542 4.1.1: hops at the default limit", hops(plain, 4), nil, relayed(plain, giaddr, 5, typ, option82, end), Added, nil},
		{"RFC 1542 4.1.1: hops over the default limit", hops(plain, 5), nil, nil, 0, ErrHops},
		{"RFC 1542 4.1.1: hops 16 is relayed if so configured", hops(plain, 16), func(c *Config) { c.MaxHops = 16 }, relayed(plain, giaddr, 17, typ, option82, end), Added, nil},
		{"RFC 1542 4.1.1: hops over 16 MUST be discarded", hops(plain, 17), func(c *Config) { c.MaxHops = 16 }, nil, 0, ErrHops},
		{"hops must not wrap", hops(plain, 255), func(c *Config) { c.MaxHops = 16 }, nil, 0, ErrHops},

		{"discard: giaddr set", from(plain, downstream), nil, nil, 0, ErrRelayed},
		{"discard, RFC 3046 2.1: option 82 present SHALL be discarded", with82, nil, nil, 0, ErrPresent},
		{"discard: an empty option 82 present", raw(t, typ, []byte{82, 0}, end), nil, nil, 0, ErrPresent},
		{"discard: option 82 in file", inFile, nil, nil, 0, ErrPresent},
		{"discard: both", from(with82, downstream), nil, nil, 0, ErrRelayed},

		{"forward: nothing of anybody's", plain, forward, relayed(plain, giaddr, 1, typ, option82, end), Added, nil},
		{"forward, RFC 3046 2.1.1: SHALL forward without adding, giaddr not modified", from(plain, downstream), forward, relayed(plain, downstream, 1, typ, end), Kept, nil},
		{"forward, RFC 3046 2.1.1: the option of the downstream agent stays", from(with82, downstream), forward, relayed(plain, downstream, 1, typ, foreign, end), Kept, nil},
		{"forward, RFC 3046 2.1: giaddr is set, but no second option added", with82, forward, relayed(plain, giaddr, 1, typ, foreign, end), Kept, nil},
		{"forward: an option 82 in file is left alone", inFile, forward, relayed(inFile, giaddr, 1, typ, []byte{52, 1, 1}, end), Kept, nil},

		{"replace: nothing of anybody's", plain, replace, relayed(plain, giaddr, 1, typ, option82, end), Added, nil},
		{"replace: giaddr", from(plain, downstream), replace, relayed(plain, giaddr, 1, typ, option82, end), Added, nil},
		{"replace: the option", with82, replace, relayed(plain, giaddr, 1, typ, option82, end), Added, nil},
		{"replace: every instance, wherever it is", from(split82, downstream), replace, relayed(plain, giaddr, 1, typ, []byte{0}, option82, []byte{0}, end), Added, nil},
		{"replace by nothing", with82, func(c *Config) { replace(c); c.Info = Info{} }, relayed(plain, giaddr, 1, typ, end), None, nil},
		{"replace: not in file, from where it cannot be removed", inFile, replace, nil, 0, ErrPresent},

		{"RFC 3046 2.1.1: a spoofed giaddr SHALL be discarded", from(plain, giaddr), nil, nil, 0, ErrSpoofed},
		{"RFC 3046 2.1.1: whatever the policy: forward", from(plain, giaddr), forward, nil, 0, ErrSpoofed},
		{"RFC 3046 2.1.1: whatever the policy: replace", from(plain, giaddr), replace, nil, 0, ErrSpoofed},
		{"RFC 3046 2.1.1: any of our addresses", from(plain, ours), func(c *Config) { forward(c); c.Own = []netip.Addr{giaddr, ours} }, nil, 0, ErrSpoofed},
		{"RFC 3046 2.1.1: any of our addresses, in IPv6 form too", from(plain, ours), func(c *Config) { forward(c); c.Own = []netip.Addr{netip.AddrFrom16(ours.As16())} }, nil, 0, ErrSpoofed},
	} {
		t.Run(tc.clause, func(t *testing.T) {
			cfg := config(t)
			if tc.change != nil {
				tc.change(cfg)
			}
			dst := make([]byte, 3, 600)
			copy(dst, "dst")
			out, outcome, err := Insert(dst, tc.msg, cfg)
			require.Equal(t, tc.err, err)
			require.Equal(t, tc.outcome, outcome)
			require.Equal(t, append([]byte("dst"), tc.want...), out)
		})
	}
}

func forward(c *Config) { c.Policy = Forward }
func replace(c *Config) { c.Policy = Replace }

func TestInsertSizeLimit(t *testing.T) {
	// 240 octets and 60 of options: the least message that needs no padding.
	msg := raw(t, []byte{12, 57}, make([]byte, 57), []byte{255})
	require.Len(t, msg, 300)
	for _, tc := range []struct {
		name    string
		msg     []byte
		max     int
		outcome Outcome
		size    int
	}{
		{"it just fits", msg, 306, Added, 306},
		{"RFC 3046 2.1: over the maximum size it SHALL go without the option", msg, 305, TooLarge, 300},
		{"End counts", msg[:299], 305, TooLarge, 300},
		{"End fits", msg[:299], 306, Added, 306},
		{"a message that is over the limit by itself", append(slices.Clone(msg), make([]byte, 100)...), 300, TooLarge, 400},
		{"no limit set: the MTU", append(slices.Clone(msg), make([]byte, 1472-306)...), 0, Added, 1472},
		{"no limit set: over the MTU", append(slices.Clone(msg), make([]byte, 1473-306)...), 0, TooLarge, 1467},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := config(t)
			cfg.MaxSize = tc.max
			out, outcome, err := Insert(nil, tc.msg, cfg)
			require.NoError(t, err)
			require.Equal(t, tc.outcome, outcome)
			require.Len(t, out, tc.size)
			require.Equal(t, uint8(1), out[3])
			require.Equal(t, giaddr.AsSlice(), out[24:28])
			if tc.outcome == TooLarge {
				require.Equal(t, relayed(tc.msg, giaddr, 1, tc.msg[240:]), out, "everything else as it was")
			}
		})
	}

	cfg := config(t)
	cfg.Policy, cfg.MaxSize = Replace, 306
	body := make([]byte, 2+80)
	body[0], body[1] = 1, 80
	big := raw(t, relayAgentInfoOctets(body), []byte{12, 30}, make([]byte, 30), []byte{255})
	out, outcome, err := Insert(nil, big, cfg)
	require.NoError(t, err)
	require.Equal(t, Added, outcome, "what is replaced does not count")
	require.Equal(t, relayed(big, giaddr, 1, []byte{12, 30}, make([]byte, 30), option82, []byte{255}), out)
}

func relayAgentInfoOctets(body []byte) []byte { return append([]byte{82, uint8(len(body))}, body...) }

func TestInsertRefusesMisuse(t *testing.T) {
	msg := discover(t)
	for name, change := range map[string]func(*Config){
		"no giaddr":               func(c *Config) { c.GIAddr = netip.Addr{} },
		"giaddr 0.0.0.0":          func(c *Config) { c.GIAddr = netip.IPv4Unspecified() },
		"giaddr IPv6":             func(c *Config) { c.GIAddr = netip.MustParseAddr("2001:db8::1") },
		"giaddr IPv4 in IPv6":     func(c *Config) { c.GIAddr = netip.MustParseAddr("::ffff:192.0.2.1") },
		"giaddr multicast":        func(c *Config) { c.GIAddr = netip.MustParseAddr("224.0.0.1") },
		"giaddr broadcast (1542)": func(c *Config) { c.GIAddr = netip.MustParseAddr("255.255.255.255") },
		"MaxHops 17":              func(c *Config) { c.MaxHops = 17 },
		"MaxSize 299":             func(c *Config) { c.MaxSize = 299 },
		"MaxSize -1":              func(c *Config) { c.MaxSize = -1 },
		"Policy 3":                func(c *Config) { c.Policy = 3 },
		"Info of 256 octets":      func(c *Config) { c.Info = Info{make([]byte, 256)} },
	} {
		cfg := config(t)
		require.NoError(t, cfg.Validate(), name)
		change(cfg)
		out, outcome, err := Insert([]byte("dst"), msg, cfg)
		require.Error(t, err, name)
		require.Equal(t, cfg.Validate(), err, name)
		require.Zero(t, outcome, name)
		require.Equal(t, []byte("dst"), out, name)
	}
	for _, addr := range []string{"192.0.2.1", "10.0.0.0", "223.255.255.255", "240.0.0.1", "255.255.255.254"} {
		cfg := config(t)
		cfg.GIAddr = netip.MustParseAddr(addr)
		_, _, err := Insert(nil, msg, cfg)
		require.NoError(t, err, addr)
	}
}

func TestStrip(t *testing.T) {
	typ, end, pad := []byte{53, 1, 5}, []byte{255}, []byte{0, 0}
	for _, tc := range []struct {
		name string
		in   [][]byte
		want [][]byte
		info []byte
	}{
		{"the last option", [][]byte{typ, option82, end}, [][]byte{typ, end}, circuit},
		{"the first option", [][]byte{option82, typ, end}, [][]byte{typ, end}, circuit},
		{"the only option", [][]byte{option82}, nil, circuit},
		{"no option 82", [][]byte{typ, end}, [][]byte{typ, end}, nil},
		{"a split one: every part, joined (RFC 3396 7)", [][]byte{{82, 1, 1}, typ, {82, 3, 2, 0xaa, 0xbb}, end}, [][]byte{typ, end}, circuit},
		{"two whole ones: both", [][]byte{option82, typ, option82, end}, [][]byte{typ, end}, append(slices.Clone(circuit), circuit...)},
		{"an empty part counts as a part", [][]byte{option82, {82, 0}, end}, [][]byte{end}, circuit},
		{"Pad around it stays", [][]byte{pad, typ, pad, option82, pad, end, pad}, [][]byte{pad, typ, pad, pad, end, pad}, circuit},
		{"no End: none is added", [][]byte{typ, option82, {12, 1, 'h'}}, [][]byte{typ, {12, 1, 'h'}}, circuit},
		{"behind End it is no option", [][]byte{typ, end, option82}, [][]byte{typ, end, option82}, nil},
		{"over 300 octets: no padding", [][]byte{typ, option82, end, make([]byte, 70)}, [][]byte{typ, end, make([]byte, 70)}, circuit},
	} {
		t.Run(tc.name, func(t *testing.T) {
			msg := relayed(raw(t), giaddr, 1, tc.in...)
			msg = msg[:dhcp4.MinLen+len(slices.Concat(tc.in...))] // servers send less than 300 octets, too
			msg[0] = dhcp4.BootReply
			before := slices.Clone(msg)
			out, info, err := Strip([]byte("dst"), msg)
			require.NoError(t, err)
			require.Equal(t, tc.info, info.Bytes())
			require.Equal(t, tc.info != nil, info.IsValid())
			require.Equal(t, append([]byte("dst"), relayed(msg, netip.IPv4Unspecified(), 1, tc.want...)...), out)
			require.Equal(t, before, msg, "the message given must not change")
		})
	}
}

// RFC 3046 section 2.1: SHALL NOT parse or remove Relay Agent Information options
// that may appear in the sname or file fields.
func TestStripLeavesFileAndSName(t *testing.T) {
	msg := relayed(raw(t), giaddr, 1, []byte{52, 1, 3}, option82, []byte{255})
	msg[0] = dhcp4.BootReply
	copy(msg[108:], []byte{82, 1, 9}) // not even a sub-option
	copy(msg[44:], option82)
	out, info, err := Strip(nil, msg)
	require.NoError(t, err)
	require.Equal(t, circuit, info.Bytes())
	require.Equal(t, relayed(msg, netip.IPv4Unspecified(), 1, []byte{52, 1, 3, 255}), out)
}

func TestStripRefusesMalformed(t *testing.T) {
	dst := make([]byte, 3, 600)
	copy(dst, "dst")
	for name, tc := range map[string]struct {
		msg    []byte
		err    error
		offset int
	}{
		"an empty option 82":    {relayed(raw(t), giaddr, 1, []byte{53, 1, 5, 82, 0, 255}), ErrLength, 245},
		"a sub-option too long": {relayed(raw(t), giaddr, 1, []byte{53, 1, 5, 82, 2, 1, 1, 255}), ErrTruncated, 246},
		"a short message":       {make([]byte, 10), ErrTruncated, 0},
	} {
		out, info, err := Strip(dst, tc.msg)
		require.ErrorIs(t, err, tc.err, name)
		var pe *ParseError
		require.ErrorAs(t, err, &pe, name)
		require.Equal(t, tc.offset, pe.Offset, name)
		require.False(t, info.IsValid(), name)
		require.Equal(t, []byte("dst"), out, name)
	}
}

func TestMatch(t *testing.T) {
	all := allFields(t).Bytes()
	without := func(body []byte, code Code) []byte {
		info, err := Parse(body)
		require.NoError(t, err)
		var rest []byte
		for c, value := range info.All() {
			if c != code {
				rest = append(append(rest, byte(c), byte(len(value))), value...)
			}
		}
		return rest
	}
	with := func(body []byte, more ...byte) []byte { return append(slices.Clone(body), more...) }
	changed := slices.Clone(all)
	changed[2]++
	for _, tc := range []struct {
		name   string
		sent   []byte
		echo   []option
		change func(*Config)
		err    error
	}{
		{"the echo of what was sent", all, []option{relayAgentInfo(all)}, nil, nil},
		{"an echo in parts (RFC 3396)", all, []option{relayAgentInfo(all[:5]), relayAgentInfo(all[5:])}, nil, nil},
		{"no echo (RFC 3046 2.2)", all, nil, nil, nil},
		{"none sent, none echoed", nil, nil, nil, nil},
		{"none sent, one echoed", nil, []option{relayAgentInfo(all)}, nil, ErrEcho},
		{"one octet differs", all, []option{relayAgentInfo(changed)}, nil, ErrEcho},
		{"a sub-option is missing", all, []option{relayAgentInfo(without(all, CodeRemoteID))}, nil, ErrEcho},
		{"a sub-option too many", all, []option{relayAgentInfo(append(slices.Clone(all), 200, 0))}, nil, ErrEcho},
		{"the echo twice", all, []option{relayAgentInfo(all), relayAgentInfo(all)}, nil, ErrEcho},
		{"the start of what was sent", all, []option{relayAgentInfo(without(all, 200))}, nil, ErrEcho},
		{"RFC 6607 5: the server removes VSS-Control", all, []option{relayAgentInfo(without(all, CodeVSSControl))}, nil, nil},
		{"RFC 3527 3: MUST NOT act on whether link-selection appears", all, []option{relayAgentInfo(without(all, CodeLinkSelection))}, nil, nil},
		{"RFC 6607 7.2: VSS and VSS-Control both removed by a server that does not honor them", all, []option{relayAgentInfo(without(without(all, CodeVSS), CodeVSSControl))}, nil, nil},
		{"RFC 6607 7.2: VSS changed by a server that acts on another", all, []option{relayAgentInfo(with(without(without(all, CodeVSS), CodeVSSControl), 151, 4, 0, 'n', 'e', 'w'))}, nil, nil},
		{"RFC 6607 5.1: VSS added by a server that assigns a VPN", circuit, []option{relayAgentInfo(with(circuit, 151, 1, 255))}, nil, nil},
		{"VSS added in front", circuit, []option{relayAgentInfo(with([]byte{151, 1, 255}, circuit...))}, nil, nil},
		{"VSS alone where something else was sent", circuit, []option{relayAgentInfo([]byte{151, 1, 255})}, nil, ErrEcho},
		{"VSS-Control added, which no server may", circuit, []option{relayAgentInfo(with(circuit, 152, 0))}, nil, ErrEcho},
		{"both are missing", all, []option{relayAgentInfo(without(without(all, CodeLinkSelection), CodeVSSControl))}, nil, nil},
		{"another link-selection", []byte{5, 4, 192, 0, 2, 0}, []option{relayAgentInfo([]byte{5, 4, 192, 0, 3, 0})}, nil, ErrEcho},
		{"the downstream agent's, on a trusted circuit", all, []option{relayAgentInfo(foreign[2:])}, forward, nil},
		{"an empty option 82", all, []option{relayAgentInfo(nil)}, nil, &ParseError{Field: "option 82 length", Offset: 245, Err: ErrLength}},
		{"RFC 1542 4.1.2: giaddr not ours MUST be discarded", all, []option{relayAgentInfo(all)}, func(c *Config) { c.GIAddr = downstream }, ErrGIAddr},
		{"giaddr another one of ours", all, []option{relayAgentInfo(all)}, func(c *Config) { c.GIAddr, c.Own = downstream, []netip.Addr{giaddr} }, nil},
		{"giaddr another one of ours, in IPv6 form", all, []option{relayAgentInfo(all)}, func(c *Config) {
			c.GIAddr, c.Own = downstream, []netip.Addr{netip.AddrFrom16(giaddr.As16())}
		}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := &Config{GIAddr: giaddr, Info: Info{tc.sent}}
			if tc.change != nil {
				tc.change(cfg)
			}
			msg := reply(t, append([]option{messageType(dhcp4.ACK)}, tc.echo...)...)
			require.Equal(t, tc.err, Match(msg, cfg))
		})
	}

	require.Equal(t, ErrNotReply, Match(discover(t), config(t)))
	require.ErrorIs(t, Match(nil, config(t)), ErrTruncated)
	unrelayed := ack(t, all)
	clear(unrelayed[24:28])
	require.Equal(t, ErrGIAddr, Match(unrelayed, &Config{GIAddr: netip.IPv4Unspecified()}), "giaddr 0.0.0.0 is nobody's")
}

// TestRoundTrip is the promise: what Insert does to a message, Strip undoes.
func TestRoundTrip(t *testing.T) {
	for name, msg := range map[string][]byte{
		"with End and padding": discover(t),
		"without End":          raw(t, []byte{53, 1, 1}),
		"Pad in odd places":    raw(t, []byte{0, 53, 1, 1, 0, 0, 255, 0, 9, 9}),
	} {
		relayed, outcome, err := Insert(nil, msg, config(t))
		require.NoError(t, err, name)
		require.Equal(t, Added, outcome, name)
		back, info, err := Strip(nil, relayed)
		require.NoError(t, err, name)
		require.Equal(t, circuit, info.Bytes(), name)
		requireSameBut(t, msg, back, 1, name)
	}
}

// requireSameBut requires that got is msg but for hops, zero octets at the end, and
// an End that msg lacks.
func requireSameBut(t testing.TB, msg, got []byte, hops uint8, name string) {
	t.Helper()
	want := slices.Clone(msg)
	want[3] += hops
	var m dhcp4.Message
	require.NoError(t, m.Parse(msg))
	if !m.HasEnd() {
		want = slices.Insert(want, m.LastOption(), dhcp4.OptionEnd)
	}
	require.Equal(t, dhcp4.AppendPadding(want, 0), got, name)
}

func TestEveryTruncationOfARelayedMessage(t *testing.T) {
	request, reply := discover(t), ack(t, circuit)
	for n := range reply {
		msg := slices.Clone(reply[:n])
		if _, _, err := Strip(nil, msg); err != nil {
			requireParseError(t, msg, err)
			require.Error(t, Match(msg, config(t)))
		}
	}
	for n := range request {
		msg := slices.Clone(request[:n])
		if _, _, err := Insert(nil, msg, config(t)); err != nil {
			requireParseError(t, msg, err)
		}
	}
}

func TestEveryOctetOfARelayedMessageSetToEveryValue(t *testing.T) {
	msg := ack(t, circuit)
	for i := dhcp4.MinLen; i < len(msg); i++ {
		for v := range 256 {
			changed := slices.Clone(msg)
			changed[i] = byte(v)
			out, info, err := Strip(nil, changed)
			if err != nil {
				requireParseError(t, changed, err)
				continue
			}
			everyAccessor(info)
			require.Equal(t, make([]byte, 4), out[24:28])
			_, err = Find(out)
			require.Equal(t, ErrAbsent, err, "octet %d set to %d: option 82 is left for the client", i, v)
		}
	}
}

func requireParseError(t testing.TB, msg []byte, err error) {
	t.Helper()
	var pe *ParseError
	require.ErrorAs(t, err, &pe)
	require.GreaterOrEqual(t, pe.Offset, 0)
	require.LessOrEqual(t, pe.Offset, len(msg))
}

func TestNames(t *testing.T) {
	for want, s := range map[string]interface{ String() string }{
		"discard": Discard, "forward": Forward, "replace": Replace, "unknown policy": Policy(9),
		"added": Added, "none": None, "kept": Kept, "too large": TooLarge, "unknown outcome": Outcome(0),
		"unicast": FlagUnicast, "broadcast": Flags(0),
	} {
		require.Equal(t, want, s.String())
	}
}
