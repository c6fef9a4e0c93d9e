// Package slack is the bot's end of Slack: it draws a [notify.Message] in Block Kit, carries it with the Web API ([Client] is a
// [notify.Transport]), and hears commands and clicks over Socket Mode ([Client.Listen]). It is the only package that imports slack-go,
// and it hides what that library leaves open: timeouts, lost answers, reconnect storms, lost acknowledgements, tokens in errors.
//
// Start reading at [New], then draw.go for how a message looks, and listen.go for how a click arrives.
package slack
