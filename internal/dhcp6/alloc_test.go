package dhcp6

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func requireNoAllocs(t *testing.T, what string, f func()) {
	t.Helper()
	require.Zero(t, testing.AllocsPerRun(100, f), "allocations of %s", what)
}

func TestParsingDoesNotAllocate(t *testing.T) {
	b, prefixes := reply(), 0
	requireNoAllocs(t, "ParseMessage", func() {
		if _, err := ParseMessage(b); err != nil {
			t.Fatal(err)
		}
	})
	m, err := ParseMessage(b)
	require.NoError(t, err)
	requireNoAllocs(t, "the accessors", func() {
		m.Options.ClientID()
		m.Options.ServerID()
		m.Options.Requests(65001)
		m.Options.Preference()
		m.Options.ElapsedTime()
		m.Options.Status()
		m.Options.RapidCommit()
		m.Options.SolMaxRT()
	})
	requireNoAllocs(t, "walking IA_PDs and prefixes", func() {
		for ia, err := range m.Options.IAPDs() {
			if err != nil {
				t.Fatal(err)
			}
			for p, err := range ia.Prefixes() {
				if err != nil {
					t.Fatal(err)
				}
				prefixes += p.Prefix.Bits()
			}
		}
	})
	requireNoAllocs(t, "walking all options", func() {
		for code, data := range m.Options.All() {
			prefixes += int(code) + len(data)
		}
	})
	require.NotZero(t, prefixes)

	wrapped, room := twoRelays(), make([]Relay, 0, HopCountLimit+1)
	requireNoAllocs(t, "Unwrap", func() {
		if _, _, err := Unwrap(wrapped, room); err != nil {
			t.Fatal(err)
		}
	})
}

func TestBuildingDoesNotAllocate(t *testing.T) {
	room := make([]byte, 0, 1500)
	requireNoAllocs(t, "building a Reply", func() {
		if _, err := buildReply(room); err != nil {
			t.Fatal(err)
		}
	})
	requireNoAllocs(t, "building a Solicit", func() {
		if _, err := buildSolicit(room); err != nil {
			t.Fatal(err)
		}
	})
	m, err := ParseMessage(reply())
	require.NoError(t, err)
	requireNoAllocs(t, "Message.AppendBinary", func() {
		if _, err := m.AppendBinary(room); err != nil {
			t.Fatal(err)
		}
	})
	relays, _, err := Unwrap(twoRelays(), nil)
	require.NoError(t, err)
	answer := reply()
	requireNoAllocs(t, "AppendRelayReply", func() {
		if _, err := AppendRelayReply(room, relays, answer); err != nil {
			t.Fatal(err)
		}
	})
	requireNoAllocs(t, "Relay.AppendBinary", func() {
		if _, err := relays[0].AppendBinary(room); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkParseReply(b *testing.B) {
	in, bits := reply(), 0
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		m, err := ParseMessage(in)
		if err != nil {
			b.Fatal(err)
		}
		for ia := range m.Options.IAPDs() {
			for p := range ia.Prefixes() {
				bits += p.Prefix.Bits()
			}
		}
	}
}

func BenchmarkBuildReply(b *testing.B) {
	room := make([]byte, 0, 1500)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := buildReply(room); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnwrapTwoRelays(b *testing.B) {
	in, room := twoRelays(), make([]Relay, 0, HopCountLimit+1)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Unwrap(in, room); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendRelayReply(b *testing.B) {
	relays, _, err := Unwrap(twoRelays(), nil)
	require.NoError(b, err)
	room, answer := make([]byte, 0, 1500), reply()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := AppendRelayReply(room, relays, answer); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSummaryOf65kBOfNestedRelays(b *testing.B) {
	r, err := ParseRelay(nested(1700, solicit()))
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_ = r.String()
	}
}
