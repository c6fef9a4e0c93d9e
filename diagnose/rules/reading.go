package rules

import (
	"cmp"
	_ "embed" // the fitted model
	"fmt"
	"strings"

	"crashloop/diagnose"
	"crashloop/diagnose/reading"
)

// What the words of a program can be about. Those without a [follow] only keep others from claiming their lines.
const (
	onConfig      = "config"
	onArguments   = "arguments"
	onVariable    = "variable"
	onFile        = "file"
	onData        = "data"
	onCredentials = "credentials"
	onConnection  = "connection"
	onModule      = "module"
	onHost        = "host"
	onPermission  = "permission"
	onTLS         = "tls"
	onKind        = "kind"
	onRBAC        = "rbac"
	onIdentity    = "identity"
	onFiles       = "files"
	onDisk        = "disk"
	onReadOnly    = "read-only"
	onPort        = "port"
	onLease       = "lease"
	onBug         = "bug"
	onNothing     = "nothing"
)

// Subject is what the last words of a program are about that a cause ends; empty of a cause that no words tell. It is for
// fitting the model.
func Subject(cause string) string {
	if strings.HasPrefix(cause, "dependency.") {
		return onConnection
	}
	return map[string]string{
		"app.invalid-config": onConfig, "app.bad-arguments": onArguments, "config.env-missing": onVariable, "config.file-missing": onFile,
		"app.incompatible-data": onData, "app.bad-credentials": onCredentials, "app.missing-module": onModule, "node.host-incompatible": onHost,
		"app.permission-denied": onPermission, "volume.permission": onPermission, "config.file-permission": onPermission, "app.tls": onTLS,
		"config.crd-missing": onKind, "app.kube-rbac": onRBAC, "component.cloud-identity": onIdentity, "resources.too-many-files": onFiles,
		"volume.full": onDisk, "app.read-only-filesystem": onReadOnly, "app.port-in-use": onPort, "app.privileged-port": onPort,
		"app.leader-election-lost": onLease, "app.exception": onBug, "app.panic": onBug, "app.exit-code": onNothing,
	}[cause]
}

// LastWords returns what takes the words out of a case that its program ended with, as the model weighs them; none where it said nothing that could be
// why. It is for fitting the model.
func LastWords() func(*diagnose.Case) reading.Words {
	w := newWording()
	return func(c *diagnose.Case) reading.Words {
		words, _ := w.read(c)
		return words
	}
}

//go:embed reading.tsv
var fitted string

// readings tells what the words that a program ended with are about, when no rule knows those words, or knows only that they are an exception's. It reads
// the last error, the lines around it that belong to it and what an exception says, and speaks only where a model fitted to the corpus finds one
// subject probable enough. What it finds goes on as what that subject's own rule finds does, to the same object, and is never more than likely.
//
// What that is worth `go test ./diagnose/corpus -run Reading -v` tells, of programs that the model was not fitted to.
type readings struct {
	model   *reading.Model
	follows map[string]follow
	words   *wording
}

const (
	// enough is how probable a subject must be, and enoughOfTrace how probable when an exception or panic is a cause to fall back on.
	enough, enoughOfTrace = 0.5, 0.75
	// sure is from where on it is likely what the words are about, and the shapes of rules are not asked any more.
	sure = 0.85
)

func newReadings() *readings {
	model, err := reading.Parse(strings.NewReader(fitted))
	if err != nil {
		panic("the model that is built in is broken: " + err.Error()) // a test reads it
	}
	return &readings{model: model, follows: follows(), words: newWording()}
}

// follow is how a subject goes on: the cause that it mostly is, what a sentence calls it, how the rule of its cause takes it up, and whether a program
// finds it out as it starts. One that nothing takes up only speaks for what the rule of its cause has found by itself.
type follow struct {
	cause, about string
	find         func(c *diagnose.Case, h diagnose.Hit, n naming) []diagnose.Finding
	start        bool
}

// follows is how each subject that is spoken of goes on.
func follows() map[string]follow {
	as := func(rule diagnose.Rule) func(*diagnose.Case, diagnose.Hit, naming) []diagnose.Finding {
		return func(c *diagnose.Case, h diagnose.Hit, _ naming) []diagnose.Finding {
			return rule.Match(c, []diagnose.Hit{h})
		}
	}
	nothing := func(*diagnose.Case, diagnose.Hit, naming) []diagnose.Finding { return nil }
	config := as(appInvalidConfig())
	return map[string]follow{
		onConfig:      {"app.invalid-config", "its configuration", config, true},
		onArguments:   {"app.bad-arguments", "its command line", as(appBadArguments()), true},
		onVariable:    {"config.env-missing", "an environment variable", lacksVariable(config), true},
		onFile:        {"config.file-missing", "a file that it needs", lacksFile, true},
		onData:        {"app.incompatible-data", "the data that it finds", as(appIncompatibleData()), false},
		onCredentials: {"app.bad-credentials", "its credentials", as(appBadCredentials()), false},
		onModule:      {"app.missing-module", "something that its image lacks", as(appMissingModule()), true},
		onHost:        {"node.host-incompatible", "the machine that it runs on", as(nodeHostIncompatible()), false},
		onPermission:  {"app.permission-denied", "what it may not touch", denies, false},
		onConnection:  {"dependency.external", "something that it cannot reach", unreached, false},
		onTLS:         {"app.tls", "a certificate", nothing, false},
		onKind:        {"config.crd-missing", "a kind of the API", nothing, false},
		onRBAC:        {"app.kube-rbac", "its rights in the cluster", nothing, false},
		onIdentity:    {"component.cloud-identity", "its identity in the cloud", nothing, false},
		onFiles:       {"resources.too-many-files", "how many files it may open", nothing, false},
		onDisk:        {"volume.full", "a full volume", nothing, false},
		onReadOnly:    {"app.read-only-filesystem", "a file system that it may not write", nothing, false},
		onPort:        {"app.port-in-use", "its port", nothing, false},
	}
}

// lacksVariable takes up a variable that the container does not have; of one that it has the value is wrong, which is for config to find.
func lacksVariable(config func(*diagnose.Case, diagnose.Hit, naming) []diagnose.Finding) func(*diagnose.Case, diagnose.Hit, naming) []diagnose.Finding {
	return func(c *diagnose.Case, h diagnose.Hit, n naming) []diagnose.Finding {
		f := diagnose.FromHit(h, diagnose.Possible, diagnose.Words)
		f.Advice = "Set it in the pod template"
		if n.variable != "" {
			var ok bool
			if f, ok = envMissing(c, h, n.variable); !ok {
				found := config(c, h, n)
				for i := range found {
					found[i].Cause = "app.invalid-config"
				}
				return found
			}
		}
		return []diagnose.Finding{f}
	}
}

// lacksFile takes up a file that is not there.
func lacksFile(c *diagnose.Case, h diagnose.Hit, n naming) []diagnose.Finding {
	if n.file == "" {
		return nil
	}
	if _, mounted := mountAt(c, n.file); !mounted && readOnlyRoot(c) && strings.Contains(h.Text, "mkdir ") {
		f := diagnose.FromHit(h, diagnose.Possible, diagnose.Words)
		f.Cause = "app.read-only-filesystem" // a folder that it makes is none that anybody gives it
		return []diagnose.Finding{f}
	}
	return []diagnose.Finding{fileMissing(c, h, n.file)}
}

// unreached takes up a connection that failed in words which no pattern knows.
func unreached(c *diagnose.Case, h diagnose.Hit, _ naming) []diagnose.Finding { return c.Unreached(h) }

// denies takes up a path that a program may not use as it wants to. Without one the words may be about a right that a server keeps.
func denies(c *diagnose.Case, h diagnose.Hit, n naming) []diagnose.Finding {
	if n.file == "" {
		return nil
	}
	f := diagnose.FromHit(h, diagnose.Possible, diagnose.Words)
	f.Cause = "app.permission-denied"
	f.Keys = []string{n.file}
	f.Advice = "Give the path to the user that it runs as, with the mode that it asks for"
	if m, ok := mountAt(c, n.file); ok && m.volume != nil && m.volume.PersistentVolumeClaim != nil {
		claim := m.volume.PersistentVolumeClaim.ClaimName
		f.Cause = "volume.permission"
		f.Advice = fmt.Sprintf("Set fsGroup to a group of its user, or correct owner and mode of what is on claim %s", claim)
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("volumeMounts[" + m.Name + "]"), Text: m.MountPath + " is claim " + claim})
	}
	f.Fixes = []diagnose.Fix{{Title: "See as whom it runs", Command: c.Kubectl("get", "pod", c.Subject.Pod, "-o", "jsonpath={.spec.securityContext}{.spec.containers[*].securityContext}")}}
	return []diagnose.Finding{f}
}

// last finds what the program's last words are about.
func (r *readings) last(c *diagnose.Case) []diagnose.Finding {
	t := c.Last()
	if t == nil || t.Reason == "OOMKilled" || t.ExitCode > 125 && t.ExitCode != 128 && t.ExitCode != 134 && t.ExitCode != 255 && !c.OwnCode() {
		return nil // a signal ended it, or it did not begin
	}
	words, lines := r.words.read(c)
	subject, probable := r.model.Read(words)
	f, ok := r.follows[subject]
	if !ok || probable < enough || thrown(c) && probable < enoughOfTrace || f.start && c.Ran().Minutes() > 10 {
		return nil
	}
	at, n := lines[0].n, naming{}
	most := 0.0
	for _, l := range lines {
		if speaks := r.model.Speaks(l.words, subject); speaks > most {
			at, n, most = l.n, l.naming, speaks
		}
	}
	for _, l := range lines {
		n.variable, n.file = firstOf(n.variable, l.variable), firstOf(n.file, l.file)
	}
	l := c.Log()
	h := diagnose.Hit{Pattern: "read", Log: l, Line: at, Text: diagnose.Say(l.Line(at)), Level: diagnose.LineLevel(l.Line(at))}
	if h.Level < diagnose.Error {
		h.Level = diagnose.NoLevel
	}
	found := append(f.find(c, h, n), diagnose.Finding{})[:1]
	found[0].Cause = cmp.Or(found[0].Cause, f.cause)
	found[0].Confidence = diagnose.Possible
	if probable >= sure {
		found[0].Confidence = diagnose.Likely
	}
	if found[0].Summary == "" && found[0].Log == nil {
		return found
	}
	found[0].Summary = fmt.Sprintf("%s ends with exit code %d; what it said last seems to be about %s: %s", c.Who(), t.ExitCode, f.about, strings.TrimSpace(diagnose.Shorten(quote(h.Text), 200)))
	return found
}

// thrown says that an exception or panic ended the program.
func thrown(c *diagnose.Case) bool {
	for _, t := range c.Traces() {
		if !t.Handled {
			return true
		}
	}
	return false
}
