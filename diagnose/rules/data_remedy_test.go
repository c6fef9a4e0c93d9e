package rules

import (
	"strings"
	"testing"
)

// What to do about data that cannot be used depends on what is wrong with them: advice that the words do not support can lose data.
func TestRemedyFor(t *testing.T) {
	for name, test := range map[string]struct{ line, advice string }{
		"a newer version wrote it":        {"DATA_VERSION: file format 9 is newer than the supported 8", "Go back to the version"},
		"Galera's last to leave":          {"[ERROR] WSREP: It may not be safe to bootstrap the cluster from this node.", "highest seqno"},
		"a new disk":                      {"initdb: error: directory \"/var/lib/postgresql/data\" exists but is not empty", "lost+found"},
		"half a migration":                {"error: Dirty database version 16. Fix and force version.", "force command"},
		"an older image":                  {"alembic.util.exc.CommandError: Can't locate revision identified by 'ccde3e26fe78'", "older than has migrated"},
		"an edited migration":             {"Migration checksum mismatch for migration version 7", "changed after it had run"},
		"a missing table":                 {"ERROR: relation \"users\" does not exist", "Run the migration"},
		"another cluster's volume":        {"The Cluster ID abc doesn't match stored clusterId Some(def) in meta.properties", "another cluster's data"},
		"another broker's volume":         {"Configured broker.id 1 doesn't match stored broker.id 0 in meta.properties", "another id"},
		"a lock of a run that was killed": {"lock file \"/tmp/.s.PGSQL.5432.lock\" already exists", "no other instance"},
		"a table that is there already":   {"Error: Table 'CTLGS' already exists (state=42S01,code=1050)", "stopped half-way"},
		"a torn file":                     {"PANIC: could not locate a valid checkpoint record", "restore it from a backup"},
		"words that tell nothing":         {"failed to start the store", "documentation says"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := remedyFor(remedies(), strings.ToLower(test.line)).advice; !strings.Contains(got, test.advice) {
				t.Errorf("of %q it says %q, which lacks %q", test.line, got, test.advice)
			}
		})
	}
}
