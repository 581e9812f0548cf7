package certopt

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWireFormatOfBothCarriers(t *testing.T) {
	key := marshalSPKI(t, seedKey().Public())
	o := Options{CAPointer: []byte("ldap:x"), PublicKey: key}
	top := "fde9" + "0006" + hex.EncodeToString([]byte("ldap:x")) +
		"fdea" + "002c" + "302a300506032b6570032100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
	require.Equal(t, top, hex.EncodeToString(mustAppend(t, Codec{}, o)))

	vendor := "0011" + "003e" + "00007ed9" + "0001" + top[4:20] + "0002" + top[24:]
	require.Equal(t, vendor, hex.EncodeToString(mustAppend(t, Codec{Enterprise: 32473}, o)))
}

func TestFindReturnsWhatAppendWrote(t *testing.T) {
	all := sample(t)
	for name, codec := range codecs() {
		t.Run(name, func(t *testing.T) {
			// Every combination of present and absent options.
			for mask := range 1 << kinds {
				var o Options
				for k := range kinds {
					if mask>>k&1 == 1 {
						*o.value(k) = *all.value(k)
					}
				}
				area := mustAppend(t, codec, o)
				got, err := codec.Find(area)
				require.NoError(t, err)
				require.Equal(t, o, got, "options %05b", mask)
				require.Equal(t, area, mustAppend(t, codec, got))
			}
		})
	}
}

func TestFindAmongOtherOptionsInAnyOrder(t *testing.T) {
	o := sample(t)
	clientID, iaPD := option(t, 1, testStatement().ClientDUID), option(t, 25, make([]byte, 12))
	area := slices.Concat(
		option(t, 65003, o.Certificate), clientID, option(t, 65002, o.PublicKey), option(t, 17, []byte{1}),
		option(t, 65005, o.Chain), option(t, 65004, o.KeyProof), iaPD, option(t, 65001, o.CAPointer), option(t, 14, nil))
	got, err := Codec{}.Find(area)
	require.NoError(t, err)
	require.Equal(t, o, got)
}

func TestFindWithOtherCodes(t *testing.T) {
	codec := Codec{Codes: Codes{CAPointer: 201, PublicKey: 202, Certificate: 203, KeyProof: 204, CertificateChain: 205}}
	o := sample(t)
	area := mustAppend(t, codec, o)
	got, err := codec.Find(area)
	require.NoError(t, err)
	require.Equal(t, o, got)
	got, err = Codec{}.Find(area)
	require.NoError(t, err)
	require.Equal(t, Options{}, got, "options under other codes are not ours")
}

func TestFoundOptionsAreCappedViewsOfTheArea(t *testing.T) {
	for name, codec := range codecs() {
		t.Run(name, func(t *testing.T) {
			area := mustAppend(t, codec, sample(t))
			before := bytes.Clone(area)
			o, err := codec.Find(area)
			require.NoError(t, err)
			clone := o.Clone()
			for k := range kinds {
				v := *o.value(k)
				require.NotEmpty(t, v)
				_ = append(v, 0xff)
				require.Equal(t, before, area, "append to the %v reached the octets behind it", k)
			}
			clear(area)
			require.Equal(t, make([]byte, len(o.CAPointer)), o.CAPointer, "Find copied")
			require.Equal(t, sample(t), clone, "Clone did not copy")
		})
	}
}

func TestRFC8415s21_1OptionEndsWithinItsArea(t *testing.T) {
	for name, codec := range codecs() {
		t.Run(name, func(t *testing.T) {
			whole := slices.Concat(option(t, 1, []byte{0, 3, 0, 1, 2, 3}), mustAppend(t, codec, sample(t)), option(t, 14, nil))
			ends := map[int]bool{0: true}
			for opt, err := range Walk(whole) {
				require.NoError(t, err)
				ends[opt.Offset+len(opt.Data)] = true
			}
			for n := range len(whole) {
				_, err := codec.Find(whole[:n])
				if ends[n] {
					require.NoError(t, err, "cut to %d octets, between two options", n)
					continue
				}
				var pe *ParseError
				require.ErrorAs(t, err, &pe, "cut to %d octets", n)
				require.ErrorIs(t, err, ErrTruncated, "cut to %d octets", n)
				require.GreaterOrEqual(t, pe.Offset, 0)
				require.LessOrEqual(t, pe.Offset, n, "cut to %d octets: offset outside the input", n)
			}
		})
	}
}

func TestRFC8415s21_17OneVendorOptsPerEnterprise(t *testing.T) {
	codec := Codec{Enterprise: 32473}
	pointer := option(t, 1, []byte(testURI))
	key := option(t, 2, sample(t).PublicKey)
	first := vendorOpts(t, pointer)
	for name, second := range map[string][]byte{
		"the same option":  vendorOpts(t, pointer),
		"another option":   vendorOpts(t, key),
		"no option at all": vendorOpts(t),
	} {
		t.Run(name, func(t *testing.T) {
			o, err := codec.Find(slices.Concat(first, second))
			requireParseError(t, err, len(first), ErrDuplicate)
			require.Equal(t, Options{}, o)
		})
	}

	other := bytes.Clone(vendorOpts(t, pointer))
	binary.BigEndian.PutUint32(other[4:], 9)
	o, err := codec.Find(slices.Concat(other, first, other))
	require.NoError(t, err, "VENDOR_OPTS of other enterprises may stand beside ours")
	require.Equal(t, Options{CAPointer: []byte(testURI)}, o)
}

func TestRFC8415s21_17SubOptions(t *testing.T) {
	codec := Codec{Enterprise: 32473}
	lead := option(t, 14, nil)
	const data = 4 + 4 + 4 // first octet of the first sub-option
	for name, tc := range map[string]struct {
		area     []byte
		offset   int
		sentinel error
	}{
		"sub-option longer than its VENDOR_OPTS": {
			// The octets exist in the area, but belong to the next option.
			area:   slices.Concat(lead, vendorOpts(t, []byte{0, 1, 0, 5, 'a', ':', 'b'}), option(t, 14, nil)),
			offset: data + 2, sentinel: ErrTruncated,
		},
		"half a sub-option header": {slices.Concat(lead, vendorOpts(t, []byte{0, 1, 0})), data + 2, ErrTruncated},
		"bad value":                {slices.Concat(lead, vendorOpts(t, option(t, 1, []byte("a:b c")))), data + 4 + 3, ErrValue},
		"duplicate": {
			slices.Concat(lead, vendorOpts(t, option(t, 1, []byte("a:b")), option(t, 1, []byte("a:b")))),
			data + 7, ErrDuplicate,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := codec.Find(tc.area)
			requireParseError(t, err, tc.offset, tc.sentinel)
		})
	}
	for name, area := range map[string][]byte{
		"empty VENDOR_OPTS":                    vendorOpts(t),
		"too short to name an enterprise":      option(t, 17, []byte{0, 0, 0x7e}),
		"another enterprise, framing unsound":  option(t, 17, []byte{0, 0, 0, 9, 0xff}),
		"sub-options that are not ours":        vendorOpts(t, option(t, 6, nil), option(t, 65001, []byte("a:b"))),
		"our sub-option codes at the top":      option(t, 1, []byte{0, 3, 0, 1, 2, 3}),
		"the default top-level codes, at home": option(t, 65001, []byte("not looked at")),
	} {
		t.Run(name, func(t *testing.T) {
			o, err := codec.Find(area)
			require.NoError(t, err)
			require.Equal(t, Options{}, o)
		})
	}
}

func TestRFC7227s16Singletons(t *testing.T) {
	all := sample(t)
	for k, code := range DefaultCodes().list() {
		one := option(t, code, *all.value(kind(k)))
		area := slices.Concat(option(t, 14, nil), one, option(t, 14, nil), one)
		o, err := Codec{}.Find(area)
		requireParseError(t, err, 4+len(one)+4, ErrDuplicate, kind(k))
		require.Equal(t, Options{}, o, kind(k))
	}
}

func TestRFC7227s21_1InvalidOptionIsDiscarded(t *testing.T) {
	all := sample(t)
	for k, code := range DefaultCodes().list() {
		t.Run(kind(k).String(), func(t *testing.T) {
			good := mustAppend(t, Codec{}, Options{CAPointer: all.CAPointer})
			if kind(k) == kindCAPointer {
				good = mustAppend(t, Codec{}, Options{PublicKey: all.PublicKey})
			}
			empty := option(t, code, nil)
			o, err := Codec{}.Find(slices.Concat(good, empty))
			requireParseError(t, err, len(good)+4, ErrLength)
			require.Equal(t, Options{}, o, "valid options beside an invalid one must not be half a set")
		})
	}
}

func TestEveryTruncationOfAValueIsRefused(t *testing.T) {
	all := sample(t)
	for k, code := range DefaultCodes().list() {
		v := *all.value(kind(k))
		for n := range len(v) {
			area := option(t, code, v[:n])
			_, err := Codec{}.Find(area)
			// A shorter URI is a URI, and a shorter chain may be a chain.
			if kind(k) == kindCAPointer && n > len("http:") ||
				kind(k) == kindChain && n == len(v)/2 {
				require.NoError(t, err, "%v cut to %d octets", kind(k), n)
				continue
			}
			var pe *ParseError
			require.ErrorAs(t, err, &pe, "%v cut to %d octets", kind(k), n)
			require.GreaterOrEqual(t, pe.Offset, 0)
			require.LessOrEqual(t, pe.Offset, len(area), "%v cut to %d octets: offset outside the input", kind(k), n)
		}
	}
}

func TestLimits(t *testing.T) {
	all := sample(t)
	cert := len(all.Certificate)
	for k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			var o Options
			*o.value(k) = *all.value(k)
			size := len(*o.value(k))
			limits := func(n int) Limits {
				return map[kind]Limits{
					kindCAPointer:   {CAPointer: n},
					kindPublicKey:   {PublicKey: n},
					kindCertificate: {Certificate: n},
					kindKeyProof:    {KeyProof: n},
					kindChain:       {CertificateChain: n},
				}[k]
			}
			area := mustAppend(t, Codec{Limits: limits(size)}, o)
			_, err := Codec{Limits: limits(size)}.Find(area)
			require.NoError(t, err, "exactly at the limit")
			_, err = Codec{Limits: limits(size - 1)}.Find(area)
			requireParseError(t, err, 4, ErrTooLarge)
			_, err = Codec{Limits: limits(size - 1)}.Append(nil, o)
			requireParseError(t, err, 0, ErrTooLarge)
		})
	}
	t.Run("certificate in a chain", func(t *testing.T) {
		area := mustAppend(t, Codec{}, Options{Chain: all.Chain})
		_, err := Codec{Limits: Limits{Certificate: cert}}.Find(area)
		require.NoError(t, err)
		_, err = Codec{Limits: Limits{Certificate: cert - 1}}.Find(area)
		requireParseError(t, err, 6, ErrTooLarge)
	})
	t.Run("certificates in a chain", func(t *testing.T) {
		certs := slices.Repeat([][]byte{all.Certificate}, MaxChainCertificates)
		chain, err := AppendChain(nil, certs...)
		require.NoError(t, err)
		area := mustAppend(t, Codec{}, Options{Chain: chain})
		o, err := Codec{}.Find(area)
		require.NoError(t, err)
		require.Equal(t, certs, slices.Collect(o.Chain.All()))

		more, err := AppendChain(chain, all.Certificate)
		require.NoError(t, err)
		_, err = Codec{}.Append(nil, Options{Chain: more})
		requireParseError(t, err, len(chain), ErrTooLarge)
	})
	t.Run("defaults", func(t *testing.T) {
		require.Equal(t, Limits{2048, 4096, 16384, 4096, 49152}, Codec{}.withDefaults().Limits)
	})
}

func TestAppendFailsWithoutTouchingTheBuffer(t *testing.T) {
	all := sample(t)
	big := slices.Concat([]byte("http://ca.example/"), bytes.Repeat([]byte("a"), 65000))
	for name, tc := range map[string]struct {
		codec    Codec
		o        Options
		sentinel error
	}{
		"last option bad":     {Codec{}, Options{CAPointer: all.CAPointer, Chain: Chain{0}}, ErrTruncated},
		"in VENDOR_OPTS, too": {Codec{Enterprise: 1}, Options{CAPointer: all.CAPointer, KeyProof: []byte{0}}, ErrValue},
		"VENDOR_OPTS full": {
			Codec{Enterprise: 1, Limits: Limits{CAPointer: 65535}},
			Options{CAPointer: big, Certificate: all.Certificate, Chain: all.Chain},
			ErrTooLarge,
		},
		"option-len exceeded": {
			Codec{Limits: Limits{CAPointer: 1 << 20}},
			Options{PublicKey: all.PublicKey, CAPointer: append(big, big...)},
			ErrTooLarge,
		},
	} {
		t.Run(name, func(t *testing.T) {
			buf := append(make([]byte, 0, 1<<18), "before"...)
			got, err := tc.codec.Append(buf, tc.o)
			require.ErrorIs(t, err, tc.sentinel)
			require.Equal(t, "before", string(got))
		})
	}
}

func TestAppendAppends(t *testing.T) {
	for name, codec := range codecs() {
		t.Run(name, func(t *testing.T) {
			got, err := codec.Append([]byte("before"), sample(t))
			require.NoError(t, err)
			require.Equal(t, append([]byte("before"), mustAppend(t, codec, sample(t))...), got)
			got, err = codec.Append([]byte("before"), Options{CAPointer: []byte{}})
			require.NoError(t, err)
			require.Equal(t, "before", string(got), "an empty field is an absent option")
		})
	}
}

func TestValidate(t *testing.T) {
	for name, codec := range map[string]Codec{
		"zero":                   {},
		"vendor":                 {Enterprise: 32473},
		"explicit default codes": {Codes: DefaultCodes()},
		"lowest free codes":      {Codes: Codes{149, 150, 151, 152, 153}},
		"vendor with high codes": {Enterprise: 1, Codes: DefaultCodes()},
		"limits at their ends":   {Limits: Limits{1, 65535, 1, 65535, 1}},
	} {
		t.Run(name, func(t *testing.T) { require.NoError(t, codec.Validate()) })
	}
	for name, tc := range map[string]struct {
		codec Codec
		want  string
	}{
		"a code missing":      {Codec{Codes: Codes{CAPointer: 65001}}, "no code for the public key option"},
		"a code used twice":   {Codec{Codes: Codes{201, 202, 203, 202, 205}}, "key proof option: code 202 is used twice"},
		"an assigned code":    {Codec{Codes: Codes{201, 202, 25, 204, 205}}, "certificate option: code 25 is another DHCPv6 option"},
		"the last assigned":   {Codec{Codes: Codes{201, 202, 203, 204, 148}}, "certificate chain option: code 148"},
		"vendor codes on top": {Codec{Codes: VendorCodes()}, "CA pointer option: code 1 is another DHCPv6 option"},
		"vendor code twice":   {Codec{Enterprise: 1, Codes: Codes{1, 2, 3, 4, 1}}, "certificate chain option: code 1 is used twice"},
		"a negative limit":    {Codec{Limits: Limits{KeyProof: -1}}, "key proof option: limit of -1 octets"},
		"an excessive limit":  {Codec{Limits: Limits{Certificate: 65536}}, "certificate option: limit of 65536 octets"},
	} {
		t.Run(name, func(t *testing.T) { require.ErrorContains(t, tc.codec.Validate(), tc.want) })
	}
}

func TestRFC8415s21_7OnlyTopLevelOptionsAreRequested(t *testing.T) {
	for name, tc := range map[string]struct {
		codec Codec
		have  []uint16
		want  []uint16
	}{
		"top-level":                   {Codec{}, []uint16{82}, []uint16{82, 65001, 65003, 65005}},
		"no code twice":               {Codec{}, []uint16{65003, 82}, []uint16{65003, 82, 65001, 65005}},
		"VENDOR_OPTS":                 {Codec{Enterprise: 32473}, []uint16{82}, []uint16{82, 17}},
		"VENDOR_OPTS asked for twice": {Codec{Enterprise: 32473}, []uint16{17, 82}, []uint16{17, 82}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, tc.codec.AppendRequested(tc.have)) })
	}
}

func TestRequests(t *testing.T) {
	everything := Request{CAPointer: true, Certificate: true, Chain: true}
	for name, tc := range map[string]struct {
		codec Codec
		codes []uint16
		want  Request
	}{
		"nothing":                       {Codec{}, nil, Request{}},
		"others":                        {Codec{}, []uint16{82, 17, 1, 3, 5}, Request{}},
		"never sent in this direction":  {Codec{}, []uint16{65002, 65004}, Request{}},
		"CA pointer":                    {Codec{}, []uint16{82, 65001}, Request{CAPointer: true}},
		"certificate":                   {Codec{}, []uint16{65003, 82}, Request{Certificate: true}},
		"certificate chain":             {Codec{}, []uint16{65005}, Request{Chain: true}},
		"what AppendRequested asks for": {Codec{}, Codec{}.AppendRequested(nil), everything},
		"VENDOR_OPTS":                   {Codec{Enterprise: 32473}, []uint16{82, 17, 82}, everything},
		"sub-option codes":              {Codec{Enterprise: 32473}, []uint16{1, 3, 5, 65001}, Request{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.codec.Requests(appendORO(t, option(t, 14, nil), tc.codes))
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
	t.Run("no Option Request option", func(t *testing.T) {
		got, err := Codec{}.Requests(option(t, 14, nil))
		require.NoError(t, err)
		require.Equal(t, Request{}, got)
	})

	oro := appendORO(t, nil, []uint16{65001})
	_, err := Codec{}.Requests(slices.Concat(oro, oro))
	requireParseError(t, err, 6, ErrDuplicate)
	got, err := Codec{}.Requests(slices.Concat(oro, []byte{0, 6, 0, 3, 0xfd, 0xe9, 0})[6:])
	requireParseError(t, err, 4, ErrLength)
	require.Equal(t, Request{}, got)
	for n := 1; n < len(oro); n++ {
		got, err := Codec{}.Requests(oro[:n])
		require.ErrorIs(t, err, ErrTruncated, "cut to %d octets", n)
		require.Equal(t, Request{}, got)
	}
}

func TestWalk(t *testing.T) {
	area := slices.Concat(option(t, 14, nil), option(t, 65000, []byte{1, 2}), option(t, 14, nil))
	var got []Option
	for opt, err := range Walk(area) {
		require.NoError(t, err)
		got = append(got, opt)
	}
	require.Equal(t, []Option{
		{Code: 14, Data: []byte{}, Offset: 4},
		{Code: 65000, Data: []byte{1, 2}, Offset: 8},
		{Code: 14, Data: []byte{}, Offset: 14},
	}, got)

	n := 0
	for range Walk(area) {
		n++
		break
	}
	require.Equal(t, 1, n, "the walk goes on after break")

	var errs []error
	for _, err := range Walk(area[:len(area)-1]) {
		errs = append(errs, err)
	}
	require.Len(t, errs, 3, "the walk ends with its error")
	requireParseError(t, errs[2], 12, ErrTruncated)
}

func TestAppendOptionRefusesWhatItsLengthFieldCannotHold(t *testing.T) {
	b, err := AppendOption([]byte("before"), 1, make([]byte, 65536))
	require.ErrorIs(t, err, ErrTooLarge)
	require.Equal(t, "before", string(b))
	b, err = AppendOption(nil, 1, make([]byte, 65535))
	require.NoError(t, err)
	require.Equal(t, []byte{0, 1, 0xff, 0xff}, b[:4])
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	all := sample(t)
	for name, codec := range codecs() {
		area := slices.Concat(appendORO(t, nil, codec.AppendRequested(nil)), mustAppend(t, codec, all))
		buf := make([]byte, 0, len(area))
		codes := make([]uint16, 0, 8)
		for what, f := range map[string]func(){
			"Find":            func() { _, _ = codec.Find(area) },
			"Append":          func() { _, _ = codec.Append(buf, all) },
			"Requests":        func() { _, _ = codec.Requests(area) },
			"AppendRequested": func() { _ = codec.AppendRequested(codes) },
			"Validate":        func() { _ = codec.Validate() },
			"Walk": func() {
				for range Walk(area) {
				}
			},
			"Chain.All": func() {
				for range all.Chain.All() {
				}
			},
		} {
			require.Zero(t, testing.AllocsPerRun(100, f), "%s, %s", what, name)
		}
	}
}
