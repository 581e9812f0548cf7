package x509ip

import (
	"errors"
	"iter"
	"strconv"
	"strings"

	"dhcpsec.example/internal/wire"
)

// ASIdentifiers is the value of the autonomous system identifier delegation
// extension (RFC 3779 section 3): for AS numbers and for routing domain
// identifiers either a set of numbers or the instruction to inherit the
// issuer's. A number has 32 bits (RFC 6793).
//
// It is immutable and may be copied and used by several goroutines at once. The
// zero value has nothing; RFC 3779 has no encoding for that.
type ASIdentifiers struct {
	asnum, rdi claim[uint16]
}

// ASRange is the numbers from From to To, both included.
type ASRange struct{ From, To uint32 }

// String returns both ends, as in "64496-64511", or the number if it is only
// one.
func (r ASRange) String() string {
	text := strconv.FormatUint(uint64(r.From), 10)
	if r.From != r.To {
		text += "-" + strconv.FormatUint(uint64(r.To), 10)
	}
	return text
}

// FromASNumbers returns the identifiers that hold exactly the AS numbers of
// ranges, which may come in any order, overlap and touch. It is an error if a
// range ends before it begins. Without ranges it returns the zero value.
func FromASNumbers(ranges ...ASRange) (ASIdentifiers, error) {
	spans := make([]span[uint16], len(ranges))
	for i, r := range ranges {
		if r.To < r.From {
			return ASIdentifiers{}, errReversed
		}
		spans[i] = r.span()
	}
	return ASIdentifiers{asnum: claim[uint16]{members: newSet(spans)}}, nil
}

// IsZero reports whether a says nothing at all.
func (a ASIdentifiers) IsZero() bool { return a.asnum.absent() && a.rdi.absent() }

// Inherits reports whether a inherits AS numbers or routing domain identifiers.
func (a ASIdentifiers) Inherits() bool { return a.asnum.inherit || a.rdi.inherit }

// InheritsNumbers reports whether a inherits AS numbers.
func (a ASIdentifiers) InheritsNumbers() bool { return a.asnum.inherit }

// Equal reports whether a and b say the same.
func (a ASIdentifiers) Equal(b ASIdentifiers) bool {
	return a.asnum.equal(b.asnum) && a.rdi.equal(b.rdi)
}

// Contains reports whether every AS number of r is in a. It is false if r ends
// before it begins, and if a inherits AS numbers.
func (a ASIdentifiers) Contains(r ASRange) bool {
	return r.From <= r.To && a.asnum.members.covers(r.span())
}

// Covers reports whether a has all that b has. It is false if a or b inherits:
// see [Blocks.Covers].
func (a ASIdentifiers) Covers(b ASIdentifiers) bool {
	_, number := a.asnum.members.missing(b.asnum.members)
	_, rdi := a.rdi.members.missing(b.rdi.members)
	return !a.Inherits() && !b.Inherits() && !number && !rdi
}

// Overlaps reports whether a and b have anything in common; see
// [Blocks.Overlaps].
func (a ASIdentifiers) Overlaps(b ASIdentifiers) bool {
	return a.asnum.members.overlaps(b.asnum.members) || a.rdi.members.overlaps(b.rdi.members)
}

// Union returns what is in a or b. The error is [ErrInherits] if either
// inherits.
func (a ASIdentifiers) Union(b ASIdentifiers) (ASIdentifiers, error) {
	return a.combine(b, set[uint16].union)
}

// Intersect returns what is in both a and b, as [ASIdentifiers.Union].
func (a ASIdentifiers) Intersect(b ASIdentifiers) (ASIdentifiers, error) {
	return a.combine(b, set[uint16].intersect)
}

// Difference returns what is in a and not in b, as [ASIdentifiers.Union].
func (a ASIdentifiers) Difference(b ASIdentifiers) (ASIdentifiers, error) {
	return a.combine(b, set[uint16].difference)
}

func (a ASIdentifiers) combine(b ASIdentifiers, op func(s, t set[uint16]) set[uint16]) (ASIdentifiers, error) {
	if a.Inherits() || b.Inherits() {
		return ASIdentifiers{}, ErrInherits
	}
	return ASIdentifiers{
		asnum: claim[uint16]{members: op(a.asnum.members, b.asnum.members)},
		rdi:   claim[uint16]{members: op(a.rdi.members, b.rdi.members)},
	}, nil
}

// Numbers yields the AS numbers as ranges in ascending order, no two of which
// overlap or touch. It yields nothing if a inherits them.
func (a ASIdentifiers) Numbers() iter.Seq[ASRange] { return a.asnum.ranges() }

// RoutingDomains is [ASIdentifiers.Numbers] of the routing domain identifiers.
func (a ASIdentifiers) RoutingDomains() iter.Seq[ASRange] { return a.rdi.ranges() }

func (c claim[W]) ranges() iter.Seq[ASRange] {
	return func(yield func(ASRange) bool) {
		for _, s := range c.members {
			if !yield(toASRange(s)) {
				return
			}
		}
	}
}

// toASRange converts a span of AS numbers.
func toASRange[W word](s span[W]) ASRange {
	number := func(n number[W]) uint32 { return uint32(n.hi)<<wordBits[W]() | uint32(n.lo) }
	return ASRange{number(s.lo), number(s.hi)}
}

// span is the reverse of toASRange.
func (r ASRange) span() span[uint16] {
	number := func(n uint32) number[uint16] { return number[uint16]{uint16(n >> 16), uint16(n)} }
	return span[uint16]{number(r.From), number(r.To)}
}

// String returns a as one line, AS numbers before routing domain identifiers:
//
//	AS64496, AS64500-64511, RDI 7
//	AS inherit, RDI inherit
//
// The zero value is "none".
func (a ASIdentifiers) String() string {
	text, _ := a.AppendText(nil)
	return string(text)
}

// MarshalText implements [encoding.TextMarshaler]. It returns what
// [ASIdentifiers.String] returns and does not fail.
func (a ASIdentifiers) MarshalText() ([]byte, error) { return a.AppendText(nil) }

// AppendText implements [encoding.TextAppender]. It appends what
// [ASIdentifiers.String] returns and does not fail.
func (a ASIdentifiers) AppendText(text []byte) ([]byte, error) {
	if a.IsZero() {
		return append(text, "none"...), nil
	}
	separator := ""
	for _, c := range []struct {
		claim[uint16]
		inherit, element string
	}{{a.asnum, "AS inherit", "AS"}, {a.rdi, "RDI inherit", "RDI "}} {
		if c.claim.inherit {
			text = append(append(text, separator...), c.inherit...)
			separator = ", "
		}
		for r := range c.ranges() {
			text = append(append(append(text, separator...), c.element...), r.String()...)
			separator = ", "
		}
	}
	return text, nil
}

// UnmarshalText implements [encoding.TextUnmarshaler]: it sets a to what
// [ParseASText] returns. On error a is as it was.
func (a *ASIdentifiers) UnmarshalText(text []byte) error {
	parsed, err := ParseASText(string(text))
	if err == nil {
		*a = parsed
	}
	return err
}

// ParseASText is the reverse of [ASIdentifiers.String], in the manner of
// [ParseText]. It also reads "AS 64496" and "AS64500-AS64511".
func ParseASText(text string) (ASIdentifiers, error) {
	if strings.TrimSpace(text) == "none" {
		return ASIdentifiers{}, nil
	}
	var a ASIdentifiers
	offset, elements := 0, 0
	for part := range strings.SplitSeq(text, ",") {
		if elements++; elements > MaxElements {
			return ASIdentifiers{}, wire.Errorf("AS identifiers", offset, ErrTooLarge)
		}
		element := strings.TrimSpace(part)
		if err := a.addText(element); err != nil {
			return ASIdentifiers{}, wire.Errorf("element", offset+strings.Index(part, element), err)
		}
		offset += len(part) + len(",")
	}
	a.asnum.members, a.rdi.members = newSet(a.asnum.members), newSet(a.rdi.members)
	return a, nil
}

// addText adds one element of a text, which leaves the sets to be sorted.
func (a *ASIdentifiers) addText(element string) error {
	c, text := &a.asnum, ""
	if after, ok := strings.CutPrefix(element, "RDI "); ok {
		c, text = &a.rdi, after
	} else if after, ok := strings.CutPrefix(element, "AS"); ok {
		text = strings.Replace(strings.TrimPrefix(after, " "), "-AS", "-", 1)
	} else {
		return errNotASElement
	}
	if text == "inherit" {
		c.inherit = true
	} else {
		r, err := parseASRange(text)
		if err != nil {
			return err
		}
		c.members = append(c.members, r.span())
	}
	if c.inherit && len(c.members) > 0 {
		return errContradiction
	}
	return nil
}

// parseASRange is the reverse of [ASRange.String].
func parseASRange(text string) (ASRange, error) {
	from, to, isRange := strings.Cut(text, "-")
	first, err := strconv.ParseUint(from, 10, 32)
	last := first
	var err2 error
	if isRange {
		last, err2 = strconv.ParseUint(to, 10, 32)
	}
	switch {
	case errors.Join(err, err2) != nil:
		return ASRange{}, errNotASElement
	case last < first:
		return ASRange{}, errReversed
	}
	return ASRange{uint32(first), uint32(last)}, nil
}
