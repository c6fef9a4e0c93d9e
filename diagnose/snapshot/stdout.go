package snapshot

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"unicode/utf16"
)

// dumpedLogKey names a log that stands between objects, in what `kubectl cluster-info dump` prints.
type dumpedLogKey struct{ namespace, pod, container string }

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
		key := dumpedLogKey{group(2), group(3), group(1)}
		end := fmt.Appendf(nil, "==== END logs for container %s of pod %s/%s ====", key.container, key.namespace, key.pod)
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
			r.logs = map[dumpedLogKey][]byte{}
		}
		r.logs[key] = log
	}
}

// holdsObjects says whether a file whose name does not tell begins like objects in YAML or JSON.
func holdsObjects(files fs.FS, name string) bool {
	info, err := fs.Stat(files, name)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := files.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 4<<10))
	if err != nil {
		return false
	}
	head = bytes.TrimSpace(plainText(head))
	for _, begin := range []string{"{", "[", "apiVersion:", "kind:", "items:", "---"} {
		if bytes.HasPrefix(head, []byte(begin)) {
			return bytes.Contains(head, []byte("apiVersion"))
		}
	}
	return false
}

// plainText gives a file's text as UTF-8 without byte order mark. PowerShell's redirection writes UTF-16.
func plainText(text []byte) []byte {
	var units []uint16
	switch {
	case bytes.HasPrefix(text, []byte("\xff\xfe")):
		for i := 2; i+1 < len(text); i += 2 {
			units = append(units, uint16(text[i])|uint16(text[i+1])<<8)
		}
	case bytes.HasPrefix(text, []byte("\xfe\xff")):
		for i := 2; i+1 < len(text); i += 2 {
			units = append(units, uint16(text[i])<<8|uint16(text[i+1]))
		}
	default:
		return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	}
	return []byte(string(utf16.Decode(units)))
}

// maxSearched bounds the search for objects in the wrong place.
const maxSearched = 20_000

// nothingFound says that there are no objects where they are looked for, and where there are some.
func nothingFound(files fs.FS) error {
	const what = "there are no Kubernetes objects in it, so nothing can be said of a cluster"
	elsewhere, seen := "", 0
	_ = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		seen++
		ext := strings.ToLower(path.Ext(name))
		switch {
		case err != nil:
			return nil // what cannot be read is no place to point at
		case seen > maxSearched:
			return fs.SkipAll
		case d.IsDir() || ext != ".json" && ext != ".yaml" && ext != ".yml" || !holdsObjects(files, name):
			return nil
		}
		elsewhere = path.Dir(name)
		if isDumped(path.Base(name)) {
			elsewhere = path.Dir(elsewhere)
		}
		return fs.SkipAll
	})
	if elsewhere != "" && elsewhere != "." {
		return fmt.Errorf("%s.\nThe folder %s in it holds some: name that one", what, elsewhere)
	}
	return fmt.Errorf(`%s.
It takes .yaml, .yml and .json files at the top of the directory, and the folders that cluster-info dump writes. Make some with
  kubectl get pods,events,nodes,services,configmaps,deployments,replicasets,statefulsets,daemonsets,jobs -A -o yaml > DIR/objects.yaml
or kubectl cluster-info dump -A --output-directory DIR`, what)
}
