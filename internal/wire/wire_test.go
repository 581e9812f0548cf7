package wire

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCursorReadsInOrderAndReportsAbsoluteOffsets(t *testing.T) {
	c := NewCursor([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, 100)
	v8, err := c.Uint8("a")
	require.NoError(t, err)
	require.Equal(t, uint8(1), v8)
	v16, err := c.Uint16("b")
	require.NoError(t, err)
	require.Equal(t, uint16(0x0203), v16)
	v32, err := c.Uint32("c")
	require.NoError(t, err)
	require.Equal(t, uint32(0x04050607), v32)
	require.Equal(t, 107, c.Offset())

	saved := c
	_, err = c.Uint32("d")
	require.Equal(t, &ParseError{Field: "d", Offset: 107, Err: ErrTruncated}, err)
	require.Equal(t, saved, c, "a failed read must not move the cursor")
	require.Equal(t, []byte{8, 9}, c.Rest())
	require.Zero(t, c.Len())
}

func TestCursorSlicesAreCapped(t *testing.T) {
	data := []byte{1, 2, 3, 4}
	c := NewCursor(data, 0)
	got, err := c.Bytes(2, "x")
	require.NoError(t, err)
	_ = append(got, 0xff)
	require.Equal(t, []byte{1, 2, 3, 4}, data, "append to a view reached the octets behind it")
	_, err = c.Bytes(-1, "x")
	require.ErrorIs(t, err, ErrTruncated)
	_, err = c.Bytes(3, "x")
	require.ErrorIs(t, err, ErrTruncated)
}

func TestOption16(t *testing.T) {
	b, err := AppendOption16([]byte{0xee}, 65001, []byte("hi"))
	require.NoError(t, err)
	require.Equal(t, []byte{0xee, 0xfd, 0xe9, 0, 2, 'h', 'i'}, b)

	c := NewCursor(b[1:], 1)
	code, data, err := c.Option16()
	require.NoError(t, err)
	require.Equal(t, uint16(65001), code)
	require.Equal(t, []byte("hi"), data)

	for n := range 6 {
		c := NewCursor(b[1:1+n], 0)
		_, _, err := c.Option16()
		require.ErrorIs(t, err, ErrTruncated, "option cut to %d octets", n)
	}
}

func TestOption16RefusesWhatItsLengthFieldCannotHold(t *testing.T) {
	before := []byte{1, 2, 3}
	b, err := AppendOption16(before, 1, make([]byte, 65536))
	require.ErrorIs(t, err, ErrTooLarge)
	require.Equal(t, before, b)

	b, mark := BeginOption16(before, 7)
	b, err = EndOption16(append(b, make([]byte, 65535)...), mark)
	require.NoError(t, err)
	require.Equal(t, []byte{0, 7, 0xff, 0xff}, b[3:7])

	b, mark = BeginOption16(before, 7)
	b, err = EndOption16(append(b, make([]byte, 65536)...), mark)
	require.ErrorIs(t, err, ErrTooLarge)
	require.True(t, bytes.Equal(before, b))
}

func TestShiftMovesTheOffsetOfAWrappedParseError(t *testing.T) {
	err := Shift(fmt.Errorf("inner: %w", Errorf("x", 3, ErrValue)), 40)
	var pe *ParseError
	require.ErrorAs(t, err, &pe)
	require.Equal(t, 43, pe.Offset)
	require.EqualError(t, err, "x at offset 43: forbidden value")
	plain := errors.New("plain")
	require.Equal(t, plain, Shift(plain, 40))
}
