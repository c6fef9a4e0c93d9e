// Package reading tells what words are about. A [Model] holds how much each stem speaks for each subject, such as "the configuration" or "the
// data that it finds"; [Fit] makes one of samples whose subject is known, by multinomial logistic regression, and [Model.Read] says what
// other words are about and how probable that is. The same samples give the same model, and the same words the same answer: nothing in it
// is random, and nothing is asked of anyone.
//
// It knows nothing of logs or of Kubernetes: which words are read, and what follows from a subject, is the business of diagnose/rules
// (reading.go), which also keeps the fitted model (reading.tsv). `go test ./diagnose/corpus -run Reading -v` fits it without the programs
// that it is then asked about and prints how often it is right; with -update it writes reading.tsv anew.
//
// Start reading at [Model].
package reading
