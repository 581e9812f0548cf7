package x509ip

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseText(t *testing.T) {
	tests := []struct{ in, want string }{
		{"none", "none"},
		{" none\n", "none"},
		{"10.0.0.0/8", "10.0.0.0/8"},
		{" 2001:db8::/32 ,\t10.0.0.0/8\n", "10.0.0.0/8, 2001:db8::/32"},
		{"10.0.0.0/9,10.128.0.0/9", "10.0.0.0/8"},
		{"10.0.0.0-10.255.255.255", "10.0.0.0/8"},
		{"10.0.0.0/8, 10.0.0.5-10.0.0.9", "10.0.0.0/8"},
		{"10.0.0.7-10.0.0.7", "10.0.0.7/32"},
		{"IPv6 inherit", "IPv6 inherit"},
		{"IPv6 inherit, IPv6 inherit", "IPv6 inherit"},
		{"IPv6 (SAFI 2) inherit, IPv4 inherit", "IPv4 inherit, IPv6 (SAFI 2) inherit"},
		{"10.0.0.1-10.0.0.9 (SAFI 128), 10.0.0.0/8", "10.0.0.0/8, 10.0.0.1-10.0.0.9 (SAFI 128)"},
		{"::ffff:10.0.0.0/104", "::ffff:10.0.0.0/104"},
	}
	for _, tt := range tests {
		b, err := ParseText(tt.in)
		require.NoError(t, err, tt.in)
		require.Equal(t, tt.want, b.String(), tt.in)
		requireCanonical(t, b)
	}
}

func TestParseTextRefuses(t *testing.T) {
	tests := []struct {
		text   string
		offset int
		err    error
	}{
		{"", 0, errNotElement},
		{"10.0.0.0/8,", 11, errNotElement},
		{"10.0.0.0/8, none", 12, errNotElement},
		{"10.0.0.0/8,  10.0.0.1/8", 13, errHostBits},
		{"10.0.0.1", 0, errNotElement},
		{"10.0.0.0/33", 0, errNotElement},
		{"10.0.0.0/08", 0, errNotElement},
		{"fe80::%eth0/64", 0, errNotElement},
		{"fe80::1%a-fe80::2%a", 0, errNotElement},
		{"10.0.0.9-10.0.0.1", 0, errReversed},
		{"10.0.0.1-::1", 0, errNotElement},
		{"10.0.0.1-", 0, errNotElement},
		{"10.0.0.1 - 10.0.0.2", 0, errNotElement},
		{"inherit", 0, errNotElement},
		{"IPv5 inherit", 0, errFamily},
		{"IPv6 (SAFI 5) inherit", 0, errFamily},
		{"::/0 (SAFI 0)", 0, errFamily},
		{"::/0 (SAFI 256)", 0, errFamily},
		{"::/0 (SAFI 1", 0, errFamily},
		{"::/0, IPv6 inherit", 6, errContradiction},
		{"IPv6 inherit, ::/0", 14, errContradiction},
	}
	for _, tt := range tests {
		b, err := ParseText(tt.text)
		var pe *ParseError
		require.ErrorAs(t, err, &pe, "%q", tt.text)
		require.Equal(t, tt.offset, pe.Offset, "%q: %v", tt.text, err)
		require.ErrorIs(t, err, tt.err, "%q", tt.text)
		require.True(t, b.IsZero())
	}
	_, err := ParseText(strings.Repeat("::/0,", MaxElements) + "::/0")
	require.ErrorIs(t, err, ErrTooLarge)
}

func TestTextRoundTrip(t *testing.T) {
	for _, v := range vectors(t) {
		if b, err := Parse(v.der(t)); err == nil {
			require.True(t, fromText(t, b.String()).Equal(b), "%v", b)
		}
	}
	r := rand.New(rand.NewPCG(27, 28))
	for range 500 {
		b, err := FromPrefixes(randomPrefixes(r, 12)...)
		require.NoError(t, err)
		require.True(t, fromText(t, b.String()).Equal(b), "%v", b)
	}
}

func TestJSON(t *testing.T) {
	type config struct {
		Pool Blocks
	}
	in := config{fromText(t, "10.0.0.1-10.0.0.9, IPv6 inherit")}
	text, err := json.Marshal(in)
	require.NoError(t, err)
	require.JSONEq(t, `{"Pool":"10.0.0.1-10.0.0.9, IPv6 inherit"}`, string(text))
	var out config
	require.NoError(t, json.Unmarshal(text, &out))
	require.True(t, out.Pool.Equal(in.Pool))

	require.Error(t, json.Unmarshal([]byte(`{"Pool":"10.0.0.1"}`), &out))
	require.True(t, out.Pool.Equal(in.Pool), "on error it is as it was")
	require.NoError(t, json.Unmarshal([]byte(`{"Pool":"none"}`), &out))
	require.True(t, out.Pool.IsZero())
}
