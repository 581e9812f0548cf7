package main

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hostWithPath is a host that knows the certificate of routerKey.
func hostWithPath(t *testing.T, s setup) *host {
	t.Helper()
	ca := newTestAuthority(t, s)
	chain, err := ca.handleEnroll(nil, request(t, routerName, s.routerKey, delegated))
	require.NoError(t, err)
	h := newHost(nil, s.hostAnchor, &ladder{out: io.Discard})
	h.solicited = 7
	require.NoError(t, h.collect(component{id: 7, all: 2, index: 1, certificate: chain[1]}))
	require.Nil(t, h.certificate, "the path is not complete")
	require.NoError(t, h.collect(component{id: 7, all: 2, index: 0, certificate: chain[0]}))
	require.NotNil(t, h.certificate)
	return h
}

func received(t *testing.T, h *host, p packet) verdict {
	t.Helper()
	require.NoError(t, h.receive(datagram{data: p.bytes()}))
	require.Len(t, h.verdicts, 1)
	return <-h.verdicts
}

func TestHostBelievesTheCertifiedKeyOnly(t *testing.T) {
	s := newTestSetup(t)
	h := hostWithPath(t, s)
	require.True(t, received(t, h, signedRA(t, s.routerKey, time.Now())).accepted)
	require.Equal(t, verdict{anyPrefix, false, "not signed with the certified key"},
		received(t, h, signedRA(t, s.impostorKey, time.Now())))

	stolen := signedRA(t, s.impostorKey, time.Now())
	hash, err := keyHash(&s.routerKey.PublicKey)
	require.NoError(t, err)
	other, err := keyHash(&s.impostorKey.PublicKey)
	require.NoError(t, err)
	stolen.icmp = bytes.Replace(stolen.icmp, other[:], hash[:], 1)
	require.False(t, received(t, h, stolen).accepted, "the right key hash over a wrong signature")
}

func TestHostBelievesNoOldAdvertisement(t *testing.T) { // RFC 3971 section 5.3.4.2
	s := newTestSetup(t)
	h := hostWithPath(t, s)
	for _, age := range []time.Duration{timestampDelta + time.Second, -timestampDelta - time.Second} {
		require.Equal(t, verdict{anyPrefix, false, "its timestamp is not of now"},
			received(t, h, signedRA(t, s.routerKey, time.Now().Add(-age))))
	}
	require.True(t, received(t, h, signedRA(t, s.routerKey, time.Now().Add(-timestampDelta+time.Minute))).accepted)
}

func TestHostTakesNoPathThatItDidNotAskFor(t *testing.T) {
	s := newTestSetup(t)
	h := newHost(nil, s.hostAnchor, &ladder{out: io.Discard})
	const want = "a certification path that was not asked for"
	require.EqualError(t, h.collect(component{id: 0, certificate: s.ra.certificate.Raw}), want)
	h.solicited = 7
	require.EqualError(t, h.collect(component{id: 8, certificate: s.ra.certificate.Raw}), want)
	for range maxPath {
		require.NoError(t, h.collect(component{id: 7, index: 1, certificate: s.ra.certificate.Raw}))
	}
	require.Error(t, h.collect(component{id: 7, index: 1, certificate: s.ra.certificate.Raw}), "a path without end")
	require.Nil(t, h.certificate)
}

func TestHostRejectsPathsThatLeadNowhere(t *testing.T) {
	s := newTestSetup(t)
	ca := newTestAuthority(t, s)
	chain, err := ca.handleEnroll(nil, request(t, routerName, s.routerKey, delegated))
	require.NoError(t, err)
	for _, tt := range []struct {
		name string
		path [][]byte
	}{
		{"no certificate at all", [][]byte{nil}},
		{"the issuer's is missing", [][]byte{chain[0]}},
		{"not a router's certificate", [][]byte{chain[1], s.ra.certificate.Raw}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(nil, s.hostAnchor, &ladder{out: io.Discard})
			a, err := parseRouterAdvertisement(signedRA(t, s.routerKey, time.Now()))
			require.NoError(t, err)
			h.solicited, h.pending = 7, []advertisement{a}
			for i, der := range tt.path {
				require.NoError(t, h.collect(component{id: 7, index: uint16(len(tt.path) - 1 - i), certificate: der}))
			}
			require.Len(t, h.verdicts, 1)
			require.False(t, (<-h.verdicts).accepted)
			require.Nil(t, h.certificate)
			require.Zero(t, h.solicited, "it may ask again")
		})
	}
}
