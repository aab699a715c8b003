package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"sync"
)

// disk remembers what of a file system a power cut would leave: the bytes that were synced
// with fsync, or written with O_SYNC, and the names that were.
type disk struct {
	// strict makes a name durable only when its folder is synced, which is all that POSIX
	// promises. Otherwise any sync makes all names durable, as in file systems with a journal.
	strict bool

	pins   string // a folder with a link to each file, by id: ids are not used again
	synced string // a folder with the synced bytes of each file, by id

	mu    sync.Mutex
	dirty map[uint64][]span            // what was written to files, and not synced
	names map[uint64]map[string]uint64 // the ids in each folder
	kept  map[uint64]map[string]uint64 // the same on the disk
	isDir map[uint64]bool
}

// span is a range of bytes.
type span struct{ from, to int64 }

// rootID is the id of the folder that is mounted.
const rootID = 0

func newDisk(dir string, strict bool) (*disk, error) {
	d := &disk{
		strict: strict, pins: filepath.Join(dir, "pins"), synced: filepath.Join(dir, "synced"),
		dirty: map[uint64][]span{}, names: map[uint64]map[string]uint64{}, kept: map[uint64]map[string]uint64{}, isDir: map[uint64]bool{rootID: true},
	}
	return d, errors.Join(os.MkdirAll(d.pins, 0o700), os.MkdirAll(d.synced, 0o700))
}

// named is called when an object gets a name, path. Of a file, it is the place of its bytes.
func (d *disk) named(folder uint64, name string, id uint64, path string, isDir bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.name(folder, name, id)
	d.isDir[id] = isDir
	if isDir {
		return nil
	}
	if err := os.Link(path, at(d.pins, id)); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func (d *disk) name(folder uint64, name string, id uint64) {
	if d.names[folder] == nil {
		d.names[folder] = map[string]uint64{}
	}
	d.names[folder][name] = id
}

func (d *disk) removed(folder uint64, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.names[folder], name)
}

func (d *disk) renamed(folder uint64, name string, newFolder uint64, newName string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id := d.names[folder][name]
	delete(d.names[folder], name)
	d.name(newFolder, newName, id)
}

func (d *disk) wrote(id uint64, from, to int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dirty[id] = append(d.dirty[id], span{from, to})
}

// truncated is called when a file gets a size. What comes after it is other bytes than before.
func (d *disk) truncated(id uint64, size int64) { d.wrote(id, size, math.MaxInt64) }

// sync makes the bytes of a file durable.
func (d *disk) sync(id uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.strict {
		d.keepNames()
	}
	return d.syncFile(id)
}

// settle makes everything durable, as a system does by itself some time later.
func (d *disk) settle() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keepNames()
	var errs []error
	for id := range d.dirty {
		errs = append(errs, d.syncFile(id))
	}
	return errors.Join(errs...)
}

func (d *disk) syncFile(id uint64) error {
	live, err := os.Open(at(d.pins, id))
	if err != nil {
		return err
	}
	defer func() { _ = live.Close() }()
	copied, err := os.OpenFile(at(d.synced, id), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = copied.Close() }()
	info, err := live.Stat()
	if err == nil {
		err = copied.Truncate(info.Size())
	}
	for _, s := range d.dirty[id] {
		if from, to := s.from, min(s.to, info.Size()); err == nil && from < to {
			_, err = io.Copy(io.NewOffsetWriter(copied, from), io.NewSectionReader(live, from, to-from))
		}
	}
	delete(d.dirty, id)
	return err
}

// syncFolder makes the names in a folder durable.
func (d *disk) syncFolder(id uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.strict {
		d.kept[id] = maps.Clone(d.names[id])
		return
	}
	d.keepNames()
}

func (d *disk) keepNames() {
	for id, names := range d.names {
		if !maps.Equal(names, d.kept[id]) {
			d.kept[id] = maps.Clone(names)
		}
	}
}

// restore writes what a power cut has left into a folder. A file that was never synced is empty.
func (d *disk) restore(folder string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.restoreFolder(rootID, folder)
}

func (d *disk) restoreFolder(id uint64, folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for name, member := range d.kept[id] {
		path := filepath.Join(folder, name)
		var err error
		if d.isDir[member] {
			err = d.restoreFolder(member, path)
		} else {
			err = d.restoreFile(member, path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *disk) restoreFile(id uint64, path string) error {
	content, err := os.ReadFile(at(d.synced, id))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

func at(folder string, id uint64) string { return filepath.Join(folder, fmt.Sprint(id)) }
