package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func componentStateLocked() diagnose.Rule {
	field := regexp.MustCompile(`^\W*(?P<key>ID|Who|Created|Path|Operation):\s+(?P<value>.+)$`)
	return diagnose.Rule{
		ID: "component.state-locked", Category: "component", Title: "Another run holds the lock on the Terraform state",
		Doc: diagnose.Doc{
			Means:   "A Terraform, OpenTofu, Terragrunt or Atlantis runner cannot lock its state, because another run holds the lock or died without giving it back.",
			Confirm: "The log says \"Error acquiring the state lock\" and prints Lock Info: ID, Who, Created.",
			Mend:    "Wait for the other run if it lives. Only when it is dead: `terraform force-unlock ID` (or `terragrunt force-unlock ID`).",
			Source:  "developer.hashicorp.com/terraform/language/state/locking",
		},
		Log: []diagnose.Pattern{{Words: []string{"error acquiring the state lock", "error locking state", "state lock"}, Regexp: `(?i)error (?:acquiring the state lock|locking state)|state (?:is )?(?:already )?lock(?:ed)? by`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, h, ok := lastHit(c, hits, nil)
			if !ok {
				return nil
			}
			f.Confidence, f.Weight = diagnose.Certain, 70
			info := map[string]string{}
			for n := h.Line; n < h.Line+20; n++ {
				if g := groups(field, h.Log.Line(n)); g != nil {
					info[g["key"]] = strings.TrimSpace(g["value"])
					f.Evidence = append(f.Evidence, h.Log.Cite(n))
					f.Span = n
				}
			}
			f.Summary = fmt.Sprintf("%s cannot lock the Terraform state: another run holds the lock", c.Who())
			if info["ID"] != "" {
				f.Summary += fmt.Sprintf(" %s, of %s, since %s", info["ID"], firstOf(info["Who"], "someone"), firstOf(info["Created"], "some time"))
			}
			f.Advice = "Wait for that run if it lives; unlock only when it is dead"
			tool := "terraform"
			if strings.Contains(strings.ToLower(image(c)+strings.Join(c.Container.Command, " ")+strings.Join(c.Container.Args, " ")), "terragrunt") {
				tool = "terragrunt"
			} else if strings.Contains(strings.ToLower(image(c)), "tofu") {
				tool = "tofu"
			}
			f.Fixes = []diagnose.Fix{{Title: "Only when that run is dead: give the lock back", Command: diagnose.CommandLine(tool, "force-unlock", firstOf(info["ID"], "ID"))}}
			f.Unchanged = true
			return []diagnose.Finding{f}
		},
	}
}
