package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func appMissingModule() diagnose.Rule {
	return diagnose.Rule{
		ID: "app.missing-module", Category: "app-error", Title: "A module or library that the program needs is not in the image",
		Doc: diagnose.Doc{
			Means:   "The program asks its runtime for a module, class or shared library that the image does not hold: a dependency that was not installed, a build that left it out, or a wrong path.",
			Confirm: "`kubectl logs POD --previous` names it. `kubectl run look --rm -it --image=IMAGE --command -- sh` lets one look into the image.",
			Mend:    "Add it to the image: to requirements.txt, package.json, the build's dependencies, or the system packages. If it worked before, compare the image with the last one that ran.",
			Source:  "Python ModuleNotFoundError, Node.js MODULE_NOT_FOUND, Java ClassNotFoundException, Ruby LoadError, ld.so(8)",
		},
		Log: []diagnose.Pattern{
			{Name: "python", Words: []string{"modulenotfounderror", "importerror", "no module named"}, Regexp: `(?:ModuleNotFoundError: No module named|ImportError: No module named|No module named) '?"?(?P<name>[\w.-]+)`},
			{Name: "pyimport", Words: []string{"importerror: cannot import name"}, Regexp: `ImportError: cannot import name '(?P<name>[^']+)'`},
			{Name: "node", Words: []string{"cannot find module", "cannot find package", "err_module_not_found", "module not found"}, Regexp: `(?:Cannot find (?:module|package)|Module not found: Error: Can't resolve) ['"](?P<name>[^'"]+)['"]`},
			{Name: "java", Words: []string{"classnotfoundexception", "noclassdeffounderror", "could not find or load main class"}, Regexp: `(?:ClassNotFoundException|NoClassDefFoundError): (?:Could not initialize class )?(?P<name>[\w./$-]+)|Could not find or load main class\s+(?P<main>[^-\s]\S*)`},
			{Name: "jar", Words: []string{"unable to access jarfile", "no main manifest attribute"}, Regexp: `(?:Unable to access jarfile|no main manifest attribute, in) (?P<name>\S+)`},
			{Name: "so", Words: []string{"error while loading shared libraries", "cannot open shared object file", "error loading shared library"}, Regexp: `(?:error while loading shared libraries: |[Ee]rror loading shared library )?(?P<name>[\w.+-]+\.so[.\d]*): (?:cannot open shared object file|No such file or directory)`},
			{Name: "ruby", Words: []string{"loaderror", "cannot load such file", "could not find", "gem::missingspec"}, Regexp: `cannot load such file -- (?P<name>\S+)|Could not find (?:gem '(?P<gem>[^']+)'|(?P<gem2>[\w.-]+-\d[\w.-]*)(?:, [\w., -]+)? in (?:any of the sources|locally))`},
			{Name: "dotnet", Words: []string{"could not load file or assembly", "unable to load shared library", "you must install or update .net", "framework: '", "it was not possible to find any compatible framework", "the application '"}, Regexp: `Could not load file or assembly '(?P<name>[^,']+)|The application '(?P<main>[^']+\.(?:dll|exe))' does not exist|Unable to load shared library '(?P<lib>[^']+)'|Framework: '(?P<fw>[^']+)'|(?:You must install or update|It was not possible to find any compatible framework)(?P<none>)`},
			{Name: "binding", Words: []string{"could not load the \""}, Regexp: `Could not load the "(?P<name>[^"]+)" module using`},
			{Name: "icu", Words: []string{"valid icu package", "libicu", "globalization-invariant mode"}, Regexp: `[Cc]ould ?n[o']t find a valid (?P<name>ICU) package|Only the (?P<name2>invariant) culture is supported in globalization-invariant mode`},
			{Name: "php", Words: []string{"call to undefined function", "class \"", "class '", "could not find driver", "failed opening required", "autoload", "symfony runtime is missing"}, Regexp: `Call to undefined function (?P<name>[\w\\]+)\(\)|Uncaught Error: Class ["'](?P<class>[\w\\]+)["'] not found|could not find (?P<driver>driver)|Failed opening required '(?P<file>[^']*vendor/[^']+)'|require(?:_once)?\((?P<file2>[^)]*/vendor/[^)]+)\): [Ff]ailed to open stream: No such file|(?P<file3>Symfony Runtime) is missing`},
			{Name: "elixir", Words: []string{"is not available"}, Regexp: `module (?P<name>[\w.]+) is not available`},
			{Name: "asgi", Words: []string{"could not import", "unable to load celery application", "failed to find"}, Regexp: `Could not import (?:module )?["'](?P<name>[\w.]+)["']|Unable to load celery application|Failed to find Flask application or factory in module ['"](?P<name2>[\w.]+)`},
			{Name: "attribute", Words: []string{"failed to find attribute", "error loading asgi app. attribute"}, Regexp: `Failed to find attribute '(?P<name>\w+)' in '(?P<for>[\w.]+)'|Attribute "(?P<name2>\w+)" not found in module "(?P<for2>[\w.]+)"`},
			// Another version of the language's own runtime than the image holds.
			{Name: "runtime", Words: []string{"is required", "or higher", "or later", "or newer", "or greater", "or above", "requires node", "requires python", "requires php", "requires ruby", "requires java", "require a php version", "known not to run on node", "compiled by a more recent version of", "is incompatible with this module"}, Regexp: `(?i)\b(?P<name>Node(?:\.?js)?|Python|PHP|Ruby|Java) (?:version |runtime )?["'(]?(?:>=|=|\^|~)? ?v?\d[\d.]*["')]?(?: is required| or (?:higher|later|newer|greater|above))|requires? (?:a )?(?P<name2>Node(?:\.?js)?|Python|PHP|Ruby|Java)\b(?: version)? ?["'(]?(?:>=|=|\^|~)? ?v?\d|compiled by a more recent version of the (?P<name9>Java) Runtime|known not to run on (?P<lib>Node\.js)|The engine "(?P<gem>node)" is incompatible`},
			{Name: "celery", Words: []string{"the module "}, Regexp: `^The module (?P<name>[\w.]+) was not found\.?$`},
			{Name: "engine", Words: []string{"could not locate the query engine", "query engine library for current platform"}, Regexp: `could not locate the (?P<name>Query Engine) for runtime "(?P<for>[^"]+)"|(?P<name2>Query engine library) for current platform "[^"]+" could not be found`},
			// The build itself: Next.js, Nuxt and others are started before they were built.
			{Name: "build", Words: []string{"could not find a production build", "could not find a valid build", "no build found"}, Regexp: `(?i)Could not find a (?:production|valid) build in the '(?P<name>[^']+)'`},
			{Name: "classpath", Words: []string{"classpath", "class path"}, Regexp: `(?i)\b[Aa]dd (?:an? |the |its )?(?P<name>.{3,80}?)(?: \(\w+\))? to (?:your|the) class ?path(?:[.,;)]|$)|\b(?P<name2>[\w.$-]+(?: [\w.-]+){0,3}) (?:is |was |must be )?not (?:found )?(?:on|in) (?:your |the )?class ?path\b`},
			{Name: "runtime", Words: []string{"version of sqlite", "requires sqlite", "or later is required"}, Regexp: `(?i)\bunsupported version of (?P<name>sqlite3?)\b|\brequires (?P<name2>sqlite3?) ?(?:>=|version|\d)|\b(?P<name3>SQLite) \d[\d.]* or later is required\b`},
			{Name: "lua", Words: []string{"module '"}, Regexp: `module '(?P<name>[\w./-]+)' not found:`},
			{Name: "r", Words: []string{"there is no package called"}, Regexp: `there is no package called [‘'"“](?P<name>[\w.]+)`},
			{Name: "clojure", Words: []string{"could not locate "}, Regexp: `Could not locate (?P<name>[\w./$-]+?)(?:__init\.class| or )\b.* on classpath`},
			{Name: "django", Words: []string{"error loading "}, Regexp: `Error loading (?P<name>[\w.]+)(?: or [\w.]+)? module\b`},
			{Name: "hypercorn", Words: []string{"cannot load application from"}, Regexp: `Cannot load application from '(?P<name>[^']+)', module not found`},
			{Name: "model", Words: []string{"can't find model '", "nltk downloader"}, Regexp: `Can't find model '(?P<name>[^']+)'\. It doesn't seem to be|Please use the (?P<name2>NLTK) Downloader`},
			{Name: "ruby", Words: []string{"bundler: command not found", "your ruby version is"}, Regexp: `bundler: command not found: (?P<gem>\S+)|Your (?P<name>Ruby version) is \S+, but your Gemfile specified`},
			{Name: "rack", Words: []string{"couldn't find handler for: "}, Regexp: `Couldn't find handler for: (?P<name>[\w, -]*\w)`},
			{Name: "sqlalchemy", Words: []string{"can't load plugin: "}, Regexp: `Can't load plugin: (?P<name>[\w.]+:[\w.]+)`},
			// In nobody's words in particular: "Package Genie not found in current path", "plugin 'x' is not installed".
			{Name: "words", Words: []string{"package ", "library ", "gem ", "dependency ", "extension ", "plugin "}, Regexp: `(?i)\b(?:package|library|gem|dependency|extension|plugin) ['"` + "`" + `‘]?(?P<name>[A-Za-z][\w./@-]{1,80})['"` + "`" + `’]? (?:is |was |are |could )?not (?:be )?(?:found|installed)\b`},
			{Name: "perl", Words: []string{"can't locate"}, Regexp: `Can't locate (?P<name>\S+) in @INC`},
			{Name: "postgres", Words: []string{"could not access file \"", "could not load library \""}, Regexp: `could not (?:access file|load library) "(?P<name>[^"]+)": (?:No such file|\S+: cannot open)`},
			{Name: "spark", Words: []string{"failed to load class"}, Regexp: `Failed to load class (?P<name>[\w$]+(?:\.[\w$]+)+)`},
			{Name: "mod", Words: []string{", which is missing"}, Regexp: `requires (?:any )?version (?:\S+ )?(?:or later )?of (?P<name>[\w.-]+), which is missing`},
			serverModules()[0],
			frameworkModules(),
			{Name: "java", Words: []string{"datastore driver (\""}, Regexp: `datastore driver \("(?P<name>[\w.]+)"\) was not found`}, // DataNucleus
			{Name: "suitable", Words: []string{"no suitable driver found for jdbc:"}, Regexp: `No suitable driver found for (?P<name>jdbc:\w+)`},
			{Name: "named", Words: []string{"didn't exist", "did not exist", "does not exist", "doesn't exist", "could not be found"}, Regexp: `\b(?:[Ee]xtension|[Pp]lugin|[Cc]lass|[Dd]river|[Mm]odule) \[?['"]?(?P<name>(?:/?[\w-]+[./])+[\w-]+)['"]?\]? (?:[^:;]{1,60} )?(?:did(?:n't| not) exist|does(?:n't| not) exist|could not be found)`},
			{Name: "extension", Words: []string{"extension \""}, Regexp: `(?i)could not open extension control file|extension "(?P<name>[\w-]+)" is not available`},
			// Go's time, where the image has no data of time zones and the name is of one that there is.
			{Name: "zone", Words: []string{"unknown time zone "}, Regexp: `unknown time zone \\?"?(?P<name>(?:Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific)/[A-Z]\w+)`},
			{Name: "go", Words: []string{"plugin.open("}, Regexp: `plugin\.Open\("(?P<name>[^"]+)"\)`},
		},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
				if (h.Pattern == "extension" || h.Pattern == "postgres") && h.Level != diagnose.Fatal && !servesDatabase(c) {
					return false // a client that repeats what its server lacks
				}
				return h.Level != diagnose.Warn && h.Level != diagnose.Debug && !strings.Contains(h.Text, "GLIBC") && !noClass.MatchString(h.Text) && (h.Pattern != "words" || atEnd(h))
			})
			if !ok {
				return nil
			}
			name := firstOf(strings.TrimSuffix(h.Group("name"), "__init"), h.Group("main"), h.Group("lib"), h.Group("gem"), h.Group("class"), h.Group("driver"), h.Group("file"), h.Group("fw"), "a runtime that it needs")
			f.Confidence = diagnose.Certain
			f.Keys = []string{name}
			what := "module"
			switch h.Pattern {
			case "words":
				f.Confidence = diagnose.Likely
			case "suitable":
				what, f.Confidence = "driver for", diagnose.Likely // or the URL is wrong
			case "sqlalchemy":
				what = "plugin"
			case "java":
				what = "class"
			case "so", "postgres":
				what = "shared library"
			case "spark":
				what = "class"
			case "extension":
				what = "extension"
			case "mod":
				what = "mod"
			case "ruby":
				what = "gem or file"
			case "dotnet":
				what = "assembly or runtime"
			case "jar":
				what = "jar file"
			case "attribute":
				what, name = "attribute", name+" of module "+h.Group("for")
			case "runtime":
				f.Confidence = diagnose.Likely // it says what it needs, not always that it lacks it
				f.Summary = fmt.Sprintf("%s ends because it needs another version of %s than image %s holds: %s", c.Who(), name, image(c), diagnose.Shorten(quote(strings.TrimSpace(diagnose.Say(h.Text))), 160))
			case "zone":
				f.Confidence, f.Weight = diagnose.Likely, 10 // the name may be misspelt, too
				f.Summary = fmt.Sprintf("%s ends because it finds no time zone %s: image %s seems to lack the data of time zones (tzdata)", c.Who(), name, image(c))
			case "classpath":
				f.Confidence = diagnose.Likely
				f.Summary = fmt.Sprintf("%s ends because its class path lacks something, which is not in image %s: %s", c.Who(), image(c), inSentence(h, 160))
			case "icu":
				what, name = "library", "libicu"
			case "build":
				what = "build"
			case "php":
				what = "function or class"
				switch {
				case h.Group("driver") != "":
					name = "PDO driver"
				case h.Group("file") != "":
					what = "package"
					if strings.HasSuffix(name, "vendor/autoload.php") {
						f.Summary = fmt.Sprintf("%s ends because %s is not in image %s: no PHP package was installed there (composer install)", c.Who(), name, image(c))
					}
				}
			}
			if f.Summary == "" {
				f.Summary = fmt.Sprintf("%s ends because the %s %s is not in image %s", c.Who(), what, name, image(c))
			}
			f.Advice = "Add it to the image, or go back to the image that had it"
			if strings.HasPrefix(name, "/") {
				if m, ok := mountAt(c, name); ok && m.MountPath != "/" {
					_, words := m.object(c.Subject.Namespace)
					f.Summary += fmt.Sprintf("; %s is mounted over %s and hides what the image has there", words, m.MountPath)
					f.Confidence = diagnose.Likely
				}
				if where := argued(c, name); where != "" {
					f.Evidence = append(f.Evidence, diagnose.Evidence{Source: where, Text: name})
				}
			}
			if h.Pattern == "so" && strings.HasPrefix(name, "ld-") {
				return nil // the loader itself: another libc
			}
			f.Fixes = []diagnose.Fix{{Title: "Look into the image", Command: c.Kubectl("run", "look", "--rm", "-it", "--restart=Never", "--image="+image(c), "--command", "--", "sh")}}
			return []diagnose.Finding{f}
		},
	}
}

// noClass is what Java takes for the name of its main class when an option for it is misspelt or a variable was not replaced.
var noClass = regexp.MustCompile(`(?:main class|ClassNotFoundException:)\s+(?:[${("']|X(?:m[nsx]|ss|X:|log))`)
