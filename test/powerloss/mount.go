package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// lacking says what the machine lacks to mount a file system; "" if nothing.
func lacking() string {
	if _, err := os.Stat("/dev/fuse"); err != nil {
		return "there is no /dev/fuse: load the module fuse, or run the container with --device /dev/fuse"
	}
	if os.Geteuid() != 0 {
		return "mounting needs root"
	}
	return ""
}

// mount mounts a file system that passes everything on to a folder of its own, and reports it to
// the disk.
func mount(dir, mountpoint string, d *disk) (*fuse.Server, error) {
	live := filepath.Join(dir, "live")
	for _, path := range []string{live, mountpoint} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, err
		}
	}
	data := &fs.LoopbackRoot{Path: live}
	var st syscall.Stat_t
	if err := syscall.Stat(live, &st); err != nil {
		return nil, err
	}
	data.Dev = st.Dev
	root := &node{&fs.LoopbackNode{RootData: data}, d}
	data.RootNode = root
	server, err := fs.Mount(mountpoint, root, &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "powerloss"}})
	if err != nil {
		return nil, fmt.Errorf("mounting with FUSE (in a container, this needs --cap-add SYS_ADMIN): %w", err)
	}
	return server, nil
}

// node is a file or a folder.
type node struct {
	*fs.LoopbackNode
	disk *disk
}

// WrapChild implements fs.NodeWrapChilder.
func (n *node) WrapChild(_ context.Context, child fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{child.(*fs.LoopbackNode), n.disk}
}

func (n *node) id() uint64 {
	if n.IsRoot() {
		return rootID
	}
	return n.StableAttr().Ino
}

func (n *node) pathOf(name string) string {
	return filepath.Join(n.RootData.Path, n.Path(n.Root()), name)
}

// Create implements fs.NodeCreater.
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	child, handle, fuseFlags, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	if errno != 0 {
		return child, handle, fuseFlags, errno
	}
	id := child.StableAttr().Ino
	err := n.disk.named(n.id(), name, id, n.pathOf(name), false)
	return child, n.disk.handle(handle, id), 0, fs.ToErrno(err)
}

// Mkdir implements fs.NodeMkdirer.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	child, errno := n.LoopbackNode.Mkdir(ctx, name, mode, out)
	if errno == 0 {
		errno = fs.ToErrno(n.disk.named(n.id(), name, child.StableAttr().Ino, n.pathOf(name), true))
	}
	return child, errno
}

// Link is not implemented: the file has to be known under one name.
func (n *node) Link(context.Context, fs.InodeEmbedder, string, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, syscall.ENOTSUP
}

// Unlink implements fs.NodeUnlinker.
func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	errno := n.LoopbackNode.Unlink(ctx, name)
	if errno == 0 {
		n.disk.removed(n.id(), name)
	}
	return errno
}

// Rmdir implements fs.NodeRmdirer.
func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	errno := n.LoopbackNode.Rmdir(ctx, name)
	if errno == 0 {
		n.disk.removed(n.id(), name)
	}
	return errno
}

// Rename implements fs.NodeRenamer.
func (n *node) Rename(ctx context.Context, name string, parent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	to, ok := parent.(*node)
	if !ok || flags != 0 {
		return syscall.ENOTSUP
	}
	errno := n.LoopbackNode.Rename(ctx, name, to.LoopbackNode, newName, flags)
	if errno == 0 {
		n.disk.renamed(n.id(), name, to.id(), newName)
	}
	return errno
}

// Setattr implements fs.NodeSetattrer. It gets all truncations.
func (n *node) Setattr(ctx context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	errno := n.LoopbackNode.Setattr(ctx, nil, in, out)
	if size, ok := in.GetSize(); ok && errno == 0 {
		n.disk.truncated(n.id(), int64(size))
	}
	return errno
}

// Open implements fs.NodeOpener.
func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	handle, fuseFlags, errno := n.LoopbackNode.Open(ctx, flags)
	if errno != 0 {
		return handle, fuseFlags, errno
	}
	if flags&syscall.O_TRUNC != 0 {
		n.disk.truncated(n.id(), 0)
	}
	return n.disk.handle(handle, n.id()), 0, 0
}

// OpendirHandle implements fs.NodeOpendirHandler.
func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	handle, _, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	return &folder{handle.(loopbackFolder), n}, 0, 0
}

// loopbackFolder is what go-fuse's handle of a folder can do.
type loopbackFolder interface {
	fs.FileReaddirenter
	fs.FileReleasedirer
	fs.FileSeekdirer
}

type folder struct {
	loopbackFolder
	node *node
}

// Fsyncdir implements fs.FileFsyncdirer.
func (f *folder) Fsyncdir(context.Context, uint32) syscall.Errno {
	f.node.disk.syncFolder(f.node.id())
	return 0
}

// loopbackFile is what go-fuse's handle of a file can do, but for what would let the kernel write
// without us.
type loopbackFile interface {
	fs.FileReader
	fs.FileWriter
	fs.FileFlusher
	fs.FileReleaser
	fs.FileGetattrer
	fs.FileLseeker
}

type file struct {
	loopbackFile
	disk *disk
	id   uint64
}

func (d *disk) handle(of fs.FileHandle, id uint64) fs.FileHandle {
	return &file{of.(loopbackFile), d, id}
}

// Write implements fs.FileWriter.
func (f *file) Write(ctx context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	n, errno := f.loopbackFile.Write(ctx, data, off)
	f.disk.wrote(f.id, off, off+int64(n))
	return n, errno
}

// Fsync implements fs.FileFsyncer. The kernel also calls it after each write with O_SYNC.
func (f *file) Fsync(context.Context, uint32) syscall.Errno { return fs.ToErrno(f.disk.sync(f.id)) }
