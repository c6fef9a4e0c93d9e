package main

import (
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets a script call the program by its name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"crashloop": main})
}

// Each script in testdata/script is a person's story at the terminal. status checks an exit status: status 2 crashloop ...
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			kept := env.Vars[:0]
			for _, v := range env.Vars {
				if !strings.HasPrefix(v, "KUBE") && !strings.HasPrefix(v, prefix+"_") {
					kept = append(kept, v)
				}
			}
			env.Vars = append(kept, "HOME="+env.WorkDir)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			// status N COMMAND... runs the command and checks its exit status; $? is not a thing that testscript has.
			"status": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) < 2 {
					ts.Fatalf("usage: status N COMMAND [ARG...]")
				}
				err := ts.Exec(args[1], args[2:]...)
				got := "0"
				if err != nil {
					got = strings.TrimPrefix(err.Error(), "exit status ")
				}
				if got != args[0] {
					ts.Fatalf("exit status is %s, want %s", got, args[0])
				}
			},
		},
		UpdateScripts: *update || os.Getenv("UPDATE_SCRIPTS") != "",
	})
}
