// Command meshplane is Istio in the lab, in one binary, so that Istio is compiled once:
//
//	istiod  Istio's own control plane
//	judge   says what Istio's compiler and a real Envoy make of a request, without any cluster
package main

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"istio.io/istio/pilot/cmd/pilot-discovery/app"
	"istio.io/istio/pkg/log"
)

const usage = `usage: meshplane COMMAND [FLAGS]

  istiod discovery …       Istio's own command, all flags
  judge -envoy ENVOY -serve
                           a case per line of standard input, its result per line of standard output
  judge -envoy ENVOY DIR   one case: YAML files and requests.yaml in a folder

Each ends when its standard input ends, if that is a pipe.
`

// grace is how long istiod may take to end by itself after its standard input has ended.
const grace = 2 * time.Second

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	name, args := os.Args[1], os.Args[2:]
	switch name {
	case "istiod":
		endWithStdin()
		log.EnableKlogWithCobra()
		command := app.NewRootCommand()
		command.SetArgs(args)
		if err := command.Execute(); err != nil {
			fmt.Fprintln(os.Stderr, "istiod:", err)
			os.Exit(1)
		}
	case "judge":
		os.Exit(judge(args))
	case "help", "-h", "--help":
		fmt.Print(usage)
	default:
		fmt.Fprintf(os.Stderr, "meshplane: no command %q\n\n%s", name, usage)
		os.Exit(2)
	}
}

// endWithStdin asks this process to end when standard input ends, and ends it hard if it does not. The harness holds
// the other end of that pipe, so nothing outlives it, however it ended. Anything but a pipe says nothing about whoever
// started us: /dev/null is at its end from the beginning.
func endWithStdin() {
	info, err := os.Stdin.Stat()
	if err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		time.Sleep(grace)
		os.Exit(1)
	}()
}
