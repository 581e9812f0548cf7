package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"dhcpsec.example/certopt"
	"dhcpsec.example/internal/wire"
	"dhcpsec.example/x509ip"
)

// decodeCertificates is for one certificate in DER, or one or more in PEM. Of a
// chain, leaf first, it tells who holds what, who narrows what, and whether the
// resources nest (RFC 3779 sections 2.3 and 3.3, RFC 8360). An extension for
// resources that is malformed or not canonical is an error, with its offset in
// the certificate's DER.
func decodeCertificates(b []byte) (string, []byte, error) {
	ders, err := splitPEM(b)
	if err != nil {
		return "", nil, err
	}
	var chain []*x509.Certificate
	var texts []string
	for i, der := range ders {
		cert, text, err := decodeCertificate(der)
		if err != nil && len(ders) > 1 {
			err = fmt.Errorf("certificate %d: %w", i+1, err)
		}
		if err != nil {
			return "", nil, err
		}
		chain = append(chain, cert)
		texts = append(texts, text)
	}
	if len(chain) > 1 {
		texts = append(texts, describeChain(chain))
	}
	return strings.Join(texts, "\n\n"), bytes.Join(ders, nil), nil
}

// maxChain bounds the work on one chain, which is quadratic in its length.
const maxChain = 32

// describeChain is what each certificate holds, the trust anchor first, and the
// verdict on the chain.
func describeChain(chain []*x509.Certificate) string {
	if len(chain) > maxChain {
		return fmt.Sprintf("resources along the chain: more than %d certificates", maxChain)
	}
	var text strings.Builder
	text.WriteString("who holds what, the trust anchor first:\n")
	var issuer x509ip.Resources
	for depth := len(chain) - 1; depth >= 0; depth-- {
		held, overclaims, err := x509ip.ReconsiderPath(chain[depth:])
		if err != nil {
			break // the verdict says it
		}
		fmt.Fprintf(&text, "  %d %s: %s\n", depth, oneLine(chain[depth].Subject.String()), held)
		if depth < len(chain)-1 {
			fmt.Fprintf(&text, "    %s\n", describeNarrowing(issuer, held))
		}
		for _, over := range overclaims {
			if over.Depth == 0 { // counted from this certificate
				fmt.Fprintf(&text, "    claims, and does not hold: %s\n", over.Resources)
			}
		}
		issuer = held
	}
	for depth := range len(chain) - 1 {
		err := chain[depth].CheckSignatureFrom(chain[depth+1])
		if err == nil && !bytes.Equal(chain[depth].RawIssuer, chain[depth+1].RawSubject) {
			err = errors.New("the names differ")
		}
		if err != nil {
			fmt.Fprintf(&text, "certificate %d was not issued by the next: %s\n", depth, oneLine(err.Error()))
		}
	}
	verdict := "nested, up to the last certificate"
	if _, _, err := x509ip.ReconsiderPath(chain); err != nil {
		verdict = oneLine(err.Error())
	}
	return text.String() + "\nresources along the chain: " + verdict
}

// describeNarrowing is what of its issuer's resources a certificate leaves out.
func describeNarrowing(issuer, held x509ip.Resources) string {
	blocks, err1 := issuer.Blocks.Difference(held.Blocks)
	numbers, err2 := issuer.ASIdentifiers.Difference(held.ASIdentifiers)
	rest := x509ip.Resources{Blocks: blocks, ASIdentifiers: numbers}
	switch {
	case errors.Join(err1, err2) != nil: // impossible: what is held does not inherit
		return "narrowing not known"
	case blocks.IsZero() && numbers.IsZero():
		return "all that its issuer holds"
	}
	return "narrowed: without " + rest.String()
}

// splitPEM is the DER of each certificate in b, which is b itself if b is not PEM.
func splitPEM(b []byte) ([][]byte, error) {
	const begin = "-----BEGIN "
	// A certificate is longer than 127 octets, so the octet behind its tag is
	// not text. What looks like PEM may be inside it.
	isDER := len(b) > 1 && b[0] == 0x30 && b[1] >= 0x80
	if isDER || !bytes.Contains(b, []byte(begin)) {
		return [][]byte{b}, nil
	}
	var ders [][]byte
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("PEM block %d is not a certificate", len(ders)+1)
		}
		ders = append(ders, block.Bytes)
	}
	// The decoder passes over malformed blocks in silence.
	if len(ders) != bytes.Count(b, []byte(begin)) {
		return nil, errors.New("malformed PEM")
	}
	return ders, nil
}

// decodeCertificate is one certificate, what it says, or an error if its
// resources cannot be read.
func decodeCertificate(der []byte) (*x509.Certificate, string, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, "", err
	}
	var resources, amended x509ip.Resources // amended: in the extensions of RFC 8360
	for _, e := range cert.Extensions {
		switch {
		case e.Id.Equal(x509ip.OIDIPAddrBlocks()):
			resources.Blocks, err = x509ip.Parse(e.Value)
		case e.Id.Equal(x509ip.OIDIPAddrBlocksV2()):
			amended.Blocks, err = x509ip.Parse(e.Value)
		case e.Id.Equal(x509ip.OIDASIdentifiers()):
			resources.ASIdentifiers, err = x509ip.ParseASIdentifiers(e.Value)
		case e.Id.Equal(x509ip.OIDASIdentifiersV2()):
			amended.ASIdentifiers, err = x509ip.ParseASIdentifiers(e.Value)
		}
		if err != nil {
			return nil, "", wire.Shift(err, offsetOfValue(cert, e))
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "subject: %s\n", oneLine(cert.Subject.String()))
	fmt.Fprintf(&text, "issuer: %s\n", oneLine(cert.Issuer.String()))
	fmt.Fprintf(&text, "serial: %x\n", cert.SerialNumber)
	fmt.Fprintf(&text, "validity: %s to %s\n", cert.NotBefore.Format(time.RFC3339), cert.NotAfter.Format(time.RFC3339))
	fmt.Fprintf(&text, "key: %s\n", describeKey(cert))
	fmt.Fprintf(&text, "authority: %t\n", cert.BasicConstraintsValid && cert.IsCA)
	fmt.Fprintf(&text, "extended key usage: %s\n", describeUsage(cert))
	fmt.Fprintf(&text, "resources: %s", resources)
	if !amended.Blocks.IsZero() || !amended.ASIdentifiers.IsZero() {
		fmt.Fprintf(&text, "\nresources by RFC 8360: %s", amended)
	}
	return cert, text.String(), nil
}

// offsetOfValue is where the value of the extension starts in the certificate's
// DER, or 0 if that cannot be told.
func offsetOfValue(cert *x509.Certificate, extension pkix.Extension) int {
	// Together with the identifier, the value is found in one place only.
	whole, err := asn1.Marshal(extension)
	if err != nil {
		return 0
	}
	at := bytes.Index(cert.Raw, whole)
	if at < 0 {
		return 0
	}
	return at + len(whole) - len(extension.Value)
}

func describeKey(cert *x509.Certificate) string {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA, %d bits", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA, " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return "of an unknown algorithm"
}

// describeUsage names the extended key usages of SEND (RFC 6494 section 7), and
// numbers the others.
func describeUsage(cert *x509.Certificate) string {
	var usages []string
	for _, usage := range cert.ExtKeyUsage {
		usages = append(usages, usage.String())
	}
	for _, usage := range cert.UnknownExtKeyUsage {
		switch {
		case usage.Equal(x509ip.OIDSendRouter()):
			usages = append(usages, "sendRouter")
		case usage.Equal(x509ip.OIDSendProxiedRouter()):
			usages = append(usages, "sendProxiedRouter")
		case usage.Equal(x509ip.OIDSendOwner()):
			usages = append(usages, "sendOwner")
		case usage.Equal(x509ip.OIDSendProxiedOwner()):
			usages = append(usages, "sendProxiedOwner")
		default:
			usages = append(usages, usage.String())
		}
	}
	if len(usages) == 0 {
		return "not restricted"
	}
	return strings.Join(usages, ", ")
}

// describeOptions is the certificate options of a message, and what is in their
// certificates as far as it can be read.
func describeOptions(options certopt.Options) string {
	text := options.String()
	describe := func(title string, der []byte) {
		_, what, err := decodeCertificate(der)
		if err != nil {
			what = "cannot be read: " + oneLine(reason(err))
		}
		text += "\n" + title + ":\n  " + strings.ReplaceAll(what, "\n", "\n  ")
	}
	if len(options.Certificate) > 0 {
		describe("certificate", options.Certificate)
	}
	for der := range options.Chain.All() {
		describe("chain certificate", der)
	}
	return text
}
