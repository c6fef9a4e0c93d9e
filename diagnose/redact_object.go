package diagnose

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// RedactObject returns the object without secrets: values of environment variables and headers, arguments, annotations, ConfigMaps and
// every message. Names, labels, images and ids stay as they are; managedFields too, which hold names of fields and no values. An object
// that holds no secret is returned as it is, another as a changed copy. It fails only when the object cannot be converted.
func (r *Redactor) RedactObject(obj Object) (Object, error) {
	if secret, ok := obj.(*corev1.Secret); ok {
		secret = secret.DeepCopy()
		StripSecret(secret)
		obj = secret
	}
	u, isUnstructured := obj.(*unstructured.Unstructured)
	w := objectWalk{Redactor: r}
	if !isUnstructured && w.holdsNothing(obj) {
		return obj, nil
	}
	var content map[string]any
	if isUnstructured {
		content = u.DeepCopy().Object
	} else {
		var err error
		if content, err = runtime.DefaultUnstructuredConverter.ToUnstructured(obj); err != nil {
			return nil, fmt.Errorf("redacting %T %q: %w", obj, obj.GetName(), err)
		}
	}
	w.fields(content)
	if !w.changed {
		return obj, nil
	}
	if isUnstructured {
		return &unstructured.Unstructured{Object: content}, nil
	}
	clean := reflect.New(reflect.TypeOf(obj).Elem()).Interface().(Object)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, clean); err != nil {
		return nil, fmt.Errorf("redacting %T %q: %w", obj, obj.GetName(), err)
	}
	return clean, nil
}

// objectWalk goes through the fields of one object and replaces what must go in place.
type objectWalk struct {
	*Redactor
	changed bool
}

// fields walks a map. {name, value} pairs, as environment variables and headers have them, are judged together.
func (w *objectWalk) fields(m map[string]any) {
	name, _ := m["name"].(string)
	// A container's command and its args are one command line.
	command, _ := m["command"].([]any)
	args, _ := m["args"].([]any)
	if len(command) > 0 && len(args) > 0 {
		line := slices.Concat(command, args)
		w.items(line)
		copy(command, line)
		copy(args, line[len(command):])
	}
	for key, v := range m {
		switch v := v.(type) {
		case string:
			switch {
			case key == "value" && name != "":
				w.put(m, key, v, w.RedactValue(name, v))
			case isPlainField(key):
			case key == corev1.LastAppliedConfigAnnotation:
				w.put(m, key, v, w.manifest(v))
			default:
				w.put(m, key, v, w.RedactValue(key, v))
			}
		case map[string]any:
			switch key {
			case "managedFields", "labels", "matchLabels", "nodeSelector":
			case "binaryData":
				w.binary(v)
			default:
				w.fields(v)
			}
		case []any:
			if key != "managedFields" && key != "ownerReferences" {
				w.items(v)
			}
		}
	}
}

func (w *objectWalk) put(m map[string]any, key, old, value string) {
	if value != old {
		m[key], w.changed = value, true
	}
}

// items walks a list. In a list of words, as args have them, a word that follows --password is one, and so is that behind the -a of redis-cli.
func (w *objectWalk) items(list []any) {
	flag := ""
	together := w.together(list)
	for i, v := range list {
		switch v := v.(type) {
		case string:
			clean := w.Redact(v)
			if together != nil {
				clean = w.Redact(together[i])
			}
			if flag != "" && !strings.HasPrefix(v, "-") {
				clean = w.RedactValue(flag, clean)
			}
			flag = ""
			if strings.HasPrefix(v, "-") && !strings.Contains(v, "=") {
				flag = strings.TrimLeft(v, "-")
			}
			if clean != v {
				list[i], w.changed = clean, true
			}
		case map[string]any:
			w.fields(v)
		case []any:
			w.items(v)
		}
	}
}

// together redacts a list of words as the command line that they are, nil where it is none.
func (w *objectWalk) together(list []any) []string {
	words := make([]string, len(list))
	for i, v := range list {
		word, ok := v.(string)
		if !ok || strings.ContainsAny(word, "\r\n") {
			return nil
		}
		words[i] = word
	}
	out := strings.Split(w.Redact(strings.Join(words, "\n")), "\n")
	if len(out) != len(list) {
		return nil
	}
	return out
}

// RedactValue redacts the value of a setting, such as an environment variable, whose name is known: the name may say that all of it is
// a secret.
func (r *Redactor) RedactValue(name, v string) string {
	s := scan{Redactor: r, text: v}
	switch strength := keyStrength(name); strength {
	case strong:
		if s.worthHiding(v, strong, quoted) && r.Redact(v) == v {
			return Redacted
		}
	case weak:
		if s.worthHiding(v, weak, assigned) && !namesSecret(name, v) && r.Redact(v) == v {
			return Redacted
		}
	case header, cookie:
		prefix := name + ": "
		return strings.TrimPrefix(r.Redact(prefix+v), prefix)
	case notSecret:
		if !plainKey(name) && looksRandom(v) && !strings.ContainsAny(v, " .:/\n") {
			return Redacted
		}
	}
	return r.Redact(v)
}

// manifest redacts an object that stands as JSON in an annotation. The values of a Secret go altogether.
func (w *objectWalk) manifest(text string) string {
	var content map[string]any
	if err := json.Unmarshal([]byte(text), &content); err != nil {
		return w.Redact(text)
	}
	inner := objectWalk{Redactor: w.Redactor}
	if content["kind"] == "Secret" {
		for _, field := range []string{"data", "stringData"} {
			if content[field] != nil {
				delete(content, field)
				inner.changed = true
			}
		}
	}
	inner.fields(content)
	if !inner.changed {
		return text
	}
	clean, err := json.Marshal(content)
	if err != nil {
		return Redacted
	}
	return string(clean)
}

// binary redacts the base64 texts of binaryData: text as text, anything else altogether.
func (w *objectWalk) binary(m map[string]any) {
	for key, v := range m {
		text, ok := v.(string)
		if !ok {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(text)
		clean := Redacted
		if err == nil && utf8.Valid(raw) {
			clean = w.RedactValue(key, string(raw))
		}
		if clean != string(raw) {
			m[key], w.changed = base64.StdEncoding.EncodeToString([]byte(clean)), true
		}
	}
}

// isPlainField takes fields that name things, or hold bytes that are public.
func isPlainField(key string) bool {
	return slices.Contains([]string{
		"name", "namespace", "generateName", "uid", "resourceVersion", "kind", "apiVersion", "nodeName", "hostname", "image", "imageID", "containerID", "secretName", "serviceAccountName",
		"claimName", "volumeName", "key", "fieldPath", "mountPath", "path", "podIP", "hostIP", "ip", "caBundle", "systemUUID", "machineID", "bootID", "secretKey",
	}, key)
}
