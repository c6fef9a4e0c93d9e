// Package fixtest holds the fixes of diagnoses to what kubectl and the API server take: that a command parses in a shell into a
// subcommand and flags that there are, names its namespace and a kind that the subcommand works on, and that a patch fits the object that
// it is for. It is for tests. Start reading at [Problems].
package fixtest
