package snapshot

import (
	"bytes"
	"fmt"
	"regexp"

	"crashloop/diagnose"
)

// startOfLog begins a log in what `kubectl cluster-info dump` writes. It stands at the beginning of a line or, behind a log without a final line
// break, anywhere.
var startOfLog = regexp.MustCompile(`==== START logs for container (\S+) of pod ([^\s/]+)/(\S+) ====\r?\n`)

// dumped is one container's log in a dump (k8s.io/kubectl, pkg/cmd/clusterinfo), and what stands around it.
type dumped struct {
	namespace, pod, container string
	before, text, after       []byte
}

// nextLog finds the first log of a dump. It ends with the last mark of its end before the next log, so that a program may print one itself.
func nextLog(text []byte) (dumped, bool) {
	at := startOfLog.FindSubmatchIndex(text)
	if at == nil {
		return dumped{}, false
	}
	group := func(n int) string { return string(text[at[2*n]:at[2*n+1]]) }
	d := dumped{container: group(1), namespace: group(2), pod: group(3), before: text[:at[0]]}
	text = text[at[1]:]
	end := fmt.Appendf(nil, "==== END logs for container %s of pod %s/%s ====", d.container, d.namespace, d.pod)
	own := text
	if next := startOfLog.FindIndex(text); next != nil {
		own = text[:next[0]]
	}
	i := bytes.LastIndex(own, end)
	if i < 0 {
		i = bytes.Index(text, end)
	}
	if i < 0 {
		d.text = text // the dump was cut off
		return d, true
	}
	d.text, d.after = text[:i], text[i+len(end):]
	return d, true
}

// takeLogs takes the logs out of what `kubectl cluster-info dump` prints without --output-directory: objects and logs in one stream. It returns
// the objects.
func (r *reader) takeLogs(text []byte) []byte {
	var objects []byte
	for {
		log, ok := nextLog(text)
		if !ok {
			if objects == nil {
				return text
			}
			return append(objects, text...)
		}
		objects, text = append(append(objects, log.before...), '\n'), log.after
		if r.logs == nil {
			r.logs = map[readKey][]byte{}
		}
		which := diagnose.LogRequest{Namespace: log.namespace, Pod: log.pod, Container: log.container}
		r.logs[logRead(which)] = log.text[max(0, len(log.text)-maxLog):]
	}
}
