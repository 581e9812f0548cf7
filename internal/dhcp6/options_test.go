package dhcp6

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOptionsAllIsInWireOrder(t *testing.T) {
	type pair struct {
		code uint16
		data string
	}
	m, err := ParseMessage(message(Reply, option(65001, []byte("b")), option(3, []byte("a")), option(65001)))
	require.NoError(t, err)
	var got []pair
	for code, data := range m.Options.All() {
		got = append(got, pair{code, string(data)})
	}
	require.Equal(t, []pair{{65001, "b"}, {3, "a"}, {65001, ""}}, got)

	for code := range m.Options.All() {
		require.Equal(t, uint16(65001), code)
		break
	}
}

func TestFindIsTheFirst(t *testing.T) {
	o := Options(append(option(65001, []byte("first")), option(65001, []byte("second"))...))
	data, ok := o.Find(65001)
	require.True(t, ok)
	require.Equal(t, "first", string(data))
	_, ok = o.Find(65002)
	require.False(t, ok)
	data, ok = Options(option(65002)).Find(65002)
	require.True(t, ok, "an empty option is there")
	require.Empty(t, data)
}

func TestAccessorsOfTheEmptyArea(t *testing.T) {
	var o Options
	_, ok := o.ClientID()
	require.False(t, ok)
	_, ok = o.ServerID()
	require.False(t, ok)
	_, ok = o.ElapsedTime()
	require.False(t, ok)
	_, ok = o.SolMaxRT()
	require.False(t, ok)
	require.False(t, o.Requests(0))
	require.False(t, o.RapidCommit())
	require.Zero(t, o.Preference())
	for range o.IAPDs() {
		require.Fail(t, "IA_PD out of nothing")
	}
}

func TestAccessors(t *testing.T) {
	m, err := ParseMessage(message(Advertise,
		option(OptionClientID, clientDUID), option(OptionServerID, serverDUID),
		option(OptionPreference, []byte{255}), option(OptionRapidCommit)))
	require.NoError(t, err)
	id, ok := m.Options.ClientID()
	require.True(t, ok)
	require.Equal(t, clientDUID, id)
	id, ok = m.Options.ServerID()
	require.True(t, ok)
	require.Equal(t, serverDUID, id)
	require.Equal(t, uint8(255), m.Options.Preference())
	require.True(t, m.Options.RapidCommit())
}

func TestOptionsOnUncheckedOctetsEndWhereTheFramingBreaks(t *testing.T) {
	o := Options(append(option(65001, []byte("good")), 0, 1, 0, 200, 1))
	n := 0
	for range o.All() {
		n++
	}
	require.Equal(t, 1, n)
	_, ok := o.ClientID()
	require.False(t, ok)

	o = append(iapd(1, 0, 0), 0, 25, 0)
	n = 0
	for _, err := range o.IAPDs() {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 1, n)

	status, _ := Options(option(OptionStatusCode, []byte{0})).Status()
	require.Equal(t, UnspecFail, status, "half a status code must not read as Success")
}

func TestRFC8415Section21_7OptionRequest(t *testing.T) {
	o := Options(option(OptionORO, u16(82), u16(0x5201), u16(65001)))
	require.True(t, o.Requests(82))
	require.True(t, o.Requests(65001))
	require.False(t, o.Requests(0x0152), "a code must not be found across two others")
	require.False(t, o.Requests(0))
	require.False(t, Options(option(OptionORO)).Requests(0))
}

func TestRFC8415Section21_9ElapsedTime(t *testing.T) {
	for value, want := range map[uint16]time.Duration{
		0: 0, 1: 10 * time.Millisecond, 150: 1500 * time.Millisecond, 0xffff: 655350 * time.Millisecond,
	} {
		got, ok := Options(option(OptionElapsedTime, u16(value))).ElapsedTime()
		require.True(t, ok)
		require.Equal(t, want, got)
	}
}

func TestRFC8415Section21_13StatusCode(t *testing.T) {
	status, text := Options(nil).Status()
	require.Equal(t, Success, status, "absent means Success")
	require.Empty(t, text)

	status, text = Options(option(OptionStatusCode, u16(6), []byte("none left"))).Status()
	require.Equal(t, NoPrefixAvail, status)
	require.Equal(t, "none left", string(text))

	_, err := ParseMessage(message(Reply, option(65001), option(OptionStatusCode, []byte{0})))
	requireParseError(t, err, "STATUS_CODE", 10, ErrLength)
}

func TestRFC8415Section21_24SolMaxRT(t *testing.T) {
	for value, want := range map[uint32]bool{
		0: false, 59: false, 60: true, 3600: true, 86400: true, 86401: false, Infinity: false,
	} {
		got, ok := Options(option(OptionSolMaxRT, u32(value))).SolMaxRT()
		require.Equal(t, want, ok, "SOL_MAX_RT %d", value)
		if ok {
			require.Equal(t, time.Duration(value)*time.Second, got)
		}
	}
}
