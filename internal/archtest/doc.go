// Package archtest holds the module to its import rules: what a package may
// import and reach, what it may take from its surroundings, and that it says
// what it is. Every rule is in rules_test.go.
package archtest
