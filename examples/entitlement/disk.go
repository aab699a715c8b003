package entitlement

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/billbus/billbus/events"
)

// write replaces a file as a whole: even after a crash a reader finds either the old or
// the new content.
func write(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	draft := path + ".draft"
	if err := writeSynced(draft, append(text, '\n')); err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func writeSynced(path string, text []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// syncFolder makes a rename survive a power cut.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return f.Sync()
}

// Notice is a line of notices.jsonl.
type Notice struct {
	Event        string `json:"event"` // source and id, which together identify the event
	Subscription string `json:"subscription"`
	UserID       string `json:"user_id,omitempty"`
}

func noticeOf(msg events.Message) Notice {
	return Notice{
		Event:        msg.Source + " " + msg.ID,
		Subscription: msg.SubscriptionKey(), UserID: msg.Data.Subscription.UserID,
	}
}

// noticeFile is the list of notices. A line is both the effect of a message and the
// memory of it, in one write.
type noticeFile struct {
	file *os.File
	size int64 // of the complete lines
	have map[string]bool
}

func openNotices(path string) (*noticeFile, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	n := &noticeFile{file: file, have: map[string]bool{}}
	if err := n.load(path); err != nil {
		_ = file.Close()
		return nil, err
	}
	return n, syncFolder(filepath.Dir(path))
}

// load reads the complete lines, and removes a part of a line that a crash has left.
func (n *noticeFile) load(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		var notice Notice
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		if err := json.Unmarshal(line, &notice); err != nil {
			return err
		}
		n.have[notice.Event] = true
		n.size += int64(len(line))
	}
	return n.file.Truncate(n.size)
}

func (n *noticeFile) add(notice Notice) error {
	if n.have[notice.Event] {
		return nil
	}
	line, err := json.Marshal(notice)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	// After an error there may be a part of a line at this offset.
	if _, err := n.file.WriteAt(line, n.size); err != nil {
		return err
	}
	if err := n.file.Sync(); err != nil {
		return err
	}
	n.size += int64(len(line))
	n.have[notice.Event] = true
	return nil
}

func (n *noticeFile) close() error { return n.file.Close() }
