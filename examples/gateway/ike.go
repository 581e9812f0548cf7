package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"dhcpsec.example/ikedhcp"
)

// The octets of IKEv2 (RFC 7296), as much of them as this program needs: header,
// payload chain, and the payloads that show what IKE has to do with DHCP.

// Exchange types beside those of ikedhcp, and bits of the Flags field (section 3.1).
const (
	ikeSAInit ikedhcp.Exchange = 34

	flagInitiator = 0x08
	flagResponse  = 0x20

	sizeHeader = 28
)

// Payload types (section 3.2).
const (
	payloadSA    ikedhcp.PayloadType = 33
	payloadKE    ikedhcp.PayloadType = 34
	payloadIDi   ikedhcp.PayloadType = 35
	payloadAUTH  ikedhcp.PayloadType = 39
	payloadNonce ikedhcp.PayloadType = 40
	payloadN     ikedhcp.PayloadType = 41
	payloadD     ikedhcp.PayloadType = 42
	payloadTSi   ikedhcp.PayloadType = 44
	payloadTSr   ikedhcp.PayloadType = 45
)

// Notify message types (section 3.10.1).
const (
	authenticationFailed   = 24
	internalAddressFailure = 36
)

// message is an IKE message whose SK payload, if it has one, is opened.
type message struct {
	spiI      uint64
	spiR      ikedhcp.SPI
	exchange  ikedhcp.Exchange
	response  bool
	initiator bool // sent by the one who began the IKE SA
	id        ikedhcp.MessageID
	first     ikedhcp.PayloadType // of the chain
	chain     []byte
}

// payload is one to be put into a chain.
type payload struct {
	kind ikedhcp.PayloadType
	body []byte
}

// chainOf links payloads by their Next Payload fields.
func chainOf(payloads ...payload) (first ikedhcp.PayloadType, chain []byte, err error) {
	for i, p := range payloads {
		next := ikedhcp.NoNextPayload
		if i+1 < len(payloads) {
			next = payloads[i+1].kind
		}
		if i == 0 {
			first = p.kind
		}
		if chain, err = (ikedhcp.Payload{Next: next, Body: p.body}).AppendBinary(chain); err != nil {
			return 0, nil, err
		}
	}
	return first, chain, nil
}

// find is the body of the first payload of a kind.
func (m message) find(kind ikedhcp.PayloadType) ([]byte, bool) {
	for p, err := range ikedhcp.Payloads(m.first, m.chain) {
		if err == nil && p.Type == kind {
			return p.Body, true
		}
	}
	return nil, false
}

// notify is the type of the first Notify payload.
func (m message) notify() (uint16, bool) {
	body, ok := m.find(payloadN)
	if !ok || len(body) < 4 {
		return 0, false
	}
	return binary.BigEndian.Uint16(body[2:]), true
}

// plain is the message as it would be before encryption: what the capture shows.
func (m message) plain() []byte { return m.octets(m.first, m.chain) }

// sealed is the message as it is sent. IKE_SA_INIT has no keys to encrypt with.
func (m message) sealed() ([]byte, error) {
	if m.exchange == ikeSAInit {
		return m.plain(), nil
	}
	body := notEncryption{}.seal(m.chain)
	sk, err := ikedhcp.Payload{Next: m.first, Body: body}.AppendBinary(nil)
	if err != nil {
		return nil, err
	}
	return m.octets(ikedhcp.PayloadSK, sk), nil
}

func (m message) octets(first ikedhcp.PayloadType, chain []byte) []byte {
	flags := byte(0)
	if m.initiator {
		flags |= flagInitiator
	}
	if m.response {
		flags |= flagResponse
	}
	b := binary.BigEndian.AppendUint64(nil, m.spiI)
	b = binary.BigEndian.AppendUint64(b, uint64(m.spiR))
	b = append(b, byte(first), 0x20, byte(m.exchange), flags)
	b = binary.BigEndian.AppendUint32(b, uint32(m.id))
	b = binary.BigEndian.AppendUint32(b, uint32(sizeHeader+len(chain)))
	return append(b, chain...)
}

var errNotIKE = errors.New("not an IKEv2 message")

// parseMessage is the inverse of sealed.
func parseMessage(b []byte) (message, error) {
	if len(b) < sizeHeader || b[17]>>4 != 2 || int64(binary.BigEndian.Uint32(b[24:])) != int64(len(b)) {
		return message{}, errNotIKE
	}
	m := message{
		spiI: binary.BigEndian.Uint64(b), spiR: ikedhcp.SPI(binary.BigEndian.Uint64(b[8:])),
		first: ikedhcp.PayloadType(b[16]), exchange: ikedhcp.Exchange(b[18]),
		initiator: b[19]&flagInitiator != 0, response: b[19]&flagResponse != 0,
		id: ikedhcp.MessageID(binary.BigEndian.Uint32(b[20:])), chain: b[sizeHeader:],
	}
	var last ikedhcp.Payload
	for p, err := range ikedhcp.Payloads(m.first, m.chain) {
		if err != nil {
			return message{}, fmt.Errorf("%w: %w", errNotIKE, err)
		}
		last = p
	}
	if m.exchange == ikeSAInit {
		return m, nil
	}
	if last.Type != ikedhcp.PayloadSK {
		return message{}, fmt.Errorf("%w: no SK payload", errNotIKE)
	}
	chain, err := notEncryption{}.open(last.Body)
	if err != nil {
		return message{}, err
	}
	m.first, m.chain = last.Next, chain
	for _, err := range ikedhcp.Payloads(m.first, m.chain) {
		if err != nil {
			return message{}, fmt.Errorf("%w: inside SK: %w", errNotIKE, err)
		}
	}
	return m, nil
}

// notEncryption stands where encryption and integrity protection belong: its SK
// payload is the plaintext, without Initialization Vector and Integrity Checksum
// Data. Everybody can read and forge it.
type notEncryption struct{}

// seal appends the Pad Length, which is 0, to the payloads (section 3.14).
func (notEncryption) seal(chain []byte) []byte {
	return append(chain[:len(chain):len(chain)], 0)
}

func (notEncryption) open(body []byte) ([]byte, error) {
	if len(body) == 0 || body[len(body)-1] != 0 {
		return nil, fmt.Errorf("%w: Pad Length", errNotIKE)
	}
	return body[: len(body)-1 : len(body)-1], nil
}

// idFQDN is the body of an IDi payload: ID_FQDN, three reserved octets, the name
// (section 3.5). It is what the gateway knows a client's identity by.
func idFQDN(name string) []byte { return append([]byte{2, 0, 0, 0}, name...) }

// authOf is the body of an AUTH payload: Shared Key Message Integrity Code, three
// reserved octets, and a code over what the two have said (section 2.15; the real
// one covers all of IKE_SA_INIT).
func authOf(secret string, m message, id []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(binary.BigEndian.AppendUint64(nil, m.spiI))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(m.spiR)))
	mac.Write(id)
	return mac.Sum([]byte{2, 0, 0, 0})
}

// selectors is the body of a TS payload with one traffic selector (section 3.13).
func selectors(ts ikedhcp.TrafficSelector) ([]byte, error) {
	return ts.AppendBinary([]byte{1, 0, 0, 0})
}

// anywhere is what a client proposes: it does not know its address yet.
func anywhere() ikedhcp.TrafficSelector {
	return ikedhcp.TrafficSelector{Start: addr4(0, 0, 0, 0), End: addr4(255, 255, 255, 255)}
}

// parseSelector reads the first traffic selector of a TS payload.
func parseSelector(body []byte) (ts ikedhcp.TrafficSelector, ok bool) {
	if len(body) != 4+16 || body[4] != 7 {
		return ts, false
	}
	return ikedhcp.TrafficSelector{Start: addr4(body[12:16]...), End: addr4(body[16:]...)}, true
}

// deleteIKESA is the body of a Delete payload for the IKE SA (section 3.11).
func deleteIKESA() []byte { return []byte{1, 0, 0, 0} }

// notification is the body of a Notify payload without data (section 3.10).
func notification(kind uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{0, 0}, kind)
}
