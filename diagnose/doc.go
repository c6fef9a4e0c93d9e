// Package diagnose finds out why a container keeps crashing.
//
// A [View] goes in, a [Diagnosis] comes out. The package owns what both sides speak of: the [Subject] that crashes, the [PodRecord]
// and [WorkloadRecord] that a watch keeps of it, the [Symptom] that makes it an [Incident], and the [Diagnosis] itself. It imports no
// client-go, no Slack and no clock, and it starts no goroutine: the same View gives the same Diagnosis, wherever it is read from.
//
// Start reading at [View], then [Engine], then any file in diagnose/rules.
package diagnose
