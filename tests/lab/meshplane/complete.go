package main

import (
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"istio.io/istio/pkg/cluster"
)

// maxReplicas bounds the pods of one workload: more of them change no answer.
const maxReplicas = 20

// complete does what controllers and kubelets would do: workloads get pods, pods addresses, services EndpointSlices.
func (in *input) complete() {
	for number, id := range slices.Sorted(maps.Keys(in.objects)) {
		var services []*corev1.Service
		var pods []*corev1.Pod
		var made []runtime.Object
		sliced := map[string]bool{}
		for _, object := range in.objects[id] {
			switch o := object.(type) {
			case *corev1.Service:
				defaultPorts(o)
				services = append(services, o)
			case *discoveryv1.EndpointSlice:
				sliced[o.Namespace+"/"+o.Labels[discoveryv1.LabelServiceName]] = true
			case *corev1.Pod:
				pods = append(pods, o)
			default:
				for _, p := range podsOf(object) {
					pods = append(pods, p)
					made = append(made, p)
				}
			}
		}
		for i, p := range pods {
			start(p, fmt.Sprintf("10.%d.%d.%d", 100+number%100, i/250, i%250+1))
			in.pods = append(in.pods, pod{id, p})
		}
		if node := nodeIn(id, in.regions[string(id)]); node != nil {
			made = append(made, node)
			for _, p := range pods {
				p.Spec.NodeName = first(p.Spec.NodeName, node.Name)
			}
		}
		for i, s := range services {
			if s.Spec.ClusterIP == "" && s.Spec.Type != corev1.ServiceTypeExternalName {
				s.Spec.ClusterIP = fmt.Sprintf("172.%d.%d.%d", 16+number%16, i/250, i%250+1)
			}
			if len(s.Spec.Selector) > 0 && !sliced[s.Namespace+"/"+s.Name] {
				made = append(made, slicesOf(s, pods)...)
			}
		}
		in.objects[id] = append(in.objects[id], made...)
	}
}

// nodeIn is the node of a cluster, by which istiod knows where pods are; nil without a region.
func nodeIn(id cluster.ID, region string) *corev1.Node {
	if region == "" {
		return nil
	}
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-of-" + string(id), Labels: map[string]string{corev1.LabelTopologyRegion: region}}}
}

// podsOf makes the pods of a workload.
func podsOf(object runtime.Object) []*corev1.Pod {
	var template corev1.PodTemplateSpec
	var replicas *int32
	switch w := object.(type) {
	case *appsv1.Deployment:
		template, replicas = w.Spec.Template, w.Spec.Replicas
	case *appsv1.StatefulSet:
		template, replicas = w.Spec.Template, w.Spec.Replicas
	case *appsv1.ReplicaSet:
		template, replicas = w.Spec.Template, w.Spec.Replicas
	case *appsv1.DaemonSet:
		template = w.Spec.Template
	case *batchv1.Job:
		template = w.Spec.Template
	default:
		return nil
	}
	n := 1
	if replicas != nil {
		n = min(int(*replicas), maxReplicas)
	}
	owner := object.(metav1.Object)
	var pods []*corev1.Pod
	for i := range n {
		p := &corev1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
		p.Name, p.Namespace = fmt.Sprintf("%s-%d", owner.GetName(), i), owner.GetNamespace()
		pods = append(pods, p)
	}
	return pods
}

// start gives a pod what a kubelet would.
func start(p *corev1.Pod, address string) {
	if p.Status.PodIP == "" {
		p.Status.PodIP = address
		p.Status.PodIPs = []corev1.PodIP{{IP: address}}
	}
	if p.Status.Phase == "" {
		p.Status.Phase = corev1.PodRunning
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
}

// defaultPorts does what the API server does on writing.
func defaultPorts(s *corev1.Service) {
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		p.Protocol = first(p.Protocol, corev1.ProtocolTCP)
		if p.TargetPort == (intstr.IntOrString{}) {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
}

// slicesOf makes the EndpointSlices of a service: one for each set of ports that its pods resolve to.
func slicesOf(s *corev1.Service, pods []*corev1.Pod) []runtime.Object {
	selector := labels.SelectorFromSet(s.Spec.Selector)
	byPorts := map[string]*discoveryv1.EndpointSlice{}
	var made []runtime.Object
	for _, p := range pods {
		if p.Namespace != s.Namespace || !selector.Matches(labels.Set(p.Labels)) {
			continue
		}
		ports, key := portsOf(s, p)
		slice := byPorts[key]
		if slice == nil {
			slice = &discoveryv1.EndpointSlice{
				ObjectMeta: metav1.ObjectMeta{
					Name: fmt.Sprintf("%s-%d", s.Name, len(byPorts)), Namespace: s.Namespace,
					Labels: map[string]string{discoveryv1.LabelServiceName: s.Name},
				},
				AddressType: discoveryv1.AddressTypeIPv4, Ports: ports,
			}
			byPorts[key] = slice
			made = append(made, slice)
		}
		ready := isReady(p)
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{p.Status.PodIP}, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: p.Name, Namespace: p.Namespace},
		})
	}
	return made
}

// portsOf are the ports of a service at one pod, and a key that is the same for the same ports.
func portsOf(s *corev1.Service, p *corev1.Pod) ([]discoveryv1.EndpointPort, string) {
	var ports []discoveryv1.EndpointPort
	key := ""
	for _, port := range s.Spec.Ports {
		target := targetPort(port, p)
		if target == 0 {
			continue
		}
		name, protocol := port.Name, port.Protocol
		ports = append(ports, discoveryv1.EndpointPort{Name: &name, Port: &target, Protocol: &protocol, AppProtocol: port.AppProtocol})
		key += fmt.Sprintf("%s=%d;", name, target)
	}
	return ports, key
}

func isReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return p.Status.Phase == corev1.PodRunning
}

// targetPort is the port of the pod that a service's port leads to; 0: the pod has no port of that name.
func targetPort(port corev1.ServicePort, p *corev1.Pod) int32 {
	if port.TargetPort.Type == intstr.Int {
		return port.TargetPort.IntVal
	}
	for _, c := range p.Spec.Containers {
		for _, named := range c.Ports {
			if named.Name == port.TargetPort.StrVal {
				return named.ContainerPort
			}
		}
	}
	return 0
}
