// Package bench measures this module against what else decodes the same octets
// in Go. It is a module of its own, so that importers never meet the others.
//
// Every benchmark is a set of sub-benchmarks impl=NAME over the same input, and
// a test beside it holds that all of them find the same content there. README.md
// says how to run it.
package bench
