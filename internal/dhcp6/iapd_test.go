package dhcp6

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// collect is what a Seq2 of this package yields.
func collect[T any](seq func(func(T, error) bool)) (values []T, errs []error) {
	for v, err := range seq {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		values = append(values, v)
	}
	return values, errs
}

func TestRFC8415Section21_21IAPD(t *testing.T) {
	m, err := ParseMessage(reply())
	require.NoError(t, err)
	ias, errs := collect(m.Options.IAPDs())
	require.Empty(t, errs)
	require.Len(t, ias, 2)
	require.Equal(t, uint32(1), ias[0].IAID)
	require.Equal(t, uint32(1000), ias[0].T1)
	require.Equal(t, uint32(2000), ias[0].T2)
	require.Equal(t, uint32(2), ias[1].IAID)
	status, text := ias[1].Options.Status()
	require.Equal(t, NoPrefixAvail, status, "the status of an IA_PD is in its own options")
	require.Equal(t, "no prefix", string(text))
	status, _ = m.Options.Status()
	require.Equal(t, Success, status)
}

func TestRFC8415Section21_22IAPrefix(t *testing.T) {
	m, err := ParseMessage(reply())
	require.NoError(t, err)
	ias, _ := collect(m.Options.IAPDs())
	prefixes, errs := collect(ias[0].Prefixes())
	require.Empty(t, errs)
	require.Len(t, prefixes, 2)
	require.Equal(t, uint32(3000), prefixes[0].Preferred)
	require.Equal(t, uint32(4000), prefixes[0].Valid)
	require.Equal(t, netip.MustParsePrefix("2001:db8:8000:100::/56"), prefixes[0].Prefix)
	require.Equal(t, Options(option(OptionStatusCode, u16(0))), prefixes[0].Options)
	require.Zero(t, prefixes[1].Valid)
	require.Equal(t, netip.MustParsePrefix("2001:db8:8000:200::/56"), prefixes[1].Prefix)
	none, _ := collect(ias[1].Prefixes())
	require.Empty(t, none)
}

func TestIAPrefixIsKeptAsOnTheWire(t *testing.T) {
	for name, test := range map[string]struct {
		bits uint8
		addr string
		want string
	}{
		"hint":                    {56, "::", "::/56"},
		"no hint":                 {0, "::", "::/0"},
		"host bits set":           {56, "2001:db8::1", "2001:db8::1/56"},
		"length zero with bits":   {0, "2001:db8::", "2001:db8::/0"},
		"one address":             {128, "2001:db8::1", "2001:db8::1/128"},
		"IPv4-mapped":             {96, "::ffff:192.0.2.1", "::ffff:192.0.2.1/96"},
		"IPv4-mapped, all octets": {128, "::ffff:192.0.2.1", "::ffff:192.0.2.1/128"},
	} {
		t.Run(name, func(t *testing.T) {
			b := message(Request, iapd(1, 0, 0, iaprefix(0, Infinity, test.bits, test.addr)))
			m, err := ParseMessage(b)
			require.NoError(t, err)
			ias, _ := collect(m.Options.IAPDs())
			prefixes, errs := collect(ias[0].Prefixes())
			require.Empty(t, errs)
			require.Equal(t, test.want, prefixes[0].Prefix.String())
			require.Equal(t, Infinity, prefixes[0].Valid)
			out, err := m.AppendBinary(nil)
			require.NoError(t, err)
			require.Equal(t, b, out)
		})
	}
}

func TestMalformedIAPDIsReportedInItsPlaceAndTheWalkGoesOn(t *testing.T) {
	first := iapd(1, 0, 0)
	for name, test := range map[string]struct {
		data     []byte
		field    string
		offset   int // within the data
		sentinel error
	}{
		"empty":               {nil, "IA_PD IAID", 0, ErrTruncated},
		"no T1":               {make([]byte, 4), "IA_PD T1", 4, ErrTruncated},
		"no T2":               {make([]byte, 11), "IA_PD T2", 8, ErrTruncated},
		"option cut short":    {append(make([]byte, 12), 0, 26, 0), "option-len", 14, ErrTruncated},
		"option beyond IA_PD": {append(make([]byte, 12), 0, 26, 0, 1), "option-len", 14, ErrTruncated},
		"two status codes": {
			append(append(make([]byte, 12), option(13, u16(0))...), option(13, u16(0))...),
			"STATUS_CODE", 18, ErrDuplicate,
		},
		"half a status code": {append(make([]byte, 12), option(13, []byte{0})...), "STATUS_CODE", 14, ErrLength},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := ParseMessage(message(Reply, first, option(OptionIAPD, test.data), iapd(3, 0, 0)))
			require.NoError(t, err)
			ias, errs := collect(m.Options.IAPDs())
			require.Len(t, ias, 2)
			require.Equal(t, uint32(3), ias[1].IAID)
			require.Len(t, errs, 1)
			requireParseError(t, errs[0], test.field, len(first)+4+test.offset, test.sentinel)
		})
	}
}

func TestMalformedIAPrefixIsReportedInItsPlaceAndTheWalkGoesOn(t *testing.T) {
	first := iaprefix(1, 2, 56, "2001:db8::")
	for name, test := range map[string]struct {
		data     []byte
		field    string
		offset   int
		sentinel error
	}{
		"empty":               {nil, "IAPREFIX preferred-lifetime", 0, ErrTruncated},
		"no valid lifetime":   {make([]byte, 7), "IAPREFIX valid-lifetime", 4, ErrTruncated},
		"no prefix length":    {make([]byte, 8), "IAPREFIX prefix-length", 8, ErrTruncated},
		"prefix length 129":   {append(make([]byte, 8), append([]byte{129}, make([]byte, 16)...)...), "IAPREFIX prefix-length", 8, ErrValue},
		"prefix length 200":   {append(make([]byte, 8), append([]byte{200}, make([]byte, 16)...)...), "IAPREFIX prefix-length", 8, ErrValue},
		"prefix cut short":    {make([]byte, 24), "IAPREFIX IPv6-prefix", 9, ErrTruncated},
		"option cut short":    {make([]byte, 26), "option-code", 25, ErrTruncated},
		"option beyond it":    {append(make([]byte, 25), 0, 13, 0, 2), "option-len", 27, ErrTruncated},
		"status of one octet": {append(make([]byte, 25), option(13, []byte{0})...), "STATUS_CODE", 27, ErrLength},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := ParseMessage(message(Reply,
				iapd(1, 0, 0, first, option(OptionIAPrefix, test.data), iaprefix(1, 2, 60, "2001:db8:1::"))))
			require.NoError(t, err)
			ias, errs := collect(m.Options.IAPDs())
			require.Empty(t, errs, "a bad prefix must not lose its IA_PD")
			prefixes, errs := collect(ias[0].Prefixes())
			require.Len(t, prefixes, 2)
			require.Equal(t, 60, prefixes[1].Prefix.Bits())
			require.Len(t, errs, 1)
			requireParseError(t, errs[0], test.field, len(first)+4+test.offset, test.sentinel)
		})
	}
}

func TestIteratorsStopWhenAsked(t *testing.T) {
	m, err := ParseMessage(reply())
	require.NoError(t, err)
	seen := 0
	for ia := range m.Options.IAPDs() {
		for range ia.Prefixes() {
			seen++
			break
		}
		break
	}
	require.Equal(t, 1, seen)
}
