package dhcp6

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLintAcceptsWhatIsWellFormed(t *testing.T) {
	for name, b := range map[string][]byte{
		"Reply":                       reply(),
		"Solicit":                     solicit(),
		"Solicit via relays":          twoRelays(),
		"IA_NA with options":          message(Solicit, option(OptionIANA, u32(1), u32(0), u32(0), option(OptionStatusCode, u16(2)))),
		"an option it has no idea of": message(Solicit, option(4711, []byte("anything"))),
	} {
		require.NoError(t, Lint(b), name)
	}
}

// Offsets count from the start of the whole, through relay messages and IAs.
func TestLintReportsTheFirstFault(t *testing.T) {
	const header = HeaderLen + 4 // of the message and of its first option
	for name, test := range map[string]struct {
		b      []byte
		field  string
		offset int
		err    error
	}{
		"odd ORO":                    {message(Solicit, option(OptionORO, []byte{0, 1, 2})), "ORO", header, ErrLength},
		"Preference of two octets":   {message(Reply, option(OptionPreference, u16(1))), "PREFERENCE", header, ErrLength},
		"Elapsed Time of one octet":  {message(Solicit, option(OptionElapsedTime, []byte{1})), "ELAPSED_TIME", header, ErrLength},
		"Rapid Commit with data":     {message(Solicit, option(OptionRapidCommit, []byte{1})), "RAPID_COMMIT", header, ErrLength},
		"SOL_MAX_RT of two octets":   {message(Reply, option(OptionSolMaxRT, u16(60))), "SOL_MAX_RT", header, ErrLength},
		"IA_NA cut short":            {message(Solicit, option(OptionIANA, u32(1), u32(2))), "IA_NA", header, ErrTruncated},
		"IA_TA cut short":            {message(Solicit, option(OptionIATA, u16(1))), "IA_TA", header, ErrTruncated},
		"VENDOR_OPTS cut short":      {message(Solicit, option(OptionVendorOpts, u16(1))), "VENDOR_OPTS", header, ErrTruncated},
		"sub-option cut short":       {message(Solicit, option(OptionVendorOpts, u32(1), u16(1), u16(9))), "option-len", header + 6, ErrTruncated},
		"IA_PD cut short":            {message(Solicit, option(OptionIAPD, u32(1), u32(2), u16(3))), "IA_PD T2", header + 8, ErrTruncated},
		"prefix-length 129":          {message(Reply, iapd(1, 0, 0, iaprefix(0, 0, 129, "2001:db8::"))), "IAPREFIX prefix-length", header + 12 + 4 + 8, ErrValue},
		"behind a relay agent":       {relayMessage(RelayForward, 0, "::", "::", option(OptionRelayMessage, message(Solicit, option(OptionORO, []byte{1})))), "ORO", RelayHeaderLen + 4 + header, ErrLength},
		"source port of a relay":     {relayMessage(RelayForward, 0, "::", "::", option(OptionRelaySourcePort, []byte{1}), option(OptionRelayMessage, solicit())), "RELAY_PORT", RelayHeaderLen + 4, ErrLength},
		"what no parser accepts":     {[]byte{1, 2, 3}, "transaction-id", 1, ErrTruncated},
		"status cut short in an IA":  {message(Reply, iapd(1, 0, 0, option(OptionStatusCode, []byte{0}))), "STATUS_CODE", header + 12 + 2, ErrLength},
		"ORO odd inside of an IA_NA": {message(Solicit, option(OptionIANA, u32(1), u32(0), u32(0), option(OptionORO, []byte{0}))), "ORO", header + 12 + 4, ErrLength},
	} {
		t.Run(name, func(t *testing.T) {
			requireParseError(t, Lint(test.b), test.field, test.offset, test.err)
		})
	}
}
