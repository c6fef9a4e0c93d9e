package command

// scaleBack brings back what scaleToZero stopped.
func scaleBack() command { return changing("scale-back") }
