package snapshot

import (
	"bytes"
	"fmt"
	"regexp"

	"crashloop/diagnose"
)

// startOfLog begins a log that stands between objects, in what `kubectl cluster-info dump` prints.
var startOfLog = regexp.MustCompile(`==== START logs for container (\S+) of pod ([^\s/]+)/(\S+) ====\r?\n`)

// takeLogs takes the logs out of what `kubectl cluster-info dump` prints without --output-directory: objects and logs in one stream
// (k8s.io/kubectl, pkg/cmd/clusterinfo). It returns the objects.
func (r *reader) takeLogs(text []byte) []byte {
	var objects []byte
	for {
		at := startOfLog.FindSubmatchIndex(text)
		if at == nil {
			if objects == nil {
				return text
			}
			return append(objects, text...)
		}
		group := func(n int) string { return string(text[at[2*n]:at[2*n+1]]) }
		which := diagnose.LogRequest{Namespace: group(2), Pod: group(3), Container: group(1)}
		end := fmt.Appendf(nil, "==== END logs for container %s of pod %s/%s ====", which.Container, which.Namespace, which.Pod)
		objects = append(append(objects, text[:at[0]]...), '\n')
		text = text[at[1]:]
		log := text
		if i := bytes.Index(text, end); i >= 0 {
			log, text = text[:i], text[i+len(end):]
		} else {
			text = nil // the dump was cut off
		}
		if len(log) > maxLog {
			log = log[len(log)-maxLog:]
		}
		if r.logs == nil {
			r.logs = map[readKey][]byte{}
		}
		r.logs[logRead(which)] = log
	}
}
