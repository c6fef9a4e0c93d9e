// Package audit writes down every action and every refusal: one JSON line before it runs and one after it, joined by an id. A line that
// cannot be written is an error, and what it was about does not run. Lines name people, objects and permissions; they never hold what a
// log or an object contains. Start reading at [Log.Begin].
package audit
