package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func appPrivilegedPort() diagnose.Rule {
	read := newReader()
	// A frame of what binds a socket to an address. Of one that is no file's the kernel refuses nothing but the number.
	binds := regexp.MustCompile(`\bSocket\.(?:DoBind|Bind)\(|\bNet\.bind\d?\(|\bsocket\.bind\(|\bbind\(2\)`)
	local := regexp.MustCompile(`(?i)unix|\.sock\b`)
	// All that Rust's standard library, Go's and others keep of the error when the program does not say what it was at.
	bare := regexp.MustCompile(`Os \{ code: 13, kind: PermissionDenied|[Pp]ermission denied(?: \(os error 13\)| \(13\))?["'.)\s]*$`)
	binding := regexp.MustCompile(`(?i)\bbind(?:0|\(|\b|_|[A-Z])|\blisten|DoBind|\.Bind\(`)
	return diagnose.Rule{
		ID: "app.privileged-port", Category: "app-error", Title: "It may not listen on a port below 1024",
		Doc: diagnose.Doc{
			Means:   "The program wants a port below 1024 and runs as a user who may not have one: not root, or root without the capability NET_BIND_SERVICE.",
			Confirm: "`kubectl logs POD --previous` says \"bind: permission denied\" with the port; the pod's securityContext shows the user and the capabilities.",
			Mend:    "Listen on a port above 1023 and let the Service map it, add the capability NET_BIND_SERVICE, or set the sysctl net.ipv4.ip_unprivileged_port_start for the pod.",
			Source:  "capabilities(7), CAP_NET_BIND_SERVICE; kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster",
		},
		Log: []diagnose.Pattern{
			{Words: []string{"permission denied", "eacces", "operation not permitted"}, Regexp: `(?:(?i:bind|listen|socket|port)|\bEACCES\b).*(?:(?i:permission denied|operation not permitted)|\bEACCES\b)|(?:(?i:permission denied)|\bEACCES\b).*(?i:bind|listen|socket|port\b|0\.0\.0\.0|address)|PermissionError: \[Errno 13\] Permission denied$`},
			{Name: "bare", Words: []string{"permission denied (os error 13)", "kind: permissiondenied"}},
		},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			number, where := 0, diagnose.Evidence{}
			f, _, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
				n, err := strconv.Atoi(read.port(h.Text))
				if err != nil || n < 20 || n >= 1024 {
					return false
				}
				number = n
				return true
			})
			if !ok {
				// Some only say that they may not bind: the port stands where they are told of it, or in a line before.
				f, _, ok = lastHit(c, hits, func(h diagnose.Hit) bool {
					if h.Pattern == "bare" && !(bare.MatchString(h.Text) && h.Line >= lastWords(h.Log)-1 && mayNotBind(c) && !ofFile(h)) || h.Pattern == "" && !binding.MatchString(around(c, h)) {
						return false
					}
					number, where = lowPort(c, read, h)
					return number > 0
				})
				if ok {
					f.Evidence = append(f.Evidence, where)
				}
			}
			if !ok {
				// Nothing tells the port, but what fails is the binding.
				f, _, ok = lastHit(c, hits, func(h diagnose.Hit) bool {
					text := around(c, h)
					return read.port(h.Text) == "" && binds.MatchString(text) && !local.MatchString(text) && !toldPort(read, h)
				})
				if !ok {
					return nil
				}
			}
			f.Confidence, f.Weight = diagnose.Certain, 40
			f.Summary = fmt.Sprintf("%s may not listen on port %d, which is below 1024", c.Who(), number)
			if number == 0 {
				f.Summary = c.Who() + " may not listen on the port that it is to have, which must be one below 1024"
			}
			if number == 0 || where.Source != "" {
				f.Confidence = diagnose.Likely
			}
			if uid, known := user(c); known && uid != 0 {
				f.Proof = diagnose.Corroborated
				f.Summary += fmt.Sprintf(": it runs as user %d", uid)
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "securityContext.runAsUser", Text: fmt.Sprint(uid)})
			}
			f.Advice = "Let it listen on a port above 1023, or add the capability NET_BIND_SERVICE"
			f.Fixes = []diagnose.Fix{
				{Title: "Allow low ports to the pod's users", Patch: podPatch(c, "securityContext:\n  sysctls:\n  - name: net.ipv4.ip_unprivileged_port_start\n    value: \"0\"")},
				{Title: "Or add the capability", Patch: containerPatch(c, "securityContext:\n  capabilities:\n    add: [NET_BIND_SERVICE]")},
			}
			return []diagnose.Finding{f}
		},
	}
}

// ofFile says that an error, or what stands right above it as what it is the cause of, speaks of a file.
func ofFile(h diagnose.Hit) bool {
	if fileWords.MatchString(h.Text) {
		return true
	}
	for n := h.Line - 1; n > 0 && n >= h.Line-5; n-- {
		line := h.Log.Line(n)
		if level := diagnose.LineLevel(line); (level == diagnose.NoLevel || level >= diagnose.Error) && fileWords.MatchString(line) {
			return true
		}
	}
	return false
}

// fileWords is what a program does with a file or folder, or the path of one.
var fileWords = regexp.MustCompile(`(?i)\b(?:read|writ|open|creat|load|sav|stor|delet|remov|renam|cop(?:y|ie)|mkdir|chmod|chown|spawn|exec)\w*|\b(?:file|folder|director|path|config|key|cert|database|socket|log|cache|data)\w*\b|(?:^|[\s'"(=:])/\w`)

// mayNotBind says that the pod's template takes from the program what a port below 1024 asks for: to be root, or the capability.
func mayNotBind(c *diagnose.Case) bool {
	if c.Container == nil {
		return false
	}
	if uid, known := user(c); known && uid != 0 {
		return true
	}
	s := c.Container.SecurityContext
	if s != nil && s.Capabilities != nil && slices.ContainsFunc(s.Capabilities.Add, func(a corev1.Capability) bool { return strings.HasSuffix(string(a), "NET_BIND_SERVICE") }) {
		return false
	}
	nonRoot := s != nil && s.RunAsNonRoot != nil && *s.RunAsNonRoot || c.Spec.SecurityContext != nil && c.Spec.SecurityContext.RunAsNonRoot != nil && *c.Spec.SecurityContext.RunAsNonRoot
	return nonRoot || s != nil && s.Capabilities != nil && slices.Contains(s.Capabilities.Drop, "ALL")
}

// anyAddress is an address at which a server is told to listen on all of its pod's own, with its port.
var anyAddress = regexp.MustCompile(`^(?:\w+://)?(?:0\.0\.0\.0|\[::\]|\*|127\.0\.0\.1|\+)?:(\d{2,3})/?$`)

// bindsTo is how an exception names the address at which a server would listen.
var bindsTo = regexp.MustCompile(`(?i)(?:\bbind(?:ing)?|\blisten(?:ing)?|\bstart\w* .{0,30}server) (?:to|on|at)\b`)

// around is a hit's line with the stack trace that it belongs to.
func around(c *diagnose.Case, h diagnose.Hit) string {
	text := h.Text
	if t, ok := traceAt(c, h.Line); ok {
		for n := t.First; n <= t.Last && n < t.First+60; n++ {
			text += "\n" + h.Log.Line(n)
		}
		return text
	}
	// One that the program logs itself, and goes on for long enough to end well, is a trace all the same.
	for n := h.Line + 1; n <= h.Line+20 && stackFrame.MatchString(h.Log.Line(n)); n++ {
		text += "\n" + h.Log.Line(n)
	}
	return text
}

// toldPort says that a line before a hit tells of an address with a port that the program is about to use, not of one that another setting
// takes the place of.
func toldPort(read *reader, h diagnose.Hit) bool {
	for n := h.Line - 1; n > 0 && n >= h.Line-12; n-- {
		if line := h.Log.Line(n); strings.Contains(line, "://") && read.port(line) != "" && !strings.Contains(line, "Overriding ") {
			return true
		}
	}
	return false
}

// lowPort finds the port below 1024 that the program is told to listen on: in the lines before a hit, in its environment, its arguments, or
// the ports that it declares.
func lowPort(c *diagnose.Case, read *reader, h diagnose.Hit) (port int, where diagnose.Evidence) {
	low := func(text string) bool {
		n, err := strconv.Atoi(text)
		if err != nil || n < 20 || n >= 1024 {
			return false
		}
		port = n
		return true
	}
	// The exception that this is the cause of names it: "Failed to bind to /0.0.0.0:80".
	if t, ok := traceAt(c, h.Line); ok {
		for n := t.First; n < h.Line && n < t.First+60; n++ {
			if line := h.Log.Line(n); bindsTo.MatchString(line) && low(read.port(line)) {
				return port, h.Log.Cite(n)
			}
		}
	}
	for n := h.Line - 1; n > 0 && n >= h.Line-12; n-- {
		if line := h.Log.Line(n); (strings.Contains(line, "://") || bindsTo.MatchString(line)) && low(read.port(line)) {
			return port, h.Log.Cite(n)
		}
	}
	if c.Container == nil {
		return 0, where
	}
	for _, e := range c.Container.Env {
		if name := strings.ToUpper(e.Name); (strings.HasSuffix(name, "PORT") || strings.HasSuffix(name, "PORTS")) && low(e.Value) {
			return port, diagnose.Evidence{Source: c.SpecField("env[" + e.Name + "]"), Text: e.Value}
		}
		if m := anyAddress.FindStringSubmatch(e.Value); m != nil && low(m[1]) {
			return port, diagnose.Evidence{Source: c.SpecField("env[" + e.Name + "]"), Text: e.Value}
		}
		if i := strings.LastIndexByte(e.Value, ':'); i >= 0 && strings.Contains(strings.ToUpper(e.Name), "URLS") && low(e.Value[i+1:]) {
			return port, diagnose.Evidence{Source: c.SpecField("env[" + e.Name + "]"), Text: e.Value}
		}
	}
	for _, a := range slices.Concat(c.Container.Command, c.Container.Args) {
		if i := strings.LastIndexAny(a, ":="); low(a[i+1:]) {
			return port, diagnose.Evidence{Source: c.SpecField("args"), Text: a}
		}
	}
	for _, p := range c.Container.Ports {
		if low(strconv.Itoa(int(p.ContainerPort))) {
			return port, diagnose.Evidence{Source: c.SpecField("ports"), Text: fmt.Sprintf("containerPort %d", port)}
		}
	}
	return 0, where
}
