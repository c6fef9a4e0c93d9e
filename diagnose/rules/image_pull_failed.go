package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func imagePullFailed() diagnose.Rule {
	// The reasons for which another image, or another name for it, would help.
	aboutName := regexp.MustCompile(`no such|not a valid|no variant|stored in a format|is not on the node|refuses it|wants a login`)
	re := regexp.MustCompile(`(?is)failed to pull (?:and unpack )?image|pulling image|pull access denied|couldn't parse image|invalid reference format|is not present with pull policy of never|ErrImagePull|back-off pulling|manifest (?:for .* )?(?:unknown|not found)|failed to resolve reference|error pulling`)
	return diagnose.Rule{
		ID: "image.pull-failed", Category: "bad-image", Title: "The image cannot be pulled",
		Doc: diagnose.Doc{
			Means:   "The node cannot get the image: there is no such name or tag, the registry wants a login that the pod does not bring, it limits how often one may pull, it cannot be reached from the node, or the image has no variant for the node's platform.",
			Confirm: "`kubectl describe pod POD`: the Failed event quotes the registry's own answer. ImagePullBackOff only says that the kubelet waits before it tries again.",
			Mend:    "Correct the name or tag; give the pod an imagePullSecret of its namespace; or mend the node's way to the registry.",
			Source:  "kubernetes.io/docs/concepts/containers/images; the OCI distribution specification's error codes",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			reason, message := c.Waiting()
			switch reason {
			case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed":
			default:
				return nil
			}
			f := diagnose.Finding{Confidence: diagnose.Certain, Proof: diagnose.Structural, Weight: 40}
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.StatusField("state.waiting"), Text: strings.TrimSpace(reason + ": " + message)})
			// The whole answer stands in the event, or in the status of newer versions.
			text := message
			for _, s := range statements(c) {
				if s.reason == "Failed" && re.MatchString(s.text) && !strings.HasPrefix(s.text, "Error: ") {
					text += " " + s.text
					f.Evidence = append(f.Evidence, s.cite())
					break
				}
			}
			why, advice := pullFailure(c, reason, text)
			f.Summary = fmt.Sprintf("%s cannot start: image %s cannot be pulled, because %s", c.Who(), image(c), why)
			f.Advice = advice
			for _, s := range c.Spec.ImagePullSecrets {
				if e := events(c, "FailedToRetrieveImagePullSecret"); len(e) > 0 {
					f.Evidence = append(f.Evidence, e[len(e)-1].Cite())
					break
				}
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "spec.imagePullSecrets", Text: s.Name})
			}
			if !aboutName.MatchString(why) {
				// Another name mends nothing.
				f.Fixes = []diagnose.Fix{{Title: "Read all that is said of the pull", Command: c.Kubectl("describe", "pod", c.Subject.Pod)}}
				return []diagnose.Finding{f}
			}
			f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Set an image that there is", Command: c.Kubectl("set", "image", c.Target(), c.Subject.Container+"="+strings.ToLower(repository(image(c)))+":TAG")})
			if strings.Contains(advice, "imagePullSecret") {
				f.Fixes = append([]diagnose.Fix{
					{Title: "Make a pull secret", Command: c.Kubectl("create", "secret", "docker-registry", "registry", "--docker-server="+registry(image(c)), "--docker-username=USER", "--docker-password=PASSWORD")},
					{Title: "Let the pod use it", Patch: podPatch(c, "imagePullSecrets:\n- name: registry")},
				}, f.Fixes...)
			}
			return []diagnose.Finding{f}
		},
	}
}

// pullFailure says in words why an image cannot be pulled, and what to do.
func pullFailure(c *diagnose.Case, reason, text string) (why, advice string) {
	t := strings.ToLower(text)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(t, w) {
				return true
			}
		}
		return false
	}
	secrets := "the pod brings no imagePullSecret"
	if n := len(c.Spec.ImagePullSecrets); n > 0 {
		secrets = "the pod brings imagePullSecret " + c.Spec.ImagePullSecrets[0].Name
	}
	host := registry(image(c))
	switch {
	case reason == "InvalidImageName" || has("invalid reference format", "couldn't parse image"):
		return "that is not a valid image name", "Correct the name in the pod template"
	case reason == "ErrImageNeverPull" || has("pull policy of never"):
		return "it is not on the node and imagePullPolicy Never forbids pulling it", "Load it onto the node, or set imagePullPolicy to IfNotPresent"
	case has("toomanyrequests", "429 too many", "rate limit"):
		return host + " limits how often it may be pulled", "Pull with a login, use a mirror, or wait until the limit resets"
	case has("pull qps exceeded"):
		return "the node pulls more images at a time than its kubelet allows (registryPullQPS)", "Wait: it tries again by itself. If it happens often, start fewer pods at once, or raise registryPullQPS of the kubelet"
	case has("is no longer supported since containerd", "schema 1 ", "manifest.v1+prettyjws"):
		return "it is stored in a format that the node's container runtime no longer reads", "Build it again, or push it again with a current tool"
	case has("failed to extract layer", "failed to register layer", "lchown", "error unpacking image"):
		return "the node" + onNode(c) + " cannot unpack it: " + diagnose.Shorten(quote(lastColon(text)), 200), "Look at the container runtime's storage on that node: its disk, its user namespaces"
	case has("no matching manifest", "no match for platform", "does not match the specified platform", "no image found in manifest list", "no image found in image index"):
		return "it has no variant for the node's platform" + nodeArch(c), "Build and push it for that platform too"
	case has("insufficient_scope", "pull access denied", "requested access to the resource is denied"):
		return "there is no such repository, or it wants a login (" + secrets + ")", "Check the name; if it is private, give the pod an imagePullSecret"
	case has("unauthorized", "authentication required", "no basic auth credentials", "403 forbidden", "401 unauthorized", "denied: ", "access denied", "permission denied", "authorization failed", "failed to fetch oauth token", "failed to authorize"):
		return host + " refuses it (" + secrets + ")", "Give the pod an imagePullSecret whose login may read it"
	case has("no such host", "server misbehaving", "temporary failure in name resolution", "name or service not known"):
		return "the node cannot resolve the name " + host, "Check the registry's name, and the node's DNS"
	case has("x509", "certificate", "tls: ", "tls handshake", "server gave http response to https client"):
		return "the TLS connection to " + host + " fails", "Have the node trust the registry's certificate, or correct the registry's address"
	case has("not found", "manifest unknown", "name unknown", "does not exist", "404"):
		return "there is no such tag, digest or repository" + secretsNote(c), "Correct the tag, or push it"
	case has("i/o timeout", "deadline exceeded", "timeout", "connection refused", "no route to host", "connection reset", "eof", "503", "502", "500 internal", "unavailable"):
		return host + " cannot be reached from the node" + onNode(c), "Check the registry, and the node's way to it (proxy, firewall)"
	case has("no space left"):
		return "the node's disk is full" + onNode(c), "Free space on the node"
	case has("signature"):
		return "its signature is not accepted", "Sign it as the node's policy asks"
	}
	return "the registry or the node refuses it: " + diagnose.Shorten(quote(lastColon(text)), 200), "Mend what this names, in the registry or on the node" + onNode(c)
}

func secretsNote(c *diagnose.Case) string {
	if len(c.Spec.ImagePullSecrets) == 0 {
		return ""
	}
	return " (the pod brings imagePullSecret " + c.Spec.ImagePullSecrets[0].Name + ")"
}

func nodeArch(c *diagnose.Case) string {
	if n := c.Node(); n != nil && n.Status.NodeInfo.Architecture != "" {
		return " (linux/" + n.Status.NodeInfo.Architecture + ")"
	}
	return ""
}

func onNode(c *diagnose.Case) string {
	if c.Spec.NodeName == "" {
		return ""
	}
	return " " + c.Spec.NodeName
}

// registry is the host that an image comes from.
func registry(image string) string {
	first, _, ok := strings.Cut(image, "/")
	if ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return first
	}
	return "docker.io"
}

// repository is an image's name without tag and digest.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		return image[:i]
	}
	return image
}
