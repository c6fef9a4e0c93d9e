// Package action changes the cluster for a person: one file per action, each a value that says what it does, which permissions the person
// needs, which rules the bot's own ServiceAccount needs, and how it is undone.
//
// [Runner.Run] is the one way in: access is decided, the audit line is written, the action runs, its end is written, the object gets an
// Event. The package also holds what people read through the bot - logs, kubectl's description, names - each behind [Guard]. Start reading
// at [Runner.Run], then restart.go.
package action
