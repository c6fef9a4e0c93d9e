// Package corpus measures the diagnosis on crash loops as they happen to people: what programs of many kinds and versions print when
// they fail, what kubelets and controllers say of it, and which object is at fault.
//
// The facts come from where each case says (documentation, source code, public issue reports, a kubelet that was watched); the words
// around them are our own. Run
//
//	go test ./diagnose/corpus -run Corpus -v
//
// for the scoreboard, and with -run Reading for how often the model of last words is right about programs that it was not fitted to. After
// cases were added, -run Reading -update fits it anew; testdata/words holds ends of logs that serve for nothing else.
//
// Start reading at testdata: one folder of a txtar is one snapshot and its expected cause. workload_test.go says what
// the short form of a workload stands for.
package corpus
