// Package e2e holds the end-to-end tests, and nothing else: a real control plane, the bot's own binary under the rights that deploy/ ships,
// a Slack workspace that speaks Slack's protocols, and a real browser in front of it. Nothing in between is replaced.
//
// The stories run on simulated nodes, and those that a real kubelet can tell differently run on a containerd node too. Stories share one
// API server; each has namespaces, a workspace and a bot of its own, so that they run beside each other.
//
// Start reading at stage_test.go: a stage is what one story plays on. actions_test.go is the first story.
package e2e
