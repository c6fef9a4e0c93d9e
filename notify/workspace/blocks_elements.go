package workspace

import (
	"fmt"
	"unicode/utf8"
)

// element checks an interactive element: a button, an overflow menu or a static
// select. seen holds the action_ids of its block. Slack has more kinds; those are
// refused here, in words that say so, since the page could not draw them.
func (k *checker) element(e Block, ptr string, seen map[string]bool) {
	id, given := e["action_id"].(string)
	switch {
	case e["action_id"] != nil && !given:
		k.note(ptr+"/action_id", "must be a string")
	case utf8.RuneCountInString(id) > maxID:
		k.note(ptr+"/action_id", "must be less than %d characters", maxID+1)
	case id == "":
		id = randomHex(3)
		e["action_id"] = id
	case seen[id]:
		k.note(ptr+"/action_id", "action_id %q already exists", id)
	}
	seen[id] = true
	switch kind := str(e, "type"); kind {
	case "button":
		k.keys(e, ptr, []string{"text"}, []string{"action_id", "url", "value", "style", "confirm", "accessibility_label"})
		k.textObject(e["text"], ptr+"/text", maxButtonText, "plain_text")
		if v, ok := e["value"]; ok {
			k.plainString(v, ptr+"/value", 0, maxButtonValue)
		}
		if v, ok := e["url"]; ok {
			k.webURL(v, ptr+"/url")
		}
		if v, ok := e["accessibility_label"]; ok {
			k.plainString(v, ptr+"/accessibility_label", 1, maxButtonText)
		}
		k.style(e, ptr)
	case "overflow":
		k.keys(e, ptr, []string{"options"}, []string{"action_id", "confirm"})
		k.options(e, "options", ptr, maxOverflowItems, true)
	case "static_select":
		k.keys(e, ptr, nil, []string{"action_id", "placeholder", "options", "option_groups", "initial_option", "confirm", "focus_on_load"})
		if v, ok := e["placeholder"]; ok {
			k.textObject(v, ptr+"/placeholder", maxPlaceholder, "plain_text")
		}
		_, opts := e["options"]
		_, groups := e["option_groups"]
		if opts == groups {
			k.note(ptr, "must provide either options or option_groups")
		}
		if opts {
			k.options(e, "options", ptr, maxSelectOptions, false)
		}
		if groups {
			for i, g := range k.items(e, "option_groups", ptr, 1, maxSelectOptions) {
				at := fmt.Sprintf("%s/option_groups/%d", ptr, i)
				k.keys(g, at, []string{"label", "options"}, nil)
				k.textObject(g["label"], at+"/label", maxOptionText, "plain_text")
				k.options(g, "options", at, maxSelectOptions, false)
			}
		}
		if v, ok := e["initial_option"].(map[string]any); ok {
			k.option(v, ptr+"/initial_option", false)
		}
	case "":
		k.note(ptr, "missing required field: type")
	case "workflow_button", "multi_static_select", "users_select", "multi_users_select", "channels_select", "multi_channels_select",
		"conversations_select", "multi_conversations_select", "external_select", "multi_external_select", "datepicker", "timepicker",
		"datetimepicker", "checkboxes", "radio_buttons":
		k.note(ptr+"/type", "unsupported type: %s (Slack has it, this workspace does not)", kind)
	default:
		k.note(ptr+"/type", "unsupported type: %s", kind)
	}
	if c, ok := e["confirm"]; ok {
		k.confirm(c, ptr+"/confirm")
	}
}

func (k *checker) options(b Block, key, ptr string, max int, urls bool) {
	values := map[string]bool{}
	for i, o := range k.items(b, key, ptr, 1, max) {
		at := fmt.Sprintf("%s/%s/%d", ptr, key, i)
		k.option(o, at, urls)
		if v := str(o, "value"); v != "" && values[v] {
			k.note(at+"/value", "option value %q already exists", v)
		}
		values[str(o, "value")] = true
	}
}

func (k *checker) option(o Block, at string, urls bool) {
	more := []string{"value", "description"}
	if urls {
		more = append(more, "url")
	}
	k.keys(o, at, []string{"text", "value"}, more)
	k.textObject(o["text"], at+"/text", maxOptionText, "plain_text")
	k.plainString(o["value"], at+"/value", 1, maxOptionValue)
	if d, ok := o["description"]; ok {
		k.textObject(d, at+"/description", maxOptionText, "plain_text")
	}
	if u, ok := o["url"]; ok && urls {
		k.webURL(u, at+"/url")
	}
}

func (k *checker) confirm(v any, ptr string) {
	c, ok := v.(map[string]any)
	if !ok {
		k.note(ptr, "must be an object")
		return
	}
	k.keys(c, ptr, []string{"title", "text", "confirm", "deny"}, []string{"style"})
	k.textObject(c["title"], ptr+"/title", maxConfirmTitle, "plain_text")
	k.textObject(c["text"], ptr+"/text", maxConfirmText, "plain_text", "mrkdwn")
	k.textObject(c["confirm"], ptr+"/confirm", maxConfirmButton, "plain_text")
	k.textObject(c["deny"], ptr+"/deny", maxConfirmButton, "plain_text")
	k.style(c, ptr)
}

func (k *checker) style(b Block, ptr string) {
	if v, ok := b["style"]; ok && v != "primary" && v != "danger" {
		k.note(ptr+"/style", "must be equal to one of the allowed values: primary, danger")
	}
}
