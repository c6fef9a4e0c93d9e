package rules

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

// hiddenProgram is for a program whose own file cannot be there, because a volume that does not bring it is mounted over the folder that holds it:
// the one that the command line names, or the one that the image's own command does, which only what its runtime prints tells of.
func hiddenProgram(c *diagnose.Case, hits []diagnose.Hit) (diagnose.Finding, bool) {
	if t := c.Last(); c.Container == nil || t == nil || t.ExitCode == 0 || c.Ran() > time.Minute {
		return diagnose.Finding{}, false
	}
	if file, source := program(c); file != "" {
		m, ok := mountAt(c, file)
		if !ok || !hides(c, m) {
			return diagnose.Finding{}, false
		}
		f := diagnose.Finding{Confidence: diagnose.Likely, Proof: diagnose.Corroborated, Evidence: []diagnose.Evidence{{Source: source, Text: "names " + file}}}
		if _, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return h.Pattern == "none" || strings.Contains(h.Text, path.Base(file)) }); ok {
			f = diagnose.FromHit(h, diagnose.Likely, diagnose.Corroborated)
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: source, Text: "names " + file})
			if m.isConfig() {
				f.Confidence = diagnose.Certain // what the ConfigMap or Secret holds is known, and the runtime agrees
			}
		} else if l := c.Log(); l.Len() > 8 {
			return diagnose.Finding{}, false // it got as far as saying much else
		}
		return m.hiding(c, f, file), true
	}
	f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return h.Pattern == "none" && !strings.HasPrefix(h.Group("file"), "/") })
	if !ok {
		return diagnose.Finding{}, false
	}
	for _, vm := range c.Container.VolumeMounts {
		at := path.Clean(vm.MountPath)
		m, ok := mountAt(c, path.Join(at, firstOf(h.Group("file"), "program")))
		if !ok || !hides(c, m) || at != path.Clean(c.Container.WorkingDir) && !programFolder.MatchString(at) {
			continue
		}
		f.Proof = diagnose.Corroborated
		f.Settle = "Whether the image starts without the mount."
		return m.hiding(c, f, firstOf(h.Group("file"), "the program")), true
	}
	return diagnose.Finding{}, false
}

// hiding ends a finding about a program that a mount hides.
func (m mount) hiding(c *diagnose.Case, f diagnose.Finding, file string) diagnose.Finding {
	_, words := m.object(c.Subject.Namespace)
	f.Weight, f.Keys = 70, []string{file}
	f.Summary = fmt.Sprintf("%s cannot start: %s is mounted over %s and hides %s of the image", c.Who(), words, m.MountPath, file)
	f.Advice = "Mount it elsewhere, or only the one file that is needed, with subPath"
	f.Evidence = append(f.Evidence, m.cite(c))
	f.Fixes = []diagnose.Fix{m.singleFile(c)}
	return f
}

// hides says that a whole volume is mounted that does not bring the file it was looked up for: a ConfigMap or Secret without it, or an emptyDir that
// nothing else of the pod mounts to fill it.
func hides(c *diagnose.Case, m mount) bool {
	if m.volume == nil || m.SubPath != "" || m.SubPathExpr != "" {
		return false
	}
	if m.volume.EmptyDir != nil {
		return !filled(c, m.Name) && !slices.ContainsFunc(c.Spec.Containers, func(ct corev1.Container) bool {
			return ct.Name != c.Subject.Container && slices.ContainsFunc(ct.VolumeMounts, func(v corev1.VolumeMount) bool { return v.Name == m.Name })
		})
	}
	return m.lacks(c)
}

// program is the file of the program that the container's own command line runs through an interpreter, and where that stands; "" where the image
// says what is run, or a shell's script does.
func program(c *diagnose.Case) (file, source string) {
	argv, source := slices.Concat(c.Container.Command, c.Container.Args), c.SpecField("command")
	if len(argv) < 2 || !interpreter.MatchString(path.Base(argv[0])) {
		return "", ""
	}
	if len(c.Container.Command) < 2 {
		source = c.SpecField("args")
	}
	for _, arg := range argv[1:] {
		if strings.HasPrefix(arg, "-") {
			continue
		}
		if !programFile.MatchString(arg) {
			return "", ""
		}
		if !path.IsAbs(arg) {
			if !path.IsAbs(c.Container.WorkingDir) {
				return "", ""
			}
			arg = path.Join(c.Container.WorkingDir, arg)
		}
		return arg, source
	}
	return "", ""
}

var (
	// interpreter is what programs are run with that are no files of the machine's own code.
	interpreter = regexp.MustCompile(`^(?:dotnet|java|node|nodejs|deno|bun|python[\d.]*|pypy[\d.]*|ruby|php[\d.]*|perl|Rscript|lua[\d.]*)$`)
	// programFile is how the files are called that they run.
	programFile = regexp.MustCompile(`\.(?:dll|jar|war|js|mjs|cjs|ts|py|pyc|rb|php|pl|R|lua)$`)
	// programFolder is where images keep the program.
	programFolder = regexp.MustCompile(`^/(?:app|apps|application|usr/src(?:/app)?|src|srv(?:/app)?|opt/app|code|workspace|deployments|usr/app|usr/local/app|home/(?:app|node/app)|var/www(?:/html|/app)?|var/task|usr/share/app)$`)
)
