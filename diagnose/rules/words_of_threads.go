package rules

import "crashloop/diagnose"

// lockWords are what programs say of a lock on their data that another run holds, or left behind: the verb that failed, and what was to be locked.
func lockWords() []diagnose.Pattern {
	return []diagnose.Pattern{{
		Words:  []string{"to lock ", "cannot lock ", "can't lock ", "could not lock ", "couldn't lock ", "to acquire", "to obtain", "to get lock", "to take lock"},
		Regexp: `(?i)(?:failed to|unable to|cannot|can't|could not|couldn't) lock (?:the )?(?:data|db\b|database|file|director|dir\b|store|storage|index|[\w.-]*/)|(?:failed|unable|failure) to (?:acquire|obtain|get|take) (?:an? |the )?(?:exclusive |file |database |data |dir(?:ectory)? )*lock (?:on|for|of|in) (?:the )?(?:data|db\b|database|file|director|store|storage|/)`,
	}, {
		// What an earlier run left, where the program wants to begin anew; and a format that it cannot read (any more).
		Name:   "end",
		Words:  []string{"pre-existing ", "preexisting "},
		Regexp: `(?i)\bpre-?existing (?:\w+ ){0,3}(?:file|director\w+|data|identity|database|config\w*|state)\b`,
	}, {
		Words:  []string{"unsupported "},
		Regexp: `(?i)\bunsupported (?:\w+ ){0,2}(?:format|layout)\b.{0,40}\b(?:detected|found)\b`,
	}, {
		Words:  []string{"another operation (install"},
		Regexp: `(?i)\banother operation \(install/upgrade/rollback\) is in progress`,
	}, {
		Words:  []string{"version information not found in"},
		Regexp: `(?i)\bversion information not found in (?:the )?(?:metastore|schema|database)\b`,
	}, {
		Words:  []string{"data-loss", "data loss", "dataloss"},
		Regexp: `(?i)\bmarked\b.{0,80}\bdata[- ]?loss\b|\bdata[- ]?loss (?:detected|occurred|state)\b|\bdetected (?:possible |potential )?data[- ]?loss`,
	}}
}

// refusalWords are what programs say of a setting that they do not start with, without words such as invalid or configuration.
func refusalWords() []diagnose.Pattern {
	return []diagnose.Pattern{
		// A file of settings and the place in it.
		{Name: "place", Words: []string{".toml, line ", ".yaml, line ", ".yml, line ", ".json, line ", ".conf, line ", ".cfg, line ", ".ini, line ", ".xml, line ", ".cnf, line ", ".properties, line ", ".hcl, line ", ".toml line ", ".yaml line ", ".yml line ", ".json line ", ".conf line ", ".cfg line ", ".ini line ", ".xml line ", ".cnf line ", ".properties line ", ".hcl line "}, Regexp: `(?P<path>/[\w./@-]+\.(?:conf|cfg|ya?ml|toml|json|ini|hcl|cnf|xml|properties)),? line \d+\b`},
		{Name: "place", Words: []string{"at line ", "on line ", "in line "}, Regexp: `(?i)\b(?:at|on|in) line \d+ (?:of|in) (?:file )?['"]?(?P<path>/[\w./@-]+\.(?:conf|cfg|ya?ml|toml|json|ini|hcl|cnf|xml|properties))\b`},
		// A variable of which the program wants no more.
		{Name: "obsolete", Words: []string{"port is deprecated", "port has been deprecated", "port is no longer supported", "port is not supported"}, Regexp: `\b(?P<var>(?:[A-Z][A-Z0-9_]*_)?PORT) (?:is|has been) (?:deprecated|no longer supported|not supported)`},
		{Name: "end", Words: []string{"valid config file", "valid configuration file"}, Regexp: `(?i)\b(?:did you|please|you must|must|need to) (?:provide|specify|pass|give|supply) an? valid config(?:uration)? file`},
		{Name: "end", Words: []string{"property has been defined", "property has been set", "property is defined", "property is set"}, Regexp: `(?i)\bno [\w-]+(?:\.[\w-]+)+ property (?:has been|is) (?:defined|set)\b`},
		{Name: "end", Words: []string{"please specify ", "please set ", "please provide ", "please configure "}, Regexp: `(?i)\bplease (?:specify|set|provide|configure) (?:the )?(?:property )?[\w-]+(?:\.[\w-]+)+(?: property)?\.?$`},
		{Name: "end", Words: []string{"refusing to start", "refuses to start", "refusing to run", "refuses to run", "refusing to boot", "not supposed to be run", "length should be at least", "length must be at least", "is registered for version \"", "is registered for version \\\""}, Regexp: `(?i)\brefus(?:ing|es) to (?:start|run|boot)\b (?:due to|because|as|with|without|until|unless|:)|\bnot supposed to be run\b|length (?:should|must) be at least \d+|\bno kind \\*"\w+\\*" is registered for version\b`},
	}
}

// deviceWords are what programs say of a device or a kind of link that the node's kernel, or the container, does not have.
func deviceWords() []diagnose.Pattern {
	return []diagnose.Pattern{{
		Name:   "kernel",
		Words:  []string{"operation not supported"},
		Regexp: `(?i)\b(?:create|add|set ?up|load|attach)\b.{0,60}\b(?:device|interface|link|program|qdisc)\b.{0,30}: operation not supported`,
	}, {
		Name:   "kernel",
		Words:  []string{"/lib/modules/"},
		Regexp: `(?i)/lib/modules/\S+/(?:build|source)\S*:? .{0,20}no such file`,
	}, {
		Name:   "kernel",
		Words:  []string{"/dev/net/tun", "/dev/fuse", "/dev/kvm", "/dev/dri", "/dev/vfio", "/dev/sgx", "/dev/neuron", "/dev/infiniband", "/dev/i2c-", "/dev/gpio", "/dev/uinput", "/dev/watchdog", "/dev/tpm", "/dev/vhost-", "/dev/mapper/"},
		Regexp: `(?i)/dev/(?:net/tun|fuse|kvm|(?:dri|vfio|infiniband)\b\S*|sgx\S*|neuron\d*|i2c-\d+|gpio\w+|uinput|watchdog\d*|tpm\w*|vhost-\w+|mapper/control)\b.{0,40}(?:no such file|not found|does not exist|no such device)`,
	}, {
		// What the kernel shows of a driver, a bus or a part of itself only where it has that.
		Name:   "absent",
		Words:  []string{"/sys/class/", "/sys/kernel/", "/sys/module/", "/sys/bus/", "/sys/fs/bpf", "/sys/firmware/", "/sys/devices/"},
		Regexp: `(?i)\b(?:open|l?stat|read ?dir|opendir|scandir|access|read|readlink|find|load|mount)\w*\b[^/\n]{0,30}/sys/(?:class|kernel|module|bus|fs/bpf|firmware|devices)\b[^\s:'"]*['"]?: .{0,20}no such file or directory`,
	}}
}
