package main

import (
	"os"
	"testing"

	"github.com/billbus/billbus/test/kit"
)

var binaries string // folder of the built program

func TestMain(m *testing.M) {
	os.Exit(kit.RunWithBinaries(&binaries, m.Run, "github.com/billbus/billbus/cmd/bridge"))
}
