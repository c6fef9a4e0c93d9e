// Package viewtest holds every [diagnose.View] to the same behaviour, so that the engine need not know which one it reads from.
//
// A View's own test calls [Run] with a function that makes one out of a [Fixture]. Start reading there; each test beside it is one
// sentence of the contract.
package viewtest
