package slack

import (
	"fmt"

	"strings"

	slackgo "github.com/slack-go/slack"

	"crashloop/notify"
)

// MenuAction is the action_id of the overflow menu; the value of an option is its action, a bar, and its value.
const MenuAction = "menu"

// actions draws buttons and the overflow menu. Slack asks for confirmation per menu, not per entry, so an entry that must be confirmed
// becomes a button: a confirmation is never lost.
func (d *drawing) actions(c notify.Controls) {
	buttons := append([]notify.Button(nil), c.Buttons...)
	var menu []notify.Button
	for _, b := range c.Menu {
		if b.Confirm != nil || len(b.Action)+1+len(b.Value) > maxOptionValue || len(menu) >= maxMenu {
			buttons = append(buttons, b)
		} else {
			menu = append(menu, b)
		}
	}
	var elements []slackgo.BlockElement
	seen := map[string]bool{MenuAction: true}
	for _, b := range buttons {
		if seen[b.Action] || b.Action == "" || len(b.Action) > maxID || len(b.Value) > maxValue || len(elements) >= maxActions-1 {
			continue
		}
		seen[b.Action] = true
		e := slackgo.NewButtonBlockElement(b.Action, b.Value, plain(b.Text, maxButton))
		if b.Danger {
			e.Style = slackgo.StyleDanger
		}
		if b.Confirm != nil {
			e.Confirm = confirm(*b.Confirm)
		}
		elements = append(elements, e)
	}
	var options []*slackgo.OptionBlockObject
	for _, b := range menu {
		if seen[b.Action+"|"+b.Value] || b.Action == "" {
			continue
		}
		seen[b.Action+"|"+b.Value] = true
		options = append(options, slackgo.NewOptionBlockObject(b.Action+"|"+b.Value, plain(b.Text, maxOption), nil))
	}
	if len(options) > 0 {
		elements = append(elements, slackgo.NewOverflowBlockElement(MenuAction, options...))
	}
	if len(elements) > 0 {
		d.room()
		// An id of our own stays the same over edits, so that a click counts that was begun before one.
		d.out = append(d.out, slackgo.NewActionBlock(fmt.Sprintf("controls-%d", len(d.out)), elements...))
	}
}

func confirm(c notify.Confirm) *slackgo.ConfirmationBlockObject {
	yes, no := c.Yes, c.No
	if yes == "" {
		yes = "Yes"
	}
	if no == "" {
		no = "Cancel"
	}
	return slackgo.NewConfirmationBlockObject(plain(c.Title, maxConfirmTitle), plain(c.Text, maxConfirmText), plain(yes, maxConfirmYes), plain(no, maxConfirmYes)).
		WithStyle(slackgo.StyleDanger)
}

// chosen reads the action and the value out of what was clicked.
func chosen(actionID, value, option string) (action, v string) {
	if actionID == MenuAction {
		action, v, _ = strings.Cut(option, "|")
		return action, v
	}
	return actionID, value
}
