package command

// scaleToZero stops a workload's pods and remembers how many there were.
func scaleToZero() command { return changing("scale-to-zero") }
