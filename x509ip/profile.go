package x509ip

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ErrProfile reports a certificate that does not conform to a [Profile]; the
// error that wraps it names the section.
var ErrProfile = errors.New("certificate does not conform to the profile")

// Profile is a set of rules for the certificates of a path: for the leaf, which
// is a router, proxy or host of SEND, those for end entities, and for the others
// those for authorities. RFC 6494 section 4 adopts RFC 6487 whole, and its own
// example (appendix A) leaves out half of it, so there are two.
type Profile uint8

const (
	// ProfileNone has no rules beyond RFC 5280, as crypto/x509 checks it.
	ProfileNone Profile = iota

	// ProfileLocal is what the example of RFC 6494 conforms to, and what the
	// local deployment model (section 5) needs:
	//
	//   - version 3; serial number positive and of at most 20 octets
	//   - IP address delegation extension critical, with IPv6 addresses in the
	//     leaf, without SAFI; AS identifiers critical, without routing domains
	//   - key usage critical: digitalSignature alone in the leaf, keyCertSign and
	//     cRLSign alone in an authority
	//   - extended key usage not critical, with one of SEND's in the leaf; none in
	//     an authority
	//   - basic constraints critical, cA and without path length in an authority;
	//     none in the leaf
	//   - subject key identifier; authority key identifier unless self-signed,
	//     without issuer and serial number
	ProfileLocal

	// ProfileStrict is ProfileLocal and everything else that RFC 6487 section 4
	// asks, for the public deployment model that is part of the global RPKI:
	//
	//   - names of one common name and at most one serial number, in
	//     PrintableString
	//   - RSA of 2048 bits with exponent 65537, and SHA-256 (RFC 7935)
	//   - key identifiers that are the SHA-1 of the key, of the subject's and of the
	//     issuer's
	//   - one CRL distribution point and one authority information access, each
	//     with an rsync URI, and neither if self-signed
	//   - subject information access with rsync URIs: repository and manifest of an
	//     authority, signed object of an end entity
	//   - exactly one certificate policy, critical: that of RFC 6484, or of RFC 8360
	//   - no other extension
	ProfileStrict
)

// String returns "none", "local" or "strict".
func (p Profile) String() string {
	switch p {
	case ProfileNone:
		return "none"
	case ProfileLocal:
		return "local"
	case ProfileStrict:
		return "strict"
	}
	return "Profile(" + strconv.Itoa(int(p)) + ")"
}

// Identifiers of extensions, RFC 5280 section 4.2, and of what is in them.
var (
	oidSubjectKeyID     = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidCRLDistribution  = asn1.ObjectIdentifier{2, 5, 29, 31}
	oidPolicies         = asn1.ObjectIdentifier{2, 5, 29, 32}
	oidAuthorityKeyID   = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidAuthorityInfo    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}
	oidSubjectInfo      = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 11}

	oidCAIssuers    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 2}
	oidCARepository = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 5}
	oidManifest     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 10}
	oidSignedObject = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 11}

	oidCommonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidSerialNumber = asn1.ObjectIdentifier{2, 5, 4, 5}
)

// check applies the rules to each certificate of a path, the trust anchor
// first. An error is a *PathError.
func (p Profile) check(path []*x509.Certificate) error {
	if p == ProfileNone {
		return nil
	}
	rules := localRules()
	if p == ProfileStrict {
		rules = append(rules, strictRules()...)
	}
	for depth := len(path) - 1; depth >= 0; depth-- {
		isAnchor := depth == len(path)-1
		c := profiled{
			Certificate: path[depth],
			issuer:      path[min(depth+1, len(path)-1)],
			authority:   depth > 0,
			selfSigned:  isAnchor && bytes.Equal(path[depth].RawIssuer, path[depth].RawSubject),
		}
		c.resources, c.amended, c.err = claimedResources(c.Certificate, true)
		for _, r := range rules {
			if !r.holds(c) {
				return &PathError{Depth: depth, Err: fmt.Errorf("%w: RFC %s", ErrProfile, r.text)}
			}
		}
	}
	return nil
}

// profiled is a certificate that rules apply to.
type profiled struct {
	*x509.Certificate
	issuer     *x509.Certificate // itself if it is the trust anchor
	authority  bool              // by its place in the path
	selfSigned bool

	// What its extensions say, as from claimedResources.
	resources Resources
	amended   bool
	err       error
}

// rule is a rule of a profile.
type rule struct {
	text  string // number of the RFC, section, and what it asks
	holds func(c profiled) bool
}

func localRules() []rule {
	return []rule{
		{"6487 section 4.1: version is 3", func(c profiled) bool { return c.Version == 3 }},
		{"6487 section 4.2: serial number is positive and has at most 20 octets", func(c profiled) bool {
			return c.SerialNumber.Sign() > 0 && c.SerialNumber.BitLen() <= maxSerialBits
		}},
		{"6487 section 4.8.1: an authority has critical basic constraints without path length, an end entity none", func(c profiled) bool {
			if !c.authority {
				return c.find(oidBasicConstraints) == nil
			}
			return c.critical(oidBasicConstraints) && c.IsCA && c.MaxPathLen < 0
		}},
		{"6487 section 4.8.2: subject key identifier, not critical", func(c profiled) bool { return c.uncritical(oidSubjectKeyID) }},
		{"6487 section 4.8.3: authority key identifier alone, not critical", func(c profiled) bool {
			e := c.find(oidAuthorityKeyID)
			if e == nil {
				return c.selfSigned
			}
			var parts []asn1.RawValue
			rest, err := asn1.Unmarshal(e.Value, &parts)
			return !e.Critical && err == nil && len(rest) == 0 && len(parts) == 1 && isContext(parts[0], 0) && len(parts[0].Bytes) > 0
		}},
		{"6487 section 4.8.4: key usage, critical: keyCertSign and cRLSign of an authority, digitalSignature of an end entity", func(c profiled) bool {
			want := x509.KeyUsageDigitalSignature
			if c.authority {
				want = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
			}
			return c.critical(oidKeyUsage) && c.KeyUsage == want
		}},
		{"6487 section 4.8.5: no extended key usage of an authority", func(c profiled) bool {
			return !c.authority || c.find(oidExtKeyUsage) == nil
		}},
		{"6494 section 7: extended key usage, not critical, with one of SEND's", func(c profiled) bool {
			return c.authority || c.uncritical(oidExtKeyUsage) && slices.ContainsFunc(sendKeyUsages(), func(usage asn1.ObjectIdentifier) bool {
				return hasKeyUsage(c.Certificate, usage)
			})
		}},
		{"6487 section 4.8.10: IP addresses in a critical extension, without SAFI", func(c profiled) bool {
			oid := OIDIPAddrBlocks()
			if c.amended {
				oid = OIDIPAddrBlocksV2()
			}
			return c.err == nil && c.critical(oid) && !c.resources.Blocks.hasSAFI()
		}},
		{"6494 section 4: IPv6 addresses", func(c profiled) bool {
			_, ok := c.resources.Blocks.family(Family{AFI: IPv6})
			return c.authority || ok
		}},
		{"6487 section 4.8.11: AS numbers in a critical extension, without routing domains", func(c profiled) bool {
			oid := OIDASIdentifiers()
			if c.amended {
				oid = OIDASIdentifiersV2()
			}
			as := c.resources.ASIdentifiers
			return as.IsZero() || c.critical(oid) && as.rdi.absent()
		}},
	}
}

func strictRules() []rule {
	return []rule{
		{"6487 section 4.3: RSA with SHA-256", func(c profiled) bool { return c.SignatureAlgorithm == x509.SHA256WithRSA }},
		{"6487 section 4.4: issuer of one common name and at most one serial number, in PrintableString", func(c profiled) bool {
			return isResourceName(c.RawIssuer)
		}},
		{"6487 section 4.5: subject of one common name and at most one serial number, in PrintableString", func(c profiled) bool {
			return isResourceName(c.RawSubject)
		}},
		{"7935 section 3: RSA key of 2048 bits with exponent 65537", func(c profiled) bool {
			key, ok := c.PublicKey.(*rsa.PublicKey)
			return ok && key.N.BitLen() == 2048 && key.E == 65537
		}},
		{"6487 section 4.8.2: subject key identifier is the SHA-1 of the key", func(c profiled) bool {
			id, err := keyIdentifier(c.PublicKey)
			return err == nil && bytes.Equal(id, c.SubjectKeyId)
		}},
		{"6487 section 4.8.3: authority key identifier is the issuer's subject key identifier", func(c profiled) bool {
			isAnchor := c.issuer == c.Certificate
			return isAnchor && (!c.selfSigned || len(c.AuthorityKeyId) == 0) || bytes.Equal(c.AuthorityKeyId, c.issuer.SubjectKeyId)
		}},
		{"6487 section 4.8.6: one CRL distribution point with an rsync URI, not critical, and none if self-signed", func(c profiled) bool {
			return c.where(oidCRLDistribution, isCRLDistribution)
		}},
		{"6487 section 4.8.7: authority information access with an rsync URI, not critical, and none if self-signed", func(c profiled) bool {
			return c.where(oidAuthorityInfo, func(value []byte) bool {
				methods, ok := accessMethods(value)
				return ok && len(methods) == 1 && methods[oidCAIssuers.String()]
			})
		}},
		{"6487 section 4.8.8: subject information access with rsync URIs, not critical", func(c profiled) bool {
			e := c.find(oidSubjectInfo)
			if e == nil || e.Critical {
				return false
			}
			methods, ok := accessMethods(e.Value)
			if c.authority {
				return ok && methods[oidCARepository.String()] && methods[oidManifest.String()]
			}
			return ok && len(methods) == 1 && methods[oidSignedObject.String()]
		}},
		{"6487 section 4.8.9: one certificate policy, that of resource certificates, critical", func(c profiled) bool {
			return c.critical(oidPolicies) && len(c.PolicyIdentifiers) == 1 &&
				(c.PolicyIdentifiers[0].Equal(OIDResourcePolicy()) || c.PolicyIdentifiers[0].Equal(OIDResourcePolicyV2()))
		}},
		{"6487 section 4: no other extension", func(c profiled) bool {
			allowed := []asn1.ObjectIdentifier{
				oidBasicConstraints, oidSubjectKeyID, oidAuthorityKeyID, oidKeyUsage, oidExtKeyUsage, oidCRLDistribution,
				oidAuthorityInfo, oidSubjectInfo, oidPolicies, OIDIPAddrBlocks(), OIDASIdentifiers(), OIDIPAddrBlocksV2(), OIDASIdentifiersV2(),
			}
			return !slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return !slices.ContainsFunc(allowed, e.Id.Equal) })
		}},
	}
}

// find returns an extension, or nil if it is absent or there are two.
func (c profiled) find(oid asn1.ObjectIdentifier) *pkix.Extension {
	e, _ := findExtension(c.Certificate, oid)
	return e
}

func (c profiled) critical(oid asn1.ObjectIdentifier) bool {
	e := c.find(oid)
	return e != nil && e.Critical
}

func (c profiled) uncritical(oid asn1.ObjectIdentifier) bool {
	e := c.find(oid)
	return e != nil && !e.Critical
}

// where reports whether the extension that says where the issuer publishes
// something is as it should be: absent if c is self-signed.
func (c profiled) where(oid asn1.ObjectIdentifier, isRight func(value []byte) bool) bool {
	e := c.find(oid)
	if c.selfSigned || e == nil {
		return c.selfSigned && e == nil
	}
	return !e.Critical && isRight(e.Value)
}

// isResourceName reports whether raw is a name as RFC 6487 section 4.4 wants it.
func isResourceName(raw []byte) bool {
	type attribute struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	type relativeName []attribute
	var name []asn1.RawValue
	if rest, err := asn1.Unmarshal(raw, &name); err != nil || len(rest) > 0 {
		return false
	}
	commonNames, serialNumbers := 0, 0
	for _, set := range name {
		var attributes relativeName
		if rest, err := asn1.UnmarshalWithParams(set.FullBytes, &attributes, "set"); err != nil || len(rest) > 0 {
			return false
		}
		for _, a := range attributes {
			switch {
			case a.Value.Tag != asn1.TagPrintableString:
				return false
			case a.Type.Equal(oidCommonName):
				commonNames++
			case a.Type.Equal(oidSerialNumber):
				serialNumbers++
			default:
				return false
			}
		}
	}
	return commonNames == 1 && serialNumbers <= 1
}

// tagURI is a GeneralName that is a URI (RFC 5280 section 4.2.1.6).
const tagURI = 6

func isContext(v asn1.RawValue, tag int) bool {
	return v.Class == asn1.ClassContextSpecific && v.Tag == tag
}

func isRsync(name asn1.RawValue) bool {
	return isContext(name, tagURI) && strings.HasPrefix(string(name.Bytes), "rsync://")
}

// isCRLDistribution reports whether value is one DistributionPoint that has
// nothing but a fullName of URIs, one of which is rsync.
func isCRLDistribution(value []byte) bool {
	var points [][]asn1.RawValue
	rest, err := asn1.Unmarshal(value, &points)
	if err != nil || len(rest) > 0 || len(points) != 1 || len(points[0]) != 1 || !isContext(points[0][0], 0) {
		return false
	}
	var fullName asn1.RawValue
	rest, err = asn1.Unmarshal(points[0][0].Bytes, &fullName)
	if err != nil || len(rest) > 0 || !isContext(fullName, 0) {
		return false
	}
	rsync := false
	for rest = fullName.Bytes; len(rest) > 0; {
		var name asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &name); err != nil || !isContext(name, tagURI) {
			return false
		}
		rsync = rsync || isRsync(name)
	}
	return rsync
}

// accessMethods returns the methods of an AuthorityInfoAccess or
// SubjectInfoAccess, and whether each has an rsync URI.
func accessMethods(value []byte) (methods map[string]bool, ok bool) {
	var descriptions []struct {
		Method   asn1.ObjectIdentifier
		Location asn1.RawValue
	}
	if rest, err := asn1.Unmarshal(value, &descriptions); err != nil || len(rest) > 0 {
		return nil, false
	}
	methods = make(map[string]bool)
	for _, d := range descriptions {
		methods[d.Method.String()] = methods[d.Method.String()] || isRsync(d.Location)
	}
	return methods, true
}

// hasSAFI reports whether any family of b has a SAFI.
func (b Blocks) hasSAFI() bool {
	return slices.ContainsFunc(b.families, func(f familyBlocks) bool { return f.SAFI != 0 })
}
