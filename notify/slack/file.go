package slack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	slackgo "github.com/slack-go/slack"

	"crashloop/notify"
)

// maxFile bounds a file, in bytes. What is longer is cut in the middle of nowhere, so callers bound their files themselves.
const maxFile = 8 << 20

// prepareFile uploads a file's bytes without showing it to anyone, and returns what is needed to share it; nil for no file.
// slack-go's own UploadFile closes its form twice and breaks; the raw bytes are all that Slack wants.
func (c *Client) prepareFile(ctx context.Context, f *notify.File) (*slackgo.FileSummary, error) {
	if f == nil || len(f.Content) == 0 {
		return nil, nil
	}
	content := f.Content[:min(len(f.Content), maxFile)]
	name := notify.Cut(notify.Clean(f.Name), 200)
	if name == "" {
		name = "crashloop.txt"
	}
	ctx, cancel := context.WithTimeout(ctx, 2*c.o.CallTimeout)
	defer cancel()
	target, err := c.api.GetUploadURLExternalContext(ctx, slackgo.GetUploadURLExternalParameters{FileName: name, FileSize: len(content)})
	if err != nil {
		return nil, c.uploadError(err)
	}
	if _, ok := webURL(target.UploadURL); !ok {
		return nil, &notify.SendError{Op: "upload", Reason: "Slack gave no usable upload URL", Retry: true}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.UploadURL, bytes.NewReader(content))
	if err != nil {
		return nil, c.uploadError(err)
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.uploadError(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, c.uploadError(fmt.Errorf("uploading %d bytes: %w", len(content), slackgo.StatusCodeError{Code: resp.StatusCode, Status: resp.Status}))
	}
	title := notify.Cut(notify.Clean(f.Title), 200)
	if title == "" {
		title = name
	}
	return &slackgo.FileSummary{ID: target.FileID, Title: title}, nil
}

// uploadError is a failure before anything was shown: trying again repeats nothing.
func (c *Client) uploadError(err error) error {
	se, ok := errors.AsType[*notify.SendError](c.sendError("upload", err))
	if !ok {
		return err
	}
	se.Unanswered = false
	return se
}

// shareFile shows an uploaded file in a thread. It tries a few times, since the message that announces it has been sent.
func (c *Client) shareFile(ctx context.Context, f *slackgo.FileSummary, channel, thread string) error {
	for try := 1; ; try++ {
		callCtx, cancel := c.call(ctx)
		_, err := c.api.CompleteUploadExternalContext(callCtx, slackgo.CompleteUploadExternalParameters{
			Files: []slackgo.FileSummary{*f}, Channel: channel, ThreadTimestamp: thread})
		cancel()
		if err == nil {
			return nil
		}
		failed, ok := errors.AsType[*notify.SendError](c.sendError("file", err))
		if !ok {
			return err
		}
		if !failed.Retry || failed.Unanswered || try == 3 {
			return failed
		}
		timer := time.NewTimer(max(failed.After, time.Second))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return failed
		}
	}
}
