package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"dhcpsec.example/certopt"
	"dhcpsec.example/internal/dhcp6"
	"dhcpsec.example/internal/wire"
	"dhcpsec.example/x509ip"
)

// decoder decodes one object: what it holds, for a person, in one or more lines
// without control characters; and the octets that come of encoding it anew. An
// error that knows where the fault is wraps a *ParseError.
type decoder func(b []byte) (text string, reencoded []byte, err error)

// kinds is all that can be decoded, in the order of the usage message.
var kinds = []struct {
	name   string
	decode decoder
}{
	{"ipaddrblocks", decodeIPAddrBlocks},
	{"certificate", decodeCertificates},
	{"dhcpv6", decodeDHCPv6},
	{"certopt", decodeCertopt},
	{"dhcpv4", decodeDHCPv4},
	{"option82", decodeOption82},
	{"pcap", decodePcap},
	{"ikepayloads", decodeIKEPayloads},
}

// findKind is nil for a name that is no kind.
func findKind(name string) decoder {
	for _, k := range kinds {
		if k.name == name {
			return k.decode
		}
	}
	return nil
}

func kindNames() string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return strings.Join(names, ", ")
}

// decodeIPAddrBlocks is for the value of an IP address delegation extension
// (RFC 3779 section 2).
func decodeIPAddrBlocks(b []byte) (string, []byte, error) {
	blocks, err := x509ip.Parse(b)
	if err != nil {
		return "", nil, err
	}
	reencoded, err := blocks.AppendBinary(nil)
	return blocks.String(), reencoded, err
}

// decodeDHCPv6 is for a message of a client or a server, or one with the relay
// messages around it (RFC 8415).
func decodeDHCPv6(b []byte) (string, []byte, error) {
	relays, m, err := dhcp6.Unwrap(b, nil)
	if err != nil {
		return "", nil, err
	}
	if err := dhcp6.Lint(b); err != nil {
		return "", nil, err
	}
	var reencoded []byte
	if len(relays) > 0 {
		reencoded, err = relays[0].AppendBinary(nil)
	} else {
		reencoded, err = m.AppendBinary(nil)
	}
	if err != nil {
		return "", nil, err
	}
	certs, certsErr := certopt.Codec{}.Find(m.Options)
	return describeDHCPv6(relays, m, certs, certsErr), reencoded, nil
}

// describeDHCPv6 is m within relays, and the certificate options of m, or why they
// are invalid: that does not lose the message (RFC 7227 section 21.1), whatever they
// are to whoever uses these codes for something else.
func describeDHCPv6(relays []dhcp6.Relay, m dhcp6.Message, certs certopt.Options, certsErr error) string {
	text := m.String()
	if len(relays) > 0 {
		text = relays[0].String() // shows all that it carries
	}
	if certsErr != nil {
		return text + "\nunusable certificate options: " + reason(certsErr)
	}
	return text + "\n" + describeOptions(certs)
}

// reason is err without its offset, which would count from some place within
// the object.
func reason(err error) string {
	if pe, ok := errors.AsType[*wire.ParseError](err); ok {
		return pe.Field + ": " + pe.Err.Error()
	}
	return err.Error()
}

// decodeCertopt is for an option area with certificate options under their
// default codes; other options are listed by code and size.
func decodeCertopt(b []byte) (string, []byte, error) {
	codec := certopt.Codec{}
	certs, err := codec.Find(b)
	if err != nil {
		return "", nil, err
	}
	var text strings.Builder
	var reencoded []byte
	text.WriteString(describeOptions(certs))
	codes := certopt.DefaultCodes()
	for option, err := range certopt.Walk(b) {
		if err != nil {
			return "", nil, err
		}
		data := option.Data
		switch option.Code {
		case codes.CertificateChain:
			data, err = certopt.AppendChain(nil, slices.Collect(certs.Chain.All())...)
			if err != nil {
				return "", nil, err
			}
		case codes.CAPointer, codes.PublicKey, codes.Certificate, codes.KeyProof:
		default:
			fmt.Fprintf(&text, "\nother option: %d(%d)", option.Code, len(data))
		}
		if reencoded, err = certopt.AppendOption(reencoded, option.Code, data); err != nil {
			return "", nil, err
		}
	}
	return text.String(), reencoded, nil
}

// oneLine is s with U+FFFD for everything that could do more to a terminal or
// a log than show.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
