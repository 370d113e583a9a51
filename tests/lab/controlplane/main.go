// Command controlplane is the control plane of the lab in one binary: etcd, kube-apiserver and
// kube-controller-manager, built from Kubernetes' own module.
//
// Every subcommand ends when its standard input ends. The harness holds the other end of that pipe, so nothing
// outlives it, however it ended: a panic and SIGKILL close the pipe as well.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

const usage = `usage: controlplane COMMAND [FLAGS]

  etcd                     etcd with the flags of the real one that a lab needs (see etcd -h)
  kube-apiserver           Kubernetes' own command, all flags
  kube-controller-manager  Kubernetes' own command, all flags
  run [-pid-file FILE] -- COMMAND [ARGS]
                           runs another program; ends as it ends

Each ends when its standard input ends: keep a pipe open.
`

// grace is how long a process may take to end by itself after its standard input has ended.
const grace = 2 * time.Second

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	name, args := os.Args[1], os.Args[2:]
	switch name {
	case "etcd":
		endWithStdin()
		exit(etcd(args))
	case "kube-apiserver":
		endWithStdin()
		os.Args = append([]string{name}, args...)
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		endWithStdin()
		os.Args = append([]string{name}, args...)
		os.Exit(cli.Run(controllermanager.NewControllerManagerCommand()))
	case "run":
		exit(run(args))
	case "help", "-h", "--help":
		fmt.Print(usage)
	default:
		fmt.Fprintf(os.Stderr, "controlplane: no command %q\n\n%s", name, usage)
		os.Exit(2)
	}
}

func exit(err error) {
	switch {
	case err == nil:
		os.Exit(0)
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "controlplane:", err)
	os.Exit(1)
}

// endWithStdin asks this process to end when standard input ends, and ends it hard if it does not.
func endWithStdin() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		time.Sleep(grace)
		os.Exit(1)
	}()
}

func etcd(args []string) error {
	flags := flag.NewFlagSet("etcd", flag.ContinueOnError)
	dir := flags.String("data-dir", "", "directory for the data (required)")
	client := flags.String("listen-client-urls", "", "URL to serve clients on (required)")
	advertise := flags.String("advertise-client-urls", "", "URL that clients are told (default: the one served)")
	peer := flags.String("listen-peer-urls", "http://127.0.0.1:0", "URL for peers: a lab has none")
	level := flags.String("log-level", "warn", "debug, info, warn, error")
	unsafeNoFsync := flags.Bool("unsafe-no-fsync", false, "never fsync: for data that is thrown away")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" || *client == "" {
		return errors.New("etcd needs --data-dir and --listen-client-urls")
	}
	if *advertise == "" {
		*advertise = *client
	}
	cfg := embed.NewConfig()
	cfg.Dir = *dir
	cfg.LogLevel = *level
	cfg.UnsafeNoFsync = *unsafeNoFsync
	for _, f := range []struct {
		flag, value string
		to          *[]url.URL
	}{
		{"listen-client-urls", *client, &cfg.ListenClientUrls},
		{"advertise-client-urls", *advertise, &cfg.AdvertiseClientUrls},
		{"listen-peer-urls", *peer, &cfg.ListenPeerUrls},
	} {
		u, err := url.Parse(f.value)
		if err != nil {
			return fmt.Errorf("--%s: %w", f.flag, err)
		}
		*f.to = []url.URL{*u}
	}
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("etcd does not start: %w", err)
	}
	defer server.Close()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-server.Server.ReadyNotify():
	case <-stop:
		return nil
	case err := <-server.Err():
		return fmt.Errorf("etcd: %w", err)
	case <-time.After(time.Minute):
		return errors.New("etcd was not ready within a minute")
	}
	select {
	case <-stop:
		return nil
	case err := <-server.Err():
		return fmt.Errorf("etcd: %w", err)
	}
}

// run starts a program that knows nothing of the pipe, and sees to it that it does not outlive this process either.
func run(args []string) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	pidFile := flags.String("pid-file", "", "write the program's process ID here once it runs")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("run needs a command")
	}
	// The kernel sends Pdeathsig when the thread that started the child ends, not the process: keep that thread.
	runtime.LockOSThread()
	cmd := exec.Command(flags.Arg(0), flags.Args()[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	if err := cmd.Start(); err != nil {
		return err
	}
	if *pidFile != "" {
		// Renamed into place: a reader never sees half a number.
		if err := os.WriteFile(*pidFile+".tmp", fmt.Appendf(nil, "%d\n", cmd.Process.Pid), 0o644); err != nil {
			return err
		}
		if err := os.Rename(*pidFile+".tmp", *pidFile); err != nil {
			return err
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		time.Sleep(grace)
		_ = cmd.Process.Kill()
	}()
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	err := cmd.Wait()
	var exited *exec.ExitError
	if !errors.As(err, &exited) {
		return err
	}
	status, ok := exited.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		// Ends by the same signal, so that whoever waits for this process sees what happened to the program.
		signal.Reset()
		_ = syscall.Kill(os.Getpid(), status.Signal())
		time.Sleep(grace)
	}
	os.Exit(exited.ExitCode())
	return nil
}
