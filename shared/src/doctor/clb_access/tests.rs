//! The table row by row, what objects say, and what the verdict comes to.

use super::*;
use serde_json::{Value, json};

const IP: &str = "198.51.100.7";

fn service(policy: Policy) -> ServiceFacts {
    ServiceFacts {
        namespace: "istio-system".to_owned(),
        name: "istio-ingressgateway".to_owned(),
        status_known: true,
        ips: vec![IP.to_owned()],
        policy,
        ..ServiceFacts::default()
    }
}

/// A row: mode, version, does the proxy know the pods, client → answer and rule. All without a pod on the node, under Local.
type Row = (&'static str, Mode, Option<Version>, Option<bool>, Client, Reach, Rule);

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    use Client::{Host, Pod};
    use Mode::{Iptables, Ipvs, Nftables, Unknown};
    use Reach::{No, Yes};
    let v = |minor| Some(Version(1, minor));
    vec![
        // Old kube-proxy: no endpoint, so the packet is lost.
        ("iptables before 1.15",            Iptables, v(14), None,        Pod,  No,  Rule::IptablesOld),
        ("the same from the node",          Iptables, v(14), None,        Host, No,  Rule::IptablesOld),
        ("told the pods' addresses",        Iptables, v(14), Some(true),  Pod,  Yes, Rule::IptablesPods),
        // Since 1.15 (PR 77523) traffic from inside goes to all endpoints.
        ("iptables 1.15",                   Iptables, v(15), None,        Pod,  Yes, Rule::IptablesPods),
        ("iptables 1.15 from the node",     Iptables, v(15), None,        Host, Yes, Rule::IptablesHost),
        ("iptables today",                  Iptables, v(33), Some(true),  Pod,  Yes, Rule::IptablesPods),
        ("that takes pods for strangers",   Iptables, v(33), Some(false), Pod,  No,  Rule::IptablesPodsUnknown),
        ("but not the node",                Iptables, v(33), Some(false), Host, Yes, Rule::IptablesHost),
        // IPVS: an empty virtual server until PR 97081.
        ("IPVS before 1.21",                Ipvs,     v(20), None,        Pod,  No,  Rule::IpvsOld),
        ("IPVS 1.21 falls back",            Ipvs,     v(21), None,        Pod,  Yes, Rule::IpvsFallback),
        ("whatever it knows of pods",       Ipvs,     v(33), Some(false), Pod,  Yes, Rule::IpvsFallback),
        // Not mended: the node and hostNetwork pods.
        ("IPVS from the node, old",         Ipvs,     v(20), None,        Host, No,  Rule::IpvsHost),
        ("IPVS from the node, new",         Ipvs,     v(35), None,        Host, No,  Rule::IpvsHost),
        ("of any version",                  Ipvs,     None,  None,        Host, No,  Rule::IpvsHost),
        // nftables did not have the rule at first.
        ("nftables before the fix",         Nftables, v(32), Some(true),  Pod,  No,  Rule::NftablesOld),
        ("fixed in a patch of 1.33",        Nftables, v(33), Some(true),  Pod,  Reach::Unknown, Rule::NftablesPatch),
        ("nftables 1.34",                   Nftables, v(34), Some(true),  Pod,  Yes, Rule::NftablesFixed),
        ("nftables 1.34 from the node",     Nftables, v(34), None,        Host, Yes, Rule::NftablesFixed),
        ("that takes pods for strangers",   Nftables, v(34), Some(false), Pod,  No,  Rule::NftablesPodsUnknown),
        // Data planes other than kube-proxy, and what was not told.
        ("Terway with eBPF",  Mode::Other("Terway".into()), v(33), None,  Pod,  Reach::Unknown, Rule::OtherDataPlane),
        ("from its node",     Mode::Other("Terway".into()), v(33), None,  Host, Reach::Unknown, Rule::OtherDataPlane),
        ("mode not known",                  Unknown,  v(33), None,        Pod,  Reach::Unknown, Rule::ModeUnknown),
        ("version not known",               Iptables, None,  None,        Pod,  Reach::Unknown, Rule::VersionUnknown),
        ("version not known",               Ipvs,     None,  None,        Pod,  Reach::Unknown, Rule::VersionUnknown),
        ("version not known",               Nftables, None,  None,        Pod,  Reach::Unknown, Rule::VersionUnknown),
    ]
}

#[test]
fn local_without_a_pod_on_the_node() {
    let service = service(Policy::Local);
    for (what, mode, version, knows_pods, client, reach, rule) in rows() {
        let case =
            Case { service: &service, mode: &mode, version, knows_pods, has_local: false, has_any: true, client };
        assert_eq!(judge(&case), Judgement { reach, rule }, "{what}: {mode:?} {version:?} {client:?}");
    }
}

/// What comes before all of that: whatever the data plane, one of these decides.
#[test]
fn what_decides_whatever_the_data_plane() {
    use Reach::{No, Yes};
    let local = service(Policy::Local);
    let hostname = ServiceFacts { ips: vec![], hostnames: vec!["nlb.example.com".to_owned()], ..local.clone() };
    let proxied = ServiceFacts { ips: vec![], proxied_ips: vec![IP.to_owned()], ..local.clone() };
    let none = ServiceFacts { ips: vec![], ..local.clone() };
    let missing = ServiceFacts { missing: true, ..local.clone() };
    let serverless = ServiceFacts { serverless: true, ..local.clone() };
    let cases = [
        // An address of ASM's own gateways is no cluster's.
        (&serverless, false, false, Yes, Rule::Serverless),
        (&missing, true, true, No, Rule::NoService),
        (&none, true, true, No, Rule::NoAddress),
        (&local, false, false, No, Rule::NoReadyPod),
        (&service(Policy::Cluster), false, false, No, Rule::NoReadyPod),
        // P-hostname and NLBs publish a name, and KEP-1860 says Proxy: no node takes it for its own.
        (&hostname, false, true, Yes, Rule::Hostname),
        (&proxied, false, true, Yes, Rule::IpModeProxy),
        (&service(Policy::Cluster), false, true, Yes, Rule::PolicyCluster),
        (&local, true, true, Yes, Rule::LocalPod),
    ];
    for (service, has_local, has_any, reach, rule) in cases {
        for (_, mode, version, knows_pods, client, ..) in rows() {
            let case = Case { service, mode: &mode, version, knows_pods, has_local, has_any, client };
            assert_eq!(judge(&case), Judgement { reach, rule }, "{mode:?} {version:?} {client:?}");
        }
    }
}

/// One address that the node takes for its own is enough to fall into it.
#[test]
fn an_ip_beside_a_host_name_counts() {
    let both = ServiceFacts { hostnames: vec!["a.example.com".to_owned()], ..service(Policy::Local) };
    let case = Case {
        service: &both,
        mode: &Mode::Ipvs,
        version: Some(Version(1, 33)),
        knows_pods: None,
        has_local: false,
        has_any: true,
        client: Client::Host,
    };
    assert_eq!(judge(&case).rule, Rule::IpvsHost);
}

#[test]
fn versions_as_clusters_write_them() {
    for (text, version) in [
        ("v1.33.2", Some(Version(1, 33))),
        ("v1.14.8-aliyun.1", Some(Version(1, 14))),
        ("1.21+", Some(Version(1, 21))),
        ("v1", None),
        ("latest", None),
        ("", None),
    ] {
        assert_eq!(Version::parse(text), version, "{text}");
    }
}

fn node(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "status": {
            "nodeInfo": {"kubeletVersion": "v1.33.1-aliyun.1", "kubeProxyVersion": ""},
            "conditions": [{"type": "Ready", "status": "True"}]
        }
    })
}

fn pod(node: &str, ready: &str) -> Value {
    json!({"spec": {"nodeName": node}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}})
}

fn ipvs() -> Value {
    let config = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\nclusterCIDR: 10.0.0.0/8\n";
    json!({"metadata": {"name": "kube-proxy-worker"}, "data": {"config.conf": config}})
}

fn objects() -> Objects {
    Objects {
        service: json!({
            "metadata": {"name": "istio-ingressgateway", "namespace": "istio-system", "uid": "u"},
            "spec": {"externalTrafficPolicy": "Local", "ports": [{"port": 80, "targetPort": 80}]},
            "status": {"loadBalancer": {"ingress": [{"ip": IP}]}}
        }),
        pods: Some(vec![pod("a", "True"), pod("b", "False")]),
        nodes: Some(vec![node("b"), node("a"), node("c")]),
        config_maps: Some(vec![ipvs()]),
        daemon_sets: Some(vec![]),
        events: Some(vec![]),
    }
}

fn diagnosed(change: impl FnOnce(&mut Objects)) -> Diagnosis {
    let mut objects = objects();
    change(&mut objects);
    diagnose(&observe("m1c1", &objects, None))
}

#[test]
fn a_whole_diagnosis() {
    let diagnosis = diagnosed(|_| ());
    insta::assert_snapshot!(serde_json::to_string_pretty(&diagnosis).unwrap());
}

#[test]
fn modes_by_where_they_are_said() {
    let flags = |words: &[&str]| {
        json!({"metadata": {"name": "kube-proxy"}, "spec": {"template": {"spec": {"containers": [
            {"image": "registry.example.com:5000/acs/kube-proxy:v1.18.8-aliyun.1", "command": words}]}}}})
    };
    let terway = |kind: &str| {
        json!({"metadata": {"name": "eni-config"}, "data": {
            "eni_conf": "{\"version\": \"1\"}",
            "10-terway.conf": format!("{{\"type\": \"terway\", \"eniip_virtual_type\": \"{kind}\"}}")}})
    };
    let named = |name: &str| json!({"metadata": {"name": name}});
    let mut seen = Vec::new();
    let mut see = |what: &str, config_maps: Vec<Value>, daemon_sets: Vec<Value>| {
        let facts = observe(
            "c",
            &Objects { config_maps: Some(config_maps), daemon_sets: Some(daemon_sets), ..objects() },
            None,
        );
        let version = facts.nodes.iter().flatten().find_map(|node| node.version);
        let version = version.map(|version| version.to_string()).unwrap_or_default();
        seen.push(format!(
            "{what}: {} {version} ({}), knows pods {:?}; {}",
            facts.proxy.mode,
            facts.proxy.source.as_deref().unwrap_or("-"),
            facts.proxy.knows_pods,
            facts.network
        ));
    };
    see("ConfigMap", vec![ipvs()], vec![]);
    let empty = json!({"metadata": {"name": "kube-proxy"}, "data": {"config.conf": "kind: KubeProxyConfiguration\n"}});
    see("nothing said", vec![empty.clone()], vec![]);
    let detects = json!({"metadata": {"name": "kube-proxy"}, "data":
        {"config.conf": "kind: KubeProxyConfiguration\nmode: nftables\ndetectLocalMode: NodeCIDR\n"}});
    see("detects", vec![detects], vec![]);
    see("flags", vec![], vec![flags(&["kube-proxy", "--proxy-mode=ipvs", "--cluster-cidr=10.0.0.0/8"])]);
    see("flags in two words", vec![], vec![flags(&["kube-proxy", "--proxy-mode", "iptables"])]);
    see("a shell", vec![], vec![flags(&["sh", "-c", "kube-proxy --proxy-mode=ipvs"])]);
    see("--config wins", vec![empty], vec![flags(&["--config=/x", "--proxy-mode=ipvs"])]);
    see("Terway", vec![ipvs(), terway("")], vec![named("terway-eniip")]);
    see("DataPath V2", vec![ipvs(), terway("datapathv2")], vec![named("terway-eniip")]);
    see("IPvlan", vec![ipvs(), terway("IPVlan")], vec![named("terway-eniip")]);
    see("Flannel", vec![ipvs()], vec![named("kube-flannel-ds")]);
    see("Cilium alone", vec![], vec![named("cilium")]);
    see("nothing", vec![], vec![]);
    insta::assert_snapshot!(seen.join("\n"));
}

#[test]
fn answers_by_caller() {
    let ask = |name: &str, node: Option<&str>, host_network| {
        let caller = Caller { name: name.to_owned(), node: node.map(str::to_owned), host_network };
        let diagnosis = diagnose(&observe("m1c1", &objects(), Some(caller)));
        (diagnosis.overall, diagnosis.summary)
    };
    assert_eq!(ask("pod d/p", Some("c"), false).0, Overall::Reached);
    assert_eq!(ask("pod d/p", Some("a"), true).0, Overall::Reached);
    let (overall, summary) = ask("pod d/p", Some("c"), true);
    assert_eq!(overall, Overall::Unreachable);
    assert!(summary.starts_with("pod d/p on c does not reach it: kube-proxy with IPVS binds"), "{summary}");
    assert_eq!(ask("node z", Some("z"), true).0, Overall::Unknown);
    assert_eq!(ask("pod d/p", None, true).1, "pod d/p may or may not reach it: it runs on no node yet");
}

#[test]
fn overall_and_in_a_sentence() {
    let said = |change: fn(&mut Objects)| {
        let diagnosis = diagnosed(change);
        format!("{:?}: {}", diagnosis.overall, diagnosis.summary)
    };
    let all = [
        said(|_| ()),
        said(|objects| objects.service["spec"]["externalTrafficPolicy"] = "Cluster".into()),
        said(|objects| objects.service["status"] = Value::Null),
        said(|objects| objects.pods = Some(vec![pod("a", "False")])),
        said(|objects| objects.config_maps = None),
        said(|objects| objects.nodes = None),
        said(|objects| (objects.nodes, objects.config_maps) = (None, None)),
        said(|objects| objects.service["status"]["loadBalancer"]["ingress"] = json!([{"hostname": "a.example.com"}])),
        said(|objects| objects.pods = Some(vec![pod("a", "True"), pod("b", "True"), pod("c", "True")])),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn complaints_of_the_cloud_controller_end_with_its_next_success() {
    let event = |reason: &str, kind: &str, message: &str, at: &str| {
        json!({"involvedObject": {"kind": "Service", "name": "istio-ingressgateway", "uid": "u"}, "type": kind,
               "reason": reason, "message": message, "lastTimestamp": at})
    };
    let failed =
        event("SyncLoadBalancerFailed", "Warning", "x: There are no available nodes for it", "2026-03-01T10:00:00Z");
    let done = |at| event("EnsuredLoadBalancer", "Normal", "Ensured", at);
    let open = diagnosed(|objects| objects.events = Some(vec![done("2026-03-01T09:00:00Z"), failed.clone()]));
    assert_eq!(open.events.len(), 1);
    assert!(open.events[0].meaning.is_some_and(|meaning| meaning.starts_with("no node can be a back end")));
    let settled = diagnosed(|objects| objects.events = Some(vec![failed.clone(), done("2026-03-01T11:00:00Z")]));
    assert_eq!(settled.events, []);
    let mut other = failed;
    other["involvedObject"]["uid"] = "before".into();
    assert_eq!(diagnosed(|objects| objects.events = Some(vec![other])).events, []);
}

#[test]
fn eni_back_ends_by_network_and_ports() {
    let possible = |facts: &Facts| {
        let remedy = diagnose(facts).remedies.into_iter().find(|remedy| remedy.name == RemedyKind::Eni);
        remedy.map(|remedy| remedy.possible)
    };
    let with = |network| Facts { service: service(Policy::Local), network, ..Facts::default() };
    assert_eq!(possible(&with(Network::Terway("ENI".into()))), Some(Possible::Yes));
    assert_eq!(possible(&with(Network::Flannel)), Some(Possible::No));
    assert_eq!(possible(&with(Network::Unknown)), Some(Possible::Unknown));
    let mut named = with(Network::Terway("ENI".into()));
    named.service.named_target_ports = vec!["http".to_owned()];
    assert_eq!(possible(&named), Some(Possible::No));
    named.service.policy = Policy::Cluster;
    assert_eq!(possible(&named), None, "nothing has to be remedied");
}
