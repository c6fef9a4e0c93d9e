package diagnose

import (
	"regexp"
	"strconv"
)

// codeOfError is the number of an error that some servers, such as ClickHouse, end with: the last eight bits of it are their exit code.
var codeOfError = regexp.MustCompile(`\bCode: (\d{1,5})\. DB::\w*Exception\b`)

// OwnCode says that the exit code, which looks like a signal's, is the program's own: its last words give the number.
func (c *Case) OwnCode() bool {
	t, l := c.Last(), c.Log()
	if t == nil || t.ExitCode <= 128 || t.Reason == "OOMKilled" || l.Missing != "" {
		return false
	}
	for n := l.Len(); n > 0 && n > l.Len()-closingWindow; n-- {
		m := codeOfError.FindStringSubmatch(l.Line(n))
		if m == nil {
			continue
		}
		code, err := strconv.Atoi(m[1])
		return err == nil && int32(code%256) == t.ExitCode
	}
	return false
}
