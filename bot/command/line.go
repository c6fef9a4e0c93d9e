package command

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/google/shlex"
)

const (
	// maxLine bounds what is typed, in bytes.
	maxLine = 2000
	// maxName is the longest name of a Kubernetes object.
	maxName = 253
)

var (
	// typography is what chat clients and phones make of quotes, dashes and spaces.
	typography = strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "«", `"`, "»", `"`, "‘", "'", "’", "'", "‚", "'", "\u00a0", " ", "\u202f", " ", "\u2060", "", "\u200b", "", "\ufeff", "")
	// dashes at the beginning of a word were two hyphens, or one that was meant to be two.
	dashes = regexp.MustCompile(`(^|\s)(—|–|―|−-|-—|-–)(\pL)`)
	// autolink is what Slack makes of what looks like an address: <http://web.shop|web.shop>.
	autolink = regexp.MustCompile(`<(?:https?://|mailto:)[^|<>\s]*\|([^<>|]*)>`)
	entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")
)

// split makes words of what was typed, as a shell would, after undoing what Slack did to it. Nothing is expanded.
func split(text string) ([]string, error) {
	if len(text) > maxLine {
		return nil, fmt.Errorf("the command is %d bytes long, and %d are allowed", len(text), maxLine)
	}
	text = strings.ToValidUTF8(text, "�")
	text = autolink.ReplaceAllString(text, "$1")
	text = entities.Replace(text)
	text = typography.Replace(text)
	text = dashes.ReplaceAllString(text, "$1--$3")
	if strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) && !unicode.IsSpace(c) }) {
		return nil, errors.New("the command has control characters in it")
	}
	words, err := shlex.Split(text)
	if err != nil {
		return nil, fmt.Errorf("a quote or a backslash in the command has no end: %w", err)
	}
	return words, nil
}
