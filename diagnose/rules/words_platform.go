package rules

import "crashloop/diagnose"

// kernelWords are what agents, drivers and storage engines say of a kernel's modules, headers and pages that the node does not have.
func kernelWords() []diagnose.Pattern {
	return []diagnose.Pattern{{
		// libbpf, and cilium/ebpf. That a program may not do it is another matter than that the kernel cannot.
		Name:   "load",
		Words:  []string{"bpf", "invalid func unknown#", "load program: ", "debugfs nor tracefs"},
		Regexp: `(?i)\blibbpf: prog '[^']+': failed to load: -(?:22|38|95|524)\b|\binvalid func unknown#\d+|\bload(?:ing)? (?:the )?e?bpf (?:program|object|collection|map|module)s?\b.{0,120}?: (?:invalid argument|operation not supported|function not implemented|unknown func)|\bload program: (?:invalid argument|operation not supported|function not implemented|not supported)|\bneither debugfs nor tracefs (?:are|is) mounted`,
	}, {
		Name: "kernel",
		Words: []string{
			"kernel module", "module is loaded", "is not loaded", "not loaded", "kernel headers", "prebuilt", "free pages available", "hugepage information", "free hugepages", "pages_needed", "kvm", "nvme_", "modprobe", "rtnetlink answers", "rule set generation", "session to kernel", "kernel does", "btf", "bpf", "xdp", "iscsid", "needs kernel", "need kernel", "requires kernel", "needs a kernel", "requires a kernel", "kernel >=", "minimum kernel",
		},
		Regexp: `(?i)kernel modules?\b.{0,60}not (?:be )?(?:loaded|found|available|inserted)|(?:^|\s)module \S{1,40} (?:is )?not loaded|make sure .{0,80}module is loaded|(?:find|missing|without|no) (?:the )?kernel headers|(?:find|no|missing|without) (?:a |any )?prebuilt (?:driver|probe|module|ebpf)|insufficient (?:free )?(?:huge ?)?pages|no free (?:\d+ kB )?hugepages|cannot get hugepage information|KVM is not (?:supported|available)|could not access KVM|failed to initialize KVM|nvme_(?:core|tcp)\b.{0,60}(?:no such file|not (?:loaded|found))|try ['"]?modprobe|RTNETLINK answers: (?:operation|protocol) not supported|could not fetch rule set generation id|cannot open session to kernel|kernel (?:does not|doesn't) (?:support|have)|(?:no|missing|without|find) (?:kernel |vmlinux )?BTF\b|BTF (?:is )?not (?:found|supported|available)|\b(?:e?bpf|xdp)\b.{0,40}\bnot supported|iscsid\b.{0,30}not running|(?:needs?|requires?) (?:a |at least )?(?:linux )?kernel (?:version )?(?:>=? ?)?v?\d|kernel >=? ?v?\d[\d.]+ (?:is )?(?:required|needed)|minimum (?:supported |required )?kernel version`,
	}}
}

// memberWords are what clustered stores say of data that belongs to a member or a time that is no longer theirs.
func memberWords() []diagnose.Pattern {
	return append(appData(), diagnose.Pattern{
		Name:   "proven",
		Words:  []string{"permanently removed from the cluster", "data-dir used by this member must be removed", "block time ranges overlap", "invalid block sequence", "cluster id mismatch", "found overlapping blocks", "already initialized, can"},
		Regexp: `(?i)permanently removed from the cluster|data-dir used by this member must be removed|invalid block sequence|block time ranges overlap|cluster id mismatch|opening storage failed:.*overlapping blocks|already initialized, can(?:'t|not) (?:be )?(?:re)?initialize`,
	})
}

// adviceWords are lines in which a program says which of its settings contradict each other or are to be made.
func adviceWords() []diagnose.Pattern {
	return append(appSettings(), diagnose.Pattern{
		Name:   "advice",
		Words:  []string{"is unknown", "is not supported", "unknown admission", "openid", "oidc", "is set but", "is set, but", "you can define one in", "you can set it in", "you can configure it in", "you can specify it in"},
		Regexp: `(?i)(?:variable|option|flag|setting|parameter) ['"]?[\w.-]+['"]? is set,? but\b|you can (?:define|set|specify|configure) (?:one|it|this|that) in .{0,40}config|\bplugin \\*"[^"\\]{1,60}\\*" is unknown|(?:^|\s)(?:setting|option|parameter|property) ['"]?\w+[-._]\w[\w.-]*['"]? is not (?:supported|recognized|known)|unknown admission (?:plugin|controller)|\b(?:oidc|openid)\b.{0,80}(?:unexpected status|returned(?: status)?(?: code)?|status code:?|: )\W*404\b`,
	})
}
