package command

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"crashloop/notify"
)

// replyLimit bounds the sending of one answer.
const replyLimit = 5 * time.Second

// say makes a message of one paragraph.
func say(text string) notify.Message {
	return notify.Message{Text: text, Blocks: []notify.Block{{Text: []notify.Span{notify.T(text)}}}}
}

// sentence begins with a capital and ends with a stop.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return s
	}
	first, size := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(first)) + s[size:]
	if !strings.ContainsRune(".!?…:", rune(s[len(s)-1])) {
		s += "."
	}
	return s
}

// cut bounds a text to n characters.
func cut(s string, n int) string {
	runes := []rune(strings.ToValidUTF8(s, "�"))
	if len(runes) <= n {
		return string(runes)
	}
	return string(runes[:n-1]) + "…"
}

// ago says how long something has lasted, in one or two units.
func ago(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return d.String()
	case d < time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	case d < 48*time.Hour:
		return strings.TrimSuffix(strings.TrimSuffix(d.Round(time.Minute).String(), "0s"), "0m")
	}
	return strconv.Itoa(int((d+12*time.Hour)/(24*time.Hour))) + "d"
}
