package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"crashloop/diagnose"
)

func appIncompatibleData() diagnose.Rule {
	// What could happen to the data has not happened.
	warned := regexp.MustCompile(`(?i)\b(?:can|could|may|might|will) be(?:come)? (?:corrupt|lost|incompatible)|\b(?:to (?:prevent|avoid)|could lead to|can cause) (?:data )?corruption`)
	constraint := regexp.MustCompile(`(?i)constraint failed|violates .{3,12} constraint`)
	cures := remedies()
	// What keeps a store from its data says so in the same breath.
	refused := regexp.MustCompile(`(?i)\btoo many open files\b|\bno space left on device\b|\bdisk quota exceeded\b|\bpermission ?denied\b|\bread-only file system\b`)
	return diagnose.Rule{
		ID: "app.incompatible-data", Category: "app-error", Title: "It cannot use the data that it finds",
		Doc: diagnose.Doc{
			Means:   "The data on its volume or in its database does not suit this version of the program: written by a newer or much older version, left half-initialised or locked by a run that was killed, corrupt, or in a schema that a migration did not finish.",
			Confirm: "`kubectl logs POD --previous` says what does not fit: versions, a dirty migration, a stale lock or pid file, a checksum.",
			Mend:    "Go back to the version that wrote the data, or upgrade step by step as the program documents. Take a copy of the volume before removing locks or repairing.",
			Source:  "PostgreSQL pg_upgrade, MySQL upgrade notes, golang-migrate, Flyway, Alembic, Elasticsearch node versions",
		},
		Log: slices.Concat(memberWords(), stateWords(), databaseData(), storesWords(), lockWords(), serverData(), javaData(), storageData(), libraryData(), frameworkData(), []diagnose.Pattern{
			// Versions.
			{Words: []string{"database files are incompatible with server", "data directory was initialized by", "not compatible with this version", "incompatible with", "is not supported by this version", "downgrade", "cannot upgrade", "unsupported redo log", "upgrade is not supported after", "redo log was created with", "cannot boot server version", "data dictionary initialization failed", "featurecompatibilityversion", "wrong mongod version", "index created with version", "node version", "rdb version", "can't handle rdb format", "bad file format reading the append only file", "schema version", "has invalid version", "newer than the", "invalid magic number", "version mismatch", "on-disk format", "storage format", "upgrade is not supported", "unsupported version", "failed_to_initialize_feature_flags_registry", "refusing to rejoin cluster", "stored clusterid"}, Regexp: `(?i)` +
				`database files are incompatible|data directory was initialized by` +
				`|(?:data|files?|database|index|schema|format|volume|snapshot|log|rdb|wal|version)\b.{0,60}(?:not compatible|incompatible|not supported by this version|newer than|unsupported)|cannot upgrade (?:a node )?from` +
				`|downgrad(?:e|ing) (?:is )?(?:not|from|of)|unsupported redo log|upgrade is not supported after|redo log was created with|cannot boot server version|data dictionary initialization failed` +
				`|(?:invalid|wrong|problem|missing|unsupported)\b.*featureCompatibilityVersion|featureCompatibilityVersion\b.*(?:invalid|must|missing|expected|wrong|not )|Wrong mongod version|can't handle RDB format` +
				`|Bad file format reading the append only file|schema version|node version.{0,60}(?:index|upgrade)|version mismatch|failed_to_initialize_feature_flags_registry|refusing to rejoin cluster because server has been offline` +
				`|doesn't match stored clusterId`},
			// Damage and locks.
			{Words: []string{"invalid data dir", "could not locate a valid checkpoint record", "database system was interrupted", "invalid checkpoint", "wal corruption", "corrupt", "bad crc", "checksum mismatch", "checksum failed", "page verification failed", "lock file", "lockfile", "already locked", "unable to lock", "could not lock", "failed to obtain lock", "failed to obtain node lock", "resource temporarily unavailable", "mongod.lock", "unclean shutdown", "pid file", "already running", "initdb: error: directory", "exists but is not empty", "data directory is not empty", "has files in it", ") is empty but", "database is locked", "failed to create symbolic link", "tocommit(", "set lock on file", "lock is held"}, Regexp: `(?i)` +
				`valid checkpoint record|invalid checkpoint|(?:wal|segment|index|database|data|table|block|page|log|file|manifest|journal|block)\b.{0,40}corrupt` +
				`|corrupt(?:ed|ion)?\b.{0,40}(?:wal|segment|index|database|data|table|block|page|log|file|manifest|journal)|bad crc|checksum (?:mismatch|failed)` +
				`|(?:lock ?file|pid file|mongod\.lock).{0,80}(?:exist|held|stale|already|running|unavailable|lock)|(?:unable to lock|could not lock|failed to obtain (?:node )?lock|already locked|opening storage failed: lock)` +
				`|initdb: error: directory|exists but is not empty|data directory.{0,60}(?:is not empty|has files in it)|--initialize specified but the data directory has files|\bdatabase is locked` +
				`|directory \([^)]+\) is empty but (?:not )?the|failed to create symbolic link .+: (?:File|Already) exists|tocommit\(\d+\) is out of range|(?:could not|failed to|unable to|cannot) (?:set|acquire|obtain|get|take) (?:an? |the )?(?:\w+ )?lock on (?:file|database|data)\b` +
				`|already running.{0,40}(?:\bpid\b|_pid\b|\.pid\b)`},
			// Schemas and migrations.
			{Words: []string{"dirty database version", "is in a dirty state", "checksum mismatch", "migration failed", "migrations failed", "perform migration", "apply migration", "complete migration", "perform the migration", "apply the migration", "complete the migration", "migration checksum mismatch", "validate failed: migration", "found more than one migration", "can't locate revision", "detected resolved migration", "detected applied migration", "pending migrations", "unknown migration", "relation \"", "no such table", "doesn't exist", "does not exist", "no such column", "unknown column", "already been bootstrapped", "needs bootstrapping", "new migrations available", "unapplied migrations", "required feature flag not enabled", "inequivalent arg", "nodatabaseerror", "could not find your database"}, Regexp: `(?i)` +
				`dirty (?:database|state)|migrations? (?:failed|checksum mismatch)|(?:cannot|can't|could not|unable to) (?:perform|apply|complete) (?:the )?migration|Validate failed: Migration|Can't locate revision|detected (?:resolved|applied) migration` +
				`|(?:relation|table|column) ["'` + "`" + `]?[\w.]+["'` + "`" + `]? (?:does not|doesn't) exist|no such table|no such column|unknown column|unexpected migration|member \S+ has already been bootstrapped|new migrations available` +
				`|database needs bootstrapping|still unapplied migrations|required feature flag not enabled|inequivalent arg '[\w-]+' for (?:queue|exchange)|NoDatabaseError|could not find your database`},
			// A schema that a migration did not bring to where the program wants it, in the words of what runs migrations.
			{Name: "schema", Words: []string{
				"pidfile", "previously applied", "database schema is not empty", "already exists", "no schema history table", "nonexistent parent node", "out-of-order", "missing from the filesystem", "different than filesystem", "check sum", "no migration found for version", "migration failed to apply", "table or view", "unknown database", "cannot open database", "does not exist", "already an object named", "duplicate column name", "acquire database lock", "extension control file", "versionmissing(", "versionmismatch(",
			}, Regexp: `(?i)pid ?file.{0,120}already exists|migration \S+ was previously applied|database schema is not empty|(?:relation|table|type|index|column|constraint|sequence|view|collection|database|schema|role|trigger|policy|function) ["'` + "`" + `]?[\w.]+["'` + "`" + `]? .{0,30}?already exists|duplicate column name|no schema history table|nonexistent parent node|missing \(out-of-order\) migration|migration \S+ is (?:missing from|different than)|change ?sets? check ?sum|no migration found for version|migration failed to apply|Base table or view (?:not found|already exists)|There is already an object named|\bdatabase \\?["'` + "`" + `]?[\w.-]+\\?["'` + "`" + `]? (?:does not|doesn't) exist|unknown database|cannot open database|can't acquire database lock|could not open extension control file|\bVersionMis(?:sing|match)\(\d+\)`},
			// What a program finds of its schema, and what it expects: it refuses to start until a migration has run, or until the program is newer.
			{Name: "guard", Words: []string{"version", "schema", "migration"}, Regexp: `(?i)\b(?:db|database|schema|migrations?)[ _-]?version\b[^;]{0,40}?\d+[^;]{0,40}?(?:<|!=|\b(?:expect(?:ed|s)|requir(?:ed|es)|wants?|needs?|older|behind|below|less than|too (?:old|low))\b)|\b(?:expect(?:ed|s)|requir(?:ed|es)|wants?|needs?) (?:\w+ ){0,2}(?:db|database|schema|migrations?)[ _-]?version\b[^;]{0,20}\d+|\b(?:db|database|schema) (?:migrations? (?:is |are )?(?:incomplete|not complete)|schema is (?:out[- ]of[- ]date|outdated|behind|too old|older)|is (?:behind|at an older (?:schema|version)))|\bschema is (?:out[- ]of[- ]date|outdated|too old)\b`},
			// A server that is older than the program can do with.
			{Name: "old", Words: []string{"or greater", "or higher", "or later", "or newer", "or above", "too old"}, Regexp: `(?i)\b(?:redis|valkey|postgres(?:ql)?|mysql|mariadb|mongo(?:db)?|elasticsearch|opensearch|clickhouse|rabbitmq|kafka|cassandra|(?:database|server) version)\b(?: server)?(?: version)? ?["'(]?(?:>=|=)? ?v?\d[\d.]*\+?["')]?(?: or (?:greater|higher|later|newer|above)| is (?:required|too old))`},
			{Name: "proven", Words: []string{"pidfile (", "schema-validation: ", "previously applied", "failed migrations in the target", "inconsistentmigrationhistory"}, Regexp: `Pidfile \([^)]+\) already exists|Schema-validation: (?:missing|wrong)|migration \S+ was previously applied but|found failed migrations in the target|InconsistentMigrationHistory`},
			// What can mean nothing else.
			{Name: "proven", Words: []string{
				"incompatible with server", "was initialized by", "dirty database version", "checksum mismatch for migration", "checkpoint record", "rdb format", "reading the append only file", "featurecompatibilityversion", "redo log was created with", "unsupported redo log",
				"cannot boot server version", "cannot upgrade a node from version", "cannot downgrade a node from version", "server is already running", "invalid cluster.id in", "stored node.id", "inconsistentclusterid", "incompatible clusterids", "incompatible namespaceids", "inconsistentbrokerid", "but there are log entries", "already been bootstrapped", "failed to open wal", "wal: file not found", "wal: crc mismatch",
				"differs from previous data center", "broken parts to remove", "opening storage failed: block dir", "opening storage failed: get segment range", "required feature flag not enabled", "failed_to_initialize_feature_flags_registry", "could not acquire change log lock", "could not open directory", "postmaster.pid", "can't locate revision", "dbpathinuse", "disk format mismatch", "found backend type", "is for a newer", "by a newer", "by a later", "from a newer", "from a future version", "waiting for file lock", "lockobtainfailed", "lock held by another", "cannot acquire directory lock", "another process is using this", "failed to acquire lock on", "unable to acquire lock on", "is newer than the version of the", "database disk image is malformed",
			}, Regexp: `(?i)incompatible with server|data directory was initialized by|dirty database version|checksum mismatch for migration|valid checkpoint record|invalid (?:primary )?checkpoint record|can't handle RDB format|reading the append only file|(?:invalid|wrong|problem|missing|unsupported)\b.*featureCompatibilityVersion|featureCompatibilityVersion\b.*(?:invalid|must|missing|expected|wrong|not )|redo log was created with|unsupported redo log|cannot boot server version|cannot (?:up|down)grade a node from version|server is already running|invalid cluster\.id in|stored node\.id|InconsistentClusterId|Incompatible (?:cluster|namespace)IDs in |InconsistentBrokerId|but there are log entries|member \w+ has already been bootstrapped|failed to open WAL|wal: (?:file not found|crc mismatch)|differs from previous data ?center|broken parts to remove|opening storage failed: (?:block dir|get segment range)|required feature flag not enabled|failed_to_initialize_feature_flags_registry|could not acquire change log lock|could not open directory "pg_|"postmaster\.pid" already exists|can't locate revision|DBPathInUse|disk format mismatch|found backend type \w+, expected|\b(?:database|data|schema|index|store|state|volume|file)\b.{0,80}\b(?:for|by|from|with) a (?:newer|later|future) (?:version|release|\w+)|timeout waiting for file lock|LockObtainFailed|lock held by another|cannot acquire directory lock|another process is using this|(?:failed|unable) to acquire lock on .{0,40}/|database disk image is malformed`}}),
		Closing: dataShapes(),
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
				return h.Pattern == "proven" && !refused.MatchString(h.Text) && h.Level != diagnose.Debug && (h.Level != diagnose.Info || strings.Contains(h.Text, "LOG: "))
			})
			proven := ok
			if !ok {
				f, h, ok = lastHit(c, hits, func(h diagnose.Hit) bool {
					if refused.MatchString(h.Text) {
						return false
					}
					switch h.Pattern {
					case "state":
						return !told(h) && keptState(c, h.Text)
					case "held":
						return !told(h) && !opensConnection.MatchString(h.Text)
					case "wire":
						return !told(h) && atEnd(h) && !received.MatchString(h.Text)
					case "key":
						return !told(h) && lostKey(h)
					case "part":
						return !told(h) && storesPart(c, h.Group("path"))
					}
					return !told(h) && !strings.Contains(h.Text, "no usable database connection") && (!strings.Contains(h.Text, "role \"") || strings.Contains(h.Text, "already exists")) && !ofServer.MatchString(h.Text) && (h.Pattern != "guard" || nearEnd(h)) && !warned.MatchString(h.Text) && (h.Pattern != "file" || atEnd(h) && ofClaim(c, h.Group("path"))) && (h.Pattern != "end" || atEnd(h) && !inBug(c, h) && !strings.Contains(h.Text, " port ") && (!constraint.MatchString(h.Text) || migrating(h)))
				})
			}
			if !ok {
				return nil
			}
			if why, ok := reasonBefore(h); ok {
				if notOfData.MatchString(why.Text) {
					return nil
				}
				again := diagnose.FromHit(why, f.Confidence, f.Proof)
				f.At, f.Span, f.Evidence = why.Line, h.Line, append(again.Evidence, f.Evidence...)
				h = why
			}
			t := strings.ToLower(h.Text)
			f.Keys = []string{"database", "data", "migration", "version", "corrupt", "lock"}
			f.Summary = fmt.Sprintf("%s cannot use the data that it finds: %s", c.Who(), inSentence(h, 220))
			r := remedyFor(cures, t)
			switch h.Pattern {
			case "old":
				f.Summary = fmt.Sprintf("%s needs a newer version of what it stores its data in: %s", c.Who(), inSentence(h, 220))
				r = remedy{advice: "Upgrade that, or go back to the version of this program that ran with it"}
			case "state":
				r = remedy{advice: "See whether the run before was cut off while it wrote it. Move what cannot be read out of the way, after a copy, so that the program makes it anew, or restore it", kept: true}
			case "held":
				r = remedy{advice: "See that no other instance uses the volume; then remove what the killed run left behind", kept: true}
			}
			f.Advice = r.advice
			// The line before often holds the other half: PostgreSQL says the versions in its DETAIL.
			for _, n := range []int{h.Line + 1, h.Line - 1} {
				if l := h.Log.Line(n); strings.Contains(l, "DETAIL") || strings.Contains(strings.ToLower(l), "version") {
					f.Evidence = append(f.Evidence, h.Log.Cite(n))
				}
			}
			if proven {
				f.Confidence, f.Weight = diagnose.Certain, 30
			} else if h.Pattern == "wire" && !ofStored.MatchString(h.Text) {
				f.Confidence = diagnose.Possible
			} else if h.Pattern == "server" || h.Pattern == "held" || h.Pattern == "part" {
				f.Weight = 30
			} else if h.Pattern == "guard" {
				f.Weight = 20
			} else if h.Pattern == "state" || h.Pattern == "key" {
				f.Weight, f.Span = 60, saidAgain(h)
			}
			for _, v := range c.Spec.Volumes {
				if v.PersistentVolumeClaim != nil {
					f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "spec.volumes[" + v.Name + "]", Text: "claim " + v.PersistentVolumeClaim.ClaimName})
				}
			}
			f.Fixes = []diagnose.Fix{dataFix(c, r.kept)}
			return []diagnose.Finding{f}
		},
	}
}

var (
	// received is what speaks of a message of another program's, ofStored of one that was kept.
	received = regexp.MustCompile(`(?i)\b(?:grpc|rpc|http|request|response|reply|received|message from|kafka|topic|queue|nats|amqp)\b`)
	ofStored = regexp.MustCompile(`(?i)\b(?:wal|snapshot|segment|index|block|chunk|meta(?:data)?|raft|journal|checkpoint|state|log entry|(?:data|state|store) ?(?:dir|file|base))\b|(?:^|[\s'"=])/[\w.-]+/`)
)

// ofServer is how a program guesses that its migrations failed because the database did not answer.
var ofServer = regexp.MustCompile(`(?i)\b(?:caused by|due to|because) .{0,20}database .{0,12}\b(?:unavailable|unreachable|not (?:reachable|available|running))`)

// ofClaim says that a file lies on a claim, and is none of those that settings are kept in.
func ofClaim(c *diagnose.Case, file string) bool {
	m, ok := mountAt(c, strings.TrimRight(file, "."))
	return ok && m.volume != nil && m.volume.PersistentVolumeClaim != nil && !settingsFile.MatchString(file)
}

// saidAgain is the last line that repeats the end of what a hit says, below the stack of it; the hit's own when there is none.
func saidAgain(h diagnose.Hit) int {
	for n := h.Log.Len(); n > h.Line; n-- {
		line := strings.TrimSpace(h.Log.Line(n))
		if i := strings.LastIndex(line, ": "); i >= 0 && len(line)-i > 20 && strings.Contains(h.Text, line[i+2:]) {
			return n
		}
	}
	return h.Line
}

// migrating says that lines around a hit speak of a migration.
func migrating(h diagnose.Hit) bool {
	for n := h.Line - 20; n <= h.Line+20; n++ {
		if strings.Contains(strings.ToLower(h.Log.Line(n)), "migrat") {
			return true
		}
	}
	return false
}

// inBug says that a line belongs to the trace of a mistake in the program itself.
func inBug(c *diagnose.Case, h diagnose.Hit) bool {
	t, ok := traceAt(c, h.Line)
	return ok && bug(t)
}
