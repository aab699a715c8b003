//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
)

// Variable names the point at which the process dies, and how often it is reached until
// then: "view:state=3".
const Variable = "BILLBUS_FAILPOINT"

var (
	armed string
	left  atomic.Int64
)

func init() {
	name, times, _ := strings.Cut(os.Getenv(Variable), "=")
	armed = name
	var n int64
	if _, err := fmt.Sscan(times, &n); err != nil && name != "" {
		panic(Variable + " is not a name and a number: " + err.Error())
	}
	left.Store(n)
}

// At kills the process, as SIGKILL from outside would, if it is the point that the
// environment names, and is reached for the last time.
func At(point string) {
	if point != armed || left.Add(-1) != 0 {
		return
	}
	fmt.Fprintln(os.Stderr, "failpoint", point)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until the signal arrives
}
