//! What an ACK cluster says about kube-proxy and its network: objects in `kube-system` under ACK's names. Nothing of it runs;
//! the kubelets make the pods of the DaemonSets ready as they do all others.

/// ConfigMaps and DaemonSets of kube-proxy in a mode (`iptables`, `ipvs`, `nftables`) and version, and of Terway, with an ENI
/// for pods and without eBPF.
#[must_use]
pub fn manifests(mode: &str, version: &str) -> String {
    let daemon_set = |name: &str, container: &str, image: &str| {
        format!(
            "apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: {name}, namespace: kube-system}}
spec:
  selector: {{matchLabels: {{k8s-app: {name}}}}}
  template:
    metadata: {{labels: {{k8s-app: {name}}}}}
    spec:
      hostNetwork: true
      containers:
        - {{name: {container}, image: '{image}', command: [{container}, --config=/var/lib/{container}/config.conf]}}
"
        )
    };
    let registry = "registry-cn-hangzhou-vpc.ack.aliyuncs.com/acs";
    format!(
        "apiVersion: v1
kind: ConfigMap
metadata: {{name: kube-proxy-worker, namespace: kube-system}}
data:
  config.conf: |
    apiVersion: kubeproxy.config.k8s.io/v1alpha1
    kind: KubeProxyConfiguration
    mode: {mode}
    clusterCIDR: 10.244.0.0/16
---
{}---
apiVersion: v1
kind: ConfigMap
metadata: {{name: eni-config, namespace: kube-system}}
data:
  10-terway.conf: '{{\"cniVersion\": \"0.4.0\", \"name\": \"terway\", \"type\": \"terway\"}}'
  eni_conf: '{{\"version\": \"1\", \"max_pool_size\": 5}}'
---
{}",
        daemon_set("kube-proxy-worker", "kube-proxy", &format!("{registry}/kube-proxy:{version}")),
        daemon_set("terway-eniip", "terway", &format!("{registry}/terway:v1.11.0")),
    )
}
