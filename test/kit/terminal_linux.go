package kit

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Terminal is a pseudo-terminal.
type Terminal struct {
	// File is what a program prints to.
	File    *os.File
	printed chan string
}

// NewTerminal opens a pseudo-terminal of so many columns.
func NewTerminal(t testing.TB, columns int) *Terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: uint16(columns)})
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	terminal := &Terminal{File: file, printed: make(chan string, 1)}
	go func() {
		// Reading fails once File is closed, after everything was read.
		printed, _ := io.ReadAll(master)
		_ = master.Close()
		terminal.printed <- string(printed)
	}()
	t.Cleanup(func() { _ = file.Close() })
	return terminal
}

// Printed closes the terminal and returns what was printed to it.
func (t *Terminal) Printed() string {
	_ = t.File.Close()
	return strings.ReplaceAll(<-t.printed, "\r\n", "\n")
}
