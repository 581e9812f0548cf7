package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/netip"
	"time"

	"dhcpsec.example/x509ip"
)

// setup is what each actor has and knows before the first message.
type setup struct {
	routerDUID, delegatorDUID []byte
	routerKey, impostorKey    *rsa.PrivateKey
	pool                      netip.Prefix // what the delegating router delegates
	anchor, issuing           identity     // of the certificate server
	ra                        identity     // of the delegating router
	hostAnchor                *x509.Certificate
	registered                registeredKeys // with the certificate server
}

// identity is a key with the certificate for it.
type identity struct {
	key         *rsa.PrivateKey
	certificate *x509.Certificate
}

// newSetup makes keys and certificates, valid for a day from now on.
func newSetup(now time.Time) (*setup, error) {
	s := &setup{
		routerDUID:    []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1}, // DUID-LL (RFC 8415 section 11.4)
		delegatorDUID: []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 2},
		pool:          netip.MustParsePrefix("2001:db8:8000::/40"),
	}
	var err error
	for _, key := range []**rsa.PrivateKey{&s.anchor.key, &s.issuing.key, &s.ra.key, &s.routerKey, &s.impostorKey} {
		if *key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return nil, err
		}
	}
	// The trust anchor holds all the addresses, the issuing authority those that
	// the delegating router delegates. "CA trusts DR thru some (unspecified) DR
	// certification process" (slide 9): here that is a certificate for its key.
	if err = s.anchor.certify(authorityTemplate("Trust anchor", netip.MustParsePrefix("2001:db8::/32")), &s.anchor, now); err != nil {
		return nil, err
	}
	if err = s.issuing.certify(authorityTemplate("Issuing authority", s.pool), &s.anchor, now); err != nil {
		return nil, err
	}
	if err = s.ra.certify(raTemplate(s.pool), &s.issuing, now); err != nil {
		return nil, err
	}
	s.hostAnchor = s.anchor.certificate
	spki, err := x509.MarshalPKIXPublicKey(&s.routerKey.PublicKey)
	if err != nil {
		return nil, err
	}
	s.registered = registeredKeys{string(s.routerDUID): sha256.Sum256(spki)}
	return s, nil
}

// template makes what x509.CreateCertificate wants.
type template func(pub *rsa.PublicKey, serial *big.Int, notBefore, notAfter time.Time) (*x509.Certificate, error)

// certify gets i its certificate from issuer, which may be i.
func (i *identity) certify(t template, issuer *identity, now time.Time) error {
	serial, err := newSerial()
	if err != nil {
		return err
	}
	certificate, err := t(&i.key.PublicKey, serial, now.Add(-time.Minute), now.Add(24*time.Hour))
	if err != nil {
		return err
	}
	parent := issuer.certificate
	if parent == nil {
		parent = certificate
	}
	der, err := x509.CreateCertificate(rand.Reader, certificate, parent, &i.key.PublicKey, issuer.key)
	if err != nil {
		return err
	}
	i.certificate, err = x509.ParseCertificate(der)
	return err
}

func authorityTemplate(name string, holds netip.Prefix) template {
	return func(pub *rsa.PublicKey, serial *big.Int, notBefore, notAfter time.Time) (*x509.Certificate, error) {
		blocks, err := x509ip.FromPrefixes(holds)
		if err != nil {
			return nil, err
		}
		return x509ip.AuthorityCertificate(pub, name, blocks, serial, notBefore, notAfter)
	}
}

// raTemplate is not one of x509ip's: a registration authority is no router, nor
// does it issue certificates itself.
func raTemplate(delegates netip.Prefix) template {
	return func(_ *rsa.PublicKey, serial *big.Int, notBefore, notAfter time.Time) (*x509.Certificate, error) {
		blocks, err := x509ip.FromPrefixes(delegates)
		if err != nil {
			return nil, err
		}
		extension, err := blocks.Extension()
		return &x509.Certificate{
			SerialNumber:       serial,
			Subject:            pkix.Name{CommonName: "Delegating router"},
			NotBefore:          notBefore,
			NotAfter:           notAfter,
			KeyUsage:           x509.KeyUsageDigitalSignature,
			UnknownExtKeyUsage: []asn1.ObjectIdentifier{oidRegistrationAuthority()},
			ExtraExtensions:    []pkix.Extension{extension},
		}, err
	}
}
