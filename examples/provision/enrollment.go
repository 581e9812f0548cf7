package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"dhcpsec.example/x509ip"
)

// How routers speak to the certificate server. The slides name CERT_REQUEST and
// CERT_REPLY and leave the protocol open; here it is a small one over HTTP, behind
// two interfaces, so that another (CMP, RFC 4210) can take its place:
//
//	POST /enroll  PKCS #10 in DER                            by a requesting router (Case 1)
//	POST /ra      raRequest in JSON, signed by the RA's key  by a delegating router
//
// The answer is a certificate and its chain as application/pem-certificate-chain
// (RFC 8555 section 9.1), empty where none was asked for, or an error with a line
// of text.

// enroller obtains a certificate for the key that it holds.
type enroller interface {
	enroll(ctx context.Context, uri string, duid []byte, prefixes []netip.Prefix) (chain [][]byte, err error)
}

// registrationAuthority is what a delegating router has a certificate server do.
type registrationAuthority interface {
	ask(ctx context.Context, r raRequest) (chain [][]byte, err error)
}

// raRequest is a request by a registration authority.
type raRequest struct {
	Op   raOperation `json:"op"`
	Time time.Time   `json:"time"` // when it was made: an old one may be a replay

	DUID      []byte         `json:"duid,omitempty"`
	Prefixes  []netip.Prefix `json:"prefixes,omitempty"`
	NotBefore time.Time      `json:"notBefore,omitzero"`
	NotAfter  time.Time      `json:"notAfter,omitzero"` // zero: no end

	Key []byte `json:"key,omitempty"` // DER SubjectPublicKeyInfo
	// Proven is raVerified of RFC 4211 section 4: the RA has verified that the
	// requester holds the private key.
	Proven bool `json:"raVerified,omitempty"`

	Certificate []byte `json:"certificate,omitempty"` // DER
}

// raOperation says which fields of a raRequest are set.
type raOperation string

const (
	opBind   raOperation = "bind"   // DUID, Prefixes, NotAfter
	opUnbind raOperation = "unbind" // DUID, Prefixes
	opIssue  raOperation = "issue"  // DUID, Prefixes, NotBefore, NotAfter, Key, Proven
	opRevoke raOperation = "revoke" // Certificate
)

// The headers that authenticate a raRequest: base64 of the RA's certificate, and
// of its signature (PKCS #1 v1.5, SHA-256) over the body.
const (
	headerRACertificate = "RA-Certificate"
	headerRASignature   = "RA-Signature"
)

// maxBody bounds what either side reads of the other.
const maxBody = 64 << 10

// pkcs10 enrols by PKCS #10, whose signature proves possession of the key.
type pkcs10 struct {
	who    node
	key    *rsa.PrivateKey
	ladder *ladder
}

func (e pkcs10) enroll(ctx context.Context, uri string, duid []byte, prefixes []netip.Prefix) ([][]byte, error) {
	// CERT_REQUEST [DN=DUID, key, prefix], as slide 5 has it.
	name, err := x509ip.DUIDName(duid)
	if err != nil {
		return nil, err
	}
	blocks, err := x509ip.FromPrefixes(prefixes...)
	if err != nil {
		return nil, err
	}
	extension, err := blocks.Extension()
	if err != nil {
		return nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:         pkix.Name{CommonName: name},
		ExtraExtensions: []pkix.Extension{extension},
	}, e.key)
	if err != nil {
		return nil, err
	}
	e.ladder.message(e.who, nodeCA, "CERT_REQUEST", fmt.Sprintf("subject %q, RSA %d bits, signed with it", name, e.key.N.BitLen()), blocks.String())
	chain, err := post(ctx, e.ladder.capture, e.who, uri, http.Header{"Content-Type": {"application/pkcs10"}}, csr)
	reply(e.ladder, e.who, chain, err)
	return chain, err
}

// raClient is the registrationAuthority of a delegating router.
type raClient struct {
	uri    string
	ra     identity
	ladder *ladder
}

func (c raClient) ask(ctx context.Context, r raRequest) ([][]byte, error) {
	r.Time = time.Now()
	header, body, err := r.sign(c.ra)
	if err != nil {
		return nil, err
	}
	c.print(r)
	chain, err := post(ctx, c.ladder.capture, nodeDR, c.uri, header, body)
	if r.Op == opIssue || err != nil {
		reply(c.ladder, nodeDR, chain, err)
	}
	return chain, err
}

// sign makes the request that ra sends.
func (r raRequest) sign(ra identity) (http.Header, []byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, nil, err
	}
	digest := sha256.Sum256(body)
	signature, err := rsa.SignPKCS1v15(nil, ra.key, crypto.SHA256, digest[:])
	if err != nil {
		return nil, nil, err
	}
	header := make(http.Header)
	header.Set("Content-Type", "application/json")
	header.Set(headerRACertificate, base64.StdEncoding.EncodeToString(ra.certificate.Raw))
	header.Set(headerRASignature, base64.StdEncoding.EncodeToString(signature))
	return header, body, nil
}

func (c raClient) print(r raRequest) {
	name, _ := x509ip.DUIDName(r.DUID)
	subject := fmt.Sprintf("subject %q", name)
	prefixes := strings.Trim(fmt.Sprint(r.Prefixes), "[]")
	until := "until " + utc(r.NotAfter)
	switch r.Op {
	case opBind:
		c.ladder.message(nodeDR, nodeCA, "BINDING", subject, prefixes, until)
	case opUnbind:
		c.ladder.message(nodeDR, nodeCA, "BINDING_ENDS", subject, prefixes)
	case opIssue:
		proof := "possession not proven"
		if r.Proven {
			proof = "possession proven"
		}
		c.ladder.message(nodeDR, nodeCA, "CERT_REQUEST", subject+", "+keyText(r.Key)+", "+proof, prefixes, until)
	case opRevoke:
		c.ladder.message(nodeDR, nodeCA, "REVOKE", "certificate "+certificateText(r.Certificate))
	}
}

// reply prints what the certificate server answered.
func reply(l *ladder, to node, chain [][]byte, err error) {
	if err != nil {
		l.message(nodeCA, to, "CERT_REPLY", err.Error())
		return
	}
	details := []string{"certificate " + certificateText(chain[0])}
	for _, der := range chain[1:] {
		details = append(details, "certificate chain: "+certificateText(der))
	}
	l.message(nodeCA, to, "CERT_REPLY", details...)
}

// errRefused is the certificate server's no.
var errRefused = errors.New("refused")

// post sends body to uri and returns the certificates of the answer. Each
// exchange has a connection of its own.
func post(ctx context.Context, c *capture, who node, uri string, header http.Header, body []byte) ([][]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = header
	client := http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: c.dialer(who)},
		// The certificate server is the one that was named, and no other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %q", errRefused, bytes.TrimSpace(text))
	}
	var chain [][]byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		chain = append(chain, block.Bytes)
	}
	return chain, nil
}

// utc is how this program prints a time.
func utc(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}
