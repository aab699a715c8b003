package kit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Process is a program that a test starts, kills and starts again. Its methods may be called
// while another goroutine starts it.
type Process struct {
	Name    string
	Command []string // path and arguments
	Env     []string
	Log     string // the file of its output, appended to by each start

	mu  sync.Mutex
	now *execution // nil before the first start
}

// execution is a process from its start to its end.
type execution struct {
	*os.Process
	done chan struct{}
	err  error // how it ended, once done is closed
}

// Start starts the process. It is killed at the end of the test.
func (p *Process) Start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(p.Command[0], p.Command[1:]...) //nolint:noctx // the test kills it
	cmd.Env, cmd.Stdout, cmd.Stderr = p.Env, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x := &execution{Process: cmd.Process, done: make(chan struct{})}
	p.mu.Lock()
	p.now = x
	p.mu.Unlock()
	go func() {
		x.err = cmd.Wait()
		close(x.done)
	}()
	t.Cleanup(func() { p.Kill(t) })
}

func (p *Process) current() *execution {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// PID returns the id of the process.
func (p *Process) PID() int { return p.current().Pid }

// PeakMemory returns the most memory that the process has used until now, in kB. It fails
// if the process has ended.
func (p *Process) PeakMemory() (int, error) { return p.memory("VmHWM") }

// Memory returns the memory that the process uses, in kB. It fails if the process has ended.
func (p *Process) Memory() (int, error) { return p.memory("VmRSS") }

func (p *Process) memory(field string) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kB int
		if n, _ := fmt.Sscanf(line, field+": %d kB", &kB); n == 1 {
			return kB, nil
		}
	}
	return 0, fmt.Errorf("%s has ended", p.Name)
}

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.current().done:
		return true
	default:
		return false
	}
}

// Err waits until the process has ended, and returns how. It fails the test after 30
// seconds.
func (p *Process) Err(t testing.TB) error {
	t.Helper()
	x := p.current()
	select {
	case <-x.done:
		return x.err
	case <-time.After(30 * time.Second):
		t.Fatalf("%s did not end within 30 s", p.Name)
		return nil
	}
}

// Kill kills the process, if it runs, and waits until it has ended.
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	x := p.current()
	if x == nil {
		return
	}
	p.Signal(t, syscall.SIGKILL)
	<-x.done
}

// Signal sends a signal to the process, if it runs.
func (p *Process) Signal(t testing.TB, sig os.Signal) {
	t.Helper()
	if err := p.current().Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
}

// Terminate sends SIGTERM, and returns how the process ended.
func (p *Process) Terminate(t testing.TB) error {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	return p.Err(t)
}

// RunWithBinaries builds packages into a temporary folder, sets dir to it, and calls
// run, for TestMain.
func RunWithBinaries(dir *string, run func() int, packages ...string) int {
	temp, err := os.MkdirTemp("", "billbus-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(temp) }()
	args := append([]string{"build", "-o", temp + string(filepath.Separator)}, packages...)
	build := exec.CommandContext(context.Background(), "go", args...)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the programs:", err)
		return 1
	}
	*dir = temp
	return run()
}

var lastPort atomic.Int64

// FreeAddr returns an address on this machine that nothing listens on. Its port is
// below those that the system assigns, so no client gets it while a server that uses
// it restarts.
func FreeAddr(t testing.TB) string {
	t.Helper()
	base := 15000 + int64(os.Getpid()%1000)*10
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", base+lastPort.Add(1))
		ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
		if err != nil {
			continue
		}
		_ = ln.Close()
		return addr
	}
	t.Fatal("no free port")
	return ""
}
