// Gateway runs remote-access clients and a security gateway that configures them
// from a DHCP server, as draft-ietf-ipsec-dhcp-over-ike-dhcpd-00 ("the draft")
// describes:
//
//	gateway [-server ADDR[:PORT]] [-giaddr ADDR] [-pcap FILE] [-v]
//
// Clients, gateway and DHCP server are goroutines, each with its own UDP socket on
// the loopback interface. Without -server, the DHCP server is this program's own.
// IKE messages have the framing of RFC 7296, but no encryption: see README.md.
//
// It prints each message as it is sent, and what was checked: an address inside
// IKE_AUTH and the narrowed traffic selector, a reply that came late, one that was
// held, one that was intercepted, and an eviction. The exit status is 0 if every
// check held, 1 if not, and 2 for wrong usage.
//
// Files to copy from:
//
//	gateway.go     the gateway: an IKE responder around ikedhcp.Relay
//	client.go      the remote-access client: an IKE initiator around ikedhcp.Client
//	server.go      a DHCP server made of ikedhcp.Responder
//	ike.go         the IKE messages, and what stands for encryption
//	dhcpclient.go  a DHCP client that knows nothing of IKE
//	scenario.go    the course of events
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
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
	flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
	flags.SetOutput(stderr)
	server := flags.String("server", "", "relay to the DHCP server at `ADDR[:PORT]` instead of one of this program's own; port 67 if none is given")
	giaddr := flags.String("giaddr", "127.0.0.2", "the gateway's `ADDR` that the server answers to, by which it chooses the pool")
	file := flags.String("pcap", "", "write what was sent to `FILE`, for Wireshark")
	verbose := flags.Bool("v", false, "print every DHCP message to and from the server in full")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return statusOK
	case err != nil:
		return statusUsage
	}
	c, err := newConfig(*server, *giaddr)
	if err != nil || flags.NArg() > 0 {
		fmt.Fprintf(stderr, "usage: gateway [-server ADDR[:PORT]] [-giaddr ADDR] [-pcap FILE] [-v]\n")
		return statusUsage
	}
	if err := show(c, *file, *verbose, stdout); err != nil {
		fmt.Fprintf(stderr, "gateway: %v\n", err)
		return statusFailed
	}
	return statusOK
}

func newConfig(server, giaddr string) (c config, err error) {
	if c.giaddr, err = netip.ParseAddr(giaddr); err != nil {
		return c, err
	}
	if server != "" {
		if c.server, err = netip.ParseAddrPort(server); err != nil {
			addr, err := netip.ParseAddr(server)
			if err != nil {
				return c, err
			}
			c.server = netip.AddrPortFrom(addr, portDHCPServer)
		}
	}
	c.secrets = map[string]string{}
	for _, n := range []node{alice, bob, mallory} {
		name := n.String() + ".example"
		c.secrets[string(idFQDN(name))] = "secret of " + name
	}
	return c, nil
}

// show plays the scenario. The error is nil if every check held.
func show(c config, file string, verbose bool, stdout io.Writer) (err error) {
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
	fmt.Fprint(stdout, `IKE messages are not encrypted: their SK payloads hold the plaintext, and AUTH is a
code over less than RFC 7296 asks for. Loopback loses nothing, so nothing is retransmitted.
`)
	if file != "" {
		fmt.Fprintf(stdout, "%s has the addresses and ports of a real network, and IKE messages without SK payload.\n", file)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s, err := play(ctx, c, l)
	if err != nil {
		return err
	}
	if !s.report(stdout) {
		return errors.New("not every check held")
	}
	if l.capture != nil {
		return l.capture.err
	}
	return nil
}
