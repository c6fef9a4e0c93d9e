// Package diagnose finds out why a container keeps crashing.
//
// A [View] goes in, a [Diagnosis] comes out. The package owns what both sides speak of: the [Subject] that crashes, the [PodRecord]
// and [WorkloadRecord] that a watch keeps of it, the [Symptom] that makes it an [Incident], and the [Diagnosis] itself. It imports no
// client-go, no Slack and no clock, and it starts no goroutine: the same View gives the same Diagnosis, wherever it is read from.
//
// Which cause a chain gets. A crash that another object causes is followed to its end, and the cause is the deepest link that is proven
// from the cluster's objects: web cannot connect, because the Service has no ready endpoint, because the pod behind it is Pending, because
// its claim does not exist, is volume.pvc-missing with the claim as root. Two links keep an id of their own, since what lies below them is
// another workload's failure and has an incident of its own: a dependency that crash-loops is dependency.crash-looping, with that
// workload's diagnosis in the summary and its root as root, and one that the scheduler finds no node for is dependency.pod-pending.
//
// What set it off. A change is named only when it came before the first crash, what ran before it did not crash, and it can bring the
// found cause about: see change_bearing.go for which differences bear on which causes. The template that crashes is compared with the
// newest older revision that is known to have run, which need not be the one right before.
//
// How far a log is read. First every rule looks for words of its own ([Rule.Log]). When all of them together know no more than the exit
// code, or than an exception of foreign code, the program's last words are read for their shape ([Rule.Closing]) and for what they are
// about ([Rule.Last]), both likely at most: the latter speaks first when it is sure, and else when the shapes say nothing. What still says
// nothing is quoted.
//
// What may be quoted. A [Case] hands out objects, events and logs without their secrets, so a rule may quote, cut and take apart whatever it gets:
// half of a token does not show what it is, and what is cut first cannot be redacted. Only the comparison of two revisions sees objects as they
// are, so that a password which was changed counts as a change, and quotes nothing that it has not redacted. What leaves the engine is
// redacted again.
//
// Where what stands. detect*.go says what is an incident, from records (record.go) and events. engine.go makes a [Case] and asks the
// rules; ahead.go says which reads every diagnosis begins with, closing.go finds last words, rank.go orders what is found and conclude.go
// makes the diagnosis of it. log.go, entry.go, scan.go and trace*.go read logs. failure.go and address.go take out of them what could not
// be reached, dependency.go puts the two together, and chain*.go follows it through the cluster, one file for each sort of thing on the
// way. change*.go and diff.go find what set it off, redact*.go takes secrets out.
//
// Start reading at [View], then [Engine], then any file in diagnose/rules.
package diagnose
