package snapshot

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/fstest"

	"crashloop/diagnose"
	"crashloop/diagnose/viewtest"
)

// fixtureFiles writes a fixture in the layout of a snapshot.
func fixtureFiles(t *testing.T, f viewtest.Fixture) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	put := func(name, text string) { out[name] = &fstest.MapFile{Data: []byte(text)} }
	for i, o := range f.Objects {
		raw, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		put(fmt.Sprintf("%02d.json", i), string(raw))
	}
	for _, l := range f.Logs {
		name := l.Container + ".log"
		if l.Previous {
			name = l.Container + ".previous.log"
		}
		put("logs/"+l.Namespace+"/"+l.Pod+"/"+name, l.Text)
	}
	var h header
	for _, k := range f.Forbidden {
		for _, read := range []readKey{getRead(k, "shop", "quota"), listRead(k, "shop", diagnose.Where{})} {
			h.Failed = append(h.Failed, failedEntry{readKey: read, Is: "forbidden", Error: "refused"})
		}
	}
	raw, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	put(headerFile, string(raw))
	return out
}

func TestSnapshotConforms(t *testing.T) {
	viewtest.Run(t, func(t *testing.T, f viewtest.Fixture) diagnose.View {
		s, _ := open(t, fixtureFiles(t, f))
		return s
	})
}
