package diagnose

// Dependency is one other object that the subject's log points at.
type Dependency struct{}
