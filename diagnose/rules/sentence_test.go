package rules

import (
	"strings"
	"testing"
)

// What a logger writes before its words says nothing in a sentence.
func TestQuote(t *testing.T) {
	for line, want := range map[string]string{
		"2026/03/01 09:59:29 cannot open store":                                                             "cannot open store",
		"[main] 2026-03-01 09:59:27,978 CassandraDaemon.java:911 - Cannot start node":                       "Cannot start node",
		"2026-03-01 09:59:27.978 [WARNING][10] startup/startup.go 586: Couldn't autodetect an IPv4 address": "Couldn't autodetect an IPv4 address",
		`level=fatal msg="Minimal kernel version not met" error="kernel version: 4.15.0 is lower" subsys=x`: "Minimal kernel version not met: kernel version: 4.15.0 is lower",
		`time="2026-03-01T09:59:27Z" level=error msg="cannot read \"a b\"" err="cannot read \"a b\""`:       `cannot read "a b"`,
		"2026-03-01 09:59:27.978 UTC [1] LOG:  unrecognized configuration parameter":                        "unrecognized configuration parameter",
		"[ALERT]    (1) : config : parsing [/usr/local/etc/haproxy/haproxy.cfg:12] : unknown keyword":       "config : parsing [/usr/local/etc/haproxy/haproxy.cfg:12] : unknown keyword",
		"E0301 09:59:27.978123       1 run.go:74] \"command failed\" err=\"x\"":                             "\"command failed\" err=\"x\"",
		`2026-03-01 09:59:29.113 GMT [1] LOG:  invalid value`:                                               "invalid value",
		`ts=2026-03-01T09:59:29.113Z caller=main.go:1180 level=error err="opening storage failed"`:          "opening storage failed",
		// A time behind which a bar stands, one with the day of the week, one in brackets with the level, and others that servers write.
		"2026/03/01 10:11:02| FATAL: Bungled squid.conf line 3":                                  "Bungled squid.conf line 3",
		"10:11:02|ERROR|cannot open store":                                                       "cannot open store",
		"10:11:02.123 cannot open store":                                                         "cannot open store",
		"Sun Mar  1 10:11:02 2026 Exiting due to fatal error":                                    "Exiting due to fatal error",
		"Sun Mar  1 10:11:02 UTC 2026: cannot open store":                                        "cannot open store",
		"Sun, 01 Mar 2026 10:11:02 GMT cannot open store":                                        "cannot open store",
		"Mar  1 10:11:02 cannot open store":                                                      "cannot open store",
		"Mar 01, 2026 9:59:29 AM cannot open store":                                              "cannot open store",
		"01-Mar-2026 10:11:02.102 loading configuration: failure":                                "loading configuration: failure",
		"03/01/2026 10:11:02 PM cannot open store":                                               "cannot open store",
		"2026.03.01 10:11:02.473163 [ 1 ] {} <Error> Application: cannot start":                  "Application: cannot start",
		"2026-03-01 10:11:02 CET [1] FATAL:  cannot start":                                       "cannot start",
		"2026-03-01T10:11:02.123Z\tfatal\tapp/main.go:120\tthe flag must be set":                 "the flag must be set",
		"2026-03-01 10:11:02,101:ERROR:cannot start":                                             "cannot start",
		"1:M 01 Mar 2026 10:11:02.102 # Can't handle RDB format version 10":                      "Can't handle RDB format version 10",
		"1:20260301:101102.120 cannot use the database":                                          "cannot use the database",
		"1772359862: Error: Unable to open pwfile":                                               "Error: Unable to open pwfile",
		"[2026-03-01 10:11:02,101: ERROR/MainProcess] consumer: Cannot connect":                  "consumer: Cannot connect",
		"[2026-03-01T10:11:02Z ERROR relay] cannot start":                                        "cannot start",
		"[2026-03-01 10:11:02.001][1][critical][main] [source/server/server.cc:131] error at it": "error at it",
		// What looks like a time and is none.
		"10.0.0.1:5432: connection refused":    "10.0.0.1:5432: connection refused",
		"10.96.14.7:5432 does not answer":      "10.96.14.7:5432 does not answer",
		"1.2.2026 is no version that there is": "1.2.2026 is no version that there is",
		"8080:80 is no port":                   "8080:80 is no port",
		"12:30 is not when it runs":            "12:30 is not when it runs",
		"May 5 pods run at once?":              "May 5 pods run at once?",
		"Sat 3 times without an answer":        "Sat 3 times without an answer",
		"2026 rows are wrong":                  "2026 rows are wrong",
		"20260301 is no migration":             "20260301 is no migration",
		"0/3 nodes are available":              "0/3 nodes are available",
		"error\tis what it says":               "is what it says",
		"error is what it says":                "error is what it says",
		"2001:db8::1 cannot be reached":        "2001:db8::1 cannot be reached",
		"error: 7 rows are wrong":              "error: 7 rows are wrong",
		"Error: no such file":                  "Error: no such file",
		"3 of 5 checks failed":                 "3 of 5 checks failed",
		"*** FATAL CONFIG FILE ERROR":          "*** FATAL CONFIG FILE ERROR",
		"ERROR":                                "ERROR",
		"[x] ":                                 "[x]",
		"msg=only":                             "msg=only",
		"panic: tocommit(11) is out of":        "panic: tocommit(11) is out of",
	} {
		if got := quote(line); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

// Of a long error that wraps another, a sentence says the part that matters.
func TestWithin(t *testing.T) {
	long := "Application run failed BeanCreationException: Error creating bean with name 'jwtDecoder': Factory method 'jwtDecoder' threw exception with message: " +
		"PKIX path building failed: unable to find valid certification path to requested target"
	for name, tc := range map[string]struct {
		text, match string
		runes       int
		want        string
	}{
		"short":           {"cannot open store", "open", 40, "cannot open store"},
		"at the start":    {long, "Application run failed", 60, "Application run failed BeanCreationException: Error creatin…"},
		"at the end":      {long, "PKIX path", 100, "PKIX path building failed: unable to find valid certification path to requested target"},
		"with a clause":   {long, "PKIX path", 130, "Factory method 'jwtDecoder' threw exception with message: PKIX path building failed: unable to find valid certification path to r…"},
		"without clauses": {strings.Repeat("a", 300) + " PKIX path " + strings.Repeat("b", 300), "PKIX path", 20, "PKIX path bbbbbbbbb…"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := within(tc.text, tc.match, tc.runes); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
