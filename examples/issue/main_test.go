package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/peertest"
	"dhcpsec.example/x509ip"
)

const duid = "00030001020304050607"

// issueIn runs the program; names of files begin with dir.
func issueIn(dir string, args ...string) (status int, stdout, stderr string) {
	for i, a := range args {
		if i == len(args)-1 && i > 0 || i > 0 && args[i-1] == "-issuer" {
			args[i] = filepath.Join(dir, a)
		}
	}
	var out, errs bytes.Buffer
	status = run(args, time.Now(), &out, &errs)
	return status, out.String(), errs.String()
}

// issueAll makes a path of three and returns the name of the router's files.
func issueAll(t *testing.T, dir string, extra ...string) string {
	t.Helper()
	for _, args := range [][]string{
		{"anchor", "-name", "Trust anchor", "-blocks", "10.0.0.0/8, 2001:db8::/32", "-as", "AS64496-64511", "anchor"},
		{"authority", "-issuer", "anchor", "-name", "ISP", "-blocks", "IPv6 inherit", "-as", "AS64496", "isp"},
		{"router", "-issuer", "isp", "-duid", duid, "-blocks", "2001:db8:0:100::/56", "-days", "90", "router"},
	} {
		args = append(args[:len(args)-1:len(args)-1], append(extra, args[len(args)-1])...)
		status, stdout, stderr := issueIn(dir, args...)
		require.Zero(t, status, stderr)
		require.Contains(t, stdout, " holds ")
	}
	return filepath.Join(dir, "router")
}

func readChain(t *testing.T, file string) []*x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(file + ".chain.pem")
	require.NoError(t, err)
	var chain []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		chain = append(chain, c)
	}
	return chain
}

func TestIssue(t *testing.T) {
	for profile, extra := range map[x509ip.Profile][]string{
		x509ip.ProfileLocal:  nil,
		x509ip.ProfileStrict: {"-repository", "rsync://rpki.example/repository"},
	} {
		t.Run(profile.String(), func(t *testing.T) {
			chain := readChain(t, issueAll(t, t.TempDir(), extra...))
			require.Len(t, chain, 3)
			require.Equal(t, duid, chain[0].Subject.CommonName)
			require.False(t, chain[0].NotAfter.After(chain[1].NotAfter), "no longer than its issuer's")
			paths, err := x509ip.Verify(chain[0], x509ip.VerifyOptions{
				Roots: chain[2:], Intermediates: chain[1:2], CurrentTime: time.Now(), Profile: profile,
			})
			require.NoError(t, err)
			held, err := x509ip.VerifiedBlocks(paths[0])
			require.NoError(t, err)
			require.Equal(t, "2001:db8:0:100::/56", held.String())
		})
	}
}

func TestKeysArePrivateAndKept(t *testing.T) {
	dir := t.TempDir()
	issueAll(t, dir)
	info, err := os.Stat(filepath.Join(dir, "isp.key"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	before, err := os.ReadFile(filepath.Join(dir, "isp.key"))
	require.NoError(t, err)
	status, _, stderr := issueIn(dir, "authority", "-issuer", "anchor", "-name", "ISP", "-blocks", "2001:db8::/40", "isp")
	require.Equal(t, statusFailed, status)
	require.Contains(t, stderr, "exists")
	after, err := os.ReadFile(filepath.Join(dir, "isp.key"))
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestNothingIsLeftOfAFailure(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.chain.pem"), nil, 0o600))
	status, _, stderr := issueIn(dir, "anchor", "-name", "x", "-blocks", "::/0", "a")
	require.Equal(t, statusFailed, status)
	require.Contains(t, stderr, "exists")
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1)
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	issueAll(t, dir)
	for name, tt := range map[string]struct {
		status int
		args   []string
		stderr string
	}{
		"nothing":               {statusUsage, nil, "usage"},
		"help":                  {statusOK, []string{"-h"}, "-blocks"},
		"another kind":          {statusUsage, []string{"host", "-name", "x", "x"}, "anchor, an authority or a router"},
		"no file":               {statusUsage, []string{"anchor", "-name", "x"}, "files"},
		"no issuer":             {statusUsage, []string{"authority", "-name", "x", "x"}, "issuer"},
		"issuer of an anchor":   {statusUsage, []string{"anchor", "-issuer", "anchor", "-name", "x", "x"}, "issuer"},
		"router with a name":    {statusUsage, []string{"router", "-issuer", "isp", "-duid", duid, "-name", "x", "x"}, "its DUID"},
		"no DUID":               {statusUsage, []string{"router", "-issuer", "isp", "x"}, "DUID"},
		"days":                  {statusUsage, []string{"anchor", "-name", "x", "-days", "0", "x"}, "-days"},
		"blocks that are none":  {statusUsage, []string{"anchor", "-name", "x", "-blocks", "10.0.0.1", "x"}, "neither prefix nor range"},
		"unknown flag":          {statusUsage, []string{"anchor", "-not", "x"}, "not defined"},
		"DUID that is not hex":  {statusFailed, []string{"router", "-issuer", "isp", "-duid", "xy", "-blocks", "2001:db8::/56", "x"}, "not hex"},
		"DUID that is too long": {statusFailed, []string{"router", "-issuer", "isp", "-duid", "00", "-blocks", "2001:db8::/56", "x"}, "DUID"},
		"no resources":          {statusFailed, []string{"anchor", "-name", "x", "x"}, "no resources"},
		"anchor that inherits":  {statusFailed, []string{"anchor", "-name", "x", "-blocks", "IPv6 inherit", "x"}, "nothing to inherit"},
		"more than held":        {statusFailed, []string{"router", "-issuer", "anchor", "-duid", duid, "-blocks", "2001:db9::/56", "x"}, "not held"},
		"more than inherited":   {statusFailed, []string{"router", "-issuer", "isp", "-duid", duid, "-blocks", "2001:db9::/56", "x"}, "not held"},
		"router as issuer":      {statusFailed, []string{"router", "-issuer", "router", "-duid", duid, "-blocks", "2001:db8::/56", "x"}, "no authority"},
		"issuer that is not":    {statusFailed, []string{"router", "-issuer", "nobody", "-duid", duid, "-blocks", "2001:db8::/56", "x"}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, stderr := issueIn(dir, tt.args...)
			require.Equal(t, tt.status, status, stderr)
			require.Contains(t, stderr, tt.stderr)
			require.NoFileExists(t, filepath.Join(dir, "x.key"))
		})
	}
}

func TestInteropFiles(t *testing.T) {
	openssl := peertest.Need(t, "openssl", "openssl")
	tshark := peertest.Need(t, "tshark", "tshark")
	dir := t.TempDir()
	router := issueAll(t, dir)

	out, err := exec.Command(openssl, "verify", "-trusted", filepath.Join(dir, "anchor.pem"), "-untrusted", filepath.Join(dir, "isp.pem"), router+".pem").CombinedOutput()
	require.NoError(t, err, "%s", out)
	out, err = exec.Command(openssl, "pkey", "-noout", "-check", "-in", router+".key").CombinedOutput()
	require.NoError(t, err, "%s", out)

	out, err = exec.Command(tshark, "-r", router+".pem", "-V").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "IPAddrBlocks")
	require.Contains(t, string(out), duid)
}
