package rules

import (
	"regexp"

	"crashloop/diagnose"
)

// remedy is what to do about data that a program cannot use, by how it speaks of them.
type remedy struct {
	says   string // RE2, of the line in lower case
	advice string
	// kept says that the files are at fault, rather than which version of the program meets them.
	kept bool
	re   *regexp.Regexp
}

// remedies are tried in their order: what a line surely means before what its words may mean.
func remedies() []remedy {
	list := []remedy{
		{says: `extension control file`, advice: "The database's image lacks that extension: use one that has it"},
		{says: `encryption key|decrypt|authentication failed|passphrase`, advice: "Give it the key that the data was written with", kept: true},
		{says: `safe_to_bootstrap|safe to bootstrap`, advice: "Start the member first that stopped last (the highest seqno in grastate.dat; mysqld --wsrep-recover tells it where that is -1), with safe_to_bootstrap: 1 in its grastate.dat; the others then join it", kept: true},
		{says: `exists but is not empty|data directory.{0,60}(?:is not empty|has files in it)|lost\+found`, advice: "The folder holds something already: the lost+found of a new disk, or what a first start left that was cut off. Let it use a folder below the mount (subPath, or PGDATA for PostgreSQL), or empty it once nothing in it matters", kept: true},
		{says: `is empty but`, advice: "One of two folders that belong together was lost, or is on another volume: bring both back from the same time, or empty both for a first start", kept: true},
		{says: `multiple head revisions`, advice: "Two migrations follow the same one: merge the heads (alembic merge heads) and build the image anew"},
		{says: `dirty (?:database|state)|\bforce version\b`, advice: "The last migration stopped half-way: see in the schema what of it was done, finish or undo that by hand, then set the version with the migration tool's force command"},
		{says: `can't locate revision|unknown migration|no migration found for version|missing from the filesystem|nonexistent parent node|unexpected migration`, advice: "A version of the program that this image is older than has migrated the database: run that version again, or have it migrate down first"},
		{says: `migration checksum|checksum mismatch for migration|change ?sets? check ?sum|was previously applied but|different than filesystem`, advice: "A migration was changed after it had run: bring the file back as it was, or repair the history as the migration tool documents"},
		{says: `version information not found|does not exist|doesn't exist|no such (?:table|column)|unknown column|validation: missing|view not found|not (?:been )?migrated|(?:pending|unapplied|new|requires) migrations|needs bootstrapping`, advice: "Run the migration that makes it, or go back to the version that the schema is of"},
		{says: `different cluster|another cluster|cluster ?ids?\b|instanceid \S+ is not matching|namespaceids`, advice: "See whether the volume is the right one: it holds another cluster's data", kept: true},
		{says: `\b(?:broker|node|server|member)\.?id\b.{0,60}(?:match|stored|differ|mismatch)|(?:stored|configured) (?:broker|node)\.id`, advice: "The data was written under another id: give it that one back, or an empty volume when that member is gone for good", kept: true},
		{says: `another operation \(install`, advice: "A Helm run was cut off and left its release pending: roll back to the last revision that was deployed, or delete the Secret of the pending one"},
		{says: `permanently removed|(?:this )?member must be removed|has already been bootstrapped|join a duplicated`, advice: "The cluster knows this member otherwise than its data does: remove it from the members and let it join again as a new one, without its old data", kept: true},
		{says: `symbolic link|already initialized`, advice: "An earlier run left it in the pod's volume: delete the pod, so that it starts with an empty one", kept: true},
		{says: heldWords, advice: "See that no other instance uses the volume; then remove what the killed run left behind", kept: true},
		{says: `already exists|duplicate column`, advice: "A migration stopped half-way, or two ran at once: undo what it made, or mark it as done, as the migration tool documents"},
		{says: `pre-?existing`, advice: "An earlier run left it: remove it so that the program makes it anew, after a look at whether it is whole", kept: true},
		{says: `not formatted`, advice: "See whether the right volume is mounted: it holds none of its data. Only a new cluster is formatted", kept: true},
		{says: `\bdata dictionary\b|redo log|version|newer|older|upgrad|downgrad|compatib|unsupported|not supported|featurecompat`, advice: "Go back to the version that wrote the data, or migrate it as the program documents; copy the volume first"},
		{says: `corrupt|checksum|\bcrc\b|checkpoint|magic|truncat|\beof\b|damaged|torn|out of range|invalid page|malformed|bad file format|broken parts|inconsisten|could not open|no such file|tc log|recover|replay|unreadable|overlap`, advice: "What it keeps is damaged or incomplete: restore it from a backup or another member, or have the program repair it as it documents; copy the volume first", kept: true},
	}
	for i := range list {
		list[i].re = regexp.MustCompile(list[i].says)
	}
	return list
}

// heldWords are of locks and of files that tell that a program runs.
const heldWords = `\b(?:lock|locked|locks|lockfile|lock\w*\.lock|\w*lockexception|lockobtainfailed)\b|\block file|\.lock\b|pid ?file|\.pid\b|already running|is running|another (?:instance|process)|: timeout\W*$`

// remedyFor is the first remedy whose words a line holds.
func remedyFor(list []remedy, text string) remedy {
	for _, r := range list {
		if r.re.MatchString(text) {
			return r
		}
	}
	return remedy{advice: "See what the program's documentation says to this message; copy the volume before anything on it is changed", kept: true}
}

// dataFix is where to look first: at the claim that holds what is at fault, or at which versions of the program met the data.
func dataFix(c *diagnose.Case, kept bool) diagnose.Fix {
	if kept {
		for _, v := range c.Spec.Volumes {
			if v.PersistentVolumeClaim != nil {
				return diagnose.Fix{Title: "See the claim that holds the data, and its age", Command: c.Kubectl("describe", "pvc", v.PersistentVolumeClaim.ClaimName)}
			}
		}
	}
	return diagnose.Fix{Title: "See which versions ran", Command: c.Kubectl("rollout", "history", c.Target())}
}
