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
		Words: []string{"key to decrypt", "bad member id arg", "parent is object ", "in monmap", "resource temporarily unavailable"},
		Regexp: `(?i)\b(?:incorrect|wrong|invalid|different) (?:\w+ )?key to decrypt\b|\bParent is object \S+/` + // MinIO
			`|\bbad member ID arg\b` + // etcdctl, of the id that its image kept
			`|\bno monitor in monmap matches\b|\bnot present in monmap\b` + // Ceph
			`|\b(?:initiali[sz]e|open|load)\b.{0,30}\b(?:store|database|db|index)\b[^:]{0,40}: resource temporarily unavailable\b`,
	}, {
		// One of its own files that is not there.
		Name:   "part",
		Words:  []string{"no such file or directory", "does not exist", "is missing"},
		Regexp: `(?i)(?:^|[\s"'=(])(?P<path>/[^\s'",;:()\\]+)[\\'"]*:? (?:is listed in .{1,200}?, but )?(?:no such file or directory|does not exists?\b|is missing\b)`,
	}}
}

// storageHost is about what they need of the node's disks.
func storageHost() []diagnose.Pattern {
	return []diagnose.Pattern{{Name: "server", Words: []string{"o_direct"}, Regexp: `(?i)\bO_DIRECT\b.{0,40}\b(?:not supported|unsupported|fail\w*|required)\b|\b(?:not|n't|ensure|must)\b.{0,40}\bsupports? O_DIRECT\b`}}
}

// storageVolumes is about a disk that is nearly full.
func storageVolumes() []diagnose.Pattern {
	return []diagnose.Pattern{{Name: "bare", Words: []string{"levels of available storage"}, Regexp: `(?i)reached concerning levels of available storage space`}} // Ceph
}

// storageSettings is about what they are told to use and do not have.
func storageSettings() []diagnose.Pattern {
	return []diagnose.Pattern{{Name: "end", Words: []string{"resources available", "device /dev/", "device \"/dev/", "account missing"}, Regexp: `(?i)\binsufficient (?:storage|memory) resources available\b|: account missing$` + // JetStream
		`|\bdevice ['"\x60]?/dev/(?:sd|nvme|vd|xvd|dm-|loop|mapper/|disk/)\S* (?:is |was )?(?:not found|missing|does not exist)\b`}}
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
