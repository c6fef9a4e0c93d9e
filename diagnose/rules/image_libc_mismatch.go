package rules

import (
	"fmt"

	"crashloop/diagnose"
)

func imageLibcMismatch() diagnose.Rule {
	return diagnose.Rule{
		ID: "image.libc-mismatch", Category: "bad-image", Title: "The program is built against another C library than the image's",
		Doc: diagnose.Doc{
			Means:   "The program was linked against a newer glibc, or against glibc while the image has musl (Alpine), or the other way round.",
			Confirm: "`kubectl logs POD --previous` says \"version `GLIBC_2.xx' not found\", or names ld-linux or ld-musl.",
			Mend:    "Build in the same base image that it runs in, use a base with that libc, or link statically (Go: CGO_ENABLED=0; Rust: a musl target).",
			Source:  "ld.so(8); wiki.musl-libc.org/functional-differences-from-glibc",
		},
		Log: []diagnose.Pattern{{Words: []string{"glibc_", "glibcxx_", "cxxabi_", "ld-linux", "ld-musl", "__memcpy_chk: symbol", "symbol not found", "relocating"}, Regexp: `version .(?P<v>(?:GLIBC|GLIBCXX|CXXABI)_[\d.]+).? not found|(?P<loader>ld-(?:linux|musl)[\w.-]*)[^\n]{0,40}(?i:no such file|not found|cannot open)|Error relocating (?P<prog>\S+):|[Ee]rror loading shared library (?P<lib>ld-linux\S+|libc\.musl\S+|libgcc_s\S+|libstdc\S+)`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, h, ok := lastHit(c, hits, nil)
			if !ok {
				return nil
			}
			f.Confidence, f.Weight = diagnose.Certain, 50
			what := firstOf(h.Group("v"), h.Group("loader"), h.Group("lib"))
			f.Summary = fmt.Sprintf("%s cannot run: it is built against another C library than the one in image %s", c.Who(), image(c))
			if what != "" {
				f.Summary += fmt.Sprintf(" (%s is not there)", what)
				f.Keys = []string{what}
			}
			f.Advice = "Build it in the base image that it runs in, or link it statically"
			f.Fixes = []diagnose.Fix{{Title: "For Go: link statically", Command: "CGO_ENABLED=0 go build ./..."}}
			return []diagnose.Finding{f}
		},
	}
}
