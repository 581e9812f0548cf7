package dhcpv6pd

// RequestingState says where a [RequestingRouter]'s lease is.
type RequestingState uint8

const (
	// StateInit: not started, or released.
	StateInit RequestingState = iota
	// StateSoliciting: looking for a delegating router.
	StateSoliciting
	// StateRequesting: asking the delegating router chosen.
	StateRequesting
	// StateBound: holding at least one prefix.
	StateBound
	// StateRenewing: past T1, asking for more time.
	StateRenewing
	// StateRebinding: past T2, asking any delegating router for more time.
	StateRebinding
	// StateReleasing: all prefixes given up, telling the delegating router.
	StateReleasing
)

var requestingStateNames = [...]string{"Init", "Soliciting", "Requesting", "Bound", "Renewing", "Rebinding", "Releasing"}

func (s RequestingState) String() string {
	return name(requestingStateNames[:], int(s), "RequestingState")
}

// requestingEvent is what moves a RequestingRouter from state to state.
type requestingEvent uint8

const (
	eventStart     requestingEvent = iota // Start
	eventSelected                         // an Advertise is chosen
	eventBound                            // a Reply delegates a prefix
	eventNoBinding                        // a Reply says that the server knows nothing of us
	eventFailed                           // no Reply, or one without prefixes
	eventT1                               // T1 has come
	eventT2                               // T2 has come
	eventLost                             // the last lease expired
	eventRelease                          // Release
	eventStop                             // Release without anything to release
	eventDone                             // the Release is answered or given up
)

var requestingEventNames = [...]string{
	"start", "selected", "bound", "no binding", "failed", "T1", "T2", "lost", "release", "stop", "done",
}

func (e requestingEvent) String() string { return name(requestingEventNames[:], int(e), "event") }

// requestingTransitions is the state machine of RFC 8415 section 18.2 as far as
// prefix delegation goes. The diagram in the package comment is made from it.
var requestingTransitions = [...]struct {
	from RequestingState
	on   requestingEvent
	to   RequestingState
}{
	{StateInit, eventStart, StateSoliciting},
	{StateSoliciting, eventSelected, StateRequesting},
	{StateSoliciting, eventBound, StateBound}, // Rapid Commit
	{StateSoliciting, eventStop, StateInit},
	{StateRequesting, eventBound, StateBound},
	{StateRequesting, eventFailed, StateSoliciting},
	{StateRequesting, eventLost, StateSoliciting},
	{StateRequesting, eventRelease, StateReleasing}, // after no binding
	{StateRequesting, eventStop, StateInit},
	{StateBound, eventT1, StateRenewing},
	{StateBound, eventT2, StateRebinding},
	{StateBound, eventLost, StateSoliciting},
	{StateBound, eventRelease, StateReleasing},
	{StateRenewing, eventBound, StateBound},
	{StateRenewing, eventNoBinding, StateRequesting},
	{StateRenewing, eventFailed, StateSoliciting},
	{StateRenewing, eventT2, StateRebinding},
	{StateRenewing, eventLost, StateSoliciting},
	{StateRenewing, eventRelease, StateReleasing},
	{StateRebinding, eventBound, StateBound},
	{StateRebinding, eventNoBinding, StateRequesting},
	{StateRebinding, eventFailed, StateSoliciting},
	{StateRebinding, eventLost, StateSoliciting},
	{StateRebinding, eventRelease, StateReleasing},
	{StateReleasing, eventDone, StateInit},
}

// on moves to the next state; false means that the event means nothing here.
func (r *RequestingRouter) on(e requestingEvent) bool {
	for _, t := range requestingTransitions {
		if t.from == r.state && t.on == e {
			r.state = t.to
			return true
		}
	}
	return false
}
