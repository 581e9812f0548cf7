// Provision runs both ways in which a prefix delegation leads to the certificate
// that lets a router advertise the prefix under SEND ("Certificate provisioning
// with DHCP", slides, IETF 71):
//
//	provision [-case 1|2|both] [-pcap FILE] [-v]
//
// In Case 1 the delegating router's Reply points to the certificate server; in
// Case 2 the Reply carries the certificate. Requesting router, delegating router,
// certificate server and a host run as goroutines, each with its own socket on
// the loopback interface: UDP for DHCPv6, HTTP for certificates, and UDP in place
// of ICMPv6, which would need root.
//
// It prints each message as it is sent, what was obtained, and what was checked.
// The exit status is 0 if every check held, 1 if not, and 2 for wrong usage.
//
// Each actor is a file to copy from:
//
//	requester.go   requesting router, upstream: dhcpv6pd.RequestingRouter
//	advertiser.go  requesting router, downstream: Router Advertisements, CPA
//	delegator.go   delegating router: dhcpv6pd.DelegatingRouter
//	authority.go   certificate server: x509ip.RouterCertificate
//	host.go        SEND host: x509ip.Verify
//	enrollment.go  what routers say to the certificate server
//	setup.go       who has which key and knows what beforehand
//	scenario.go    the course of events
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// The exit statuses.
const (
	statusOK     = 0
	statusFailed = 1
	statusUsage  = 2
)

// run is main, with the process's surroundings as parameters and its exit status
// as the result.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("provision", flag.ContinueOnError)
	flags.SetOutput(stderr)
	which := flags.String("case", "both", "the `CASE` of the slides to run: 1, 2 or both")
	file := flags.String("pcap", "", "write what was sent to `FILE`, for Wireshark")
	verbose := flags.Bool("v", false, "print every option of each message")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return statusOK
	case err != nil:
		return statusUsage
	}
	cases, ok := map[string][]provisioning{"1": {case1}, "2": {case2}, "both": {case1, case2}}[*which]
	if !ok || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: provision [-case 1|2|both] [-pcap FILE] [-v]")
		return statusUsage
	}
	if err := provision(cases, *file, *verbose, stdout); err != nil {
		fmt.Fprintf(stderr, "provision: %v\n", err)
		return statusFailed
	}
	return statusOK
}

// provision runs the cases one after the other. The error is nil if every check
// of each held.
func provision(cases []provisioning, file string, verbose bool, stdout io.Writer) (err error) {
	l := &ladder{out: stdout, verbose: verbose}
	if file != "" {
		f, createErr := os.Create(file)
		if createErr != nil {
			return createErr
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		if l.capture, err = newCapture(f); err != nil {
			return err
		}
	}
	s, err := newSetup(time.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, `RR requesting router   DR delegating router   CA certificate server

Beforehand, the CA certified the DR as registration authority for %s
and was told which key belongs to the RR's DUID. Between RR and host, UDP
carries the IPv6 packets: raw ICMPv6 needs root. A client waits up to a second
before its first Solicit (RFC 8415 section 18.2.1).
`, s.pool)
	if file != "" {
		fmt.Fprintf(stdout, "%s has the addresses and ports of a real link instead of loopback's.\n", file)
	}
	failed := 0
	for _, c := range cases {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		if !s.run(ctx, c, l) {
			failed++
		}
		cancel()
	}
	if l.capture != nil {
		if err := l.capture.close(); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d cases failed", failed, len(cases))
	}
	return nil
}
