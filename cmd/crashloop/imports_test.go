package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// importRule says what the packages under a folder must not do, and why.
type importRule struct {
	folder string   // with everything below it
	except []string // folders below it that the rule leaves alone
	forbid []string // import paths, each with everything below it
	why    string
}

func importRules() []importRule {
	return []importRule{
		{"diagnose", nil, []string{"k8s.io/client-go", "k8s.io/kubectl", "github.com/slack-go", "crashloop/bot", "crashloop/notify", "crashloop/cmd"},
			"the engine works on any View: the same evidence must give the same diagnosis, live or from files"},
		{"notify", nil, []string{"k8s.io", "crashloop/bot", "crashloop/cmd"}, "messages are made of a diagnosis; they know neither the cluster nor what people do with them"},
		{"notify", []string{"notify/slack"}, []string{"github.com/slack-go"}, "notify/slack is the only user of slack-go, so that what breaks in it breaks in one place"},
		{"notify/workspace", nil, []string{"crashloop"}, "the workspace plays Slack's side and must not share the bot's assumptions"},
		{"bot", []string{"bot/kube", "bot/action", "bot/access", "bot/state"}, []string{"k8s.io/client-go", "k8s.io/kubectl", "github.com/slack-go"},
			"client-go stands only where the cluster is touched"},
		{"bot", nil, []string{"crashloop/cmd", "crashloop/notify/slack", "crashloop/notify/workspace", "crashloop/diagnose/rules"}, "cmd/crashloop wires the implementations"},
	}
}

// The import rules of DESIGN hold in every file that is not a test.
func TestImports(t *testing.T) {
	top := filepath.Join("..", "..")
	checked := 0
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "playground" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(top, p)
		if err != nil {
			return err
		}
		checked++
		checkFile(t, filepath.ToSlash(rel), p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 50 {
		t.Errorf("looked at %d files only; is the walk looking in the right place?", checked)
	}
}

func checkFile(t *testing.T, rel, file string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return
	}
	folder := path.Dir(rel)
	imports := make([]string, 0, len(parsed.Imports))
	for _, i := range parsed.Imports {
		name, _ := strconv.Unquote(i.Path.Value)
		imports = append(imports, name)
	}
	for _, r := range importRules() {
		if !within(folder, r.folder) || slices.ContainsFunc(r.except, func(e string) bool { return within(folder, e) }) {
			continue
		}
		for _, name := range imports {
			for _, f := range r.forbid {
				if within(name, f) && !within(name, "crashloop/"+r.folder) {
					t.Errorf("%s imports %s, and %s may not: %s", rel, name, r.folder, r.why)
				}
			}
		}
	}
	if folder == "bot" && slices.Contains(imports, "crashloop/bot/kube") {
		t.Errorf("%s imports crashloop/bot/kube, and bot may not: cmd/crashloop wires the implementations", rel)
	}
	// The engine's packages read no clock and start no goroutine; what makes fixtures or fuzzes may.
	if folder == "diagnose" || folder == "diagnose/rules" {
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine, and diagnose may not: a diagnosis is one straight computation", rel)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "NewTimer", "NewTicker", "AfterFunc"}, n.Sel.Name) {
					t.Errorf("%s calls time.%s, and diagnose may not: the View says what time it is", rel, n.Sel.Name)
				}
			case *ast.FuncDecl:
				if n.Recv == nil && n.Name.Name == "init" {
					t.Errorf("%s has an init function", rel)
				}
			}
			return true
		})
	}
}

func within(name, folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }

// Nothing stands at the top level but what the design names.
func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	folders := []string{"cmd", "bot", "diagnose", "notify", "deploy", "docs", "bin"}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(folders, e.Name()) {
			t.Errorf("the folder %s is not among %s; DESIGN says what goes where", e.Name(), strings.Join(folders, ", "))
		}
	}
}
