package dhcpv6pd_test

import (
	"crypto"
	"crypto/x509"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"dhcpsec.example/dhcpv6pd"
	"github.com/stretchr/testify/require"
)

// readme is the code of the README, in surroundings in which it compiles.
func readme(duid, request, reply, serverDUID []byte, key crypto.Signer, anchors []*x509.Certificate,
	transactionID [3]byte, prefixes []dhcpv6pd.Prefix, prefix netip.Prefix, now time.Time,
) error {
	holder, err := dhcpv6pd.NewHolder(dhcpv6pd.HolderConfig{DUID: duid, Key: key, OfferKey: true, TrustAnchors: anchors})
	if err != nil {
		return err
	}
	// ...
	request, err = holder.AppendOptions(request, transactionID, serverDUID) // public key and key proof, into your Request
	// ...
	acts := holder.HandleReply(now, reply[4:], prefixes, nil) // the options of the Reply, and the prefixes you hold
	for _, a := range acts {
		switch a.Kind {
		case dhcpv6pd.ActionEnroll: // a CA pointer came: get a certificate from a.URI, then holder.HandleEnrolled
		case dhcpv6pd.ActionCertificateRejected: // a.Err says why
		}
	}
	until, ok := holder.MayAdvertise(now, prefix) // to have a prefix and to be allowed to advertise it are two things

	_, _, _ = request, until, ok
	return err
}

// The code in the README is code that compiles: the lines of the function above.
func TestReadmeShowsCodeThatCompiles(t *testing.T) {
	require.NotNil(t, readme)
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	_, shown, ok := strings.Cut(string(text), "```go\n")
	require.True(t, ok, "no code in the README")
	shown, _, _ = strings.Cut(shown, "```")
	source, err := os.ReadFile("readme_test.go")
	require.NoError(t, err)
	for line := range strings.Lines(shown) {
		require.Contains(t, string(source), "\n\t"+line)
	}
}
