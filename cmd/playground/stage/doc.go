// Package stage puts everything on one machine that a story needs: a cluster (package cluster), three people with real rights in it, a Slack
// workspace (crashloop/notify/workspace) and the bot, built from the repository and run as a process of its own under the ServiceAccount and
// ClusterRole that deploy/ ships. The playground's launcher and the end-to-end tests use the same code.
//
// Start reading at [Start].
package stage
