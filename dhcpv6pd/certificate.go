package dhcpv6pd

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"dhcpsec.example/certopt"
	"dhcpsec.example/x509ip"
)

// delegation is what a certificate is checked against.
type delegation struct {
	key      []byte         // DER SubjectPublicKeyInfo
	prefixes []netip.Prefix // exactly these are to be bound
	notAfter time.Time      // end of the delegation; zero is never
	early    time.Duration  // how far in the future the certificate may begin
	late     time.Duration  // how far beyond the delegation it may end
}

// clockSkew is how far the clocks of two machines may disagree, unless configured.
const clockSkew = 5 * time.Minute

// certifies checks what both sides check of a certificate: that it binds
// exactly this key to exactly these prefixes, is valid now and ends no later
// than the delegation. "With the exception of the publicKey field, the CA/RA is
// permitted to alter any requested field. The returned certificate needs to be
// checked by the requestor" (RFC 4211 section 5). The subject name is not among
// the checks: the issuer chooses it (RFC 6487 section 4.5).
func (d delegation) certifies(now time.Time, der []byte) (*x509.Certificate, x509ip.Blocks, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		// Not wrapped: the text of crypto/x509 may quote the contents.
		return nil, x509ip.Blocks{}, errors.New("certificate does not parse")
	}
	if !bytes.Equal(cert.RawSubjectPublicKeyInfo, d.key) {
		return nil, x509ip.Blocks{}, ErrWrongKey
	}
	got, err := x509ip.FromCertificate(cert)
	if err != nil {
		return nil, x509ip.Blocks{}, fmt.Errorf("%w: %w", ErrWrongPrefixes, err)
	}
	want, err := x509ip.FromPrefixes(d.prefixes...)
	switch {
	case err != nil || !got.Equal(want):
		err = ErrWrongPrefixes
	case cert.NotBefore.After(now.Add(d.early)) || !cert.NotAfter.After(now):
		err = ErrNotValid
	case !d.notAfter.IsZero() && cert.NotAfter.After(d.notAfter.Add(d.late)):
		err = ErrOutlives
	}
	return cert, got, err
}

// noExpiry is "no well-defined expiration date" (RFC 5280 section 4.1.2.5).
var noExpiry = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// verifyRouter checks that cert leads to one of the anchors, with RFC 3779
// resources nested all the way, and is a SEND router's: "id-kp-sendRouter"
// (RFC 6494 section 7).
func verifyRouter(now time.Time, cert *x509.Certificate, chain [][]byte, anchors []*x509.Certificate) error {
	if len(chain) > certopt.MaxChainCertificates {
		return fmt.Errorf("certificate chain: %w", ErrFull)
	}
	intermediates := make([]*x509.Certificate, 0, len(chain))
	for _, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return errors.New("chain certificate does not parse")
		}
		intermediates = append(intermediates, c)
	}
	if cert.NotBefore.After(now) {
		now = cert.NotBefore // within the clock skew that certifies allows
	}
	_, err := x509ip.Verify(cert, x509ip.VerifyOptions{
		Roots:         anchors,
		Intermediates: intermediates,
		CurrentTime:   now,
		KeyUsages:     []asn1.ObjectIdentifier{x509ip.OIDSendRouter()},
	})
	return err
}
