package stripehook_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/stripehook"
)

// source is what a watched file holds. The clock of these tests stands still
// except where they sleep, and afterwards the watcher has come to rest.
type source struct {
	mu   sync.Mutex
	keys []stripehook.Key
	err  error
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

type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func watch(t *testing.T, scenario func(s *source, v *stripehook.Verifier, hup chan os.Signal, logged *journal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, v := &source{keys: []stripehook.Key{main}}, verifier(t, main)
		hup, logged := make(chan os.Signal), new(journal)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			stripehook.Watch(ctx, s.read, v, time.Second, hup, slog.New(slog.NewTextHandler(logged, nil)))
		}()
		synctest.Wait()
		scenario(s, v, hup, logged)
		cancel()
		<-done
		for _, key := range []stripehook.Key{main, next} {
			if strings.Contains(logged.String(), key.Secret) {
				t.Errorf("a secret was logged: %s", logged)
			}
		}
	})
}

func tick() {
	time.Sleep(time.Second)
	synctest.Wait()
}

func TestWatchTakesOverAChange(t *testing.T) {
	t.Parallel()
	watch(t, func(s *source, v *stripehook.Verifier, _ chan os.Signal, logged *journal) {
		tick()
		if logged.String() != "" {
			t.Errorf("nothing changed, but logged %s", logged)
		}
		s.set(nil, next)
		tick()
		if _, err := v.Verify(body, header(next, now, body)); err != nil {
			t.Errorf("the new key: %v", err)
		}
		if _, err := v.Verify(body, header(main, now, body)); fault.ReasonOf(err) != fault.NoMatchingSecret {
			t.Errorf("the old key: got %v, want no_match", err)
		}
		tick()
		if got := strings.Count(logged.String(), "secrets=[next]"); got != 1 {
			t.Errorf("the change was logged %d times, want once: %s", got, logged)
		}
	})
}

func TestWatchKeepsTheOldKeysOnAFault(t *testing.T) {
	t.Parallel()
	watch(t, func(s *source, v *stripehook.Verifier, _ chan os.Signal, logged *journal) {
		for _, bad := range []struct {
			keys []stripehook.Key
			err  error
		}{
			{err: errors.New("no such file")},
			{keys: nil},
			{keys: []stripehook.Key{{Name: "a", Secret: "whsec_"}}},
			{keys: []stripehook.Key{main}, err: errors.New("half of it")},
		} {
			before := strings.Count(logged.String(), "\n")
			s.set(bad.err, bad.keys...)
			tick()
			tick()
			if got := strings.Count(logged.String(), "\n") - before; got != 1 {
				t.Errorf("%v was logged %d times, want once", bad, got)
			}
			if _, err := v.Verify(body, header(main, now, body)); err != nil {
				t.Errorf("%v: the old key: %v", bad, err)
			}
		}
		s.set(nil, main)
		tick()
		s.set(errors.New("half of it"))
		tick()
		if got := strings.Count(logged.String(), "half of it"); got != 2 {
			t.Errorf("a fault that came back was logged %d times in all, want 2", got)
		}
	})
}

func TestWatchReloadsOnSignal(t *testing.T) {
	t.Parallel()
	watch(t, func(s *source, v *stripehook.Verifier, hup chan os.Signal, logged *journal) {
		s.set(nil, main, next)
		hup <- syscall.SIGHUP
		synctest.Wait()
		if _, err := v.Verify(body, header(next, now, body)); err != nil {
			t.Errorf("the new key: %v", err)
		}
		hup <- syscall.SIGHUP
		synctest.Wait()
		if got := strings.Count(logged.String(), `secrets="[main next]"`); got != 2 {
			t.Errorf("two signals were logged %d times: %s", got, logged)
		}
	})
}
