package rules

import "crashloop/diagnose"

// storesWords are what databases, brokers and the applications on top of them say of data that does not suit them, beyond what most
// programs say. Each stands in the source or the messages of the program that its comment names.
func storesWords() []diagnose.Pattern {
	return []diagnose.Pattern{
		// The version that wrote the data, against the version that reads it.
		{Name: "proven", Words: []string{"for running version", "incompatible downgrade", "incompatible upgrade", "current version is too old", "of the data (", "upgrading from", "downgrad", "upgrade from", "upgrade path", "out-of-date database schema", "database schema is", "schema version", "database version", "written by", "created by", "created with", "saved with", "too old to", "is too old", "too old. please", "require upgrading", "cannot be downgraded", "last used with", "but the required version", "file format", "format version", "metadata.version", "database does not match", "does not match current requirements", "minimum required", "legacy data", "appears to be postgresql data in", "required to upgrade to"}, Regexp: `(?i)` +
			`incompatible (?:down|up)grade (?:detected|from)` + // Redpanda
			`|is too (?:high|new|low|old) for (?:running|this) version` + // CockroachDB
			`|version of the data \(\S+\) is (?:higher|lower|newer|older) than` + // Nextcloud
			`|upgrad(?:e|ing) from (?:version |major version )?v?\d\S* to (?:version )?v?\d\S*:? is not (?:supported|possible|allowed)` +
			`|(?:cluster|database|data|schema|version|format|store|server)\b.* can(?:not|'t) (?:be )?downgraded?\b|can(?:not|'t) downgrade (?:from|the (?:database|data|schema|cluster)|database|data|schema|cluster)\b` + // etcd, Moodle
			`|out[- ]of[- ]date database schema` + // MLflow
			`|database version does not match|your database version: ?\S+\. required` + // Zabbix
			`|database files require upgrading` + // Neo4j
			`|(?:version|release) .{0,60}(?:trying to )?upgrad(?:e|ing) from is too old|current version is too old` + // SonarQube
			`|extension version is \S+, but the required version` + // Immich
			`|(?:unsupported|unknown|incompatible) (?:(?:data(?:base)?|store|storage|index|segment|wal|meta|on-disk|disk|snapshot) )+(?:file )?(?:format|version)|(?:unsupported|unknown|incompatible) file format version` +
			`|metadata\.version \S+ is not supported` + // Kafka
			`|there appears to be PostgreSQL data in` + // the postgres image from 18 on
			`|required to upgrade to the (?:latest )?[\w.]+ (?:version )?(?:first|before)` + // GitLab
			`|legacy data .{0,60}(?:detected|found)`},
		// Whose data it is: another cluster's, another member's.
		{Name: "proven", Words: []string{"different cluster", "another cluster", "cluster id", "clusterid", "cluster uuid", "system id mismatch", "previous rack", "safe to bootstrap", "node id", "thinks it's clustered", "inconsistent_cluster", "inconsistent_database", "without a cookie", "invalidcookieexception", "with address", "meta.properties", "incompatible_feature_flags", "server uuid", "already a member", "current epoch", "belongs to"}, Regexp: `(?i)` +
			`(?:belongs|joined|part) (?:to|of) (?:a )?(?:different|another) cluster|system ID mismatch|\bcluster ?(?:id|uuid)\b.{0,60}(?:mismatch|does ?n[o']t match|differ)|(?:mismatch(?:ed|ing)?|different) cluster ?(?:id|uuid)` + // Patroni, etcd, Kafka
			`|differs from previous rack` + // Cassandra
			`|not be safe to bootstrap the cluster from this node` + // Galera
			`|stored (?:broker|node) id \S+ doesn't match|no readable meta\.properties|meta\.properties.{0,80}(?:missing|not found|no .{0,20}found|does ?n[o']t match)` + // Kafka
			`|thinks it's clustered with node|inconsistent_(?:cluster|database)|incompatible_feature_flags` + // RabbitMQ
			`|directories without a cookie|InvalidCookieException` + // BookKeeper
			`|node with address \S+ already exists, cancelling join` + // Cassandra
			`|accepted epoch, \S+ is less than the current epoch`}, // ZooKeeper
		// What is broken or half there.
		// etcd, Kafka, Redis, MongoDB, MySQL, PostgreSQL, SQLite.
		{Name: "proven", Words: []string{"failed to recover v3 backend", "database snapshot file", "topic-partition", "short read or oom", "wrong signature", "reading rdb", "in rdb", "wiredtiger", "wt_", "mlog_checkpoint", "log sequence number", "tc log", "mysql.user' doesn't exist", "mysql.plugin' doesn't exist", "privilege tables", "pg_control", "backup_label", "redo location", "timeline", "not a database", "not a valid database", "not a database cluster directory", "undo tablespace", "page corruption"}, Regexp: `(?i)` +
			`failed to recover v3 backend|failed to find database snapshot file` + // etcd
			`|not in the form of topic-partition` + // Kafka
			`|Short read or OOM loading DB|Wrong signature trying to load DB|(?:unexpected EOF|internal error).{0,20}(?:reading|in) RDB` + // Redis
			`|unsupported WiredTiger file version|WT_(?:PANIC|TRY_SALVAGE|ERROR)\b|WiredTiger.{0,60}(?:corrupt|metadata)` + // MongoDB
			`|Missing MLOG_CHECKPOINT|log sequence number.{0,60}in the future|bad magic header in tc log|can't init tc log|mysql\.(?:user|plugin|db|global_priv)' doesn't exist|can't open and lock privilege tables|page corruption|undo tablespace.{0,60}(?:missing|corrupt|exist)` + // MySQL, MariaDB
			`|could not open file \\?"(?:/[^"\\]*/)?global/pg_control\\?"(?:: No such file|$)|invalid data in file "backup_label"|could not find redo location|requested timeline \d+ (?:is not a child|does not contain)|is not a database cluster directory` + // PostgreSQL
			`|file is not a database|not a valid database(?: file)?[."')]*$`}, // SQLite
		// What is written there before it is done, and could not be read back.
		{Words: []string{"recover"}, Regexp: `(?i)\brecover(?:y|ing|s)? (?:from |of )?(?:the )?(?:[\w-]+ )?(?:log|journal|wal|snapshot|checkpoint|metadata|index|state)s?(?: file)? (?:has |have )?failed|\bfailed to recover (?:from )?(?:the )?(?:[\w-]+ ){0,2}(?:log|journal|wal|snapshot|checkpoint|metadata|index)s?\b|\bfor recovery failed\b`},
		{Words: []string{"aborting to avoid", "stored log", "stored snapshot", "stored entries", "stored entry"}, Regexp: `(?i)\baborting to avoid (?:an? )?(?:inconsisten\w+|corrupt\w*|data loss)|\bfailed to (?:pre-?process|apply|replay|load) (?:the )?stored (?:log|snapshot|entr(?:y|ies))`}, // ClickHouse Keeper
		// What keeps files of its own.
		{Name: "proven", Words: []string{"load database on disk", "unreadable sstables", "commit log", "commitlog", "suspiciously many", "broken parts", "another server instance in same directory", "indexformattoo", "corruptindex", "session.lock", "format.json", "backend type", "unformatted", "unfinished transaction", "timeout_waiting_for_tables", "encryption key", "is corrupt", "failed to load local shard", "store_lock", "restore from backup"}, Regexp: `(?i)` +
			`unable to load database on disk` + // ZooKeeper
			`|unreadable sstables|(?:could not read|exception .{0,30}replaying) commit ?log|CommitLogReplayException` + // Cassandra
			`|suspiciously (?:many|big)|another server instance in same directory` + // ClickHouse
			`|IndexFormatToo(?:Old|New)Exception|CorruptIndexException` + // Lucene
			`|session\.lock.{0,80}lock` + // Minecraft
			`|format\.json.{0,80}(?:expected|unknown|corrupt|invalid)|unknown backend type \(` + // MinIO
			`|timeout_waiting_for_tables` + // RabbitMQ
			`|mismatching encryption keys|encryption key.{0,60}(?:does not|doesn't|do not|don't) match` + // n8n
			`|failed to load local shard|store_lock.{0,60}lock|\bis corrupt\b.{0,30}restore from backup`},
		// Migrations.
		{Name: "proven", Words: []string{"schema integrity check failed", "check sum", "checksums", "failed migrations in the target database", "schema is not empty", "inconsistentmigrationhistory", "pendingmigrationerror", "environmentmismatch", "target database is not up to date", "multiple head revisions", "not up-to-date", "not up to date"}, Regexp: `(?i)` +
			`schema integrity check failed` + // RabbitMQ
			`|changesets? check ?sums?\b` + // Liquibase
			`|failed migrations in the target database|database schema is not empty` + // Prisma
			`|InconsistentMigrationHistory|PendingMigrationError|EnvironmentMismatchError|target database is not up to date|multiple head revisions|database (?:schema )?(?:is )?not up[- ]to[- ]date`},
		// What most programs say of data that another holds, that a server of another version keeps, or that a lost key closed.
		{Name: "end", Words: []string{"directory [", "in use by", "another ", "exclusive lock", "decrypt", "authentication failed", "passphrase", "not in gzip format", "opened in an older version", "must be upgraded", "needs to be upgraded", "requires postgres", "requires mysql", "requires mariadb", "requires redis", "requires mongo", "requires elasticsearch", "requires opensearch", "server version", "postgresql version", "mysql version", "mariadb version", "mongodb version", "redis version", "elasticsearch version", "plugin initialization aborted", "data structure corruption", "invalid flags", "constraint", "changed since", "too new for", "too old for", "collation of", "incorrect encoding"}, Regexp: `(?i)\bdirectory \[[^\]]+\] already exists\b|(?:already |currently )?in use by (?:another|a different|other) (?:\w+ ){0,2}(?:instance|process|node|server|program|container|session)|another (?:\w+ ){0,2}(?:instance|process|server|node|daemon) (?:is (?:already )?(?:running|using|holding)|of \S+ is|has (?:the|a) lock|already|holds|seems)|(?:get|obtain|acquire) (?:an |the )?exclusive lock|(?:cannot|can't|could not|couldn't|unable to|failed to) decrypt|decryption (?:failed|error)|bad decrypt|message authentication failed|(?:incorrect|wrong|invalid) passphrase|not in gzip format|must be opened in an older version|(?:database|schema|cluster|index|data|store) (?:must|needs to) be upgraded|requires (?:a )?(?:PostgreSQL|MySQL|MariaDB|Redis|MongoDB|Elasticsearch|OpenSearch)(?: server)?(?: version)? ?(?:>=|at least|v?\d)|(?:PostgreSQL|MySQL|MariaDB|Redis|MongoDB|Elasticsearch|OpenSearch|database|server) version \S+ is (?:not supported|too old|unsupported|no longer supported|not compatible)|plugin initialization aborted with error|data structure corruption|invalid flags 0x\w+ in|(?:NOT NULL|UNIQUE|FOREIGN KEY|CHECK) constraint failed|violates (?:not-null|unique|foreign key|check) constraint|(?:key|secret|salt|identity|id|master password)\b.{0,60} has changed since|(?:database|data|schema|index|it) is too (?:new|old) for (?:the|this) (?:server|version|release|program|binary)|(?:database|table|cluster) has (?:an )?(?:incorrect|wrong|unsupported) (?:collation|encoding|locale|character set)`},
		// What suits the words but may be about something else; and a schema that another run made in part, or did not make at all.
		{Words: []string{"already exists", "duplicate column", "database \"", "unknown database", "downgrad", "schema", "database version", "written by", "created by", "created with", "saved with"}, Regexp: `(?i)downgrad(?:e|ing|es|ed)\b.{0,60}\b(?:not (?:be )?(?:supported|possible|allowed|permitted)|unsupported|prohibited|forbidden|impossible)|(?:database|schema)(?: schema)? (?:version )?.{0,40}\bis (?:newer|higher|greater|later|older|lower|ahead|out of date|not compatible|incompatible|too old|too new)\b|(?:expected|requires?d?|supported) (?:database|schema|data|index|store) version .{1,40}(?:but |, )?(?:found|got|was|is)\b|(?:world|database|data|file|volume|index|dump|store|snapshot)\b.{0,40}(?:was|were|been) (?:created|written|saved|generated) (?:by|with|using|in) (?:a |an )?(?:newer|later|more recent|future|different|incompatible|unsupported)\b|(?:relation|table|column|index|constraint|type|sequence|view|schema|policy) ["'` + "`" + `]?[\w.-]+["'` + "`" + `]? already exists|duplicate column name|\bdatabase "[\w.-]+" does not exist|unknown database '`},
	}
}
