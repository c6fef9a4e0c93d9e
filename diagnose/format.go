package diagnose

import "fmt"

// Text writes a diagnosis as prose for a terminal.
func Text(d Diagnosis) string { return fmt.Sprintf("%+v", d) }
