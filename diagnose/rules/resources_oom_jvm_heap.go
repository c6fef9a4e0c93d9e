package rules

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"crashloop/diagnose"
)

func resourcesOOMJVMHeap() diagnose.Rule {
	return diagnose.Rule{
		ID: "resources.oom-jvm-heap", Category: "resource-limits", Title: "The JVM's heap does not suit the memory limit",
		Doc: diagnose.Doc{
			Means:   "A Java program ran out of memory: either its own heap is full (java.lang.OutOfMemoryError), or heap and everything beside it - threads, class data, buffers - exceed the container's limit and the kernel kills it.",
			Confirm: "`kubectl describe pod POD` shows OOMKilled, or the log java.lang.OutOfMemoryError; compare -Xmx or MaxRAMPercentage in the args and JAVA_TOOL_OPTIONS with the memory limit.",
			Mend:    "Let the heap take about three quarters of the limit (-XX:MaxRAMPercentage=75, no -Xmx), and raise the limit if the heap is too small for the work.",
			Source:  "Java's -XX:MaxRAMPercentage (JDK 10 and later; a quarter of the memory by default)",
		},
		Log: []diagnose.Pattern{
			{Name: "heap", Words: []string{"java.lang.outofmemoryerror", "terminating due to java.lang.outofmemoryerror", "outofdirectmemoryerror"}, Regexp: `Out[oO]f(?:Direct)?MemoryError: ?(?P<kind>[^\n]*)`},
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
			if strings.Contains(h.Text, "unable to create native thread") || strings.Contains(h.Text, "unable to create new native thread") || strings.Contains(h.Text, "OutOfMemoryError: Map failed") {
				return nil
			}
			limit, has := memoryLimit(c)
			heap := findJavaHeap(c, limit.Value())
			isJVM = isJVM || heap.java
			if !isJVM || !killed && h.Log == nil {
				return nil
			}
			var f diagnose.Finding
			if killed {
				f = oom
				f.Weight = 70
				if !has {
					return nil
				}
				f.Summary = fmt.Sprintf("%s, a Java program, is killed for using more memory than its limit of %s", c.Who(), limit.String())
				if after := afterStart(c.Lives(killedForMemory)); after != "" {
					f.Summary += ", " + after
				}
				switch {
				case heap.size > 0 && heap.size >= limit.Value()*9/10:
					f.Summary += fmt.Sprintf(": its heap alone may grow to %s (%s)", writeBytes(heap.size), heap.flag)
					f.Weight = 90
					if strings.HasPrefix(heap.where, "ConfigMap") {
						f.Confidence = diagnose.Likely // whether that file is the one that it goes by is not seen
					}
				case heap.size > 0:
					f.Summary += fmt.Sprintf(": its heap may grow to %s (%s), which leaves %s for threads, classes and buffers", writeBytes(heap.size), heap.flag, writeBytes(limit.Value()-heap.size))
					f.Confidence = diagnose.Likely
					switch {
					case heap.size <= limit.Value()*3/4:
						f.Weight = 40 // as it should be
					case limit.Value()-heap.size < ampleBeside:
						f.Weight = 85 // however long it takes to fill: nothing need leak for that
					}
				case heap.flag == "":
					f.Summary += "; no -Xmx and no MaxRAMPercentage is set, which lets Java before 8u191 size its heap by the node's memory and makes it a quarter of the limit in later ones"
					f.Confidence = diagnose.Likely
				}
			} else {
				f = diagnose.FromHit(h, diagnose.Certain, diagnose.Corroborated)
				f.Weight = 60
				f.Keys = []string{"OutOfMemoryError"}
				f.Summary = fmt.Sprintf("%s ends because the JVM is out of memory: %s", c.Who(), inSentence(h, 120))
				switch {
				case heap.flag != "" && heap.size > 0:
					f.Summary += fmt.Sprintf(" (%s is %s)", heap.flag, writeBytes(heap.size))
				case heap.flag != "":
					f.Summary += " (" + heap.flag + ")"
				}
				if has {
					f.Summary += ", with a limit of " + limit.String()
					f.Evidence = append(f.Evidence, citeMemory(c, limit)...)
				}
			}
			if heap.flag != "" {
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: heap.where, Text: heap.flag})
			}
			f.Advice = "Let the heap take 75 % of the limit, and raise the limit if that is too little"
			if has {
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: limitField(c), Text: limit.String()})
				f.Advice = fmt.Sprintf("Let the heap take 75 %% of the limit (%dMi), and raise the limit if that is too little", limit.Value()*3/4>>20)
				f.Fixes = append(f.Fixes, raiseMemory(c, moreMemory(limit)))
			}
			if killed && heap.flag == "" {
				f.Advice = fmt.Sprintf("Set -Xmx to about three quarters of the limit (%dm), and raise the limit if it then runs out of heap", limit.Value()*3/4>>20)
			}
			f.Fixes = append([]diagnose.Fix{sizeHeap(c, heap, limit.Value()*3/4>>20)}, f.Fixes...)
			return []diagnose.Finding{f}
		},
	}
}

// ampleBeside is more than most Java programs need beside their heap, for classes, threads, compiled code and buffers.
const ampleBeside = 1 << 30

// sizeHeap is the fix that makes the heap three quarters of the limit, want mebibytes (0 when there is no limit): where a flag sizes it now, that
// flag has to change, as -Xmx prevails over MaxRAMPercentage and the last of two flags over the first.
func sizeHeap(c *diagnose.Case, heap javaHeap, want int64) diagnose.Fix {
	const title = "Size the heap by the limit"
	const option = "-XX:MaxRAMPercentage=75"
	if heap.configMap != "" {
		return diagnose.Fix{Title: "Change " + heap.flag + " in the ConfigMap", Command: c.Kubectl("edit", "configmap", heap.configMap)}
	}
	name, value := "JAVA_TOOL_OPTIONS", ""
	for _, e := range c.Container.Env {
		if heap.flag != "" && heap.where == c.SpecField("env["+e.Name+"]") || heap.flag == "" && e.Name == name {
			name, value = e.Name, e.Value
			if e.ValueFrom != nil {
				return diagnose.Fix{Title: "See where the heap is sized", Command: c.Kubectl("get", c.Target(), "-o", "yaml")}
			}
		}
	}
	sizes := heapValue.FindStringSubmatch(value) // of a variable that is nothing but the size
	switch {
	case heap.flag == "" && want > 0:
		value = strings.TrimSpace(fmt.Sprintf("%s -Xmx%dm", value, want))
	case heap.flag == "":
		value = strings.TrimSpace(value + " " + option)
	case value == "": // it stands in the arguments
		return diagnose.Fix{Title: "See where " + heap.flag + " is set, and change it", Command: c.Kubectl("get", c.Target(), "-o", "yaml")}
	case sizes != nil && want > 0:
		unit := "m"
		if sizes[2] == "" || strings.ToUpper(sizes[2]) == sizes[2] {
			unit = strings.ToUpper(sizes[2])
		}
		value = strconv.FormatInt(want, 10) + strings.NewReplacer("G", "M", "K", "M").Replace(unit)
	case strings.HasPrefix(heap.flag, "-Xmx") && want > 0:
		size := fmt.Sprintf("%dm", want)
		value = initialHeap.ReplaceAllString(strings.ReplaceAll(value, heap.flag, "-Xmx"+size), "-Xms"+size)
	default:
		value = strings.ReplaceAll(value, heap.flag, option)
	}
	if secretWord.MatchString(value) {
		return diagnose.Fix{Title: "See where the heap is sized, in " + name, Command: c.Kubectl("get", c.Target(), "-o", "yaml")}
	}
	return diagnose.Fix{Title: title, Command: c.Kubectl("set", "env", c.Target(), "-c", c.Subject.Container, name+"="+value)}
}

// initialHeap is the flag for the heap that a JVM begins with, which may not exceed what it may grow to.
var initialHeap = regexp.MustCompile(`-Xms\d+[kKmMgG]?`)

// secretWord marks options that no command should repeat.
var secretWord = regexp.MustCompile(`(?i)pass|secret|token|redacted|\*\*\*`)
