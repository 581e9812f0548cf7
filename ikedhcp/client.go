package ikedhcp

import "time"

// ClientConfig configures a [Client]. The zero ClientConfig is good.
type ClientConfig struct {
	// MaxQueue bounds the packets that wait for the request under way; default 8.
	MaxQueue int
	// PollTime is how long after an IKE_AUTH response that did not answer the
	// local client an empty request asks for the reply; default 1 s.
	PollTime time.Duration
	// MaxPolls bounds the polls in a row; default 16.
	MaxPolls int
}

// Client carries the packets of the local DHCP client over IKE (section 2 of the draft).
//
// Not safe for concurrent use.
type Client struct{}

// NewClient makes a Client that waits for Ready.
func NewClient(cfg ClientConfig) (*Client, error) { return nil, nil }

// Ready says that IKE_SA_INIT is done, with the gate open: IKE_AUTH requests may go out.
func (c *Client) Ready(now time.Time, acts []Action) ([]Action, error) { panic("todo") }

// HandleLocal takes in a packet of the local DHCP client.
func (c *Client) HandleLocal(now time.Time, pkt []byte, acts []Action) ([]Action, error) {
	panic("todo")
}

// HandleResponse takes in the DHCP payloads of an IKE response. id is that of the ActionRequest
// answered, or 0 if the exchange was the caller's own.
func (c *Client) HandleResponse(now time.Time, id ID, messages [][]byte, acts []Action) ([]Action, error) {
	panic("todo")
}

// HandleInform takes in the DHCP payloads of an INFORMATIONAL request of the gateway.
func (c *Client) HandleInform(now time.Time, id MessageID, messages [][]byte, acts []Action) ([]Action, error) {
	panic("todo")
}

// Established says that the IKE SA stands. Call it before HandleResponse for the same IKE response.
func (c *Client) Established(now time.Time, acts []Action) ([]Action, error) { panic("todo") }

// Closed says that the IKE SA is gone.
func (c *Client) Closed(now time.Time) { panic("todo") }

// Deadline is when HandleTimeout is due, if at all.
func (c *Client) Deadline() (time.Time, bool) { panic("todo") }

// HandleTimeout does what is due.
func (c *Client) HandleTimeout(now time.Time, acts []Action) []Action { panic("todo") }

// Stats counts what was ignored.
func (c *Client) Stats() Stats { panic("todo") }
