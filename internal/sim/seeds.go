package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// epoch is when each run of [Seeds] begins.
var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// Seeds runs run with each of the seeds 1 to count as a subtest, so that one of
// them replays alone:
//
//	go test -run 'TestName/seed=17$'
//
// A run that fails shows its story. With -short there is a tenth of the seeds.
func Seeds(t *testing.T, count int, run func(t *testing.T, net *Net)) {
	t.Helper()
	if testing.Short() {
		count = (count + 9) / 10
	}
	for seed := range count {
		t.Run(fmt.Sprintf("seed=%d", seed+1), func(t *testing.T) {
			t.Parallel()
			net := New(uint64(seed+1), epoch)
			defer func() {
				if t.Failed() {
					t.Logf("the story of this seed:\n%s", strings.Join(net.Trace(), "\n"))
				}
			}()
			run(t, net)
		})
	}
}
