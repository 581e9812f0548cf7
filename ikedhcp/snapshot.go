package ikedhcp

import (
	"encoding/binary"
	"time"

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/internal/wire"
	"dhcpsec.example/relayinfo"
)

// A snapshot is, after a header, one record for each IKE SA:
//
//	header   "IKEDHCP" (7), version (1), number of records (4)
//	record   SPI (8), alias SPI or 0 (8), phase (1)
//	         time of authentication (8), in ns since 1970
//	         identity length (2), identity
//	         fields length (1), fields
//	         address or 0 (4), end of the lease (8) as above, or 0 for none
//	         1 if a lessee follows (1): htype (1), hlen (1), chaddr (16),
//	         server (4), client identifier length (1), client identifier
//
// All integers are big-endian.
const (
	snapshotHeader  = "IKEDHCP\x01"
	minSnapshotSize = 8 + 8 + 1 + 8 + 2 + 1 + 4 + 8 + 1 // of a record
)

// AppendSnapshot appends what a restart must not lose: the SAs, whose they are,
// their addresses and leases. What is under way is not part of it: requests that
// wait, transactions, held replies. The client's retransmission starts those anew.
// Of what happens to several SAs at the same time, the order may differ afterwards.
// The clock given to the Relay must have been a wall clock.
func (r *Relay) AppendSnapshot(b []byte) []byte {
	b = append(b, snapshotHeader...)
	b = binary.BigEndian.AppendUint32(b, uint32(r.count))
	for _, chunk := range r.chunks {
		for i := range chunk {
			if chunk[i].phase != phaseNone {
				b = r.appendRecord(b, &chunk[i])
			}
		}
	}
	return b
}

func (r *Relay) appendRecord(b []byte, s *sa) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(s.spi))
	var old SPI
	if s.alias != nil {
		old = s.alias.spi
	}
	b = binary.BigEndian.AppendUint64(b, uint64(old))
	b = append(b, byte(s.phase))
	b = r.appendTime(b, s.since)
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.identity)))
	b = append(b, s.identity...)
	b = append(b, byte(len(s.fields)))
	b = append(b, s.fields...)
	b = binary.BigEndian.AppendUint32(b, s.addr)
	if s.lease >= 0 {
		b = r.appendTime(b, r.leases[s.lease].end)
	} else {
		b = binary.BigEndian.AppendUint64(b, 0)
	}
	l := s.lessee
	if l == nil {
		return append(b, 0)
	}
	b = append(b, 1, l.htype, l.hlen)
	b = binary.BigEndian.AppendUint32(append(b, l.chaddr[:]...), l.server)
	b = append(b, byte(len(l.clientID)))
	return append(b, l.clientID...)
}

func (r *Relay) appendTime(b []byte, at instant) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(r.clock.time(at).UnixNano()))
}

// Restore fills a Relay that has no SAs, as NewRelay returned it, with those of a
// snapshot. Leases that have ended since are cleared by the next HandleTimeout. An
// SPI that was rekeyed stays an alias for AliasTime from now.
//
// It fails with a *[ParseError] if the snapshot is malformed or contradicts itself,
// or has more than MaxSAs SAs (ErrTooLarge); the Relay is then without SAs.
func (r *Relay) Restore(now time.Time, snapshot []byte) error {
	if r.Len() > 0 {
		return errNotEmpty
	}
	at := r.begin(now)
	if err := r.restore(at, snapshot); err != nil {
		r.reset()
		return err
	}
	return nil
}

func (r *Relay) restore(at instant, snapshot []byte) error {
	c := wire.NewCursor(snapshot, 0)
	header, err := c.Bytes(len(snapshotHeader), "header")
	if err != nil {
		return err
	}
	if string(header) != snapshotHeader {
		return wire.Errorf("header", 0, wire.ErrValue)
	}
	count, err := c.Uint32("number of SAs")
	switch {
	case err != nil:
		return err
	case int64(count)*minSnapshotSize > int64(c.Len()):
		return wire.Errorf("number of SAs", len(snapshotHeader), wire.ErrLength)
	case int64(count) > int64(r.cfg.MaxSAs):
		return wire.Errorf("number of SAs", len(snapshotHeader), wire.ErrTooLarge)
	}
	for range count {
		if err := r.restoreRecord(at, &c); err != nil {
			return err
		}
	}
	if c.Len() > 0 {
		return wire.Errorf("snapshot", c.Offset(), wire.ErrTrailing)
	}
	return nil
}

func (r *Relay) restoreRecord(at instant, c *wire.Cursor) error {
	start := c.Offset()
	fixed, err := c.Bytes(8+8+1+8, "record")
	if err != nil {
		return err
	}
	spi, old := SPI(binary.BigEndian.Uint64(fixed)), SPI(binary.BigEndian.Uint64(fixed[8:]))
	state := phase(fixed[16])
	identity, err := string16(c, "identity")
	if err != nil {
		return err
	}
	fields, err := string8(c, "fields")
	if err != nil {
		return err
	}
	tail, err := c.Bytes(4+8+1, "lease")
	if err != nil {
		return err
	}
	addr, end := binary.BigEndian.Uint32(tail), binary.BigEndian.Uint64(tail[4:])

	switch {
	case spi == 0 || spi == old || state < phaseOpen || state > phaseEstablished,
		(state == phaseOpen) != (identity == ""), len(identity) > MaxIdentity,
		addr != 0 && (identity == "" || !isUnicast(fromUint32(addr))), addr == 0 && end != 0, tail[12] > 1,
		circuitIDLen+len(fields)+len(r.common) > 255:
		return wire.Errorf("record", start, wire.ErrValue)
	case !isFields(fields):
		return wire.Errorf("fields", start, wire.ErrValue)
	case r.lookup(spi) != nil || old != 0 && r.lookup(old) != nil:
		return wire.Errorf("SPI", start, wire.ErrDuplicate)
	}
	if head, ok := r.owners[addr]; addr != 0 && ok && r.at(head).identity != identity {
		return wire.Errorf("address", start, wire.ErrDuplicate)
	}
	var l *lessee
	if tail[12] == 1 {
		if l, err = restoreLessee(c); err != nil {
			return err
		}
	}

	first := spi
	if old != 0 {
		first = old
	}
	r.add(first)
	s := r.lookup(first)
	if old != 0 {
		r.rename(at, s, old, spi)
	}
	s.phase, s.identity, s.fields, s.lessee = state, identity, fields, l
	s.since = r.clock.instant(time.Unix(0, int64(binary.BigEndian.Uint64(fixed[17:]))))
	if addr != 0 {
		r.own(s, addr)
	}
	if end != 0 {
		r.leases.set(r, s, r.clock.instant(time.Unix(0, int64(end))))
	}
	return nil
}

func isFields(fields string) bool {
	_, err := relayinfo.Parse([]byte(fields))
	return fields == "" || err == nil
}

func restoreLessee(c *wire.Cursor) (*lessee, error) {
	start := c.Offset()
	b, err := c.Bytes(1+1+dhcp4.MaxHLen+4+1, "lessee")
	if err != nil {
		return nil, err
	}
	l := &lessee{htype: b[0], hlen: b[1], chaddr: [dhcp4.MaxHLen]byte(b[2:]), server: binary.BigEndian.Uint32(b[2+dhcp4.MaxHLen:])}
	if l.hlen > dhcp4.MaxHLen {
		return nil, wire.Errorf("lessee hlen", start+1, wire.ErrValue)
	}
	id, err := c.Bytes(int(b[len(b)-1]), "lessee client identifier")
	l.clientID = append(l.clientID, id...)
	return l, err
}

func string16(c *wire.Cursor, field string) (string, error) {
	n, err := c.Uint16(field)
	if err != nil {
		return "", err
	}
	b, err := c.Bytes(int(n), field)
	return string(b), err
}

func string8(c *wire.Cursor, field string) (string, error) {
	n, err := c.Uint8(field)
	if err != nil {
		return "", err
	}
	b, err := c.Bytes(int(n), field)
	return string(b), err
}
