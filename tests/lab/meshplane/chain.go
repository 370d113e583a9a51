package main

import (
	"strconv"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// noRoute is the name of the route that answers when no other one matches.
const noRoute = "judge:none"

// translation makes filter chains that a stock Envoy can run by itself.
type translation struct {
	gateway  *Gateway
	routes   map[string]*route.RouteConfiguration
	stripped map[string]bool
}

// foreign says whether a stock Envoy lacks the filter.
func foreign(name string, a *anypb.Any) bool {
	t := a.GetTypeUrl()
	if strings.Contains(t, "TypedStruct") {
		return true // Istio's own and Wasm extensions come this way
	}
	return strings.Contains(t, "istio.") || strings.Contains(t, "stats.PluginConfig") || strings.Contains(t, "PeerMetadata") ||
		strings.HasPrefix(name, "istio.") || strings.Contains(t, ".wasm.")
}

func (t translation) chain(fc *listener.FilterChain) (*listener.FilterChain, Chain, error) {
	n := proto.Clone(fc).(*listener.FilterChain)
	n.Filters = nil
	info := Chain{Name: fc.Name, SNI: fc.GetFilterChainMatch().GetServerNames(), Kind: "tcp"}
	if fc.TransportSocket != nil {
		socket, err := secured(fc.TransportSocket, &info)
		if err != nil {
			return nil, info, err
		}
		n.TransportSocket = socket
	}
	for _, f := range fc.Filters {
		config := f.GetTypedConfig()
		var made proto.Message
		var err error
		switch {
		case config.MessageIs(&hcm.HttpConnectionManager{}):
			made, err = t.http(config, &info)
		case config.MessageIs(&tcp.TcpProxy{}):
			made, err = t.tcp(config)
		case foreign(f.Name, config):
			t.stripped[f.Name] = true
			continue
		default:
			t.gateway.bySNI = t.gateway.bySNI || f.Name == "envoy.filters.network.sni_cluster"
			n.Filters = append(n.Filters, f)
			continue
		}
		if err != nil {
			return nil, info, err
		}
		n.Filters = append(n.Filters, &listener.Filter{Name: f.Name, ConfigType: &listener.Filter_TypedConfig{TypedConfig: pack(made)}})
	}
	return n, info, nil
}

// secured has a certificate of ours: secrets are no part of a case.
func secured(socket *core.TransportSocket, info *Chain) (*core.TransportSocket, error) {
	d := &auth.DownstreamTlsContext{}
	if err := socket.GetTypedConfig().UnmarshalTo(d); err != nil {
		return nil, err
	}
	common := d.GetCommonTlsContext()
	for _, s := range common.GetTlsCertificateSdsSecretConfigs() {
		info.Credential = s.Name
	}
	info.TLS = "terminate"
	ours := &auth.DownstreamTlsContext{CommonTlsContext: &auth.CommonTlsContext{
		AlpnProtocols: common.GetAlpnProtocols(), TlsParams: common.GetTlsParams(),
		TlsCertificates: []*auth.TlsCertificate{{CertificateChain: inline(certPEM), PrivateKey: inline(keyPEM)}},
	}}
	if d.GetRequireClientCertificate().GetValue() { // any certificate is good; none is not
		info.TLS = "mutual"
		ours.RequireClientCertificate = wrapperspb.Bool(true)
		ours.CommonTlsContext.ValidationContextType = &auth.CommonTlsContext_ValidationContext{ValidationContext: &auth.CertificateValidationContext{
			TrustChainVerification: auth.CertificateValidationContext_ACCEPT_UNTRUSTED, TrustedCa: inline(certPEM),
		}}
	}
	return &core.TransportSocket{Name: socket.Name, ConfigType: &core.TransportSocket_TypedConfig{TypedConfig: pack(ours)}}, nil
}

// http keeps the HTTP filters that a stock Envoy has, and puts the routes in.
func (t translation) http(config *anypb.Any, info *Chain) (proto.Message, error) {
	h := &hcm.HttpConnectionManager{}
	if err := config.UnmarshalTo(h); err != nil {
		return nil, err
	}
	rc := h.GetRouteConfig()
	if rds := h.GetRds(); rds != nil {
		rc = t.routes[rds.RouteConfigName]
	}
	if rc == nil {
		rc = &route.RouteConfiguration{Name: "missing"}
	}
	rc = proto.Clone(rc).(*route.RouteConfiguration)
	t.instrument(rc)
	info.Kind, info.RouteConfig = "http", rc.Name
	for _, v := range rc.VirtualHosts {
		info.Hosts = append(info.Hosts, v.Name)
	}
	h.RouteSpecifier = &hcm.HttpConnectionManager_RouteConfig{RouteConfig: rc}
	h.AccessLog, h.AccessLogOptions, h.Tracing = nil, nil, nil
	h.LocalReplyConfig = localReplies()
	if foreign("", h.GetRequestIdExtension().GetTypedConfig()) {
		h.RequestIdExtension = nil
	}
	var kept []*hcm.HttpFilter
	for _, f := range h.HttpFilters {
		if f.GetConfigDiscovery() != nil || foreign(f.Name, f.GetTypedConfig()) {
			t.stripped[f.Name] = true
			continue
		}
		kept = append(kept, f)
	}
	h.HttpFilters = kept
	return h, nil
}

func (t translation) tcp(config *anypb.Any) (proto.Message, error) {
	p := &tcp.TcpProxy{}
	if err := config.UnmarshalTo(p); err != nil {
		return nil, err
	}
	p.AccessLog, p.AccessLogOptions = nil, nil
	if p.GetCluster() != "" {
		t.gateway.clusters[p.GetCluster()] = true
	}
	for _, w := range p.GetWeightedClusters().GetClusters() {
		t.gateway.clusters[w.Name] = true
	}
	return p, nil
}

func header(k, v string) *core.HeaderValueOption {
	return &core.HeaderValueOption{Header: &core.HeaderValue{Key: k, Value: v}, AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD, KeepEmptyValue: true}
}

var told = []*core.HeaderValueOption{
	header(routeHeader, "%ROUTE_NAME%"),
	header(flagsHeader, "%RESPONSE_FLAGS%"), header(detailsHeader, "%RESPONSE_CODE_DETAILS%"),
}

func localReplies() *hcm.LocalReplyConfig {
	return &hcm.LocalReplyConfig{Mappers: []*hcm.ResponseMapper{{
		Filter:       everyResponse(),
		HeadersToAdd: told,
	}}}
}

// instrument makes every response say which virtual host, route and cluster it came by. A last route that answers as
// Envoy does without one (404, no body) tells "no route" from "no virtual host".
func (t translation) instrument(rc *route.RouteConfiguration) {
	rc.ResponseHeadersToAdd = append(rc.ResponseHeadersToAdd, told...)
	for _, v := range rc.VirtualHosts {
		v.ResponseHeadersToAdd = append(v.ResponseHeadersToAdd, header(hostHeader, v.Name))
		for _, r := range v.Routes {
			a := r.GetRoute()
			if a == nil {
				continue
			}
			if a.GetCluster() != "" {
				t.gateway.clusters[a.GetCluster()] = true
				r.ResponseHeadersToAdd = append(r.ResponseHeadersToAdd, header(targetHeader, a.GetCluster()))
			}
			for _, w := range a.GetWeightedClusters().GetClusters() {
				t.gateway.clusters[w.Name] = true
				w.ResponseHeadersToAdd = append(w.ResponseHeadersToAdd, header(targetHeader, w.Name))
			}
			for _, m := range a.RequestMirrorPolicies {
				t.gateway.clusters[m.Cluster] = true
			}
			if n := len(a.RequestMirrorPolicies); n > 0 {
				r.ResponseHeadersToAdd = append(r.ResponseHeadersToAdd, header(mirrorsHeader, strconv.Itoa(n)))
			}
		}
		if strings.HasPrefix(v.Name, "blackhole:") {
			continue // istiod's way to say that there is no virtual host
		}
		v.Routes = append(v.Routes, &route.Route{
			Name:   noRoute,
			Match:  &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}},
			Action: &route.Route_DirectResponse{DirectResponse: &route.DirectResponseAction{Status: 404}},
		})
	}
}

func pack(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return a
}
