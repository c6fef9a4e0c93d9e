package diagnose

import "testing"

func TestLevelsOfLines(t *testing.T) {
	for line, want := range map[string]Level{
		"debug 2026-03-11T09:40:00.101+0000 7f715038ef40 -1 osd.3 0 OSD:init: unable to mount object store":      Error,
		"2026-03-11T09:40:00.101+0000 7f715038ef40 -1 osd.3 0 OSD:init: unable to mount object store":            Error,
		"debug 2026-03-11T09:40:00.101+0000 7f715038ef40  0 set uid:gid to 167:167 (ceph:ceph)":                  NoLevel,
		"debug 2026-03-11T09:40:00.101+0000 7f715038ef40  4 rocksdb: Options.error_if_exists: 0":                 Debug,
		"2026-03-11T09:40:00.101+0000 main thread -1 ERROR of another program":                                   Error,
		"2026-03-11T09:40:00.101+0000 worker -1 goes down":                                                       NoLevel,
		"2026-03-11T09:40:01.202Z\tfatal\tVictoriaMetrics/app/vmauth/auth_config.go:704\tmissing required flag":  Fatal,
		"2026-03-11T09:40:01.202Z\tpanic\tVictoriaMetrics/lib/fs/fs.go:348\tFATAL: cannot create lock file":      Fatal,
		"2026-03-11T09:40:01.202Z\twarn\tVictoriaMetrics/lib/promscrape/scrapework.go:383\tcannot scrape target": Warn,
		"2026-03-11T09:40:01.202Z\tinfo\tVictoriaMetrics/lib/logger/flag.go:12\tbuild version: victoria-metrics": Info,
		"[7] 2026/03/11 09:40:01.141010 [FTL] Can't start JetStream: storage directory is not writable":          Fatal,
		"the table has a\tfatality\tcolumn": NoLevel,
	} {
		if got := LineLevel(line); got != want {
			t.Errorf("%q: level %d, want %d", line, got, want)
		}
	}
}
