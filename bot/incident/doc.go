// Package incident owns the life of an incident: when failing becomes one, what changes in it, and when it is over.
//
// A [Tracker] is told what the watch sees, as records. It keeps a history only of what fails, opens an [diagnose.Incident] in the very
// call that brings the proof, and hands out a [Change] for whatever a person should see. What a record shows by itself is judged by the
// predicates of package diagnose, which the one-shot command uses, too.
//
// Start reading at [Tracker.Pod], then judge.go for the opening, end.go for recovery and closing, run.go for what time brings.
package incident
