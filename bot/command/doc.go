// Package command is what people type and click: one file per slash command, and the same handlers behind the buttons.
//
// A line is split as a shell would (line.go), its flags are read, and its name is looked up among what the person may list (resolve.go).
// Every answer is for the asker alone; only what changed the cluster is told to the thread, by Options.OnAction. The package asks the
// cluster nothing itself: it consumes the small interfaces in options.go. Start reading at [Dispatcher.Command].
package command
