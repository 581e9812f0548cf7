package dhcp6

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestMessageString(t *testing.T) {
	for name, test := range map[string]struct {
		b    []byte
		want string
	}{
		"no options": {message(Renew), "Renew xid=010203"},
		"solicit": {
			solicit(),
			"Solicit xid=010203 client-id=00030001020000000001 oro=82,65001 elapsed=1500ms rapid-commit " +
				"IA_PD(iaid=1 t1=0 t2=0 ::/56 pref=0 valid=0)",
		},
		"reply": {
			reply(),
			"Reply xid=010203 client-id=00030001020000000001 server-id=00030001020000000002 " +
				"IA_PD(iaid=1 t1=1000 t2=2000 2001:db8:8000:100::/56 pref=3000 valid=4000 status=Success " +
				"2001:db8:8000:200::/56 pref=0 valid=0) " +
				`IA_PD(iaid=2 t1=0 t2=0 status=NoPrefixAvail"no prefix") ` +
				"sol-max-rt=3600 VENDOR_OPTS(9) 65001(19)",
		},
		"infinity": {
			message(Reply, iapd(1, Infinity, Infinity, iaprefix(Infinity, Infinity, 48, "2001:db8::"))),
			"Reply xid=010203 IA_PD(iaid=1 t1=infinity t2=infinity 2001:db8::/48 pref=infinity valid=infinity)",
		},
		"malformed or out of place": {
			message(
				Advertise, option(OptionIAPD, make([]byte, 3)), option(OptionPreference), option(OptionORO, []byte{1}),
				option(OptionElapsedTime, []byte{1}), option(OptionSolMaxRT), option(OptionRapidCommit, []byte{1}),
				option(OptionRelaySourcePort), option(OptionRelayMessage, []byte{1, 2}), iaprefix(1, 1, 1, "::")),
			"Advertise xid=010203 IA_PD(3) PREFERENCE(0) ORO(1) ELAPSED_TIME(1) SOL_MAX_RT(0) RAPID_COMMIT(1) " +
				"RELAY_PORT(0) RELAY_MSG(2) IAPREFIX(25)",
		},
		"malformed prefix": {
			message(Reply, iapd(1, 2, 3, option(OptionIAPrefix, make([]byte, 5)), iapd(2, 0, 0))),
			"Reply xid=010203 IA_PD(iaid=1 t1=2 t2=3 IAPREFIX(5) IA_PD(12))",
		},
		"hostile text": {
			message(Reply, option(OptionStatusCode, u16(99), []byte("a\x1b[2J\r\n\x00\xff\u202e\"b"))),
			`Reply xid=010203 status=StatusCode(99)"a\x1b[2J\r\n\x00\xff\u202e\"b"`,
		},
		"long text": {
			message(Reply, option(OptionPreference, []byte{7}), option(OptionStatusCode, u16(1), bytes.Repeat([]byte("x"), 65))),
			`Reply xid=010203 preference=7 status=UnspecFail"` + strings.Repeat("x", 64) + `"...`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := ParseMessage(test.b)
			require.NoError(t, err)
			require.Equal(t, test.want, m.String())
		})
	}
}

func TestIAStrings(t *testing.T) {
	m, err := ParseMessage(reply())
	require.NoError(t, err)
	ias, _ := collect(m.Options.IAPDs())
	require.Equal(t, `IA_PD(iaid=2 t1=0 t2=0 status=NoPrefixAvail"no prefix")`, ias[1].String())
	prefixes, _ := collect(ias[0].Prefixes())
	require.Equal(t, "2001:db8:8000:200::/56 pref=0 valid=0", prefixes[1].String())
}

func TestRelayString(t *testing.T) {
	r, err := ParseRelay(twoRelays())
	require.NoError(t, err)
	m, err := ParseMessage(solicit())
	require.NoError(t, err)
	require.Equal(t, "Relay-forward hop=1 link=:: peer=2001:db8:2::a relay-port=1000 "+
		"[Relay-forward hop=0 link=2001:db8:1::1 peer=fe80::c interface-id=\"port 3\" ["+m.String()+"] relay-port=0]", r.String())

	r, err = ParseRelay(nested(1, []byte{99, 1, 2}))
	require.NoError(t, err)
	require.Equal(t, "Relay-forward hop=0 link=:: peer=fe80::1 RELAY_MSG(3)", r.String())

	require.NotPanics(t, func() { _ = Relay{}.String() })
	require.NotPanics(t, func() { _ = Message{Options: []byte{1, 2, 3}}.String() })
	require.NotPanics(t, func() { _ = IAPrefix{Prefix: netip.Prefix{}}.String() })
}

func TestSummariesAreBounded(t *testing.T) {
	deepIA := []byte(nil)
	for len(deepIA) < 65000 {
		deepIA = iapd(1, 0, 0, deepIA)
	}
	for name, b := range map[string][]byte{
		"relay messages, 65 kB deep":  nested(1700, solicit()),
		"IA_PDs, 65 kB deep":          message(Reply, deepIA),
		"IA_PDs, 65 kB wide":          message(Reply, bytes.Repeat(iapd(1, 0, 0), 4000)),
		"prefixes, 65 kB wide":        message(Reply, iapd(1, 0, 0, bytes.Repeat(iaprefix(1, 1, 64, "2001:db8::"), 2000))),
		"empty options, 65 kB wide":   message(Reply, bytes.Repeat(option(0), 16000)),
		"option request, 32 k codes":  message(Reply, option(OptionORO, bytes.Repeat(u16(12345), 32000))),
		"status text of 65 kB":        message(Reply, option(OptionStatusCode, u16(1), make([]byte, 65000))),
		"status in prefix, 65 kB":     message(Reply, iapd(1, 0, 0, iaprefix(1, 1, 1, "::", bytes.Repeat(option(0), 16000)))),
		"wide relay around wide one":  nested(9, message(Reply, bytes.Repeat(option(65001), 16000))),
		"interface-id of 65 kB":       relayMessage(RelayReply, 0, "::", "::", option(18, make([]byte, 65000)), option(9)),
		"unknown options in the path": relayMessage(RelayReply, 0, "::", "::", bytes.Repeat(option(0), 10000), option(9, solicit())),
	} {
		t.Run(name, func(t *testing.T) {
			var text string
			if r, err := ParseRelay(b); err == nil {
				text = r.String()
			} else {
				m, err := ParseMessage(b)
				require.NoError(t, err)
				text = m.String()
			}
			requirePrintable(t, text)
			require.Less(t, len(text), maxSummary+1024)
		})
	}
}

func requirePrintable(t *testing.T, text string) {
	t.Helper()
	require.True(t, utf8.ValidString(text))
	for _, r := range text {
		require.True(t, unicode.IsPrint(r), "%q in %q", r, text)
	}
}
