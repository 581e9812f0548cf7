package main

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"io"
	"time"

	"dhcpsec.example/x509ip"
)

// outcome is what a case led to.
type outcome struct {
	got      certified
	verdicts []verdict
	checks   []check
}

// check is something that has to hold.
type check struct {
	what string
	ok   bool
}

// checks are those that both cases share.
func (s *setup) checks(o outcome, ca *authority) ([]check, error) {
	certificate := o.got.certificate
	certifies, err := x509ip.FromCertificate(certificate)
	if err != nil {
		return nil, err
	}
	delegated, err := x509ip.FromPrefixes(o.got.prefix.Prefix)
	if err != nil {
		return nil, err
	}
	_, pathErr := x509ip.Verify(certificate, x509ip.VerifyOptions{
		Roots: []*x509.Certificate{s.anchor.certificate}, Intermediates: o.got.chain, CurrentTime: time.Now(),
		KeyUsages: []asn1.ObjectIdentifier{x509ip.OIDSendRouter()},
	})
	issued := ca.issuanceOf(certificate)
	inside, outside := o.verdicts[0], o.verdicts[1]
	return []check{
		{"the certificate binds the delegated prefix, and nothing else", certifies.Equal(delegated)},
		{"the certificate is for the requesting router's key", s.routerKey.PublicKey.Equal(certificate.PublicKey)},
		{"the certificate names the requesting router's DUID", x509ip.NamesDUID(certificate.Subject.CommonName, s.routerDUID)},
		{"the certificate ends no later than the delegation", !certificate.NotAfter.After(o.got.ends())},
		{"the certificate leads to the trust anchor", pathErr == nil},
		{"possession of the key was proven to the certificate server", issued.proven},
		{"the requesting router may advertise inside the delegation", !o.got.advertise[inside.prefix].IsZero()},
		{"the requesting router may not advertise outside of it", o.got.advertise[outside.prefix].IsZero()},
		{"the host accepts the prefix inside", inside.accepted},
		{"the host rejects the prefix outside", !outside.accepted},
		{"the certificate was revoked when the prefix was released", issued.revoked},
	}, nil
}

// report prints what was obtained, what the host said, and the checks. It says
// whether all of them held.
func (o outcome) report(out io.Writer) bool {
	if certificate := o.got.certificate; certificate != nil {
		resources, _ := x509ip.FromCertificate(certificate)
		fmt.Fprintf(out, "\nObtained\n\n")
		for _, line := range [][2]string{
			{"prefix", o.got.prefix.Prefix.String()},
			{"lifetimes", fmt.Sprintf("preferred %s, valid %s", o.got.prefix.Preferred, o.got.prefix.Valid)},
			{"subject", certificate.Subject.String()},
			{"issuer", certificate.Issuer.String()},
			{"resources", resources.String()},
			{"valid from", utc(certificate.NotBefore)},
			{"valid until", utc(certificate.NotAfter)},
		} {
			fmt.Fprintf(out, "  %-12s  %s\n", line[0], line[1])
		}
	}
	if len(o.verdicts) > 0 {
		fmt.Fprintf(out, "\nThe host's verdict on what the router advertised\n\n")
	}
	for _, v := range o.verdicts {
		said := "rejected"
		if v.accepted {
			said = "accepted"
		}
		fmt.Fprintf(out, "  %-24s  %s: %s\n", v.prefix, said, v.why)
	}
	fmt.Fprintf(out, "\nChecks\n\n")
	allHeld := true
	for _, c := range o.checks {
		said := "ok"
		if !c.ok {
			said, allHeld = "FAILED", false
		}
		fmt.Fprintf(out, "  %-6s  %s\n", said, c.what)
	}
	return allHeld
}
