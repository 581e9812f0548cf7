package dhcpv6pd_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/netip"
	"time"

	"dhcpsec.example/certopt"
	"dhcpsec.example/dhcpv6pd"
	"dhcpsec.example/x509ip"
)

// A DHCPv6 client that is not this package's gets its certificate side: what it
// adds to its Request, and what it does with the Reply.
func ExampleHolder() {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	ca := newExampleCA(now)
	key, _ := rsa.GenerateKey(rand.Reader, 2048) // SEND has no other keys
	holder, err := dhcpv6pd.NewHolder(dhcpv6pd.HolderConfig{
		DUID:         []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1},
		Key:          key,
		TrustAnchors: []*x509.Certificate{ca.cert},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("ask for options", holder.AppendRequested(nil))

	// The client's Reply: one prefix for an hour, and these options.
	var codec certopt.Codec
	options, _ := codec.Append(nil, certopt.Options{CAPointer: []byte("http://[2001:db8:ca::1]/enroll")})
	prefix := netip.MustParsePrefix("2001:db8:8000:100::/56")
	acts := holder.HandleReply(now, options, []dhcpv6pd.Prefix{{Prefix: prefix, Preferred: time.Hour, Valid: time.Hour}}, nil)

	for len(acts) > 0 {
		a := acts[0]
		acts = acts[1:]
		switch a.Kind {
		case dhcpv6pd.ActionEnroll: // in a program: another goroutine, its result comes back here
			fmt.Println("enroll at", a.URI, "for", a.Prefixes, "until", a.NotAfter.Format(time.TimeOnly))
			acts, err = holder.HandleEnrolled(now, a.ID, ca.issue(key, a, now), nil, acts)
		case dhcpv6pd.ActionCertified:
			fmt.Println("certified for", a.Prefixes)
		}
	}
	until, ok := holder.MayAdvertise(now, netip.MustParsePrefix("2001:db8:8000:1ff::/64"))
	fmt.Println("inside: ", ok, until.Format(time.TimeOnly))
	_, ok = holder.MayAdvertise(now, netip.MustParsePrefix("2001:db8:8000:200::/64"))
	fmt.Println("outside:", ok, err)
	// Output:
	// ask for options [65001 65003 65005]
	// enroll at http://[2001:db8:ca::1]/enroll for [2001:db8:8000:100::/56] until 01:00:00
	// certified for [2001:db8:8000:100::/56]
	// inside:  true 01:00:00
	// outside: false <nil>
}

// A DHCPv6 server that is not this package's, or a relay agent before one, gets
// the certificate side: it tells of a Request it is about to answer, and adds
// what comes back to its Reply.
func ExampleRegistrar() {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	registrar, err := dhcpv6pd.NewRegistrar(dhcpv6pd.RegistrarConfig{
		CAPointer: "http://[2001:db8:ca::1]/enroll",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	oro := []byte{0, 6, 0, 2, 65001 >> 8, 65001 & 0xff} // the client asks for the CA pointer
	acts, err := registrar.HandleRequest(now, dhcpv6pd.Request{
		DUID:          []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1},
		IAID:          1,
		TransactionID: [3]byte{1, 2, 3},
		Options:       oro,
		Prefixes: []dhcpv6pd.Prefix{{
			Prefix: netip.MustParsePrefix("2001:db8:8000:100::/56"), Preferred: time.Hour, Valid: 2 * time.Hour,
		}},
	}, nil)
	for len(acts) > 0 {
		a := acts[0]
		acts = acts[1:]
		switch a.Kind {
		case dhcpv6pd.ActionNotifyCA:
			fmt.Printf("tell the CA: %x holds %v until %v\n", a.DUID, a.Prefixes, a.NotAfter.Format(time.TimeOnly))
			acts, err = registrar.HandleNotified(now, a.ID, true, acts)
		case dhcpv6pd.ActionAnswer:
			options, _ := certopt.Codec{}.Find(a.Data)
			fmt.Println("add to the Reply:", a.Outcome, options)
		}
	}
	fmt.Println(err)
	// Output:
	// tell the CA: 00030001020000000001 holds [2001:db8:8000:100::/56] until 02:00:00
	// add to the Reply: pointer ca-pointer="http://[2001:db8:ca::1]/enroll"
	// <nil>
}

// exampleCA is the least that signs a router certificate.
type exampleCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newExampleCA(now time.Time) exampleCA {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	all, _ := x509ip.FromPrefixes(netip.MustParsePrefix("2001:db8::/32"))
	template, _ := x509ip.AuthorityCertificate(key.Public(), "Example CA", all, big.NewInt(1), now.Add(-time.Hour), now.AddDate(1, 0, 0))
	der, _ := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	cert, _ := x509.ParseCertificate(der)
	return exampleCA{cert, key}
}

func (ca exampleCA) issue(key crypto.Signer, a dhcpv6pd.Action, now time.Time) []byte {
	resources, _ := x509ip.FromPrefixes(a.Prefixes...)
	template, _ := x509ip.RouterCertificate(key.Public(), a.DUID, resources, big.NewInt(2), now, a.NotAfter)
	der, _ := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	return der
}
