package x509ip

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// The length of a DUID, with its 2-octet type: RFC 8415 section 11.1 limits
// what follows the type to 1..128 octets.
const (
	minDUID = 3
	maxDUID = 130
)

// maxVerbatimDUID is the longest DUID that is a name by itself. RFC 5280 limits
// a common name to 64 characters (ub-common-name), which would be enough for
// one octet more; but then the name of a 32-octet DUID could be chosen to equal
// the digest of somebody else's longer one.
const maxVerbatimDUID = 31

// DUIDName returns the common name by which certificates of this module know
// the DHCP client or server with duid: the DUID, type included, in lower-case
// hex; if it is longer than 31 octets, its SHA-256 in lower-case hex, which is
// the only name of 64 characters. It is an error if duid is shorter than 3 or
// longer than 130 octets.
//
// No RFC defines a name for a DUID. Hex digits are within PrintableString,
// which RFC 6487 section 4.4 requires.
func DUIDName(duid []byte) (string, error) {
	name, err := duidNameOctets(duid)
	return hex.EncodeToString(name), err
}

// DUIDOfName is the reverse of [DUIDName] for the names that are a DUID written
// out. ok is false for all others: for the 64 digits of a digest, from which no
// way leads back (compare with [NamesDUID]), and for what names no DUID.
func DUIDOfName(commonName string) (duid []byte, ok bool) {
	duid, err := hex.DecodeString(commonName)
	if err != nil || len(duid) < minDUID || len(duid) > maxVerbatimDUID {
		return nil, false
	}
	return duid, true
}

// NamesDUID reports whether commonName is the name that [DUIDName] gives duid,
// in hex digits of either case. It is false for a duid that has no name.
func NamesDUID(commonName string, duid []byte) bool {
	want, err := duidNameOctets(duid)
	if err != nil {
		return false
	}
	got, err := hex.DecodeString(commonName)
	return err == nil && bytes.Equal(got, want)
}

// duidNameOctets is the name before it is written in hex.
func duidNameOctets(duid []byte) ([]byte, error) {
	switch {
	case len(duid) < minDUID || len(duid) > maxDUID:
		return nil, fmt.Errorf("x509ip: DUID of %d octets: %w", len(duid), ErrLength)
	case len(duid) > maxVerbatimDUID:
		digest := sha256.Sum256(duid)
		return digest[:], nil
	}
	return duid, nil
}
