package main

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"time"

	"dhcpsec.example/ikedhcp"
	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/relayinfo"
)

// node is one of the actors.
type node byte

const (
	alice node = iota + 1
	bob
	mallory
	gatewayNode
	dhcpServer
)

func (n node) String() string {
	names := [...]string{"?", "alice", "bob", "mallory", "gateway", "server"}
	if int(n) >= len(names) {
		n = 0 // somebody else's SPI
	}
	return names[n]
}

// address is what the capture shows for a node.
func (n node) address() netip.Addr { return addr4(192, 0, 2, byte(n)) }

// ladder shows each message, as it is sent, to whoever watches. What it shows has
// no part in what the actors do.
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
	fmt.Fprintf(l.out, "\n%8s  %-7s    %-7s  %-26s  %s\n", "ms", "from", "to", "message", "what matters in it")
}

// message prints one rung: the message, and a line for each thing that matters.
func (l *ladder) message(from, to node, name string, details ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(details) == 0 {
		details = []string{""}
	}
	rung := fmt.Sprintf("%8.1f  %-7s -> %-7s  %-26s", float64(time.Since(l.start).Microseconds())/1000, from, to, name)
	for _, d := range details {
		fmt.Fprintln(l.out, strings.TrimRight(rung+"  "+d, " "))
		rung = strings.Repeat(" ", len(rung))
	}
}

// note prints what an actor does that is no message.
func (l *ladder) note(who node, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "%8s  %s: %s\n", "", who, fmt.Sprintf(format, args...))
}

// ignored prints that an actor dropped what it got, or could not act on it.
func (l *ladder) ignored(who node, err error) { l.note(who, "%v", err) }

// step prints what comes next.
func (l *ladder) step(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "\n          -- %s\n", fmt.Sprintf(format, args...))
}

// ike prints, and records, an IKE message.
func (l *ladder) ike(from, to node, m message) {
	l.capture.ike(from, to, m.plain())
	direction := "request"
	if m.response {
		direction = "response"
	}
	exchange := m.exchange.String()
	if m.exchange == ikeSAInit {
		exchange = "IKE_SA_INIT"
	}
	var kinds, details []string
	for p, err := range ikedhcp.Payloads(m.first, m.chain) {
		switch {
		case err != nil:
			kinds = append(kinds, err.Error())
		case p.Type == ikedhcp.DefaultPayloadType:
			kinds = append(kinds, "DHCP")
			details = append(details, dhcpDetails(p.Body))
		case p.Type == payloadTSi && m.response:
			kinds = append(kinds, p.Type.String())
			if ts, ok := parseSelector(p.Body); ok {
				details = append(details, "TSi "+ts.String())
			}
		default:
			kinds = append(kinds, p.Type.String())
		}
	}
	if len(kinds) == 0 {
		kinds = []string{"no payloads"}
	}
	l.message(from, to, fmt.Sprintf("%s %s %d", exchange, direction, m.id), append([]string{strings.Join(kinds, ", ")}, details...)...)
}

// dhcp prints, and records, a DHCP message outside IKE.
func (l *ladder) dhcp(from, to node, b []byte, more ...string) {
	l.capture.dhcp(from, to, b)
	details := append([]string{dhcpDetails(b)}, more...)
	if info, err := relayinfo.Find(b); err == nil {
		details = append(details, "option 82: "+info.String())
	}
	l.message(from, to, "UDP", details...)
	if l.verbose {
		var m dhcp4.Message
		if m.Parse(b) == nil {
			l.note(from, "%v", &m)
		}
	}
}

// dhcpDetails is the message type, and the addresses that are set.
func dhcpDetails(b []byte) string {
	var m dhcp4.Message
	if err := m.Parse(b); err != nil {
		return err.Error()
	}
	text := m.Type().String()
	for _, field := range []struct {
		name string
		addr netip.Addr
	}{{"ciaddr", m.CIAddr()}, {"yiaddr", m.YIAddr()}, {"giaddr", m.GIAddr()}} {
		if isSet(field.addr) {
			text += " " + field.name + " " + field.addr.String()
		}
	}
	return text
}
