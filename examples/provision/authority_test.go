package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/x509ip"
)

var delegated = netip.MustParsePrefix("2001:db8:8000::/56")

// newTestAuthority knows of one delegation.
func newTestAuthority(t *testing.T, s setup) *authority {
	t.Helper()
	ca := newAuthority(s.anchor.certificate, s.issuing, s.registered)
	tellAuthority(t, s, ca, raRequest{Op: opBind, DUID: s.routerDUID, Prefixes: []netip.Prefix{delegated}, NotAfter: time.Now().Add(time.Hour)})
	return ca
}

func tellAuthority(t *testing.T, s setup, ca *authority, r raRequest) [][]byte {
	t.Helper()
	r.Time = time.Now()
	header, body, err := r.sign(s.ra)
	require.NoError(t, err)
	chain, err := ca.handleRA(header, body)
	require.NoError(t, err)
	return chain
}

// request is a PKCS #10 certification request; without prefixes it names none.
func request(t *testing.T, name string, key crypto.Signer, prefixes ...netip.Prefix) []byte {
	t.Helper()
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}
	if len(prefixes) > 0 {
		blocks, err := x509ip.FromPrefixes(prefixes...)
		require.NoError(t, err)
		extension, err := blocks.Extension()
		require.NoError(t, err)
		template.ExtraExtensions = []pkix.Extension{extension}
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	require.NoError(t, err)
	return csr
}

const routerName = "00030001020000000001"

func TestEnroll(t *testing.T) {
	s := newTestSetup(t)
	ca := newTestAuthority(t, s)
	chain, err := ca.handleEnroll(nil, request(t, routerName, s.routerKey, delegated))
	require.NoError(t, err)
	require.Len(t, chain, 2)
	certificate, err := x509.ParseCertificate(chain[0])
	require.NoError(t, err)
	require.False(t, certificate.NotAfter.After(time.Now().Add(time.Hour)), "it ends with the delegation")
	require.Equal(t, issuance{subject: routerName, proven: true}, ca.issuanceOf(certificate))

	tellAuthority(t, s, ca, raRequest{Op: opUnbind, DUID: s.routerDUID, Prefixes: []netip.Prefix{delegated}})
	require.True(t, ca.issuanceOf(certificate).revoked, "a certificate ends with what it stands for")
	_, err = ca.handleEnroll(nil, request(t, routerName, s.routerKey, delegated))
	require.EqualError(t, err, "no delegation to this subject is known")
}

func TestEnrollRefuses(t *testing.T) {
	s := newTestSetup(t)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	forged := request(t, routerName, s.routerKey, delegated)
	forged[len(forged)-1] ^= 1
	for _, tt := range []struct {
		name string
		body []byte
		keys requesterVerifier
		want string
	}{
		{"no certification request", []byte{0x30, 0}, s.registered, "not a PKCS #10 certification request"},
		{"possession not proven", forged, s.registered, "possession of the key is not proven"},
		{"unknown subject", request(t, "00030001020000000009", s.routerKey, delegated), s.registered, "no delegation to this subject is known"},
		{"another key", request(t, routerName, s.impostorKey, delegated), s.registered, "the key is not the one registered for this DUID"},
		{"no key registered", request(t, routerName, s.routerKey, delegated), registeredKeys{}, "the key is not the one registered for this DUID"},
		{"nobody trusted", request(t, routerName, s.routerKey, delegated), nil, "no requester is trusted"},
		{"a prefix around the one delegated", request(t, routerName, s.routerKey, netip.MustParsePrefix("2001:db8:8000::/55")), s.registered, "the prefixes are not those delegated"},
		{"a prefix within the one delegated", request(t, routerName, s.routerKey, subnet(delegated)), s.registered, "the prefixes are not those delegated"},
		{"no prefix", request(t, routerName, s.routerKey), s.registered, "the prefixes are not those delegated"},
		{"a key that SEND cannot use", request(t, routerName, ecKey, delegated), anyKey{}, "the key is not RSA of 2048 to 8192 bits"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ca := newTestAuthority(t, s)
			ca.requesters = tt.keys
			chain, err := ca.handleEnroll(nil, tt.body)
			require.EqualError(t, err, tt.want)
			require.Empty(t, chain)
			require.Empty(t, ca.issued)
		})
	}
}

// anyKey believes everybody.
type anyKey struct{}

func (anyKey) verify(_, _ []byte) error { return nil }

func TestEnrollAfterTheDelegation(t *testing.T) {
	s := newTestSetup(t)
	ca := newTestAuthority(t, s)
	tellAuthority(t, s, ca, raRequest{Op: opBind, DUID: s.routerDUID, Prefixes: []netip.Prefix{delegated}, NotAfter: time.Now().Add(-time.Second)})
	_, err := ca.handleEnroll(nil, request(t, routerName, s.routerKey, delegated))
	require.EqualError(t, err, "no delegation to this subject is known")
}

func TestRegistrationAuthorityIsRefused(t *testing.T) {
	s := newTestSetup(t)
	spki, err := x509.MarshalPKIXPublicKey(&s.routerKey.PublicKey)
	require.NoError(t, err)
	good := raRequest{
		Op: opIssue, Time: time.Now(), DUID: s.routerDUID, Prefixes: []netip.Prefix{delegated},
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), Key: spki, Proven: true,
	}
	router := identity{key: s.routerKey}
	{
		chain := tellAuthority(t, s, newTestAuthority(t, s), good)
		router.certificate, err = x509.ParseCertificate(chain[0])
		require.NoError(t, err)
	}
	foreign := identity{key: s.impostorKey}
	require.NoError(t, foreign.certify(raTemplate(s.pool), &identity{key: s.impostorKey}, time.Now()))

	const notRA = "not from a registration authority"
	for _, tt := range []struct {
		name  string
		by    identity
		spoil func(r *raRequest)
		want  string
	}{
		{"certified, but as a router", router, func(*raRequest) {}, notRA},
		{"certified by somebody else", foreign, func(*raRequest) {}, notRA},
		{"signed with another key", identity{s.impostorKey, s.ra.certificate}, func(*raRequest) {}, notRA},
		{"old", s.ra, func(r *raRequest) { r.Time = r.Time.Add(-2 * time.Minute) }, "the request is too old"},
		{"sent before the last one", s.ra, func(r *raRequest) { r.Time = r.Time.Add(-10 * time.Second) }, "the request is not newer than the last one"},
		{"a prefix outside its pool", s.ra, func(r *raRequest) { r.Prefixes = []netip.Prefix{netip.MustParsePrefix("2001:db8::/56")} }, "the prefixes are not this delegating router's to delegate"},
		{"no prefix", s.ra, func(r *raRequest) { r.Prefixes = nil }, "the prefixes are not this delegating router's to delegate"},
		{"possession not proven", s.ra, func(r *raRequest) { r.Proven = false }, "possession of the key is not proven"},
		{"no key", s.ra, func(r *raRequest) { r.Key = nil }, "the key does not parse"},
		{"in the past", s.ra, func(r *raRequest) { r.NotAfter = time.Now().Add(-time.Second) }, "the delegation, or this authority, has ended"},
		{"unknown operation", s.ra, func(r *raRequest) { r.Op = "bless" }, "unknown operation"},
		{"another authority's certificate to revoke", s.ra, func(r *raRequest) {
			*r = raRequest{Op: opRevoke, Time: r.Time, Certificate: s.anchor.certificate.Raw}
		}, "not a certificate of this authority"},
		{"a certificate that it never issued to revoke", s.ra, func(r *raRequest) {
			*r = raRequest{Op: opRevoke, Time: r.Time, Certificate: s.ra.certificate.Raw}
		}, "not a certificate of this authority"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ca := newTestAuthority(t, s)
			r := good
			r.Time = time.Now()
			tt.spoil(&r)
			header, body, err := r.sign(tt.by)
			require.NoError(t, err)
			chain, err := ca.handleRA(header, body)
			require.EqualError(t, err, tt.want)
			require.Empty(t, chain)
			require.Empty(t, ca.issued)
		})
	}
	_, err = newTestAuthority(t, s).handleRA(nil, []byte("{}"))
	require.EqualError(t, err, notRA, "without authentication")
}
