// Package fuzz holds every fuzz target of the module, one file per target
// package. Plain go test replays the committed corpora below testdata/fuzz;
// CONTRIBUTING.md says how to fuzz and how to add a target.
package fuzz
