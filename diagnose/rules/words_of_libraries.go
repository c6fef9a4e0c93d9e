package rules

import "crashloop/diagnose"

// What libraries say that many programs are made of, in whatever program they say it.

// libraryArguments is what readers of command lines say: spf13/cobra and pflag, kingpin, kong.
func libraryArguments() []diagnose.Pattern {
	return []diagnose.Pattern{
		{Name: "whole", Words: []string{"flags in the group [", "bad flag syntax: ", "flags are set they must all", ", try --help", "error: expected one of \"", "error: expected \"", "error: missing flags: ", "can't be used together", " can not be used together", "cannot be used together", "must select a subcommand", " flag", "flag '--", "is not a valid ", "both --"}, Regexp: `\bflags in the group \[[^\]]*\] (?:are set|is required)|\bbad flag syntax: ` + // pflag
			`|\b(?:cannot|can't|can not|must not|may not) (?:\w+ )?both --[a-z]|\bflag ['"\x60]?--?[a-z][\w.-]+['"\x60]? requires\b|\bfor (?:the )?--[a-z][\w.-]+ (?:command[- ]line )?flag\b|^[^"]{0,40}'\S+' is not a valid (?:flag|command[- ]line (?:flag|option|argument))\b` + // etcd
			`|^(?:\S+: )?error: .*, try --help\s*$|\bmust select a subcommand of '` + // kingpin
			`|^\S+: error: (?:expected (?:one of )?"|missing flags: --)|--[a-z][\w-]* (?:and|or|with) --[a-z][\w-]* can(?:'t|not| not) be used together`}, // kong
	}
}

// librarySettings is what databases' and queues' clients, servers' parts and identity providers say of what they are set to.
func librarySettings() []diagnose.Pattern {
	return []diagnose.Pattern{{
		Name:  "end",
		Words: []string{"invalid dsn: ", "raft: ", "unsupported sslmode", "connection info string", "invalid url scheme: ", "invalid database number", "ldap result code ", "specified bucket does not exist", "nosuchbucket", "has no seed brokers", "lock is removed, migrate", "client auth policy", "cannot assign requested address", "eaddrnotavail", ": invalid port", "unknown sslmode", "no valid address supplied", "invalid host in connection", "scheme must be ", "no handler for route", "unrecognized level: ", "not a valid logrus level", "unknown level string"},
		Regexp: `invalid DSN: |unsupported sslmode "|in connection info string"|connection string.{0,20}: (?:missing|invalid) ` + // Go's MySQL and PostgreSQL drivers
			`|raft: (?:\w*Timeout|\w*Interval|ProtocolVersion|LocalID|MaxAppendEntries)\b.{0,40}(?: is too | must be | cannot be )` + // hashicorp/raft
			`|redis: invalid (?:URL scheme|database number|\w+ (?:number|duration|boolean)): ` +
			`|LDAP Result Code (?:8|16|17|21|32|34|53) "` +
			`|(?i:the specified bucket does not exist)|\bNoSuchBucket\b` +
			`|\bhas no seed brokers\b|\b(?:endpoints|configmaps|endpointsleases|configmapsleases) lock is removed, migrated? to ` +
			`|configured without a Client Auth Policy` +
			`|(?i:listen|bind)\b.{0,80}(?:cannot assign requested address|EADDRNOTAVAIL)|EADDRNOTAVAIL.{0,40}\d|\baddress \S+: invalid port$` +
			`|unrecognized level: "|not a valid logrus Level: "|Unknown Level String: '`,
	}, {
		// What one setting asks of another, and values that are no encoding, path or choice.
		Name:   "end",
		Words:  []string{"' requires '", "` requires `", "\" requires \"", "must specify either", "must specify one of", "must specify exactly one", "must specify at least one", "absolute path", "illegal base64 data", "encoding/hex: ", " with no "},
		Regexp: `['"\x60][\w .=<>-]{2,60}['"\x60] requires ['"\x60][\w .=<>-]{2,60}['"\x60]|(?i)\bmust specify (?:either|one of|exactly one|at least one)\b|(?:must be|needs to be|should be|is not|not) (?:given as |specified as |set to )?an absolute path|illegal base64 data at input byte|encoding/hex: (?:invalid byte|odd length)|\b(?:initiali[sz]e|create|configure|start|set up|build)\b.{2,60} with no (?:\w+ ){0,2}(?:location|address|url|host|port|backend|target|upstream|endpoint|storage|credentials?)\b`,
	}, {
		// What contradicts each other.
		Name:   "end",
		Words:  []string{"cannot both ", "cannot enable both ", "cannot set both ", "cannot specify both ", "cannot use both ", "can't both ", "can't use both ", "can't set both ", "mutually exclusive"},
		Regexp: `(?i)\b(?:cannot|can't|can not|must not|may not) (?:both|(?:enable|set|specify|use|have|define|provide|configure) both) [^-]|\bare mutually exclusive\b`,
	}}
}

// libraryCredentials is what clients say of an identity that the other side does not take.
func libraryCredentials() []diagnose.Pattern {
	return []diagnose.Pattern{{Words: []string{"request signature we calculated", "no access to this vhost", "bad user name or password", "format for authorization header", "sasl_authentication_failed", "sasl could not negotiate", "requires mysql native password authentication", "requires clear text authentication", "requires old password authentication"}, Regexp: `(?i)request signature we calculated does not match|no access to this vhost|bad user name or password|invalid format for authorization header|SASL_AUTHENTICATION_FAILED|SASL could not negotiate|this user requires (?:mysql native password|clear text|old password) authentication`}}
}

// libraryCertificates is what clients say of TLS that one side wants and the other does not speak.
func libraryCertificates() []diagnose.Pattern {
	return []diagnose.Pattern{{Name: "handshake", Words: []string{"ssl is not enabled on the server", "tls requested but server does not support tls", "the server does not support ssl", "secure connection not available", "decryption password incorrect", "looked like an http/1.1 header", "given but no ", "secure connection required"}, Regexp: `(?i)SSL is not enabled on the server|TLS requested but server does not support|server does not support SSL|x509: decryption password incorrect|frame header looked like an HTTP/1\.1 header|(?:certificate|key) given but no (?:certificate|key) configured|nats: secure connection (?:not available|required)`}}
}

// libraryData is what embedded stores and runners of migrations say of data.
func libraryData() []diagnose.Pattern {
	return []diagnose.Pattern{{
		Name:  "server",
		Words: []string{"invalid database", "version mismatch", ": timeout", "freepages: ", "above high water mark", "freed", "invalid freelist", "manifest has ", "file does not exist for table", "in format major version", " from file ", "resource temporarily unavailable", "existing snapshots", "available snapshots", "log not found", "raft state", "not clean: found", "duplicate version ", "duplicate migration version", "duplicate migrations version", "migration table is locked", "unknown migration", "invalid meta page", "lock file", "lockfile", "overlaps found", "have been removed. goodbye", "cannot be cast automatically", "no server state recovered", "was not previously clustered", "was expecting crd", "database validation failed", "no longer valid", "requires migration", "is not migrated", " migrate\"", " migrate'", " migrate`", " migrate\\\"", "invalid table "},
		Regexp: `(?i)(?:\bbolt\w*\b|\.db|\.bolt)['"]?\b[^:]{0,40}: (?:timeout|invalid database|version mismatch|checksum error)$|^(?:\S+ ){0,3}panic: freepages: |\bfreelist pgid \(\d+\) above high water mark|page \d+ already freed|invalid freelist page: |bolt\.DB\.meta\(\): invalid meta pages` + // bbolt
			`|manifest has (?:unsupported version|bad magic|checksum mismatch)|file does not exist for table \d` + // Badger
			`|pebble: database "[^"]*" written in|\b(?:comparer|merger) name from file|(?:pebble|sstable)\S*: invalid table ` + // Pebble
			`|\bopen(?:ing)? (?:(?:the )?(?:database|db|store|file) )?['"]?/\S+: resource temporarily unavailable` +
			`|failed to (?:load any existing|restore any of the available) snapshots|^panic: log not found$` + // hashicorp/raft
			`|\bremove (?:the )?(?:stale )?lock ?file\b|overlaps found while gathering blocks|pre compaction overlap check` +
			`|\bhave been removed\. Goodbye|column "?\w+"? cannot be cast automatically|no server state recovered\b|\bwas not previously clustered\b|was expecting CRD \S+ to only have|database validation failed|\bdatabase is no longer valid\b` + // Dgraph, SpiceDB
			`|\b(?:datastore|database|schema|db)\b.{0,40}\b(?:requires? migrations?|is not migrated|needs? (?:to be )?migrat(?:ed|ion))\b|\brun [\\'"\x60]+[\w ./-]+ migrate[\\'"\x60]` +
			`|connected database is not clean: found|duplicate version \d+ detected|(?:found )?duplicate migrations? version:? \d+|migration table is locked`, // Atlas, goose, golang-migrate, bun
	}, {
		// protobuf, of bytes that are no such message: what was kept, or what another program sent.
		Name:   "wire",
		Words:  []string{"proto: "},
		Regexp: `\bproto: .{0,60}(?:illegal (?:wireType|tag)|wiretype end group for non-group|cannot parse invalid wire-format data)`,
	}, {
		// A file on its volume that it cannot make sense of.
		Name:   "file",
		Words:  []string{"unmarshal", "cannot parse", "failed to parse", "unable to parse", "could not parse", "decode", "decoding", "decompress"},
		Regexp: `(?i)\b(?:unmarshal|pars(?:e|ing)|decod(?:e|ing)|decompress)\b.{0,200}?(?P<path>/[^\s'",;:()]+)`,
	}, {
		Words:  []string{"keyspace '", "keyspace \""},
		Regexp: `(?i)\bkeyspace ['"]?\w+['"]? does not exist`,
	}}
}
