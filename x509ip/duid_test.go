package x509ip

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDUIDName(t *testing.T) {
	longest, long := bytes.Repeat([]byte{0xab}, 31), bytes.Repeat([]byte{0xab}, 32)
	digest := sha256.Sum256(long)
	tests := []struct {
		name string
		duid []byte
		want string
	}{
		{"DUID-LL", duidLL, "00030001020304050607"},
		{"shortest", []byte{0, 1, 0xFF}, "0001ff"},
		{"longest that is written out", longest, strings.Repeat("ab", 31)},
		{"one octet longer", long, hex.EncodeToString(digest[:])},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name, err := DUIDName(tt.duid)
			require.NoError(t, err)
			require.Equal(t, tt.want, name)
			require.True(t, NamesDUID(name, tt.duid))
			require.True(t, NamesDUID(strings.ToUpper(name), tt.duid), "upper case")
			back, ok := DUIDOfName(strings.ToUpper(name))
			require.Equal(t, len(tt.duid) <= 31, ok, "a digest leads back to nothing")
			if ok {
				require.Equal(t, tt.duid, back)
			}
			require.False(t, NamesDUID(name, duidLL[1:]), "another DUID")
			require.False(t, NamesDUID(name+"0", tt.duid), "odd number of digits")
			require.False(t, NamesDUID(name+"00", tt.duid), "an octet more")
			require.False(t, NamesDUID(" "+name, tt.duid), "not hex")
		})
	}
}

// RFC 8415 section 11.1: the type, and 1..128 octets.
func TestDUIDLength(t *testing.T) {
	for n := range 140 {
		duid := make([]byte, n)
		name, err := DUIDName(duid)
		require.Equal(t, n >= 3 && n <= 130, err == nil, "%d octets", n)
		require.LessOrEqual(t, len(name), 64, "RFC 5280 ub-common-name")
		if err != nil {
			require.ErrorIs(t, err, ErrLength)
			require.Empty(t, name)
			require.False(t, NamesDUID("", duid), "%d octets", n)
			require.False(t, NamesDUID(hex.EncodeToString(duid), duid), "%d octets", n)
		}
	}
}

// A client may choose its DUID. It must not be able to choose one that has the
// name of somebody else's.
func TestDUIDNameCannotBeForged(t *testing.T) {
	victim := bytes.Repeat([]byte{0xab}, 40)
	name, err := DUIDName(victim)
	require.NoError(t, err)
	forged, err := hex.DecodeString(name)
	require.NoError(t, err)
	require.False(t, NamesDUID(name, forged))
}

func TestDUIDOfNameRefuses(t *testing.T) {
	for _, name := range []string{"", "0001", "router1", "00030001020", strings.Repeat("ab", 32), strings.Repeat("ab", 33), " 0001ff"} {
		duid, ok := DUIDOfName(name)
		require.False(t, ok, "%q", name)
		require.Nil(t, duid)
	}
}
