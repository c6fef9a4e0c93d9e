package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

// What databases and caches say in words of their own, beyond words_of_stores.go and words_of_servers.go. Each stands in the source or the messages of
// the program that its comment names.

// databaseData is about data that does not suit them.
func databaseData() []diagnose.Pattern {
	return []diagnose.Pattern{
		{Name: "proven", Words: []string{"not a valid data directory", "status of transaction", "expected empty archive", "module data i can't load", "the aof file", "incorrect checksum in control file", "unsupported on-disk structure", "database file version", "content of 'engine' file", "unable to open the physical file", "detected failed migration"}, Regexp: `(?i)` +
			`is not a valid data directory|could not access status of transaction|incorrect checksum in control file` + // PostgreSQL
			`|WAL archive check failed.{0,80}expected empty archive` + // Barman
			`|RDB file contains module data I can't load|\bThe AOF file \S+ doesn't exist|unable to obtain the AOF file \S+ length` + // Redis
			`|unsupported on-disk structure for file|unsupported database file version|content of 'ENGINE' file .{0,200}do not match` + // Firebird, H2, ArangoDB
			`|unable to open the physical file .{0,200}operating system error (?:2|32|87)\b` + // SQL Server
			`|detected failed migration to version`}, // Flyway
		{Name: "server", Words: []string{"unsupported database: "}, Regexp: `(?i)\bunsupported database: \w+(?: \w+)? \d`},                                                                                                // Flyway
		{Words: []string{"corruption: ", "corruption (", "joined successfully", "replica /"}, Regexp: `\bCorruption(?: \([\w/.]+:\d+\))?: \S|(?i:member that has not joined successfully)|\bReplica /\S+ already exists`}, // the status of RocksDB's and Kudu's kin, TiDB's PD, ClickHouse
		{Words: []string{"aria control file", "ring buffer recovery failed"}, Regexp: `(?i)got error '[^']+' when trying to use aria control file|ring buffer recovery failed`},                                           // MariaDB, Galera
	}
}

// keptFile is how they call a file of their own data that is not there: no setting names it.
var keptFile = regexp.MustCompile(`\bAOF file\b`)

// databaseSettings is about settings, and about what an image's entrypoint makes of them.
func databaseSettings() diagnose.Pattern {
	return diagnose.Pattern{Name: "setting", Words: []string{"sed: -e expression", "needs config file on disk", "unable to find a deployment with label", "critical config", "table without zookeeper", "configure the url, user and password", "no database found to handle", "fully qualified hostnames", "is illegal **"}, Regexp: `(?i)^(?:\S*/)?sed: -e expression #\d+, char \d+: ` + // a value that breaks the expression which puts it into a file
		`|needs config file on disk` + // Redis Sentinel
		`|critical config(?: check)? failed` + // TiKV
		`|replicated table without ZooKeeper` + // ClickHouse
		`|unable to connect to the database\. Configure the url, user and password|no database found to handle jdbc:` + // Flyway
		`|System (?:NOT )?running to use fully qualified hostnames|Hostname \S+ is illegal \*\*` + // Erlang's distribution
		`|unable to find a deployment with label`} // CloudNativePG: the operator's own Deployment, by labels that it was not given
}

// databaseHost is about the node.
func databaseHost() diagnose.Pattern {
	return diagnose.Pattern{Name: "server", Words: []string{"arm64-cow-bug", "aio-max-nr"}, Regexp: `(?i)will now exit.{0,200}ARM64-COW-BUG|/proc/sys/fs/aio-max-nr`}
}

// sumsUp is how a server says, after what went wrong, which part of it does not come up for that.
var sumsUp = regexp.MustCompile(`(?i)plugin initialization aborted with error generic error|data dictionary initialization failed|failed to initialize DD storage engine|registration as a storage engine failed|failed to initialize plugins`)

// notOfData is what a part of a server does not come up for that is not its data.
var notOfData = regexp.MustCompile(`(?i)permission denied|errno: (?:2|12|13|28)\b|errno:? 13\b|failed; errno 12|cannot allocate memory|must be writable|\bAIO\b|io_uring|no space left|too many open`)

// reasonBefore is the first of the errors that a line sums up, on the lines right before it; not ok when it sums up nothing.
func reasonBefore(h diagnose.Hit) (diagnose.Hit, bool) {
	if !sumsUp.MatchString(h.Text) {
		return h, false
	}
	found, skipped := h, 0
	for n := h.Line - 1; n > 0 && n > h.Line-10 && skipped < 2; n-- {
		line := h.Log.Line(n)
		if level := diagnose.LineLevel(line); level < diagnose.Error {
			skipped++
			continue
		}
		found.Line, found.Text, found.Level = n, diagnose.Say(line), diagnose.Error
		if notOfData.MatchString(line) {
			break
		}
	}
	return found, found.Line != h.Line && strings.TrimSpace(found.Text) != ""
}

// databaseScripts is the line with which the entrypoints of databases' images begin each script that they run for a new database.
func databaseScripts() diagnose.Pattern {
	return diagnose.Pattern{Name: "running", Words: []string{"/docker-entrypoint-initdb.d/"}, Regexp: `: (?:running|sourcing) (?P<path>/docker-entrypoint-initdb\.d/\S+)$`}
}

// initialized is what those say once all of them have run.
var initialized = regexp.MustCompile(`(?i)stopping temporary server|temporary server stopped|init process (?:complete|done)`)

// initScript is about the script that a new database was given, when the program ended amid it: what stands in the log after it began is why.
func initScript(c *diagnose.Case, running []diagnose.Hit) []diagnose.Finding {
	if len(running) == 0 || !endedByItself(c) {
		return nil
	}
	began := running[len(running)-1]
	at, level := 0, diagnose.NoLevel
	for n := began.Line + 1; n <= began.Log.Len(); n++ {
		line := began.Log.Line(n)
		if initialized.MatchString(line) || n > began.Line+60 {
			return nil
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		if l := diagnose.LineLevel(line); at == 0 || level < diagnose.Error {
			at, level = n, l
		}
	}
	if at == 0 {
		return nil
	}
	f := diagnose.FromHit(diagnose.Hit{Log: began.Log, Line: at}, diagnose.Likely, diagnose.Words)
	f.Weight, f.Keys = -30, []string{began.Group("path")}
	f.Evidence = append(f.Evidence, began.Cite())
	f.Summary = fmt.Sprintf("%s ends in %s, which it runs for a new database: %s", c.Who(), began.Group("path"), diagnose.Shorten(quote(diagnose.Say(began.Log.Line(at))), 200))
	f.Advice = "Correct that script, and let the database be made anew: its directory may be half filled"
	if m, ok := mountAt(c, began.Group("path")); ok && m.isConfig() {
		object, _ := m.object(c.Subject.Namespace)
		f.Proof, f.Root = diagnose.Corroborated, object
		if object != "" {
			f.Chain = []diagnose.Link{{Object: object, Says: "holds the script"}}
		}
		f.Evidence = append(f.Evidence, m.cite(c))
		f.Fixes = append(f.Fixes, m.edit(c)...)
	}
	return []diagnose.Finding{f}
}
