//go:build !openssl

package bench

// opensslLoops is empty: build with -tags openssl, a C compiler and libssl-dev.
var opensslLoops map[string]func(der []byte, n int) error
