// Package peertest is what the interop tests of this module share: they talk to
// real DHCP servers, OpenSSL and tshark where those are installed, and are
// skipped where they are not.
//
// With DHCPSEC_INTEROP=require in the environment a missing peer is a failure
// instead, so that a test run that was meant to prove something cannot pass by
// skipping it.
package peertest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Need is the path of command, the program of a peer. If it is not installed the
// test ends here: skipped, or failed with DHCPSEC_INTEROP=require, either way
// naming the Debian package that has it.
func Need(t testing.TB, command, debianPackage string) string {
	t.Helper()
	path, ok := find(command)
	switch {
	case ok:
	case os.Getenv("DHCPSEC_INTEROP") == "require":
		t.Fatalf("DHCPSEC_INTEROP=require, and %s is missing: install the Debian package %s", command, debianPackage)
	default:
		t.Skipf("%s is missing: install the Debian package %s", command, debianPackage)
	}
	return path
}

// find looks in PATH, then where Debian puts daemons: an ordinary user's PATH
// has no sbin.
func find(command string) (path string, ok bool) {
	for _, name := range []string{command, filepath.Join("/usr/sbin", command), filepath.Join("/sbin", command)} {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	return "", false
}

// FreeUDPPort is a UDP port that no IPv4 or IPv6 socket of this machine uses.
// Nothing reserves it: start the peer that gets it at once.
func FreeUDPPort(t testing.TB) int {
	t.Helper()
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		t.Fatalf("no free UDP port: %v", err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).Port
}
