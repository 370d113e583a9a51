package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	istiolog "istio.io/istio/pkg/log"
	"sigs.k8s.io/yaml"
)

// Options are the flags of the judge.
type Options struct {
	Envoy   string
	Temp    string
	Dump    string
	Workers int
	Timeout time.Duration
	Verbose bool
}

// Values are those of one header, in order. One alone may be written without brackets.
type Values []string

// UnmarshalJSON takes a string or a list of them.
func (v *Values) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*v = make(Values, 1)
		return json.Unmarshal(b, &(*v)[0])
	}
	return json.Unmarshal(b, (*[]string)(v))
}

// Request is one question. What it leaves out is taken from the case's defaults.
type Request struct {
	Gateway   map[string]string `json:"gateway,omitempty"`   // labels of the gateway's pod
	Sidecar   bool              `json:"sidecar,omitempty"`   // no gateway: what the sidecar of a workload with these labels does with what it sends
	Namespace string            `json:"namespace,omitempty"` // its namespace; default: that of the Pod with these labels, else istio-system
	GatewayIP string            `json:"gatewayIP,omitempty"` // its address, for a gateway that is the endpoint of a ServiceEntry
	Port      int               `json:"port,omitempty"`      // port of the gateway's Service, or of the listener; default 80
	Host      string            `json:"host,omitempty"`
	Path      string            `json:"path,omitempty"` // with the query, sent as it is
	Method    string            `json:"method,omitempty"`
	Headers   map[string]Values `json:"headers,omitempty"`
	TLS       bool              `json:"tls,omitempty"`
	SNI       *string           `json:"sni,omitempty"`   // default: the host without its port; "" sends none
	MTLS      bool              `json:"mtls,omitempty"`  // present a client certificate
	Times     int               `json:"times,omitempty"` // ask so often, and count the destinations
}

// Case is a line of standard input, or what requests.yaml holds.
type Case struct {
	YAML      string            `json:"yaml,omitempty"`      // Istio's objects, and objects of the mesh's own cluster
	Clusters  map[string]string `json:"clusters,omitempty"`  // YAML of member clusters, by name
	Regions   map[string]string `json:"regions,omitempty"`   // region of the nodes of member clusters, by name
	Defaults  Request           `json:"defaults,omitempty"`  // for what a request leaves out
	Requests  []Request         `json:"requests"`            //
	Endpoints string            `json:"endpoints,omitempty"` // auto (default): a service without any endpoint gets one; real: nothing is made up; assume: every cluster has one
	Mesh      string            `json:"mesh,omitempty"`      // MeshConfig as YAML, over Istio's defaults
	Domain    string            `json:"domain,omitempty"`    // default cluster.local
	dir       string
}

// Result is what a case gives.
type Result struct {
	Error     string    `json:"error,omitempty"`
	Invalid   []string  `json:"invalid,omitempty"` // documents that Istio's validation refuses; left out
	Ignored   []string  `json:"ignored,omitempty"` // documents that have no meaning here
	Gateways  []Gateway `json:"gateways,omitempty"`
	Answers   []Answer  `json:"answers"` // one for each request, in their order
	CompileMs int64     `json:"compileMs"`
	EnvoyMs   int64     `json:"envoyMs"`
	AskMs     int64     `json:"askMs"`
}

// judge is the command; it returns the exit code.
func judge(args []string) int {
	var o Options
	flags := flag.NewFlagSet("judge", flag.ContinueOnError)
	serving := flags.Bool("serve", false, "read cases from standard input, one JSON object per line")
	flags.StringVar(&o.Envoy, "envoy", os.Getenv("ENVOY"), "stock Envoy binary (or $ENVOY)")
	flags.StringVar(&o.Temp, "temp", os.TempDir(), "folder for sockets and configurations of cases: a short path")
	flags.StringVar(&o.Dump, "dump", "", "folder for the Envoy configuration of each gateway")
	flags.IntVar(&o.Workers, "workers", 2, "connections that ask at the same time")
	flags.DurationVar(&o.Timeout, "timeout", 15*time.Second, "limit of one request")
	flags.BoolVar(&o.Verbose, "v", false, "istiod's and Envoy's logs to standard error")
	if flags.Parse(args) != nil {
		return 2
	}
	if o.Envoy == "" || *serving == (flags.NArg() > 0) || flags.NArg() > 1 {
		fmt.Fprintln(os.Stderr, "judge: needs -envoy, and either -serve or one folder")
		return 2
	}
	stockEnvoy()
	quiet(o.Verbose)
	temp, err := os.MkdirTemp(o.Temp, "kubectl-asm-judge-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		return 1
	}
	defer os.RemoveAll(temp)
	o.Temp = temp
	if *serving {
		return serve(o)
	}
	c, err := readCase(flags.Arg(0))
	if err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		return 2
	}
	r := run(o, c)
	b, _ := json.MarshalIndent(r, "", "  ")
	fmt.Println(string(b))
	if r.Error != "" {
		return 1
	}
	return 0
}

// serve answers until standard input ends.
func serve(o Options) int {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if len(strings.TrimSpace(string(line))) > 0 {
			var c Case
			r := Result{}
			if e := json.Unmarshal(line, &c); e != nil {
				r.Error = "not a case: " + e.Error()
			} else {
				r = run(o, c)
			}
			if out.Encode(r) != nil {
				return 1
			}
		}
		if err != nil {
			return 0
		}
	}
}

// quiet keeps istiod's logs off standard error unless they are wanted.
func quiet(verbose bool) {
	level := istiolog.NoneLevel
	if verbose {
		level = istiolog.InfoLevel
	}
	options := istiolog.DefaultOptions()
	options.SetDefaultOutputLevel("all", level)
	options.OutputPaths = []string{"stderr"}
	_ = istiolog.Configure(options)
	for _, s := range istiolog.Scopes() {
		s.SetOutputLevel(level)
	}
}

// readCase reads requests.yaml of a folder: a list of requests, or a Case.
func readCase(dir string) (Case, error) {
	c := Case{dir: dir}
	name := filepath.Join(dir, "requests.yaml")
	b, err := os.ReadFile(name)
	if err != nil {
		return c, err
	}
	if yaml.Unmarshal(b, &c.Requests) == nil {
		return c, nil
	}
	if err := yaml.UnmarshalStrict(b, &c); err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// with fills in what the request leaves out.
func (r Request) with(d Request) Request {
	if r.Gateway == nil {
		r.Gateway = d.Gateway
	}
	if len(d.Headers) > 0 {
		headers := map[string]Values{}
		for _, from := range []map[string]Values{d.Headers, r.Headers} {
			for k, v := range from {
				headers[k] = v
			}
		}
		r.Headers = headers
	}
	r.Sidecar = r.Sidecar || d.Sidecar
	r.Namespace = first(r.Namespace, d.Namespace)
	r.GatewayIP = first(r.GatewayIP, d.GatewayIP)
	r.Host = first(r.Host, d.Host)
	r.Path = first(r.Path, d.Path, "/")
	r.Method = first(r.Method, d.Method, "GET")
	r.Port = first(r.Port, d.Port, 80)
	r.Times = first(r.Times, d.Times, 1)
	return r
}

// first is the first of the values that is not the zero value.
func first[T comparable](values ...T) T {
	var zero T
	for _, v := range values {
		if v != zero {
			return v
		}
	}
	return zero
}
