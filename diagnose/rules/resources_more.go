package rules

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func resourcesLimitUnit() diagnose.Rule {
	return diagnose.Rule{
		ID: "resources.limit-unit", Category: "resource-limits", Title: "A memory limit with the wrong unit",
		Doc: diagnose.Doc{
			Means:   "The memory limit is so small that nothing can run in it, because of its unit: `128m` is 0.128 bytes (m is milli), `512` is 512 bytes. Not even the pod's sandbox or its token volume fits.",
			Confirm: "`kubectl get pod POD -o jsonpath='{.spec.containers[*].resources.limits.memory}'`; the pod stays in ContainerCreating with \"no space left on device\" or is killed at once.",
			Mend:    "Write Mi or Gi: 128Mi, 1Gi.",
			Source:  "kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			containers := []*corev1.Container{}
			if c.Container != nil {
				containers = append(containers, c.Container)
			}
			for i := range c.Spec.Containers {
				containers = append(containers, &c.Spec.Containers[i])
			}
			for _, ct := range containers {
				q, ok := ct.Resources.Limits[corev1.ResourceMemory]
				if !ok || q.IsZero() || q.Value() >= 4<<20 {
					continue
				}
				written := q.String()
				meant := strings.TrimRight(written, "mkKMG") + "Mi"
				if n := q.MilliValue(); strings.HasSuffix(written, "m") || n%1000 != 0 {
					meant = fmt.Sprintf("%dMi", n)
				} else if q.Value() >= 1<<10 && q.Value()%1000 == 0 {
					meant = fmt.Sprintf("%dMi", q.Value()/1000)
				}
				f := diagnose.Finding{Confidence: diagnose.Certain, Proof: diagnose.Structural, Weight: 80}
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "spec.containers[" + ct.Name + "].resources.limits.memory", Text: written})
				for _, s := range statements(c) {
					if s.text != "" {
						f.Evidence = append(f.Evidence, s.cite())
						break
					}
				}
				size := fmt.Sprintf("%d bytes", q.Value())
				if q.Value() <= 1 {
					size = "less than one byte"
				}
				f.Summary = fmt.Sprintf("%s cannot run: its memory limit %s means %s", c.Who(), written, size)
				f.Advice = "Write " + meant + ", which is surely meant"
				f.Fixes = []diagnose.Fix{raiseMemory(c, meant)}
				return []diagnose.Finding{f}
			}
			return nil
		},
	}
}

func resourcesOOMLeak() diagnose.Rule {
	return diagnose.Rule{
		ID: "resources.oom-leak", Category: "resource-limits", Title: "Its memory grows until the limit kills it",
		Doc: diagnose.Doc{
			Means:   "The container runs well for a long time and is then killed for its memory, again and again after about as long: a leak, a cache without bound, or load that grows - not a start that needs more than it may have.",
			Confirm: "`kubectl describe pod POD` shows OOMKilled with many minutes or hours between Started and Finished; a graph of its memory climbs steadily.",
			Mend:    "Find what grows: a heap profile, cache limits, the size of batches. Raising the limit only makes the time longer.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/assign-memory-resource",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			f, ok := oomKilled(c)
			limit, has := memoryLimit(c)
			if !ok || !has || c.Ran() < 10*time.Minute || c.Status.RestartCount < 2 {
				return nil
			}
			f.Weight = 80
			f.Confidence = diagnose.Likely
			if t := c.Status.LastTerminationState.Terminated; t != nil && c.Status.State.Terminated != nil && t.Reason == "OOMKilled" {
				f.Confidence = diagnose.Certain
			}
			f.Summary = fmt.Sprintf("%s grows for %s each time until it reaches its memory limit of %s and is killed", c.Who(), diagnose.Duration(c.Ran()), limit.String())
			f.Advice = "Look for what grows - a leak, a cache, load - rather than at its start"
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("resources.limits.memory"), Text: limit.String()})
			f.Fixes = []diagnose.Fix{{Title: "Watch its memory", Command: c.Kubectl("top", "pod", c.Subject.Pod, "--containers")}, raiseMemory(c, moreMemory(limit))}
			return []diagnose.Finding{f}
		},
	}
}

func resourcesOOMJVMHeap() diagnose.Rule {
	xmx := regexp.MustCompile(`-Xmx(?P<n>\d+)(?P<unit>[kKmMgG]?)|-XX:MaxRAMPercentage=(?P<percent>[\d.]+)`)
	jvm := regexp.MustCompile(`(?i)\bjava\b|jre|jdk|temurin|corretto|openjdk|\.jar\b|spring|tomcat|kafka|elasticsearch|cassandra|JAVA_OPTS|JAVA_TOOL_OPTIONS|JDK_JAVA_OPTIONS|CATALINA_OPTS|ES_JAVA_OPTS`)
	return diagnose.Rule{
		ID: "resources.oom-jvm-heap", Category: "resource-limits", Title: "The JVM's heap does not suit the memory limit",
		Doc: diagnose.Doc{
			Means:   "A Java program ran out of memory: either its own heap is full (java.lang.OutOfMemoryError), or heap and everything beside it - threads, class data, buffers - exceed the container's limit and the kernel kills it.",
			Confirm: "`kubectl describe pod POD` shows OOMKilled, or the log java.lang.OutOfMemoryError; compare -Xmx or MaxRAMPercentage in the args and JAVA_TOOL_OPTIONS with the memory limit.",
			Mend:    "Let the heap take about three quarters of the limit (-XX:MaxRAMPercentage=75, no -Xmx), and raise the limit if the heap is too small for the work.",
			Source:  "Java's -XX:MaxRAMPercentage (JDK 10 and later; a quarter of the memory by default)",
		},
		Log: []diagnose.Pattern{
			{Name: "heap", Words: []string{"java.lang.outofmemoryerror", "terminating due to java.lang.outofmemoryerror"}, Regexp: `OutOfMemoryError: ?(?P<kind>[^\n]*)`},
			{Name: "native", Words: []string{"insufficient memory for the java runtime", "could not reserve enough space"}},
			{Name: "jvm", Words: []string{"java.lang.", "org.springframework", "openjdk", "picked up java_tool_options", "started application", "jvm running"}},
		},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			if c.Container == nil {
				return nil
			}
			oom, killed := oomKilled(c)
			var h diagnose.Hit
			isJVM := false
			for _, x := range hits {
				isJVM = true
				if x.Pattern != "jvm" {
					h = x
				}
			}
			if strings.Contains(h.Text, "unable to create native thread") || strings.Contains(h.Text, "unable to create new native thread") {
				return nil
			}
			settings := c.Container.Image + " " + strings.Join(c.Container.Command, " ") + " " + strings.Join(c.Container.Args, " ")
			where := ""
			heap := ""
			var heapBytes int64
			look := func(source, text string) {
				for _, m := range xmx.FindAllStringSubmatch(text, -1) {
					where, heap = source, m[0]
					var n int64
					fmt.Sscan(m[1], &n)
					switch strings.ToLower(m[2]) {
					case "k":
						n <<= 10
					case "m":
						n <<= 20
					case "g":
						n <<= 30
					}
					heapBytes = n
				}
			}
			look(c.SpecField("args"), strings.Join(append(append([]string{}, c.Container.Command...), c.Container.Args...), " "))
			for _, e := range c.Container.Env {
				settings += " " + e.Name
				look(c.SpecField("env["+e.Name+"]"), e.Value)
			}
			isJVM = isJVM || heap != "" || jvm.MatchString(settings)
			if !isJVM || !killed && h.Log == nil {
				return nil
			}
			limit, has := memoryLimit(c)
			var f diagnose.Finding
			if killed {
				f = oom
				f.Weight = 70
				if !has {
					return nil
				}
				f.Summary = fmt.Sprintf("%s, a Java program, is killed for using more memory than its limit of %s", c.Who(), limit.String())
				switch {
				case heapBytes > 0 && heapBytes >= limit.Value()*9/10:
					f.Summary += fmt.Sprintf(": its heap alone may grow to %s", heap)
					f.Weight = 90
				case heapBytes > 0:
					f.Summary += fmt.Sprintf(" (heap %s)", heap)
					f.Confidence = diagnose.Likely
				case heap == "":
					f.Summary += "; no -Xmx and no MaxRAMPercentage is set"
					f.Confidence = diagnose.Likely
				}
			} else {
				f = diagnose.FromHit(h, diagnose.Certain, diagnose.Corroborated)
				f.Weight = 60
				f.Keys = []string{"OutOfMemoryError"}
				f.Summary = fmt.Sprintf("%s ends because the JVM is out of memory: %s", c.Who(), shorten(strings.TrimSpace(h.Text), 120))
				if heap != "" {
					f.Summary += " (" + heap + ")"
				}
				if has {
					f.Summary += ", with a limit of " + limit.String()
				}
			}
			if heap != "" {
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: where, Text: heap})
			}
			f.Advice = "Let the heap take 75 % of the limit, and raise the limit if that is too little"
			if has {
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("resources.limits.memory"), Text: limit.String()})
				f.Advice = fmt.Sprintf("Let the heap take 75 %% of the limit (%dMi), and raise the limit if that is too little", limit.Value()*3/4>>20)
				f.Fixes = append(f.Fixes, raiseMemory(c, moreMemory(limit)))
			}
			f.Fixes = append([]diagnose.Fix{{Title: "Size the heap by the limit", Command: c.Kubectl("set", "env", c.Target(), "-c", c.Subject.Container, "JAVA_TOOL_OPTIONS=-XX:MaxRAMPercentage=75")}}, f.Fixes...)
			return []diagnose.Finding{f}
		},
	}
}

func resourcesOOMNode() diagnose.Rule {
	return diagnose.Rule{
		ID: "resources.oom-node", Category: "resource-limits", Title: "Its node ran out of memory",
		Doc: diagnose.Doc{
			Means:   "The kernel killed the container although it kept to its limit, or has none: the node as a whole had no memory left, and this container was what it chose.",
			Confirm: "`kubectl describe node NODE`: SystemOOM events, MemoryPressure, and how much is promised; `kubectl top pods -A --sort-by=memory` finds the neighbour that takes most.",
			Mend:    "Give every container a memory request that it really uses, so that the scheduler does not put too much on one node, and limits to those that grow.",
			Source:  "kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction (node out of memory behaviour)",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			t := c.Last()
			if t == nil || t.ExitCode != 137 && t.Reason != "OOMKilled" || probeKilled(c).killed {
				return nil
			}
			node := c.Spec.NodeName
			var proof []diagnose.Evidence
			for _, e := range c.EventsOf("Node", "", node) {
				if (e.Reason == "SystemOOM" || e.Reason == "OOMKilling") && near(e, t) {
					proof = append(proof, e.Cite())
				}
			}
			if n := c.Node(); n != nil {
				for _, cond := range n.Status.Conditions {
					if cond.Type == corev1.NodeMemoryPressure && cond.Status == corev1.ConditionTrue {
						proof = append(proof, diagnose.Evidence{Source: "Node " + n.Name + " status.conditions[MemoryPressure]", Text: cond.Message})
					}
				}
			}
			_, limited := memoryLimit(c)
			if t.Reason == "OOMKilled" && limited || t.Reason != "OOMKilled" && len(proof) == 0 {
				return nil
			}
			f := diagnose.Finding{Confidence: diagnose.Certain, Proof: diagnose.Structural, Weight: 40, Evidence: append(c.CiteLast(), proof...)}
			f.Root = "Node//" + node
			f.Chain = []diagnose.Link{{Object: f.Root, Says: "ran out of memory"}}
			f.Summary = fmt.Sprintf("%s is killed because its node %s ran out of memory", c.Who(), node)
			if !limited {
				f.Summary += "; it has no memory limit of its own"
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("resources.limits.memory"), Text: "none"})
				if len(proof) == 0 {
					f.Confidence = diagnose.Likely
				}
			}
			f.Advice = "Set memory requests to what is really used, and find what takes the node's memory"
			f.Unchanged = len(proof) > 0
			f.Fixes = []diagnose.Fix{{Title: "See what takes the memory", Command: "kubectl top pods -A --sort-by=memory"}, {Title: "See what is promised on the node", Command: "kubectl describe node " + node}}
			return []diagnose.Finding{f}
		},
	}
}

// near says that an event is of the time in which a run ended.
func near(e diagnose.Event, t *corev1.ContainerStateTerminated) bool {
	return e.Last.IsZero() || t.FinishedAt.IsZero() || e.Last.Sub(t.FinishedAt.Time).Abs() < 5*time.Minute
}

func resourcesCPUThrottled() diagnose.Rule {
	return diagnose.Rule{
		ID: "resources.cpu-throttled", Category: "resource-limits", Title: "Its CPU limit is so small that it misses its probes",
		Doc: diagnose.Doc{
			Means:   "The container may use so little CPU that it cannot answer its liveness probe in time, and is killed. The probe is only the symptom.",
			Confirm: "`kubectl describe pod POD`: Liveness probe failed with a timeout, and a small CPU limit; `kubectl top pod POD --containers` shows it at the limit.",
			Mend:    "Raise or remove the CPU limit; keep the request.",
			Source:  "kubernetes.io/docs/concepts/configuration/manage-resources-containers; kernel CFS bandwidth control",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			p := probeKilled(c)
			if !p.killed && !p.likely || !timedOut(p.text) {
				return nil
			}
			limit, ok := c.Container.Resources.Limits[corev1.ResourceCPU]
			if !ok {
				return nil
			}
			used, measured := cpuUsage(c)
			at := measured && used.MilliValue()*10 >= limit.MilliValue()*8
			if limit.MilliValue() > 150 && !at {
				return nil
			}
			f := p.finding(c)
			f.Weight = 50
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("resources.limits.cpu"), Text: limit.String()})
			f.Summary = fmt.Sprintf("%s, which gets no answer in time: its CPU limit is only %s", p.says(c), limit.String())
			if at {
				f.Summary += fmt.Sprintf(", and it uses %s", used.String())
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "metrics of pod " + c.Subject.Pod, Text: used.String() + " CPU"})
			} else {
				f.Confidence = diagnose.Likely
			}
			f.Advice = "Raise its CPU limit, to 500m for a start; the probe is only the symptom"
			f.Fixes = []diagnose.Fix{{Title: "Raise the CPU limit", Command: c.Kubectl("set", "resources", c.Target(), "-c", c.Subject.Container, "--limits=cpu=500m")}}
			return []diagnose.Finding{f}
		},
	}
}

func resourcesEphemeralStorage() diagnose.Rule {
	re := regexp.MustCompile(`(?i)(?:exceeded its local ephemeral storage limit|ephemeral local storage usage exceeds|local ephemeral storage usage exceeds|ephemeral storage limit|usage of emptydir volume "(?P<volume>[^"]+)" exceeds the limit "(?P<size>[^"]+)")`)
	limit := regexp.MustCompile(`(?i)limit\D{0,20}"?(?P<n>\d+\w*)"?`)
	return diagnose.Rule{
		ID: "resources.ephemeral-storage", Category: "resource-limits", Title: "It writes more to local disk than it may",
		Doc: diagnose.Doc{
			Means:   "The pod was evicted because a container's logs and writable layer exceed its ephemeral-storage limit, or an emptyDir its sizeLimit.",
			Confirm: "`kubectl describe pod POD`: Status Failed, Reason Evicted, and a message that names the limit.",
			Mend:    "Write less - rotate, clean up, stream - raise the limit, or use a PersistentVolumeClaim for what grows.",
			Source:  "kubernetes.io/docs/concepts/storage/ephemeral-storage",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			s, g, ok := evictedSays(c, re)
			if !ok {
				return nil
			}
			f := fromStatement(s)
			f.Weight = 60
			f.Summary = fmt.Sprintf("%s is evicted because it writes more to local disk than its limit allows", c.Who())
			if g["volume"] != "" {
				f.Summary = fmt.Sprintf("%s is evicted because its emptyDir %s grows over its limit of %s", c.Who(), g["volume"], g["size"])
			} else if l := groups(limit, s.text); l != nil {
				f.Summary += fmt.Sprintf(" (%s)", l["n"])
			}
			f.Advice = "Clean up what it writes, raise the limit, or use a claim for what grows"
			f.Fixes = []diagnose.Fix{{Title: "Raise the limit", Patch: containerPatch(c, "resources:\n  limits:\n    ephemeral-storage: 4Gi")}}
			return []diagnose.Finding{f}
		},
	}
}

// evictedSays matches why a pod was evicted: its status, or the event Evicted.
func evictedSays(c *diagnose.Case, re *regexp.Regexp) (statement, map[string]string, bool) {
	if c.Pod != nil && c.Pod.Status.Reason == "Evicted" {
		if g := groups(re, c.Pod.Status.Message); g != nil {
			return statement{"status.message", "Evicted", c.Pod.Status.Message}, g, true
		}
	}
	for _, e := range c.Events() {
		if e.Reason == "Evicted" {
			if g := groups(re, e.Message); g != nil {
				ev := e.Cite()
				return statement{ev.Source, "Evicted", e.Message}, g, true
			}
		}
	}
	for _, p := range c.Siblings() {
		if p.Status.Reason == "Evicted" {
			if g := groups(re, p.Status.Message); g != nil && c.Last() == nil {
				return statement{"status.message of pod " + p.Name, "Evicted", p.Status.Message}, g, true
			}
		}
	}
	return statement{}, nil, false
}

func resourcesEvicted() diagnose.Rule {
	re := regexp.MustCompile(`(?is)low on resource: (?P<resource>[\w./-]+)|(?P<pressure>DiskPressure|MemoryPressure|PIDPressure)`)
	anything := regexp.MustCompile(`(?s).+`)
	return diagnose.Rule{
		ID: "resources.evicted", Category: "resource-limits", Title: "Its node evicts it for lack of memory, disk or processes",
		Doc: diagnose.Doc{
			Means:   "The node ran low on memory, disk or process ids, and the kubelet evicted pods to protect it, first those that use more than they requested.",
			Confirm: "`kubectl describe pod POD`: Reason Evicted, and which resource the node was low on; `kubectl describe node NODE` shows the pressure.",
			Mend:    "Request what is really used, so that the pod is not first in line and the node is not overfilled; free the node's disk; look for the neighbour that takes it.",
			Source:  "kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			s, g, ok := evictedSays(c, re)
			if !ok {
				s, g, ok = evictedSays(c, anything)
			}
			if !ok || c.Pod == nil || c.Pod.Status.Reason != "Evicted" && c.Last() != nil && ran(c.Last()) {
				return nil
			}
			f := fromStatement(s)
			f.Weight = 30
			resource := firstOf(g["resource"], strings.ToLower(strings.TrimSuffix(g["pressure"], "Pressure")), "a resource")
			node := c.Spec.NodeName
			f.Summary = fmt.Sprintf("%s is evicted: node %s is low on %s", c.Who(), node, resource)
			f.Advice = "Set requests to what it really uses, and see what fills the node"
			if q := c.Pod.Status.QOSClass; q != "" {
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "status.qosClass", Text: string(q)})
				if q == corev1.PodQOSBestEffort {
					f.Advice = "It requests nothing (BestEffort) and so goes first: set requests, and see what fills the node"
				}
			}
			if node != "" {
				f.Root = "Node//" + node
				f.Chain = []diagnose.Link{{Object: f.Root, Says: "is low on " + resource}}
			}
			f.Unchanged = true
			f.Fixes = []diagnose.Fix{{Title: "See the node's pressure and what is on it", Command: "kubectl describe node " + node}}
			return []diagnose.Finding{f}
		},
	}
}

func resourcesTooManyFiles() diagnose.Rule {
	return diagnose.Rule{
		ID: "resources.too-many-files", Category: "resource-limits", Title: "It runs out of file handles, watches or processes",
		Doc: diagnose.Doc{
			Means:   "The program hit a limit of the kernel: open files of the process (ulimit -n), inotify watches or instances of the node, or the number of processes and threads that the pod may have.",
			Confirm: "`kubectl logs POD --previous`: \"too many open files\" (EMFILE), \"no space left on device\" for a watch, \"resource temporarily unavailable\" or \"cannot allocate memory\" on fork.",
			Mend:    "For watches raise fs.inotify.max_user_watches and max_user_instances on the nodes; for open files the runtime's LimitNOFILE; for processes the kubelet's podPidsLimit. Or have the program close what it opens.",
			Source:  "errno(3) EMFILE, inotify(7), pids cgroup; kubernetes.io/docs/concepts/policy/pid-limiting",
		},
		Log: []diagnose.Pattern{
			{Name: "files", Words: []string{"too many open files", "emfile", "enfile"}},
			{Name: "watches", Words: []string{"inotify", "enospc: system limit for number of file watchers", "number of file watchers"}, Regexp: `(?i)inotify.*(?:limit|too many|no space|max_user|fail)|(?:limit|too many|no space).*(?:inotify|watch)|system limit for number of file watchers`},
			{Name: "processes", Words: []string{"fork: ", "can't fork", "cannot fork", "unable to create native thread", "unable to create new native thread", "pthread_create", "can't start new thread", "failed to create new os thread", "fork/exec"}, Regexp: `(?i)(?:fork|thread|pthread_create).*(?:resource temporarily unavailable|cannot allocate memory|EAGAIN|errno=11|OutOfMemoryError|unable to create|can't start new thread|retry)|unable to create (?:new )?native thread|can't start new thread|can't fork`},
		},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, h, ok := lastHit(c, hits, nil)
			if !ok {
				return nil
			}
			f.Confidence, f.Weight = diagnose.Certain, 30
			f.Keys = []string{"open files", "EMFILE", "inotify", "fork", "thread"}
			t := strings.ToLower(h.Text)
			switch {
			case h.Pattern == "watches" || strings.Contains(t, "inotify") || strings.Contains(t, "watch"):
				f.Summary = fmt.Sprintf("%s ends because its node has no inotify watches left", c.Who())
				f.Advice = "Raise fs.inotify.max_user_instances and max_user_watches on the node"
				f.Fixes = []diagnose.Fix{{Title: "Raise the limits on the node", Command: "sysctl -w fs.inotify.max_user_instances=1024 fs.inotify.max_user_watches=524288"}}
			case h.Pattern == "processes":
				f.Summary = fmt.Sprintf("%s ends because it may not start more processes or threads", c.Who())
				f.Advice = "Have it start fewer, or raise the kubelet's podPidsLimit"
				f.Confidence = diagnose.Likely
			default:
				f.Summary = fmt.Sprintf("%s ends because it has too many files open", c.Who())
				f.Advice = "Have it close what it opens, or raise the limit of open files of the container runtime (LimitNOFILE)"
			}
			f.Fixes = append(f.Fixes, diagnose.Fix{Title: "See the limits inside the container", Command: c.Kubectl("exec", c.Subject.Pod, "-c", c.Subject.Container, "--", "sh", "-c", "ulimit -a")})
			return []diagnose.Finding{f}
		},
	}
}
