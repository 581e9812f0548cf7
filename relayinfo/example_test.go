package relayinfo_test

import (
	"errors"
	"fmt"
	"net/netip"

	"dhcpsec.example/relayinfo"
)

// The body that an IKEv2 gateway adds: its SPI as circuit id.
func ExampleFields() {
	info, err := relayinfo.Fields{
		CircuitID:     []byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef},
		LinkSelection: netip.MustParseAddr("198.51.100.0"),
		Flags:         new(relayinfo.Flags(0)),
	}.Info()
	if err != nil {
		fmt.Println(err)
		return
	}
	option, err := info.AppendOption(nil)
	fmt.Printf("% x %v\n", option, err)
	fmt.Println(info)
	// Output:
	// 52 13 01 08 01 23 45 67 89 ab cd ef 05 04 c6 33 64 00 0a 01 00 <nil>
	// circuit-id 0x0123456789abcdef, link-selection 198.51.100.0, relay-flags broadcast
}

func ExampleParse() {
	info, err := relayinfo.Parse([]byte("\x01\x04eth0\x05\x04\xc6\x33\x64\x00\xc8\x01?"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for code, value := range info.All() {
		fmt.Printf("%v: % x\n", code, value)
	}
	link, err := info.LinkSelection()
	fmt.Println(link, err)
	_, err = info.RemoteID()
	fmt.Println(errors.Is(err, relayinfo.ErrAbsent))
	_, err = relayinfo.Parse([]byte("\x01\x04eth"))
	fmt.Println(err)
	// Output:
	// circuit-id: 65 74 68 30
	// link-selection: c6 33 64 00
	// sub-option-200: 3f
	// 198.51.100.0 <nil>
	// true
	// sub-option length at offset 1: truncated
}

// A request goes to the server with our giaddr and option 82, and the reply comes
// back to the client without them.
func Example() {
	info, err := relayinfo.Fields{CircuitID: []byte("circuit 7")}.Info()
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg := relayinfo.Config{GIAddr: netip.MustParseAddr("192.0.2.1"), Info: info}

	request := make([]byte, 240, 300) // op, htype, hlen ... magic cookie
	request[0], request[1], request[2] = 1, 1, 6
	copy(request[236:], "\x63\x82\x53\x63")
	request = append(request, 53, 1, 1, 255) // DHCPDISCOVER, End

	toServer, outcome, err := relayinfo.Insert(nil, request, &cfg)
	fmt.Println(outcome, err)
	fmt.Printf("hops %d, giaddr %v, options %q\n", toServer[3], toServer[24:28], toServer[240:258])

	reply := append([]byte(nil), toServer...) // a server that answers with just the same
	reply[0] = 2
	fmt.Println(relayinfo.Match(reply, &cfg))
	toClient, echo, err := relayinfo.Strip(nil, reply)
	fmt.Println(echo, err)
	fmt.Printf("giaddr %v, options %q\n", toClient[24:28], toClient[240:244])
	// Output:
	// added <nil>
	// hops 1, giaddr [192 0 2 1], options "5\x01\x01R\v\x01\tcircuit 7\xff\x00"
	// <nil>
	// circuit-id "circuit 7" <nil>
	// giaddr [0 0 0 0], options "5\x01\x01\xff"
}
