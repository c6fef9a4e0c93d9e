package command

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"words":                    {"logs shop/web --tail 5", []string{"logs", "shop/web", "--tail", "5"}},
		"nothing":                  {"  ", []string{}},
		"quotes":                   {`logs web --grep "a b" --since '1h'`, []string{"logs", "web", "--grep", "a b", "--since", "1h"}},
		"curly quotes":             {"logs web --grep “a b”", []string{"logs", "web", "--grep", "a b"}},
		"German quotes":            {"logs web --grep „a b”", []string{"logs", "web", "--grep", "a b"}},
		"curly single quotes":      {"logs web --grep ‘a b’", []string{"logs", "web", "--grep", "a b"}},
		"an em dash":               {"logs web —previous", []string{"logs", "web", "--previous"}},
		"an en dash":               {"logs web –previous", []string{"logs", "web", "--previous"}},
		"a dash between words":     {`logs web --grep "a — b"`, []string{"logs", "web", "--grep", "a — b"}},
		"a no-break space":         {"logs\u00a0web", []string{"logs", "web"}},
		"a zero-width space":       {"logs\u200b web", []string{"logs", "web"}},
		"what Slack made a link":   {"describe <http://web.shop|web.shop>", []string{"describe", "web.shop"}},
		"what Slack escaped":       {`logs web --grep "a &lt;b&gt; &amp;&amp; c"`, []string{"logs", "web", "--grep", "a <b> && c"}},
		"an escaped escape":        {`logs web --grep "&amp;lt;"`, []string{"logs", "web", "--grep", "&lt;"}},
		"nothing is expanded":      {"restart $(reboot) `id` $HOME *", []string{"restart", "$(reboot)", "`id`", "$HOME", "*"}},
		"a semicolon is no end":    {"restart web;rm -rf /", []string{"restart", "web;rm", "-rf", "/"}},
		"a backslash":              {`logs web --grep a\ b`, []string{"logs", "web", "--grep", "a b"}},
		"invalid UTF-8":            {"logs w\xffeb", []string{"logs", "w�eb"}},
		"a newline between words":  {"logs\nweb", []string{"logs", "web"}},
		"a flag with equals, dash": {"logs web —tail=5", []string{"logs", "web", "--tail=5"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := split(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSplitRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"an open quote":      {`logs web --grep "a b`, "has no end"},
		"a last backslash":   {`logs web \`, "has no end"},
		"too long":           {"logs " + strings.Repeat("x", maxLine), "bytes long"},
		"control characters": {"logs \x1b[31mweb", "control characters"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := split(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	s := newStage(t)
	for _, line := range []string{"", "help", " HELP "} {
		holds(t, s.types(t, line), "/crashloop list [NAMESPACE]", "/crashloop restart NAME", "/crashloop scale-to-zero NAME", "/crashloop scale-back NAME",
			"/crashloop logs NAME", "/crashloop describe NAME", "/crashloop diagnose NAME", "/crashloop whoami", "/crashloop help [COMMAND]")
	}
	for _, line := range []string{"help logs", "logs --help", "logs web -h"} {
		holds(t, s.types(t, line), "/crashloop logs NAME [flags]", "--previous", "--container", "--tail", "--since", "--grep", "--namespace", "examples:")
	}
	for _, c := range s.commands {
		holds(t, s.types(t, "help "+c.name), "/crashloop "+c.name)
	}
	if len(s.ran)+len(s.queries)+len(s.asked) > 0 {
		t.Error("asking for help does something")
	}
}

func TestMistakesAreExplained(t *testing.T) {
	for line, want := range map[string][]string{
		"restrat web":                      {`There is no command "restrat"`, "/crashloop restart"},
		"help lgos":                        {`There is no command "lgos"`, "/crashloop logs"},
		"restart":                          {"NAME is missing.", "/crashloop restart NAME"},
		"restart web api":                  {`"api" is one too many`, "/crashloop restart NAME"},
		"whoami x":                         {`whoami takes no arguments, and was given "x"`},
		"logs web --contaner x":            {"did you mean --container?", "/crashloop logs NAME [flags]"},
		"whoami --x":                       {"whoami has no flags"},
		"logs web --tail many":             {"many", "--tail"},
		"logs web --tail 0":                {"--tail is 0; it can be 1 to 5000"},
		"logs web --tail 999999":           {"--tail is 999999"},
		"logs web --since yesterday":       {"yesterday", "--since"},
		"logs web --since -5m":             {"--since is -5m0s"},
		"logs web --grep '('":              {"--grep is not a regular expression: missing closing )"},
		"logs web --container 'x;y'":       {`"x;y" cannot be the name of a container`},
		`logs web --grep "`:                {"has no end"},
		"list 'a b'":                       {`"a b" cannot be the name of a namespace`},
		"restart 'web; rm -rf /'":          {`"web; rm -rf " cannot be the name of a namespace`},
		"restart $(reboot)":                {`"$(reboot)" cannot be the name of an object`},
		"restart `id`":                     {"\"`id`\" cannot be the name of an object"},
		"restart ../..":                    {`".." cannot be the name of a namespace`},
		"restart ../../etc":                {`".." is not a kind`},
		"restart shop/../web":              {`".." is not a kind`},
		"restart a/b/c/d":                  {`"a/b/c/d" is not a name`},
		"restart shop/secret/x":            {`"secret" is not a kind`},
		"restart WEB":                      {`"WEB" cannot be the name of an object`},
		"restart /web":                     {`"" cannot be the name of a namespace`},
		"restart shop/":                    {`"" cannot be the name of an object`},
		"restart shop/web -n pay":          {"The name says namespace shop, and --namespace says pay"},
		"restart web -n 'x y'":             {`"x y" cannot be the name of a namespace`},
		"restart ''":                       {`"" cannot be the name of an object`},
		"restart <!channel>":               {`"<!channel>" cannot be the name of an object`},
		"describe web --previous":          {"Unknown flag: --previous.", "/crashloop describe NAME"},
		"logs web --grep " + longPattern(): {"--grep has 301 bytes"},
	} {
		t.Run(line, func(t *testing.T) {
			s := newStage(t)
			holds(t, s.types(t, line), want...)
			if len(s.ran)+len(s.queries)+len(s.described) > 0 {
				t.Error("it was done")
			}
		})
	}
}

func longPattern() string { return strings.Repeat("a", 301) }

func FuzzCommand(f *testing.F) {
	for _, seed := range []string{
		"", "help", "logs web --previous -c web --tail 5 --since 1h --grep \"(?i)x\"", "restart shop/deployment/web", "restart web; rm -rf /", "restart $(x)",
		"logs “web” —previous", "list shop", "describe <http://a.b|a.b>", "scale-to-zero ../..", "whoami", "diagnose \\", "logs '\"'", "x#y", "logs web --grep '('",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		s := newStage(t)
		s.only("shop")
		m := s.types(t, line)
		if m.Text == "" {
			t.Errorf("%q has an answer without text", line)
		}
		if strings.Contains(text(m), "ledger") && !strings.Contains(line, "ledger") {
			t.Errorf("%q shows a name of a namespace that the person may not see: %s", line, text(m))
		}
		for _, q := range s.ran {
			if err := q.Target.Validate(); err != nil {
				t.Errorf("%q asked for %v: %v", line, q.Target, err)
			}
		}
		for _, q := range s.queries {
			if q.Tail < 1 || q.Tail > grepTail || q.Since < 0 {
				t.Errorf("%q reads %+v", line, q)
			}
		}
	})
}

func TestACommandOfAStrangerDoesNothing(t *testing.T) {
	s := newStage(t)
	s.unmapped = true
	for _, line := range []string{"list", "logs web", "logs shop/pod/web-1-a", "describe shop/deployment/web", "diagnose web", "whoami"} {
		holds(t, s.types(t, line), "eve is not in the access file.", "!DATABASE_URL", "!web-1-a\n")
	}
	if len(s.queries)+len(s.described)+len(s.diagnosed) > 0 {
		t.Error("something was read")
	}
	if n := strings.Count(s.audit.String(), `"outcome":"refused"`); n != 5 {
		t.Errorf("%d of 5 refusals were audited:\n%s", n, s.audit.String())
	}
	holds(t, s.types(t, "help"), "/crashloop list")
}

func TestAReadOnlyBotDoesNotOfferChanges(t *testing.T) {
	s := newStage(t)
	s.o.Actions = nil
	holds(t, s.types(t, "help"), "/crashloop logs", "!restart NAME", "!scale-")
}
