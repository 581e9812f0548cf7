package certopt

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"dhcpsec.example/internal/wire"
)

// Codec says how the certificate options are carried and how large they may be.
// The zero Codec is ready for use: the codes of [DefaultCodes], top-level
// options, default limits. Both ends have to agree on it, for IANA has assigned
// no codes.
type Codec struct {
	// Codes are the option codes, or sub-option codes with an Enterprise. All
	// zero means [DefaultCodes], or [VendorCodes] with an Enterprise.
	Codes Codes
	// Enterprise other than 0 carries the options as sub-options of the
	// VENDOR_OPTS (RFC 8415 §21.17) of this IANA enterprise number.
	Enterprise uint32
	// Limits are the largest values that Find and Append accept.
	Limits Limits
}

// Codes holds the code of each option.
type Codes struct {
	CAPointer, PublicKey, Certificate, KeyProof, CertificateChain uint16
}

// DefaultCodes are the codes 65001 to 65005 for top-level options. No document
// assigns them, and DHCPv6 has no range of codes for private use; they are far
// above what IANA has assigned.
func DefaultCodes() Codes { return Codes{65001, 65002, 65003, 65004, 65005} }

// VendorCodes are the codes 1 to 5 for sub-options of VENDOR_OPTS, where each
// enterprise numbers its own.
func VendorCodes() Codes { return Codes{1, 2, 3, 4, 5} }

// Limits are the largest sizes, in octets of option data, from 1 to 65535. Zero
// means the default.
type Limits struct {
	CAPointer        int // 0: 2048
	PublicKey        int // 0: 4096
	Certificate      int // 0: 16384; for each certificate of a chain, too
	KeyProof         int // 0: 4096
	CertificateChain int // 0: 49152; and never more than [MaxChainCertificates]
}

// Request says which options the Option Request option of a client asks for.
type Request struct {
	CAPointer, Certificate, Chain bool
}

// Validate reports a Codec that cannot work: codes that are zero or not
// distinct; top-level codes up to 148, which mean other options to every DHCPv6
// implementation; limits outside their range. Call it once, where the
// configuration is read: [Codec.Find] and [Codec.Append] rely on it.
func (c Codec) Validate() error {
	c = c.withDefaults()
	codes := c.Codes.list()
	for i, code := range codes {
		switch {
		case code == 0:
			return fmt.Errorf("certopt: no code for the %v option", kind(i))
		case c.Enterprise == 0 && code <= lastAssigned:
			return fmt.Errorf("certopt: %v option: code %d is another DHCPv6 option", kind(i), code)
		case slices.Contains(codes[:i], code):
			return fmt.Errorf("certopt: %v option: code %d is used twice", kind(i), code)
		}
	}
	for k := range kinds {
		if n := c.Limits.of(k); n < 1 || n > math.MaxUint16 {
			return fmt.Errorf("certopt: %v option: limit of %d octets is not in 1..65535", k, n)
		}
	}
	return nil
}

// Find returns the certificate options of an option area (what follows the four
// header octets of a client/server message), which alias it. It looks once at
// each option, ignores those that are not its own, allocates nothing, and
// checks every value as the package comment says.
//
// The error is a *[ParseError] for the first fault in wire order, and no option
// is returned with it. "Clients MUST discard option foo if it is invalid"
// (RFC 7227 §21.1): the caller goes on as if the message had no certificate
// options; the message itself is not lost.
func (c Codec) Find(area []byte) (Options, error) {
	c = c.withDefaults()
	var o Options
	vendorSeen := false
	for opt, err := range Walk(area) {
		switch {
		case err != nil:
			return Options{}, err
		case c.Enterprise == 0:
			if err := c.take(&o, opt); err != nil {
				return Options{}, err
			}
		case c.ownVendorOpts(opt):
			// RFC 8415 §21.17: "Servers and clients MUST NOT send more than one
			// instance of the Vendor-specific Information option with the same
			// Enterprise Number."
			if vendorSeen {
				return Options{}, wire.Errorf("VENDOR_OPTS", opt.Offset-optionHeaderLen, ErrDuplicate)
			}
			vendorSeen = true
			for sub, err := range walk(opt.Data[enterpriseLen:], opt.Offset+enterpriseLen) {
				if err == nil {
					err = c.take(&o, sub)
				}
				if err != nil {
					return Options{}, err
				}
			}
		}
	}
	return o, nil
}

// Append appends the options that o holds, in the order of the fields of
// [Options]; with an Enterprise, inside one VENDOR_OPTS (a message may have only
// one for each enterprise). If o holds none, it appends nothing. It allocates
// only if b has no room.
//
// Values are checked as Find checks them. On error it returns b as it came; the
// offset of a *[ParseError] counts from the start of the value that its Field
// names. [ErrTooLarge] alone: the options do not fit one VENDOR_OPTS.
func (c Codec) Append(b []byte, o Options) ([]byte, error) {
	c = c.withDefaults()
	present := false
	for k := range kinds {
		v := *o.value(k)
		if len(v) == 0 {
			continue
		}
		present = true
		if err := k.check(v, c.Limits); err != nil {
			return b, err
		}
	}
	if !present {
		return b, nil
	}

	out, mark := b, 0
	if c.Enterprise != 0 {
		out, mark = wire.BeginOption16(out, optionVendorOpts)
		out = binary.BigEndian.AppendUint32(out, c.Enterprise)
	}
	for k, code := range c.Codes.list() {
		v := *o.value(kind(k))
		if len(v) == 0 {
			continue
		}
		var err error
		if out, err = AppendOption(out, code, v); err != nil {
			return b, err
		}
	}
	if c.Enterprise != 0 {
		var err error
		if out, err = wire.EndOption16(out, mark); err != nil {
			return b, err
		}
	}
	return out, nil
}

// AppendRequested appends to the codes of an Option Request option
// (RFC 8415 §21.7) those that ask for the CA pointer, the certificate and the
// certificate chain: with an Enterprise, the code of VENDOR_OPTS, because "Only
// top-level options MAY appear in the Option Request option". A code that is
// there already is not repeated.
func (c Codec) AppendRequested(codes []uint16) []uint16 {
	c = c.withDefaults()
	wanted := []uint16{c.Codes.CAPointer, c.Codes.Certificate, c.Codes.CertificateChain}
	if c.Enterprise != 0 {
		wanted = []uint16{optionVendorOpts}
	}
	for _, code := range wanted {
		if !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	return codes
}

// Requests returns what the Option Request option of an option area asks for;
// with an Enterprise, a request for VENDOR_OPTS asks for everything. It
// allocates nothing. The error is a *[ParseError]: an area cut short, an Option
// Request option of odd length, or a second one.
func (c Codec) Requests(area []byte) (Request, error) {
	c = c.withDefaults()
	var r Request
	seen := false
	for opt, err := range Walk(area) {
		if err != nil {
			return Request{}, err
		}
		if opt.Code != optionORO {
			continue
		}
		if seen {
			return Request{}, wire.Errorf("ORO", opt.Offset-optionHeaderLen, ErrDuplicate)
		}
		seen = true
		if len(opt.Data)%2 != 0 {
			return Request{}, wire.Errorf("ORO", opt.Offset, ErrLength)
		}
		for codes := opt.Data; len(codes) > 0; codes = codes[2:] {
			code := binary.BigEndian.Uint16(codes)
			if c.Enterprise != 0 {
				if code == optionVendorOpts {
					r = Request{CAPointer: true, Certificate: true, Chain: true}
				}
				continue
			}
			r.CAPointer = r.CAPointer || code == c.Codes.CAPointer
			r.Certificate = r.Certificate || code == c.Codes.Certificate
			r.Chain = r.Chain || code == c.Codes.CertificateChain
		}
	}
	return r, nil
}

// What this package knows of RFC 8415.
const (
	optionORO        = 6
	optionVendorOpts = 17
	// lastAssigned is the highest DHCPv6 option code in use, ADDR_REG_ENABLE.
	lastAssigned = 148

	optionHeaderLen = 4 // option-code and option-len
	enterpriseLen   = 4 // enterprise-number of a VENDOR_OPTS
)

func (c Codec) withDefaults() Codec {
	if c.Codes == (Codes{}) {
		c.Codes = DefaultCodes()
		if c.Enterprise != 0 {
			c.Codes = VendorCodes()
		}
	}
	c.Limits.CAPointer = cmp.Or(c.Limits.CAPointer, 2048)
	c.Limits.PublicKey = cmp.Or(c.Limits.PublicKey, 4096)
	c.Limits.Certificate = cmp.Or(c.Limits.Certificate, 16384)
	c.Limits.KeyProof = cmp.Or(c.Limits.KeyProof, 4096)
	c.Limits.CertificateChain = cmp.Or(c.Limits.CertificateChain, 49152)
	return c
}

// ownVendorOpts reports whether opt is the VENDOR_OPTS that carries our
// sub-options. One too short to name an enterprise is not ours, so not ours to
// judge.
func (c *Codec) ownVendorOpts(opt Option) bool {
	return opt.Code == optionVendorOpts && len(opt.Data) >= enterpriseLen &&
		binary.BigEndian.Uint32(opt.Data) == c.Enterprise
}

// take stores opt in o, if it is one of the certificate options.
func (c *Codec) take(o *Options, opt Option) error {
	codes := c.Codes.list()
	i := slices.Index(codes[:], opt.Code)
	if i < 0 {
		return nil
	}
	k := kind(i)
	v := o.value(k)
	if *v != nil {
		return wire.Errorf(k.String(), opt.Offset-optionHeaderLen, ErrDuplicate)
	}
	if err := k.check(opt.Data, c.Limits); err != nil {
		return wire.Shift(err, opt.Offset)
	}
	*v = opt.Data
	return nil
}

// list is the codes, indexed by kind.
func (c Codes) list() [kinds]uint16 {
	return [kinds]uint16{
		kindCAPointer:   c.CAPointer,
		kindPublicKey:   c.PublicKey,
		kindCertificate: c.Certificate,
		kindKeyProof:    c.KeyProof,
		kindChain:       c.CertificateChain,
	}
}

// of is the limit for kind k.
func (l Limits) of(k kind) int {
	switch k {
	case kindCAPointer:
		return l.CAPointer
	case kindPublicKey:
		return l.PublicKey
	case kindCertificate:
		return l.Certificate
	case kindKeyProof:
		return l.KeyProof
	default:
		return l.CertificateChain
	}
}
