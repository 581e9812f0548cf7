package x509ip

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// deviationTexts is what a test compares.
func deviationTexts(deviations []*ParseError) []string {
	var texts []string
	for _, d := range deviations {
		texts = append(texts, d.Error())
	}
	return texts
}

// indefinite is an element of indefinite length.
func indefinite(tag byte, content ...[]byte) []byte {
	return slices.Concat([]byte{tag, 0x80}, slices.Concat(content...), []byte{0, 0})
}

func TestParseLenient(t *testing.T) {
	ten, eleven := bitString(0, 10), bitString(0, 11) // 10.0.0.0/8, 11.0.0.0/8
	family := func(octets ...byte) func(...[]byte) []byte {
		return func(elements ...[]byte) []byte { return sequence(addressFamily(octets...), sequence(elements...)) }
	}
	v4, v6, safi := family(0, 1), family(0, 2), family(0, 1, 1)
	tests := []struct {
		name       string
		der        []byte
		want       string
		deviations []string
	}{
		{"canonical", ipv4(ten), "10.0.0.0/8", nil},
		{"octets after the value", append(ipv4(ten), 5, 0), "10.0.0.0/8", []string{"IPAddrBlocks at offset 14: trailing octets"}},
		{"no family", sequence(), "none", []string{"IPAddrBlocks at offset 0: forbidden value: no address family"}},
		{"nothing granted", sequence(v4(), v6(bitString(0, 0x20))), "2000::/8", []string{"addressesOrRanges at offset 8: forbidden value: no address"}},
		{"families out of order", sequence(v6(bitString(0, 0x20)), safi(ten), v4(eleven)), "11.0.0.0/8, 10.0.0.0/8 (SAFI 1), 2000::/8", []string{
			"addressFamily at offset 16: not canonical: families out of order",
			"addressFamily at offset 29: not canonical: families out of order",
		}},
		{"family twice", sequence(v4(eleven), v4(ten)), "10.0.0.0/7", []string{"addressFamily at offset 16: duplicate"}},
		{"family twice, apart", sequence(v4(eleven), v6(bitString(0, 0x20)), v4(ten)), "10.0.0.0/7, 2000::/8", []string{
			"addressFamily at offset 28: duplicate",
		}},
		{"inherited twice", inherits(addressFamily(0, 2), addressFamily(0, 2)), "IPv6 inherit", []string{"addressFamily at offset 12: duplicate"}},
		{"families not known", sequence(family(0, 3)(ten), family(0, 2, 5)(ten), v4(ten)), "10.0.0.0/8", []string{
			"addressFamily AFI at offset 6: forbidden value",
			"addressFamily SAFI at offset 20: forbidden value",
		}},
		{"elements out of order", ipv4(bitString(0, 12), ten), "10.0.0.0/8, 12.0.0.0/8", []string{
			"IPAddressOrRange at offset 14: not canonical: elements overlap or are out of order",
		}},
		{"elements not merged", ipv4(ten, eleven), "10.0.0.0/7", []string{"IPAddressOrRange at offset 14: not canonical: elements not merged"}},
		{"range that is a prefix", ipv4(sequence(bitString(1, 10), bitString(0, 10))), "10.0.0.0/8", []string{
			"addressRange at offset 10: not canonical: range that is a prefix",
		}},
		{"ends not trimmed", ipv4(sequence(bitString(0, 10), bitString(0, 12, 255))), "10.0.0.0-12.255.255.255", []string{
			"addressRange min at offset 12: not canonical: end of range not trimmed",
			"addressRange max at offset 16: not canonical: end of range not trimmed",
		}},
		{"unused bits", ipv4(bitString(1, 11)), "10.0.0.0/7", []string{"addressPrefix at offset 13: not canonical: unused bits that are not zero"}},
		{"unused bits of the last address", ipv4(sequence(bitString(0, 0, 0, 0, 1), bitString(4, 10))), "0.0.0.1-15.255.255.255", []string{
			"addressRange max at offset 22: not canonical: unused bits that are not zero",
		}},
		{"unused bits of no octet", ipv4(bitString(3)), "0.0.0.0/0", []string{"addressPrefix at offset 12: forbidden value"}},
		{"long lengths", slices.Concat([]byte{0x30, 0x83, 0, 0, 12, 0x30, 0x81, 9, 0x30, 0}, nil), "", nil},
		{"indefinite lengths", indefinite(0x30, indefinite(0x30, addressFamily(0, 1), indefinite(0x30, ten))), "10.0.0.0/8", []string{
			"IPAddrBlocks at offset 1: not canonical: indefinite length",
			"IPAddressFamily at offset 3: not canonical: indefinite length",
			"ipAddressChoice at offset 9: not canonical: indefinite length",
		}},
		{"length of three octets", slices.Concat([]byte{0x30, 0x82, 0}, ipv4(ten)[1:]), "10.0.0.0/8", []string{
			"IPAddrBlocks at offset 1: not canonical: length takes more octets than it needs",
		}},
		{"string in parts", ipv4(tlv(0x23, bitString(0, 10), bitString(4, 0x10))), "10.16.0.0/12", []string{
			"addressPrefix at offset 10: not canonical: string in parts",
		}},
		{"family in parts", sequence(sequence(tlv(0x24, tlv(4, []byte{0}), tlv(4, []byte{1})), sequence(ten))), "10.0.0.0/8", []string{
			"addressFamily at offset 4: not canonical: string in parts",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, deviations, err := ParseLenient(tt.der)
			if tt.want == "" {
				requireParseError(t, tt.der, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, b.String())
			require.Equal(t, tt.deviations, deviationTexts(deviations))
			requireCanonical(t, b)
			_, err = Parse(tt.der)
			if tt.deviations == nil {
				require.NoError(t, err)
				return
			}
			require.Equal(t, deviations[0].Offset, requireParseError(t, tt.der, err).Offset, "where Parse stops")
		})
	}
}

func requireCanonical(t testing.TB, b Blocks) {
	t.Helper()
	if b.IsZero() {
		return
	}
	der, err := b.MarshalBinary()
	require.NoError(t, err)
	strict, err := Parse(der)
	require.NoError(t, err)
	require.True(t, strict.Equal(b), "%v", b)
}

// What does not have one certain meaning.
func TestParseLenientRefuses(t *testing.T) {
	ten := bitString(0, 10)
	tests := []struct {
		name  string
		der   []byte
		field string
		err   error
	}{
		{"nothing", nil, "IPAddrBlocks", ErrTruncated},
		{"not a SEQUENCE", tlv(0x31, ten), "IPAddrBlocks", ErrValue},
		{"range reversed", ipv4(sequence(bitString(0, 11), bitString(0, 8))), "addressRange", ErrValue},
		{"33 bits of IPv4", ipv4(bitString(7, 10, 0, 0, 0, 0)), "addressPrefix", ErrLength},
		{"eight unused bits", ipv4(bitString(8, 10)), "addressPrefix", ErrValue},
		{"inherits and has addresses", sequence(sequence(addressFamily(0, 1), null()), sequence(addressFamily(0, 1), sequence(ten))), "addressFamily", ErrDuplicate},
		{"octets after the choice", sequence(sequence(addressFamily(0, 1), null(), null())), "IPAddressFamily", ErrTrailing},
		{"no end of contents", []byte{0x30, 0x80, 0x30, 0x80, 0}, "IPAddrBlocks", ErrTruncated},
		{"nested too deep", bytes.Repeat([]byte{0x30, 0x80}, 1000), "IPAddrBlocks", ErrTooLarge},
		{"part with unused bits", ipv4(tlv(0x23, bitString(1, 10), bitString(0, 1))), "addressPrefix", ErrLength},
		{"part without content", ipv4(tlv(0x23, tlv(3))), "addressPrefix", ErrLength},
		{"part in parts", ipv4(tlv(0x23, tlv(0x23, ten))), "addressPrefix", ErrValue},
		{"parts that are too long", ipv4(tlv(0x23, bytes.Repeat(ten, 17))), "addressPrefix", ErrLength},
		{"no parts", ipv4(tlv(0x23)), "addressPrefix", ErrLength},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, deviations, err := ParseLenient(tt.der)
			pe := requireParseError(t, tt.der, err)
			require.Equal(t, tt.field, pe.Field, "%v", err)
			require.ErrorIs(t, err, tt.err)
			require.True(t, b.IsZero())
			require.Nil(t, deviations)
		})
	}
}

// What is right has no deviations, and what is wrong either has some or cannot be
// read at all.
func TestParseLenientVectors(t *testing.T) {
	tolerated := 0
	for _, v := range vectors(t) {
		b, deviations, err := ParseLenient(v.der(t))
		if v.Class == "valid" {
			require.NoError(t, err, v.Name)
			require.Empty(t, deviations, v.Name)
			continue
		}
		if err == nil {
			require.NotEmpty(t, deviations, v.Name)
			requireCanonical(t, b)
			tolerated++
		}
	}
	require.Equal(t, 21, tolerated, "of the invalid ones")
}

func TestParseLenientEveryTruncation(t *testing.T) {
	der := indefinite(0x30, indefinite(0x30, addressFamily(0, 1), indefinite(0x30, tlv(0x23, bitString(0, 10), bitString(4, 16)))))
	_, _, err := ParseLenient(der)
	require.NoError(t, err)
	for n := range der {
		_, _, err := ParseLenient(der[:n])
		requireParseError(t, der[:n], err)
	}
}

// Shuffled and split, the blocks stay the same.
func TestParseLenientOfShuffledElements(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	for range 300 {
		all := randomPrefixes(r, 12)
		want, err := FromPrefixes(all...)
		require.NoError(t, err)
		var families [][]byte
		for _, p := range all {
			s, afi := fromPrefix(p), byte(IPv6)
			if p.Addr().Is4() {
				afi = byte(IPv4)
			}
			element := make([]byte, bitStringLen(p.Bits()))
			putBitString(element, 0, s.lo, p.Bits())
			families = append(families, sequence(addressFamily(0, afi), sequence(element)))
		}
		got, deviations, err := ParseLenient(der(0x30, families...))
		require.NoError(t, err)
		require.True(t, got.Equal(want), "%v, want %v", got, want)
		if len(all) > 2 {
			require.NotEmpty(t, deviations)
		}
	}
}

// der is [tlv] for content of any length.
func der(tag byte, content ...[]byte) []byte {
	c := slices.Concat(content...)
	return append(appendHeader(nil, tag, len(c)), c...)
}

func TestParseLenientIsBounded(t *testing.T) {
	ten := bitString(0, 10)
	_, _, err := ParseLenient(der(0x30, der(0x30, addressFamily(0, 1), der(0x30, bytes.Repeat(ten, MaxElements+1)))))
	require.ErrorIs(t, err, ErrTooLarge)
	nothing := sequence(addressFamily(0, 1), sequence())
	_, _, err = ParseLenient(der(0x30, bytes.Repeat(nothing, MaxElements+1)))
	require.ErrorIs(t, err, ErrTooLarge)
}
