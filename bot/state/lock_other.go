//go:build !unix

package state

import "os"

// lockWhole does nothing where there is no flock: the bot is made for Linux and macOS.
func lockWhole(*os.File) error { return nil }
