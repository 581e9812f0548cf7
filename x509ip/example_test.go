package x509ip_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"log"
	"math/big"
	"net/netip"
	"time"

	"dhcpsec.example/x509ip"
)

// A delegating router's authority certifies a delegated prefix, and a host
// decides which prefixes the router may advertise.
func Example() {
	now := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	issue := func(template, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, template.PublicKey, key)
		if err != nil {
			log.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			log.Fatal(err)
		}
		return c
	}

	// The trust anchor.
	anchorKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	all, _ := x509ip.FromPrefixes(netip.MustParsePrefix("2001:db8::/32"))
	template, err := x509ip.AuthorityCertificate(anchorKey.Public(), "ISP", all, big.NewInt(1), now, now.AddDate(1, 0, 0))
	if err != nil {
		log.Fatal(err)
	}
	anchor := issue(template, template, anchorKey)

	// The requesting router with this DUID was delegated a prefix for a day.
	duid := []byte{0, 3, 0, 1, 2, 3, 4, 5, 6, 7}
	delegated, err := x509ip.FromPrefixes(netip.MustParsePrefix("2001:db8:0:100::/56"))
	if err != nil {
		log.Fatal(err)
	}
	routerKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template, err = x509ip.RouterCertificate(routerKey.Public(), duid, delegated, big.NewInt(2), now, now.AddDate(0, 0, 1))
	if err != nil {
		log.Fatal(err)
	}
	router := issue(template, anchor, anchorKey)

	// The host.
	paths, err := x509ip.Verify(router, x509ip.VerifyOptions{
		Roots:       []*x509.Certificate{anchor},
		CurrentTime: now,
		KeyUsages:   []asn1.ObjectIdentifier{x509ip.OIDSendRouter()},
	})
	if err != nil {
		log.Fatal(err)
	}
	held, err := x509ip.VerifiedBlocks(paths[0])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(router.Subject.CommonName, "holds", held)
	fmt.Println(held.Contains(netip.MustParsePrefix("2001:db8:0:101::/64")))
	fmt.Println(held.Contains(netip.MustParsePrefix("2001:db8:0:200::/64")))
	// Output:
	// 00030001020304050607 holds 2001:db8:0:100::/56
	// true
	// false
}

func ExampleParse() {
	der := []byte{
		0x30, 0x14,
		0x30, 0x0a, 0x04, 0x02, 0x00, 0x01, 0x30, 0x04, 0x03, 0x02, 0x00, 0x0a,
		0x30, 0x06, 0x04, 0x02, 0x00, 0x02, 0x05, 0x00,
	}
	b, err := x509ip.Parse(der)
	fmt.Println(b, err)

	_, err = x509ip.Parse(der[:12])
	fmt.Println(err)
	// Output:
	// 10.0.0.0/8, IPv6 inherit <nil>
	// IPAddrBlocks at offset 1: truncated
}

func ExampleFromPrefixes() {
	b, err := x509ip.FromPrefixes(
		netip.MustParsePrefix("2001:db8:0:200::/56"),
		netip.MustParsePrefix("2001:db8:0:300::/56"),
		netip.MustParsePrefix("10.0.1.0/24"),
		netip.MustParsePrefix("10.0.2.0/24"),
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(b)
	for p := range b.Prefixes() {
		fmt.Println(p)
	}
	// Output:
	// 10.0.1.0-10.0.2.255, 2001:db8:0:200::/55
	// 10.0.1.0/24
	// 10.0.2.0/24
	// 2001:db8:0:200::/55
}

func ExampleParseText() {
	pool, err := x509ip.ParseText("2001:db8::/32, 10.0.0.9-10.0.0.20, 10.0.0.0-10.0.0.8, IPv6 (SAFI 2) inherit")
	fmt.Println(pool, err)
	_, err = x509ip.ParseText("2001:db8::/32, 10.0.0.1/8")
	fmt.Println(err)
	// Output:
	// 10.0.0.0-10.0.0.20, 2001:db8::/32, IPv6 (SAFI 2) inherit <nil>
	// element at offset 15: forbidden value: prefix has host bits set
}

func ExampleParseLenient() {
	// Two prefixes that should have been one.
	der := []byte{
		0x30, 0x10,
		0x30, 0x0e, 0x04, 0x02, 0x00, 0x01, 0x30, 0x08, 0x03, 0x02, 0x00, 0x0a, 0x03, 0x02, 0x00, 0x0b,
	}
	_, err := x509ip.Parse(der)
	fmt.Println("strict:", err)
	b, deviations, err := x509ip.ParseLenient(der)
	fmt.Println("lenient:", b, deviations, err)
	// Output:
	// strict: IPAddressOrRange at offset 14: not canonical: elements not merged
	// lenient: 10.0.0.0/7 [IPAddressOrRange at offset 14: not canonical: elements not merged] <nil>
}

func ExampleDecoder() {
	one, _ := x509ip.FromPrefixes(netip.MustParsePrefix("2001:db8::/32"))
	der, _ := one.MarshalBinary()
	var d x509ip.Decoder
	for range 3 {
		b, err := d.Parse(der) // allocates the first time only
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(b)
	}
	// Output:
	// 2001:db8::/32
	// 2001:db8::/32
	// 2001:db8::/32
}

func ExampleBlocks_Difference() {
	pool, _ := x509ip.ParseText("2001:db8::/32")
	delegated, _ := x509ip.ParseText("2001:db8::/34, 2001:db8:8000::/33")
	free, err := pool.Difference(delegated)
	fmt.Println(free, err)
	// Output: 2001:db8:4000::/34 <nil>
}

func ExampleReconsiderPath() {
	certificate := func(blocks string) *x509.Certificate {
		b, _ := x509ip.ParseText(blocks)
		e, _ := b.ExtensionV2()
		return &x509.Certificate{
			Extensions:        []pkix.Extension{e},
			PolicyIdentifiers: []asn1.ObjectIdentifier{x509ip.OIDResourcePolicyV2()},
		}
	}
	held, overclaims, err := x509ip.ReconsiderPath([]*x509.Certificate{
		certificate("192.0.2.0/24, 198.51.100.0/24"),
		certificate("192.0.2.0/24"),
	})
	fmt.Println(held, err)
	fmt.Println("overclaims:", overclaims)
	// Output:
	// 192.0.2.0/24 <nil>
	// overclaims: [certificate at depth 0: 198.51.100.0/24]
}

func ExampleBlocks_Covers() {
	isp, _ := x509ip.FromPrefixes(netip.MustParsePrefix("2001:db8::/32"))
	customer, _ := x509ip.FromPrefixes(netip.MustParsePrefix("2001:db8:0:100::/56"))
	fmt.Println(isp.Covers(customer), customer.Covers(isp))
	// Output: true false
}

func ExampleDUIDName() {
	duid := []byte{0, 3, 0, 1, 2, 3, 4, 5, 6, 7}
	name, err := x509ip.DUIDName(duid)
	fmt.Println(name, err)
	fmt.Println(x509ip.NamesDUID("00030001020304050607", duid))
	// Output:
	// 00030001020304050607 <nil>
	// true
}
