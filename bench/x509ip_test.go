package bench

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"testing"
	"time"

	ctx509 "github.com/google/certificate-transparency-go/x509"
	"github.com/stretchr/testify/require"

	"dhcpsec.example/x509ip"
)

// resourceCounts are how many blocks an extension has: a home, a provider's
// customer, a large provider; and one that shows whether costs grow linearly.
var resourceCounts = []int{1, 10, 5000, 50000}

// resourceSample is an extension of n IPv6 blocks, prefixes and ranges in turn.
func resourceSample(tb testing.TB, n int) (x509ip.Blocks, []byte) {
	tb.Helper()
	at := func(i, subnet int) netip.Addr {
		a := [16]byte{0x20, 0x01}
		binary.BigEndian.PutUint32(a[2:], uint32(i))
		a[6] = byte(subnet)
		return netip.AddrFrom16(a)
	}
	ranges := make([]x509ip.Range, n)
	for i := range ranges {
		end := 3
		if i%2 == 1 {
			end = 2 // no prefix
		}
		last := at(i, end).As16()
		for j := 7; j < 16; j++ {
			last[j] = 0xff
		}
		ranges[i] = x509ip.Range{From: at(i, 0), To: netip.AddrFrom16(last)}
	}
	b, err := x509ip.FromRanges(ranges...)
	require.NoError(tb, err)
	der, err := b.MarshalBinary()
	require.NoError(tb, err)
	return b, der
}

// eachResourceSample runs f for each size, and OpenSSL's loop beside it.
func eachResourceSample(b *testing.B, openssl string, f func(b *testing.B, blocks x509ip.Blocks, der []byte)) {
	for _, n := range resourceCounts {
		blocks, der := resourceSample(b, n)
		b.Run(fmt.Sprintf("blocks=%d", n), func(b *testing.B) {
			f(b, blocks, der)
			if loop := opensslLoops[openssl]; loop != nil {
				b.Run("impl=openssl", func(b *testing.B) {
					if err := loop(der, b.N); err != nil {
						b.Fatal(err)
					}
				})
			}
		})
	}
}

// resourceLoop is one implementation of a benchmark.
func resourceLoop(b *testing.B, name string, f func() error) {
	b.Run("impl="+name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := f(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkResourcesDecode(b *testing.B) {
	eachResourceSample(b, "decode", func(b *testing.B, _ x509ip.Blocks, der []byte) {
		resourceLoop(b, "dhcpsec", func() error {
			_, err := x509ip.Parse(der)
			return err
		})
		var d x509ip.Decoder
		resourceLoop(b, "dhcpsec-reused", func() error {
			_, err := d.Parse(der)
			return err
		})
		resourceLoop(b, "encoding-asn1", func() error {
			_, err := decodeResourcesASN1(der)
			return err
		})
	})
}

func BenchmarkResourcesEncode(b *testing.B) {
	eachResourceSample(b, "encode", func(b *testing.B, blocks x509ip.Blocks, der []byte) {
		buffer := make([]byte, 0, len(der))
		resourceLoop(b, "dhcpsec", func() error {
			_, err := blocks.AppendBinary(buffer)
			return err
		})
		families, err := decodeResourcesASN1(der)
		require.NoError(b, err)
		resourceLoop(b, "encoding-asn1", func() error {
			_, err := encodeResourcesASN1(families)
			return err
		})
	})
}

func BenchmarkResourcesContain(b *testing.B) {
	eachResourceSample(b, "contain", func(b *testing.B, blocks x509ip.Blocks, der []byte) {
		other, err := x509ip.Parse(der)
		require.NoError(b, err)
		resourceLoop(b, "dhcpsec", func() error {
			if !blocks.Covers(other) {
				return x509ip.ErrNotHeld
			}
			return nil
		})
	})
}

// Three certificates of the same resources: each extension is decoded and
// checked, and each is compared with the next.
func BenchmarkResourcesPath(b *testing.B) {
	eachResourceSample(b, "path", func(b *testing.B, _ x509ip.Blocks, der []byte) {
		c := &x509.Certificate{Extensions: []pkix.Extension{{Id: x509ip.OIDIPAddrBlocks(), Critical: true, Value: der}}}
		path := []*x509.Certificate{c, c, c}
		resourceLoop(b, "dhcpsec", func() error { return x509ip.VerifyPath(path) })
	})
}

// A whole certificate, since certificate-transparency-go reads the extension in
// no other way. It decodes and does not check.
func BenchmarkResourcesOfCertificate(b *testing.B) {
	for _, n := range resourceCounts[:3] {
		blocks, _ := resourceSample(b, n)
		der := resourceCertificate(b, blocks)
		b.Run(fmt.Sprintf("blocks=%d", n), func(b *testing.B) {
			resourceLoop(b, "dhcpsec", func() error {
				c, err := x509.ParseCertificate(der)
				if err != nil {
					return err
				}
				_, err = x509ip.FromCertificate(c)
				return err
			})
			resourceLoop(b, "ct-go", func() error {
				_, err := ctx509.ParseCertificate(der)
				return err
			})
		})
	}
}

func resourceCertificate(tb testing.TB, blocks x509ip.Blocks) []byte {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	template, err := x509ip.AuthorityCertificate(key.Public(), "bench", blocks, big.NewInt(1), time.Unix(0, 0), time.Unix(1<<31, 0))
	require.NoError(tb, err)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(tb, err)
	return der
}

// Every implementation finds the same content.
func TestResourcesAreTheSame(t *testing.T) {
	for _, n := range resourceCounts {
		t.Run(fmt.Sprintf("blocks=%d", n), func(t *testing.T) {
			blocks, der := resourceSample(t, n)
			require.Len(t, slices.Collect(blocks.Ranges()), n)

			families, err := decodeResourcesASN1(der)
			require.NoError(t, err)
			again, err := encodeResourcesASN1(families)
			require.NoError(t, err)
			require.True(t, bytes.Equal(der, again))

			for name, loop := range opensslLoops {
				require.NoError(t, loop(der, 1), name)
			}

			c, err := ctx509.ParseCertificate(resourceCertificate(t, blocks))
			require.NoError(t, err)
			require.Len(t, c.RPKIAddressRanges, 1)
			require.Len(t, c.RPKIAddressRanges[0].AddressPrefixes, (n+1)/2)
			require.Len(t, c.RPKIAddressRanges[0].AddressRanges, n/2)
		})
	}
}

// What a program declares to read RFC 3779 section 2.2.3 with encoding/asn1. A
// CHOICE has to be looked at by hand.
type (
	asn1Resources struct {
		AddressFamily []byte
		Choice        asn1.RawValue
	}
	asn1AddressRange struct {
		Min, Max asn1.BitString
	}
	addressFamilyASN1 struct {
		AddressFamily []byte
		Inherit       bool
		Elements      []any // asn1.BitString or asn1AddressRange
	}
)

// decodeResourcesASN1 decodes. It checks nothing of what RFC 3779 asks.
func decodeResourcesASN1(der []byte) ([]addressFamilyASN1, error) {
	var decoded []asn1Resources
	if _, err := asn1.Unmarshal(der, &decoded); err != nil {
		return nil, err
	}
	families := make([]addressFamilyASN1, len(decoded))
	for i, f := range decoded {
		families[i].AddressFamily = f.AddressFamily
		if f.Choice.Tag == asn1.TagNull {
			families[i].Inherit = true
			continue
		}
		var elements []asn1.RawValue
		if _, err := asn1.Unmarshal(f.Choice.FullBytes, &elements); err != nil {
			return nil, err
		}
		families[i].Elements = make([]any, len(elements))
		for j, e := range elements {
			var err error
			if e.Tag == asn1.TagSequence {
				var r asn1AddressRange
				_, err = asn1.Unmarshal(e.FullBytes, &r)
				families[i].Elements[j] = r
			} else {
				var prefix asn1.BitString
				_, err = asn1.Unmarshal(e.FullBytes, &prefix)
				families[i].Elements[j] = prefix
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return families, nil
}

func encodeResourcesASN1(families []addressFamilyASN1) ([]byte, error) {
	type family struct {
		AddressFamily []byte
		Choice        any
	}
	all := make([]family, len(families))
	for i, f := range families {
		all[i] = family{f.AddressFamily, asn1.NullRawValue}
		if !f.Inherit {
			all[i].Choice = f.Elements
		}
	}
	return asn1.Marshal(all)
}
