package dhcp4

import (
	"errors"
	"iter"

	"dhcpsec.example/internal/wire"
)

// Option codes that this module looks at (RFC 2132, RFC 3046, RFC 4039).
const (
	OptionPad                  uint8 = 0
	OptionRequestedIPAddress   uint8 = 50
	OptionLeaseTime            uint8 = 51
	OptionOverload             uint8 = 52
	OptionMessageType          uint8 = 53
	OptionServerIdentifier     uint8 = 54
	OptionParameterRequestList uint8 = 55
	OptionMaxMessageSize       uint8 = 57
	OptionClientIdentifier     uint8 = 61
	OptionRapidCommit          uint8 = 80
	OptionRelayAgentInfo       uint8 = 82
	OptionEnd                  uint8 = 255
)

// The bits of option overload (RFC 2132 section 9.3).
const (
	overloadFile  uint8 = 1
	overloadSName uint8 = 2
)

// Field is one of the three fields that hold options.
type Field uint8

// The fields in their aggregate order (RFC 3396 section 5), which is not their
// order in the message.
const (
	FieldOptions Field = iota
	FieldFile
	FieldSName
)

// Option is one option as it stands in the message: where an option was split
// (RFC 3396), one part of it.
type Option struct {
	Code   uint8
	Data   []byte // aliases the message
	Field  Field  // where it is
	Offset int    // of the code octet, from the start of the message
}

// scan checks the options in one field and notes what the rest of the view needs:
// field is the message up to the end of that field, and i is its first octet. It
// returns the offsets behind the last option and of End. It is most of what a
// relay agent spends on a message, hence a loop that keeps to the framing.
func (m *Message) scan(field []byte, i int, in Field) (last, end int, err error) {
	last = i
	for i < len(field) {
		code := field[i]
		if code == OptionPad {
			i++
			continue
		}
		if code == OptionEnd {
			break
		}
		if i+1 >= len(field) {
			return 0, 0, wire.Errorf("option length", i+1, wire.ErrTruncated)
		}
		next := i + 2 + int(field[i+1])
		if next > len(field) {
			return 0, 0, wire.Errorf("option length", i+1, wire.ErrTruncated)
		}
		switch code {
		case OptionOverload, OptionMessageType, OptionRelayAgentInfo:
			if err := m.note(field[:next], i, in); err != nil {
				return 0, 0, err
			}
		}
		i, last = next, next
	}
	return last, i, nil
}

// note keeps what the view needs of the option that is the rest of field from i on.
func (m *Message) note(field []byte, i int, in Field) error {
	switch value := field[i+2:]; field[i] {
	case OptionOverload:
		if in != FieldOptions {
			break
		}
		if m.overload != 0 || len(value) != 1 || value[0] < overloadFile || value[0] > overloadFile|overloadSName {
			return octetError("option overload", i, len(value), m.overload != 0)
		}
		m.overload = value[0]
	case OptionMessageType:
		if m.msgType != 0 || len(value) != 1 || value[0] == 0 {
			return octetError("DHCP message type", i, len(value), m.msgType != 0)
		}
		m.msgType = MessageType(value[0])
	case OptionRelayAgentInfo:
		if in != FieldOptions {
			m.infoElsewhere = true
			break
		}
		if m.infoSize == 0 {
			m.info = i
		}
		m.infoSize += 2 + len(value)
	}
	return nil
}

// octetError says what is wrong with an option at offset that is one octet with
// few values, and appears once.
func octetError(field string, offset, length int, seen bool) error {
	switch {
	case seen:
		return wire.Errorf(field, offset, wire.ErrDuplicate)
	case length != 1:
		return wire.Errorf(field+" length", offset+1, wire.ErrLength)
	}
	return wire.Errorf(field, offset+2, wire.ErrValue)
}

// Options ranges over the options in aggregate order: those of the options field,
// then file and sname where option overload says that they hold options. Pad and
// End are left out. It does not allocate.
func (m *Message) Options() iter.Seq[Option] {
	return func(yield func(Option) bool) { m.each(yield) }
}

// RelayAgentInfo ranges over the instances of option 82 in the options field. It
// does not allocate.
func (m *Message) RelayAgentInfo() iter.Seq[Option] {
	return func(yield func(Option) bool) {
		for i, left := m.info, m.infoSize; left > 0; {
			start := i
			if m.data[i] == OptionPad {
				i++
				continue
			}
			i += 2 + int(m.data[i+1])
			if m.data[start] != OptionRelayAgentInfo {
				continue
			}
			if !yield(Option{OptionRelayAgentInfo, m.data[start+2 : i : i], FieldOptions, start}) {
				return
			}
			left -= i - start
		}
	}
}

// RelayAgentInfoSize is the number of octets that the instances of option 82 in the
// options field take, with their codes and lengths.
func (m *Message) RelayAgentInfoSize() int { return m.infoSize }

// InRelayAgentInfo turns an error in the body of option 82 into one in the message.
// The offset of the [wire.ParseError] in err counts from the start of the body, its
// parts in the options field joined; that in the result from the start of the
// message. Any other error is returned as it is.
func (m *Message) InRelayAgentInfo(err error) error {
	pe, ok := errors.AsType[*wire.ParseError](err)
	if !ok {
		return err
	}
	offset, left := 0, pe.Offset
	for o := range m.RelayAgentInfo() {
		offset = o.Offset + 2 + min(left, len(o.Data))
		if left < len(o.Data) {
			break
		}
		left -= len(o.Data)
	}
	return wire.Errorf(pe.Field, offset, pe.Err)
}

// HasRelayAgentInfo reports whether there is an option 82 in any field.
func (m *Message) HasRelayAgentInfo() bool { return m.infoSize > 0 || m.infoElsewhere }

// RelayAgentInfoElsewhere reports whether there is an option 82 in file or sname.
func (m *Message) RelayAgentInfoElsewhere() bool { return m.infoElsewhere }

func (m *Message) each(yield func(Option) bool) {
	if !eachIn(m.data, MinLen, FieldOptions, yield) {
		return
	}
	if m.overload&overloadFile != 0 && !eachIn(m.data[:cookieOffset], fileOffset, FieldFile, yield) {
		return
	}
	if m.overload&overloadSName != 0 {
		eachIn(m.data[:fileOffset], snameOffset, FieldSName, yield)
	}
}

// eachIn yields the options in field[i:], which scan has checked.
func eachIn(field []byte, i int, in Field, yield func(Option) bool) (more bool) {
	for i < len(field) && field[i] != OptionEnd {
		if field[i] == OptionPad {
			i++
			continue
		}
		start := i
		i += 2 + int(field[i+1])
		if !yield(Option{Code: field[start], Data: field[start+2 : i : i], Field: in, Offset: start}) {
			return false
		}
	}
	return true
}

// Option is the value of an option, with the parts of a split one joined as RFC
// 3396 section 7 says. It aliases the message unless it had to be joined.
func (m *Message) Option(code uint8) (data []byte, ok bool) {
	for o := range m.Options() {
		switch {
		case o.Code != code:
		case !ok:
			data, ok = o.Data, true
		default:
			data = append(data, o.Data...) // the first part's capacity is capped: this copies
		}
	}
	return data, ok
}
