package main

import (
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"time"

	"dhcpsec.example/certopt"
	"dhcpsec.example/internal/dhcp6"
)

// node is one of the actors.
type node byte

const (
	nodeHost node = iota + 1
	nodeRR        // requesting router
	nodeDR        // delegating router
	nodeCA        // certificate server
	nodeImpostor
)

func (n node) String() string { return [...]string{"?", "host", "RR", "DR", "CA", "impostor"}[n] }

// link is the node's link-local address, global its global one: those inside
// ICMPv6 messages, and in the capture.
func (n node) link() netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: byte(n)})
}

func (n node) global() netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 15: byte(n)})
}

// ladder shows each message, as it is sent, to whoever watches. It looks inside
// for that only, and what it shows has no part in what the actors do.
type ladder struct {
	mu      sync.Mutex
	out     io.Writer
	verbose bool
	capture *capture
	start   time.Time
}

// begin starts the clock and prints the ladder's head.
func (l *ladder) begin() {
	l.start = time.Now()
	fmt.Fprintf(l.out, "%8s  %-8s    %-8s  %-16s  %s\n", "ms", "from", "to", "message", "what matters in it")
}

// message prints one rung: the message, and a line for each thing that matters.
func (l *ladder) message(from, to node, name string, details ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(details) == 0 {
		details = []string{""}
	}
	rung := fmt.Sprintf("%8.1f  %-8s -> %-8s  %-16s", float64(time.Since(l.start).Microseconds())/1000, from, to, name)
	for _, d := range details {
		fmt.Fprintln(l.out, strings.TrimRight(rung+"  "+d, " "))
		rung = strings.Repeat(" ", len(rung))
	}
}

// ignored prints that an actor dropped what it got, or could not act on it.
func (l *ladder) ignored(who node, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "%8s  %s: %v\n", "", who, err)
}

// dhcp prints, and records, a DHCPv6 message.
func (l *ladder) dhcp(from, to node, payload []byte) {
	l.capture.dhcp(from, to, payload)
	m, err := dhcp6.ParseMessage(payload)
	if err != nil {
		l.ignored(from, err)
		return
	}
	details := dhcpDetails(m)
	if l.verbose {
		details = append(details, m.String())
	}
	l.message(from, to, "DHCP_"+strings.ToUpper(m.Type.String()), details...)
}

func dhcpDetails(m dhcp6.Message) (details []string) {
	add := func(format string, a ...any) { details = append(details, fmt.Sprintf(format, a...)) }
	if duid, ok := m.Options.ClientID(); ok && m.Type == dhcp6.Request {
		add("client DUID %x", duid)
	}
	if _, ok := m.Options.Find(dhcp6.OptionStatusCode); ok {
		status, _ := m.Options.Status()
		add("status %s", status)
	}
	for ia, err := range m.Options.IAPDs() {
		if err != nil {
			continue
		}
		if status, _ := ia.Options.Status(); status != dhcp6.Success {
			add("IA_PD %d: %s", ia.IAID, status)
		}
		for p, err := range ia.Prefixes() {
			switch {
			case err != nil:
			case p.Valid == 0:
				add("IA_PD %d: %s", ia.IAID, p.Prefix)
			default:
				add("IA_PD %d: %s preferred %d s valid %d s", ia.IAID, p.Prefix, p.Preferred, p.Valid)
			}
		}
	}
	if wants, err := (certopt.Codec{}).Requests(m.Options); err == nil && wants.CAPointer && wants.Certificate {
		add("requests CA pointer, certificate")
	}
	options, err := certopt.Codec{}.Find(m.Options)
	if err != nil {
		add("certificate options: %v", err)
	}
	if options.CAPointer != nil {
		add("CA pointer %s", options.CAPointer)
	}
	if options.PublicKey != nil {
		proof := "without proof of possession"
		if options.KeyProof != nil {
			proof = fmt.Sprintf("with proof of possession (%d octets)", len(options.KeyProof))
		}
		add("public key %s, %s", keyText(options.PublicKey), proof)
	}
	if options.Certificate != nil {
		add("certificate %s", certificateText(options.Certificate))
	}
	for der := range options.Chain.All() {
		add("certificate chain: %s", certificateText(der))
	}
	return details
}

// send prints, and records, an ICMPv6 message.
func (l *ladder) send(from, to node, name string, p packet, details ...string) {
	l.capture.packet(p.bytes())
	if l.verbose {
		details = append(details, fmt.Sprintf("%s -> %s, ICMPv6 type %d, %d octets", p.src, p.dst, p.icmp[0], len(p.icmp)))
		fixed := map[byte]int{
			typeRouterAdvertisement: sizeRouterAdvertisement,
			typePathSolicitation:    sizePathSolicitation,
			typePathAdvertisement:   sizePathAdvertisement,
		}[p.icmp[0]]
		names := map[byte]string{
			optionPrefixInformation: "Prefix Information", optionRSASignature: "RSA Signature",
			optionTimestamp: "Timestamp", optionTrustAnchor: "Trust Anchor", optionCertificate: "Certificate",
		}
		options, _ := p.options(fixed)
		for _, o := range options {
			details = append(details, fmt.Sprintf("option %d %s, %d octets", o.kind, names[o.kind], 2+len(o.body)))
		}
	}
	l.message(from, to, name, details...)
}

// keyText describes a DER SubjectPublicKeyInfo.
func keyText(spki []byte) string {
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return "unreadable"
	}
	if k, ok := key.(*rsa.PublicKey); ok {
		return fmt.Sprintf("RSA %d bits", k.N.BitLen())
	}
	return fmt.Sprintf("%T", key)
}

func certificateText(der []byte) string {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return "unreadable"
	}
	return fmt.Sprintf("of %q, %d octets", c.Subject.CommonName, len(der))
}
