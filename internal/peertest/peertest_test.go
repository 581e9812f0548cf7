package peertest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// recorder is a test that notes how Need ended it instead of ending.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Helper() {}

func (r *recorder) Skipf(format string, args ...any) { r.skipped = fmt.Sprintf(format, args...) }

func (r *recorder) Fatalf(format string, args ...any) { r.failed = fmt.Sprintf(format, args...) }

func TestNeedFindsACommandInPath(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "some-dhcp-server")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755))
	t.Setenv("PATH", dir)
	require.Equal(t, program, Need(t, "some-dhcp-server", "some-package"))
}

func TestNeedSkipsWithoutThePeer(t *testing.T) {
	t.Setenv("DHCPSEC_INTEROP", "")
	var r recorder
	require.Empty(t, Need(&r, "no-such-dhcp-server", "some-package"))
	require.Contains(t, r.skipped, "no-such-dhcp-server")
	require.Contains(t, r.skipped, "Debian package some-package")
	require.Empty(t, r.failed)
}

func TestNeedFailsWithoutThePeerWhenRequired(t *testing.T) {
	t.Setenv("DHCPSEC_INTEROP", "require")
	var r recorder
	require.Empty(t, Need(&r, "no-such-dhcp-server", "some-package"))
	require.Contains(t, r.failed, "no-such-dhcp-server")
	require.Contains(t, r.failed, "Debian package some-package")
	require.Empty(t, r.skipped)
}

func TestFreeUDPPortCanBeBound(t *testing.T) {
	port := FreeUDPPort(t)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}
