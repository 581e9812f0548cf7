// Issue makes certificates with RFC 3779 resources, and a key for each:
//
//	issue anchor -name "Trust anchor" -blocks 2001:db8::/32 anchor
//	issue authority -issuer anchor -name ISP -blocks 2001:db8::/40 isp
//	issue router -issuer isp -duid 00030001020304050607 -blocks 2001:db8:0:100::/56 router
//
// The last argument names what is made: NAME.pem is the certificate, NAME.key
// its private key (PKCS #8), NAME.chain.pem the certificate and those above it.
// -issuer names what an earlier run made. A file that exists is not written
// over.
//
// -blocks and -as take what inspect prints, such as
// "10.0.0.0-10.0.0.9, 2001:db8::/32" and "AS64496, AS64500-64511", or
// "IPv6 inherit" and "AS inherit". What the issuer does not hold is not issued.
//
// Certificates are of the local profile with ECDSA keys, or with -repository URI
// of the strict one, with RSA keys and with all URIs below that rsync URI.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dhcpsec.example/x509ip"
)

func main() { os.Exit(run(os.Args[1:], time.Now(), os.Stdout, os.Stderr)) }

// The exit statuses.
const (
	statusOK     = 0
	statusFailed = 1
	statusUsage  = 2
)

const usage = `usage: issue anchor -name NAME -blocks BLOCKS [flags] FILE
       issue authority -issuer FILE -name NAME -blocks BLOCKS [flags] FILE
       issue router -issuer FILE -duid HEX -blocks BLOCKS [flags] FILE`

// order is what the command line asks for.
type order struct {
	kind       string // anchor, authority or router
	issuer     string
	name       string
	duid       string
	blocks     x509ip.Blocks
	numbers    x509ip.ASIdentifiers
	days       int
	repository string
	file       string
}

// run is main, with the process's surroundings as parameters and its exit status
// as the result.
func run(args []string, now time.Time, stdout, stderr io.Writer) int {
	o, err := parseOrder(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return statusOK
	case err != nil:
		fmt.Fprintf(stderr, "issue: %v\n%s\n", err, usage)
		return statusUsage
	}
	certificate, err := o.issue(now)
	if err != nil {
		fmt.Fprintf(stderr, "issue: %v\n", err)
		return statusFailed
	}
	held := x509ip.Resources{Blocks: o.blocks, ASIdentifiers: o.numbers}
	fmt.Fprintf(stdout, "%s.pem: %s holds %s until %s\n", o.file, certificate.Subject.CommonName, held, certificate.NotAfter.Format(time.RFC3339))
	return statusOK
}

func parseOrder(args []string, stderr io.Writer) (order, error) {
	var o order
	if len(args) == 0 {
		return o, errors.New("what to issue?")
	}
	flags := flag.NewFlagSet("issue", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&o.issuer, "issuer", "", "what an earlier run made, without .pem")
	flags.StringVar(&o.name, "name", "", "common name of an anchor or authority")
	flags.StringVar(&o.duid, "duid", "", "DUID of a router, type included, in hex")
	flags.TextVar(&o.blocks, "blocks", x509ip.Blocks{}, "IP addresses")
	flags.TextVar(&o.numbers, "as", x509ip.ASIdentifiers{}, "AS identifiers")
	flags.IntVar(&o.days, "days", 30, "how long it is valid, but no longer than the issuer's")
	flags.StringVar(&o.repository, "repository", "", "rsync `URI` where all is published: issue to the strict profile")
	o.kind = args[0]
	if o.kind == "-h" || o.kind == "-help" || o.kind == "--help" {
		flags.Usage()
		return o, flag.ErrHelp
	}
	if err := flags.Parse(args[1:]); err != nil {
		return o, err
	}
	switch {
	case o.kind != "anchor" && o.kind != "authority" && o.kind != "router":
		return o, errors.New("it is an anchor, an authority or a router that can be issued")
	case flags.NArg() != 1:
		return o, errors.New("one argument names the files")
	case (o.issuer == "") != (o.kind == "anchor"):
		return o, errors.New("authority and router have an issuer, an anchor has none")
	case (o.duid == "") == (o.kind == "router"):
		return o, errors.New("a router has a DUID, nothing else has")
	case (o.name == "") != (o.kind == "router"):
		return o, errors.New("an anchor or authority has a name, that of a router is its DUID")
	case o.days < 1 || o.days > 36500:
		return o, errors.New("-days is from 1 to 36500")
	}
	o.file = flags.Arg(0)
	return o, nil
}

// issuer is who signs.
type issuer struct {
	path  []*x509.Certificate // its certificate and those above it
	chain []byte              // path in PEM
	key   crypto.Signer
}

// issue makes key and certificate and writes the files.
func (o order) issue(now time.Time) (*x509.Certificate, error) {
	var by issuer
	if o.issuer != "" {
		var err error
		if by, err = readIssuer(o.issuer); err != nil {
			return nil, err
		}
	}
	key, err := o.newKey()
	if err != nil {
		return nil, err
	}
	template, err := o.template(key.Public(), now, by)
	if err != nil {
		return nil, err
	}
	parent, signer := template, key
	if o.issuer != "" {
		parent, signer = by.path[0], by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if err := x509ip.VerifyPath(append([]*x509.Certificate{certificate}, by.path...)); err != nil {
		return nil, err
	}
	return certificate, o.write(certificate, key, by.chain)
}

func (o order) newKey() (crypto.Signer, error) {
	if o.repository != "" {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func (o order) template(pub crypto.PublicKey, now time.Time, by issuer) (*x509.Certificate, error) {
	name := o.name
	if o.kind == "router" {
		duid, err := hex.DecodeString(o.duid)
		if err != nil {
			return nil, errors.New("the DUID is not hex")
		}
		if name, err = x509ip.DUIDName(duid); err != nil {
			return nil, err
		}
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	notAfter := now.AddDate(0, 0, o.days)
	if o.issuer != "" && by.path[0].NotAfter.Before(notAfter) {
		notAfter = by.path[0].NotAfter
	}
	t := x509ip.Template{
		PublicKey: pub, Name: name, Authority: o.kind != "router",
		Blocks: o.blocks, ASIdentifiers: o.numbers,
		SerialNumber: serial.Add(serial, big.NewInt(1)), NotBefore: now, NotAfter: notAfter,
		Profile: x509ip.ProfileLocal,
	}
	if o.repository != "" {
		t.Profile = x509ip.ProfileStrict
		t.Publication = o.publication()
	}
	return t.Certificate()
}

// publication puts everything below the repository.
func (o order) publication() x509ip.Publication {
	base := strings.TrimSuffix(o.repository, "/") + "/"
	self, above := base+filepath.Base(o.file), base+filepath.Base(o.issuer)
	var p x509ip.Publication
	if o.issuer != "" {
		p.CRL, p.Issuer = above+"/issued.crl", above+".cer"
	}
	if o.kind == "router" {
		p.SignedObject = self + ".obj"
	} else {
		p.Repository, p.Manifest = self+"/", self+"/issued.mft"
	}
	return p
}

func (o order) write(certificate *x509.Certificate, key crypto.Signer, chain []byte) error {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
	files := []struct {
		suffix  string
		mode    os.FileMode
		content []byte
	}{
		{".pem", 0o644, text},
		{".chain.pem", 0o644, append(text, chain...)},
		{".key", 0o600, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})},
	}
	for i, file := range files {
		if err := writeNew(o.file+file.suffix, file.mode, file.content); err != nil {
			// All of them or none, so that the next try is not stopped by the rest of this.
			for _, written := range files[:i] {
				err = errors.Join(err, os.Remove(o.file+written.suffix))
			}
			return err
		}
	}
	return nil
}

// writeNew does not write over a key that somebody may still need.
func writeNew(name string, mode os.FileMode, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

func readIssuer(name string) (by issuer, err error) {
	if by.chain, err = os.ReadFile(name + ".chain.pem"); err != nil {
		return by, err
	}
	for block, rest := pem.Decode(by.chain); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return by, err
		}
		by.path = append(by.path, certificate)
	}
	switch {
	case len(by.path) == 0:
		return by, fmt.Errorf("%s.chain.pem is not PEM", name)
	case !by.path[0].IsCA:
		return by, fmt.Errorf("%s is no authority", name)
	}
	text, err := os.ReadFile(name + ".key")
	if err != nil {
		return by, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return by, fmt.Errorf("%s.key is not PEM", name)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return by, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return by, fmt.Errorf("%s.key cannot sign", name)
	}
	by.key = signer
	return by, nil
}
