package dhcpv6pd

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The state table in the package comment is requestingTransitions, line by line.
func TestPackageCommentShowsTheTransitions(t *testing.T) {
	src, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	var want strings.Builder
	fmt.Fprintf(&want, "//\t%-12s %-12s %s\n", "from", "on", "to")
	for _, tr := range requestingTransitions {
		fmt.Fprintf(&want, "//\t%-12s %-12s %s\n", tr.from, tr.on, tr.to)
	}
	require.Contains(t, string(src), want.String(), "doc.go does not show the transitions; they are:\n%s", want.String())
}

// An event moves each state to at most one other.
func TestTransitionsAreUnambiguous(t *testing.T) {
	type key struct {
		from RequestingState
		on   requestingEvent
	}
	seen := map[key]bool{}
	for _, tr := range requestingTransitions {
		k := key{tr.from, tr.on}
		require.False(t, seen[k], "%v on %v stands twice", tr.from, tr.on)
		seen[k] = true
	}
}

// Each name table covers its constants: an action in a log must not read "Action(7)".
func TestEveryConstantHasAName(t *testing.T) {
	for k := ActionSend; k <= ActionForget; k++ {
		require.NotContains(t, k.String(), "(")
	}
	for r := range numReasons {
		require.NotContains(t, r.String(), "(")
	}
	for s := StateInit; s <= StateReleasing; s++ {
		require.NotContains(t, s.String(), "(")
	}
	require.Equal(t, "Action(200)", ActionKind(200).String())
	require.Equal(t, "Action(0)", ActionKind(0).String())
}
