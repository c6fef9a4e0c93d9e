package notify

import (
	"fmt"

	"crashloop/diagnose"
)

// The actions that buttons and menus of a thread ask for; [Click.Action] is one of them, and [Click.Value] the incident's id.
const (
	ActionRestart      = "restart"
	ActionLogs         = "logs"
	ActionPreviousLogs = "logs-previous"
	ActionDescribe     = "describe"
	ActionDiagnose     = "diagnose"
	ActionScaleToZero  = "scale-to-zero"
	ActionScaleBack    = "scale-back"
	// ActionEvidence shows what was captured when it happened, and ActionEvidenceFile sends it. Their value is the incident's id, and for
	// one of several recordings a slash and its number.
	ActionEvidence     = "evidence"
	ActionEvidenceFile = "evidence-file"
)

// evidenceButton leads from an incident's thread to what was captured when it happened, also long after its end.
func evidenceButton(inc diagnose.Incident) Block {
	return Block{Actions: &Controls{Buttons: []Button{{Action: ActionEvidence, Value: inc.ID, Text: "Captured evidence"}}}}
}

// controls are the buttons and the menu of an open incident's root.
func controls(inc diagnose.Incident, o RenderOptions) *Controls {
	c := &Controls{}
	button := func(action, text string) Button { return Button{Action: action, Value: inc.ID, Text: text} }
	if o.offers(ActionRestart) && restartable(inc.Subject.Kind()) {
		c.Buttons = append(c.Buttons, restartButton(inc))
	}
	if o.offers(ActionLogs) && inc.Subject.Container != "" {
		c.Buttons = append(c.Buttons, button(ActionLogs, "Logs"))
	}
	if scalable(inc.Subject.Kind()) && o.offers(ActionScaleToZero) {
		c.Buttons = append(c.Buttons, scaleToZeroButton(inc))
	}
	if o.offers(ActionLogs) && inc.Subject.Container != "" {
		c.Menu = append(c.Menu, button(ActionPreviousLogs, "Logs of the crashed instance"))
	}
	if o.offers(ActionDescribe) {
		c.Menu = append(c.Menu, button(ActionDescribe, "Describe"))
	}
	if o.offers(ActionDiagnose) {
		c.Menu = append(c.Menu, button(ActionDiagnose, "Diagnose again"))
	}
	if len(c.Buttons)+len(c.Menu) == 0 {
		return nil
	}
	return c
}

// restartable says whether a kind has a rollout that can be restarted.
func restartable(kind string) bool {
	return kind == "Deployment" || kind == "StatefulSet" || kind == "DaemonSet"
}

// scalable says whether a kind is scaled to zero and back by the bot.
func scalable(kind string) bool { return kind == "Deployment" || kind == "StatefulSet" }

// restartButton asks for a rollout restart of an incident's workload.
func restartButton(inc diagnose.Incident) Button {
	s := inc.Subject
	return Button{Action: ActionRestart, Value: inc.ID, Text: "Restart", Confirm: &Confirm{
		Title: fmt.Sprintf("Restart %s?", Cut(s.Namespace+"/"+s.Name(), 80)),
		Text:  fmt.Sprintf("Replaces every pod of %s, as its update strategy allows, like kubectl rollout restart.", object(s)),
		Yes:   "Restart", No: "Cancel",
	}}
}

// scaleToZeroButton asks for an incident's workload to be stopped.
func scaleToZeroButton(inc diagnose.Incident) Button {
	s := inc.Subject
	return Button{Action: ActionScaleToZero, Value: inc.ID, Text: "Scale to zero", Confirm: &Confirm{
		Title: fmt.Sprintf("Scale %s to zero?", Cut(s.Namespace+"/"+s.Name(), 75)),
		Text:  fmt.Sprintf("Stops every pod of %s: it serves nobody until it is scaled back. The number of replicas is remembered.", object(s)),
		Yes:   "Scale to zero", No: "Cancel",
	}}
}

// ScaleBackButton asks for an incident's workload to get its replicas back.
func ScaleBackButton(inc diagnose.Incident) Button {
	s := inc.Subject
	return Button{Action: ActionScaleBack, Value: inc.ID, Text: "Scale back", Confirm: &Confirm{
		Title: fmt.Sprintf("Scale %s back?", Cut(s.Namespace+"/"+s.Name(), 80)),
		Text:  fmt.Sprintf("Starts %s again with the replicas it had before it was scaled to zero.", object(s)),
		Yes:   "Scale back", No: "Cancel",
	}}
}

// object names a workload in full: "Deployment web in namespace shop of cluster prod".
func object(s diagnose.Subject) string {
	text := s.Kind() + " " + Cut(s.Name(), 63) + " in namespace " + s.Namespace
	if s.Cluster != "" {
		text += " of cluster " + Cut(s.Cluster, 40)
	}
	return text
}
