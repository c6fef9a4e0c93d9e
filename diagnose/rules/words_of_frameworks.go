package rules

import "crashloop/diagnose"

// What libraries and frameworks of languages other than Go say that many programs are built with: they are handed a setting and refuse it as
// they are made.

// frameworkSettings is about settings. A library throws it as a mistake in its use, in the classes of mistakes in the program itself.
func frameworkSettings() []diagnose.Pattern {
	return []diagnose.Pattern{
		{Name: "library", Words: []string{
			"dialect needs to be explicitly supplied", "expected connection string to start with", "mongoparseerror: ", "at index ", "requires a secret or key", "service account object must contain", "secretorprivatekey must have a value", "secret or public key must be provided", "wrong driver: \"", "knex: required configuration option", "err_socket_bad_port", "invalid uri scheme '", "driver class was not specified", "no such transport: ", "formatexception: ", "specified in configuration", "env-var: \"", "is not a valid nestjs", "requires a clientid option", "unknown dialect ", "driver option (", "parameter to `openuri()` must be",
		}, Regexp: `Dialect needs to be explicitly supplied|The dialect \S+ is not supported` + // Sequelize
			`|expected connection string to start with|MongoParseError: \S|parameter to .openUri\(\). must be a string` + // MongoDB's driver, Mongoose
			`|broker at index \d+ is invalid` + // KafkaJS
			`|Strategy requires a (?:secret or key|client\w+ option)` + // Passport
			`|Service account object must contain` + // Firebase
			`|secretOrPrivateKey must have a value|secret or public key must be provided` + // jsonwebtoken
			`|Wrong driver: "[^"]*" given|Driver option \(\w+\) is not set` + // TypeORM
			`|knex: Required configuration option|Unknown dialect \w+` +
			`|ERR_SOCKET_BAD_PORT` + // Node.js
			`|invalid uri scheme '[^']*'` + // Ruby's client of Redis
			`|No such transport: \w` + // kombu, of Celery
			`|\bDotenv\\Exception\\FormatException: \S` + // Symfony
			`|Non-existent interface specified in configuration` + // keepalived
			`|Driver class was not specified and could not be determined from the url` + // Liquibase
			`|env-var: "\w+" should be`},
		// Runtimes cannot make a URL, a key or a time zone of what they are given. Programs do so all day, and at their start with settings alone.
		{Name: "made", Words: []string{"typeerror: invalid url", "err_invalid_url", "rangeerror: invalid key length", "err_crypto_invalid_keylen", "err_ossl_unsupported", "decoder routines::unsupported", "bad uri(is not uri?)", "malformedurlexception: ", "urisyntaxexception: ", "invalid aes key length", "unknown time-zone id", "unsupportedcharsetexception: ", "port could not be cast to integer"}, Regexp: `TypeError(?: \[ERR_INVALID_URL\])?: Invalid URL|RangeError: Invalid key length|Error: error:1E08010C:DECODER routines::unsupported|bad URI ?\(is not URI\?\)|MalformedURLException: \S|URISyntaxException: \S|Invalid AES key length|Unknown time-zone ID|UnsupportedCharsetException: \S|Port could not be cast to integer value`},
		// What servers in C say of an address that is not theirs, a user that the image lacks, and of scripts that they compile.
		{Name: "end", Words: []string{"annot assign requested address"}, Regexp: `(?i)\b(?:listen|bind)\w*\b.{0,80}cannot assign requested address`},
		{Name: "end", Words: []string{"getpwnam(", "find the user ", "user id for", "group id for", "find uid for", "find gid for", "unknown user or group"}, Regexp: `\bgetpwnam\(|can't find the user \S+ to switch to|cannot find (?:user|group) id for|find [ug]id for (?:user|group)|unknown user or group: \S`},
		{Name: "setting", Words: []string{"message from vcc-compiler:", "configfile parser failed"}},
		{Name: "parse", Words: []string{"expected <block end>, but found", "but found '<block "}},                                                 // YAML, told over several lines
		{Name: "value", Words: []string{"unable to configure "}, Regexp: `Unable to configure (?:handler|formatter|filter|logger|root logger)\b`}, // Python's logging
		// A settings' key in camel case that a message names as its subject, as programs in JavaScript say it.
		{Name: "library", Words: []string{"rejected with the reason"}, Regexp: `rejected with the reason ".{0,60}\b(?:must be|should be|must not|should not|must contain|contains? an? invalid|cannot be|is required|are required|You cannot use|is not (?:a )?valid)\b`},
	}
}

// frameworkModules is about drivers that a library loads when a setting asks for one.
func frameworkModules() diagnose.Pattern {
	return diagnose.Pattern{Name: "driver", Words: []string{"package has not been found installed", "please install ", "database driver: ", "driver class", "total gem(s)"}, Regexp: `(?:Cannot find database driver|Cannot load driver class|Could not load JDBC driver class)(?:: | \[)(?P<name>[\w.$]+)|Failed to load driver class (?P<name>[\w.$]+)|Could not find '(?P<name>[\w-]+)' \([^)]*\)(?: - did find: .*| among \d+ total gem)|(?P<name>\w+) package has not been found installed|Please install (?P<name>[\w@/-]+) package manually`}
}

// frameworkData is about a database that migrations have not brought where the program wants it.
func frameworkData() []diagnose.Pattern {
	return []diagnose.Pattern{{Name: "library", Words: []string{"migrations are missing. please run", "migration lock was never released", "items in the migrations table than expected", "please run `yarn knex-migrator", "migration table is already locked", "migration directory is corrupt", "tables installed."}, Regexp: `Migrations are missing\. Please run|Migration lock was never released|items in the migrations table than expected|Please run .yarn knex-migrator init|Migration table is already locked|migration directory is corrupt|Database doesn't have \w+ tables installed`}}
}

// frameworkArguments is about the command line.
func frameworkArguments() []diagnose.Pattern {
	return []diagnose.Pattern{
		{Name: "argparse", Words: []string{"error: option '"}, Regexp: `error: option '(?P<arg>-[\w-]+)[^']*' argument '[^']*' is invalid(?P<why>.*)`},              // commander
		{Name: "argparse", Words: []string{"error: invalid value for '"}, Regexp: `^Error: Invalid value for '(?P<arg>-{0,2}[\w-]+)[^']*': (?P<why>.*\bis not .*)`}, // click
		{Name: "whole", Words: []string{"no application configured, nothing to run", "please point sidekiq to a rails application"}},                                // Puma, Sidekiq
		{Name: "whole", Words: []string{"must be in format \"<module>:<attribute>\""}},                                                                              // uvicorn
	}
}

// frameworkFiles is about a file that a variable names.
func frameworkFiles() diagnose.Pattern {
	return diagnose.Pattern{Name: "words", Words: []string{"failed to read value from file", "sqlite database '", "environment file", "no config file '", "no such file ", "file '", "does not exist.", "' doesn't exist", "file \""}, Regexp: `Failed to read value from file "(?P<path>/[^"]+)"` +
		`|^Error: (?:Invalid value for .{1,60}: (?:Path|File|Directory) )?'(?P<path>/[^']+)' (?:does not|doesn't) exist` + // click, gunicorn
		`|\bNo such file (?P<path>[\w./-]+\.[a-z]{1,5})$|\b(?i:cert|key|ca)(?:ificate)? file '(?P<path>/[^']+)' does not exist` + // Sidekiq, Puma
		`|Unable to read the "(?P<path>/[^"]+)" environment file` + // Symfony
		`|No config file '(?P<path>[\w./-]+)' found` + // Alembic
		`|SQLite database '(?P<path>/[^']+)' does not exist` +
		`|\b(?:cert|key|ca|log|pw|password|config)_?file "(?P<path>/[^"]+)" does not exist`}
}

// frameworkCertificates is about certificates and keys that a server cannot load, and says no more of.
func frameworkCertificates() diagnose.Pattern {
	return diagnose.Pattern{Name: "load", Words: []string{"unable to load ca certificates. check ", "unable to load server certificate ", "unable to load server key file "}} // an MQTT broker
}

// frameworkCredentials is what databases for the JVM say of a password.
func frameworkCredentials() []diagnose.Pattern {
	return []diagnose.Pattern{{Words: []string{"wrong user name or password"}, Regexp: `Wrong user name or password`}} // H2
}
