package ikedhcp

import (
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/dhcp4"
)

var openGate = Gate{open: true}

// chain is payloads with their links, and the type of the first.
func chain(t testing.TB, payloads ...Payload) (PayloadType, []byte) {
	var b []byte
	for i, p := range payloads {
		if i+1 < len(payloads) && p.Next == NoNextPayload {
			p.Next = payloads[i+1].Type
		}
		var err error
		b, err = p.AppendBinary(b)
		require.NoError(t, err)
	}
	if len(payloads) == 0 {
		return NoNextPayload, nil
	}
	return payloads[0].Type, b
}

func collect(first PayloadType, b []byte) (list []Payload, err error) {
	for p, e := range Payloads(first, b) {
		if e != nil {
			return list, e
		}
		list = append(list, p)
	}
	return list, nil
}

// messages is what Codec.Messages yields: the DHCP messages, and the errors.
func messages(c Codec, gate Gate, first PayloadType, b []byte) (list [][]byte, errs []error) {
	for m, err := range c.Messages(gate, first, b) {
		if err != nil {
			errs = append(errs, err)
		} else {
			list = append(list, m)
		}
	}
	return list, errs
}

func TestPayloads(t *testing.T) {
	first, b := chain(t,
		Payload{Type: 35, Body: []byte("id")},
		Payload{Type: 250, Flags: 0xd5},
		Payload{Type: DefaultPayloadType, Body: []byte("not looked at")},
		Payload{Type: PayloadSK, Next: 41, Body: []byte("ciphertext")},
	)
	got, err := collect(first, b)
	require.NoError(t, err)
	require.Len(t, got, 4)
	require.Equal(t, Payload{Type: 35, Next: 250, Body: []byte("id"), Offset: 0}, got[0])
	require.Equal(t, Payload{Type: 250, Next: 200, Flags: 0xd5, Body: []byte{}, Offset: 6}, got[1])
	require.Equal(t, PayloadType(41), got[3].Next, "RFC 7296 section 3.14: the first payload inside")
	var again []byte
	for _, p := range got {
		require.Equal(t, len(p.Body), cap(p.Body), "an append to a body must not reach the chain")
		again = must(p.AppendBinary(again))
	}
	require.Equal(t, b, again)

	got, err = collect(NoNextPayload, nil)
	require.NoError(t, err)
	require.Empty(t, got, "an empty SK payload")
	for range Payloads(first, b) {
		break // stops when told to
	}
}

func TestPayloadsRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		first  PayloadType
		chain  string
		offset int
		err    error
	}{
		{"a payload that is not there", 41, "", 0, ErrTruncated},
		{"half a header", 41, "\x00\x00\x00", 0, ErrTruncated},
		{"half a second header", 41, "\x29\x00\x00\x04\x00", 4, ErrTruncated},
		{"a length of no header", 41, "\x00\x00\x00\x03", 2, ErrLength},
		{"a length of nothing", 41, "\x00\x00\x00\x00", 2, ErrLength},
		{"a length over the end", 41, "\x00\x00\x00\x05", 2, ErrTruncated},
		{"the largest length", 41, "\x00\x00\xff\xff", 2, ErrTruncated},
		{"octets after the last payload", 41, "\x00\x00\x00\x04\x00", 4, ErrTrailing},
		{"octets where there is no payload", 0, "\x00", 0, ErrTrailing},
		{"octets after an SK payload", 46, "\x29\x00\x00\x04\x00\x00\x00\x04", 4, ErrTrailing},
		{"octets after an SKF payload", 53, "\x29\x00\x00\x04\x00\x00\x00\x04", 4, ErrTrailing},
	} {
		_, err := collect(tc.first, []byte(tc.chain))
		pe, ok := errors.AsType[*ParseError](err)
		require.True(t, ok, tc.name)
		require.Equal(t, tc.offset, pe.Offset, tc.name)
		require.ErrorIs(t, err, tc.err, tc.name)
	}
}

func TestEveryTruncationOfAChain(t *testing.T) {
	first, b := chain(t, Payload{Type: 35, Body: []byte("id")}, Payload{Type: 200, Body: fromClient(1, dhcp4.Discover)}, Payload{Type: 41})
	for n := range len(b) {
		_, errs := messages(Codec{}, openGate, first, b[:n])
		require.NotEmpty(t, errs, "%d octets", n)
		for _, err := range errs {
			pe, ok := errors.AsType[*ParseError](err)
			require.True(t, ok, "%d octets: %v", n, err)
			require.LessOrEqual(t, pe.Offset, n)
		}
	}
}

func TestPayloadRefuses(t *testing.T) {
	b, err := Payload{Body: make([]byte, MaxMessage+1)}.AppendBinary([]byte("before"))
	require.ErrorIs(t, err, ErrTooLarge)
	require.Equal(t, "before", string(b))
	b, err = Payload{Body: make([]byte, MaxMessage)}.AppendBinary(nil)
	require.NoError(t, err)
	require.Equal(t, "\x00\x00\xff\xff", string(b[:4]), "the largest that there is")
}

func TestMessages(t *testing.T) {
	discover, release := fromClient(1, dhcp4.Discover), fromClient(2, dhcp4.Release)
	t.Run("none, one or more", func(t *testing.T) {
		for _, want := range [][][]byte{nil, {discover}, {discover, release, discover}} {
			payloads := []Payload{{Type: 35, Body: []byte("id")}}
			for _, m := range want {
				payloads = append(payloads, Payload{Type: 200, Body: m}, Payload{Type: 250, Body: []byte("skipped")})
			}
			first, b := chain(t, payloads...)
			got, errs := messages(Codec{}, openGate, first, b)
			require.Empty(t, errs)
			require.Equal(t, want, got)
		}
	})
	t.Run("a bad one does not hide the others", func(t *testing.T) {
		first, b := chain(t, Payload{Type: 200}, Payload{Type: 200, Body: discover[:242]}, Payload{Type: 200, Body: make([]byte, 300)}, Payload{Type: 200, Body: discover})
		got, errs := messages(Codec{}, openGate, first, b)
		require.Equal(t, [][]byte{discover}, got)
		require.Len(t, errs, 3)
	})
	t.Run("offsets count from the start of the chain", func(t *testing.T) {
		bootp := slices.Clone(discover)
		clear(bootp[240:243])
		first, b := chain(t, Payload{Type: 35, Body: []byte("id")}, Payload{Type: 200, Body: []byte{9}}, Payload{Type: 200, Body: bootp})
		_, errs := messages(Codec{}, openGate, first, b)
		require.Len(t, errs, 2)
		require.Equal(t, &ParseError{Field: "BOOTP header", Offset: 10, Err: ErrTruncated}, errs[0])
		require.Equal(t, &ParseError{Field: "DHCP message type", Offset: 15, Err: ErrValue}, errs[1])
	})
	t.Run("another type", func(t *testing.T) {
		first, b := chain(t, Payload{Type: 200, Body: release}, Payload{Type: 201, Body: discover})
		got, errs := messages(Codec{Type: 201}, openGate, first, b)
		require.Empty(t, errs)
		require.Equal(t, [][]byte{discover}, got)
	})
	t.Run("stops when told to", func(t *testing.T) {
		first, b := chain(t, Payload{Type: 200, Body: release}, Payload{Type: 200, Body: discover})
		for range (Codec{}).Messages(openGate, first, b) {
			break
		}
	})
}

// RFC 7296 section 2.5.
func TestCriticalPayloads(t *testing.T) {
	discover := fromClient(1, dhcp4.Discover)
	t.Run("unknown and critical is reported", func(t *testing.T) {
		first, b := chain(t, Payload{Type: 47, Flags: FlagCritical}, Payload{Type: 250, Flags: FlagCritical}, Payload{Type: 200, Body: discover})
		got, errs := messages(Codec{}, openGate, first, b)
		require.Equal(t, []error{&CriticalError{Type: 250, Offset: 4}}, errs, "a critical payload of RFC 7296 is not unknown")
		require.Equal(t, [][]byte{discover}, got, "the loop may go on, if the caller knows the type")
		require.Equal(t, "unsupported critical payload private(250) at offset 4", errs[0].Error())
	})
	t.Run("unknown and not critical is skipped", func(t *testing.T) {
		first, b := chain(t, Payload{Type: 1}, Payload{Type: 49}, Payload{Type: 250})
		_, errs := messages(Codec{}, openGate, first, b)
		require.Empty(t, errs)
	})
	t.Run("a critical DHCP payload is known", func(t *testing.T) {
		first, b := chain(t, Payload{Type: 200, Flags: FlagCritical, Body: discover})
		got, errs := messages(Codec{}, openGate, first, b)
		require.Empty(t, errs)
		require.Len(t, got, 1)
	})
	t.Run("the C bit is set in requests if configured, and in responses never", func(t *testing.T) {
		for _, tc := range []struct {
			codec Codec
			dir   Direction
			want  byte
		}{
			{Codec{}, InRequest, 0},
			{Codec{}, InResponse, 0},
			{Codec{Critical: true}, InRequest, 0x80},
			{Codec{Critical: true}, InResponse, 0},
		} {
			b, _, err := tc.codec.AppendPayloads(nil, openGate, tc.dir, NoNextPayload, nil, discover)
			require.NoError(t, err)
			require.Equal(t, tc.want, b[1])
		}
	})
}

// RFC 7296 section 3.12.
func TestVendorIDGate(t *testing.T) {
	digest := sha256.Sum256([]byte("DHCP over IKE, draft-ietf-ipsec-dhcp-over-ike-dhcpd-00"))
	require.Equal(t, string(digest[:16]), VendorID)

	discover := fromClient(1, dhcp4.Discover)
	t.Run("opens at our Vendor ID alone", func(t *testing.T) {
		b := AppendVendorID(nil, NoNextPayload)
		got, err := collect(PayloadV, b)
		require.NoError(t, err)
		var gate Gate
		for _, p := range []Payload{
			{}, {Type: PayloadV}, {Type: PayloadV, Body: []byte(VendorID[:15])}, {Type: PayloadV, Body: []byte(VendorID + "1")}, {Type: 41, Body: []byte(VendorID)},
		} {
			gate.Observe(p)
			require.False(t, gate.Open(), "%v", p)
		}
		gate.Observe(got[0])
		require.True(t, gate.Open())
		gate.Observe(Payload{Type: PayloadV})
		require.True(t, gate.Open(), "and stays so")
	})
	t.Run("closed, a private use number means nothing", func(t *testing.T) {
		first, b := chain(t, Payload{Type: 200, Body: discover})
		got, errs := messages(Codec{}, Gate{}, first, b)
		require.Empty(t, got)
		require.Empty(t, errs)
		first, b = chain(t, Payload{Type: 200, Flags: FlagCritical, Body: discover})
		_, errs = messages(Codec{}, Gate{}, first, b)
		require.Equal(t, []error{&CriticalError{Type: 200}}, errs)

		_, _, err := Codec{}.AppendPayloads(nil, Gate{}, InRequest, NoNextPayload, nil, discover)
		require.ErrorIs(t, err, ErrGate)
		_, _, err = Codec{}.AppendPayloads(nil, Gate{}, InRequest, NoNextPayload, nil)
		require.NoError(t, err, "nothing to send needs no gate")
	})
	t.Run("an assigned number needs none", func(t *testing.T) {
		assigned := Codec{Type: 99, Force: true}
		b, first, err := assigned.AppendPayloads(nil, Gate{}, InRequest, NoNextPayload, nil, discover)
		require.NoError(t, err)
		got, errs := messages(assigned, Gate{}, first, b)
		require.Empty(t, errs)
		require.Len(t, got, 1)
	})
}

func TestCodecValidate(t *testing.T) {
	for typ := range 256 {
		private, ike := typ == 0 || typ >= 128, typ >= 33 && typ <= 48 || typ == 53
		require.Equal(t, private, Codec{Type: PayloadType(typ)}.Validate() == nil, "type %d", typ)
		require.Equal(t, !ike, Codec{Type: PayloadType(typ), Force: true}.Validate() == nil, "type %d, forced", typ)
	}
	_, _, err := Codec{Type: 50}.AppendPayloads(nil, openGate, InRequest, NoNextPayload, nil)
	require.Error(t, err)
}

func TestAppendPayloads(t *testing.T) {
	one, two := fromClient(1, dhcp4.Discover), fromClient(2, dhcp4.Request)
	for _, tc := range []struct {
		name     string
		before   []Payload
		messages [][]byte
		want     []PayloadType
	}{
		{"nothing to nothing", nil, nil, nil},
		{"one to nothing", nil, [][]byte{one}, []PayloadType{200}},
		{"two to nothing", nil, [][]byte{one, two}, []PayloadType{200, 200}},
		{"nothing to others", []Payload{{Type: 35}, {Type: 39}}, nil, []PayloadType{35, 39}},
		{"two to others", []Payload{{Type: 35}, {Type: 39}}, [][]byte{one, two}, []PayloadType{35, 39, 200, 200}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			first, before := chain(t, tc.before...)
			given := slices.Clone(before)
			b, first, err := Codec{}.AppendPayloads([]byte("before"), openGate, InRequest, first, before, tc.messages...)
			require.NoError(t, err)
			require.Equal(t, "before", string(b[:6]))
			require.Equal(t, given, before, "the chain is not modified")
			got, err := collect(first, b[6:])
			require.NoError(t, err)
			var types []PayloadType
			for _, p := range got {
				types = append(types, p.Type)
			}
			require.Equal(t, tc.want, types)
			list, errs := messages(Codec{}, openGate, first, b[6:])
			require.Empty(t, errs)
			require.Equal(t, tc.messages, list)
		})
	}
	t.Run("refuses", func(t *testing.T) {
		first, sk := chain(t, Payload{Type: PayloadSK})
		for name, err := range map[string]error{
			"a malformed chain":      appendError(41, []byte{0}, one),
			"a payload behind SK":    appendError(first, sk, one),
			"a message of 65532":     appendError(0, nil, make([]byte, MaxMessage+1)),
			"a chain without a type": appendError(0, sk),
		} {
			require.Error(t, err, name)
		}
		require.NoError(t, appendError(first, sk), "nothing behind SK is fine")
	})
}

func appendError(first PayloadType, chain []byte, messages ...[]byte) error {
	b, _, err := Codec{}.AppendPayloads([]byte("before"), openGate, InRequest, first, chain, messages...)
	if err != nil && string(b) != "before" {
		return nil // the test fails: dst must come back as it was
	}
	return err
}

func TestPayloadTypeString(t *testing.T) {
	for typ, want := range map[PayloadType]string{0: "none", 33: "SA", 41: "N", 46: "SK", 54: "PS", 55: "payload(55)", 5: "payload(5)", 200: "private(200)"} {
		require.Equal(t, want, typ.String())
	}
}
