package rules

import "crashloop/diagnose"

// appSettings are the shapes in which servers that one installs say what they miss or refuse of their settings, beyond what most programs say.
func appSettings() []diagnose.Pattern {
	return []diagnose.Pattern{
		{Name: "end", Words: []string{"explicit ", "required ", "mandatory ", "refusing to", "refuses to", "refused to", "neither ", "not a ", "not an ", " bytes", " characters", " bits", "not configured", " missing", "not set", "not provided", "not specified", "corresponds to", "matches", "points to", " be empty", " be blank", " undefined", " unset", " is invalid: "}, Regexp: `(?i)\b(?:explicit|required|mandatory)\b [\w ]{1,40}? (?:not|isn't|wasn't) (?:been )?(?:provided|given|set|specified|supplied|configured)\b|\brefus(?:ing|es|ed) to (?:start|run|boot)\b.{0,60}\b(?:insecure|default|weak|missing|invalid|without|unsafe|unset|empty|placeholder)\b` +
			`|\b(?:is|are|was) neither (?:an? |the )?[\w "'-]{2,60} nor\b|\bnot an? (?:valid |proper |correct |legal )?(?:ip|ipv[46]|cidr|url|uri|address|number|integer|boolean|bool|float|duration|port|host ?name|file|directory|e-?mail|uuid|date|regular expression|base64|hex|pem|fqdn|domain)\b` +
			`|\bmust be (?:exactly |at least |at most |either |between )?\d+(?:,? (?:or|and|to)? ?\d+)* (?:bytes|characters|chars|bits|digits|symbols|letters)\b` +
			`|\b(?:forge|provider|backend|storage|database|issuer|connector|realm|listener|upstream|source|sink|target|cluster|region|bucket|domain|host|smtp|mail|auth|authentication|login|oauth|ldap|scm)s? not configured\b` +
			`|\b(?:join|node|cluster|access|private|public|session|cookie|client|shared|root|admin|api|jwt|auth|host|ssh|service|encryption|signing|master|application|app|license|licence|secret|security|server|account|bot|webhook) (?:key|secret|token|id) (?:is |was )?(?:missing|not (?:set|configured|provided|specified|defined))\b` +
			`|\b[a-z]\w*(?:[._-]\w+)* (?:cannot|can't|must not|may not|should not) be (?:empty|blank)\b` +
			`|\b(?:password|passwd|passphrase|username|secret|token|credentials?) (?:is|are|was) (?:undefined|unset|not defined|not provided)\b` +
			`|\bis invalid: \[?(?:spec|metadata|data|rules|webhooks)[\w.\[\]"-]*: (?:Invalid|Required|Unsupported|Duplicate) value\b` +
			`|\b(?:ensure|make sure)(?: that)? (?:the |your )?.{2,60}\b(?:volume|directory|path|setting|config\w*|option|value|variable)s? (?:is |are )?(?:correct|valid|set|configured|specified|corresponds?|matches|points? to)\b`},
		// A line of a file of settings, whatever its name ends in.
		{Name: "place", Words: []string{": unknown ", ": unrecognized ", ": unrecognised ", ": invalid ", ": unexpected ", ": missing ", ": undefined ", ": illegal ", ": syntax error"}, Regexp: `(?i)(?P<path>/etc/[\w./@+-]+):\d+(?::\d+)?: (?:error: )?(?:unknown|unrecogni[sz]ed|invalid|unexpected|missing|undefined|illegal|syntax error)`},
		// A file of objects whose kind or version the program does not know, what two parts of the configuration say of one thing, and what is
		// switched on and not there.
		{Name: "setting", Words: []string{"is registered for version", " registered with ", " registered under ", " registered as ", " specifies ", " declares ", "but not ", "but is not ", "no longer compatible", "not compatible with", "incompatible with", "registered implementation"}, Regexp: `(?i)no kind \\?"[^"]+" is registered for version|\bno [\w -]{2,40} registered (?:with|under|as) (?:the )?(?:name|type|key|scheme|id)\b|\bexpects? .{1,160}\bbut (?:the |its )?.{0,40}config\w* (?:file )?(?:specifies|declares)` +
			`|\b(?:plugin|module|extension|driver|backend|provider|feature|filter|theme|app|addon|add-on)\b.{0,60}\b(?:enabled|configured|requested|specified|required|activated|listed)\b.{0,20}\bbut (?:is |was |it is )?not (?:installed|available|found|loaded|compiled|enabled|configured|present)\b` +
			`|\b(?:plugin|module|extension|theme|addon|add-on|mod)s?\b.{0,60}\b(?:no longer|not|in) ?compatible with\b|didn't find a registered implementation for`},
	}
}

// appData are the shapes in which applications say that their database is another version's, half migrated, or not set up.
func appData() []diagnose.Pattern {
	return []diagnose.Pattern{
		{Name: "proven", Words: []string{"newer", "later version", "more recent", "migration lock", "migrations are locked", "lock for migration", "locked by ", "acquire lock on", "obtain lock on", "get lock on", "acquire the lock on", "storedversions"}, Regexp: `(?i)\b(?:file|directory|folder|database|storage|store|index|volume|wal|environment)\b.{0,160}\b(?:is |already |currently )?locked by (?:an?other|a different|other) (?:process|instance|program|node|server|container)|\b(?:database|data|schema|store|storage|volume|index)\b.{0,40}\b(?:was|were|been|is) (?:created|written|saved|generated|upgraded|migrated|initiali[sz]ed|opened|modified|last (?:used|opened|started|run|written)) (?:by|with|using|in|to|for|from) (?:a |an )?(?:newer|later|more recent|higher|future)\b|\b(?:cannot|can't|could not|couldn't|unable to|failed to) (?:acquire|obtain|get) (?:the |a |an )?(?:exclusive )?lock on (?:the )?(?:file|directory|data ?dir\w*|path)\b|\bstatus\.storedVersions\[\d+\]: Invalid value|\b(?:database|it|schema) (?:still )?has (?:a )?migration lock|could not (?:acquire|obtain|get) (?:the )?(?:\w+ )?(?:migration lock|lock for migration)`},
		{Name: "end", Words: []string{"table", "initialized", "initialised", "installed", "migrated", "is not", "unsupported", "too old"}, Regexp: `(?i)\b(?:database|schema)\b (?:does not|doesn't|has no|lacks|is missing)\b.{0,40}\btables?\b|\b(?:database|schema) (?:is|has) not (?:yet )?(?:been )?(?:initiali[sz]ed|installed|migrated|populated|seeded)\b|\b(?:mongodb|postgres(?:ql)?|mysql|mariadb|redis|elasticsearch|opensearch|database|server) version \(?v?\d[\w.-]*\)? is (?:not(?: supported| compatible|\W*$)|unsupported|too old)`},
	}
}
