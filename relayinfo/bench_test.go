package relayinfo

import (
	"net/netip"
	"testing"
)

// The sizes and option counts are those of an ordinary client and server.

func BenchmarkInsert(b *testing.B) {
	msg := discover(b)
	cfg := &Config{GIAddr: netip.MustParseAddr("192.0.2.1"), Info: fiveSubOptions(b)}
	buf := make([]byte, 0, 1500)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Insert(buf, msg, cfg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStrip(b *testing.B) {
	msg := ack(b, fiveSubOptions(b).Bytes())
	buf := make([]byte, 0, 1500)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Strip(buf, msg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	cfg := &Config{GIAddr: netip.MustParseAddr("192.0.2.1"), Info: fiveSubOptions(b)}
	msg := ack(b, cfg.Info.Bytes())
	b.ReportAllocs()
	for b.Loop() {
		if err := Match(msg, cfg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	body := fiveSubOptions(b).Bytes()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCopy is the bare copy that Insert and Strip are measured against.
func BenchmarkCopy(b *testing.B) {
	msg := discover(b)
	buf := make([]byte, 0, 1500)
	b.ReportAllocs()
	for b.Loop() {
		buf = append(buf[:0], msg...)
	}
}
