package slack

import "crashloop/notify"

// Slack's limits, in characters unless said otherwise (docs.slack.dev, Block Kit reference). Those of the text in all are not documented:
// msg_blocks_too_long comes from about 11,000 characters, so messages stay below 9,000.
const (
	maxText         = 9000 // of all blocks together
	maxBlocks       = 50
	maxFallback     = 3000 // of the top-level text; chat.update refuses more than 4,000 after escaping
	maxHeader       = 150
	maxSection      = 3000
	maxField        = 2000
	maxFields       = 10 // in one section
	maxContext      = 10 // elements
	maxButton       = 75
	maxValue        = 2000
	maxOption       = 75
	maxOptionValue  = 150
	maxID           = 255
	maxMenu         = 5
	maxActions      = 25
	maxConfirmTitle = 100
	maxConfirmText  = 300
	maxConfirmYes   = 30
	maxTableRows    = 100
	maxTableColumns = 20
	maxAlt          = 2000
	maxURL          = 3000
)

// tooLong says whether a message would be cut.
func tooLong(m notify.Message) bool { return m.Len() > maxText || len(m.Blocks) > maxBlocks }

// asFile is the whole message as a text file.
func asFile(m notify.Message) *notify.File {
	return &notify.File{Name: "crashloop.txt", Title: notify.Cut(notify.Clean(m.Text), 100), Content: []byte(m.Plain() + "\n")}
}
