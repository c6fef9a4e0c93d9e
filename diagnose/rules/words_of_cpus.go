package rules

import "crashloop/diagnose"

// aFeature is a set of instructions that not every CPU has.
const aFeature = `(?:avx(?:-?2|-?512\w*)?|sse4(?:[._]?[12])?a?|ssse3|popcnt|bmi[12]|fma[34]|f16c|aes-?ni|asimd|x86-64-v[234])`

// cpuWords are how programs say that they need instructions which the node's CPU does not have.
func cpuWords() []diagnose.Pattern {
	return []diagnose.Pattern{{
		Name:  "cpu",
		Words: []string{"avx", "sse4", "ssse3", "popcnt", "bmi1", "bmi2", "fma3", "fma4", "f16c", "aes-ni", "aesni", "asimd", "x86-64-v"},
		Regexp: `(?i)\b(?:requir(?:es?|ed|ing)|needs?|lack(?:s|ing)?|missing|without|unsupported|no|(?:not|n't) (?:have|support(?:ed)?|provide|implement))\b[^.;,]{0,50}?[^\w.]` + aFeature + `\b` +
			`|\b` + aFeature + `\b(?:[^.;]{0,40}?\b(?:(?:(?:is|are|was) )?(?:required|missing|unavailable|unsupported|needed|not (?:supported|available|present|enabled|detected|found))|aren't|isn't)\b)`,
	}}
}
