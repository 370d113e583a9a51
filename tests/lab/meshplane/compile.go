package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/model"
	xdsfake "istio.io/istio/pilot/test/xds"
	clusterid "istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/config/mesh"
)

// stockEnvoy keeps istiod from using what a stock Envoy does not have.
func stockEnvoy() {
	features.ALPNFilter = false
	features.MetadataExchange = false
	features.EnableTelemetryLabel = false
}

// Gateway is what istiod compiled for one gateway pod.
type Gateway struct {
	Labels    map[string]string   `json:"labels"`
	Namespace string              `json:"namespace"`
	Pod       string              `json:"pod,omitempty"` // the Pod with these labels, if there is one
	Listeners []Listener          `json:"listeners"`
	Ports     map[int]uint32      `json:"ports,omitempty"`    // Service port to listener port, where they differ
	Stripped  []string            `json:"stripped,omitempty"` // filters that a stock Envoy lacks
	Push      map[string][]string `json:"push,omitempty"`     // istiod's complaints while compiling
	Unplaced  []string            `json:"unplaced,omitempty"` // clusters that got a made-up endpoint
	Unknown   []string            `json:"unknown,omitempty"`  // clusters that routes name and istiod did not make
	Envoy     string              `json:"envoy,omitempty"`    // why Envoy does not start
	clusters  map[string]bool     // that routes name
	bySNI     bool                // the SNI names the cluster (AUTO_PASSTHROUGH)
	sidecar   bool                // no gateway, but the sidecar of a workload
	config    *bootstrap.Bootstrap
}

// Listener is one port of the gateway.
type Listener struct {
	Name    string  `json:"name"`
	Port    uint32  `json:"port"`
	Chains  []Chain `json:"chains"`
	Refused string  `json:"refused,omitempty"` // why Envoy does not take it
}

// Chain is one filter chain of a listener.
type Chain struct {
	Name        string   `json:"name,omitempty"`
	SNI         []string `json:"sni,omitempty"`
	TLS         string   `json:"tls,omitempty"` // terminate, mutual; empty: none or passthrough
	Credential  string   `json:"credential,omitempty"`
	Kind        string   `json:"kind"` // http, tcp
	RouteConfig string   `json:"routeConfig,omitempty"`
	Hosts       []string `json:"hosts,omitempty"` // virtual hosts
}

func meshConfig(y string) (*meshconfig.MeshConfig, error) {
	m := mesh.DefaultMeshConfig()
	if y != "" {
		var err error
		if m, err = mesh.ApplyMeshConfig(y, m); err != nil {
			return nil, err
		}
	}
	m.DefaultProviders = &meshconfig.MeshConfig_DefaultProviders{} // no telemetry filters
	m.AccessLogFile = ""
	m.EnablePrometheusMerge = wrapperspb.Bool(false)
	return m, nil
}

type compiler struct {
	in        *input
	server    *xdsfake.FakeDiscoveryServer
	upstreams *upstreams
	mode      string
	pods      map[string]string // names by address
}

// version is what the gateway says that it is of.
const version = "1.31.0"

// gateway compiles the gateway of a request.
func (c *compiler) gateway(r Request) (*Gateway, error) {
	g := &Gateway{Labels: r.Gateway, Namespace: r.Namespace, sidecar: r.Sidecar, clusters: map[string]bool{}}
	px := c.proxy(g, r)
	for _, t := range px.ServiceTargets {
		if g.sidecar {
			break // its Services are for what comes in
		}
		if t.Port.ServicePort != nil && uint32(t.Port.Port) != t.Port.TargetPort {
			if g.Ports == nil {
				g.Ports = map[int]uint32{}
			}
			g.Ports[t.Port.Port] = t.Port.TargetPort
		}
	}
	listeners, err := c.listeners(g, px)
	if err != nil {
		return nil, err
	}
	clusters, err := c.clusters(g, px)
	if err != nil {
		return nil, err
	}
	g.config = &bootstrap.Bootstrap{
		Node:            &core.Node{Id: "judge", Cluster: "judge"},
		Admin:           &bootstrap.Admin{Address: loopback()},
		StaticResources: &bootstrap.Bootstrap_StaticResources{Listeners: listeners, Clusters: clusters},
		LayeredRuntime: &bootstrap.LayeredRuntime{Layers: []*bootstrap.RuntimeLayer{{
			Name: "istio", LayerSpecifier: &bootstrap.RuntimeLayer_StaticLayer{StaticLayer: runtimeLayer()},
		}}},
	}
	for metric, m := range c.server.PushContext().ProxyStatus {
		if g.Push == nil {
			g.Push = map[string][]string{}
		}
		g.Push[metric] = slices.Sorted(maps.Keys(m))
	}
	return g, nil
}

// proxy is the gateway's pod: the Pod that has the labels, or one with just these.
func (c *compiler) proxy(g *Gateway, r Request) *model.Proxy {
	ip, id := first(r.GatewayIP, "10.255.255.1"), meshCluster
	for _, p := range c.in.pods {
		if len(r.Gateway) > 0 && subset(r.Gateway, p.Labels) && (r.Namespace == "" || r.Namespace == p.Namespace) {
			g.Labels, g.Namespace, ip, id = p.Labels, p.Namespace, p.Status.PodIP, p.cluster
			g.Pod = c.pods[ip]
			break
		}
	}
	g.Namespace = first(g.Namespace, "istio-system")
	kind := model.Router
	if g.sidecar {
		kind = model.SidecarProxy
	}
	region := c.in.regions[string(id)]
	return c.server.SetupProxy(&model.Proxy{
		Type: kind, ID: "gateway." + g.Namespace, Labels: located(g.Labels, id, region), IPAddresses: []string{ip}, ConfigNamespace: g.Namespace,
		DNSDomain: g.Namespace + ".svc." + c.in.domain, Locality: &core.Locality{Region: region},
		Metadata:  &model.NodeMetadata{Labels: g.Labels, Namespace: g.Namespace, ClusterID: id, IstioVersion: version},
	})
}

// located are the labels of a pod with those that istiod adds when a proxy connects.
func located(labels map[string]string, id clusterid.ID, region string) map[string]string {
	labels = maps.Clone(labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels["topology.istio.io/cluster"] = string(id)
	if region != "" {
		labels["topology.kubernetes.io/region"] = region
	}
	return labels
}

// calls says whether a listener is one by which a workload calls others: what comes in, and what is let through by its
// address alone, is not asked.
func calls(name, address string) bool {
	return address == "0.0.0.0" && name != model.VirtualOutboundListenerName && name != model.VirtualInboundListenerName
}

// listeners are istiod's, on loopback, with the routes in them.
func (c *compiler) listeners(g *Gateway, px *model.Proxy) ([]*listener.Listener, error) {
	compiled := c.server.Listeners(px)
	t := translation{gateway: g, routes: map[string]*route.RouteConfiguration{}, stripped: map[string]bool{}}
	for _, rc := range c.server.RoutesFromListeners(px, compiled) {
		t.routes[rc.Name] = rc
	}
	var out []*listener.Listener
	for _, l := range compiled {
		address := l.GetAddress().GetSocketAddress()
		if address == nil || address.Protocol == core.SocketAddress_UDP {
			continue
		}
		if g.sidecar && !calls(l.Name, address.Address) {
			continue
		}
		info := Listener{Name: l.Name, Port: address.GetPortValue()}
		n := proto.Clone(l).(*listener.Listener)
		n.Address, n.AdditionalAddresses, n.AccessLog, n.SocketOptions = loopback(), nil, nil, nil
		n.ConnectionBalanceConfig, n.Transparent, n.Freebind, n.BindToPort = nil, nil, nil, nil
		n.TcpBacklogSize, n.MaxConnectionsToAcceptPerSocketEvent = nil, nil
		if g.sidecar {
			n.UseOriginalDst, n.DefaultFilterChain = nil, nil
		}
		n.FilterChains = nil
		for _, fc := range l.FilterChains {
			chain, told, err := t.chain(fc)
			if err != nil {
				return nil, fmt.Errorf("listener %s: %w", l.Name, err)
			}
			n.FilterChains = append(n.FilterChains, chain)
			info.Chains = append(info.Chains, told)
		}
		g.Listeners = append(g.Listeners, info)
		out = append(out, n)
	}
	g.Stripped = slices.Sorted(maps.Keys(t.stripped))
	return out, nil
}

// clusters are those that routes name: istiod makes one for every service.
func (c *compiler) clusters(g *Gateway, px *model.Proxy) ([]*cluster.Cluster, error) {
	known := map[string]*cluster.Cluster{}
	for _, k := range c.server.Clusters(px) {
		known[k.Name] = k
		if g.bySNI && strings.HasPrefix(k.Name, "outbound_") {
			g.clusters[k.Name] = true
		}
	}
	var out []*cluster.Cluster
	for _, name := range slices.Sorted(maps.Keys(g.clusters)) {
		if known[name] == nil {
			g.Unknown = append(g.Unknown, name)
			continue
		}
		n, err := c.cluster(g, px, known[name])
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// runtimeLayer holds the flags of Istio's bootstrap template that change routing.
func runtimeLayer() *structpb.Struct {
	s, _ := structpb.NewStruct(map[string]any{
		"overload.global_downstream_max_connections": "2147483647",
		"re2.max_program_size.error_level":           "32768",
		"envoy.deprecated_features:envoy.config.listener.v3.Listener.hidden_envoy_deprecated_use_original_dst": true,
	})
	return s
}

func subset(want, have map[string]string) bool {
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return true
}

func loopback() *core.Address {
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address: "127.0.0.1", PortSpecifier: &core.SocketAddress_PortValue{PortValue: 0},
	}}}
}

func inline(b []byte) *core.DataSource {
	return &core.DataSource{Specifier: &core.DataSource_InlineBytes{InlineBytes: b}}
}
