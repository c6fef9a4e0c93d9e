package rules

import "crashloop/diagnose"

// The vocabulary of last words: nouns of what a program speaks of, and the verbs with which it refuses them.
const (
	// aSetting is what a configuration is made of; aPart is what its parts are called, and many another thing, too.
	aSetting = `(?:config\w*|settings?|param(?:eter)?s?|propert(?:y|ies)|directives?|variables?|dsn|sslmode|(?:connection|conninfo) (?:info )?string|listeners?|pipelines?|stanzas?|ya?ml|toml|hocon|[\w-]+\.(?:conf|cnf|cfg|ya?ml|json|toml|xml|ini|hcl|properties)|secret_key|(?:e-?mail|bind|listen|advertised?) address(?:es)?|(?:endpoint|service|server|base|issuer|callback|redirect) ur[li]s?)`
	aPart    = `(?:options?|attributes?|fields?|values?|sections?|templates?|entr(?:y|ies)|urls?|uris?|dsn|(?:ip|ipv4|private|server|broker|node) ?address(?:es)?|ports?|hosts?|hostnames?|domains?|(?:local|user|role|bucket|topic|cluster|server|node|host|class|driver|plugin) names?|keys?|modes?|types?|levels?|formats?|schemes?|\w*intervals?|\w*timeouts?|sizes?|[A-Z][A-Z0-9]*_[A-Z0-9_]+|[a-z]\w*(?:[._][a-z]\w*)+)`
	// heldUp is a name or value that a line holds up: in quotation marks, with dots, underlines or an equals sign, a flag, a path.
	heldUp = `["'` + "`" + `\[(=][\w./:@*-]{2,}|\b[a-z]\w*[._][a-z]\w+|\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b|(?:^|\s)--?[a-z][\w-]+|(?:^|\s)/[\w.-]+/`
	// notTaken is what a program says of a setting that it does not take.
	notTaken = `(?:invalid|unknown|unrecogni[sz]ed|unsupported|illegal|malformed|incorrect|(?:is|was|are) (?:wrong|bad|insecure|deprecated|obsolete|required|missing|duplicated?|ambiguous|not (?:a |an )?(?:valid|recogni[sz]ed|supported|allowed|permitted|accepted|known|set|defined|configured|unique|an?))|must (?:not )?(?:be|have|contain|start|end|match|include|specify|provide)|should (?:not )?be|needs? to be|ha(?:s|ve) to be|(?:cannot|can't|may not) (?:be|have|contain|start with|end with)|expected|no longer (?:valid|supported|used)|does(?: not|n't) (?:appear|seem|look|exist)|out of range|conflicts?|mutually exclusive|refusing|refused|insecure|please,? (?:re)?(?:set|configure|use|specify|change|check)|could(?: not|n't) (?:find|parse|be parsed)|validation)`
	// aChoice is what a setting chooses one of.
	aChoice = `(?:type|engine|backend|driver|provider|method|mode|store|secret-store|storage|format|scheme|protocol|strategy|policy|algorithm|dialect|adapter|registry|allocator|section|remote|profile|context|compression|encoding|codec|balancer|resolver|exporter|receiver|processor|extension|connector|authenticator|mechanism)s?`
	// aNeed is what a part of a program cannot do without.
	aNeed = `(?:bucket|host|hostname|url|uri|path|region|endpoint|address|addresse|database|dsn|port|domain|zone|tenant|project|account|cluster name|client id)`
	// wentWithout is how a program says that it goes on.
	wentWithout = `|using (?:the |a )?default|defaulting|falling back|will be used|using .{0,40} instead|\bignor(?:ed|ing)\b|continuing|without it|(?:[^e]|[^b]e) disabled\b|\bdisabling\b|\boptional(?:$|[^ ]| [^v])`
	// kept is what a program keeps on its volume or in its database.
	kept = `(?:data ?(?:bases?|dir(?:ector(?:y|ies))?|files?|stores?|sets?|folders?|paths?|volumes?|versions?)|databases?|stor(?:e|es|age)|ind(?:ex|exes|ices)|segments?|shards?|volumes?|journals?|wal|write[- ]ahead log|raft(?: log| group)?|snapshots?|checkpoints?|manifests?|metadata|format(?:\.json)?|superblock|object store|blob store|bluefs|bluestore|rocksdb|leveldb|lmdb|badger|bolt(?:db)?|sqlite|schemas?|tablespaces?|keyspaces?|replicas?|deployment|epoch|cookie|change ?log(?: file)?|commit ?log|log (?:file|segment|entry|entries)|on[- ]disk|feature table|dump|backup|drives?|sst(?:able)?s?|meta ?store|(?:journal|log|state|store|snapshot|segment|index|data) (?:file|dir(?:ectory)?)|oplog|redo log|store address|cluster[- ]?(?:id|uuid)|instance[- ]?id|node[- ]?id|(?:active|data|disk|database|schema|file|format|store|index|cluster|feature) version)`
	// keptFiles is what of that a program has no objects of its own code called by.
	keptFiles = `(?:(?:data|log|state|storage|journal|index|ledger) (?:dir(?:ector(?:y|ies))?|files?|folders?|paths?|segments?)|data ?dir|databases?|wal|write[- ]ahead log|manifests? file|superblock|rocksdb|tablespaces?|keyspaces?|commit ?logs?|sst(?:able)?s?|meta ?store|(?:cluster|directory|instance|node|broker|bookie)[- ._]?(?:id|uuid)|(?:data|disk|database|schema|on-disk) version|metadata log)`
	// unfit is what it says of data that does not suit it.
	unfit = `(?:corrupt\w*|damaged|truncated|conflicting|(?:cannot|can't|could not) be (?:repaired|recovered|restored)|inconsisten\w*|mismatch\w*|(?:does|do|did)(?: not|n't) match|unsupported version|(?:is |are )?not (?:the )?same|not matching|(?:is |are )?different from|different (?:cluster|deployment|database|version|node|instance|member)|belongs? to (?:multiple|several|more than one|another|other|a different|different)|incompatible|(?:is |are )?(?:lower|higher|newer|older|greater|less|earlier|later|ahead|behind) (?:than|of)\b|too (?:old|new)|(?:upgrade|downgrade|migration) (?:is )?(?:needed|required|detected)|(?:needs?|ha[sv]e?|must|run|requires?) .{0,30}?(?:upgrad\w+|migrat\w+|initiali[sz]\w+|repair\w*)|already (?:registered|initiali[sz]ed|bootstrapped|locked)|duplicated?|(?:failed|unable|cannot|can't|could not|couldn't) (?:to |be )?(?:replay(?:ed)?|recover(?:ed)?|mount(?:ed)?|restored?|rebuil[dt]|deseriali[sz]ed?|verif(?:y|ied)|read (?:journal|state|snapshot|segment|index|manifest|log))|unknown to (?:this|the) version|does not exist|never (?:been )?initiali[sz]ed|information not found|(?:already )?used by (?:another|a different)|record type|lost\+found|bad magic|checksum|short read|unexpected (?:end|eof)|not (?:yet |been )?initiali[sz]ed|(?:invalid|unexpected|unknown|orphan\w*|stale|unrecogni[sz]ed) (?:\w+ )?(?:file|entry|record|header|block|magic|directory))`
	// another is what is about another cause; aside is what neither data nor settings are about.
	another = `(?i)connection|connect to|\brpc error: |\btls: |handshake|time[ds]? out|(?:i/o|handshake|request|read|dial|lock|query) timeout|timeout (?:waiting|while|after|exceeded|expired|reached|was|of)\b|: timeout\b|permission denied|access denied|no such file|not authori[sz]ed|unauthori[sz]ed|forbidden|x509|no space left|too many open|(?:node(?:\.js)?|npm|python|java|jdk|ruby|php|go|glibc)\b.{0,20}version`
	aside   = another + `|certificate`
)

// dataShapes are last words about data that does not suit the program.
func dataShapes() []diagnose.Shape {
	const setting = `|\b(?:config\w*|settings?|options?|parameters?|arguments?|environment|variables?|listeners?|pipelines?|ya?ml|password|token|credentials?|licen[cs]e)\b`
	speaks := func(noun string) string {
		return `(?i)\b` + noun + `\b.{0,80}?\b` + unfit + `|\b` + unfit + `\b.{0,60}?\b` + noun + `\b`
	}
	return []diagnose.Shape{
		{Name: "end", Traced: true, Regexp: speaks(kept), Unless: aside + setting},
		{Name: "end", Regexp: `(?i)\bdatabase initiali[sz]ation (?:error|failed|failure)\b|\bduring loading data from (?:db|database)\b`, Unless: aside + setting},
		// A store's own code throws it as it opens its files.
		{Name: "end", Thrown: true, Regexp: speaks(keptFiles), Unless: aside + setting},
	}
}

// settingShapes are last words about a setting that the program does not take.
func settingShapes() []diagnose.Shape {
	const noVariable = `|(?-i:\b(?:no|without|missing|lacks?|misses) [A-Z][A-Z0-9]*_)`
	const unless = aside + wentWithout + noVariable + `|\bto (?:turn on|see|get more|debug|suppress|silence|increase)\b|(?:config|expected|newest|latest) version|\b(?:corrupt\w*|lock|checksum|wal|raft|shards?|segments?|journal|change ?log|lost\+found|manifest|snapshot|rdb|sstable)\b`
	refuses := func(noun string) string {
		return `(?i)\b` + noun + `['"` + "`" + `)\]]?.{0,60}?\b` + notTaken + `\b|\b` + notTaken + `\b.{0,50}?\b` + noun + `\b`
	}
	return []diagnose.Shape{
		{Name: "end", Traced: true, Panicked: true, Thrown: true, Regexp: refuses(aSetting), Unless: unless},
		{Name: "end", Panicked: true, Regexp: refuses(aPart), Also: heldUp, Unless: unless},
		// What a value must be, what goes together, what is none of the choices that there are.
		{Name: "end", Panicked: true, Regexp: `(?i)\b\w[\w.-]* (?:must|should|needs? to|has to) be (?:an? )?(?:strictly )?(?:positive|non-?negative|non-?zero|odd|even|greater|larger|bigger|higher|less|lower|smaller|at (?:least|most)|between|in the range|within|>=?|<=?)` +
			`|\brequires? .{1,60} to be (?:set|configured|specified|enabled|defined|provided|given|disabled)\b|\bcluster requires [\w -]{0,20}\b(?:name|id)\b` +
			`|\b(?:unknown|unsupported|unrecogni[sz]ed) (?:\w+[ -]){0,3}` + aChoice + `(?: for)?:? (?:['"\x60]\S+['"\x60]|\S+$|\S+[;,] (?:expected|must|valid|supported|choose|want|allowed|available|use|should)\b)|\b` + aChoice + ` ['"\x60]?[\w.-]+['"\x60]? is (?:unsupported|unknown|unrecogni[sz]ed)\b|['"\x60][\w.:@/-]+['"\x60] (?:is )?not supported\b|, (?:optional|valid|allowed|supported|possible|available|accepted) (?:values?|formats?|options?|types?|choices?) (?:is|are)?\b` +
			`|\b(?:only|exactly|at most|at least) one of .{3,160} (?:can|may|must|should|needs? to|has to) be (?:specified|set|given|used|provided|configured|defined|enabled)\b` +
			`|\b(?:did not|didn't|could not|couldn't|cannot|can't) find (?:an? |the |any )?(?:\w+ )?` + aChoice + `\b.{0,50}['"\x60]|\bno \w+ registered for ['"\x60]` +
			`|\b(?:unknown|unsupported|unrecogni[sz]ed|invalid) .{2,40}['"\x60]\S+['"\x60],? .{0,5}\b(?:supported|valid|allowed|available|expected|choose|known) ` +
			`|\b(?:cannot|can't|can not) (?:specify|set|use|define|configure|combine) .{2,60}?(?: & | and | with | together\b| when | if | without | or )|\b` + aNeed + `s? (?:is |are )?required (?:for|in|by|when|with|if|to)\b|\bbut no [\w -]{2,30} (?:is |was |has been )?(?:configured|given|set|specified|provided)\b` +
			`|\bmultiple [\w -]{3,40} (?:specified|configured|defined|given|provided)\b|\bno [\w -]{2,40}\b(?:parameter|option|setting|field|` + aNeed + `)s? (?:was |were |is |are )?(?:provided|specified|set|given|configured)\b|\b\w*(?:driver|plugin|provider|module|codec|factory) not registered: ` +
			`|\b(?:pipeline|config\w*|dependenc(?:y|ies)|rule|route|include|graph)s?\b.{0,40}\b(?:cycle|loop) detected\b|\brequires? at least (?:one|two|\d+) \w+` +
			`|\bempty (?:list of )?(?:[\w-]+ ){0,2}(?:broker|topic|` + aNeed + `)s?\b|\b\w*(?:name|key|id|url|path|secret|host|address) is required\b|\b(?:cluster|node|bucket|server|store|instance|keeper|data) (?:name|id|key|dir|url|address) required$|\b(?:names?|values?|ports?|paths?|ids?) are the same but\b|\bconfig\w* (?:\w+ )?not found (?:for|in|under)\b` +
			`|\b\w*(?:max|min)\w* \S{1,20} (?:is )?(?:smaller|greater|less|larger|bigger|lower|higher) than \w*(?:max|min)\w*\b` +
			`|\b[a-z][a-z0-9+]*://[a-z][a-z0-9+]*://[\w.-]+(?:/|$)|\bcannot use .{2,60} as (?:an? |the )?(?:path|name|address|prefix|suffix|key|id|bucket|host|port)\b|\bonly (?:an? )?(?:odd|even|one|two|three|\d+) .{2,40} (?:is|are) (?:supported|allowed|accepted)\b|\b(?:is|are) mandatory\b|\bis already (?:defined|declared)\b|\bnot allowed to (?:enable|set|use|configure)\b|\bempty (?:\w+ )?(?:password|token|secret|key|name|value)s? (?:is|are) not (?:allowed|permitted|supported)\b|\bmissing [\w -]{3,40} (?:under|in) [a-z]\w*(?:\.\w+)+`, Unless: another + wentWithout + noVariable},
		// What a library is handed as it is made, in short words: "supabaseUrl is required.", "No key set", "Invalid endPoint".
		{Name: "thrown", Foreign: true, Regexp: `(?i)(?:^|: )(?:\.?[\w.]{2,40} (?:is |are )?required\b|missing (?:required )?(?:\w+ ){0,2}(?:key|token|secret|url|id|password|username|connection)\b|no (?:\w+ ){1,2}set\b|invalid (?:endpoint|protocol|url|uri|host|port|address|connection string|cron)\b|\w+ requires an? \w+|(?:unrecogni[sz]ed|invalid|unknown|unsupported) (?:\w+ ){0,2}(?:expression|time ?zone|region|locale|dialect|duration|interval|schedule)\b|.{1,80} is an? invalid (?:\w+ ){0,2}(?:url|uri|expression)\b)|\blevel\b.{1,30} must be (?:included|one)\b`, Unless: unless},
		// Whom it tells what to say, and what is not among its parts.
		{Name: "end", Traced: true, Panicked: true, Thrown: true, Regexp: `(?i)\b(?:must|should|ha(?:s|ve) to|needs? to) (?:specify|declare|configure) (?:its|your|an?|the|at least|one|either|both)\b.{2,60}|\b(?:module|plugin|extension|driver|provider|backend|vectorizer) ['"\x60][\w./-]+['"\x60] (?:is )?not (?:present|enabled|registered|available|known)\b`, Unless: unless},
		// A server's own code throws it as it starts: what it was given does not do.
		{Name: "thrown", Traced: true, Regexp: `\bIllegalArgumentException: \S`, Unless: unless},
	}
}

// argumentShapes are last words about flags that do not go together, and about what one lacks.
func argumentShapes() []diagnose.Shape {
	return []diagnose.Shape{{Name: "whole", Panicked: true, Regexp: `(?i)\bonly one of --[a-z]|\bmust not (?:combine|mix) .{2,60}flags?\b|\bboth --[a-z][\w.-]+ and --[a-z]|--[a-z][\w.-]+ and --[a-z][\w.-]+ (?:cannot|can't|can not|must not|may not) be\b|\b[a-z][\w.-]+ (?:command[- ]line )?flag (?:cannot|can't|must not|may not|must|has to|needs to) (?:be|have)\b|\bplease specify .{1,60}\((?:-\w or )?--[a-z][\w-]+\)|\bextra command[- ]line arguments?\b|--[a-z][\w.-]+ (?:\w+ )?(?:cannot|can't|must not|may not) be (?:the )?(?:same as|equal to) --[a-z]|--[a-z][\w.-]+ has \S+ but missing from --[a-z]|\bneed to specify [\\'"]*--[a-z]|--[a-z][\w-]+ (?:option|flag|argument|parameter|switch) (?:has been|is|was) (?:deprecated|removed|retired)\b|\bduplicate --?[a-z]\w+ (?:values?|flags?|arguments?)\b`, Unless: `(?i)` + wentWithout[1:]}}
}

// variableShapes are last words that ask for an environment variable by its name.
func variableShapes() []diagnose.Shape {
	return []diagnose.Shape{
		{Name: "words", Panicked: true, Regexp: `(?i:\b(?:set|define|provide|specify|pass|add|export|need|requires?|missing|accept|via|using|with|without|environment)\b).{0,80}?\b(?P<env>[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b`, Unless: `(?i)\bkernel\b|\bCode: \d+\.`},
		{Name: "accept", Regexp: `(?:(?i:\bset(?:ting)? (?:the )?env(?:ironment)? var(?:iable)? )|(?:^|[\s"'` + "`" + `(])(?:-e|--env)[ =]["']?)(?P<env>[A-Z][A-Z0-9_]{2,60})=`},
	}
}

// fileLimitShapes are last words about the number of files that the program may open.
func fileLimitShapes() []diagnose.Shape {
	return []diagnose.Shape{{Name: "files", Regexp: `(?i)\b(?:file (?:descriptors?|handles?)|open files|rlimit|rlimit_nofile|nofile|ulimit(?: -n)?|fd limit)\b.{0,80}(?:too (?:small|low|few)|(?:under|below) the minimum|insufficient|not enough|expect|increase|raise|at least|exceed|fail)|(?:fail\w*|unable|cannot|could not) .{0,30}\b(?:rlimit|file descriptors?|open files|ulimit)\b`}}
}

// kernelShapes are last words about a setting of the kernel.
func kernelShapes() []diagnose.Shape {
	return []diagnose.Shape{{Name: "kernel", Regexp: `(?i)\bsysctl -w \S+|(?:^|[\s'"` + "`" + `(\[/])(?:vm|net|kernel|fs)[./](?:[a-z0-9_]+[./])*[a-z0-9_]+\b.{0,60}(?:too low|too small|must|at least|expect|require|increase|set|enable)|(?:set|increase|raise|enable) .{0,30}\b(?:vm|net|kernel|fs)\.[a-z0-9_.]+`}}
}

// credentialShapes are last words about credentials that the other side does not accept.
func credentialShapes() []diagnose.Shape {
	// client-go tells of a token that the API server does not take in one word, whatever it was asked for.
	const api = `(?i)\b(?:k8s|kubernetes|kube-?api\w*|api-?server|v1\.[A-Z]\w+)\b.{0,160}(?:[:=] ?"?Unauthorized\b\W*(?:$|\w+=)|the server has asked for the client to provide credentials)`
	return []diagnose.Shape{{Panicked: true, Regexp: api}, {Traced: true, Panicked: true, Regexp: `(?i)\b(?:access key|api key|join key|api token|credentials?|password|auth token|access token|username|user name|login|principal)\b.{0,60}(?:does not exist|(?:is |was )?(?:not (?:valid|recogni[sz]ed|known|authori[sz]ed|accepted)|rejected|denied|refused|expired|revoked|incorrect|wrong)|mismatch)|(?:incorrect|wrong|unknown|expired|rejected|revoked) (?:\w+ ){0,2}(?:credentials?|password|access key|api key|token|login)\b`, Unless: `(?i)\bmust (?:be|contain|have)|at least \d+|too (?:short|weak)|not set|missing`}}
}

// fileShapes are last words about a file that is missing, which name it after they have said so.
func fileShapes() []diagnose.Shape {
	return []diagnose.Shape{{Name: "words", Panicked: true, Regexp: `(?i)\b(?:unable|failed|cannot|could not|can't|couldn't|error) (?:to )?open(?:ing)? (?:the )?(?:[\w-]+ ){0,3}['"]?(?P<path>/[^\s'",;()]+?)['"]?\.?$`}, {Name: "words", Panicked: true, Regexp: `(?i)\b(?:file|script|keyfile|keystore|certificate|directory)s? (?:is|are|was|were) (?:missing|not (?:found|there|present)|absent)\b:?.{0,20}?['"(]?(?P<path>/[^\s'",;()]+)`}}
}
