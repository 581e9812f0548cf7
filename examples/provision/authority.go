package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"dhcpsec.example/x509ip"
)

// authority is the certificate server. "CA trust the DR but does not trust the RR"
// (slide 6): it takes from the delegating router which prefix is delegated to
// which DUID, and lets a requesting router prove that it is the one with that DUID.
type authority struct {
	anchor     *x509.Certificate
	issuing    identity // under the anchor
	requesters requesterVerifier

	mu       sync.Mutex
	bindings map[string]binding   // by subject common name
	issued   map[string]*issuance // by serial number
	latest   time.Time            // of the delegating router's last request
}

// binding is what a delegating router says of a requesting router.
type binding struct {
	subject  string // common name, which stands for the DUID
	duid     []byte
	prefixes []netip.Prefix
	notAfter time.Time // zero: no end
}

// issuance is a certificate issued, and what becomes of it.
type issuance struct {
	subject string
	proven  bool // possession of the key was proven
	revoked bool
}

// requesterVerifier says whether somebody with this key is the requesting router
// with this DUID. DHCPv6 does not tell: "must verify the binding between the
// certificate requester and the RR" (slide 6).
type requesterVerifier interface {
	verify(duid, spki []byte) error
}

// registeredKeys is the "manual verification" of slide 7: somebody entered the
// SHA-256 of the public key of each DUID. Without an entry the answer is no.
type registeredKeys map[string][sha256.Size]byte

func (r registeredKeys) verify(duid, spki []byte) error {
	if sum, ok := r[string(duid)]; !ok || sum != sha256.Sum256(spki) {
		return errors.New("the key is not the one registered for this DUID")
	}
	return nil
}

func newAuthority(anchor *x509.Certificate, issuing identity, requesters requesterVerifier) *authority {
	return &authority{
		anchor: anchor, issuing: issuing, requesters: requesters,
		bindings: make(map[string]binding), issued: make(map[string]*issuance),
	}
}

// run serves until ctx ends.
func (c *authority) run(ctx context.Context, listener net.Listener) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /enroll", serve(c.handleEnroll))
	mux.HandleFunc("POST /ra", serve(c.handleRA))
	server := http.Server{Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	server.Serve(listener) // until Close
}

// serve makes an HTTP handler of a function from the body of a request to
// certificates in DER.
func serve(handle func(header http.Header, body []byte) ([][]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, "body too large or cut short", http.StatusBadRequest)
			return
		}
		chain, err := handle(r.Header, body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		for _, der := range chain {
			pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: der})
		}
	}
}

// handleEnroll certifies a requesting router that a CA pointer sent here (Case 1).
func (c *authority) handleEnroll(_ http.Header, body []byte) ([][]byte, error) {
	csr, err := x509.ParseCertificateRequest(body)
	if err != nil {
		return nil, errors.New("not a PKCS #10 certification request")
	}
	if err := checkKey(csr.PublicKey); err != nil {
		return nil, err
	}
	// "CAs/RAs MUST enforce POP by some means" (RFC 4210 section 4.3).
	if csr.CheckSignature() != nil {
		return nil, errors.New("possession of the key is not proven")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.bindings[csr.Subject.CommonName]
	if !ok || !b.notAfter.IsZero() && !b.notAfter.After(time.Now()) {
		return nil, errors.New("no delegation to this subject is known")
	}
	if c.requesters == nil {
		return nil, errors.New("no requester is trusted")
	}
	if err := c.requesters.verify(b.duid, csr.RawSubjectPublicKeyInfo); err != nil {
		return nil, err
	}
	delegated, err := x509ip.FromPrefixes(b.prefixes...)
	if err != nil {
		return nil, err
	}
	if requested, err := requestedBlocks(csr); err != nil || !requested.Equal(delegated) {
		return nil, errors.New("the prefixes are not those delegated")
	}
	return c.issue(b, csr.PublicKey, true, delegated, time.Now())
}

// requestedBlocks is what a certification request wants certified.
func requestedBlocks(csr *x509.CertificateRequest) (x509ip.Blocks, error) {
	for _, e := range csr.Extensions {
		if e.Id.Equal(x509ip.OIDIPAddrBlocks()) {
			return x509ip.Parse(e.Value)
		}
	}
	return x509ip.Blocks{}, x509ip.ErrNoExtension
}

// isReplay says that a request of the delegating router, which sends one after the
// other, is not newer than those before.
func (c *authority) isReplay(at time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !at.After(c.latest) {
		return true
	}
	c.latest = at
	return false
}

// handleRA does what a delegating router asks for.
func (c *authority) handleRA(header http.Header, body []byte) ([][]byte, error) {
	pool, err := c.authenticate(header, body)
	if err != nil {
		return nil, err
	}
	var r raRequest
	if json.Unmarshal(body, &r) != nil {
		return nil, errors.New("not a request")
	}
	if age := time.Since(r.Time).Abs(); age > time.Minute {
		return nil, errors.New("the request is too old")
	}
	if c.isReplay(r.Time) {
		return nil, errors.New("the request is not newer than the last one")
	}
	if r.Op == opRevoke {
		return nil, c.revoke(r.Certificate, pool)
	}
	subject, err := x509ip.DUIDName(r.DUID)
	if err != nil {
		return nil, err
	}
	blocks, err := x509ip.FromPrefixes(r.Prefixes...)
	if err != nil || blocks.IsZero() || !pool.Covers(blocks) {
		return nil, errors.New("the prefixes are not this delegating router's to delegate")
	}
	b := binding{subject, r.DUID, r.Prefixes, r.NotAfter}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r.Op {
	case opBind:
		c.bindings[subject] = b
		return nil, nil
	case opUnbind:
		if !slices.Equal(c.bindings[subject].prefixes, r.Prefixes) {
			return nil, nil // that one is over already
		}
		delete(c.bindings, subject)
		for _, i := range c.issued {
			i.revoked = i.revoked || i.subject == subject
		}
		return nil, nil
	case opIssue:
		if !r.Proven {
			return nil, errors.New("possession of the key is not proven")
		}
		key, err := x509.ParsePKIXPublicKey(r.Key)
		if err != nil {
			return nil, errors.New("the key does not parse")
		}
		if err := checkKey(key); err != nil {
			return nil, err
		}
		return c.issue(b, key, r.Proven, blocks, r.NotBefore)
	default:
		return nil, errors.New("unknown operation")
	}
}

// authenticate finds out whether a request is from a registration authority that
// this certificate server certified, and returns the addresses it may delegate.
func (c *authority) authenticate(header http.Header, body []byte) (x509ip.Blocks, error) {
	denied := errors.New("not from a registration authority")
	der, err1 := base64.StdEncoding.DecodeString(header.Get(headerRACertificate))
	signature, err2 := base64.StdEncoding.DecodeString(header.Get(headerRASignature))
	if err1 != nil || err2 != nil {
		return x509ip.Blocks{}, denied
	}
	ra, err := x509.ParseCertificate(der)
	if err != nil {
		return x509ip.Blocks{}, denied
	}
	paths, err := x509ip.Verify(ra, x509ip.VerifyOptions{
		Roots: []*x509.Certificate{c.anchor}, Intermediates: []*x509.Certificate{c.issuing.certificate},
		CurrentTime: time.Now(), KeyUsages: []asn1.ObjectIdentifier{oidRegistrationAuthority()},
	})
	if err != nil || ra.CheckSignature(x509.SHA256WithRSA, body, signature) != nil {
		return x509ip.Blocks{}, denied
	}
	return x509ip.VerifiedBlocks(paths[0])
}

// oidRegistrationAuthority is id-kp-cmcRA, the extended key usage of an RA (RFC 6402
// section 2.10).
func oidRegistrationAuthority() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 28}
}

// issue makes the certificate, which ends with the delegation or the issuing
// authority, whichever is first. c.mu is held.
func (c *authority) issue(b binding, key any, proven bool, blocks x509ip.Blocks, notBefore time.Time) ([][]byte, error) {
	notAfter := c.issuing.certificate.NotAfter
	if !b.notAfter.IsZero() && b.notAfter.Before(notAfter) {
		notAfter = b.notAfter
	}
	notBefore, notAfter = notBefore.Truncate(time.Second).UTC(), notAfter.Truncate(time.Second).UTC()
	if !notAfter.After(time.Now()) {
		return nil, errors.New("the delegation, or this authority, has ended")
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template, err := x509ip.RouterCertificate(key, b.duid, blocks, serial, notBefore, notAfter)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.issuing.certificate, key, c.issuing.key)
	if err != nil {
		return nil, err
	}
	c.issued[serial.String()] = &issuance{subject: b.subject, proven: proven}
	return [][]byte{der, c.issuing.certificate.Raw}, nil
}

// checkKey refuses keys that SEND cannot use, and those that take long to use.
func checkKey(key any) error {
	if k, ok := key.(*rsa.PublicKey); !ok || k.N.BitLen() < 2048 || k.N.BitLen() > 8192 {
		return errors.New("the key is not RSA of 2048 to 8192 bits")
	}
	return nil
}

// revoke marks a certificate of ours. A product publishes a CRL, which hosts look
// at; here it only shows that the end of a delegation got this far.
func (c *authority) revoke(der []byte, pool x509ip.Blocks) error {
	certificate, err := x509.ParseCertificate(der)
	if err != nil || !bytes.Equal(certificate.RawIssuer, c.issuing.certificate.RawSubject) {
		return errors.New("not a certificate of this authority")
	}
	if held, err := x509ip.FromCertificate(certificate); err != nil || !pool.Covers(held) {
		return errors.New("the prefixes are not this delegating router's")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.issued[certificate.SerialNumber.String()]
	if i == nil {
		return errors.New("not a certificate of this authority")
	}
	i.revoked = true
	return nil
}

// issuanceOf is what the books say of a certificate.
func (c *authority) issuanceOf(certificate *x509.Certificate) issuance {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := c.issued[certificate.SerialNumber.String()]; i != nil {
		return *i
	}
	return issuance{}
}

// newSerial is a serial number that nobody guesses, of at most 20 octets.
func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	return serial.SetBit(serial, 126, 1), nil
}
