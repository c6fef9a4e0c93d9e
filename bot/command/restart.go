package command

// restart replaces a workload's pods.
func restart() command { return changing("restart") }
