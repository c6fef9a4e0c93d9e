package workspace

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of Block Kit, as Slack documents them; maxAllText is not documented: a
// message whose blocks held 9,597 characters was accepted and one with 11,341 was
// refused with msg_blocks_too_long (slackapi/bolt-js issue 2867).
const (
	maxBlocks         = 50
	maxID             = 255
	maxSectionText    = 3000
	maxFields         = 10
	maxFieldText      = 2000
	maxHeaderText     = 150
	maxContextItems   = 10
	maxActionItems    = 25
	maxOverflowItems  = 5
	maxSelectOptions  = 100
	maxButtonText     = 75
	maxButtonValue    = 2000
	maxOptionText     = 75
	maxOptionValue    = 150
	maxPlaceholder    = 150
	maxURL            = 3000
	maxAltText        = 2000
	maxConfirmTitle   = 100
	maxConfirmText    = 300
	maxConfirmButton  = 30
	maxTableRows      = 100
	maxTableColumns   = 20
	maxTableText      = 10_000
	maxMarkdownText   = 12_000
	maxAllText        = 11_000
	maxNotes          = 20 // how many mistakes one answer lists
	maxRichTextIndent = 8
)

// checker walks one message's blocks, notes what Slack would refuse, and fills in
// the ids that Slack would.
type checker struct {
	w         *Workspace
	notes     []string
	ids       map[string]bool // block_ids seen
	tables    int
	text      int // characters in all text objects
	tableText int
	markdown  int
}

// readBlocks decodes and checks a blocks array. The lock is held.
func (w *Workspace) readBlocks(raw, ptr string) ([]Block, *apiError) {
	var vs []any
	if err := json.Unmarshal([]byte(raw), &vs); err != nil {
		return nil, refuse("invalid_blocks_format", "[ERROR] blocks is not a JSON array of objects")
	}
	k := &checker{w: w, ids: map[string]bool{}}
	var out []Block
	if len(vs) > maxBlocks {
		k.note(ptr, "no more than %d items allowed", maxBlocks)
	}
	for i, v := range vs {
		at := fmt.Sprintf("%s/%d", ptr, i)
		b, ok := v.(map[string]any)
		if !ok {
			return nil, refuse("invalid_blocks_format", "[ERROR] blocks is not a JSON array of objects")
		}
		k.block(b, at)
		out = append(out, b)
	}
	switch {
	case len(k.notes) > 0:
		return nil, refuse("invalid_blocks", k.notes...)
	case k.markdown > maxMarkdownText, k.text > maxAllText:
		return nil, refuse("msg_blocks_too_long")
	}
	return out, nil
}

func (k *checker) note(ptr, format string, args ...any) {
	if len(k.notes) < maxNotes {
		k.notes = append(k.notes, "[ERROR] "+fmt.Sprintf(format, args...)+" [json-pointer:"+ptr+"]")
	}
}

// keys notes fields that are missing and fields that do not belong.
func (k *checker) keys(b Block, ptr string, required, optional []string) {
	for _, r := range required {
		if v, ok := b[r]; !ok || v == nil {
			k.note(ptr, "missing required field: %s", r)
		}
	}
	for key, v := range b {
		if key == "type" || slices.Contains(required, key) || slices.Contains(optional, key) {
			if v == nil && !slices.Contains(required, key) {
				k.note(ptr+"/"+key, "must not be null")
			}
			continue
		}
		k.note(ptr, "invalid additional property: %s", key)
	}
}

func (k *checker) block(b Block, ptr string) {
	id, given := b["block_id"].(string)
	switch {
	case b["block_id"] != nil && !given:
		k.note(ptr+"/block_id", "must be a string")
	case utf8.RuneCountInString(id) > maxID:
		k.note(ptr+"/block_id", "must be less than %d characters", maxID+1)
	case id != "" && k.ids[id]:
		k.note(ptr+"/block_id", "block_id %q already exists", id)
	case id == "":
		id = randomHex(3)
		b["block_id"] = id
	}
	k.ids[id] = true
	opt := []string{"block_id"}
	switch kind := str(b, "type"); kind {
	case "divider":
		k.keys(b, ptr, nil, opt)
	case "header":
		k.keys(b, ptr, []string{"text"}, append(opt, "level"))
		k.textObject(b["text"], ptr+"/text", maxHeaderText, "plain_text")
	case "section":
		k.section(b, ptr)
	case "context":
		k.keys(b, ptr, []string{"elements"}, opt)
		for i, e := range k.items(b, "elements", ptr, 1, maxContextItems) {
			at := fmt.Sprintf("%s/elements/%d", ptr, i)
			switch str(e, "type") {
			case "image":
				k.image(e, at, nil)
			case "plain_text", "mrkdwn":
				k.textObject(e, at, maxSectionText, "plain_text", "mrkdwn")
			default:
				k.note(at+"/type", "unsupported type: %s", str(e, "type"))
			}
		}
	case "actions":
		k.keys(b, ptr, []string{"elements"}, opt)
		seen := map[string]bool{}
		for i, e := range k.items(b, "elements", ptr, 1, maxActionItems) {
			k.element(e, fmt.Sprintf("%s/elements/%d", ptr, i), seen)
		}
	case "image":
		k.image(b, ptr, append(opt, "title"))
		if t, ok := b["title"]; ok {
			k.textObject(t, ptr+"/title", maxAltText, "plain_text")
		}
	case "file":
		k.keys(b, ptr, []string{"external_id", "source"}, opt)
		if s := str(b, "source"); s != "remote" {
			k.note(ptr+"/source", "must be equal to one of the allowed values: remote")
		}
	case "markdown":
		k.keys(b, ptr, []string{"text"}, opt)
		s := k.plainString(b["text"], ptr+"/text", 1, maxMarkdownText)
		k.markdown += s
	case "rich_text":
		k.keys(b, ptr, []string{"elements"}, opt)
		k.richText(b, ptr)
	case "table":
		k.table(b, ptr)
	case "":
		k.note(ptr, "missing required field: type")
	default:
		k.note(ptr+"/type", "unsupported type: %s", kind)
	}
}

func (k *checker) section(b Block, ptr string) {
	k.keys(b, ptr, nil, []string{"block_id", "text", "fields", "accessory", "expand"})
	_, hasText := b["text"]
	_, hasFields := b["fields"]
	if !hasText && !hasFields {
		k.note(ptr, "missing required field: text")
	}
	if hasText {
		k.textObject(b["text"], ptr+"/text", maxSectionText, "plain_text", "mrkdwn")
	}
	if hasFields {
		for i, f := range k.items(b, "fields", ptr, 1, maxFields) {
			k.textObject(f, fmt.Sprintf("%s/fields/%d", ptr, i), maxFieldText, "plain_text", "mrkdwn")
		}
	}
	switch acc := b["accessory"].(type) {
	case nil:
	case map[string]any:
		if str(acc, "type") == "image" {
			k.image(acc, ptr+"/accessory", nil)
		} else {
			k.element(acc, ptr+"/accessory", map[string]bool{})
		}
	default:
		k.note(ptr+"/accessory", "must be an object")
	}
}

// items returns the objects of an array field whose length it checks.
func (k *checker) items(b Block, key, ptr string, min, max int) []Block {
	vs, ok := b[key].([]any)
	if !ok {
		if b[key] != nil {
			k.note(ptr+"/"+key, "must be an array")
		}
		return nil
	}
	if len(vs) < min {
		k.note(ptr+"/"+key, "no fewer than %d items allowed", min)
	}
	if len(vs) > max {
		k.note(ptr+"/"+key, "no more than %d items allowed", max)
	}
	out := list(b, key)
	if len(out) != len(vs) {
		k.note(ptr+"/"+key, "must provide objects")
	}
	return out
}

// textObject checks a text composition object.
func (k *checker) textObject(v any, ptr string, max int, kinds ...string) {
	t, ok := v.(map[string]any)
	if !ok {
		if v != nil {
			k.note(ptr, "must be an object")
		}
		return
	}
	k.keys(t, ptr, []string{"text"}, []string{"emoji", "verbatim"})
	if kind := str(t, "type"); !slices.Contains(kinds, kind) {
		k.note(ptr+"/type", "must be equal to one of the allowed values: %s", strings.Join(kinds, ", "))
	} else if kind == "mrkdwn" && t["emoji"] == true {
		k.note(ptr, "invalid additional property: emoji")
	}
	k.text += k.plainString(t["text"], ptr+"/text", 1, max)
}

// plainString checks a string's length and returns it.
func (k *checker) plainString(v any, ptr string, min, max int) int {
	s, ok := v.(string)
	if !ok {
		if v != nil {
			k.note(ptr, "must be a string")
		}
		return 0
	}
	n := utf8.RuneCountInString(s)
	if n < min {
		k.note(ptr, "must be more than %d characters", min-1)
	}
	if n > max {
		k.note(ptr, "must be less than %d characters", max+1)
	}
	return n
}

func (k *checker) image(b Block, ptr string, more []string) {
	k.keys(b, ptr, []string{"alt_text"}, append([]string{"image_url", "slack_file", "image_width", "image_height", "image_bytes", "fallback"}, more...))
	k.plainString(b["alt_text"], ptr+"/alt_text", 1, maxAltText)
	file, hasFile := b["slack_file"].(map[string]any)
	_, hasURL := b["image_url"]
	switch {
	case hasFile == hasURL:
		k.note(ptr, "must provide either image_url or slack_file")
	case hasURL:
		k.webURL(b["image_url"], ptr+"/image_url")
	case str(file, "id") != "":
		if f := k.w.files[str(file, "id")]; f == nil || !strings.HasPrefix(f.Mimetype, "image/") {
			k.note(ptr+"/slack_file", "invalid slack file")
		}
	case str(file, "url") == "":
		k.note(ptr+"/slack_file", "invalid slack file")
	}
}

func (k *checker) webURL(v any, ptr string) {
	k.plainString(v, ptr, 1, maxURL)
	if s, _ := v.(string); !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://") {
		k.note(ptr, "invalid url")
	}
}
