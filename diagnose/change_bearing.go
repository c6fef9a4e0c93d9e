package diagnose

import "strings"

// How much a change can have to do with a cause.
const (
	bearsNot      = 0
	bearsPerhaps  = 1
	bearsWell     = 2 // it is of the sort that brings this cause about
	bearsDirectly = 3 // it names what the cause turns on, or is of the object at fault
)

// bears lists, for a cause or for all of a category that are not listed themselves, the sorts of differences that bring it about and those
// that may.
var bears = map[string]struct{ well, perhaps string }{
	"app.":                     {"image command env mount", "checksum security account network ports hook containers"},
	"app.port-in-use":          {"image command env ports network containers", ""},
	"app.privileged-port":      {"image command env ports security network", ""},
	"app.permission-denied":    {"image command security mount", "env account hook"},
	"app.read-only-filesystem": {"image command security mount env", ""},
	"app.kube-rbac":            {"image account command env", ""},
	"app.tls":                  {"image env mount command checksum", "place account"},
	"app.bad-credentials":      {"env mount account checksum", "image command"},
	"app.incompatible-data":    {"image mount", "env command"},
	"app.terminated":           {"image command liveness startup hook", "env memory cpu"},
	"app.completed":            {"image command", "env mount"},
	"app.segfault":             {"image command security place", "env memory mount"},
	"app.exit-code":            {"image command env mount", "checksum security account place ports network hook memory cpu containers liveness startup"},
	"app.bad-arguments":        {"image command env", "mount"},
	"app.invalid-config":       {"image command env mount checksum", ""},
	"app.missing-module":       {"image command mount env", ""},

	"image.":              {"image command mount", "place env"},
	"image.pull-failed":   {"image pull account", "place"},
	"image.runs-as-root":  {"image security", ""},
	"image.exec-format":   {"image place", "command"},
	"image.libc-mismatch": {"image mount", "command env"},

	"config.":                       {"image command env mount checksum", ""},
	"config.configmap-missing":      {"env mount", ""},
	"config.secret-missing":         {"env mount account pull", ""},
	"config.secret-not-synced":      {"env mount", ""},
	"config.key-missing":            {"env mount", ""},
	"config.file-permission":        {"image security mount command", ""},
	"resources.":                    {"image memory env command", "mount checksum containers"},
	"resources.limit-unit":          {"memory cpu disk", ""},
	"resources.cpu-throttled":       {"image cpu liveness startup", "env command"},
	"resources.killed":              {"image memory liveness startup", "env command cpu"},
	"resources.too-many-files":      {"image command env", "place security"},
	"resources.evicted":             {"memory disk place", "image"},
	"resources.oom-node":            {"memory", "image env command"},
	"volume.":                       {"mount place", ""},
	"volume.permission":             {"image security mount command", ""},
	"volume.subpath-shadow":         {"image mount command", ""},
	"volume.full":                   {"mount", "image env"},
	"volume.multi-attach":           {"mount place image command env memory cpu security", "liveness startup readiness account ports network checksum"},
	"probe.":                        {"image liveness startup command env ports", "cpu memory mount checksum network"},
	"node.unschedulable":            {"memory cpu disk place ports network mount", ""},
	"node.runtime-error":            {"image security mount command place hook", ""},
	"node.host-incompatible":        {"image place security", "memory env"},
	"node.sandbox-failed":           {"", "network place security"},
	"node.":                         {"place", ""},
	"component.":                    {"image command env mount account", "checksum security network"},
	"component.cloud-identity":      {"account env image", "command"},
	"component.state-locked":        {"", ""},
	"component.coredns-loop":        {"mount checksum network", "image"},
	"dependency.":                   {"", ""}, // what stands at the end of the chain failed by itself: only a change of the way there counts
	"dependency.external":           {"env mount command", "network checksum"},
	"dependency.wrong-port":         {"env mount command", "image checksum"},
	"dependency.service-missing":    {"env mount command", "image network checksum"},
	"dependency.admission-rejected": {"memory cpu disk security account place containers", "image"},
	"dependency.job-incomplete":     {"image", "env command"},
}

// bearing weighs a difference of the subject's template, or of what configures it, against the cause that was found.
func (c *Case) bearing(f *Finding, d difference) int {
	for _, key := range f.Keys {
		if len(key) > 2 && strings.Contains(d.text, key) {
			return bearsDirectly
		}
	}
	if _, name, ok := strings.Cut(strings.TrimPrefix(f.Root, "/"), "/"); ok && c.isOther(f.Root) {
		// "Kind/namespace/name": the name as a reference has it.
		if name = name[strings.LastIndexByte(name, '/')+1:]; len(name) > 2 && (strings.HasSuffix(d.text, " "+name) || strings.Contains(d.text, " "+name+" ") || strings.Contains(d.text, " "+name+")")) {
			return bearsDirectly
		}
	}
	mine := d.container == "" || d.container == c.Subject.Container
	if d.sort == diffContainers && d.container != "" && d.container == c.Subject.Container && f.elsewhere == nil {
		return bearsDirectly // the container that crashes is new
	}
	if f.elsewhere != nil {
		return bearsNot // another workload's failure
	}
	b, ok := bears[f.Cause]
	if !ok {
		category, _, _ := strings.Cut(f.Cause, ".")
		b = bears[category+"."]
	}
	has := func(list string) bool {
		for _, s := range strings.Fields(list) {
			if s == d.sort {
				return true
			}
		}
		return false
	}
	switch {
	case !mine && d.sort != diffContainers && d.sort != diffPorts && d.sort != diffMemory && d.sort != diffCPU:
		return bearsNot
	case has(b.well):
		return bearsWell
	case has(b.perhaps):
		return bearsPerhaps
	}
	return bearsNot
}

// isOther says that the object is not the subject.
func (c *Case) isOther(object string) bool { return object != "" && object != objectOf(c.Subject) }
