package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/billbus/billbus/test/kit"
)

func needFUSE(t *testing.T) {
	t.Helper()
	if lacks := lacking(); lacks != "" {
		t.Skip("nothing can be said about power cuts here: " + lacks)
	}
}

// What a power cut leaves of files that were written in several ways.
func TestPowerCutLeavesWhatWasSynced(t *testing.T) {
	needFUSE(t)
	for _, strict := range []bool{false, true} {
		dir := t.TempDir()
		d, err := newDisk(dir, strict)
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(dir, "mounted")
		mounted, err := mount(dir, at, d)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = mounted.Unmount() })
		write(t, at)
		if err := mounted.Unmount(); err != nil {
			t.Fatal(err)
		}
		left := filepath.Join(dir, "left")
		if err := d.restore(left); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"appended": "one", "overwritten": "ONE two", "shortened": "o", "o_sync": "one", "renamed": "one", "folder/member": "one",
			"unsynced": "", "removed": "one",
		}
		if strict {
			want["renamed"], want["old-name"], want["folder/member"], want["last"] = none, "one", none, none
		} else {
			want["old-name"], want["removed"], want["last"] = none, none, "one"
		}
		for name, text := range want {
			got, err := os.ReadFile(filepath.Join(left, name))
			if err != nil {
				got = []byte(none)
			}
			if string(got) != text {
				t.Errorf("strict %t, %s: got %q, want %q", strict, name, got, text)
			}
		}
	}
}

const none = "no such file"

// write writes files in a folder. It syncs the folder once, in the middle.
func write(t *testing.T, dir string) {
	t.Helper()
	in := func(name string) string { return filepath.Join(dir, name) }
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	put := func(name string, flags int, text string, sync bool) {
		t.Helper()
		f, err := os.OpenFile(in(name), flags|os.O_CREATE|os.O_WRONLY, 0o600)
		check(err)
		_, err = f.WriteString(text)
		check(err)
		if sync {
			check(f.Sync())
		}
		check(f.Close())
	}
	for _, name := range []string{"appended", "overwritten", "shortened", "old-name", "removed"} {
		put(name, 0, "one", true)
	}
	put("o_sync", os.O_SYNC, "one", false)
	put("unsynced", 0, "one", false)
	folder, err := os.Open(dir)
	check(err)
	check(folder.Sync())
	check(folder.Close())
	put("appended", os.O_APPEND, " two", false)
	put("overwritten", 0, "ONE two", true)
	put("shortened", os.O_TRUNC, "o", true)
	check(os.Rename(in("old-name"), in("renamed")))
	check(os.Remove(in("removed")))
	check(os.Mkdir(in("folder"), 0o700))
	put("folder/member", 0, "one", true)
	put("last", 0, "one", true)
}

// With `sync_interval: always`, nothing is missing that was answered 200. With NATS's default,
// something is: otherwise the first would prove nothing.
func TestPowerCut(t *testing.T) {
	needFUSE(t)
	binaries, err := build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for _, k := range kinds() {
		var r result
		trial := kit.NewTrial(t.Context(), t.TempDir())
		failures := trial.Run(func() { r = cut{kind: k, binaries: binaries, rate: 200, seed: seed, after: 2 * time.Second}.run(trial) })
		t.Logf("%s: %d events were answered 200, %d of them are missing", k.name, r.answered, r.missing)
		switch {
		case len(failures) > 0 || r.answered == 0:
			t.Errorf("%s: %d answered; %v", k.name, r.answered, failures)
		case !k.loses && r.missing > 0:
			t.Errorf("%s: %d of %d events are missing", k.name, r.missing, r.answered)
		case k.sync == "" && r.missing == 0:
			t.Errorf("%s: nothing is missing, so the file system loses nothing", k.name)
		}
	}
}
