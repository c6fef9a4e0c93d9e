// Package notify turns an incident and its diagnosis into messages, and sees to it that each message is delivered exactly once.
//
// Rendering is pure: the same incident and diagnosis give the same [Message], which says what stands where but not how Slack draws it;
// notify/slack turns it into Block Kit. Delivery is the [Queue]: the intent is stored, the message sent with an id in its metadata, its
// timestamp stored. Start reading at [Message], then [Queue].
package notify
