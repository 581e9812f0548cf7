package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLoopbackWithoutIPv6(t *testing.T) {
	var tried []string
	got, err := listen(func(address string) (string, error) {
		tried = append(tried, address)
		if address == "127.0.0.1:0" {
			return address, nil
		}
		return "", errors.New("no such address")
	})
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:0", got)
	require.Equal(t, []string{"[::1]:0", "127.0.0.1:0"}, tried)

	_, err = listen(func(address string) (string, error) { return "", errors.New("not at " + address) })
	require.EqualError(t, err, "not at [::1]:0\nnot at 127.0.0.1:0")
}
