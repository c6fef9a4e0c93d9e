package rules_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"crashloop/diagnose"
	"crashloop/diagnose/snapshot"
)

// TestNoHalfOfASecretComesThrough lengthens what the cluster says in every case of every rule - messages, arguments, variables, annotations,
// ConfigMaps - by tokens one behind the other, so that whatever a rule cuts a text to, the cut falls amid one. Half of a token does not show what it
// is: it is gone only where the text was redacted before it was cut.
func TestNoHalfOfASecretComesThrough(t *testing.T) {
	t.Parallel()
	engine := newEngine(t)
	const secret = "ghp_kR7vQ2mX9pL4wZ8nB3cD5fG6hJ1sT0uYaE7i"
	seen := 0
	for i, tc := range loadCases(t) {
		plain, symptom := tc.open(t)
		// Each cut falls into the first half of a token in one case or the other.
		for _, shift := range []int{0, len(secret) / 2} {
			view := &plantedView{View: plain, words: strings.Repeat("x", shift) + strings.Repeat(" "+secret, 12), done: map[diagnose.Object]diagnose.Object{}}
			var out bytes.Buffer
			symptoms, err := diagnose.Find(t.Context(), view, diagnose.Scope{}, diagnose.DefaultThresholds())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "%+v", symptoms)
			d, err := engine.Diagnose(t.Context(), view, symptom)
			if err != nil {
				t.Fatal(err)
			}
			if err := diagnose.WriteJSON(&out, []diagnose.Diagnosis{d}); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "%s%+v", diagnose.Text(d), d)
			if strings.Contains(out.String(), diagnose.Redacted) {
				seen++
			}
			if i%10 == 0 { // recordings are redacted object by object, whatever the rule
				out.WriteString(recordings(t, engine, view, symptoms))
			}
			if at := strings.Index(out.String(), secret[:10]); at >= 0 {
				t.Errorf("%s %s (%s): part of the token comes through: %q", tc.file, tc.name, d.Cause, out.String()[max(0, at-200):min(out.Len(), at+60)])
			}
		}
	}
	if seen < 400 {
		t.Errorf("only %d diagnoses quote what was planted", seen)
	}
}

// recordings is all that both ways of recording a diagnosis write.
func recordings(t *testing.T, engine *diagnose.Engine, view diagnose.View, symptoms []diagnose.Symptom) string {
	t.Helper()
	var all bytes.Buffer
	r := snapshot.Record(view, diagnose.NewRedactor())
	for _, s := range symptoms {
		tape := snapshot.NewTape(view, s)
		for _, v := range []diagnose.View{r, tape} {
			if _, err := engine.Diagnose(t.Context(), v, s); err != nil {
				t.Fatal(err)
			}
		}
		packed, err := tape.Pack(diagnose.NewRedactor(), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		files, err := snapshot.ReadArchive(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := fs.ReadFile(files, name)
			all.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	files, err := r.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range files {
		all.Write(text)
	}
	return all.String()
}

// plantedView is a View whose objects say more than the one that it wraps.
type plantedView struct {
	diagnose.View
	words string
	done  map[diagnose.Object]diagnose.Object
}

func (v *plantedView) Get(ctx context.Context, kind diagnose.Kind, namespace, name string) (diagnose.Object, error) {
	o, err := v.View.Get(ctx, kind, namespace, name)
	if err != nil {
		return nil, err
	}
	return v.plant(o), nil
}

func (v *plantedView) List(ctx context.Context, kind diagnose.Kind, namespace string, where diagnose.Where) ([]diagnose.Object, error) {
	objects, err := v.View.List(ctx, kind, namespace, where)
	out := make([]diagnose.Object, len(objects))
	for i, o := range objects {
		out[i] = v.plant(o)
	}
	return out, err
}

func (v *plantedView) plant(o diagnose.Object) diagnose.Object {
	if done, ok := v.done[o]; ok {
		return done
	}
	v.done[o] = v.lengthen(o)
	return v.done[o]
}

func (v *plantedView) lengthen(o diagnose.Object) diagnose.Object {
	if u, ok := o.(*unstructured.Unstructured); ok {
		u = u.DeepCopy()
		v.walk(u.Object)
		return u
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o.DeepCopyObject())
	if err != nil {
		panic(err)
	}
	v.walk(content)
	out := reflect.New(reflect.TypeOf(o).Elem()).Interface().(diagnose.Object)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, out); err != nil {
		panic(err)
	}
	return out
}

func (v *plantedView) walk(m map[string]any) {
	for key, value := range m {
		switch value := value.(type) {
		case string:
			if key == "message" && value != "" {
				m[key] = value + v.words
			}
		case map[string]any:
			v.walk(value)
			if key == "annotations" || key == "data" && m["kind"] != "Secret" {
				for k, text := range value {
					if text, ok := text.(string); ok && !strings.Contains(k, "kubernetes.io/") {
						value[k] = text + v.words
					}
				}
			}
		case []any:
			if key == "args" && len(value) > 0 {
				m[key] = append(value, v.words)
			}
			for _, e := range value {
				if e, ok := e.(map[string]any); ok {
					v.walk(e)
				}
			}
		}
	}
	if _, ok := m["image"]; ok && m["imageID"] == nil {
		env, _ := m["env"].([]any)
		m["env"] = append(env, map[string]any{"name": "NOTE", "value": v.words})
	}
}

// TestRedactionOfFieldsAndOfWhatTheyWrite holds that an object of a Go type, which is mostly only looked at, is redacted as what it writes is.
func TestRedactionOfFieldsAndOfWhatTheyWrite(t *testing.T) {
	t.Parallel()
	redact := diagnose.NewRedactor()
	content := func(o diagnose.Object) map[string]any {
		out, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	as, same, changed := map[string]bool{}, 0, 0
	for _, tc := range loadCases(t) {
		view, _ := tc.open(t)
		planted := &plantedView{View: view, words: " ghp_kR7vQ2mX9pL4wZ8nB3cD5fG6hJ1sT0uYaE7i", done: map[diagnose.Object]diagnose.Object{}}
		for _, kind := range diagnose.Kinds() {
			objects, err := view.List(t.Context(), kind, "", diagnose.Where{})
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range objects {
				if _, ok := o.(*unstructured.Unstructured); ok || kind == diagnose.Secrets {
					continue
				}
				for _, o := range []diagnose.Object{o, planted.plant(o)} {
					got, err := redact.RedactObject(o)
					if err != nil {
						t.Fatal(err)
					}
					want, err := redact.RedactObject(&unstructured.Unstructured{Object: content(o)})
					if err != nil {
						t.Fatal(err)
					}
					if !reflect.DeepEqual(content(got), want.(*unstructured.Unstructured).Object) {
						t.Errorf("%s %s: %s %s: got %v, want %v", tc.file, tc.name, kind.Kind, o.GetName(), got, want)
					}
					as[kind.Kind] = true
					if got == o {
						same++
					} else {
						changed++
					}
				}
			}
		}
	}
	if len(as) < 15 || same < 1000 || changed < 1000 {
		t.Errorf("only %d kinds, %d objects that hold nothing and %d that do", len(as), same, changed)
	}
}
