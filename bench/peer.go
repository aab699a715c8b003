package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// installPeer installs the packages of the peer, and returns the folder of its code. Without
// Node.js and npm it says so, and returns "".
func (b *bench) installPeer() string {
	dir, err := peerFolder()
	for _, program := range []string{"node", "npm"} {
		if err == nil {
			_, err = exec.LookPath(program)
		}
	}
	if err == nil {
		if _, statErr := os.Stat(filepath.Join(dir, "node_modules", "stripe")); statErr != nil {
			err = exec.CommandContext(b.ctx, "npm", "ci", "--prefix", dir, "--no-audit", "--no-fund", "--silent").Run() //nolint:gosec // our own folder
		}
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "the peer is skipped:", err)
		return ""
	}
	return dir
}

func peerFolder() (string, error) {
	module, err := exec.Command("go", "env", "GOMOD").Output() //nolint:noctx // takes a moment
	if err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(strings.TrimSpace(string(module))), "bench", "peer"), nil
}
