// Inspect decodes what this library decodes and says what it found:
//
//	inspect -as KIND [-hex] [FILE...]
//
// Each FILE (standard input, if none is named) is one object in binary, and the
// output is for a person. With -hex, each line of the input is one object in
// hex, and each gives one line of JSON:
//
//	{"ok":true,"text":"...","reencoded":"hex"}
//	{"ok":false,"error":"...","offset":N}
//
// reencoded is built anew from what was decoded; offset is that of the octet at
// fault, or 0 if it is not known. Space around the hex is ignored; a blank line is
// an object of no octets, so that lines of output and of input correspond.
//
// The kind pcap reads the classic format of captures, neither pcapng nor gzip.
//
// A bad object never ends the program. The exit status is 1 if any object or
// file failed, and 2 for wrong usage.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"dhcpsec.example/internal/wire"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// The exit statuses.
const (
	statusOK     = 0
	statusFailed = 1
	statusUsage  = 2
)

// maxInput bounds one object in binary, and one line of hex, in octets.
const maxInput = 16 << 20

// run is main, with the process's surroundings as parameters and its exit
// status as the result.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("inspect", flag.ContinueOnError)
	flags.SetOutput(stderr)
	as := flags.String("as", "", "the `KIND` of the objects: "+kindNames())
	asHex := flags.Bool("hex", false, "read one object in hex a line, write one line of JSON for each")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: inspect -as KIND [-hex] [FILE...]\n(pcap is the classic format: neither pcapng nor gzip is read)")
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return statusOK
	case err != nil:
		return statusUsage
	}
	decode := findKind(*as)
	if decode == nil {
		fmt.Fprintf(stderr, "inspect: -as %q is not a kind; the kinds are: %s\n", *as, kindNames())
		return statusUsage
	}

	inspect := inspectFile
	if *asHex {
		inspect = inspectLines
	}
	out := bufio.NewWriter(stdout)
	status := statusOK
	failed := func(name string, err error) {
		fmt.Fprintf(stderr, "inspect: %s: %s\n", oneLine(name), oneLine(err.Error()))
		status = statusFailed
	}
	each := func(name string, in io.Reader) {
		if err := inspect(decode, in, out); err != nil {
			failed(name, err)
		}
		if err := out.Flush(); err != nil {
			failed("output", err)
		}
	}
	if flags.NArg() == 0 {
		each("standard input", stdin)
	}
	for _, name := range flags.Args() {
		file, err := os.Open(name)
		if err != nil {
			failed(name, err)
			continue
		}
		if flags.NArg() > 1 && !*asHex {
			fmt.Fprintf(out, "%s:\n", oneLine(name))
		}
		each(name, file)
		file.Close()
	}
	return status
}

// inspectFile decodes the whole of in as one object and tells a person.
func inspectFile(decode decoder, in io.Reader, out *bufio.Writer) error {
	b, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil {
		return err
	}
	if len(b) > maxInput {
		return wire.ErrTooLarge
	}
	text, _, err := decode(b)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, text)
	return nil
}

// inspectLines decodes each line of in and writes a line of JSON for it.
func inspectLines(decode decoder, in io.Reader, out *bufio.Writer) error {
	lines := bufio.NewReaderSize(in, 64<<10)
	results := json.NewEncoder(out)
	results.SetEscapeHTML(false)
	objects, failures := 0, 0
	for {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, wire.ErrTooLarge) {
			return err
		}
		line = bytes.TrimSpace(line)
		objects++
		var result any
		if err == nil {
			result, err = inspectHex(decode, line)
		}
		if err != nil {
			failures++
			result = failure{Error: oneLine(err.Error()), Offset: offsetOf(err)}
		}
		if err := results.Encode(result); err != nil {
			return err
		}
		// Whoever feeds the lines one by one waits for the answer to each.
		if lines.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
	if failures > 0 {
		return fmt.Errorf("%d of %d lines failed", failures, objects)
	}
	return nil
}

// success and failure are the two forms of a line of output.
type success struct {
	OK        bool   `json:"ok"`
	Text      string `json:"text"`
	Reencoded string `json:"reencoded"`
}

type failure struct {
	OK     bool   `json:"ok"`
	Error  string `json:"error"`
	Offset int    `json:"offset"`
}

// inspectHex decodes the object that is line in hex.
func inspectHex(decode decoder, line []byte) (success, error) {
	b := make([]byte, hex.DecodedLen(len(line)))
	if _, err := hex.Decode(b, line); err != nil {
		return success{}, err
	}
	text, reencoded, err := decode(b)
	if err != nil {
		return success{}, err
	}
	return success{OK: true, Text: text, Reencoded: hex.EncodeToString(reencoded)}, nil
}

// offsetOf is the offset in the *ParseError that err is or wraps, else 0.
func offsetOf(err error) int {
	if pe, ok := errors.AsType[*wire.ParseError](err); ok {
		return pe.Offset
	}
	return 0
}

// readLine reads up to the end of the line, which it leaves out. A line of more
// than maxInput octets is skipped and is ErrTooLarge. At the end of the input
// it returns io.EOF.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	size := 0
	for {
		part, err := in.ReadSlice('\n')
		size += len(part)
		if size <= maxInput {
			line = append(line, part...)
		} else {
			line = nil
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && size > 0:
			// The last line may do without its end.
		case err != nil:
			return nil, err
		}
		if size > maxInput {
			return nil, fmt.Errorf("line: %w", wire.ErrTooLarge)
		}
		return line, nil
	}
}
