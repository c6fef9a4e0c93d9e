package rules

import (
	"path"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

// What object stores, volumes and time series databases say in words of their own, beyond what most programs say.

// storageData is about data that does not suit them.
func storageData() []diagnose.Pattern {
	return []diagnose.Pattern{{
		Name:  "server",
		Words: []string{"key to decrypt", "bad member id arg", "parent is object ", "in monmap", "resource temporarily unavailable", "too recent", "mdb_", "invalid page type: ", "cookie in table definition", "schema cookies", "{error,{timeout,[", "perform migration ", "tsdb", "ciphertext verification failed", "unsupported format version; got"},
		Regexp: `(?i)\b(?:incorrect|wrong|invalid|different) (?:\w+ )?key to decrypt\b|\bParent is object \S+/` + // MinIO
			`|\bbad member ID arg\b` + // etcdctl, of the id that its image kept
			`|\bno monitor in monmap matches\b|\bnot present in monmap\b` + // Ceph
			`|\b(?:initiali[sz]e|open|load)\b.{0,30}\b(?:store|database|db|index)\b[^:]{0,40}: resource temporarily unavailable\b` +
			`|\bversion\b.{0,30}\btoo recent\b|\bMDB_(?:INVALID|CORRUPTED|PANIC|VERSION_MISMATCH|PAGE_NOTFOUND)\b` + // LMDB
			`|(?:: |page \d+.{0,20})invalid page type: \w+` + // bbolt
			`|\bBad cookie in table definition\b|\bIncompatible schema cookies\b|\{error,\{timeout,\[\w+(?:,\w+)*\]\}\}` + // Mnesia
			`|\bcannot perform migration \d+\b|\bciphertext verification failed\b` + // LINSTOR, restic
			`|\b(?:opening existing TSDBs|unable to open TSDB|failed to open TSDB)\b` + // Mimir
			`|\bunsupported format version; got \d`, // VictoriaLogs
	}, {
		// One of its own files that is not there.
		Name:   "part",
		Words:  []string{"no such file or directory", "does not exist", "is missing"},
		Regexp: `(?i)(?:^|[\s"'=(])(?P<path>/[^\s'",;:()\\]+)[\\'"]*:? (?:is listed in .{1,200}?, but )?(?:no such file or directory|does not exists?\b|is missing\b)`,
	}}
}

// storageHost is about what they need of the node's disks.
func storageHost() []diagnose.Pattern {
	return []diagnose.Pattern{{Name: "server", Words: []string{"o_direct", "init eal", "eal: fatal: ", "modprobe: ", "could not insert '"}, Regexp: `(?i)\bmodprobe: (?:error|fatal): |\bcould not insert '\w+': |\bfailed to init EAL\b|\bEAL: FATAL: |(?i)\bO_DIRECT\b.{0,40}\b(?:not supported|unsupported|fail\w*|required)\b|\b(?:not|n't|ensure|must)\b.{0,40}\bsupports? O_DIRECT\b`}}
}

// storageCredentials is about identities that a cloud does not know.
func storageCredentials() []diagnose.Pattern {
	return []diagnose.Pattern{{Words: []string{"unable to authenticate you"}, Regexp: `(?i)\b401\b.{0,10}\bunable to authenticate you\b`}} // DigitalOcean
}

// storageFiles is about what they may not write. file matches a path.
func storageFiles(file string) []diagnose.Pattern {
	return []diagnose.Pattern{
		{Name: "before", Words: []string{"cannot be initialized", "cannot be created", "cannot be opened"}, Regexp: `['"\x60]` + file + `['"\x60] cannot be (?:initiali[sz]ed|created|opened)\b.{0,120}(?i:permission denied)`},
		{Name: "store", Words: []string{"permissions for the ", "permission for the ", "permissions on the ", "permission on the "}, Regexp: `(?i)\b(?:ensure|check|verify|make sure)\b.{0,60}\bha(?:s|ve) (?:the )?(?:\w+ )?(?:read|write|access)(?:[/ -]\w+){0,3} permissions? (?:for|on) the (?:backend|data\w*|storage|volume|drive|disk|director\w+|folder|store)\b`},
	}
}

// storageVolumes is about a disk that is nearly full.
func storageVolumes() []diagnose.Pattern {
	return []diagnose.Pattern{{Name: "bare", Words: []string{"levels of available storage"}, Regexp: `(?i)reached concerning levels of available storage space`}} // Ceph
}

// storageSettings is about what they are told to use and do not have.
func storageSettings() []diagnose.Pattern {
	return []diagnose.Pattern{{Name: "end", Words: []string{"resources available", "device /dev/", "device \"/dev/", "account missing", "wrong datacenter", "found on interfaces", "found for interfaces", "volume group ", "storage pool ", "thin pool ", "zpool ", "source directories/files", "repository is not connected", "are unconfigured", "are unset"}, Regexp: `(?i)\binsufficient (?:storage|memory) resources available\b|: account missing$` + // JetStream
		`|\bdevice ['"\x60]?/dev/(?:sd|nvme|vd|xvd|dm-|loop|mapper/|disk/)\S* (?:is |was )?(?:not found|missing|does not exist)\b` +
		`|\bpart of wrong datacenter\b` + // Consul
		`|\bno use?able (?:\w+ ){0,4}address(?:es)? found (?:on|for) interfaces\b` + // dskit
		`|\b(?:volume group|storage pool|thin pool|zpool) ['"\x60][\w./-]+['"\x60] (?:is |was |does )?(?:not (?:found|exist|present)|missing)\b|\bvolume group not found\b` +
		`|\ball source directories/files do not exist\b|\brepository is not connected\b|\bboth [\w.-]+ and [\w.-]+ are (?:unconfigured|unset)\b`}} // restic, Kopia
}

var (
	// partOf is how a store calls a file that only it writes.
	partOf = regexp.MustCompile(`(?i)\.(?:idx|dat|wal|sst|ldb|vlog|tsm|dax|ecx|cpd|cpx|log\d*|bin)$|^(?:MANIFEST|CURRENT|segments?)(?:[-_.]\w+)?$|^(?:metadata|parts|meta|format|xl|manifest|checkpoint|index|chunks?|snapshot|superblock)(?:\.(?:json|meta|db|bin))?$|^[0-9a-f]{8,}$|^\d{6,}$`)
	// numbered is a directory that nobody but a store names: an id, a date.
	numbered = regexp.MustCompile(`/(?:[0-9A-F]{12,}|[0-9a-f]{12,}|[0-9A-HJKMNP-TV-Z]{26}|\d{4}_\d{2}|\d{6,})/`)
)

// storesPart says that a file is one that a store wrote on its own volume, rather than one that somebody puts there.
func storesPart(c *diagnose.Case, file string) bool {
	if !onDataVolume(c, file) || configName.MatchString(path.Base(file)) && !numbered.MatchString(file) {
		return false
	}
	if m, ok := mountAt(c, file); !ok || m.volume.EmptyDir != nil && claimOf(c) == "" {
		return false // nothing that it kept
	}
	return partOf.MatchString(path.Base(file)) && (strings.Count(file, "/") > 3 || numbered.MatchString(file) || strings.HasSuffix(file, ".idx"))
}
