//go:build openssl

package bench

// The loops are on the side of C, so that the cost of a call from Go does not
// count. Whatever can go wrong ends a loop early, with a number that tells where.

// #cgo LDFLAGS: -lcrypto
// #include <openssl/x509.h>
// #include <openssl/x509v3.h>
//
// static const ASN1_ITEM *blocks_item(void) {
// 	return ASN1_ITEM_ptr(X509V3_EXT_get_nid(NID_sbgp_ipAddrBlock)->it);
// }
//
// static IPAddrBlocks *decode(const unsigned char *der, long len) {
// 	const unsigned char *p = der;
// 	IPAddrBlocks *b = (IPAddrBlocks *)ASN1_item_d2i(NULL, &p, len, blocks_item());
// 	if (b != NULL && (p != der + len || !X509v3_addr_is_canonical(b))) {
// 		ASN1_item_free((ASN1_VALUE *)b, blocks_item());
// 		b = NULL;
// 	}
// 	return b;
// }
//
// static void discard(IPAddrBlocks *b) { ASN1_item_free((ASN1_VALUE *)b, blocks_item()); }
//
// static int bench_decode(const unsigned char *der, long len, long n) {
// 	while (n-- > 0) {
// 		IPAddrBlocks *b = decode(der, len);
// 		if (b == NULL) return 1;
// 		discard(b);
// 	}
// 	return 0;
// }
//
// static int bench_encode(const unsigned char *der, long len, unsigned char *out, long n) {
// 	IPAddrBlocks *b = decode(der, len);
// 	if (b == NULL) return 1;
// 	int bad = 0;
// 	while (n-- > 0 && !bad) {
// 		unsigned char *p = out;
// 		bad = ASN1_item_i2d((ASN1_VALUE *)b, &p, blocks_item()) == len ? 0 : 2;
// 	}
// 	discard(b);
// 	return bad;
// }
//
// static int bench_subset(const unsigned char *der, long len, long n) {
// 	IPAddrBlocks *a = decode(der, len), *b = decode(der, len);
// 	int bad = a == NULL || b == NULL;
// 	while (n-- > 0 && !bad) bad = X509v3_addr_subset(a, b) ? 0 : 2;
// 	discard(a);
// 	discard(b);
// 	return bad;
// }
//
// static int bench_path(const unsigned char *der, long len, long n) {
// 	int bad = 0;
// 	while (n-- > 0 && !bad) {
// 		IPAddrBlocks *root = decode(der, len), *ca = decode(der, len), *leaf = decode(der, len);
// 		bad = X509v3_addr_subset(leaf, ca) && X509v3_addr_subset(ca, root) ? 0 : 2;
// 		discard(root);
// 		discard(ca);
// 		discard(leaf);
// 	}
// 	return bad;
// }
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"
)

// opensslLoops run an operation on an extension's value n times.
var opensslLoops = map[string]func(der []byte, n int) error{
	"decode": func(der []byte, n int) error {
		return opensslError(C.bench_decode((*C.uchar)(unsafe.Pointer(&der[0])), C.long(len(der)), C.long(n)))
	},
	"encode": func(der []byte, n int) error {
		out := make([]byte, len(der))
		err := opensslError(C.bench_encode((*C.uchar)(unsafe.Pointer(&der[0])), C.long(len(der)), (*C.uchar)(unsafe.Pointer(&out[0])), C.long(n)))
		if err == nil && !bytes.Equal(der, out) {
			err = errors.New("OpenSSL encodes differently")
		}
		return err
	},
	"contain": func(der []byte, n int) error {
		return opensslError(C.bench_subset((*C.uchar)(unsafe.Pointer(&der[0])), C.long(len(der)), C.long(n)))
	},
	"path": func(der []byte, n int) error {
		return opensslError(C.bench_path((*C.uchar)(unsafe.Pointer(&der[0])), C.long(len(der)), C.long(n)))
	},
}

func opensslError(code C.int) error {
	if code == 0 {
		return nil
	}
	return fmt.Errorf("OpenSSL refuses: %d", int(code))
}
