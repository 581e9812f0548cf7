package certopt

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOptionsString(t *testing.T) {
	o := sample(t)
	o.Certificate = make([]byte, 812)
	o.Chain = Chain("\x00\x01a\x00\x02bc")
	require.Equal(t, `ca-pointer="http://ca.example/.well-known/cmp" public-key=44 octets `+
		`certificate=812 octets key-proof=74 octets certificate-chain=2 certificates in 7 octets`, o.String())
	require.Equal(t, "no certificate options", Options{}.String())
	require.Equal(t, "1 certificate in 3 octets", Chain("\x00\x01a").String())

	text, err := json.Marshal(Options{CAPointer: []byte("a\"\n\x1b\xff:b")})
	require.NoError(t, err)
	require.Equal(t, `"ca-pointer=\"a\\\"\\n\\x1b\\xff:b\""`, string(text), "no raw control characters in a log")
}

func TestChain(t *testing.T) {
	chain, err := AppendChain([]byte("before"), []byte("one"), []byte("second"))
	require.NoError(t, err)
	require.Equal(t, "before\x00\x03one\x00\x06second", string(chain))

	certs := slices.Collect(Chain(chain[6:]).All())
	require.Equal(t, [][]byte{[]byte("one"), []byte("second")}, certs)
	_ = append(certs[0], 0xff)
	require.Equal(t, "before\x00\x03one\x00\x06second", string(chain), "append to a certificate reached the next")

	for range Chain(chain[6:]).All() {
		break
	}
	require.Equal(t, [][]byte{[]byte("one")}, slices.Collect(Chain(chain[6:len(chain)-1]).All()), "up to the malformed length")
	require.Empty(t, slices.Collect(Chain(nil).All()))

	got, err := AppendChain([]byte("before"), []byte("one"), make([]byte, 65536))
	require.ErrorIs(t, err, ErrTooLarge)
	require.Equal(t, "before", string(got))
}
