package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"crashloop/diagnose"
)

func imageExecFormat() diagnose.Rule {
	re := regexp.MustCompile(`(?i)exec format error`)
	library := regexp.MustCompile(`(?i)(?P<path>/[^\s:'"]+): (?:invalid ELF header|wrong ELF class|incorrect ELF machine|cannot open shared object file: Exec format)`)
	return diagnose.Rule{
		ID: "image.exec-format", Category: "bad-image", Title: "The image is built for another CPU architecture",
		Doc: diagnose.Doc{
			Means:   "The kernel does not know the format of the program: most often the image is for another CPU architecture than the node's (arm64 against amd64), sometimes a script without its `#!` line.",
			Confirm: "`kubectl logs POD` says \"exec format error\"; `kubectl get node NODE -o jsonpath='{.status.nodeInfo.architecture}'` gives the node's architecture, `docker buildx imagetools inspect IMAGE` the image's.",
			Mend:    "Build for the node's architecture (`docker buildx build --platform linux/amd64,linux/arm64`), or keep the pods on nodes that suit with a nodeSelector on kubernetes.io/arch.",
			Source:  "execve(2), ENOEXEC; docs.docker.com/build/building/multi-platform",
		},
		Log: []diagnose.Pattern{{Words: []string{"exec format error", "cannot execute binary file", "invalid elf header", "wrong elf class"}}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			// A module of the kernel that does not fit it is none of the image's programs.
			hits = slices.DeleteFunc(slices.Clone(hits), func(h diagnose.Hit) bool { return strings.Contains(h.Text, "could not insert '") })
			var f diagnose.Finding
			hitText := ""
			if s, _, ok := said(c, re); ok {
				f = fromStatement(s)
			} else if len(hits) > 0 {
				hitText = hits[len(hits)-1].Text
				f = diagnose.FromHit(hits[len(hits)-1], diagnose.Certain, diagnose.Words)
				f.Weight = 90
				if h := hits[len(hits)-1]; h.Line < lastWords(h.Log) || h.Log.Len() > 5 && c.Ran().Seconds() > 5 {
					f.Confidence = diagnose.Likely // something ran: one program of the image may not suit
				}
			} else {
				return nil
			}
			f.Settle = "The architectures of the image and of the node."
			f.Summary = fmt.Sprintf("%s cannot run: image %s is built for another CPU architecture than its node's", c.Who(), image(c))
			if m := groups(library, hitText); m["path"] != "" {
				f.Confidence = diagnose.Likely
				f.Summary = fmt.Sprintf("%s cannot load %s: it is built for another system or CPU architecture than its node's", c.Who(), m["path"])
			}
			platform := "linux/amd64"
			if n := c.Node(); n != nil {
				arch := n.Status.NodeInfo.Architecture
				if arch == "" {
					arch = n.Labels["kubernetes.io/arch"]
				}
				if arch != "" {
					f.Summary += fmt.Sprintf(" (node %s is %s)", n.Name, arch)
					f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "Node " + n.Name + " status.nodeInfo.architecture", Text: arch})
					platform = "linux/" + arch
				}
			}
			f.Advice = "Build it for " + platform + ", or keep its pods on nodes that suit it"
			f.Fixes = []diagnose.Fix{
				{Title: "Build the image for " + platform, Command: diagnose.CommandLine("docker", "buildx", "build", "--platform", platform, "-t", image(c), "--push", ".")},
				{Title: "Or keep the pods on nodes of the image's architecture", Patch: podPatch(c, "nodeSelector:\n  kubernetes.io/arch: ARCH")},
			}
			return []diagnose.Finding{f}
		},
	}
}

// image is the container's image as the spec names it.
func image(c *diagnose.Case) string {
	if c.Container == nil {
		return ""
	}
	return c.Container.Image
}
