package diagnose

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// proseWidth is where prose for a terminal is broken.
const proseWidth = 100

// WriteJSON writes diagnoses in the form that `crashloop diagnose -o json` promises: one array, and lists that are empty rather than
// null.
func WriteJSON(w io.Writer, diagnoses []Diagnosis) error {
	out := make([]Diagnosis, len(diagnoses))
	for i, d := range diagnoses {
		if d.Chain == nil {
			d.Chain = []Link{}
		}
		if d.Evidence == nil {
			d.Evidence = []Evidence{}
		}
		if d.Fixes == nil {
			d.Fixes = []Fix{}
		}
		if d.Alternatives == nil {
			d.Alternatives = []Alternative{}
		}
		if d.Gaps == nil {
			d.Gaps = []string{}
		}
		out[i] = d
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(out); err != nil {
		return fmt.Errorf("writing the diagnoses: %w", err)
	}
	return nil
}

// Text writes a diagnosis as prose for a terminal.
func Text(d Diagnosis) string {
	var b strings.Builder
	title := fmt.Sprintf("%s/%s", d.Subject.Namespace, d.Subject.Workload)
	if d.Subject.Container != "" {
		title += ", container " + d.Subject.Container
		if d.Subject.ContainerType != App && d.Subject.ContainerType != "" {
			title += " (" + string(d.Subject.ContainerType) + ")"
		}
	}
	b.WriteString(plain(title) + "\n")
	paragraph(&b, "", plain(d.Summary))
	state := fmt.Sprintf("Cause: %s (%s).", d.Cause, d.Confidence)
	if d.Restarts > 0 {
		state += fmt.Sprintf(" Restarts: %d.", d.Restarts)
	}
	if d.ExitCode != nil {
		state += fmt.Sprintf(" Exit code: %d, %s.", *d.ExitCode, ExitCode(*d.ExitCode))
	}
	if t, err := time.Parse(time.RFC3339, d.NextRetry); err == nil {
		state += fmt.Sprintf(" Next start: about %s.", t.UTC().Format("15:04:05 MST"))
	}
	paragraph(&b, "", state)
	if len(d.Chain) > 1 {
		b.WriteString("\nHow it comes about\n")
		for i, l := range d.Chain {
			arrow := ""
			if i > 0 {
				arrow = "because "
			}
			paragraph(&b, "  ", arrow+plain(l.Object)+": "+plain(l.Says))
		}
	}
	if d.Change != nil {
		b.WriteString("\nWhat changed\n")
		paragraph(&b, "  ", fmt.Sprintf("%s, %s: %s", d.Change.At.UTC().Format("2006-01-02 15:04:05 MST"), plain(d.Change.Object), plain(d.Change.Says)))
	}
	if len(d.Evidence) > 0 {
		b.WriteString("\nEvidence\n")
		for _, e := range d.Evidence {
			paragraph(&b, "  ", plain(e.Source)+": "+plain(e.Text))
		}
	}
	if len(d.Fixes) > 0 {
		b.WriteString("\nWhat to do\n")
		for i, f := range d.Fixes {
			paragraph(&b, "  ", fmt.Sprintf("%d. %s", i+1, plain(f.Title)))
			if f.Command != "" {
				b.WriteString("       " + plain(f.Command) + "\n")
			}
			for line := range strings.Lines(f.Patch) {
				b.WriteString("       " + strings.TrimRight(plain(line), " \n") + "\n")
			}
		}
	}
	if len(d.Alternatives) > 0 {
		b.WriteString("\nWhat else it may be\n")
		for _, a := range d.Alternatives {
			paragraph(&b, "  ", fmt.Sprintf("%s (%s): %s", a.Cause, a.Confidence, plain(a.Says)))
		}
	}
	if len(d.Gaps) > 0 {
		b.WriteString("\nWhat could not be seen\n")
		for _, g := range d.Gaps {
			paragraph(&b, "  ", plain(g))
		}
	}
	excerptText(&b, d.Excerpt)
	return b.String()
}

// excerptText writes the lines of the log that matter.
func excerptText(b *strings.Builder, x Excerpt) {
	if x.Empty {
		b.WriteString("\nThe log of " + plain(x.Container) + " is empty.\n")
	}
	if len(x.Lines) == 0 {
		return
	}
	b.WriteString("\nLog of " + plain(x.Container))
	if x.Previous {
		b.WriteString(", previous run")
	}
	b.WriteString("\n")
	before := 0
	for _, l := range x.Lines {
		if before > 0 && l.Number > before+1 {
			b.WriteString("         ...\n")
		}
		before = l.Number
		mark := " "
		if l.Cited {
			mark = ">"
		}
		fmt.Fprintf(b, "%s %6d %s\n", mark, l.Number, plain(l.Text))
	}
}

// plain makes a text from a cluster safe to print on a terminal: no control characters, on one line.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return ' '
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return -1
		}
		return r
	}, s)
}

// paragraph writes a text broken into lines, the later ones indented a little more.
func paragraph(b *strings.Builder, lead, text string) {
	width := 0
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
			b.WriteString(lead)
			width = len(lead)
		case width+1+n > proseWidth:
			b.WriteString("\n" + lead)
			width = len(lead)
			if lead != "" {
				b.WriteString("  ")
				width += 2
			}
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += n
	}
	b.WriteByte('\n')
}

// Explain writes a rule's documentation for a terminal.
func Explain(r Rule) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s - %s\n", r.ID, r.Title)
	fmt.Fprintf(&b, "Category: %s\n", r.Category)
	for _, part := range []struct{ title, text string }{{"What it means", r.Doc.Means}, {"How to see it by hand", r.Doc.Confirm}, {"How to mend it", r.Doc.Mend}, {"Source", r.Doc.Source}} {
		b.WriteString("\n" + part.title + "\n")
		paragraph(&b, "  ", strings.ReplaceAll(part.text, "`", ""))
	}
	return b.String()
}

// Markdown writes the whole catalogue as one page, docs/causes.md.
func Markdown(rules []Rule) string {
	var b strings.Builder
	b.WriteString("# The causes of a crash loop\n\nWhat `crashloop` recognizes, and what `crashloop explain ID` says of each. This page is generated from the rules; do not edit it.\n")
	for _, c := range Categories() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", c.ID, c.Means)
		for _, r := range rules {
			if r.Category != c.ID {
				continue
			}
			fmt.Fprintf(&b, "\n### %s\n\n**%s.**\n\n%s\n\n*How to see it by hand.* %s\n\n*How to mend it.* %s\n\n*Source:* %s\n", r.ID, r.Title, r.Doc.Means, r.Doc.Confirm, r.Doc.Mend, r.Doc.Source)
		}
	}
	return b.String()
}
