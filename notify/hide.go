package notify

import (
	"slices"
	"strings"

	"crashloop/diagnose"
)

// Public is what of a diagnosis may stand in a channel. With HideLogs, a diagnosis that rests on a log is reduced to what its rule says of
// every such case, the objects of its chain, the way back to an earlier revision, and the evidence that is no log: the other texts of such a diagnosis
// quote the program's own words, and none of them can tell which are its. Whoever may read the logs asks for the whole with a button.
func (o RenderOptions) Public(d diagnose.Diagnosis) diagnose.Diagnosis {
	if !o.HideLogs {
		return d
	}
	title := func(cause string) string {
		if o.Title != nil {
			if t := o.Title(cause); t != "" {
				return t
			}
		}
		return cause
	}
	d.Alternatives = slices.Clone(d.Alternatives)
	for i := range d.Alternatives { // the log that another cause rests on is not among the evidence
		d.Alternatives[i].Says = title(d.Alternatives[i].Cause)
	}
	d.Evidence = slices.Clone(d.Evidence)
	quotes := false
	for i, e := range d.Evidence {
		if isLog(e) {
			quotes = true
			d.Evidence[i].Text = "not shown in channels"
		}
	}
	if !quotes || slices.ContainsFunc(d.Fixes, func(f diagnose.Fix) bool { return f.Title == wholeDiagnosis }) { // or it is public already
		return d
	}
	d.Summary = who(d.Subject) + ": " + title(d.Cause) + ". What its log says is not shown in channels."
	if d.Subject.Container == "" && d.Subject.Workload == "" {
		d.Summary = title(d.Cause) + ". What its log says is not shown in channels."
	}
	d.Chain = slices.Clone(d.Chain)
	for i := range d.Chain {
		if i > 0 { // the first says how the container ended
			d.Chain[i].Says = ""
		}
	}
	d.Fixes = slices.DeleteFunc(slices.Clone(d.Fixes), func(f diagnose.Fix) bool { return !strings.Contains(f.Command, " rollout undo ") })
	d.Fixes = append(d.Fixes, diagnose.Fix{Title: wholeDiagnosis})
	return d
}

const wholeDiagnosis = "“Diagnose again”, in the menu of the message above, shows the whole to whoever may read the logs."

// isLog says whether evidence holds a program's own words: its log, or its termination message, which can be the end of the log.
func isLog(e diagnose.Evidence) bool {
	return strings.HasPrefix(e.Source, "log ") || e.Source == "log" || strings.Contains(e.Source, "terminated.message")
}
