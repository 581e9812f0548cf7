package x509ip

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func as(t testing.TB, text string) ASIdentifiers {
	t.Helper()
	a, err := ParseASText(text)
	require.NoError(t, err, text)
	return a
}

func integer(octets ...byte) []byte { return tlv(tagInteger, octets) }

// asnum is an extension of AS numbers. The first element is at offset 6.
func asnum(elements ...[]byte) []byte {
	return sequence(tlv(tagASNum, sequence(elements...)))
}

// The encodings that openssl makes of the same.
func TestASIdentifiersEncoding(t *testing.T) {
	tests := []struct {
		text string
		der  []byte
	}{
		{"AS0", asnum(integer(0))},
		{"AS127", asnum(integer(127))},
		{"AS128", asnum(integer(0, 128))},
		{"AS255", asnum(integer(0, 255))},
		{"AS256", asnum(integer(1, 0))},
		{"AS32768", asnum(integer(0, 128, 0))},
		{"AS64496", asnum(integer(0, 0xfb, 0xf0))},
		{"AS4294967295", asnum(integer(0, 255, 255, 255, 255))},
		{"AS0-4294967295", asnum(sequence(integer(0), integer(0, 255, 255, 255, 255)))},
		{"AS1, AS3-4", asnum(integer(1), sequence(integer(3), integer(4)))},
		{"AS inherit", sequence(tlv(tagASNum, null()))},
		{"RDI inherit", sequence(tlv(tagRDI, null()))},
		{"AS inherit, RDI 7", sequence(tlv(tagASNum, null()), tlv(tagRDI, sequence(integer(7))))},
		{"AS1, RDI inherit", sequence(tlv(tagASNum, sequence(integer(1))), tlv(tagRDI, null()))},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			a := as(t, tt.text)
			require.Equal(t, tt.text, a.String())
			b, err := a.AppendBinary([]byte("before"))
			require.NoError(t, err)
			require.Equal(t, append([]byte("before"), tt.der...), b)
			back, err := ParseASIdentifiers(tt.der)
			require.NoError(t, err)
			require.True(t, back.Equal(a), "%v", back)
			for n := range tt.der {
				_, err := ParseASIdentifiers(tt.der[:n])
				requireParseError(t, tt.der[:n], err)
			}
		})
	}
}

func TestParseASIdentifiersRefuses(t *testing.T) {
	tests := []struct {
		name      string
		der       []byte
		field     string
		offset    int
		err       error
		tolerated string // what a lenient parse makes of it
	}{
		{"nothing", nil, "ASIdentifiers", 0, ErrTruncated, ""},
		{"not a SEQUENCE", tlv(0x31), "ASIdentifiers", 0, ErrValue, ""},
		{"octets after it", append(asnum(integer(1)), 0), "ASIdentifiers", 9, ErrTrailing, "AS1"},
		{"3.2.3.1 neither form", sequence(), "ASIdentifiers", 0, ErrValue, "none"},
		{"3.2.3.1 rdi before asnum", sequence(tlv(tagRDI, null()), tlv(tagASNum, null())), "ASIdentifiers", 6, ErrValue, ""},
		{"3.2.3.1 asnum twice", sequence(tlv(tagASNum, null()), tlv(tagASNum, null())), "ASIdentifiers", 6, ErrValue, ""},
		{"3.2.3.1 another form", sequence(tlv(0xa2, null())), "ASIdentifiers", 2, ErrValue, ""},
		{"3.2.3.2 no choice", sequence(tlv(tagASNum)), "asnum", 4, ErrTruncated, ""},
		{"3.2.3.2 two choices", sequence(tlv(tagRDI, null(), null())), "rdi", 6, ErrTrailing, ""},
		{"3.2.3.2 neither inherit nor a set", sequence(tlv(tagASNum, integer(1))), "asnum", 4, ErrValue, ""},
		{"3.2.3.3 NULL with content", sequence(tlv(tagASNum, tlv(tagNull, []byte{0}))), "asnum", 4, ErrLength, ""},
		{"3.2.3.3 nothing granted", asnum(), "asIdsOrRanges", 4, ErrValue, "none"},
		{"3.2.3.4 twice", asnum(integer(1), integer(1)), "ASIdOrRange", 9, ErrNotCanonical, "AS1"},
		{"3.2.3.4 out of order", asnum(integer(5), integer(1)), "ASIdOrRange", 9, ErrNotCanonical, "AS1, AS5"},
		{"3.2.3.4 overlap", asnum(sequence(integer(1), integer(5)), integer(3)), "ASIdOrRange", 14, ErrNotCanonical, "AS1-5"},
		{"3.2.3.4 contiguous", asnum(integer(1), integer(2)), "ASIdOrRange", 9, ErrNotCanonical, "AS1-2"},
		{"3.2.3.5 neither id nor range", asnum(null()), "ASIdOrRange", 6, ErrValue, ""},
		{"3.2.3.8 range of one number", asnum(sequence(integer(5), integer(5))), "ASRange", 6, ErrNotCanonical, "AS5"},
		{"3.2.3.8 range reversed", asnum(sequence(integer(5), integer(4))), "ASRange", 6, ErrValue, ""},
		{"3.2.3.8 range of one end", asnum(sequence(integer(5))), "ASRange max", 11, ErrTruncated, ""},
		{"3.2.3.8 range of three ends", asnum(sequence(integer(1), integer(2), integer(3))), "ASRange", 14, ErrTrailing, ""},
		{"3.2.3.10 INTEGER without content", asnum(integer()), "ASIdOrRange", 6, ErrLength, ""},
		{"3.2.3.10 negative", asnum(integer(0x80)), "ASIdOrRange", 6, ErrValue, ""},
		{"3.2.3.10 33 bits", asnum(integer(1, 0, 0, 0, 0)), "ASIdOrRange", 6, ErrTooLarge, ""},
		{"3.2.3.10 72 bits", asnum(integer(1, 0, 0, 0, 0, 0, 0, 0, 0, 1)), "ASIdOrRange", 6, ErrTooLarge, ""},
		{"DER INTEGER that begins with zero", asnum(integer(0, 0, 1)), "ASIdOrRange", 6, ErrNotCanonical, "AS1"},
		{"DER length", sequence(slices.Concat([]byte{tagASNum, 0x81, 2}, null())), "asnum", 3, ErrNotCanonical, "AS inherit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := ParseASIdentifiers(tt.der)
			pe := requireParseError(t, tt.der, err)
			require.Equal(t, tt.field, pe.Field, "%v", err)
			require.Equal(t, tt.offset, pe.Offset, "%v", err)
			require.ErrorIs(t, err, tt.err)
			require.True(t, a.IsZero())

			a, deviations, err := ParseASIdentifiersLenient(tt.der)
			if tt.tolerated == "" {
				requireParseError(t, tt.der, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.tolerated, a.String())
			require.Equal(t, []string{pe.Error()}, deviationTexts(deviations))
		})
	}
}

func TestASIdentifiersLimits(t *testing.T) {
	many := make([]ASRange, MaxElements+1)
	for i := range many {
		many[i] = ASRange{uint32(2 * i), uint32(2 * i)}
	}
	a, err := FromASNumbers(many...)
	require.NoError(t, err)
	out, err := a.AppendBinary([]byte("as it came"))
	require.ErrorIs(t, err, ErrTooLarge)
	require.Equal(t, "as it came", string(out))
	a, err = FromASNumbers(many[:MaxElements]...)
	require.NoError(t, err)
	b, err := a.MarshalBinary()
	require.NoError(t, err)
	back, err := ParseASIdentifiers(b)
	require.NoError(t, err)
	require.True(t, back.Equal(a))

	// The limit is that of the extension: what is read can be written.
	asnum := b[headerLen(len(b)-5):]
	rdi := slices.Concat([]byte{tagRDI}, asnum[1:])
	_, err = ParseASIdentifiers(der(tagSequence, asnum, rdi))
	require.ErrorIs(t, err, ErrTooLarge)

	_, err = ParseASIdentifiers(der(tagSequence, der(tagASNum, der(tagSequence, slices.Repeat(integer(1), MaxElements+1)))))
	require.Error(t, err)
	_, err = ASIdentifiers{}.MarshalBinary()
	require.Error(t, err)
	_, err = ParseASText(strings.Repeat("AS1,", MaxElements) + "AS1")
	require.ErrorIs(t, err, ErrTooLarge)
}

func TestASIdentifiersAlgebra(t *testing.T) {
	a, b := as(t, "AS1-10, AS20, RDI 5-6"), as(t, "AS5-15, AS20, RDI 6, RDI 8")
	for _, tt := range []struct {
		f    func(ASIdentifiers) (ASIdentifiers, error)
		want string
	}{
		{a.Union, "AS1-15, AS20, RDI 5-6, RDI 8"},
		{a.Intersect, "AS5-10, AS20, RDI 6"},
		{a.Difference, "AS1-4, RDI 5"},
	} {
		got, err := tt.f(b)
		require.NoError(t, err)
		require.Equal(t, tt.want, got.String())
		_, err = tt.f(as(t, "RDI inherit"))
		require.ErrorIs(t, err, ErrInherits)
	}
	require.True(t, a.Overlaps(b))
	require.True(t, as(t, "RDI 5").Overlaps(a))
	require.False(t, as(t, "AS5, AS11").Overlaps(as(t, "RDI 5, AS12")), "an AS number is no routing domain")
	require.True(t, a.Covers(as(t, "AS2-3, RDI 5")))
	require.False(t, a.Covers(as(t, "AS10-11")))
	require.False(t, a.Covers(as(t, "RDI 7")))
	require.False(t, as(t, "AS inherit").Covers(a))
	require.False(t, a.Covers(as(t, "AS inherit")))
	require.True(t, a.Contains(ASRange{20, 20}))
	require.True(t, a.Contains(ASRange{1, 10}))
	require.False(t, a.Contains(ASRange{5, 6 + 5}))
	require.False(t, a.Contains(ASRange{6, 5}))
	require.False(t, as(t, "RDI 5, AS inherit").Contains(ASRange{5, 5}))
	require.True(t, as(t, "AS0-4294967295").Contains(ASRange{0, math.MaxUint32}))
	require.True(t, as(t, "AS inherit").InheritsNumbers())
	require.False(t, as(t, "RDI inherit").InheritsNumbers())
	require.Equal(t, []ASRange{{1, 10}, {20, 20}}, slices.Collect(a.Numbers()))
	require.Equal(t, []ASRange{{5, 6}}, slices.Collect(a.RoutingDomains()))
	require.False(t, a.Equal(b))
	require.False(t, as(t, "AS1").Equal(as(t, "RDI 1")))
	_, err := FromASNumbers(ASRange{2, 1})
	require.Error(t, err)
}

func TestParseASText(t *testing.T) {
	require.Equal(t, "AS1-3, AS7, RDI 2", as(t, "  RDI 2, AS7,AS2-3 ,AS1-AS2").String())
	require.True(t, as(t, "none").IsZero())
	for text, offset := range map[string]int{
		"": 0, "1": 0, "AS": 0, "AS-1": 0, "AS2-1": 0, "AS4294967296": 0, "AS1, AS inherit": 5, "RDI inherit, RDI 1": 13, "AS1 - 2": 0, "RDI": 0, "AS1,none": 4, "RDI 1-AS2": 0, "AS1-ASAS2": 0,
	} {
		a, err := ParseASText(text)
		var pe *ParseError
		require.ErrorAs(t, err, &pe, "%q", text)
		require.Equal(t, offset, pe.Offset, "%q", text)
		require.True(t, a.IsZero())
	}
	var a ASIdentifiers
	require.NoError(t, json.Unmarshal([]byte(`"AS64496, RDI inherit"`), &a))
	text, err := json.Marshal(a)
	require.NoError(t, err)
	require.Equal(t, `"AS64496, RDI inherit"`, string(text))
	require.Error(t, json.Unmarshal([]byte(`"64496"`), &a))
	require.Equal(t, "AS64496, RDI inherit", a.String(), "on error it is as it was")
}

func TestASIdentifiersQueriesAllocateNothing(t *testing.T) {
	a := as(t, "AS1-10, AS20, RDI 5-6")
	buffer := make([]byte, 0, 100)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := a.AppendBinary(buffer); err != nil || !a.Contains(ASRange{2, 5}) || !a.Covers(a) || !a.Overlaps(a) {
			t.Fatal("wrong answer")
		}
	}))
}
