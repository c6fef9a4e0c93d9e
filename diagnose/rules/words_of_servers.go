package rules

import "crashloop/diagnose"

// What databases, queues and search engines say in words of their own, beyond the shapes in closing.go.

// serverData is about data that does not suit them.
func serverData() []diagnose.Pattern {
	return []diagnose.Pattern{{Name: "server", Words: []string{"used with a newer", "earlier failed attempt", "used by a different", "pg_filenode.map", "missing data or join", "is not empty. either the node", "member count is unequal", "is not formatted", "!= configured name", "too new for this", "too old for this", "invalid decryption key", "unknown xl ", "not present in the group", "than those present in", "panic_mark_file", "invalid database", "state handle is broken"}, Regexp: `(?i)last used with a newer version|earlier failed attempt to initiali[sz]e|already used by a different` +
		`|could not open file "(?:global|base|pg_\w+)/` + // PostgreSQL
		`|missing data or join a duplicated pd` + // TiDB's PD
		`|is not empty\. Either the node already knows` + // Redis Cluster
		`|member count is unequal` + // etcd
		`|\b(?:NameNode|JournalNode|storage|disk|volume|ledger) is not formatted` + // HDFS
		`|saved \w+ name .{1,60} != configured name` + // Cassandra
		`|too (?:new|old) for this (?:server|version|release|binary)|unknown xl (?:meta|header) version` + // MinIO
		`|invalid decryption key` +
		`|transactions not present in the group|more executed transactions than those present` + // MySQL's group replication
		`|panic_mark_file \S+ exists` + // TiKV
		`|failed to open database\W.{0,20}invalid database` + // bbolt
		`|state handle is broken`}} // Flink
}

// serverCredentials is about credentials that the other side does not know.
func serverCredentials() []diagnose.Pattern {
	return []diagnose.Pattern{{Words: []string{"access key id you provided"}, Regexp: `(?i)access key id you provided does not exist`}}
}

// serverSettings is about settings, and scripts that a database's image runs when it makes a new database.
func serverSettings() []diagnose.Pattern {
	return []diagnose.Pattern{
		{Name: "script", Words: []string{".sql:", "error 1064 (42000) at line"}, Regexp: `\bpsql:(?P<path>/[\w./@-]+\.sql):\d+: (?:ERROR|FATAL): |^ERROR 1064 \(42000\) at line \d+: `},
		{Name: "setting", Words: []string{"unknown role", "peer list", "member list", "server list", "no macro", "available factories", "available types", "available options"}, Regexp: `(?i)unknown role \[|not in the (?:peer|member|server|node) list|\bno (?:macro|section|entry|listener) ['"]?[\w.-]+['"]? in (?:the )?config|available (?:factories|types|options|drivers|backends): `},
		databaseSettings(), databaseScripts(),
		{Name: "setting", Words: []string{"license key", "license file", "licence file", "key must be"}, Regexp: `(?i)licen[cs]e (?:key |file )?(?:[\\'"]+[^'"\\]{1,120}[\\'"]+ )?(?:has |is )?(?:expired|not valid|invalid)|\bkey must be (?:exactly |at least )?\d+ (?:[\w-]+ ){0,3}(?:bytes|bits|characters|chars)\b`},
	}
}

// serverFiles is about the owner and mode of files, as programs check them that keep secrets or data in them. file matches a path.
func serverFiles(file string) []diagnose.Pattern {
	return []diagnose.Pattern{
		{Name: "owner", Words: []string{"permissions", "ownership", "must be owned", "not owned by", "must be writable", "must be readable"}, Regexp: file + `['"]? .{0,40}(?:(?:has|have|with) (?:the )?(?:invalid|wrong|insecure|incorrect|bad|unsafe) (?:permissions?|ownership|owner|mode)|(?:must be|is not|are not) (?:writable|readable|owned by))`},
		{Name: "owner", Words: []string{"insufficient permission", "no permission to"}, Regexp: `(?i)(?:insufficient permissions? (?:on|for|to \w+)|no permission to \w+) (?:the )?(?:\w+ )?(?:directory|folder|file|path):? ['"]?` + file},
		{Name: "owner", Words: []string{"must have file permissions", "must have permissions"}, Regexp: file + `['"]? .{0,60}must have (?:file )?permissions\b`},
		{Name: "make", Words: []string{"does not exist and cannot be created"}, Regexp: `(?i)\b(?:directory|folder) ['"]?` + file + `['"]? does not exist and cannot be created`},
		{Name: "owner", Words: []string{"access must be restricted"}, Regexp: `access must be restricted: ` + file},
		// A directory that a program cannot make, without the reason: Java's mkdirs gives none.
		{Name: "make", Words: []string{"mkdirs", "create directory", "create data directory", "create directories", "create dir", "create folder", "create the directory", "creating directory", "state directory", "mkdirs failed"}, Regexp: `(?i)(?:(?:failed|unable|could not|couldn't|cannot|can't|error)(?: to)?,? (?:mkdirs?|creat(?:e|ing) (?:the )?(?:\w+ ){0,3}(?:director(?:y|ies)|folder|dir))|mkdirs failed to create):? (?:file:)?['"\[]?` + file},
		{Name: "before", Words: []string{"errno [13]", "system error 5"}, Regexp: `\[(?P<path>/[^\]\s]+)\][^/]{0,40}Errno \[13\]|physical file "(?P<path2>/[^"]+)"[^/]{0,40}perating system error 5\b`}, // SQL Server
		{Name: "write", Words: []string{"rotatable log file"}, Regexp: `rotatable log file\b.{0,40}Failed to open ` + file}, // MongoDB
		{Name: "after", Words: []string{"access to file denied"}, Regexp: `(?i)access to file denied: ` + file},
		{Name: "bare", Words: []string{"must be writable", "the owner of the data"}, Regexp: `(?i)\bfile .{1,60}must be writable|does not match the owner of the data`},
	}
}

// serverHost is about what they need of the node.
func serverHost() []diagnose.Pattern {
	return []diagnose.Pattern{databaseHost(), {Name: "server", Words: []string{"clock synchronization", "clock skew", "clock offset", "map failed", "background jobs"}, Regexp: `(?i)clock (?:synchroni[sz]ation error|(?:skew|offset|drift)\b.{0,40}(?:too|more than|exceed))|OutOfMemoryError: Map failed|initialize background jobs\. error message: operation not permitted`},
		{Name: "server", Words: []string{"insufficient physical memory: needed"}, Regexp: `insufficient physical memory: needed \d+ available \d+`},                       // Seastar: ScyllaDB, Redpanda
		{Name: "server", Words: []string{"cannot initialize queue:resource temporarily unavailable"}, Regexp: `Cannot initialize queue:Resource temporarily unavailable`}, // Artemis, of libaio
		// Redis' kin on a CPU that is older than they are built for, and PostgreSQL where it may not have the huge pages that it sees.
		{Name: "server", Words: []string{"execute an instruction", "hardware incompatib", "instruction set"}, Regexp: `(?i)attempt to execute an (?:\w+ )?instruction failed|\b(?:hardware|cpu|processor) (?:is )?incompatib\w*.{0,60}instruction set|\b(?:cpu|processor|machine|hardware)\b.{0,60}(?:not|n't|lacks?|missing|without)\b.{0,60}\binstruction sets?\b|\binstruction sets? (?:is |are )?(?:not supported|unsupported|not available|missing)\b`},
		{Name: "bus", Words: []string{"bus error"}, Regexp: `(?:^|\s)Bus error +\(core dumped\)`},
	}
}

// serverModules is about plugins that they are told to load.
func serverModules() []diagnose.Pattern {
	return []diagnose.Pattern{{Name: "server", Words: []string{"plugins_not_found", "through the following plugin"}, Regexp: `plugins_not_found,\[(?P<name>\w+)|through the following plugin\(s\): (?P<name2>[\w-]+)`}}
}

// serverLimits is about the number of files or threads that they may have.
func serverLimits() []diagnose.Pattern {
	return []diagnose.Pattern{{Name: "limit", Words: []string{"set soft ulimit", "set hard ulimit"}, Regexp: `(?i)unable to set (?:soft|hard) ulimit`}, {Name: "limit", Words: []string{"open files", "number of threads", "number of open file", "file descriptors"}, Regexp: `(?i)at least \d+ (?:open )?file descriptors|(?:open files|max(?:imum)? number of (?:threads|open file\w*|processes))["'\]]?(?:\s|\b).{0,60}?(?:too (?:low|small)|must (?:not )?be (?:at least|less|greater))`}}
}

// serverVolumes is about a disk that is full.
func serverVolumes() []diagnose.Pattern {
	return []diagnose.Pattern{{Name: "bare", Words: []string{"low-disk space condition", "low disk space condition", "not enough space on the disk", "has insufficient free space", "disk path full"}}, {Name: "bare", Words: []string{"no reserved space left", "nowritableledgerdir", "not enough disk space", "insufficient disk space", "disk space than is available", "when full. please free"}, Regexp: `(?i)no reserved space left|more disk space than is available|when full\. Please free or allocate|not enough (?:free )?disk space|insufficient (?:free )?disk space`}}
}

// serverCertificates is about certificates and keys that they cannot load.
func serverCertificates() []diagnose.Pattern {
	return []diagnose.Pattern{{Name: "load", Words: []string{"unable to get certificate from", "load the tls configuration", "pem key store", "the private key contains"}, Regexp: `(?i)unable to get certificate from|unable to load the TLS configuration|error loading PEM key store|the private key contains`}}
}
