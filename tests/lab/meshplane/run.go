package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	xdsfake "istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/test"
)

// run answers a case. A case that istiod cannot take does not end the judge.
func run(o Options, c Case) Result {
	r := Result{Answers: []Answer{}}
	if err := r.fill(o, c); err != nil {
		r.Error = err.Error()
	}
	return r
}

func (res *Result) fill(o Options, c Case) error {
	began := time.Now()
	in, err := load(c)
	if err != nil {
		return err
	}
	res.Invalid, res.Ignored = in.invalid, in.ignored
	mesh, err := meshConfig(c.Mesh)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.Temp, "case-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	up := &upstreams{dir: dir, hits: map[string][]string{}}
	defer up.close()
	// Istio's own tests compile with this server; it wants to be told of failures.
	var died error
	err = test.Wrap(func(t test.Failer) {
		defer func() {
			// t.Fatalf ends the goroutine without one.
			if p := recover(); p != nil {
				died = fmt.Errorf("istiod panics: %v", p)
			}
		}()
		k := &compiler{in: in, upstreams: up, mode: first(c.Endpoints, "auto"), pods: map[string]string{}}
		k.server = xdsfake.NewFakeDiscoveryServer(t, xdsfake.FakeOptions{
			Configs: in.configs, KubernetesObjectsByCluster: in.objects, DefaultClusterName: meshCluster, MeshConfig: mesh,
		})
		for _, p := range in.pods {
			k.pods[p.Status.PodIP] = string(p.cluster) + "/" + p.Namespace + "/" + p.Name
		}
		requests := make([]Request, len(c.Requests))
		of := make([]*asker, len(c.Requests)) // the gateway of each request
		askers := map[string]*asker{}
		var order []*asker
		for i, request := range c.Requests {
			requests[i] = request.with(c.Defaults)
			key := requests[i].gatewayKey()
			if askers[key] == nil {
				g, err := k.gateway(requests[i])
				if err != nil {
					t.Fatalf("%v", err)
				}
				askers[key] = &asker{gateway: g, upstreams: up, timeout: o.Timeout}
				order = append(order, askers[key])
			}
			of[i] = askers[key]
		}
		res.CompileMs = time.Since(began).Milliseconds()
		began = time.Now()
		for i, a := range order {
			if len(a.gateway.Listeners) == 0 {
				continue
			}
			e, err := startEnvoy(o, a.gateway, dir, fmt.Sprintf("gateway%d", i))
			if err != nil {
				a.gateway.Envoy = err.Error()
				continue
			}
			defer e.stop()
			a.envoy = e
		}
		res.EnvoyMs = time.Since(began).Milliseconds()
		began = time.Now()
		res.Answers = askAll(o.Workers, of, requests)
		res.AskMs = time.Since(began).Milliseconds()
		for _, a := range order {
			res.Gateways = append(res.Gateways, *a.gateway)
		}
	})
	return errors.Join(died, err)
}

// gatewayKey is the same for requests to the same gateway.
func (r Request) gatewayKey() string {
	labels, _ := json.Marshal(r.Gateway) // its keys are sorted
	return fmt.Sprintf("%s/%s/%s/%t", labels, r.Namespace, r.GatewayIP, r.Sidecar)
}

func askAll(workers int, of []*asker, requests []Request) []Answer {
	answers := make([]Answer, len(requests))
	var next atomic.Int64
	var done sync.WaitGroup
	for range max(1, workers) {
		done.Add(1)
		go func() {
			defer done.Done()
			for i := int(next.Add(1)) - 1; i < len(requests); i = int(next.Add(1)) - 1 {
				answers[i] = of[i].ask(requests[i])
			}
		}()
	}
	done.Wait()
	return answers
}
