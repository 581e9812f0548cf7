package relayinfo_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/relayinfo"
)

// These tests are in a package of their own, because an iterator that costs
// nothing inside its package may cost an importer an allocation.

var fields = relayinfo.Fields{
	CircuitID: []byte("circuit"), RemoteID: []byte("remote"), DeviceClass: new(uint32(1)),
	LinkSelection: netip.MustParseAddr("198.51.100.0"), SubscriberID: strings.Repeat("a", 40),
	RADIUSAttributes: []byte("\x01\x03a\x58\x05poo"), VendorSpecific: []relayinfo.VendorData{{Enterprise: 9, Data: []byte("x")}},
	Flags: new(relayinfo.FlagUnicast), ServerIDOverride: netip.MustParseAddr("192.0.2.1"), RelayID: []byte("relay"),
	SourcePort: true, VSS: &relayinfo.VSS{Type: relayinfo.VSSName, Info: []byte("vpn")},
	Other: []relayinfo.SubOption{{Code: 200, Value: []byte("x")}},
}

// message is one with the options field given.
func message(t *testing.T, op uint8, giaddr netip.Addr, options ...[]byte) []byte {
	t.Helper()
	msg, err := dhcp4.Header{Op: op, HType: 1, GIAddr: giaddr, CHAddr: []byte{2, 0, 0, 0, 0, 1}}.AppendBinary(nil)
	require.NoError(t, err)
	for _, o := range options {
		msg = append(msg, o...)
	}
	return dhcp4.AppendEnd(msg, 0)
}

func TestReadingDoesNotAllocate(t *testing.T) {
	body, err := fields.AppendBinary(nil)
	require.NoError(t, err)
	option := append([]byte{82, uint8(len(body))}, body...)
	msg := message(t, dhcp4.BootReply, netip.Addr{}, []byte{53, 1, 5}, option)
	var sink int
	require.Zero(t, testing.AllocsPerRun(100, func() {
		info, err := relayinfo.Find(msg)
		if err != nil || !bytes.Equal(info.Bytes(), body) {
			panic("option 82 is lost")
		}
		for _, value := range info.All() {
			sink += len(value)
		}
		id, _ := info.CircuitID()
		remote, _ := info.RemoteID()
		class, _ := info.DeviceClass()
		link, _ := info.LinkSelection()
		subscriber, _ := info.SubscriberID()
		flags, _ := info.Flags()
		override, _ := info.ServerIDOverride()
		relay, _ := info.RelayID()
		port, _ := info.SourcePort()
		vss, _ := info.VSS()
		control, _ := info.VSSControl()
		attributes, _ := info.RADIUSAttributes()
		for _, value := range attributes.All() {
			sink += len(value)
		}
		vendors, _ := info.VendorSpecific()
		for _, data := range vendors.All() {
			sink += len(data)
		}
		if !port || !control || !link.IsValid() || !override.IsValid() || class == 0 || flags == 0 {
			panic("a value is lost")
		}
		sink += len(id) + len(remote) + len(subscriber) + len(relay) + len(vss.Info)
		if _, err := info.Get(201); err != relayinfo.ErrAbsent {
			panic(err)
		}
	}))
}

func TestBuildingDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, relayinfo.MaxBody)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := fields.AppendBinary(buf); err != nil {
			panic(err)
		}
	}))
}

func TestRelayingDoesNotAllocate(t *testing.T) {
	info, err := fields.Info()
	require.NoError(t, err)
	cfg := relayinfo.Config{
		GIAddr: netip.MustParseAddr("192.0.2.1"), Own: []netip.Addr{netip.MustParseAddr("192.0.2.200")}, Info: info,
	}
	replacing := cfg
	replacing.Policy = relayinfo.Replace
	option, err := info.AppendOption(nil)
	require.NoError(t, err)
	typ := []byte{53, 1, 1}
	request := message(t, dhcp4.BootRequest, netip.Addr{}, typ)
	foreign := message(t, dhcp4.BootRequest, netip.Addr{}, []byte{82, 3, 1, 1, 'x'}, typ)
	reply := message(t, dhcp4.BootReply, cfg.GIAddr, typ, option)
	buf := make([]byte, 0, 1500)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, _, err1 := relayinfo.Insert(buf, request, &cfg)
		_, _, err2 := relayinfo.Insert(buf, foreign, &replacing)
		err3 := relayinfo.Match(reply, &cfg)
		_, _, err4 := relayinfo.Strip(buf, reply)
		_, _, err5 := relayinfo.Insert(buf, foreign, &cfg) // a refusal costs nothing, either
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil || err5 != relayinfo.ErrPresent {
			panic("a message is refused")
		}
	}))
}
