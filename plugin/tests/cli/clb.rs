//! Several load balancers on one gateway: the Services that come out, and the ways that are refused.

use super::api_server::{ApiServer, kubeconfig};
use super::world::World;
use serde_json::{Value, json};

/// A fleet with the gateway `ingressgateway` in both clusters and the serverless gateway `front`.
pub(crate) fn with_gateways() -> World {
    let world = World::with_fleet();
    world.ok(&["gateway", "create", "ingressgateway", "--cluster", "m1c1,m1c2", "--address-type", "internet"]);
    world.ok(&["gateway", "create", "front", "--serverless"]);
    world
}

/// The documents of a file.
fn objects(text: &str) -> Vec<Value> {
    let read = asm_shared::yaml::read(text.as_bytes(), &asm_shared::yaml::Limits::default()).unwrap();
    read.iter().map(|document| Value::clone(&document.value)).collect()
}

#[test]
fn one_more_clb() {
    let world = with_gateways();
    let args =
        ["clb", "add", "--gateway", "ingressgateway", "--cluster", "m1c1", "--internal", "--spec", "slb.s1.small"];
    insta::assert_snapshot!(world.run(&args), @"
    created clusters/m1c1/gateways/istio-ingressgateway-2.yaml
    ! warning: the specification slb.s1.small has no effect with cloud controller 2.12.4 and later, which makes CLBs PayByCLCU: m1c1 (version not in fleet.yaml); add --charge-type PayBySpec
    ! warning: istio-ingressgateway (internet) and istio-ingressgateway-2 (intranet) lead to the same pods: routes that are meant for the VPC only must tell callers apart by host, or answer the internet as well
    ! hint: keep it with: git add clusters/m1c1/gateways/istio-ingressgateway-2.yaml && git commit
    ! hint: next: kubectl asm diff; after the push: kubectl asm clb list --live
    [0]
    ");
    insta::assert_snapshot!(world.read("clusters/m1c1/gateways/istio-ingressgateway-2.yaml"), @"
    # One more CLB for the gateway ingressgateway: it leads to the same pods as the generated Service istio-ingressgateway.
    # Without this Service the load balancer and its address are lost for good. To retire it:
    # kubectl asm clb remove istio-ingressgateway-2
    apiVersion: v1
    kind: Service
    metadata:
      name: istio-ingressgateway-2
      namespace: istio-system
      labels:
        app: istio-ingressgateway
        asm-system: 'true'
        istio: ingressgateway
      annotations:
        service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type: intranet
        service.beta.kubernetes.io/alibaba-cloud-loadbalancer-spec: slb.s1.small
    spec:
      type: LoadBalancer
      externalTrafficPolicy: Cluster
      ports:
        - name: http
          port: 80
          protocol: TCP
          targetPort: 80
        - name: https
          port: 443
          protocol: TCP
          targetPort: 443
      selector:
        app: istio-ingressgateway
        asm-system: 'true'
        istio: ingressgateway
        provider: asm
    ");
    // The next one gets the next name, in every cluster.
    let all = world.ok(&["clb", "add", "--gateway", "ingressgateway", "--all-clusters", "--internet", "-o", "name"]);
    assert_eq!(all.stdout, "service/istio-ingressgateway-3\nservice/istio-ingressgateway-3\n");
}

/// The YAML of ASM's documentation comes out, defaults of the API server aside.
#[test]
fn the_service_of_the_documentation() {
    let world = with_gateways();
    world.ok(&[
        "clb",
        "add",
        "istio-ingressgateway-2",
        "--gateway",
        "ingressgateway",
        "--cluster",
        "m1c1",
        "--spec",
        "slb.s1.small",
        "--annotation",
        "service.beta.kubernetes.io/alicloud-loadbalancer-address-type=internet",
        "--port",
        "http-0=80:80:30544",
        "--port",
        "https-2=443:443:30682",
    ]);
    let written = objects(&world.read("clusters/m1c1/gateways/istio-ingressgateway-2.yaml"));
    let documented = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "annotations": {
                "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-spec": "slb.s1.small",
                "service.beta.kubernetes.io/alicloud-loadbalancer-address-type": "internet",
            },
            "labels": {"app": "istio-ingressgateway", "asm-system": "true", "istio": "ingressgateway"},
            "name": "istio-ingressgateway-2",
            "namespace": "istio-system",
        },
        "spec": {
            "externalTrafficPolicy": "Cluster",
            "ports": [
                {"name": "http-0", "nodePort": 30544, "port": 80, "protocol": "TCP", "targetPort": 80},
                {"name": "https-2", "nodePort": 30682, "port": 443, "protocol": "TCP", "targetPort": 443},
            ],
            "selector": {"app": "istio-ingressgateway", "asm-system": "true", "istio": "ingressgateway", "provider": "asm"},
            "type": "LoadBalancer",
        },
    });
    assert_eq!(written, [documented]);
}

#[test]
fn an_nlb_and_free_node_ports() {
    let world = with_gateways();
    world.ok(&["clb", "add", "--gateway", "ingressgateway", "--all-clusters", "--internal", "--node-port"]);
    let run = world.ok(&[
        "clb",
        "add",
        "edge",
        "--gateway",
        "ingressgateway",
        "--cluster",
        "m1c1",
        "--internal",
        "--nlb",
        "--zone",
        "cn-hangzhou-h:vsw-1,cn-hangzhou-i:vsw-2",
        "--port",
        "https=8443:443",
        "--node-port",
        "--external-traffic-policy",
        "local",
    ]);
    insta::assert_snapshot!(run, @"
    created clusters/m1c1/gateways/edge.yaml
    ! warning: istio-ingressgateway (internet) and edge (intranet) lead to the same pods: routes that are meant for the VPC only must tell callers apart by host, or answer the internet as well
    ! warning: node port 30002 must be free in m1c1: each cluster gives them out on its own, and Git knows only those that it sets; one that is taken makes the API server refuse the Service
    ! hint: keep it with: git add clusters/m1c1/gateways/edge.yaml && git commit
    ! hint: next: kubectl asm diff; after the push: kubectl asm clb list --live
    [0]
    ");
    insta::assert_snapshot!(world.read("clusters/m1c1/gateways/edge.yaml"), @"
    # One more NLB for the gateway ingressgateway: it leads to the same pods as the generated Service istio-ingressgateway.
    # Without this Service the load balancer and its address are lost for good. To retire it:
    # kubectl asm clb remove edge
    apiVersion: v1
    kind: Service
    metadata:
      name: edge
      namespace: istio-system
      labels:
        app: istio-ingressgateway
        asm-system: 'true'
        istio: ingressgateway
      annotations:
        service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type: intranet
        service.beta.kubernetes.io/alibaba-cloud-loadbalancer-zone-maps: 'cn-hangzhou-h:vsw-1,cn-hangzhou-i:vsw-2'
    spec:
      type: LoadBalancer
      # Fixed: a CLB would be another Service.
      loadBalancerClass: alibabacloud.com/nlb
      externalTrafficPolicy: Local
      ports:
        - name: https
          port: 8443
          nodePort: 30002
          protocol: TCP
          targetPort: 443
      selector:
        app: istio-ingressgateway
        asm-system: 'true'
        istio: ingressgateway
        provider: asm
    ");
    let first = objects(&world.read("clusters/m1c2/gateways/istio-ingressgateway-2.yaml"));
    assert_eq!(first[0]["spec"]["ports"][1]["nodePort"], 30001);
}

#[test]
fn one_file_for_a_group() {
    let world = with_gateways();
    let fleet = world.read("fleet.yaml");
    world.write("fleet.yaml", &format!("{fleet}  groups:\n    - name: edge\n      clusters: [m1c1, m1c2]\n"));
    let run = world.ok(&["clb", "add", "--gateway", "ingressgateway", "--group", "edge", "--internal"]);
    assert!(run.stdout.starts_with("created groups/edge/gateways/istio-ingressgateway-2.yaml\n"), "{run}");
    insta::assert_snapshot!(world.run(&["clb", "list", "-o", "wide"]), @"
    NAME                     CLUSTER   GATEWAY          TYPE   NETWORK    PORTS    NAMESPACE      SPEC     CHARGE TYPE   POLICY    MADE BY   FILE
    istio-ingressgateway     m1c1      ingressgateway   CLB    internet   80,443   istio-system   <none>   <none>        Cluster   ASM       mesh/gateways/ingressgateway.yaml:3
    istio-ingressgateway-2   m1c1      ingressgateway   CLB    intranet   80,443   istio-system   <none>   <none>        Cluster   Git       groups/edge/gateways/istio-ingressgateway-2.yaml:4
    istio-ingressgateway     m1c2      ingressgateway   CLB    internet   80,443   istio-system   <none>   <none>        Cluster   ASM       mesh/gateways/ingressgateway.yaml:3
    istio-ingressgateway-2   m1c2      ingressgateway   CLB    intranet   80,443   istio-system   <none>   <none>        Cluster   Git       groups/edge/gateways/istio-ingressgateway-2.yaml:4
    [0]
    ");
    // One document for both clusters: they part with it together, each with an approval of its own.
    let remove = ["clb", "remove", "istio-ingressgateway-2", "--confirm", "istio-ingressgateway-2", "--cluster"];
    let one = world.run(&[&remove[..], &["m1c1", "--address", "10.0.0.1"]].concat());
    assert!(one.stderr.contains("gives istio-ingressgateway-2 to m1c2 as well"), "{one}");
    let both = ["m1c1,m1c2", "--address", "m1c1=10.0.0.1", "--address", "m1c2=10.0.1.1"];
    insta::assert_snapshot!(world.run(&[&remove[..], &both].concat()), @"
    deleted groups/edge/gateways/istio-ingressgateway-2.yaml
    created approvals/delete-m1c1-istio-ingressgateway-2.yaml
    created approvals/delete-m1c2-istio-ingressgateway-2.yaml
    ! warning: once this is pushed the CLB of istio-ingressgateway-2 in m1c1 is deleted, and 10.0.0.1 is lost for good
    ! warning: once this is pushed the CLB of istio-ingressgateway-2 in m1c2 is deleted, and 10.0.1.1 is lost for good
    ! hint: keep it with: git add groups/edge/gateways/istio-ingressgateway-2.yaml approvals/delete-m1c1-istio-ingressgateway-2.yaml approvals/delete-m1c2-istio-ingressgateway-2.yaml && git commit
    ! hint: next: kubectl asm diff; then push both in one commit
    [0]
    ");
}

#[test]
fn what_is_refused_leaves_the_files_alone() {
    let world = with_gateways();
    world.ok(&[
        "clb",
        "add",
        "taken",
        "--gateway",
        "ingressgateway",
        "--cluster",
        "m1c1",
        "--internal",
        "--port",
        "http=80:80:30100",
    ]);
    world.ok(&[
        "clb",
        "add",
        "shared",
        "--gateway",
        "ingressgateway",
        "--cluster",
        "m1c1",
        "--port",
        "http=80",
        "--annotation",
        "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id=lb-1",
    ]);
    let before = world.files();
    let mut told = String::new();
    for args in [
        "--gateway front",
        "--gateway ingresgateway",
        "--gateway ingressgateway",
        "--gateway ingressgateway --cluster m1c3",
        "--gateway ingressgateway --group none",
        "istio-ingressgateway --gateway ingressgateway --cluster m1c1",
        "taken --gateway ingressgateway --cluster m1c1",
        "Taken --gateway ingressgateway --cluster m1c1",
        "--gateway ingressgateway --cluster m1c1 --port a=80 --port b=80",
        "--gateway ingressgateway --cluster m1c1 --port a=80 --port a=443",
        "--gateway ingressgateway --cluster m1c1 --port a=8080",
        "--gateway ingressgateway --cluster m1c1 --port a=80:80:80",
        "--gateway ingressgateway --cluster m1c1 --port a=80:80:30100",
        "--gateway ingressgateway --cluster m1c1 --spec slb.s1.smal",
        "--gateway ingressgateway --cluster m1c1 --nlb --zone cn-hangzhou-h:vsw-1",
        "--gateway ingressgateway --cluster m1c1 --zone cn-hangzhou-h:vsw-1",
        "--gateway ingressgateway --cluster m1c1 --nlb --zone a:vsw-1,b:vsw-2 --spec slb.s1.small",
        "--gateway ingressgateway --cluster m1c1 --internal --annotation service.beta.kubernetes.io/alicloud-loadbalancer-address-type=internet",
        "--gateway ingressgateway --all-clusters --annotation service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id=lb-2",
        "--gateway ingressgateway --cluster m1c1 --annotation service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id=lb-1",
        "--gateway ingressgateway --cluster m1c1 -n default",
    ] {
        let run = world.run(&[&["clb", "add"][..], &args.split(' ').collect::<Vec<_>>()].concat());
        assert_eq!(run.code, Some(2), "{args}\n{run}");
        told.push_str(&format!("{args}\n{}", run.stderr));
    }
    assert_eq!(world.files(), before);
    insta::assert_snapshot!(told, @"
    --gateway front
    error: mesh/gateways/front.yaml:9:3: the gateway front is serverless: ASM runs its pods outside of the member clusters, so a Service there would select nothing
    hint: a serverless gateway has the one load balancer that ASM gives it; add one to a gateway in clusters, or create such a gateway with: kubectl asm gateway create NAME --cluster CLUSTER
    --gateway ingresgateway
    error: the fleet has no gateway ingresgateway
    hint: did you mean ingressgateway?
    hint: it has front, ingressgateway
    --gateway ingressgateway
    error: mesh/gateways/ingressgateway.yaml:10:3: the gateway ingressgateway runs in m1c1, m1c2
    hint: say where the load balancer is to be: --cluster NAME[,NAME…] or --all-clusters
    --gateway ingressgateway --cluster m1c3
    error: fleet.yaml has no cluster m1c3
    hint: did you mean m1c1?
    hint: the fleet has m1c1, m1c2
    --gateway ingressgateway --group none
    error: fleet.yaml has no group none
    hint: it has no groups: name the clusters with --cluster NAME[,NAME…] or --all-clusters
    istio-ingressgateway --gateway ingressgateway --cluster m1c1
    error: mesh/gateways/ingressgateway.yaml:3:1: istio-ingressgateway is the Service that ASM generates for the gateway ingressgateway: both would write it in turn
    hint: choose another name, for example istio-ingressgateway-2
    taken --gateway ingressgateway --cluster m1c1
    error: clusters/m1c1/gateways/taken.yaml:4:1: m1c1 has a Service istio-system/taken already
    hint: choose another name, for example istio-ingressgateway-2
    Taken --gateway ingressgateway --cluster m1c1
    error: `Taken` cannot be the name of a Service
    hint: use lower-case letters, digits and dashes, at most 63 characters, beginning and ending with a letter or digit
    --gateway ingressgateway --cluster m1c1 --port a=80 --port b=80
    error: port 80 is given twice
    hint: a load balancer has one listener per port, and every port its own name
    --gateway ingressgateway --cluster m1c1 --port a=80 --port a=443
    error: port name a is given twice
    hint: a load balancer has one listener per port, and every port its own name
    --gateway ingressgateway --cluster m1c1 --port a=8080
    error: mesh/gateways/ingressgateway.yaml:18:3: the pods of the gateway ingressgateway do not open port 8080: connections to port 8080 would be refused
    hint: they open 80, 443; write a=8080:TARGET, or add the port to the gateway first
    --gateway ingressgateway --cluster m1c1 --port a=80:80:80
    error: node port 80 is not in the range 30000–32767
    hint: leave it out: the API server then chooses a free one
    --gateway ingressgateway --cluster m1c1 --port a=80:80:30100
    error: clusters/m1c1/gateways/taken.yaml:4:1: node port 30100 is taken by Service istio-system/taken in m1c1
    hint: leave it out: the API server then chooses a free one
    --gateway ingressgateway --cluster m1c1 --spec slb.s1.smal
    error: service.beta.kubernetes.io/alibaba-cloud-loadbalancer-spec cannot be `slb.s1.smal`: it takes slb.s1.small, slb.s2.small, slb.s2.medium, slb.s3.small, slb.s3.medium, slb.s3.large
    hint: did you mean slb.s1.small?
    --gateway ingressgateway --cluster m1c1 --nlb --zone cn-hangzhou-h:vsw-1
    error: an NLB needs two zones at least
    hint: name them with --zone ZONE:VSWITCH, once for each: --zone cn-hangzhou-h:vsw-1 --zone cn-hangzhou-i:vsw-2
    --gateway ingressgateway --cluster m1c1 --zone cn-hangzhou-h:vsw-1
    error: a CLB takes no zones with their vSwitches
    hint: did you mean --nlb?
    --gateway ingressgateway --cluster m1c1 --nlb --zone a:vsw-1,b:vsw-2 --spec slb.s1.small
    error: an NLB has no --spec: the cloud controller reads it for CLBs only
    hint: leave --spec out
    --gateway ingressgateway --cluster m1c1 --internal --annotation service.beta.kubernetes.io/alicloud-loadbalancer-address-type=internet
    error: service.beta.kubernetes.io/alicloud-loadbalancer-address-type is given twice
    hint: the other one is service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type: leave one of them out
    --gateway ingressgateway --all-clusters --annotation service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id=lb-2
    error: lb-2 would be shared by m1c1 and m1c2: clusters cannot share a load balancer
    hint: add it to one cluster: --cluster NAME
    --gateway ingressgateway --cluster m1c1 --annotation service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id=lb-1
    error: clusters/m1c1/gateways/shared.yaml:4:1: lb-1 is used by shared of m1c1 already: both would take port 80
    hint: give this Service a load balancer of its own: leave loadbalancer-id out
    --gateway ingressgateway --cluster m1c1 -n default
    error: a gateway's load balancer cannot stand in namespace default
      caused by: a Service selects pods of its own namespace, and gateways run in istio-system
    hint: leave --namespace out
    ");
}

#[test]
fn warnings() {
    let world = with_gateways();
    let fleet = world.read("fleet.yaml");
    world.write("fleet.yaml", &fleet.replacen("m1c1\n", "m1c1\n      cloudControllerVersion: v2.9.1\n", 1));
    let add = |args: &str| {
        let args: Vec<_> = args.split(' ').collect();
        let base = ["clb", "add", "--gateway", "ingressgateway", "--dry-run", "-o", "name"];
        world.ok(&[&base[..], &args].concat()).stderr
    };
    // An old cloud controller makes a CLB of the specification; of an unknown one nobody can say.
    assert_eq!(add("--cluster m1c1 --internet --spec slb.s1.small"), "");
    insta::assert_snapshot!(add("--all-clusters --internal --spec slb.s1.small"), @"
    warning: the specification slb.s1.small has no effect with cloud controller 2.12.4 and later, which makes CLBs PayByCLCU: m1c2 (version not in fleet.yaml); add --charge-type PayBySpec
    warning: istio-ingressgateway (internet) and istio-ingressgateway-2 (intranet) lead to the same pods: routes that are meant for the VPC only must tell callers apart by host, or answer the internet as well
    ");
    let key = "service.beta.kubernetes.io/alibaba-cloud-loadbalancer";
    insta::assert_snapshot!(add(&format!("--cluster m1c1 --annotation {key}-specs=x --annotation {key}-preserve-lb-on-delete=true --annotation {key}-zone-maps=a")), @"
    warning: the cloud controller knows no service.beta.kubernetes.io/alibaba-cloud-loadbalancer-specs and will ignore it; did you mean loadbalancer-spec?
    warning: loadbalancer-preserve-lb-on-delete is read from cloud controller 2.10.0 on, and m1c1 has v2.9.1
    warning: the cloud controller does not read loadbalancer-zone-maps for a CLB
    warning: the load balancer of istio-ingressgateway-2 will be public (internet); for the VPC only: --internal
    ");
    insta::assert_snapshot!(add(&format!("--cluster m1c1 --annotation {key}-id=lb-1")), @r#"
    warning: lb-1 is reused: it must have been made in the console or by the API (the cloud controller refuses its own), in this cluster's VPC, and it cannot be exchanged later
    warning: without loadbalancer-force-override-listeners "true" no listener is made on lb-1: it serves nothing until somebody points listeners to its new server groups
    "#);
}

#[test]
fn list_and_show() {
    let world = with_gateways();
    world.ok(&[
        "clb",
        "add",
        "--gateway",
        "ingressgateway",
        "--cluster",
        "m1c1",
        "--internal",
        "--port",
        "https=8443:443",
    ]);
    insta::assert_snapshot!(world.run(&["clb", "list"]), @"
    NAME                     CLUSTER   GATEWAY          TYPE   NETWORK    PORTS
    istio-ingressgateway     m1c1      ingressgateway   CLB    internet   80,443
    istio-ingressgateway-2   m1c1      ingressgateway   CLB    intranet   8443→443
    istio-ingressgateway     m1c2      ingressgateway   CLB    internet   80,443
    [0]
    ");
    insta::assert_snapshot!(world.run(&["clb", "show", "istio-ingressgateway-2"]), @"
    Name:               istio-ingressgateway-2
    Namespace:          istio-system
    Cluster:            m1c1
    Gateway:            ingressgateway
    Made by:            Git (clusters/m1c1/gateways/istio-ingressgateway-2.yaml:4)
    Type:               CLB
    Network:            intranet
    Traffic policy:     Cluster
    Ports:
      https           8443/TCP → 443
    Annotations:
      service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type: intranet
    [0]
    ");
    assert_eq!(
        world.ok(&["clb", "list", "--cluster", "m1c1", "-o", "name"]).stdout,
        "service/istio-ingressgateway\nservice/istio-ingressgateway-2\n"
    );
    let list: Value =
        serde_json::from_str(&world.ok(&["clb", "ls", "--gateway", "ingressgateway", "-o", "json"]).stdout).unwrap();
    assert_eq!((&list["kind"], list["items"].as_array().map(Vec::len)), (&json!("LoadBalancerList"), Some(3)));
    assert_eq!(
        list["items"][1],
        json!({
            "cluster": "m1c1", "namespace": "istio-system", "name": "istio-ingressgateway-2", "gateways": ["ingressgateway"],
            "inGit": true, "generated": false, "product": "CLB", "network": "intranet", "externalTrafficPolicy": "Cluster",
            "ports": [{"name": "https", "port": 8443, "targetPort": 443, "protocol": "TCP"}],
            "annotations": {"service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type": "intranet"},
            "file": "clusters/m1c1/gateways/istio-ingressgateway-2.yaml", "line": 4, "column": 1,
        })
    );
    insta::assert_snapshot!(world.run(&["clb", "show", "istio-ingressgatewy"]), @"
    ! error: there is no load balancer istio-ingressgatewy in the fleet
    ! hint: did you mean istio-ingressgateway?
    ! hint: list them with: kubectl asm clb list
    [2]
    ");
    assert_eq!(world.run(&["clb", "list", "--cluster", "m1c9"]).code, Some(2));
    insta::assert_snapshot!(World::with_fleet().run(&["clb", "list"]), @"
    ! No load balancers found.
    ! hint: add one with: kubectl asm clb add --gateway NAME
    [0]
    ");
}

#[test]
fn list_live_shows_what_git_does_not_know() {
    let mut world = with_gateways();
    world.ok(&["clb", "add", "--gateway", "ingressgateway", "--cluster", "m1c1", "--internal"]);
    let (one, two) = (ApiServer::start(), ApiServer::start());
    world.write("../config", &kubeconfig(&[("m1c1", &one.url()), ("m1c2", &two.url())]));
    world.env.push(("KUBECONFIG".to_owned(), world.root().join("../config").to_string_lossy().into_owned()));
    let service = |name: &str, namespace: &str, class: &str, address: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace, "uid": name},
            "spec": {
                "type": class, "ports": [{"port": 80, "targetPort": 8080}],
                "selector": {"app": "istio-ingressgateway", "istio": "ingressgateway"},
            },
            "status": {"loadBalancer": {"ingress": [{"ip": address}]}},
        })
    };
    one.put("services", service("istio-ingressgateway", "istio-system", "LoadBalancer", "203.0.113.1"));
    one.put("services", service("by-hand", "istio-system", "LoadBalancer", "203.0.113.2"));
    one.put("services", service("web", "shop", "LoadBalancer", "203.0.113.3"));
    one.put("services", service("inside", "shop", "ClusterIP", ""));
    two.forbid("/api/v1/services");
    two.put("services", service("istio-ingressgateway", "istio-system", "LoadBalancer", "192.0.2.1"));
    insta::assert_snapshot!(world.run(&["clb", "list", "--live"]), @r#"
    NAME                     CLUSTER   GATEWAY          TYPE   NETWORK    PORTS     ADDRESS       IN GIT
    by-hand                  m1c1      ingressgateway   CLB    internet   80→8080   203.0.113.2   no
    istio-ingressgateway     m1c1      ingressgateway   CLB    internet   80,443    203.0.113.1   yes
    istio-ingressgateway-2   m1c1      ingressgateway   CLB    intranet   80,443    <not there>   yes
    web                      m1c1      <none>           CLB    internet   80→8080   203.0.113.3   no
    istio-ingressgateway     m1c2      ingressgateway   CLB    internet   80,443    192.0.2.1     yes
    ! warning: Services that Git does not know are not shown for m1c2: they cannot be listed (context m1c2): User "me" cannot do this
    ! hint: what is not in Git is changed and removed by no command here, and not by the agent
    [0]
    "#);
    // The filters are for them as well.
    let names = |args: &[&str]| world.ok(&[&["clb", "list", "--live", "-o", "name"], args].concat()).stdout;
    assert_eq!(names(&["--cluster", "m1c1", "-n", "shop"]), "service/web\n");
    assert!(!names(&["--gateway", "ingressgateway"]).contains("web"));
    assert!(names(&["--gateway", "ingressgateway"]).contains("by-hand"));
    let list: Value = serde_json::from_str(&world.ok(&["clb", "list", "--live", "-o", "json"]).stdout).unwrap();
    let unknown: Vec<_> =
        list["items"].as_array().unwrap().iter().filter(|item| item["inGit"] == json!(false)).collect();
    assert_eq!(unknown.len(), 2, "{list:#}");
    assert_eq!((&unknown[0]["live"]["addresses"], &unknown[0]["file"]), (&json!(["203.0.113.2"]), &Value::Null));
    // Without --live no cluster is asked.
    let before = one.requests().len();
    world.ok(&["clb", "list"]);
    assert_eq!(one.requests().len(), before);
}
