// Package workspace is a Slack workspace in this process: the Web API, Socket
// Mode, uploads, response URLs, and a page in the browser where several people can
// be played. Tests and the local mode talk to it over real HTTP and WebSocket with
// the client that talks to slack.com, so what Slack would refuse fails here too,
// with Slack's own error names: limits of Block Kit, missing scopes, pacing,
// unknown channels, used-up response URLs. It plays Slack's side only and imports
// neither a Slack client nor any other package of the project.
//
// Start reading at Workspace: New and Start serve it, As acts as a person, Wait
// and Snapshot look at what was said, Inject and its neighbours make it fail.
// api.go takes a Web API call through authentication, scopes, pacing and faults to
// its method; blocks.go checks Block Kit; socket.go delivers envelopes; interact.go
// makes them out of clicks and commands; page.go serves people.
//
// # What is not here yet
//
// Modals and App Home (views.* answers unknown_method, so nothing takes a
// trigger_id yet), signed HTTP callbacks,
// scheduled messages, group direct messages, and the retries of the Events API.
// Interactive elements other than buttons, overflow menus and static selects are
// refused as invalid_blocks, in words that say that Slack has them.
//
// # The page's landmarks
//
// Browser tests find things by these attributes, which stay as they are:
//
//	[data-channel=ID]                       in the sidebar, the link to a conversation
//	[data-acting-as]                        the select that holds the acting user's id
//	[data-pane=channel], [data-pane=thread] the two panes
//	[data-ts=TS]                            a message (data-user is its sender, data-ephemeral when only one person sees it)
//	[data-thread-link=TS]                   under a root: opens its thread
//	[data-action-id=ID]                     a button, a menu's button or a select (data-block-id is its block)
//	[data-option=VALUE]                     an entry of an opened overflow menu
//	[role=dialog][data-dialog=confirm]      a confirm dialog; in it [data-dialog-confirm] and [data-dialog-deny]
//	[data-composer=channel|thread]          the text box; Enter sends
//	[data-notice=CODE]                      what Slack itself says, such as operation_timeout
//	[data-broadcast=channel|here|everyone]  a mention that notifies everyone
//	[data-file=ID]                          a file; [data-block=TYPE] a block
//	[data-drawer=faults]                    the developer's drawer, opened by [data-open-drawer]
//	body[data-connected=true]               the page has its state and follows changes
package workspace
