package diagnose

import (
	"regexp"
	"strconv"
	"strings"
)

// codeOfError is the number of an error that some servers, such as ClickHouse, end with: the last eight bits of it are their exit code.
var codeOfError = regexp.MustCompile(`\bCode: (\d{1,5})\. DB::\w*Exception\b`)

// codeOfDotnet is the exit code of .NET's host with a line that it ends with, 0 for any other line: the last eight bits of its status code, as
// docs/design/features/host-error-codes.md of dotnet/runtime lists them.
func codeOfDotnet(line string) int32 {
	switch line = strings.TrimSpace(line); {
	case strings.HasPrefix(line, "Failed to create CoreCLR"):
		return 137
	case strings.HasPrefix(line, "Error initializing the dependency resolver"):
		return 139
	case strings.Contains(line, "specified in the application dependencies manifest"):
		return 140
	case strings.Contains(line, "No .NET SDKs were found"), strings.Contains(line, "SDK commands"):
		return 145
	}
	return 0
}

// OwnCode says that the exit code, which looks like a signal's, is the program's own: its last words give the number.
func (c *Case) OwnCode() bool {
	t, l := c.Last(), c.Log()
	if t == nil || t.ExitCode <= 128 || t.Reason == "OOMKilled" || l.Missing != "" {
		return false
	}
	for n := l.Len(); n > 0 && n > l.Len()-closingWindow; n-- {
		if codeOfDotnet(l.Line(n)) == t.ExitCode {
			return true
		}
		m := codeOfError.FindStringSubmatch(l.Line(n))
		if m == nil {
			continue
		}
		code, err := strconv.Atoi(m[1])
		return err == nil && int32(code%256) == t.ExitCode
	}
	return false
}
