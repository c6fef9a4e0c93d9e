package rules

import (
	"cmp"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"crashloop/diagnose"
)

// javaHeap is what a container's configuration says of a Java virtual machine in it.
type javaHeap struct {
	heapFlag
	java      bool   // a Java program runs there
	configMap string // that holds the flag, when one does
}

var (
	// heapOption is an option of the virtual machine that bounds its heap. A shell puts the value of a variable in.
	heapOption = regexp.MustCompile(`-Xmx(?P<n>\d+)(?P<unit>[kKmMgG]?)|-XX:MaxRAMPercentage=(?P<percent>[\d.]+)|-Xmx"?\$[({]?(?P<var>[A-Za-z_]\w*)`)
	// heapVariable is how the variables are called from which start scripts and charts make that option.
	heapVariable = regexp.MustCompile(`^(?:\w+_)?(?:MAX_?HEAP(?:_?SIZE)?|HEAP_?(?:SIZE|MAX|MEMORY|LIMIT)(?:_(?:MB|MAX))?|HEAPSIZE|JVM_?(?:HEAP|XMX|MEMORY)\w*|JAVA_?(?:HEAP|XMX|MEMORY)\w*|XMX)$`)
	heapValue    = regexp.MustCompile(`^(\d+)([kKmMgG]?)[bB]?$`)
	// javaCommand is a Java program's command line, javaVariable a variable that only Java programs have.
	javaCommand  = regexp.MustCompile(`(?i)\bjava\b|\.jar\b|catalina`)
	javaVariable = regexp.MustCompile(`^_?(?:\w+_)?(?:JAVA_(?:TOOL_)?(?:OPTS|OPTIONS|ARGS|HOME)|JDK_JAVA_OPTIONS|CATALINA_OPTS|JVM_\w+|(?:JVM|HEAP|XMX)_?OPTS|SPRING_\w+)$`)
	// javaImage is an image of a Java program, or of what it is built upon; notJava one of what stands beside such a program.
	javaImage = regexp.MustCompile(`(?i)(?:^|[-_.])(?:java|jre|jdk|\w*openjdk|temurin|corretto|zulu|spring\w*|tomcat|jetty|wildfly|jboss\w*|payara|glassfish|liberty|kafka|zookeeper|elasticsearch|opensearch|logstash|cassandra|solr|neo4j|hadoop|hdfs|hbase|hive|spark|flink|trino|presto\w*|druid|pinot|nifi|activemq|artemis|pulsar|keycloak|jenkins|sonarqube|nexus3?|artifactory\w*|jira|confluence|bitbucket|graylog|debezium|ksqldb|hazelcast|ignite|infinispan|zipkin|minecraft\w*)\d*(?:$|[-_.])`)
	notJava   = regexp.MustCompile(`(?i)exporter|operator|curator|reload|dashboard|proxy|sidecar|init|\bui\b`)
)

// findJavaHeap looks for Java, and for what bounds its heap, in the container's image, command line, environment and mounted ConfigMaps. limit is the
// container's, 0 for none.
func findJavaHeap(c *diagnose.Case, limit int64) javaHeap {
	var h javaHeap
	image := path.Base(c.Container.Image)
	image, _, _ = strings.Cut(image, "@")
	image, _, _ = strings.Cut(image, ":")
	line := strings.Join(slices.Concat(c.Container.Command, c.Container.Args), " ")
	h.java = javaImage.MatchString(image) && !notJava.MatchString(image) || javaCommand.MatchString(line)
	env := environment(c)
	take := func(where, configMap, text string) {
		for _, m := range heapOption.FindAllStringSubmatch(text, -1) {
			found := heapFlag{size: mebibytes(m[1], m[2]), flag: m[0], where: where}
			if percent, err := strconv.ParseFloat(m[3], 64); err == nil && limit > 0 && percent > 0 && percent <= 100 {
				found.size = int64(float64(limit) * percent / 100)
			}
			if m[4] != "" {
				v := heapValue.FindStringSubmatch(env[m[4]].value)
				if v == nil {
					continue
				}
				found = heapFlag{size: mebibytes(v[1], v[2]), flag: "-Xmx" + env[m[4]].value, where: env[m[4]].source}
			}
			h.heapFlag, h.configMap, h.java = found, configMap, true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		e := env[name]
		h.java = h.java || javaVariable.MatchString(name)
		take(e.source, e.configMap, e.value)
		if v := heapValue.FindStringSubmatch(e.value); h.flag == "" && v != nil && heapVariable.MatchString(name) {
			size := mebibytes(v[1], cmp.Or(v[2], "m")) // a start script's number without a unit is of megabytes
			if size >= 16<<20 {
				h.heapFlag, h.configMap = heapFlag{size: size, flag: name + "=" + e.value, where: e.source}, e.configMap
			}
		}
	}
	take(c.SpecField("args"), "", line)
	if h.size == 0 {
		h.mounted(c, take)
	}
	return h
}

// mounted looks at the files that the container mounts from ConfigMaps. Those that say different things may be of different programs.
func (h *javaHeap) mounted(c *diagnose.Case, take func(where, configMap, text string)) {
	found := *h
	seen := map[int64]bool{}
	for _, name := range mountedConfigMaps(c) {
		data := c.ConfigMapData(name)
		for _, key := range slices.Sorted(maps.Keys(data)) {
			for text := range strings.Lines(data[key]) {
				text = strings.TrimSpace(text)
				if !strings.Contains(text, "-X") || strings.HasPrefix(text, "#") || strings.HasPrefix(text, "//") || strings.HasPrefix(text, ";") {
					continue
				}
				take("ConfigMap "+name+" key "+key, name, text)
				if h.size > 0 {
					seen[h.size], found = true, *h
				}
			}
		}
	}
	if *h = found; len(seen) > 1 {
		h.heapFlag, h.configMap = heapFlag{}, ""
	}
}

// variable is the value of an environment variable, and where it stands.
type variable struct{ value, source, configMap string }

// environment is what the pod template and its ConfigMaps set as environment variables.
func environment(c *diagnose.Case) map[string]variable {
	env := map[string]variable{}
	for _, from := range c.Container.EnvFrom {
		if from.ConfigMapRef != nil {
			for k, v := range c.ConfigMapData(from.ConfigMapRef.Name) {
				env[from.Prefix+k] = variable{v, "ConfigMap " + from.ConfigMapRef.Name + " key " + k, from.ConfigMapRef.Name}
			}
		}
	}
	for _, e := range c.Container.Env {
		v := variable{value: e.Value, source: c.SpecField("env[" + e.Name + "]")}
		if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
			ref := e.ValueFrom.ConfigMapKeyRef
			v = variable{c.ConfigMapData(ref.Name)[ref.Key], "ConfigMap " + ref.Name + " key " + ref.Key, ref.Name}
		}
		env[e.Name] = v
	}
	return env
}
