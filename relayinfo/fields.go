package relayinfo

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
)

// Fields is what an option 82 body is built from. A nil slice or pointer, an
// empty string, a zero address and false mean that the sub-option is left out; a
// slice that is empty but not nil makes an empty value.
type Fields struct {
	CircuitID        []byte       // sub-option 1
	RemoteID         []byte       // sub-option 2
	DeviceClass      *uint32      // sub-option 4
	LinkSelection    netip.Addr   // sub-option 5, IPv4
	SubscriberID     string       // sub-option 6, ASCII
	RADIUSAttributes []byte       // sub-option 7, in RADIUS form (RFC 2865 section 5)
	VendorSpecific   []VendorData // sub-option 9, one for all vendors
	Flags            *Flags       // sub-option 10; bits without a name must be zero
	ServerIDOverride netip.Addr   // sub-option 11, IPv4
	RelayID          []byte       // sub-option 12
	SourcePort       bool         // sub-option 19
	VSS              *VSS         // sub-option 151, and 152 with it (RFC 6607 section 5: MUST)
	Other            []SubOption  // appended as they are, after the others
}

// VendorData is the data of one vendor in sub-option 9 (RFC 4243).
type VendorData struct {
	Enterprise uint32 // IANA enterprise number
	Data       []byte // at most 255 octets
}

// SubOption is any sub-option.
type SubOption struct {
	Code  Code
	Value []byte
}

// Info is the body that f describes, in a new slice. The errors are those of
// [Fields.AppendBinary].
func (f Fields) Info() (Info, error) {
	body, err := f.AppendBinary(nil)
	return Info{body}, err
}

// AppendBinary appends the body, without code and length: sub-options in the
// order of their codes, then Other. It fails with [ErrTooLarge] if a value has
// over 255 octets or the body over [MaxBody], with [ErrLength] or [ErrValue] if a
// value is not what its RFC allows, and with [ErrAbsent] if f has no sub-option
// at all. It never splits and never cuts.
func (f Fields) AppendBinary(b []byte) ([]byte, error) {
	w := writer{b: b}
	if f.CircuitID != nil {
		w.value(CodeCircuitID, f.CircuitID, nil)
	}
	if f.RemoteID != nil {
		w.value(CodeRemoteID, f.RemoteID, nil)
	}
	if f.DeviceClass != nil {
		mark := w.begin(CodeDeviceClass)
		w.b = binary.BigEndian.AppendUint32(w.b, *f.DeviceClass)
		w.end(mark, nil)
	}
	if f.LinkSelection.IsValid() {
		w.addr(CodeLinkSelection, f.LinkSelection)
	}
	if f.SubscriberID != "" {
		mark := w.begin(CodeSubscriberID)
		w.b = append(w.b, f.SubscriberID...)
		w.end(mark, checkSubscriberID)
	}
	if f.RADIUSAttributes != nil {
		w.value(CodeRADIUSAttributes, f.RADIUSAttributes, checkRADIUS)
	}
	if f.VendorSpecific != nil {
		w.vendors(f.VendorSpecific)
	}
	if f.Flags != nil {
		mark := w.begin(CodeFlags)
		w.b = append(w.b, byte(*f.Flags))
		w.end(mark, checkSentFlags)
	}
	if f.ServerIDOverride.IsValid() {
		w.addr(CodeServerIDOverride, f.ServerIDOverride)
	}
	if f.RelayID != nil {
		w.value(CodeRelayID, f.RelayID, checkNotEmpty)
	}
	if f.SourcePort {
		w.value(CodeSourcePort, nil, nil)
	}
	if f.VSS != nil {
		mark := w.begin(CodeVSS)
		w.b = append(append(w.b, byte(f.VSS.Type)), f.VSS.Info...)
		w.end(mark, checkVSS)
		w.value(CodeVSSControl, nil, nil)
	}
	for _, o := range f.Other {
		w.value(o.Code, o.Value, nil)
	}

	n := len(w.b) - len(b)
	switch {
	case w.err != nil:
		return b, w.err
	case n == 0:
		return b, fmt.Errorf("option 82 without a sub-option: %w", ErrAbsent)
	case n > MaxBody:
		return b, fmt.Errorf("option 82 of %d octets: %w", n, ErrTooLarge)
	}
	return w.b, nil
}

// writer appends sub-options and keeps the first error.
type writer struct {
	b   []byte
	err error
}

// begin appends the header of a sub-option whose value is appended to b next.
func (w *writer) begin(code Code) (mark int) {
	w.b = append(w.b, byte(code), 0)
	return len(w.b)
}

// end fills in the length of the sub-option begun at mark, and checks its value.
func (w *writer) end(mark int, check func([]byte) error) {
	value := w.b[mark:]
	switch code := Code(w.b[mark-2]); {
	case len(value) > math.MaxUint8:
		w.fail(code, ErrTooLarge)
		return
	case check != nil:
		w.fail(code, check(value))
	}
	w.b[mark-1] = byte(len(value))
}

func (w *writer) fail(code Code, err error) {
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("%v: %w", code, err)
	}
}

func (w *writer) value(code Code, value []byte, check func([]byte) error) {
	mark := w.begin(code)
	w.b = append(w.b, value...)
	w.end(mark, check)
}

func (w *writer) addr(code Code, addr netip.Addr) {
	if !addr.Is4() {
		w.fail(code, ErrValue)
		return
	}
	mark := w.begin(code)
	a4 := addr.As4()
	w.b = append(w.b, a4[:]...)
	w.end(mark, nil)
}

func (w *writer) vendors(vendors []VendorData) {
	mark := w.begin(CodeVendorSpecific)
	for _, v := range vendors {
		if len(v.Data) > math.MaxUint8 {
			w.b = append(w.b, v.Data...) // makes the sub-option too large: end says so
			break
		}
		w.b = binary.BigEndian.AppendUint32(w.b, v.Enterprise)
		w.b = append(append(w.b, byte(len(v.Data))), v.Data...)
	}
	w.end(mark, checkVendorSpecific)
}
