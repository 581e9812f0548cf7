package certopt_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"

	"dhcpsec.example/certopt"
)

// A delegating router points to its certificate server; the requesting router
// had asked for it.
func Example() {
	var codec certopt.Codec // the same on both ends

	// The requesting router's Option Request option: SOL_MAX_RT, and ours.
	var oro []byte
	for _, code := range codec.AppendRequested([]uint16{82}) {
		oro = append(oro, byte(code>>8), byte(code))
	}
	request, err := certopt.AppendOption(nil, 6, oro)
	if err != nil {
		panic(err)
	}

	// The delegating router's Reply.
	var reply []byte
	asked, err := codec.Requests(request)
	if err != nil {
		panic(err)
	}
	if asked.CAPointer {
		reply, err = codec.Append(reply, certopt.Options{CAPointer: []byte("http://ca.example/.well-known/cmp")})
		if err != nil {
			panic(err)
		}
	}

	opts, err := codec.Find(reply)
	fmt.Println(opts, err)
	// Output: ca-pointer="http://ca.example/.well-known/cmp" <nil>
}

// A requesting router sends its public key with the proof that it holds the
// private one; the delegating router checks it.
func ExampleSignKeyProof() {
	var codec certopt.Codec
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)) // a real one comes from crypto/rand
	statement := certopt.Statement{
		TransactionID: [3]byte{0x1a, 0x2b, 0x3c},
		ClientDUID:    []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1},
		ServerDUID:    []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 2},
	}

	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic(err)
	}
	proof, err := certopt.SignKeyProof(nil, key, nil, statement)
	if err != nil {
		panic(err)
	}
	request, err := codec.Append(nil, certopt.Options{PublicKey: spki, KeyProof: proof})
	if err != nil {
		panic(err)
	}

	opts, err := codec.Find(request)
	fmt.Println(opts, err)
	fmt.Println(certopt.VerifyKeyProof(opts.KeyProof, opts.PublicKey, statement))
	statement.TransactionID[0]++ // the same octets, played again later
	fmt.Println(certopt.VerifyKeyProof(opts.KeyProof, opts.PublicKey, statement))
	// Output:
	// public-key=44 octets key-proof=74 octets <nil>
	// <nil>
	// certopt: key proof does not verify
}

// An invalid option is reported with its place; the message goes on without it.
func ExampleCodec_Find() {
	area, err := certopt.AppendOption(nil, 65001, []byte("ca.example/cmp"))
	if err != nil {
		panic(err)
	}
	opts, err := certopt.Codec{}.Find(area)
	fmt.Println(opts)
	fmt.Println(err)
	if pe, ok := errors.AsType[*certopt.ParseError](err); ok {
		fmt.Println(pe.Offset, errors.Is(err, certopt.ErrValue))
	}
	// Output:
	// no certificate options
	// CA pointer scheme at offset 4: forbidden value
	// 4 true
}

// The options as sub-options of VENDOR_OPTS, for an enterprise that has a number.
func ExampleCodec_Append() {
	codec := certopt.Codec{Enterprise: 32473}
	area, err := codec.Append(nil, certopt.Options{CAPointer: []byte("ldap://ca")})
	fmt.Printf("%x %v\n", area, err)
	// Output: 0011001100007ed9000100096c6461703a2f2f6361 <nil>
}

// Walk shows every option of a message, whatever its code.
func ExampleWalk() {
	area := []byte{
		0, 1, 0, 4, 0, 3, 0, 27, // Client Identifier
		0, 14, 0, 0, // Rapid Commit
		0, 8, 0, 2, 0, // Elapsed Time, cut short
	}
	for opt, err := range certopt.Walk(area) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Printf("option %d: %d octets at %d\n", opt.Code, len(opt.Data), opt.Offset)
	}
	// Output:
	// option 1: 4 octets at 4
	// option 14: 0 octets at 12
	// option-len at offset 14: truncated
}

func ExampleAppendChain() {
	issuer, root := []byte("issuer, DER"), []byte("its issuer, DER")
	chain, err := certopt.AppendChain(nil, issuer, root)
	if err != nil {
		panic(err)
	}
	for cert := range certopt.Chain(chain).All() {
		fmt.Printf("%s\n", cert)
	}
	// Output:
	// issuer, DER
	// its issuer, DER
}
