package e2e

import (
	"bytes"
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/google/shlex"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/cmd/create"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
)

var grantLine = regexp.MustCompile(`(?m)^kubectl .*$`)

// kubectlFails makes kubectl's code give its errors back instead of ending the process.
var kubectlFails = sync.OnceFunc(func() {
	cmdutil.BehaviorOnFatal(func(says string, _ int) { panic(errors.New(says)) })
})

// kubectl runs the commands that a refusal prints, as an administrator who copies them would: with kubectl's own code.
func (s *stage) kubectl(refusal string) {
	s.t.Helper()
	kubectlFails()
	lines := grantLine.FindAllString(refusal, -1)
	if len(lines) == 0 {
		s.t.Fatalf("the refusal names no command that would grant it:\n%s", refusal)
	}
	admin := filepath.Join(s.t.TempDir(), "admin.kubeconfig")
	if err := s.cluster.WriteKubeconfig(admin, s.cluster.Admin()); err != nil {
		s.t.Fatal(err)
	}
	for _, line := range lines {
		words, err := shlex.Split(strings.TrimSuffix(strings.TrimRight(line, ` \`), "&&"))
		if err != nil {
			s.t.Fatal(err)
		}
		var out bytes.Buffer
		flags := genericclioptions.NewConfigFlags(true)
		flags.KubeConfig = &admin
		root := &cobra.Command{Use: "kubectl"}
		flags.AddFlags(root.PersistentFlags())
		root.AddCommand(create.NewCmdCreate(cmdutil.NewFactory(flags), genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &out}))
		root.SetArgs(words[1:])
		root.SetOut(&out)
		root.SetErr(&out)
		func() {
			defer func() {
				if failed := recover(); failed != nil {
					s.t.Fatalf("%s: %v\n%s", line, failed, &out)
				}
			}()
			if err := root.Execute(); err != nil {
				s.t.Fatalf("%s: %v\n%s", line, err, &out)
			}
		}()
	}
}
