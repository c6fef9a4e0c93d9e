package command

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"crashloop/bot/access"
	"crashloop/bot/action"
	"crashloop/diagnose"
	"crashloop/notify"

	"github.com/spf13/pflag"
)

const (
	defaultTail = 40
	maxTail     = 5000
	// grepTail is how many lines are searched when nothing else was asked for.
	grepTail = 20_000
	// maxPattern bounds --grep, in bytes, and maxProgram what it compiles to, in instructions: RE2 takes time in the product of text and
	// program, and .{0,1000} alone is a thousand of them.
	maxPattern = 300
	maxProgram = 500
	// maxSearched bounds how much of one line is searched, in bytes, and grepLimit the whole search.
	maxSearched = 64 << 10
	grepLimit   = 3 * time.Second
	// maxInline bounds the text that is answered in place, in bytes; what is longer becomes a file.
	maxInline = 2500
	// maxLineShown bounds one line, in bytes.
	maxLineShown = 2000
	// maxSince bounds --since.
	maxSince = 30 * 24 * time.Hour
)

// logOptions are what the flags say.
type logOptions struct {
	previous  bool
	container string // as asked for
	prefer    string // that of the incident; taken where the pod has it
	tail      int
	since     time.Duration
	grep      *regexp.Regexp
}

func logs() command {
	return command{
		name: "logs", args: "NAME", short: "shows the end of a container's log", least: 1, most: 1,
		long: "Shows the end of a container's log, without what looks like a secret. For a workload it takes the pod that is in most trouble. " +
			"It needs the permission to get pods/log. What is too long comes as a file in a direct message.",
		flags: func(fs *pflag.FlagSet) {
			fs.BoolP("previous", "p", false, "the run before this one: the one that crashed")
			fs.StringP("container", "c", "", "which container; without it, the one that keeps failing")
			fs.IntP("tail", "t", defaultTail, fmt.Sprintf("how many lines of the end, up to %d", maxTail))
			fs.DurationP("since", "s", 0, "only what is newer than this, such as 15m")
			fs.StringP("grep", "g", "", "only lines that match this regular expression (RE2)")
			namespaceFlag(fs)
		},
		examples: []string{"logs web", "logs shop/web --previous", "logs web -c sidecar --tail 200", `logs web --since 1h --grep "(?i)error|panic"`},
		run: func(ctx context.Context, c *call) (notify.Message, error) {
			o, err := c.logOptions()
			if err != nil {
				return notify.Message{}, err
			}
			m, err := c.resolve(ctx, c.args[0])
			if err != nil {
				return notify.Message{}, err
			}
			return c.logs(ctx, m, o)
		},
		buttons: map[string]onClick{
			notify.ActionLogs: func(ctx context.Context, c *call, inc diagnose.Incident) (notify.Message, error) {
				return c.logsOf(ctx, inc, false)
			},
			notify.ActionPreviousLogs: func(ctx context.Context, c *call, inc diagnose.Incident) (notify.Message, error) {
				return c.logsOf(ctx, inc, true)
			},
		},
	}
}

// logOptions reads and checks the flags.
func (c *call) logOptions() (o logOptions, err error) {
	o.previous, _ = c.flags.GetBool("previous")
	o.container, _ = c.flags.GetString("container")
	o.tail, _ = c.flags.GetInt("tail")
	o.since, _ = c.flags.GetDuration("since")
	pattern, _ := c.flags.GetString("grep")
	if o.container != "" && !containerName.MatchString(o.container) {
		return o, misuse("%q cannot be the name of a container: those have small letters, digits and hyphens only.", cut(o.container, 60))
	}
	if o.tail < 1 || o.tail > maxTail {
		return o, misuse("--tail is %d; it can be 1 to %d.", o.tail, maxTail)
	}
	if o.since < 0 || o.since > maxSince {
		return o, misuse("--since is %s; it can be up to %s.", o.since, maxSince)
	}
	if len(pattern) > maxPattern {
		return o, misuse("--grep has %d bytes; %d are allowed.", len(pattern), maxPattern)
	}
	if pattern != "" {
		if o.grep, err = compile(pattern); err != nil {
			return o, misuse("--grep is not a regular expression: %s.", cut(strings.TrimPrefix(err.Error(), "error parsing regexp: "), 200))
		}
	}
	return o, nil
}

// compile refuses patterns that would take too long to search for.
func compile(pattern string) (*regexp.Regexp, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	if len(program.Inst) > maxProgram {
		return nil, errors.New("its counted repetitions make it too large; use * or + or smaller counts")
	}
	return regexp.Compile(pattern)
}

var containerName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// logs reads for a name that was typed.
func (c *call) logs(ctx context.Context, m match, o logOptions) (notify.Message, error) {
	pod := m.pod
	if pod == "" && m.target.Kind == "Pod" {
		pod = m.target.Name
	}
	incident := ""
	if all := c.incidentsOf(m.target); len(all) > 0 && all[0].Incident.State == diagnose.Open {
		incident = all[0].Incident.ID
		o.prefer = all[0].Incident.Subject.Container
	}
	needs := []access.Permission{podLogs(m.target.Namespace, pod)}
	return c.read(ctx, m.target.String(), incident, needs, func(ctx context.Context) (notify.Message, error) {
		of := m.target
		if pod != "" {
			of = action.Target{Kind: "Pod", Namespace: of.Namespace, Name: pod}
		}
		return c.showSome(ctx, of, "", o, func(_ bool, err error) bool { return errors.Is(err, action.ErrNoLog) })
	})
}

// logsOf reads for a button, of the container that the incident is about. A run that has only just begun has written nothing yet.
func (c *call) logsOf(ctx context.Context, inc diagnose.Incident, previous bool) (notify.Message, error) {
	of := target(inc.Subject)
	return c.read(ctx, of.String(), inc.ID, []access.Permission{podLogs(of.Namespace, "")}, func(ctx context.Context) (notify.Message, error) {
		o := logOptions{previous: previous, prefer: inc.Subject.Container, tail: defaultTail}
		return c.showSome(ctx, of, inc.Subject.Pod, o, func(empty bool, err error) bool { return empty || errors.Is(err, action.ErrNoLog) })
	})
}

// showSome shows the current run's log, or, where that is of no use, the one before, which crashed. A loop that is quick may replace both
// between two questions: then the run that is current by now has it.
func (c *call) showSome(ctx context.Context, of action.Target, prefer string, o logOptions, useless func(empty bool, err error) bool) (notify.Message, error) {
	first, empty, err := c.showLog(ctx, of, prefer, o)
	if o.previous || !useless(empty, err) {
		return first, err
	}
	for _, o.previous = range []bool{true, false} {
		if m, empty, err := c.showLog(ctx, of, prefer, o); err == nil && !empty {
			return m, nil
		}
	}
	return first, err
}

// showLog picks the pod and the container, and draws the end of the log, or says that it is empty.
func (c *call) showLog(ctx context.Context, of action.Target, prefer string, o logOptions) (m notify.Message, empty bool, err error) {
	pods, err := c.o.Directory.Pods(ctx, of)
	if err != nil {
		return notify.Message{}, false, err
	}
	if len(pods) == 0 {
		return say(of.Words() + " has no pods just now, so there is no log."), true, nil
	}
	pod := pods[0]
	if i := slices.IndexFunc(pods, func(p action.Pod) bool { return p.Name == prefer }); i >= 0 {
		pod = pods[i]
	}
	container, err := pickContainer(pod, o.container, o.prefer)
	if err != nil {
		return notify.Message{}, false, err
	}
	q := action.LogQuery{Namespace: of.Namespace, Pod: pod.Name, Container: container, Previous: o.previous, Tail: int64(o.tail), Since: o.since}
	if o.grep != nil {
		q.Tail = grepTail
	}
	got, err := c.o.Logs.Log(ctx, q)
	if err != nil {
		return notify.Message{}, false, err
	}
	which := "log"
	if o.previous {
		which = "previous log"
	}
	title := fmt.Sprintf("%s of container %s, pod %s/%s", which, container, of.Namespace, pod.Name)
	return c.drawLog(title, pod.Name+"-"+container+".log", got, o), len(got.Text) == 0, nil
}

func pickContainer(pod action.Pod, want, prefer string) (string, error) {
	if want != "" {
		if slices.ContainsFunc(pod.Containers, func(c action.Container) bool { return c.Name == want }) {
			return want, nil
		}
		var names []string
		for _, c := range pod.Containers {
			names = append(names, c.Name)
		}
		return "", &answer{say(fmt.Sprintf("Pod %s has no container %q. It has %s.", pod.Name, cut(want, 60), strings.Join(names, ", ")))}
	}
	best := action.Container{Name: pod.Default}
	for _, c := range pod.Containers {
		if c.Name == prefer {
			return prefer, nil
		}
		if c.Failing && !best.Failing || c.Failing == best.Failing && c.Restarts > best.Restarts {
			best = c
		}
	}
	return best.Name, nil
}

// drawLog redacts first and searches then, so that a search cannot be used to guess at what is redacted.
func (c *call) drawLog(title, file string, got action.LogText, o logOptions) notify.Message {
	text := strings.TrimRight(c.o.Redact(notify.Clean(string(got.Text))), "\n")
	var lines []string
	if text != "" {
		lines = strings.Split(text, "\n")
	}
	all := len(lines)
	read := all
	if o.grep != nil {
		lines, read = search(lines, o.grep)
	}
	matched := len(lines)
	lines = lines[max(0, len(lines)-o.tail):]
	for i, l := range lines {
		if len(l) > maxLineShown {
			lines[i] = strings.ToValidUTF8(l[:maxLineShown], "") + fmt.Sprintf("… (%d bytes more)", len(l)-maxLineShown)
		}
	}
	var note string
	switch {
	case read == 0 && o.since > 0:
		return say(sentence("The " + title + " has nothing in the last " + o.since.String()))
	case read == 0:
		return say(sentence("The " + title + " is empty: the program wrote nothing to its standard output or error"))
	case o.grep != nil && matched == 0:
		return say(fmt.Sprintf("No line of the last %d of the %s matches %q.", read, title, cut(o.grep.String(), 100)))
	case o.grep != nil:
		note = fmt.Sprintf("%d of the last %d lines match %q", matched, read, cut(o.grep.String(), 100))
		if matched > len(lines) {
			note += fmt.Sprintf("; the last %d are shown", len(lines))
		}
	default:
		note = fmt.Sprintf("the last %d lines", len(lines))
		if len(lines) == 1 {
			note = "1 line"
		}
	}
	if read < all {
		note += "; the search took too long and did not reach the beginning"
	}
	if got.Cut {
		note += "; the log is so long that its beginning was not read"
	}
	return c.shown(sentence(title), note, file, strings.Join(lines, "\n"))
}

// search returns the lines that match, and how many of the last it had time to search.
func search(lines []string, pattern *regexp.Regexp) (found []string, searched int) {
	until := time.Now().Add(grepLimit)
	for _, l := range slices.Backward(lines) { // the end is what matters most
		if time.Now().After(until) {
			break
		}
		searched++
		if pattern.MatchString(l[:min(len(l), maxSearched)]) {
			found = append(found, l)
		}
	}
	slices.Reverse(found)
	return found, searched
}

// shown puts a text into the message, or into a file when it is long.
func (c *call) shown(title, note, file, text string) notify.Message {
	m := notify.Message{Text: strings.TrimSuffix(title, ".") + " (" + note + ")"}
	m.Blocks = []notify.Block{{Text: []notify.Span{notify.B(strings.TrimSuffix(title, "."))}}}
	if len(text) <= maxInline {
		m.Blocks = append(m.Blocks, notify.Block{Code: text}, notify.Block{Context: []notify.Span{notify.T(note)}})
		return m
	}
	m.Blocks = append(m.Blocks, notify.Block{Context: []notify.Span{notify.T(note + "; in the file")}})
	m.File = &notify.File{Name: file, Title: strings.TrimSuffix(title, "."), Content: []byte(text + "\n")}
	return m
}
