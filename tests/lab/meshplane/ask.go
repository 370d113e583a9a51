package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Answer is what Envoy did.
type Answer struct {
	// Outcome is forward, redirect, direct (a direct response), local (Envoy answered: fault, RBAC, …), no-listener,
	// closed (no filter chain for the SNI, plaintext on TLS, no certificate, TCP to an unknown cluster),
	// no-virtual-host (404), no-route (404 within a virtual host), no-cluster (503, unknown service or subset),
	// no-endpoint (503), refused (Envoy does not take the listener), timeout, error, mixed.
	Outcome         string            `json:"outcome"`
	Status          int               `json:"status,omitempty"`
	Listener        string            `json:"listener,omitempty"`
	VirtualHost     string            `json:"virtualHost,omitempty"`
	Route           string            `json:"route,omitempty"`
	Cluster         string            `json:"cluster,omitempty"` // outbound|port|subset|host; of the route, also when it does not exist
	Host            string            `json:"host,omitempty"`    // its parts
	Port            int               `json:"port,omitempty"`
	Subset          string            `json:"subset,omitempty"`
	UpstreamPath    string            `json:"upstreamPath,omitempty"`
	UpstreamHost    string            `json:"upstreamHost,omitempty"`
	UpstreamHeaders map[string]string `json:"upstreamHeaders,omitempty"` // those that the request did not have
	TimeoutMs       int               `json:"timeoutMs,omitempty"`       // how long the destination may take
	RemovedHeaders  []string          `json:"removedHeaders,omitempty"`
	ResponseHeaders map[string]string `json:"responseHeaders,omitempty"` // those that a plain answer does not have
	Location        string            `json:"location,omitempty"`
	Body            string            `json:"body,omitempty"`    // of an answer that is Envoy's
	Flags           string            `json:"flags,omitempty"`   // Envoy's response flags
	Details         string            `json:"details,omitempty"` // Envoy's response code details
	DelayMs         int64             `json:"delayMs,omitempty"` // from noticeable on
	Error           string            `json:"error,omitempty"`
	// Counts, of all times that the request was sent.
	Clusters  map[string]int `json:"clusters,omitempty"`
	Endpoints map[string]int `json:"endpoints,omitempty"` // pods or addresses
	Mirrors   map[string]int `json:"mirrors,omitempty"`
	Statuses  map[int]int    `json:"statuses,omitempty"`
}

// timeoutHeader tells a destination how long it may take.
const timeoutHeader = "x-envoy-expected-rq-timeout-ms"

// noticeable is the delay that is worth telling: a fault, not a busy machine.
const noticeable = 300 * time.Millisecond

// What Envoy adds by itself.
var (
	plainResponse = words("content-length date server x-envoy-upstream-service-time content-type location connection")
	plainRequest  = words("x-forwarded-for x-forwarded-proto x-request-id x-envoy-internal " + timeoutHeader + " x-envoy-attempt-count" +
		" x-envoy-decorator-operation content-length x-envoy-external-address x-forwarded-client-cert " + idHeader)
)

func words(s string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(s) {
		set[w] = true
	}
	return set
}

// asker sends the requests of a case to one gateway.
type asker struct {
	envoy     *envoy // nil: there is no listener, or Envoy does not start
	gateway   *Gateway
	upstreams *upstreams
	timeout   time.Duration
}

var serial atomic.Int64

// ask sends a request as often as it says.
func (a asker) ask(r Request) Answer {
	l := a.listener(r.Port)
	if l == nil {
		return Answer{Outcome: "no-listener"}
	}
	if l.Refused != "" {
		return Answer{Outcome: "refused", Listener: l.Name, Error: l.Refused}
	}
	if a.envoy == nil || a.envoy.ports[l.Name] == 0 {
		return Answer{Outcome: "error", Listener: l.Name, Error: "Envoy did not open this listener"}
	}
	var all Answer
	clusters, endpoints, mirrors, statuses := map[string]int{}, map[string]int{}, map[string]int{}, map[int]int{}
	c := &connection{port: a.envoy.ports[l.Name], request: r, timeout: a.timeout}
	defer c.close()
	for i := range r.Times {
		one, endpoint, copies := a.once(c)
		if one.Cluster != "" {
			clusters[one.Cluster]++
		}
		if endpoint != "" {
			endpoints[endpoint]++
		}
		for _, m := range copies {
			mirrors[m]++
		}
		statuses[one.Status]++
		if i == 0 {
			all = one
		} else if one.Outcome != all.Outcome {
			all.Outcome = "mixed"
		}
	}
	all.Listener, all.Endpoints, all.Mirrors = l.Name, endpoints, mirrors
	if r.Times > 1 {
		all.Clusters, all.Statuses = clusters, statuses
	}
	return all
}

// listener finds the listener of a port of the gateway's Service.
func (a asker) listener(port int) *Listener {
	want := uint32(port)
	if target, ok := a.gateway.Ports[port]; ok {
		want = target
	}
	for i := range a.gateway.Listeners {
		if a.gateway.Listeners[i].Port == want {
			return &a.gateway.Listeners[i]
		}
	}
	return nil
}

// once sends the request once: the answer, the endpoint, and the clusters that got a mirrored copy.
func (a asker) once(c *connection) (Answer, string, []string) {
	id := strconv.FormatInt(serial.Add(1), 10)
	start := time.Now()
	response, body, err := c.exchange(id)
	took := time.Since(start)
	var one Answer
	endpoint, expected := "", 0
	if err != nil {
		one = Answer{Outcome: "closed", Error: err.Error()}
		var n net.Error
		if errors.As(err, &n) && n.Timeout() {
			one.Outcome = "timeout"
		}
	} else {
		one, endpoint = read(response, body, c.request)
		expected, _ = strconv.Atoi(response.Header.Get(mirrorsHeader))
	}
	if took >= noticeable {
		one.DelayMs = took.Milliseconds()
	}
	copies := a.upstreams.take(id, expected)
	if i := slices.Index(copies, one.Cluster); i >= 0 {
		copies = slices.Delete(copies, i, i+1)
	}
	return one, endpoint, copies
}

// connection is kept between the times that a request is sent.
type connection struct {
	port    int
	request Request
	timeout time.Duration
	conn    net.Conn
	reader  *bufio.Reader
}

func (c *connection) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *connection) dial() error {
	d := net.Dialer{Timeout: 5 * time.Second}
	conn, err := d.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", c.port))
	if err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(c.timeout))
	if c.request.TLS {
		t := tls.Client(conn, c.request.tlsConfig())
		if err := t.Handshake(); err != nil {
			_ = conn.Close()
			return err
		}
		conn = t
	}
	c.conn, c.reader = conn, bufio.NewReader(conn)
	return nil
}

func (r Request) tlsConfig() *tls.Config {
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
	if r.SNI != nil {
		config.ServerName = *r.SNI
	} else if host, _, err := net.SplitHostPort(r.Host); err == nil {
		config.ServerName = host
	} else {
		config.ServerName = r.Host
	}
	if r.MTLS {
		config.Certificates = []tls.Certificate{pair}
	}
	return config
}

// exchange sends the request and reads the response; once more when a kept connection turns out to be closed.
func (c *connection) exchange(id string) (*http.Response, []byte, error) {
	for {
		fresh := c.conn == nil
		if fresh {
			if err := c.dial(); err != nil {
				return nil, nil, err
			}
		}
		_ = c.conn.SetDeadline(time.Now().Add(c.timeout))
		response, body, err := c.send(id)
		if err != nil || response.Close {
			c.close()
		}
		if err == nil || fresh {
			return response, body, err
		}
	}
}

func (c *connection) send(id string) (*http.Response, []byte, error) {
	if _, err := c.conn.Write(c.request.bytes(id)); err != nil {
		return nil, nil, err
	}
	response, err := http.ReadResponse(c.reader, &http.Request{Method: c.request.Method})
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(response.Body)
	return response, body, err
}

// bytes is the request on the wire. Nothing is normalised: what is made of it is Envoy's business.
func (r Request) bytes(id string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n%s: %s\r\n", r.Method, r.Path, r.Host, idHeader, id)
	for name, values := range r.Headers {
		for _, v := range values {
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	if r.Method == "POST" || r.Method == "PUT" || r.Method == "PATCH" {
		b.WriteString("content-length: 0\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// read turns a response into an answer, and the endpoint that it came from.
func read(response *http.Response, body []byte, r Request) (Answer, string) {
	h := response.Header
	a := Answer{
		Status: response.StatusCode, Location: h.Get("location"), Route: dash(h.Get(routeHeader)), VirtualHost: h.Get(hostHeader),
		Cluster: h.Get(targetHeader), Flags: dash(h.Get(flagsHeader)), Details: dash(h.Get(detailsHeader)),
	}
	endpoint := ""
	var seen Seen
	if json.Unmarshal([]byte(h.Get(seenHeader)), &seen) == nil {
		a.Outcome, a.Details, endpoint = "forward", "", seen.Endpoint
		a.Cluster, a.UpstreamPath, a.UpstreamHost = seen.Cluster, seen.Path, seen.Host
		a.upstreamHeaders(seen.Headers, r)
	} else {
		a.local(body)
	}
	for name, values := range h {
		name = strings.ToLower(name)
		if plainResponse[name] || strings.HasPrefix(name, anyJudgeHeader) {
			continue
		}
		if a.ResponseHeaders == nil {
			a.ResponseHeaders = map[string]string{}
		}
		a.ResponseHeaders[name] = strings.Join(values, ",")
	}
	if parts := strings.SplitN(a.Cluster, "|", 4); len(parts) == 4 {
		a.Port, _ = strconv.Atoi(parts[1])
		a.Subset, a.Host = parts[2], parts[3]
	}
	return a, endpoint
}

// local says why Envoy answered by itself.
func (a *Answer) local(body []byte) {
	switch {
	case a.Route == noRoute:
		a.Outcome, a.Route, a.Details, a.Cluster = "no-route", "", "", ""
	case strings.HasPrefix(a.Details, "route_not_found"):
		a.Outcome = "no-virtual-host"
	case strings.HasPrefix(a.Details, "cluster_not_found"):
		a.Outcome = "no-cluster"
	case strings.HasPrefix(a.Details, "no_healthy_upstream"):
		a.Outcome = "no-endpoint"
	case a.Location != "" && a.Status/100 == 3:
		a.Outcome, a.Details = "redirect", ""
	case a.Details == "direct_response":
		a.Outcome, a.Details, a.Body = "direct", "", string(body)
	default:
		a.Outcome, a.Body = "local", string(body)
	}
}

// upstreamHeaders tells what has become of the request's headers.
func (a *Answer) upstreamHeaders(seen map[string]string, r Request) {
	sent := map[string]string{}
	for name, values := range r.Headers {
		name = strings.ToLower(name)
		sent[name] = strings.Join(values, ",")
		if _, ok := seen[name]; !ok && name != "connection" {
			a.RemovedHeaders = append(a.RemovedHeaders, name)
		}
	}
	slices.Sort(a.RemovedHeaders)
	a.TimeoutMs, _ = strconv.Atoi(seen[timeoutHeader])
	for name, value := range seen {
		if was, ok := sent[name]; plainRequest[name] || ok && was == value {
			continue
		}
		if a.UpstreamHeaders == nil {
			a.UpstreamHeaders = map[string]string{}
		}
		a.UpstreamHeaders[name] = value
	}
}

func dash(s string) string {
	if s == "-" {
		return ""
	}
	return s
}
