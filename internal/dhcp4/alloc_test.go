package dhcp4_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/dhcp4"
)

// It is in a package of its own, because an iterator that costs nothing inside its
// package may cost an importer an allocation.
func TestReadingDoesNotAllocate(t *testing.T) {
	data, err := dhcp4.Header{Op: dhcp4.BootReply, CHAddr: []byte{2, 0, 0, 0, 0, 1}}.AppendBinary(nil)
	require.NoError(t, err)
	data = append(data, "\x34\x01\x03\x35\x01\x05\x52\x04\x01\x02xy\x52\x04\x01\x02xy\xff"...)
	copy(data[108:], "\x0c\x03abc\xff")
	copy(data[44:], "\x0f\x03abc\xff")
	var sink int
	require.Zero(t, testing.AllocsPerRun(100, func() {
		var m dhcp4.Message
		if err := m.Parse(data); err != nil {
			panic(err)
		}
		for o := range m.Options() {
			sink += len(o.Data)
		}
		for o := range m.RelayAgentInfo() {
			sink += len(o.Data)
		}
		value, ok := m.Option(12)
		if !ok {
			panic("option 12 is lost")
		}
		sink += len(value) + len(m.CHAddr()) + int(m.Type()) + m.CIAddr().BitLen()
	}))
}
