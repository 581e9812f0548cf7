package x509ip

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/wire"
)

func TestParseVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			der := v.der(t)
			b, err := Parse(der)
			if v.Class == "invalid" {
				requireParseError(t, der, err)
				require.True(t, b.IsZero(), "an error comes with the zero value")
				return
			}
			require.NoError(t, err)
			again, err := b.MarshalBinary()
			require.NoError(t, err)
			require.Equal(t, der, again, "encoded again")
		})
	}
}

func requireParseError(t testing.TB, der []byte, err error) *ParseError {
	t.Helper()
	var pe *ParseError
	require.ErrorAs(t, err, &pe)
	require.GreaterOrEqual(t, pe.Offset, 0, "offset of %v", pe)
	require.LessOrEqual(t, pe.Offset, len(der), "offset of %v", pe)
	require.NotEmpty(t, pe.Field, "field of %v", pe)
	return pe
}

// DER by hand, so that it can be wrong. Content is shorter than 128 octets.
func tlv(tag byte, content ...[]byte) []byte {
	c := slices.Concat(content...)
	return append([]byte{tag, byte(len(c))}, c...)
}

func sequence(content ...[]byte) []byte { return tlv(tagSequence, content...) }

func addressFamily(octets ...byte) []byte { return tlv(tagOctetString, octets) }

func bitString(unused byte, octets ...byte) []byte { return tlv(tagBitString, []byte{unused}, octets) }

func null() []byte { return tlv(tagNull) }

// ipv4 is an extension with one family. The first element is at offset 10.
func ipv4(elements ...[]byte) []byte {
	return sequence(sequence(addressFamily(0, 1), sequence(elements...)))
}

// ipv6 is likewise.
func ipv6(elements ...[]byte) []byte {
	return sequence(sequence(addressFamily(0, 2), sequence(elements...)))
}

// inherits is an extension of families that inherit.
func inherits(families ...[]byte) []byte {
	var content [][]byte
	for _, f := range families {
		content = append(content, sequence(f, null()))
	}
	return sequence(content...)
}

// One case a rule. The offset is where an operator has to look.
func TestParseRefuses(t *testing.T) {
	ten, eleven := bitString(0, 10), bitString(0, 11) // 10.0.0.0/8, 11.0.0.0/8
	tests := []struct {
		name   string
		der    []byte
		field  string
		offset int
		err    error
	}{
		{"nothing", nil, "IPAddrBlocks", 0, ErrTruncated},
		{"2.2.3.1 not a SEQUENCE", tlv(0x31, sequence(addressFamily(0, 1), null())), "IPAddrBlocks", 0, ErrValue},
		{"2.2.3.1 octets after the SEQUENCE", append(inherits(addressFamily(0, 1)), 5, 0), "IPAddrBlocks", 10, ErrTrailing},
		{"2.2.3.3 no family", sequence(), "IPAddrBlocks", 0, ErrValue},
		{"2.2.3.3 family that is granted nothing", ipv6(), "addressesOrRanges", 8, ErrValue},
		{"2.2.3.3 AFI of one octet", inherits(addressFamily(1)), "addressFamily", 4, ErrLength},
		{"2.2.3.3 AFI and SAFI of four octets", inherits(addressFamily(0, 1, 1, 1)), "addressFamily", 4, ErrLength},
		{"2.2.3.3 AFI that is not IP", inherits(addressFamily(0, 3)), "addressFamily AFI", 6, ErrValue},
		{"2.2.3.3 reserved SAFI 0", inherits(addressFamily(0, 2, 0)), "addressFamily SAFI", 8, ErrValue},
		{"2.2.3.3 unassigned SAFI", inherits(addressFamily(0, 2, 5)), "addressFamily SAFI", 8, ErrValue},
		{"2.2.3.3 family twice", inherits(addressFamily(0, 2), addressFamily(0, 2)), "addressFamily", 12, ErrDuplicate},
		{"2.2.3.3 IPv6 before IPv4", inherits(addressFamily(0, 2), addressFamily(0, 1)), "addressFamily", 12, ErrNotCanonical},
		{"2.2.3.3 SAFI before none", inherits(addressFamily(0, 2, 1), addressFamily(0, 2)), "addressFamily", 13, ErrNotCanonical},
		{"2.2.3.3 SAFI 2 before SAFI 1", inherits(addressFamily(0, 2, 2), addressFamily(0, 2, 1)), "addressFamily", 13, ErrNotCanonical},
		{"2.2.3.4 neither inherit nor addresses", sequence(sequence(addressFamily(0, 2), bitString(0))), "ipAddressChoice", 8, ErrValue},
		{"2.2.3.4 both inherit and addresses", sequence(sequence(addressFamily(0, 2), null(), sequence(ten))), "IPAddressFamily", 10, ErrTrailing},
		{"2.2.3.4 no choice", sequence(sequence(addressFamily(0, 2))), "ipAddressChoice", 8, ErrTruncated},
		{"2.2.3.5 NULL with content", sequence(sequence(addressFamily(0, 2), tlv(tagNull, null()))), "inherit", 8, ErrLength},
		{"2.2.3.6 elements out of order", ipv4(eleven, ten), "IPAddressOrRange", 14, ErrNotCanonical},
		{"2.2.3.6 element twice", ipv4(ten, ten), "IPAddressOrRange", 14, ErrNotCanonical},
		{"2.2.3.6 element within the one before", ipv4(ten, bitString(0, 10, 1)), "IPAddressOrRange", 14, ErrNotCanonical},
		{"2.2.3.6 prefixes that are one prefix", ipv4(ten, eleven), "IPAddressOrRange", 14, ErrNotCanonical},
		{"2.2.3.6 prefixes that are one range", ipv4(eleven, bitString(0, 12)), "IPAddressOrRange", 14, ErrNotCanonical},
		{"2.2.3.6 element after the end of the space", ipv4(bitString(0), ten), "IPAddressOrRange", 13, ErrNotCanonical},
		{"2.2.3.7 neither prefix nor range", ipv4(tlv(tagOctetString, []byte{0, 10})), "IPAddressOrRange", 10, ErrValue},
		{"2.2.3.7 constructed BIT STRING", ipv4(tlv(0x23, ten)), "IPAddressOrRange", 10, ErrValue},
		{"2.2.3.7 range that is a prefix", ipv4(sequence(bitString(1, 10), bitString(0, 10))), "addressRange", 10, ErrNotCanonical},
		{"2.2.3.7 range of one address", ipv4(sequence(bitString(0, 10, 0, 0, 1), bitString(1, 10, 0, 0, 0))), "addressRange", 10, ErrNotCanonical},
		{"2.2.3.7 range of all addresses", ipv4(sequence(bitString(0), bitString(0))), "addressRange", 10, ErrNotCanonical},
		{"2.2.3.8 BIT STRING without content", ipv4(tlv(tagBitString)), "addressPrefix", 10, ErrLength},
		{"2.2.3.8 eight unused bits", ipv4(bitString(8, 10)), "addressPrefix", 12, ErrValue},
		{"2.2.3.8 unused bits of no octet", ipv4(bitString(1)), "addressPrefix", 12, ErrValue},
		{"2.2.3.8 unused bit not zero", ipv4(bitString(1, 11)), "addressPrefix", 13, ErrNotCanonical},
		{"2.2.3.8 33 bits of IPv4", ipv4(bitString(7, 10, 0, 0, 0, 0)), "addressPrefix", 10, ErrLength},
		{"2.2.3.8 129 bits of IPv6", ipv6(bitString(7, make([]byte, 17)...)), "addressPrefix", 10, ErrLength},
		{"2.2.3.9 range of one end", ipv4(sequence(ten)), "addressRange max", 16, ErrTruncated},
		{"2.2.3.9 range of three ends", ipv4(sequence(ten, bitString(0, 12), ten)), "addressRange", 20, ErrTrailing},
		{"2.2.3.9 range that is not of BIT STRINGs", ipv4(sequence(null(), null())), "addressRange min", 12, ErrValue},
		{"2.2.3.9 min with a zero bit at its end", ipv4(sequence(bitString(0, 10), bitString(0, 12))), "addressRange min", 12, ErrNotCanonical},
		{"2.2.3.9 max with a one bit at its end", ipv4(sequence(bitString(1, 10), bitString(0, 13))), "addressRange max", 16, ErrNotCanonical},
		{"2.2.3.9 min of 33 bits", ipv4(sequence(bitString(7, 10, 0, 0, 0, 128), ten)), "addressRange min", 12, ErrLength},
		{"2.2.3.9 max of 33 bits", ipv4(sequence(bitString(1, 10), bitString(7, 10, 0, 0, 0, 0))), "addressRange max", 16, ErrLength},
		{"2.2.3.9 max before min", ipv4(sequence(bitString(0, 11), bitString(0, 8))), "addressRange", 10, ErrValue},
		{"DER indefinite length", []byte{0x30, 0x80, 0, 0}, "IPAddrBlocks", 1, ErrNotCanonical},
		{"DER long form of a short length", slices.Concat([]byte{0x30, 0x81}, inherits(addressFamily(0, 1))[1:]), "IPAddrBlocks", 1, ErrNotCanonical},
		{"DER length that begins with zero", slices.Concat([]byte{0x30, 0x82, 0}, inherits(addressFamily(0, 1))[1:]), "IPAddrBlocks", 1, ErrNotCanonical},
		{"DER length of four octets", []byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff}, "IPAddrBlocks", 1, ErrTooLarge},
		{"DER length cut off", []byte{0x30, 0x84, 1}, "IPAddrBlocks", 1, ErrTruncated},
		{"DER long length beyond the input", []byte{0x30, 0x83, 0xff, 0xff, 0xff, 0}, "IPAddrBlocks", 1, ErrTruncated},
		{"DER element longer than what contains it", sequence(sequence(addressFamily(0, 2), []byte{tagSequence, 3}), bitString(0)), "ipAddressChoice", 9, ErrTruncated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.der)
			pe := requireParseError(t, tt.der, err)
			require.Equal(t, tt.field, pe.Field)
			require.Equal(t, tt.offset, pe.Offset, "offset of: %v", pe)
			require.ErrorIs(t, err, tt.err)
		})
	}
}

// Lengths of the three forms that DER allows here.
func TestParseLongLengths(t *testing.T) {
	for _, n := range []int{1, 20, 40, 10_000} {
		b, err := FromPrefixes(scattered(n)...)
		require.NoError(t, err)
		der, err := b.MarshalBinary()
		require.NoError(t, err)
		back, err := Parse(der)
		require.NoError(t, err)
		require.True(t, back.Equal(b), "%d prefixes in %d octets", n, len(der))
	}
}

func TestParseEveryTruncation(t *testing.T) {
	for _, v := range vectors(t) {
		if v.Class != "valid" {
			continue
		}
		der := v.der(t)
		for n := range der {
			_, err := Parse(der[:n])
			requireParseError(t, der[:n], err)
		}
	}
}

// Whatever is changed in a valid extension, what Parse accepts is canonical.
func TestParseEveryOctetChanged(t *testing.T) {
	for _, v := range vectors(t) {
		if v.Class != "valid" {
			continue
		}
		der := v.der(t)
		for i, original := range der {
			for o := range 256 {
				der[i] = byte(o)
				b, err := Parse(der)
				if err != nil {
					requireParseError(t, der, err)
					continue
				}
				again, err := b.MarshalBinary()
				require.NoError(t, err)
				require.Equal(t, der, again, "%s with octet %d set to %#x", v.Name, i, o)
			}
			der[i] = original
		}
	}
}

func TestParseDoesNotAliasInput(t *testing.T) {
	der := unhex(t, ipv4PrefixIPv6)
	b, err := Parse(der)
	require.NoError(t, err)
	clear(der)
	require.Equal(t, "10.0.0.0/8, 2001:db8::/32", b.String())
}

func TestParseAllocations(t *testing.T) {
	b, err := FromPrefixes(scattered(5000)...)
	require.NoError(t, err)
	der, err := b.MarshalBinary()
	require.NoError(t, err)
	require.EqualValues(t, 2, testing.AllocsPerRun(10, func() {
		if _, err := Parse(der); err != nil {
			t.Fatal(err)
		}
	}), "the families and the spans")
}

// Elements that are refused later are counted first.
func TestParseMemoryIsBoundedByInput(t *testing.T) {
	elements := bytes.Repeat([]byte{tagBitString, 0}, 20)
	der := ipv4(elements)
	families, n := (&reader{der: der}).count(element{content: 2, end: len(der)})
	require.Equal(t, 1, families)
	require.Equal(t, 20, n)
	for end := range der {
		families, n := (&reader{der: der[:end]}).count(element{content: 2, end: end})
		require.LessOrEqual(t, families+n, len(der)/2)
	}
}

func TestErrorHasNoContents(t *testing.T) {
	_, err := Parse(ipv4(bitString(0, 0xde, 0xad), bitString(0, 0xbe, 0xef)))
	require.EqualError(t, err, "IPAddressOrRange at offset 15: not canonical: elements overlap or are out of order")
	require.ErrorIs(t, err, wire.ErrNotCanonical)
}

func TestDecoder(t *testing.T) {
	var d Decoder
	first, err := d.Parse(unhex(t, ipv6AndSAFI1))
	require.NoError(t, err)
	kept := first.Clone()
	for _, v := range vectors(t) {
		got, err := d.Parse(v.der(t))
		want, wantErr := Parse(v.der(t))
		require.Equal(t, wantErr, err, v.Name)
		require.True(t, got.Equal(want), v.Name)
	}
	require.Equal(t, "2001:db8:1::/48, 2001:db8:2::/48 (SAFI 1)", kept.String(), "a clone stays as it is")
}

func TestDecoderAllocatesNothing(t *testing.T) {
	for _, n := range []int{1, 10, 5000} {
		b, err := FromPrefixes(scattered(n)...)
		require.NoError(t, err)
		der, err := b.MarshalBinary()
		require.NoError(t, err)
		var d Decoder
		require.Zero(t, testing.AllocsPerRun(10, func() {
			if _, err := d.Parse(der); err != nil {
				t.Fatal(err)
			}
		}), "%d blocks", n)
	}
}

func TestParseLimitsElements(t *testing.T) {
	// Addresses with a gap between any two.
	elements := func(n int) []byte {
		var all []byte
		for i := range n {
			all = append(all, bitString(0, 10, byte(i>>15), byte(i>>7), byte(i<<1))...)
		}
		return der(tagSequence, der(tagSequence, addressFamily(0, 1), der(tagSequence, all)))
	}
	b, err := Parse(elements(MaxElements))
	require.NoError(t, err)
	_, err = b.MarshalBinary()
	require.NoError(t, err)
	_, err = Parse(elements(MaxElements + 1))
	require.ErrorIs(t, err, ErrTooLarge)
	requireParseError(t, elements(MaxElements+1), err)
}
