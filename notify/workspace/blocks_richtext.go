package workspace

import (
	"fmt"
	"slices"
)

// richText checks the elements of a rich_text block or table cell.
func (k *checker) richText(b Block, ptr string) {
	for i, e := range k.items(b, "elements", ptr, 1, maxBlocks*maxBlocks) {
		at := fmt.Sprintf("%s/elements/%d", ptr, i)
		switch kind := str(e, "type"); kind {
		case "rich_text_section":
			k.keys(e, at, []string{"elements"}, nil)
			k.inline(e, at, false)
		case "rich_text_quote":
			k.keys(e, at, []string{"elements"}, []string{"border"})
			k.inline(e, at, false)
		case "rich_text_preformatted":
			k.keys(e, at, []string{"elements"}, []string{"border", "language"})
			k.inline(e, at, true)
		case "rich_text_list":
			k.keys(e, at, []string{"elements", "style"}, []string{"border", "indent", "offset"})
			if s := str(e, "style"); s != "bullet" && s != "ordered" {
				k.note(at+"/style", "must be equal to one of the allowed values: bullet, ordered")
			}
			if n, ok := e["indent"].(float64); ok && (n < 0 || n > maxRichTextIndent) {
				k.note(at+"/indent", "must be between 0 and %d", maxRichTextIndent)
			}
			for j, item := range k.items(e, "elements", at, 1, maxBlocks*maxBlocks) {
				sub := fmt.Sprintf("%s/elements/%d", at, j)
				if kind := str(item, "type"); kind != "rich_text_section" {
					k.note(sub+"/type", "unsupported type: %s", kind)
					continue
				}
				k.keys(item, sub, []string{"elements"}, nil)
				k.inline(item, sub, false)
			}
		default:
			k.note(at+"/type", "unsupported type: %s", kind)
		}
	}
}

// inlineFields lists, per inline element, its required and its optional fields.
func inlineFields(kind string) (required, optional []string, known bool) {
	switch kind {
	case "text":
		return []string{"text"}, []string{"style"}, true
	case "link":
		return []string{"url"}, []string{"text", "unsafe", "style"}, true
	case "emoji":
		return []string{"name"}, []string{"unicode", "skin_tone", "style", "url"}, true
	case "user":
		return []string{"user_id"}, []string{"style"}, true
	case "usergroup":
		return []string{"usergroup_id"}, []string{"style"}, true
	case "channel":
		return []string{"channel_id"}, []string{"style"}, true
	case "broadcast":
		return []string{"range"}, []string{"style"}, true
	case "date":
		return []string{"timestamp", "format"}, []string{"url", "fallback", "style", "timezone"}, true
	case "color":
		return []string{"value"}, []string{"style"}, true
	}
	return nil, nil, false
}

func (k *checker) inline(b Block, ptr string, preformatted bool) {
	for i, e := range k.items(b, "elements", ptr, 0, maxBlocks*maxBlocks) {
		at := fmt.Sprintf("%s/elements/%d", ptr, i)
		kind := str(e, "type")
		required, optional, known := inlineFields(kind)
		if !known || preformatted && kind != "text" && kind != "link" {
			k.note(at+"/type", "unsupported type: %s", kind)
			continue
		}
		k.keys(e, at, required, optional)
		switch kind {
		case "text":
			k.text += k.plainString(e["text"], at+"/text", 1, maxAllText*2)
		case "link":
			k.webOrMailURL(e["url"], at+"/url")
			if t, ok := e["text"]; ok {
				k.text += k.plainString(t, at+"/text", 0, maxAllText*2)
			}
		case "broadcast":
			if r := str(e, "range"); !slices.Contains([]string{"here", "channel", "everyone"}, r) {
				k.note(at+"/range", "must be equal to one of the allowed values: here, channel, everyone")
			}
		}
		if s, ok := e["style"].(map[string]any); ok {
			for name, v := range s {
				if _, isBool := v.(bool); !isBool || !slices.Contains([]string{"bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink"}, name) {
					k.note(at+"/style", "invalid additional property: %s", name)
				}
			}
		}
	}
}

func (k *checker) webOrMailURL(v any, ptr string) {
	if s, _ := v.(string); len(s) > 7 && s[:7] == "mailto:" {
		k.plainString(v, ptr, 1, maxURL)
		return
	}
	k.webURL(v, ptr)
}

// table checks a table block: one per message, 100 rows of 20 cells.
func (k *checker) table(b Block, ptr string) {
	k.keys(b, ptr, []string{"rows"}, []string{"block_id", "column_settings"})
	k.tables++
	if k.tables > 1 {
		k.note(ptr, "only_one_table_allowed")
	}
	if v, ok := b["column_settings"]; ok {
		cols, isArray := v.([]any)
		if !isArray {
			k.note(ptr+"/column_settings", "must be an array")
		}
		if len(cols) > maxTableColumns {
			k.note(ptr+"/column_settings", "no more than %d items allowed", maxTableColumns)
		}
		for i, c := range cols {
			if c == nil { // leaves a column as it is
				continue
			}
			at := fmt.Sprintf("%s/column_settings/%d", ptr, i)
			col, ok := c.(map[string]any)
			if !ok {
				k.note(at, "must be an object")
				continue
			}
			k.keys(col, at, nil, []string{"align", "is_wrapped"})
			if a, ok := col["align"]; ok && a != "left" && a != "center" && a != "right" && a != "" {
				k.note(at+"/align", "must be equal to one of the allowed values: left, center, right")
			}
		}
	}
	rows, ok := b["rows"].([]any)
	if !ok {
		return
	}
	if len(rows) < 1 {
		k.note(ptr+"/rows", "no fewer than 1 items allowed")
	}
	if len(rows) > maxTableRows {
		k.note(ptr+"/rows", "no more than %d items allowed", maxTableRows)
	}
	before := k.text
	for i, r := range rows {
		at := fmt.Sprintf("%s/rows/%d", ptr, i)
		cells, ok := r.([]any)
		if !ok {
			k.note(at, "must be an array")
			continue
		}
		if len(cells) > maxTableColumns {
			k.note(at, "no more than %d items allowed", maxTableColumns)
		}
		for j, c := range cells {
			k.cell(c, fmt.Sprintf("%s/%d", at, j))
		}
	}
	k.tableText += k.text - before
	if k.tableText > maxTableText {
		k.note(ptr+"/rows", "total text must be less than %d characters", maxTableText+1)
	}
}

func (k *checker) cell(v any, at string) {
	cell, ok := v.(map[string]any)
	if !ok {
		k.note(at, "must be an object")
		return
	}
	switch kind := str(cell, "type"); kind {
	case "raw_text":
		k.keys(cell, at, []string{"text"}, nil)
		k.text += k.plainString(cell["text"], at+"/text", 1, maxTableText)
	case "raw_number":
		k.keys(cell, at, []string{"value"}, []string{"text"})
	case "rich_text":
		k.keys(cell, at, []string{"elements"}, []string{"block_id"})
		k.richText(cell, at)
	default:
		k.note(at+"/type", "unsupported type: %s", kind)
	}
}
