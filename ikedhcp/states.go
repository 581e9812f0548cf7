package ikedhcp

// phase is how far an IKE SA of a [Relay] has come.
type phase uint8

const (
	phaseNone          phase = iota // not in use
	phaseOpen                       // IKE_SA_INIT is done
	phaseAuthenticated              // the peer has proven its identity
	phaseEstablished                // IKE_AUTH is done
)

var phaseNames = [...]string{"None", "Open", "Authenticated", "Established"}

func (p phase) String() string { return name(phaseNames[:], int(p), "phase") }

// phaseEvent is what moves an SA from phase to phase.
type phaseEvent uint8

const (
	eventOpenSA phaseEvent = iota
	eventAuthenticated
	eventEstablished
	eventCloseSA
)

var phaseEventNames = [...]string{"OpenSA", "Authenticated", "Established", "CloseSA"}

func (e phaseEvent) String() string { return name(phaseEventNames[:], int(e), "event") }

// phaseTransitions is the life of one IKE SA in a [Relay].
var phaseTransitions = [...]transition[phase, phaseEvent]{
	{phaseNone, eventOpenSA, phaseOpen},
	{phaseOpen, eventAuthenticated, phaseAuthenticated},
	{phaseAuthenticated, eventEstablished, phaseEstablished},
	{phaseOpen, eventCloseSA, phaseNone},
	{phaseAuthenticated, eventCloseSA, phaseNone},
	{phaseEstablished, eventCloseSA, phaseNone},
}

// on moves the SA to the next phase; false means that the event means nothing here.
func (s *sa) on(e phaseEvent) bool { return move(phaseTransitions[:], &s.phase, e) }

// ClientState says how far the IKE SA of a [Client] has come.
type ClientState uint8

const (
	// ClientIdle: there is no IKE SA.
	ClientIdle ClientState = iota
	// ClientSetup: IKE_SA_INIT is done. Requests are IKE_AUTH.
	ClientSetup
	// ClientEstablished: IKE_AUTH is done. Requests are INFORMATIONAL.
	ClientEstablished
)

var clientStateNames = [...]string{"Idle", "Setup", "Established"}

func (s ClientState) String() string { return name(clientStateNames[:], int(s), "ClientState") }

type clientEvent uint8

const (
	eventReady clientEvent = iota
	eventStands
	eventClosed
)

var clientEventNames = [...]string{"Ready", "Established", "Closed"}

func (e clientEvent) String() string { return name(clientEventNames[:], int(e), "event") }

// clientTransitions is the life of a [Client]'s IKE SA.
var clientTransitions = [...]transition[ClientState, clientEvent]{
	{ClientIdle, eventReady, ClientSetup},
	{ClientSetup, eventStands, ClientEstablished},
	{ClientSetup, eventClosed, ClientIdle},
	{ClientEstablished, eventClosed, ClientIdle},
}

func (c *Client) on(e clientEvent) bool { return move(clientTransitions[:], &c.state, e) }

// transition is a line of a state table. The tables in the package comment are
// made from them.
type transition[S, E comparable] struct {
	from S
	on   E
	to   S
}

func move[S, E comparable](table []transition[S, E], state *S, e E) bool {
	for _, t := range table {
		if t.from == *state && t.on == e {
			*state = t.to
			return true
		}
	}
	return false
}
