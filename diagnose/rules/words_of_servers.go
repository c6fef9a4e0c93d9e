package rules

import "crashloop/diagnose"

// What databases, queues and search engines say in words of their own, beyond the shapes in closing.go.

// serverData is about data that does not suit them.
func serverData() []diagnose.Pattern {
	return []diagnose.Pattern{{Name: "proven", Words: []string{"used with a newer", "earlier failed attempt", "used by a different"}, Regexp: `(?i)last used with a newer version|earlier failed attempt to initiali[sz]e|already used by a different`}}
}

// serverCredentials is about credentials that the other side does not know.
func serverCredentials() []diagnose.Pattern {
	return []diagnose.Pattern{{Words: []string{"access key id you provided"}, Regexp: `(?i)access key id you provided does not exist`}}
}

// serverSettings is about settings, and scripts that a database's image runs when it makes a new database.
func serverSettings() []diagnose.Pattern {
	return []diagnose.Pattern{
		{Name: "script", Words: []string{".sql:", "error 1064 (42000) at line"}, Regexp: `\bpsql:(?P<path>/[\w./@-]+\.sql):\d+: (?:ERROR|FATAL): |^ERROR 1064 \(42000\) at line \d+: `},
		{Name: "setting", Words: []string{"license key", "key must be"}, Regexp: `(?i)licen[cs]e (?:key )?(?:has |is )?(?:expired|not valid|invalid)|\bkey must be (?:exactly |at least )?\d+ (?:[\w-]+ ){0,3}(?:bytes|bits|characters|chars)\b`},
	}
}

// serverFiles is about the owner and mode of files, as programs check them that keep secrets or data in them. file matches a path.
func serverFiles(file string) []diagnose.Pattern {
	return []diagnose.Pattern{
		{Name: "owner", Words: []string{"permissions", "ownership", "must be owned", "not owned by", "must be writable", "must be readable"}, Regexp: file + `['"]? .{0,40}(?:(?:has|have|with) (?:the )?(?:invalid|wrong|insecure|incorrect|bad|unsafe) (?:permissions?|ownership|owner|mode)|(?:must be|is not|are not) (?:writable|readable|owned by))`},
		{Name: "bare", Words: []string{"must be writable"}, Regexp: `(?i)\bfile .{1,60}must be writable`},
	}
}
