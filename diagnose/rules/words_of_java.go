package rules

import "crashloop/diagnose"

// What stores, brokers and engines that run on Java say in words of their own, beyond the shapes in closing.go.

// javaData is about data that does not suit them.
func javaData() []diagnose.Pattern {
	return []diagnose.Pattern{{Name: "server", Words: []string{"voter set read from the state file", "but has shard data", "but has index metadata", "page file size ", "corruptrecordexception", "corruptsstableexception", "corruptstateexception", "corruptedlog", "corruptionexception", "corruptblockexception", "unreasonable length = ", "metadata not initialized", "bookkeeper instance id", "find checkpoint or savepoint", "does not understand the feature", "decrypting a sensitive flow", "too many failed volumes", "file layout needs to be upgraded", "filesystemversionexception", "cannot open local storage", "unsupported database file version", "database may be already in use", "database charset", "database collation", "cluster structure is not set up", "does not match current session", "the controller returned error ", "no metadataversion with feature level", "was not specified in the v1 file", "unexpected version in ", "schema topic "}, Regexp: `(?i)role but has (?:shard|index) (?:meta)?data` + // Elasticsearch
		`|different from the voter set read from the state file` + // Kafka
		`|\bpage file size \d+ (?:is too small|different to)` + // Logstash's queue
		`|IOException: Unreasonable length = \d` + // ZooKeeper, of its own log
		`|BookKeeper metadata not initialized|could not read BookKeeper instance id` +
		`|cannot find checkpoint or savepoint` + // Flink
		`|join the cluster because it does not understand the feature` + // ScyllaDB
		`|decrypting a sensitive flow` + // NiFi
		`|too many failed volumes|file layout needs to be upgraded|FileSystemVersionException` + // HDFS, HBase
		`|OStorageException: Cannot open local storage|unsupported database file version|database may be already in use: ` + // OrientDB, H2
		`|\bdatabase (?:charset|collation)\b.{0,60}\bmust\b` + // SonarQube
		`|cluster structure is not set up for cluster` + // Helix: Pinot
		`|node already exists and owner .{1,60}does not match current session|the controller returned error (?:UNSUPPORTED_VERSION|DUPLICATE_BROKER_REGISTRATION|INCONSISTENT_CLUSTER_ID|BROKER_ID_NOT_REGISTERED)|no MetadataVersion with feature level|unexpected version in \S*meta\.properties|was not specified in the v1 file` + // Kafka
		`|the schema topic \S+ should have only` + // Schema Registry
		`|\bCorrupt(?:ed)?\w{0,20}Exception\b`}} // Kafka, Cassandra, Elasticsearch, Neo4j
}

// javaCredentials is about identities that the other side does not take.
func javaCredentials() []diagnose.Pattern {
	return []diagnose.Pattern{
		{Words: []string{"keepererrorcode = noauth", "keepererrorcode = authfailed", "keepererrorcode = invalidacl"}, Regexp: `KeeperErrorCode = (?:NoAuth|AuthFailed|InvalidACL)`}, // ZooKeeper's client
		{Words: []string{"no aws credentials provided by"}, Regexp: `No AWS Credentials provided by`},                                                                               // Hadoop's S3A
	}
}

// javaSettings is about what they are set to.
func javaSettings() []diagnose.Pattern {
	return []diagnose.Pattern{
		// SolrCloud, and what reads a chroot that nobody made.
		{Name: "setting", Words: []string{"znode doesn't exist"}, Regexp: `(?i)chroot was specified in ZkHost but the znode doesn't exist`},
		// Kafka, of a topic that is to have more copies than there are brokers.
		{Name: "setting", Words: []string{"replication factor"}, Regexp: `(?i)replication factor(?: of)?:? \d+ (?:cannot be reached because only|(?:is )?larger than(?: the number of)?(?: available)? brokers)`},
		{Name: "setting", Words: []string{"not enough direct memory", "] of key[", "object at prefix["}, Regexp: `Not enough direct memory\b|Unknown provider\[[^\]]*\] of Key\[|parsing object at prefix\[`}, // Druid
		{Name: "setting", Words: []string{"configuration mismatch was detected", " different from local"}, Regexp: `Configuration mismatch was detected: |Remote node has .{1,60} different from local`},      // Hazelcast, Ignite
		{Name: "setting", Words: []string{"amq2290"}, Regexp: `\bAMQ2290(?:3[689]|4[0-9]|5[01]): `},                                                                                                           // Artemis, of values in broker.xml
		// Cassandra, of a node that is not there to be replaced.
		{Name: "setting", Words: []string{"cannot replace_address", "cannot replace address"}, Regexp: `(?i)cannot replace[_ ]address \S+ because`},
		// js-yaml, by the class of what it throws.
		{Name: "parse", Words: []string{"yamlexception: "}},
	}
}
