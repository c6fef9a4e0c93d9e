package diagnose

import (
	"net"
	"regexp"
	"strconv"
	"strings"
)

// Address is where a program wants to connect to.
type Address struct {
	Host string // a name or an IP address, lower case, without brackets and without the trailing dot
	Port int    // 0 when it is not known
}

func (a Address) String() string {
	if a.Port == 0 {
		return a.Host
	}
	return net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
}

// IsLocal says that the address is the pod itself.
func (a Address) IsLocal() bool {
	ip := net.ParseIP(a.Host)
	return a.Host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// maxAddressText bounds the text that is searched for addresses.
const maxAddressText = 4 << 10

// maxAddresses bounds how many are taken out of it.
const maxAddresses = 32

// addressPatterns are the forms in which programs write addresses.
type addressPatterns struct {
	url, dsn, keyword, hostPort, quoted, reversed, netcat *regexp.Regexp
}

func newAddressPatterns() *addressPatterns {
	return &addressPatterns{
		// postgres://user:pass@db:5432/shop, jdbc:postgresql://db/shop, mongodb://a:1,b:2/, amqp+ssl://...
		url: regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]{1,20})://([^\s/?#"'<>|]+)`),
		// go-sql-driver's user:pass@tcp(db:3306)/shop, oracle's jdbc:oracle:thin:@db:1521:x bash's /dev/tcp/db/5432 and what a Redis Sentinel watches
		dsn: regexp.MustCompile(`(?i)(?:@(?:tcp|tcp4|tcp6)?\(|thin:@(?://)?|/dev/tcp/|\bsentinel monitor \S+ )([a-z0-9][a-z0-9.-]*)(?:[:/ ](\d{1,5}))?`),
		// libpq's host=db port=5432, HTTPConnectionPool(host='db', port=80)
		keyword: regexp.MustCompile(`(?i)\b(?:(?:(?:db|database|pg|redis|mysql|mongo|target|upstream)[_.-]?)?(?:host|hostname|hostaddr)["']?\s*[=:]|(?:\bserver|\bdata source|\baddr|\bnetwork address)\s*=\s*(?:tcp:)?)\s*['"]?([a-z0-9][a-z0-9._-]*)['"]?(?:(?:[,;\s]+["']?(?:\w{2,8}[_.-])?port["']?\s*[=:]\s*['"]?|,)(\d{1,5})\b)?`),
		// db:5432, 10.96.0.12:5432, [fd00::1]:5432
		hostPort: regexp.MustCompile(`(?i)(?:^|[\s"'\x60(\[{=,@/#<])(\[[0-9a-f:]{2,45}\]|[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?):(\d{2,5})(?:[^0-9a-z:.]|\.(?:[^0-9]|$)|:[^0-9]|$)`),
		// server at "db" (10.96.0.12), port 5432; on host "db" ... port 5432; connect to db port 5432; server on 'db'
		quoted: regexp.MustCompile(`(?i)(?:connection to server at|connect to server at|connect to server:? on|server at|on host|to host|for host|server on|connect to|connecting to|connection to|host)\s+['"]?([a-z0-9][a-z0-9._-]*)['"]?(?:\s+\(([0-9a-f.:]+)\))?(?:,?\s+(?:and accepting TCP/IP connections on\s+)?port:?\s+(\d{1,5}))?`),
		// port 5432 on host db; port:50000 is not reachable on host jenkins
		reversed: regexp.MustCompile(`(?i)\bport[: ]\s?(\d{2,5})\b[^\n.;]{0,30}?\b(?:on|of) host ['"]?([a-z0-9][a-z0-9._-]*)`),
		// netcat: (UNKNOWN) [10.96.4.12] 5432 (postgresql) : Connection refused
		netcat: regexp.MustCompile(`\[(\d{1,3}(?:\.\d{1,3}){3})\] (\d{1,5}) \(`),
	}
}

// family takes away what gRPC and librdkafka write before an IP address: "ipv4:10.96.0.12:50051", "ipv4#10.96.0.12:9092".
var family = strings.NewReplacer("ipv4:", " ", "ipv6:", " ", "ipv4#", " ", "ipv6#", " ")

// find returns the addresses in a text, in its order, each once.
func (p *addressPatterns) find(text string) []Address {
	if len(text) > maxAddressText {
		text = text[:maxAddressText]
	}
	text = family.Replace(text)
	var out []Address
	add := func(host, port string) {
		host = strings.ToLower(strings.Trim(strings.TrimSpace(host), "[]"))
		host = strings.TrimSuffix(host, ".")
		n, _ := strconv.Atoi(port)
		if !plausibleHost(host) || n < 0 || n > 65535 || len(out) >= maxAddresses {
			return
		}
		for i, a := range out {
			if a.Host == host && (a.Port == n || n == 0) {
				return
			}
			if a.Host == host && a.Port == 0 {
				out[i].Port = n
				return
			}
		}
		out = append(out, Address{Host: host, Port: n})
	}
	for _, m := range p.url.FindAllStringSubmatch(text, 16) {
		authority := m[2]
		if i := strings.LastIndexByte(authority, '@'); i >= 0 {
			authority = authority[i+1:]
		}
		for _, part := range strings.Split(authority, ",") {
			part = strings.TrimRight(part, ".:;)]}\\")
			if strings.HasPrefix(part, "[") && !strings.HasSuffix(part, "]") && strings.Count(part, ":") > 1 && !strings.Contains(part, "]") {
				part += "]"
			}
			host, port := part, ""
			if h, q, err := net.SplitHostPort(part); err == nil {
				host, port = h, q
			}
			if port == "" {
				port = defaultPort(strings.ToLower(m[1]))
			}
			add(host, port)
		}
	}
	for _, m := range p.dsn.FindAllStringSubmatch(text, 8) {
		add(m[1], m[2])
	}
	for _, m := range p.netcat.FindAllStringSubmatch(text, 4) {
		add(m[1], m[2])
	}
	for _, m := range p.reversed.FindAllStringSubmatch(text, 4) {
		add(m[2], m[1])
	}
	for _, at := range p.keyword.FindAllStringSubmatchIndex(text, 8) {
		m := submatches(text, at)
		if rest := text[at[3]:]; strings.HasPrefix(rest, "[") || strings.HasPrefix(rest, "(") || commonWord(m[1]) && !strings.ContainsAny(m[0], "=\"'") {
			continue // host=os.environ["HOST"] in a line of source; "remote host: connect: ..."
		}
		add(m[1], m[2])
	}
	for _, m := range p.quoted.FindAllStringSubmatch(text, 8) {
		if quoted := strings.ContainsAny(m[0], `'"`); commonWord(m[1]) && (m[3] == "" && !namesHost(m[0]) || !quoted && !strings.Contains(text, "curl: (")) {
			continue
		}
		add(m[1], m[3])
	}
	for rest := text; len(rest) > 0; { // neighbours share the character between them, which FindAll would skip
		at := p.hostPort.FindStringSubmatchIndex(rest)
		if at == nil || len(out) >= maxAddresses {
			break
		}
		if host := rest[at[2]:at[3]]; !labelOfNumber(host) && !placeInSource(host, rest[at[5]:]) {
			add(host, rest[at[4]:at[5]])
		}
		rest = rest[at[5]:]
	}
	return out
}

// namesHost says that what stands in quotes is called a server or host: "MySQL server on 'mysql'".
func namesHost(text string) bool {
	text = strings.ToLower(text)
	for _, w := range []string{"server on '", `server on "`, "server at '", `server at "`, "host '", `host "`} {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

func submatches(text string, at []int) []string {
	out := make([]string, 0, len(at)/2)
	for i := 0; i+1 < len(at); i += 2 {
		if at[i] < 0 {
			out = append(out, "")
			continue
		}
		out = append(out, text[at[i]:at[i+1]])
	}
	return out
}

// defaultPort is a scheme's port where leaving it out is usual.
func defaultPort(scheme string) string {
	switch scheme {
	case "http", "ws":
		return "80"
	case "https", "wss":
		return "443"
	case "postgres", "postgresql":
		return "5432"
	case "mysql", "mariadb":
		return "3306"
	case "redis", "rediss":
		return "6379"
	case "mongodb":
		return "27017"
	case "amqp":
		return "5672"
	case "amqps":
		return "5671"
	case "nats":
		return "4222"
	}
	return ""
}

// plausibleHost tells hosts from what only looks like them: files with line numbers, times, versions, words.
func plausibleHost(host string) bool {
	if host == "" || len(host) > 253 || strings.Contains(host, "..") {
		return false
	}
	if net.ParseIP(host) != nil {
		return true
	}
	digits := true
	for _, r := range host {
		switch {
		case r >= 'a' && r <= 'z' || r == '-' || r == '_':
			digits = false
		case r >= '0' && r <= '9' || r == '.':
		default:
			return false
		}
	}
	if digits {
		return false // 10:00, 1.2.3
	}
	if i := strings.LastIndexByte(host, '.'); i >= 0 {
		switch host[i+1:] {
		case "go", "py", "js", "ts", "mjs", "cjs", "rb", "rs", "java", "kt", "scala", "php", "cs", "c", "cc", "cpp", "h", "ex", "exs", "erl", "sh", "pl", "lua", "tsx", "jsx", "yaml", "yml", "json", "conf", "xml", "log", "so", "swift", "toml", "ini", "properties", "sql", "html", "clj":
			return false
		}
	}
	return true
}

// placeInSource says that what stands before a colon and a number is a class, and the number a line of it, as Log4j writes them: "Main:66 - starting".
// A host's name has no capitals in its middle.
func placeInSource(host, after string) bool {
	if host[0] < 'A' || host[0] > 'Z' || strings.ContainsAny(host, ".-_") || strings.ToUpper(host) == host {
		return false
	}
	return strings.HasPrefix(after, " - ") || strings.ToLower(host[1:]) != host[1:]
}

// labelOfNumber says that what stands before a colon and a number says what the number is.
func labelOfNumber(w string) bool {
	switch strings.ToLower(w) {
	case "port", "line", "column", "col", "pid", "code", "status", "errno", "exit", "attempt", "attempts", "retry", "retries", "timeout", "size", "count", "id", "version", "error", "uid", "gid", "seq", "offset", "partition", "took", "after":
		return true
	}
	return false
}

// commonWord says that a word after "connect to" is no name of a host.
func commonWord(w string) bool {
	switch strings.TrimRight(strings.ToLower(w), ".") {
	case "the", "a", "an", "local", "specified", "given", "configured", "server", "host", "port", "database", "db-server", "remote", "tcp", "udp", "it", "any", "all", "this", "your", "our", "upstream", "localhost:", "server:", "at", "on", "in", "is", "was", "failed",
		"refused", "peer", "node", "broker", "cluster", "name", "and", "or", "with", "via", "socket", "unix", "http", "https", "endpoint", "service", "backend", "not", "found", "unreachable", "down", "connect", "connection", "sql", "api", "redis", "mysql", "postgres", "postgresql", "rabbitmq", "mongodb", "kafka", "elasticsearch":
		// A product's name after "connect to" is as often the product as the host: a form with a port will tell.
		return true
	}
	return false
}

// FindAddresses returns the addresses in a text: URLs, DSNs, host:port and the other forms in which programs write them, each once.
func (e *Engine) FindAddresses(text string) []Address { return e.address.find(text) }
