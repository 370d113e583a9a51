package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	accesslog "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/proto"

	"istio.io/istio/pkg/util/protomarshal"
)

var certPEM, keyPEM, pair = selfSigned()

func selfSigned() ([]byte, []byte, tls.Certificate) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "judge"}, DNSNames: []string{"judge"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &k.PublicKey, k)
	if err != nil {
		panic(err)
	}
	kb, _ := x509.MarshalPKCS8PrivateKey(k)
	c := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	p := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kb})
	pair, err := tls.X509KeyPair(c, p)
	if err != nil {
		panic(err)
	}
	return c, p, pair
}

// accessAll is a filter that every response passes.
func everyResponse() *accesslog.AccessLogFilter {
	return &accesslog.AccessLogFilter{FilterSpecifier: &accesslog.AccessLogFilter_StatusCodeFilter{StatusCodeFilter: &accesslog.StatusCodeFilter{
		Comparison: &accesslog.ComparisonFilter{Op: accesslog.ComparisonFilter_GE, Value: &core.RuntimeUInt32{DefaultValue: 100, RuntimeKey: "judge.none"}},
	}}}
}

// envoy is a running Envoy with the configuration of one gateway.
type envoy struct {
	cmd   *exec.Cmd
	log   bytes.Buffer
	done  chan struct{}
	ports map[string]int // of listeners, by name
}

// starts takes what starts an Envoy, for a thread that never ends: the kernel kills a child when the thread that
// started it ends, and that is how no Envoy outlives this process.
var starts = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// startEnvoy starts the Envoy of a gateway. istiod hands out listener by listener, and Envoy refuses one and takes the
// others: so does this.
func startEnvoy(o Options, g *Gateway, temp, name string) (*envoy, error) {
	dir := filepath.Join(temp, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if o.Dump != "" {
		if js, err := protomarshal.ToJSONWithIndent(g.config, " "); err == nil {
			_ = os.MkdirAll(o.Dump, 0o755)
			_ = os.WriteFile(filepath.Join(o.Dump, filepath.Base(temp)+"-"+name+".json"), []byte(js), 0o644)
		}
	}
	e, err := tryEnvoy(o, g.config, dir)
	if err == nil {
		return e, nil
	}
	all := g.config.StaticResources.Listeners
	var taken []*listener.Listener
	for i, l := range all {
		g.config.StaticResources.Listeners = []*listener.Listener{l}
		alone, err := tryEnvoy(o, g.config, dir)
		if err != nil {
			g.Listeners[i].Refused = err.Error()
			continue
		}
		alone.stop()
		taken = append(taken, l)
	}
	if len(taken) == len(all) {
		return nil, err // it is none of them
	}
	g.config.StaticResources.Listeners = taken
	return tryEnvoy(o, g.config, dir)
}

// tryEnvoy starts an Envoy.
func tryEnvoy(o Options, config *bootstrap.Bootstrap, dir string) (*envoy, error) {
	b, err := proto.Marshal(config)
	if err != nil {
		return nil, err
	}
	file, admin := filepath.Join(dir, "envoy.pb"), filepath.Join(dir, "admin")
	_ = os.Remove(admin)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return nil, err
	}
	e := &envoy{done: make(chan struct{})}
	e.cmd = exec.Command(o.Envoy, "-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "error", "--admin-address-path", admin)
	e.cmd.Stderr = &e.log
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	starts() <- func() { started <- e.cmd.Start() }
	if err := <-started; err != nil {
		return nil, err
	}
	go func() { _ = e.cmd.Wait(); close(e.done) }()
	if err := e.wait(admin); err != nil {
		e.stop()
		return nil, fmt.Errorf("%w: %s", err, brief(e.log.String()))
	}
	if o.Verbose {
		fmt.Fprint(os.Stderr, e.log.String())
	}
	return e, nil
}

// wait waits until Envoy serves, and learns its ports.
func (e *envoy) wait(admin string) error {
	deadline := time.After(time.Minute)
	for {
		select {
		case <-e.done:
			return errors.New("Envoy has ended")
		case <-deadline:
			return errors.New("Envoy is not ready")
		case <-time.After(5 * time.Millisecond):
		}
		address, err := os.ReadFile(admin)
		if err != nil || len(address) == 0 {
			continue
		}
		if b, err := get("http://" + string(address) + "/ready"); err != nil || !strings.HasPrefix(string(b), "LIVE") {
			continue
		}
		b, err := get("http://" + string(address) + "/listeners?format=json")
		if err != nil {
			continue
		}
		var told struct {
			Listeners []struct {
				Name    string `json:"name"`
				Address struct {
					Socket struct {
						Port int `json:"port_value"`
					} `json:"socket_address"`
				} `json:"local_address"`
			} `json:"listener_statuses"`
		}
		if json.Unmarshal(b, &told) != nil {
			continue
		}
		e.ports = map[string]int{}
		for _, l := range told.Listeners {
			e.ports[l.Name] = l.Address.Socket.Port
		}
		return nil
	}
}

func (e *envoy) stop() {
	_ = e.cmd.Process.Kill()
	<-e.done
}

func brief(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 1500 {
		s = s[:1500]
	}
	return s
}

func get(url string) ([]byte, error) {
	r, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}
