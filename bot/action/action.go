package action

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"crashloop/bot/access"
	"crashloop/notify"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/kubernetes"
)

// The annotations that actions leave on a workload's own metadata, never on its template, where they would start new pods.
const (
	// AnnotationReplicas remembers what scale-to-zero took away.
	AnnotationReplicas = "crashloop/replicas"
	// AnnotationLastAction says who did what last, and when.
	AnnotationLastAction = "crashloop/last-action"
)

// Action is one thing that can be done to a workload.
type Action struct {
	Name  string // "scale-to-zero": the slash command and the button
	Title string // "Scale to zero"
	Help  string // one sentence
	Undo  string // how it is undone
	Kinds []string
	// Permissions are what the person needs.
	Permissions func(Target) []access.Permission
	// Rules are what the bot's own ServiceAccount needs.
	Rules []rbacv1.PolicyRule
	// Instead says what to do with a kind that is not in Kinds.
	Instead func(Target) string

	undo   string // the action that undoes it
	reason string // of the Event
	do     func(context.Context, work) (result, error)
}

// result is what an action did: "restarted Deployment shop/web", and what a person should know besides.
type result struct {
	did   string
	notes []string
}

// work is what an action gets to do its work with.
type work struct {
	client kubernetes.Interface
	log    *slog.Logger
	target Target
	stamp  string // the value of AnnotationLastAction
}

// unneeded is an error that is none: there was nothing to do, or it cannot be done this way; it says so to the person.
type unneeded struct{ says string }

func (u *unneeded) Error() string { return u.says }

func nothing(format string, args ...any) error { return &unneeded{fmt.Sprintf(format, args...)} }

// All returns every action there is, in the order in which help names them.
func All() []Action { return []Action{Restart(), ScaleToZero(), ScaleBack()} }

// Rules adds up what the bot's ServiceAccount needs for these actions; deploy's ClusterRole is held to it.
func Rules(actions []Action) []rbacv1.PolicyRule {
	var all []rbacv1.PolicyRule
	for _, a := range actions {
		all = append(all, a.Rules...)
	}
	if len(all) > 0 {
		all = append(all, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create"}})
	}
	return all
}

// Find returns the action of that name.
func Find(actions []Action, name string) (Action, bool) {
	i := slices.IndexFunc(actions, func(a Action) bool { return a.Name == name })
	if i < 0 {
		return Action{}, false
	}
	return actions[i], true
}

// stamp names the person and the time on the object, for kubectl users. People choose their names: the parentheses belong to the id alone.
func stamp(action string, who notify.Person, user string, at time.Time) string {
	name := strings.Map(func(c rune) rune {
		switch {
		case c == '(':
			return '['
		case c == ')':
			return ']'
		case unicode.IsControl(c):
			return -1
		}
		return c
	}, who.Name)
	if name == "" {
		name = user
	}
	return fmt.Sprintf("%s by %s (%s) at %s", action, cut(name, 80), cut(who.ID, 40), at.UTC().Format(time.RFC3339))
}

// cut bounds a text to n characters.
func cut(s string, n int) string {
	runes := []rune(strings.ToValidUTF8(s, "�"))
	if len(runes) <= n {
		return string(runes)
	}
	return string(runes[:n-1]) + "…"
}

func countReplicas(n int32) string {
	if n == 1 {
		return "1 replica"
	}
	return strconv.Itoa(int(n)) + " replicas"
}
