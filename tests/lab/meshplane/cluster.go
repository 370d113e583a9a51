package main

import (
	"fmt"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/xds/endpoints"
)

// cluster keeps how istiod's cluster chooses an endpoint and puts our own listeners in the endpoints' places.
func (c *compiler) cluster(g *Gateway, px *model.Proxy, k *cluster.Cluster) (*cluster.Cluster, error) {
	n := &cluster.Cluster{
		Name: k.Name, ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_STATIC}, ConnectTimeout: durationpb.New(2e9),
		LbPolicy: k.LbPolicy, LbConfig: k.LbConfig, CommonLbConfig: k.CommonLbConfig, LoadBalancingPolicy: k.LoadBalancingPolicy,
		OutlierDetection: k.OutlierDetection,
	}
	if n.LbPolicy == cluster.Cluster_CLUSTER_PROVIDED {
		n.LbPolicy, n.LbConfig = cluster.Cluster_ROUND_ROBIN, nil
	}
	var la *endpoint.ClusterLoadAssignment
	if c.mode != "assume" {
		if k.GetType() == cluster.Cluster_EDS {
			eb := endpoints.NewEndpointBuilder(k.Name, px, c.server.PushContext())
			la = eb.BuildClusterLoadAssignment(c.server.Discovery.Env.EndpointIndex)
		} else {
			la = k.LoadAssignment
		}
	}
	n.LoadAssignment = &endpoint.ClusterLoadAssignment{ClusterName: k.Name, Policy: la.GetPolicy()}
	count := 0
	for _, loc := range la.GetEndpoints() {
		nl := &endpoint.LocalityLbEndpoints{Locality: loc.Locality, LoadBalancingWeight: loc.LoadBalancingWeight, Priority: loc.Priority}
		for _, e := range loc.LbEndpoints {
			a := e.GetEndpoint().GetAddress()
			id := a.GetSocketAddress().GetAddress()
			if id == "" {
				id = a.GetPipe().GetPath()
			}
			if p := c.pods[id]; p != "" {
				id = p
			}
			if port := a.GetSocketAddress().GetPortValue(); port != 0 {
				id += fmt.Sprintf(":%d", port)
			}
			path, err := c.upstreams.listen(k.Name, id)
			if err != nil {
				return nil, err
			}
			nl.LbEndpoints = append(nl.LbEndpoints, &endpoint.LbEndpoint{
				HostIdentifier:      &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{Address: pipe(path)}},
				LoadBalancingWeight: e.LoadBalancingWeight, HealthStatus: e.HealthStatus,
			})
			count++
		}
		n.LoadAssignment.Endpoints = append(n.LoadAssignment.Endpoints, nl)
	}
	if count == 0 && (c.mode == "assume" || c.mode == "auto" && !c.placed(px, k.Name)) {
		g.Unplaced = append(g.Unplaced, k.Name)
		path, err := c.upstreams.listen(k.Name, "")
		if err != nil {
			return nil, err
		}
		n.LoadAssignment = &endpoint.ClusterLoadAssignment{ClusterName: k.Name, Endpoints: []*endpoint.LocalityLbEndpoints{{
			LbEndpoints: []*endpoint.LbEndpoint{{HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{Address: pipe(path)}}}},
		}}}
	}
	return n, nil
}

// placed says whether the service behind the cluster has any endpoint at all, in any subset and from anywhere.
func (c *compiler) placed(px *model.Proxy, name string) bool {
	dir, _, host, port := model.ParseSubsetKey(name)
	if dir == "" {
		return false
	}
	was := px.Locality
	px.Locality = &core.Locality{}
	defer func() { px.Locality = was }()
	eb := endpoints.NewEndpointBuilder(model.BuildSubsetKey(model.TrafficDirectionOutbound, "", host, port), px, c.server.PushContext())
	for _, l := range eb.BuildClusterLoadAssignment(c.server.Discovery.Env.EndpointIndex).GetEndpoints() {
		if len(l.LbEndpoints) > 0 {
			return true
		}
	}
	return false
}

func pipe(path string) *core.Address {
	return &core.Address{Address: &core.Address_Pipe{Pipe: &core.Pipe{Path: path}}}
}
