package kit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Postgres is a PostgreSQL server on a socket in a folder of its own.
type Postgres struct {
	*Process
	Dir string
}

// NewPostgres makes a server, for user postgres without a password. The error says what is
// not installed; tests may be skipped then. Settings are like "fsync=off".
func NewPostgres(t testing.TB, settings ...string) (*Postgres, error) {
	t.Helper()
	bin, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg-") //nolint:usetesting // the path of a socket has at most 107 characters
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	prefix, err := asPostgres(dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	initdb := slices.Concat(prefix, []string{filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"})
	if text, err := exec.CommandContext(t.Context(), initdb[0], initdb[1:]...).CombinedOutput(); err != nil { //nolint:gosec // our own arguments
		t.Fatalf("%v: %v\n%s", initdb, err, text)
	}
	command := slices.Concat(prefix, []string{filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses="})
	for _, setting := range settings {
		command = append(command, "-c", setting)
	}
	return &Postgres{Dir: dir, Process: &Process{
		Name: "postgres", Log: filepath.Join(t.TempDir(), "postgres.log"), Env: os.Environ(), Command: command,
	}}, nil
}

// postgresPrograms returns the folder with initdb and postgres. Debian does not put it
// into PATH.
func postgresPrograms() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed")
	}
	if _, err := exec.LookPath("psql"); err != nil {
		return "", errors.New("psql is not installed")
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// asPostgres gives the folder to the user postgres, and returns a command that becomes
// this user: the server refuses to run as root.
func asPostgres(dir string) ([]string, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, errors.New("there is no user postgres")
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		return nil, fmt.Errorf("giving a folder to the user postgres: %w", err)
	}
	return []string{"setpriv", "--reuid=" + u.Uid, "--regid=" + u.Gid, "--clear-groups"}, nil
}

// Start starts the server, and waits until it answers. After it was killed, it refuses to
// start until the last of its processes has ended.
func (p *Postgres) Start(t testing.TB) {
	t.Helper()
	p.Process.Start(t)
	Eventually(t, "PostgreSQL answers", func() bool {
		if p.Ended() {
			p.Process.Start(t)
		}
		_, err := p.Query(t, "select 1")
		return err == nil
	})
}

// Query returns what psql prints for some SQL.
func (p *Postgres) Query(t testing.TB, sql string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "psql", "-X", "-q", "-A", "-t", "-h", p.Dir, "-U", "postgres", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-v", "livemode=false")
	cmd.Stdin = strings.NewReader(sql)
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// URL is for clients.
func (p *Postgres) URL() string { return "postgres:///postgres?user=postgres&host=" + p.Dir }

// Stop lets the server end in order: one that is killed leaves shared memory behind.
func (p *Postgres) Stop(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGINT)
	_ = p.Err(t)
}
