package dhcp4

import (
	"encoding/binary"
	"math"
	"net/netip"

	"dhcpsec.example/internal/wire"
)

// Header is the fixed part of a message to build. An address that is not set is
// written as 0.0.0.0.
type Header struct {
	Op, HType, Hops                uint8
	XID                            uint32
	Secs, Flags                    uint16
	CIAddr, YIAddr, SIAddr, GIAddr netip.Addr
	CHAddr                         []byte // at most [MaxHLen] octets; hlen is its length
}

// AppendBinary appends the BOOTP header and the magic cookie, [MinLen] octets;
// sname and file are zero. It fails with [wire.ErrTooLarge] if CHAddr does not
// fit, and with [wire.ErrValue] if an address is not IPv4.
func (h Header) AppendBinary(b []byte) ([]byte, error) {
	if len(h.CHAddr) > MaxHLen {
		return b, wire.ErrTooLarge
	}
	var f [MinLen]byte
	f[0], f[1], f[2], f[HopsOffset] = h.Op, h.HType, uint8(len(h.CHAddr)), h.Hops
	binary.BigEndian.PutUint32(f[4:], h.XID)
	binary.BigEndian.PutUint16(f[8:], h.Secs)
	binary.BigEndian.PutUint16(f[10:], h.Flags)
	for i, a := range [...]netip.Addr{h.CIAddr, h.YIAddr, h.SIAddr, h.GIAddr} {
		if !a.IsValid() {
			continue
		}
		if !a.Is4() {
			return b, wire.ErrValue
		}
		a4 := a.As4()
		copy(f[ciaddrOffset+4*i:], a4[:])
	}
	copy(f[chaddrOffset:], h.CHAddr)
	binary.BigEndian.PutUint32(f[cookieOffset:], MagicCookie)
	return append(b, f[:]...), nil
}

// AppendOption appends one option. It never splits: data over 255 octets is
// [wire.ErrTooLarge].
func AppendOption(b []byte, code uint8, data []byte) ([]byte, error) {
	if len(data) > math.MaxUint8 {
		return b, wire.ErrTooLarge
	}
	b = append(b, code, uint8(len(data)))
	return append(b, data...), nil
}

// AppendEnd appends End and pads the message, which begins at b[start], to
// [MinBOOTPLen].
func AppendEnd(b []byte, start int) []byte {
	return AppendPadding(append(b, OptionEnd), start)
}

// AppendPadding pads the message that begins at b[start] to [MinBOOTPLen].
func AppendPadding(b []byte, start int) []byte {
	return append(b, make([]byte, max(0, MinBOOTPLen-(len(b)-start)))...)
}
