package ikedhcp

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func source(t *testing.T, name string) string {
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(b)
}

// The state tables in the package comment are those in the code, line by line.
func TestPackageCommentShowsTheTransitions(t *testing.T) {
	doc := source(t, "doc.go")
	requireTable(t, doc, phaseTransitions[:])
	requireTable(t, doc, clientTransitions[:])
}

func requireTable[S, E comparable](t *testing.T, doc string, table []transition[S, E]) {
	var want strings.Builder
	fmt.Fprintf(&want, "//\t%-15s %-15s %s\n", "from", "on", "to")
	for _, tr := range table {
		fmt.Fprintf(&want, "//\t%-15v %-15v %v\n", tr.from, tr.on, tr.to)
	}
	require.Contains(t, doc, want.String(), "doc.go does not show the transitions; they are:\n%s", want.String())
}

// The table of sentences in the package comment names every test of a sentence,
// and no others.
func TestPackageCommentNamesTheTests(t *testing.T) {
	doc := source(t, "doc.go")
	name := regexp.MustCompile(`TestK\d_\d+\w+`)
	named := name.FindAllString(doc, -1)
	require.ElementsMatch(t, name.FindAllString(source(t, "draft_test.go"), -1), named)
	for _, n := range named {
		sentence := strings.Replace(regexp.MustCompile(`K\d_\d+`).FindString(n), "_", ".", 1)
		require.Regexp(t, `(?m)^//\t`+regexp.QuoteMeta(sentence)+` .*\n?.*`+n, doc)
	}
}

// Each name table covers its constants: an action in a log must not read "Action(7)".
func TestEveryConstantHasAName(t *testing.T) {
	for k := ActionToServer; k <= ActionDeclined; k++ {
		require.NotContains(t, k.String(), "(")
	}
	for r := range numReasons {
		require.NotContains(t, r.String(), "(")
	}
	for s := ClientIdle; s <= ClientEstablished; s++ {
		require.NotContains(t, s.String(), "(")
	}
	for p := PurposeOffer; p <= PurposeInform; p++ {
		require.NotContains(t, p.String(), "(")
	}
	require.Equal(t, "IKE_AUTH", IKEAuth.String())
	require.Equal(t, "INFORMATIONAL", Informational.String())
	require.Equal(t, "Exchange(34)", Exchange(34).String())
	require.Equal(t, "Action(200)", ActionKind(200).String())
	require.Equal(t, "Action(0)", ActionKind(0).String())
	require.Equal(t, "00000000000000ff", SPI(255).String())
	require.Equal(t, "10.0.0.10-10.0.0.11", TrafficSelector{here, there}.String())
}

func TestTrafficSelectorRefuses(t *testing.T) {
	for _, ts := range []TrafficSelector{{}, {Start: here}, {Start: ip("::1"), End: ip("::2")}, {Start: there, End: here}} {
		b, err := ts.AppendBinary([]byte("before"))
		require.ErrorIs(t, err, ErrValue)
		require.Equal(t, "before", string(b))
	}
}

func TestDropError(t *testing.T) {
	require.Equal(t, "dropped: unknown IKE SA", (&DropError{Reason: ReasonUnknownSA}).Error())
	err := &DropError{Reason: ReasonMalformed, Err: ErrTruncated}
	require.Equal(t, "dropped: malformed message: truncated", err.Error())
	require.ErrorIs(t, err, ErrTruncated)
}
