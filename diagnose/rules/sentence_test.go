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
		"error: 7 rows are wrong":       "error: 7 rows are wrong",
		"Error: no such file":           "Error: no such file",
		"3 of 5 checks failed":          "3 of 5 checks failed",
		"*** FATAL CONFIG FILE ERROR":   "*** FATAL CONFIG FILE ERROR",
		"ERROR":                         "ERROR",
		"[x] ":                          "[x]",
		"msg=only":                      "msg=only",
		"panic: tocommit(11) is out of": "panic: tocommit(11) is out of",
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
