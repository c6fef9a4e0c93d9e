// Package bot says what happens when: an incident opens, so it is diagnosed and posted; evidence comes late, so the post is revised; the
// container crashes again, recovers or goes away, so the thread says so; somebody types or clicks, so the command is run.
//
// It knows the stages by the interfaces in this file's neighbours and none of their implementations: cmd/crashloop puts a live cluster, a
// Slack workspace and the catalogue behind them. Start reading at [Bot.Run]; the folders below it are the stages, in the order of the data:
// kube, incident, access, action, command, audit, with state beneath them all.
package bot
