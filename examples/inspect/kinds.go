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
	var text strings.Builder
	var reencoded []byte
	if len(relays) > 0 {
		text.WriteString(relays[0].String())
		reencoded, err = relays[0].AppendBinary(nil)
	} else {
		text.WriteString(m.String())
		reencoded, err = m.AppendBinary(nil)
	}
	if err != nil {
		return "", nil, err
	}
	// What follows does not lose the message (RFC 8415 section 16, RFC 7227
	// section 21.1), but a person wants to know.
	for ia, err := range m.Options.IAPDs() {
		if err != nil {
			fmt.Fprintf(&text, "\nunusable: %s", reason(err))
			continue
		}
		for _, err := range ia.Prefixes() {
			if err != nil {
				fmt.Fprintf(&text, "\nunusable: %s in IA_PD %d", reason(err), ia.IAID)
			}
		}
	}
	certs, err := certopt.Codec{}.Find(m.Options)
	if err != nil {
		fmt.Fprintf(&text, "\nunusable certificate options: %s", reason(err))
		return text.String(), reencoded, nil
	}
	text.WriteString("\n" + describeOptions(certs))
	return text.String(), reencoded, nil
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
