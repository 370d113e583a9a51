package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Every endpoint of every cluster is a server of ours that says what has reached it.

// The headers between the servers and whoever asks.
const (
	idHeader       = "x-judge-id"
	seenHeader     = "x-judge-seen" // what the server saw
	routeHeader    = "x-judge-route"
	hostHeader     = "x-judge-virtual-host"
	targetHeader   = "x-judge-target" // the cluster that the route names
	mirrorsHeader  = "x-judge-mirrors"
	flagsHeader    = "x-judge-flags"
	detailsHeader  = "x-judge-details"
	anyJudgeHeader = "x-judge-"
)

// Seen is a request as it has reached an endpoint.
type Seen struct {
	Cluster, Endpoint, Path, Host string
	Headers                       map[string]string
}

// upstreams are the servers, each on a Unix socket.
type upstreams struct {
	dir       string
	listeners []net.Listener
	mu        sync.Mutex
	hits      map[string][]string // ID of a request -> clusters that saw it
}

// listen starts the server of one endpoint.
func (u *upstreams) listen(cluster, endpoint string) (string, error) {
	path := filepath.Join(u.dir, strconv.Itoa(len(u.listeners)))
	l, err := net.Listen("unix", path)
	if err != nil {
		return "", err
	}
	u.listeners = append(u.listeners, l)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go u.serve(c, cluster, endpoint)
		}
	}()
	return path, nil
}

func (u *upstreams) close() {
	for _, l := range u.listeners {
		_ = l.Close()
	}
}

// take returns the clusters that saw a request. It waits for mirrored copies, which may be late or, by percentage, absent.
func (u *upstreams) take(id string, mirrors int) []string {
	for i := 0; ; i++ {
		u.mu.Lock()
		hits := u.hits[id]
		if mirrors == 0 || len(hits) > mirrors || i == 20 {
			delete(u.hits, id)
			u.mu.Unlock()
			return hits
		}
		u.mu.Unlock()
		time.Sleep(2 * time.Millisecond)
	}
}

// peeked is a connection whose first bytes have been looked at.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (p peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

func (u *upstreams) serve(c net.Conn, cluster, endpoint string) {
	defer c.Close()
	s := peeked{c, bufio.NewReader(c)}
	if b, err := s.r.Peek(1); err != nil {
		return
	} else if b[0] == 0x16 { // a TLS handshake, passed through
		t := tls.Server(s, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}})
		s = peeked{t, bufio.NewReader(t)}
	}
	for {
		seen, err := readRequest(s.r)
		if err != nil {
			return
		}
		id := seen.Headers[idHeader]
		u.mu.Lock()
		u.hits[id] = append(u.hits[id], cluster)
		u.mu.Unlock()
		seen.Cluster, seen.Endpoint = cluster, endpoint
		told, _ := json.Marshal(seen) // in a header, as an answer to HEAD has no body
		if _, err := fmt.Fprintf(s, "HTTP/1.1 200 OK\r\n%s: %s\r\ncontent-length: 0\r\n\r\n", seenHeader, told); err != nil {
			return
		}
	}
}

// readRequest reads a request as it is: net/http refuses paths that Envoy lets through.
func readRequest(r *bufio.Reader) (Seen, error) {
	text := textproto.NewReader(r)
	line, err := text.ReadLine()
	if err != nil {
		return Seen{}, err
	}
	_, rest, _ := strings.Cut(line, " ")
	path := strings.TrimSuffix(rest, " HTTP/1.1")
	fields, err := text.ReadMIMEHeader()
	if err != nil {
		return Seen{}, err
	}
	if n, err := strconv.ParseInt(fields.Get("content-length"), 10, 64); err == nil {
		_, _ = io.CopyN(io.Discard, r, n)
	}
	headers := map[string]string{}
	for name, values := range fields {
		headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	host := headers["host"]
	delete(headers, "host")
	return Seen{Path: path, Host: host, Headers: headers}, nil
}
