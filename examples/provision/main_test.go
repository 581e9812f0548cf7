package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/peertest"
)

// rung is a line of the ladder: elapsed ms, from, to, message.
var rung = regexp.MustCompile(`(?m)^ +[0-9.]+  (\w+) +-> (\w+) +(\S+)`)

// rungs are the arrows of a ladder, each where it first appears: what a slow
// machine retransmits changes nothing.
func rungs(output string) (arrows []string) {
	for _, m := range rung.FindAllStringSubmatch(output, -1) {
		if arrow := m[1] + " -> " + m[2] + " " + m[3]; !slices.Contains(arrows, arrow) {
			arrows = append(arrows, arrow)
		}
	}
	return arrows
}

// The arrows of slide 5, then what this program adds: an impostor, and the end.
func slide5() []string {
	return []string{
		"RR -> DR DHCP_SOLICIT", "DR -> RR DHCP_ADVERTISE", "RR -> DR DHCP_REQUEST",
		"DR -> CA BINDING", "DR -> RR DHCP_REPLY", "RR -> CA CERT_REQUEST", "CA -> RR CERT_REPLY",
		"RR -> host RA", "host -> RR CPS", "RR -> host CPA",
		"impostor -> CA CERT_REQUEST", "CA -> impostor CERT_REPLY",
		"RR -> DR DHCP_RELEASE", "DR -> CA BINDING_ENDS",
	}
}

// The arrows of slide 8, then the end.
func slide8() []string {
	return []string{
		"RR -> DR DHCP_SOLICIT", "DR -> RR DHCP_ADVERTISE", "RR -> DR DHCP_REQUEST",
		"DR -> CA CERT_REQUEST", "CA -> DR CERT_REPLY", "DR -> RR DHCP_REPLY",
		"RR -> host RA", "host -> RR CPS", "RR -> host CPA",
		"RR -> DR DHCP_RELEASE", "DR -> CA REVOKE",
	}
}

func TestBothCasesFollowTheSlidesAndSucceed(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	require.Equal(t, statusOK, run(nil, &stdout, &stderr), "%s%s", &stdout, &stderr)
	require.Empty(t, stderr.String())

	first, second, ok := strings.Cut(stdout.String(), "\nCase 2: ")
	require.True(t, ok, "both cases ran")
	require.Equal(t, slide5(), rungs(first))
	require.Equal(t, slide8(), rungs(second))

	require.Contains(t, first, "raw ICMPv6 needs root", "the output says what is not real")
	require.Contains(t, first, "CA pointer http://")
	require.Contains(t, second, "public key RSA 2048 bits, with proof of possession")
	require.Contains(t, first, `refused: "the key is not the one registered for this DUID"`)
	for _, output := range []string{first, second} {
		require.Contains(t, output, "IA_PD 1: 2001:db8:8000::/56 preferred 1800 s valid 3600 s")
		require.Regexp(t, `subject +SERIALNUMBER=[0-9a-f]{40},CN=00030001020000000001\n`, output)
		require.Regexp(t, `resources +2001:db8:8000::/56\n`, output)
		require.Regexp(t, `2001:db8:8000::/64 +accepted: `, output)
		require.Regexp(t, `2001:db8:8000:100::/64 +rejected: `, output)
		require.NotContains(t, output, "FAILED")
	}
}

func TestVerbosePrintsEveryOption(t *testing.T) {
	t.Parallel()
	var stdout bytes.Buffer
	require.Equal(t, statusOK, run([]string{"-v", "-case", "2"}, &stdout, io.Discard), "%s", &stdout)
	for _, want := range []string{
		"oro=82,65001,65003,65005", "server-id=00030001020000000002", "preference=255", "65002(294)",
		"option 3 Prefix Information", "option 12 RSA Signature", "option 15 Trust Anchor", "option 16 Certificate",
	} {
		require.Contains(t, stdout.String(), want)
	}
	require.NotContains(t, stdout.String(), "Case 1")
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{{"-case", "3"}, {"-nosuchflag"}, {"file"}} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, statusUsage, run(args, &stdout, &stderr), "%q", args)
		require.Empty(t, stdout.String())
		require.Contains(t, strings.ToLower(stderr.String()), "usage", "%q", args)
	}
	require.Equal(t, statusOK, run([]string{"-h"}, io.Discard, io.Discard))
}

func TestCaptureThatCannotBeWritten(t *testing.T) {
	var stderr bytes.Buffer
	file := filepath.Join(t.TempDir(), "no such folder", "a.pcap")
	require.Equal(t, statusFailed, run([]string{"-pcap", file}, io.Discard, &stderr))
	require.Contains(t, stderr.String(), "provision: ")

	c, err := newCapture(&failingWriter{after: 1})
	require.NoError(t, err)
	c.packet(make([]byte, 40))
	require.ErrorContains(t, c.close(), "disk full", "an error while recording is not lost")
}

// failingWriter takes a number of writes.
type failingWriter struct{ after int }

func (w *failingWriter) Write(b []byte) (int, error) {
	if w.after--; w.after < 0 {
		return 0, errors.New("disk full")
	}
	return len(b), nil
}

// sharedSetup saves each test the making of five RSA keys.
var sharedSetup = sync.OnceValues(func() (*setup, error) { return newSetup(time.Now()) })

// newTestSetup is a setup of the test's own, to be spoiled.
func newTestSetup(t *testing.T) setup {
	t.Helper()
	s, err := sharedSetup()
	require.NoError(t, err)
	return *s
}

func TestWhatFails(t *testing.T) {
	t.Parallel()
	longAgo := time.Now().Add(-48 * time.Hour)
	both := []provisioning{case1, case2}
	for _, tt := range []struct {
		name  string
		cases []provisioning
		spoil func(*testing.T, *setup)
		want  string
	}{
		{"somebody else's key is registered for the DUID", []provisioning{case1}, func(t *testing.T, s *setup) {
			s.registered = registeredKeys{}
		}, "FAILED  requesting router waited for a certificate: CertificateRejected: no certificate was issued"},
		{"the certificate server is told nothing it believes", []provisioning{case1}, func(t *testing.T, s *setup) {
			s.ra.certificate = s.issuing.certificate
		}, `refused: "no delegation to this subject is known"`},
		{"the delegating router is not a registration authority", []provisioning{case2}, func(t *testing.T, s *setup) {
			s.ra.certificate = s.issuing.certificate
		}, "FAILED  requesting router waited for a certificate: Failed: server delegates no prefix"},
		{"the trust anchor expired", both, func(t *testing.T, s *setup) {
			s.anchor.certificate = nil
			require.NoError(t, s.anchor.certify(authorityTemplate("Trust anchor", s.pool), &s.anchor, longAgo))
		}, "FAILED  requesting router waited for a certificate: "},
		{"hosts know another trust anchor", both, func(t *testing.T, s *setup) {
			other := identity{key: s.impostorKey}
			require.NoError(t, other.certify(authorityTemplate("Another trust anchor", s.pool), &other, time.Now()))
			s.hostAnchor = other.certificate
		}, "FAILED  the host accepts the prefix inside"},
		{"hosts know another trust anchor of the same name", both, func(t *testing.T, s *setup) {
			other := identity{key: s.impostorKey}
			require.NoError(t, other.certify(authorityTemplate("Trust anchor", s.pool), &other, time.Now()))
			other.certificate.RawSubject = s.anchor.certificate.RawSubject
			s.hostAnchor = other.certificate
		}, "FAILED  the host accepts the prefix inside"},
	} {
		for _, c := range tt.cases {
			t.Run(c.String()[:6]+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				s := newTestSetup(t)
				tt.spoil(t, &s)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				var out bytes.Buffer
				require.False(t, s.run(ctx, c, &ladder{out: &out}), "%s", &out)
				require.Contains(t, out.String(), tt.want)
			})
		}
	}
}

// Nobody waits for ever, and whoever gives up says for what.
func TestEveryWaitIsBounded(t *testing.T) {
	t.Parallel()
	s := newTestSetup(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	var out bytes.Buffer
	require.False(t, s.run(ctx, case1, &ladder{out: &out}))
	require.Contains(t, out.String(), "FAILED  requesting router waited for a certificate: context deadline exceeded")
}

// captured is the capture of a run.
func captured(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "run.pcap")
	var stdout bytes.Buffer
	require.Equal(t, statusOK, run([]string{"-pcap", file}, &stdout, io.Discard), "%s", &stdout)
	require.Contains(t, stdout.String(), file+" has the addresses and ports of a real link")
	return file
}

func TestCaptureDecodes(t *testing.T) {
	t.Parallel()
	f, err := os.Open(captured(t))
	require.NoError(t, err)
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	require.NoError(t, err)

	seen := make(map[gopacket.LayerType]int)
	segments := make(map[string]uint32) // the next sequence number of each direction
	source := gopacket.NewPacketSource(r, r.LinkType())
	for p := range source.Packets() {
		require.Nil(t, p.ErrorLayer(), "%s", p)
		for _, l := range p.Layers() {
			seen[l.LayerType()]++
		}
		tcp, ok := p.TransportLayer().(*layers.TCP)
		if !ok {
			continue
		}
		direction := p.NetworkLayer().NetworkFlow().String() + tcp.TransportFlow().String()
		require.Equal(t, segments[direction], tcp.Seq, "each segment begins where the one before it ends")
		segments[direction] += uint32(len(tcp.Payload))
		if tcp.SYN || tcp.FIN {
			segments[direction]++
		}
	}
	require.GreaterOrEqual(t, seen[layers.LayerTypeDHCPv6], 12, "six DHCPv6 messages in each case")
	require.Equal(t, 4, seen[layers.LayerTypeICMPv6RouterAdvertisement])
	require.Equal(t, 10, seen[layers.LayerTypeICMPv6], "two RAs, a CPS and two CPAs in each case")
	require.Len(t, segments, 2*6, "six exchanges with the certificate server")
}

func TestInteropPcapTshark(t *testing.T) {
	t.Parallel()
	tshark := peertest.Need(t, "tshark", "tshark")
	file := captured(t)
	lines := func(args ...string) []string {
		args = append([]string{"-r", file, "-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"}, args...)
		out, err := exec.Command(tshark, args...).Output()
		require.NoError(t, err)
		return slices.Collect(strings.Lines(string(out)))
	}
	const expertError = "8388608"
	require.Empty(t, lines("-Y", "_ws.malformed || _ws.expert.severity >= "+expertError+
		" || udp.checksum.status == 0 || tcp.checksum.status == 0 || icmpv6.checksum.status == 0"))

	// One line for each packet, of what its dissectors found.
	fields := []string{
		"frame.protocols", "dhcpv6.msgtype", "dhcpv6.option.type", "http.request.uri", "http.response.code",
		"icmpv6.type", "icmpv6.opt.type", "x509if.RelativeDistinguishedName_item_element", "x509af.serialNumber",
	}
	args := []string{"-T", "fields"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	packets := lines(args...)
	for _, tt := range []struct {
		what, fields string
		atLeast      int
	}{
		{"Solicit", `:dhcpv6\t1\t`, 2},
		{"Request with key and proof", `:dhcpv6\t3\t[^\t]*65002,65004`, 1},
		{"Reply with CA pointer", `:dhcpv6\t7\t[^\t]*65001`, 1},
		{"Reply with certificate and chain", `:dhcpv6\t7\t[^\t]*65003,65005`, 1},
		{"enrolment", `:http.*/enroll`, 2},
		{"what the delegating router says to the certificate server", `:http.*/ra\t`, 4},
		{"certificate server says yes", `:http.*\t200\t`, 5},
		{"certificate server says no", `:http.*\t403\t`, 1},
		{"RA with prefix, timestamp and signature", `:icmpv6.*\t134\t3,13,12\t`, 4},
		{"CPS with the name of the trust anchor", `:icmpv6.*\t148\t15\t.+\t`, 2},
		{"CPA with trust anchor and certificate", `:icmpv6.*\t149\t15,16\t.*\t\w+`, 2},
		{"CPA with certificate", `:icmpv6.*\t149\t16\t.*\t\w+`, 2},
	} {
		pattern := regexp.MustCompile(tt.fields)
		n := len(slices.DeleteFunc(slices.Clone(packets), func(line string) bool { return !pattern.MatchString(line) }))
		require.GreaterOrEqual(t, n, tt.atLeast, "%s: %s", tt.what, tt.fields)
	}
}
