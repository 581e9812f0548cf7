package certopt

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"

	"dhcpsec.example/internal/wire"
)

// Options holds the values of the certificate options of one message. An empty
// field is an absent option: an option that is present is never empty.
//
// The slices that [Codec.Find] returns alias its input, with their capacity
// capped; [Options.Clone] makes a copy to keep.
type Options struct {
	// CAPointer is the location of the certificate server: one absolute URI
	// (RFC 3986 §4.3), ASCII, without a terminating NUL.
	CAPointer []byte
	// PublicKey is the requesting router's key: one DER SubjectPublicKeyInfo
	// (RFC 5280 §4.1.2.7), as x509.MarshalPKIXPublicKey writes it.
	PublicKey []byte
	// Certificate is one DER X.509 certificate (RFC 5280 §4.1) for the
	// delegated prefixes. The certificate option of SEND holds at most 2036
	// octets (RFC 3971 §6.4.4): a larger one cannot reach hosts.
	Certificate []byte
	// KeyProof shows possession of the private key: what [SignKeyProof] made.
	KeyProof []byte
	// Chain holds the certificates above Certificate, its issuer first.
	Chain Chain
}

// Clone returns a copy that shares no memory with o.
func (o Options) Clone() Options {
	for k := range kinds {
		v := o.value(k)
		*v = slices.Clone(*v)
	}
	return o
}

// String names the options that are present, for a log: the URI in quotes, all
// else by its size.
func (o Options) String() string {
	var b []byte
	for k := range kinds {
		v := *o.value(k)
		if len(v) == 0 {
			continue
		}
		if len(b) > 0 {
			b = append(b, ' ')
		}
		b = append(b, k.token()...)
		b = append(b, '=')
		switch k {
		case kindCAPointer:
			b = strconv.AppendQuoteToASCII(b, string(v))
		case kindChain:
			b = append(b, o.Chain.String()...)
		default:
			b = strconv.AppendInt(b, int64(len(v)), 10)
			b = append(b, " octets"...)
		}
	}
	if len(b) == 0 {
		return "no certificate options"
	}
	return string(b)
}

// MarshalText is [Options.String], so that structured logs show it too.
func (o Options) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// value is the field of o that holds the options of kind k.
func (o *Options) value(k kind) *[]byte {
	switch k {
	case kindCAPointer:
		return &o.CAPointer
	case kindPublicKey:
		return &o.PublicKey
	case kindCertificate:
		return &o.Certificate
	case kindKeyProof:
		return &o.KeyProof
	default:
		return (*[]byte)(&o.Chain)
	}
}

// MaxChainCertificates is the largest number of certificates in a [Chain].
const MaxChainCertificates = 16

// Chain is the value of a certificate chain option: at most
// [MaxChainCertificates] certificates, each behind its length.
//
//	+--------+--------+------------------- - - +--------+--------+---- - -
//	|  length of 1st  | 1st certificate, DER   |  length of 2nd  | ...
//	+--------+--------+------------------- - - +--------+--------+---- - -
type Chain []byte

// AppendChain appends the value of a certificate chain option holding certs, in
// that order, and is what fills Options.Chain. It only lays them out:
// [Codec.Append] checks the certificates. It returns b as it came, and
// [ErrTooLarge], if one does not fit its 16-bit length.
func AppendChain(b []byte, certs ...[]byte) ([]byte, error) {
	out := b
	for _, cert := range certs {
		if len(cert) > math.MaxUint16 {
			return b, ErrTooLarge
		}
		out = binary.BigEndian.AppendUint16(out, uint16(len(cert)))
		out = append(out, cert...)
	}
	return out, nil
}

// All yields the certificates in order. They alias the chain, with their
// capacity capped. A chain that did not come from [Codec.Find] or [AppendChain]
// is yielded up to the first length that runs past its end.
func (c Chain) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		rest := wire.NewCursor(c, 0)
		for rest.Len() > 0 {
			cert, err := nextCertificate(&rest)
			if err != nil || !yield(cert) {
				return
			}
		}
	}
}

// String says how many certificates there are and how large the chain is.
func (c Chain) String() string {
	n := 0
	for range c.All() {
		n++
	}
	noun := "certificates"
	if n == 1 {
		noun = "certificate"
	}
	return fmt.Sprintf("%d %s in %d octets", n, noun, len(c))
}

// nextCertificate reads one length and the certificate behind it.
func nextCertificate(c *wire.Cursor) ([]byte, error) {
	n, err := c.Uint16("certificate chain length")
	if err != nil {
		return nil, err
	}
	return c.Bytes(int(n), "certificate chain certificate")
}
