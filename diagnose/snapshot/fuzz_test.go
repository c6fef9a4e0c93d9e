package snapshot

import (
	"context"
	"testing"

	"crashloop/diagnose"
)

// FuzzFromFS feeds any bytes to a snapshot as YAML, JSON, header and dumped log at once. Either it says what is wrong, or everything in
// it can be asked for.
func FuzzFromFS(f *testing.F) {
	pairs := dump()
	for i := 0; i < len(pairs); i += 2 {
		f.Add([]byte(pairs[i+1]), []byte(`{"now":"2026-01-01T00:00:00Z"}`))
	}
	f.Add([]byte(manyPods(1)), []byte(`{"failed":[{"verb":"list","kind":"Pod","is":"forbidden"}]}`))
	f.Add([]byte("--- {apiVersion: v1, kind: Secret, metadata: {name: a}, data: {a: YQ==}}\n---\n- [a\n"), []byte(`{}`))
	f.Add([]byte("apiVersion: events.k8s.io/v1\nkind: Event\nmetadata: {name: a}\nseries: {count: 3}\n"), []byte(`null`))
	f.Add([]byte(`{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"web","namespace":"shop"}}]}`+"\n==== START logs for container app of pod shop/web ====\nno line break==== END logs for container app of pod shop/web ====\n{\"kind\":\"EventList\",\"apiVersion\":\"v1\",\"items\":null}"), []byte(`{}`))
	f.Add([]byte("==== START logs for container app of pod shop/web ====\ncut off"), []byte(`{}`))
	f.Add([]byte("\xff\xfea\x00p\x00i\x00"), []byte(`{}`))
	f.Add([]byte("Name:  web\nNamespace: shop\n Bad: [\n"), []byte(`{}`))
	f.Fuzz(func(t *testing.T, objects, head []byte) {
		for _, name := range []string{"a.yaml", "a.json", "a.txt"} {
			var notes int
			s, err := FromFS(files(name, string(objects), headerFile, string(head), "shop/web/logs.txt", string(objects)), Options{Notes: func(string) { notes++ }})
			if err != nil {
				if err.Error() == "" {
					t.Error("an error without a word")
				}
				continue
			}
			for _, kind := range diagnose.Kinds() {
				list, err := s.List(context.Background(), kind, "", diagnose.Where{Involved: diagnose.Reference{Kind: "Pod"}})
				if err != nil {
					continue
				}
				for _, o := range list {
					if got, err := s.Get(context.Background(), kind, o.GetNamespace(), o.GetName()); err == nil && got.GetName() != o.GetName() {
						t.Errorf("%s %q is another one than in the list", kind.Kind, o.GetName())
					}
				}
			}
			_, _ = s.Log(context.Background(), diagnose.LogRequest{Namespace: "shop", Pod: "web", Container: "app"})
			r := Record(s, diagnose.NewRedactor())
			for _, kind := range diagnose.Kinds() {
				_, _ = r.List(context.Background(), kind, "", diagnose.Where{})
			}
			written, err := r.Files()
			if err != nil {
				t.Fatal(err)
			}
			replay := make([]string, 0, 2*len(written))
			for name, text := range written {
				replay = append(replay, name, string(text))
			}
			if _, err := FromFS(files(replay...), Options{}); err != nil {
				t.Errorf("the recording cannot be read: %v\n%q", err, replay)
			}
		}
	})
}
