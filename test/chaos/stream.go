package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/deploy"
)

// fillStream lowers the limit of the stream to what is in it.
func (r *run) fillStream(f Fault) error {
	info, err := r.limitStream(func(size uint64) int64 { return int64(max(size, 1)) })
	if info == nil {
		return err
	}
	if err == nil { // otherwise the limit may be lower all the same
		r.Wait(f.Length)
	}
	r.insist("the limit of the stream is raised", func() error {
		_, err := r.limitStream(func(uint64) int64 { return info.Config.MaxBytes })
		return err
	})
	return err
}

func (r *run) limitStream(limit func(size uint64) int64) (*jetstream.StreamInfo, error) {
	s, err := r.JS.Stream(r.Context(), deploy.Stream)
	if err != nil {
		return nil, err
	}
	before := *s.CachedInfo()
	cfg := before.Config
	cfg.MaxBytes = limit(before.State.Bytes)
	_, err = r.JS.UpdateStream(r.Context(), cfg)
	return &before, err
}

// insist does something until it succeeds: other faults may be in its way.
func (r *run) insist(what string, do func() error) {
	kit.Eventually(r, what, func() bool {
		err := do()
		if err != nil {
			r.Wait(100 * time.Millisecond)
		}
		return err == nil
	})
}

func (r *run) deleteConsumer(Fault) error {
	return r.JS.DeleteConsumer(r.Context(), deploy.Stream, deploy.Consumer)
}

// deleteStream also waits until a bridge has created it again. A deletion without an answer can
// have happened.
func (r *run) deleteStream(Fault) error {
	before, err := r.created()
	if err != nil {
		return err
	}
	begin := time.Now()
	failed := r.JS.DeleteStream(r.Context(), deploy.Stream)
	after := before
	r.insist("the stream is created again", func() (err error) {
		after, err = r.created()
		if failed == nil && after.Equal(before) {
			return errors.New("it is the old one")
		}
		return err
	})
	if after.Equal(before) {
		return failed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deletions = append(r.deletions, interval{begin, after})
	return nil
}

// created returns when the stream was created.
func (r *run) created() (time.Time, error) {
	s, err := r.JS.Stream(r.Context(), deploy.Stream)
	if err != nil {
		return time.Time{}, err
	}
	return s.CachedInfo().Created, nil
}

// disk is where the NATS servers keep their data.
type disk struct {
	dir   string
	small bool   // a file system of its own
	limit string // of JetStream, in its configuration
}

// newDisk mounts a small file system if the plan fills it and this is permitted. Otherwise
// JetStream has a limit.
func newDisk(t *kit.Trial, faults []Fault, events int) disk {
	d := disk{dir: filepath.Join(t.Dir, "nats")}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if !planned(faults, "disk-full") {
		return d
	}
	size := max(64<<20, events*20_000)
	d.limit = fmt.Sprintf("max_file_store: %d", size)
	mount := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", size), "tmpfs", d.dir) //nolint:gosec // our own arguments
	if os.Geteuid() != 0 || mount.Run() != nil {
		return d
	}
	d.small, d.limit = true, "max_file_store: 1TB" // the disk is full before that
	t.Cleanup(func() {
		_ = exec.CommandContext(context.WithoutCancel(t.Context()), "umount", d.dir).Run()
	})
	return d
}

func planned(faults []Fault, kind string) bool {
	for _, f := range faults {
		if f.Kind == kind {
			return true
		}
	}
	return false
}

func (d disk) String() string {
	if d.small {
		return "disk-full: a file system of its own is filled"
	}
	return "disk-full: JetStream's limit is reached"
}

// fillDisk fills the disk, makes room after a while, and restarts the servers, which refuse
// to write until then.
func (r *run) fillDisk(f Fault) error {
	if !r.disk.small {
		return r.fillJetStream(f)
	}
	path := filepath.Join(r.disk.dir, "ballast")
	if err := ballast(path); err != nil {
		return err
	}
	r.Wait(f.Length)
	err := os.Remove(path)
	for _, node := range r.Nodes {
		r.stop(node)
		r.start(node)
	}
	return err
}

// ballast writes a file until the disk is full.
func ballast(path string) error {
	file, err := os.Create(filepath.Clean(path))
	if err != nil {
		return err
	}
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := file.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	return file.Close()
}

const filler = "FILLER"

// fillJetStream fills the servers with another stream until they take nothing more.
func (r *run) fillJetStream(f Fault) error {
	cfg := jetstream.StreamConfig{Name: filler, Subjects: []string{"filler"}}
	if _, err := r.JS.CreateOrUpdateStream(r.Context(), cfg); err != nil {
		return err
	}
	for _, size := range []int{500_000, 10_000, 500} {
		for err := error(nil); err == nil; {
			_, err = r.JS.Publish(r.Context(), "filler", make([]byte, size))
		}
	}
	r.Wait(f.Length)
	r.insist("the other stream is deleted", func() error { return r.JS.DeleteStream(r.Context(), filler) })
	return nil
}
