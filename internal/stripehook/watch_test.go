package stripehook_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/stripehook"
	"github.com/billbus/billbus/test/kit"
)

// source is what a watched file contains.
type source struct {
	mu   sync.Mutex
	keys []stripehook.Key
	err  error

	used   []stripehook.Key // what was loaded last
	failed error            // what failed last
}

func (s *source) loaded(keys []stripehook.Key, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed = err; err == nil {
		s.used = keys
	}
}

// outcome returns the keys that were loaded last, and whether the last attempt failed.
func (s *source) outcome() ([]stripehook.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, s.failed
}

func (s *source) read() ([]stripehook.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys, s.err
}

func (s *source) set(err error, keys ...stripehook.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.err = keys, err
}

func watch(t *testing.T, scenario func(s *source, v *stripehook.Verifier, hup chan os.Signal, logged *kit.Buffer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, v := &source{keys: []stripehook.Key{main}}, verifier(t, main)
		hup, logged := make(chan os.Signal), new(kit.Buffer)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			stripehook.Watch(ctx, s.read, v, time.Second, hup, s.loaded, slog.New(slog.NewTextHandler(logged, nil)))
		}()
		synctest.Wait()
		scenario(s, v, hup, logged)
		cancel()
		<-done
		for _, key := range []stripehook.Key{main, next} {
			if strings.Contains(logged.String(), key.Secret) {
				t.Errorf("the log contains a secret: %s", logged)
			}
		}
	})
}

// tick lets the fake clock of synctest reach the next reload, and waits for its end.
func tick() {
	time.Sleep(time.Second)
	synctest.Wait()
}

func TestWatchUsesChangedKeys(t *testing.T) {
	t.Parallel()
	watch(t, func(s *source, v *stripehook.Verifier, _ chan os.Signal, logged *kit.Buffer) {
		tick()
		if logged.String() != "" {
			t.Errorf("without a change, got log %s", logged)
		}
		s.set(nil, next)
		tick()
		if _, _, err := v.Verify(body, header(next, now, body)); err != nil {
			t.Errorf("the new key: %v", err)
		}
		if _, _, err := v.Verify(body, header(main, now, body)); fault.ReasonOf(err) != fault.NoMatchingSecret {
			t.Errorf("the old key: got %v, want no_match", err)
		}
		if keys, err := s.outcome(); !slices.Equal(keys, []stripehook.Key{next}) || err != nil {
			t.Errorf("got %v, %v reported, want the new key", keys, err)
		}
		tick()
		if got := strings.Count(logged.String(), "secrets=[next]"); got != 1 {
			t.Errorf("the change was logged %d times, want once: %s", got, logged)
		}
	})
}

func TestWatchKeepsOldKeysOnError(t *testing.T) {
	t.Parallel()
	watch(t, func(s *source, v *stripehook.Verifier, _ chan os.Signal, logged *kit.Buffer) {
		for _, bad := range []struct {
			keys []stripehook.Key
			err  error
		}{
			{err: errors.New("no such file")},
			{keys: nil},
			{keys: []stripehook.Key{{Name: "a", Secret: "whsec_"}}},
			{keys: []stripehook.Key{main}, err: errors.New("truncated")},
		} {
			before := strings.Count(logged.String(), "\n")
			s.set(bad.err, bad.keys...)
			tick()
			tick()
			if got := strings.Count(logged.String(), "\n") - before; got != 1 {
				t.Errorf("%v was logged %d times, want once", bad, got)
			}
			if _, _, err := v.Verify(body, header(main, now, body)); err != nil {
				t.Errorf("%v: the old key: %v", bad, err)
			}
			if _, err := s.outcome(); err == nil {
				t.Errorf("%v was not reported", bad)
			}
		}
		s.set(nil, main)
		tick()
		if _, err := s.outcome(); err != nil {
			t.Errorf("got %v reported, want that the file is right again", err)
		}
		s.set(errors.New("truncated"))
		tick()
		if got := strings.Count(logged.String(), "truncated"); got != 2 {
			t.Errorf("an error that returned was logged %d times, want 2", got)
		}
	})
}

func TestWatchReloadsOnSignal(t *testing.T) {
	t.Parallel()
	watch(t, func(s *source, v *stripehook.Verifier, hup chan os.Signal, logged *kit.Buffer) {
		s.set(nil, main, next)
		hup <- syscall.SIGHUP
		synctest.Wait()
		if _, _, err := v.Verify(body, header(next, now, body)); err != nil {
			t.Errorf("the new key: %v", err)
		}
		hup <- syscall.SIGHUP
		synctest.Wait()
		if got := strings.Count(logged.String(), `secrets="[main next]"`); got != 2 {
			t.Errorf("two signals were logged %d times: %s", got, logged)
		}
	})
}
