package rules

import "crashloop/diagnose"

// lockWords are what programs say of a lock on their data that another run holds, or left behind: the verb that failed, and what was to be locked.
func lockWords() []diagnose.Pattern {
	return []diagnose.Pattern{{
		Words:  []string{"to lock ", "cannot lock ", "can't lock ", "could not lock ", "couldn't lock ", "to acquire", "to obtain", "to get lock", "to take lock"},
		Regexp: `(?i)(?:failed to|unable to|cannot|can't|could not|couldn't) lock (?:the )?(?:data|db\b|database|file|director|dir\b|store|storage|index|[\w.-]*/)|(?:failed|unable|failure) to (?:acquire|obtain|get|take) (?:an? |the )?(?:exclusive |file |database |data |dir(?:ectory)? )*lock (?:on|for|of|in) (?:the )?(?:data|db\b|database|file|director|store|storage|/)`,
	}, {
		Words:  []string{"data-loss", "data loss", "dataloss"},
		Regexp: `(?i)\bmarked\b.{0,80}\bdata[- ]?loss\b|\bdata[- ]?loss (?:detected|occurred|state)\b|\bdetected (?:possible |potential )?data[- ]?loss`,
	}}
}
