// Package rules is the catalogue of causes that a crash loop can have.
//
// One cause is one small file, which makes one [diagnose.Rule], one txtar file of cases beside it, which prove it, and one line in the
// list of [All]. Each txtar holds cases in folders: "match-" ones that the rule must win, and "miss-" ones that look alike and belong to
// another cause. The tests run every rule on every case of every other.
//
// What no word tells is told by three files that belong to no single cause: closing.go holds the shapes of last words, given.go finds what a
// program refuses among what it was given, and reading.go weighs what its words are about, which wording.go takes out of the log, by the fitted model of
// reading.tsv.
//
// Expressions are compiled once: a rule's own by the function that makes it, one that a function of several rules needs beside that
// function, as a constant.
//
// Start reading at [All], then at app_panic.go and app.panic.txtar.
package rules
