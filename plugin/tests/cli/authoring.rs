//! Starting a fleet, gateways, applications: the files that come out, and the safety of writing them.

use super::world::World;

#[test]
fn init_starts_a_fleet() {
    let world = World::new();
    insta::assert_snapshot!(world.run(&["init", "shop", "--region", "cn-hangzhou", "--mesh-context", "asm"]), @"
    created fleet.yaml
    created README.md
    created mesh/.gitkeep
    ! started a Git repository on branch main
    ! hint: next: kubectl asm cluster add NAME --id ACK-CLUSTER-ID
    [0]
    ");
    insta::assert_snapshot!(world.read("fleet.yaml"), @"
    # The fleet: one ASM instance (the mesh), the clusters that joined it, and groups of them.
    apiVersion: kubectl-asm.io/v1alpha1
    kind: Fleet
    metadata:
      name: shop
    spec:
      mesh:
        # ID of the ASM instance, as the console shows it.
        # id: c0123456789abcdef0123456789abcdef
        # Region of the ASM instance.
        region: cn-hangzhou
        # kubeconfig context that reaches the mesh's own API (not a member cluster).
        context: asm
      # Clusters that joined the mesh. Add one with: kubectl asm cluster add NAME --id ACK-CLUSTER-ID
      clusters: []
    ");
    assert!(world.root().join(".git").is_dir());
    assert_eq!(std::fs::read_to_string(world.root().join(".git/HEAD")).unwrap(), "ref: refs/heads/main\n");
    // A second time, and from a folder inside, it refuses.
    insta::assert_snapshot!(world.run(&["init", "other"]), @"
    ! error: HOME/fleet is a fleet repository already: HOME/fleet/fleet.yaml
    ! hint: add a cluster to it with: kubectl asm cluster add NAME --id ACK-CLUSTER-ID
    [2]
    ");
    insta::assert_snapshot!(world.run(&["init", "other", "--dir", "mesh"]), @"
    ! error: HOME/fleet/mesh is inside a fleet repository: HOME/fleet/fleet.yaml
    ! hint: add a cluster to it with: kubectl asm cluster add NAME --id ACK-CLUSTER-ID
    [2]
    ");
}

#[test]
fn init_keeps_what_is_there() {
    let world = World::new();
    world.write("README.md", "ours\n");
    world.ok(&["init"]);
    assert_eq!(world.read("README.md"), "ours\n");
    assert!(world.read("fleet.yaml").contains("  name: fleet\n"), "named after the directory");
}

#[test]
fn init_works_without_git() {
    let mut world = World::new();
    world.env.push(("PATH".to_owned(), "/nowhere".to_owned()));
    let run = world.ok(&["init"]);
    assert!(run.stderr.starts_with("warning: cannot run git ("), "{run}");
    assert!(world.root().join("fleet.yaml").is_file());
}

#[test]
fn init_dry_run_writes_nothing() {
    let world = World::new();
    let run = world.ok(&["init", "shop", "--dir", "new/place", "--dry-run"]);
    assert!(run.stdout.contains("kind: Fleet"));
    assert_eq!(world.files(), "");
    assert!(!world.root().join("new").exists() && !world.root().join(".git").exists());
}

#[test]
fn serverless_gateway() {
    let world = World::with_fleet();
    insta::assert_snapshot!(world.run(&["gateway", "create", "ingressgateway", "--serverless"]), @"
    created mesh/gateways/ingressgateway.yaml
    ! hint: keep it with: git add mesh/gateways/ingressgateway.yaml && git commit
    ! hint: next: kubectl asm route add NAME --gateway NAME-gateway --create-gateway --selector istio=ingressgateway --host HOST --to SERVICE:PORT
    [0]
    ");
    insta::assert_snapshot!(world.read("mesh/gateways/ingressgateway.yaml"), @"
    # A serverless ingress gateway: ASM runs its pods and its load balancer, in no member cluster, and it reaches
    # the pods of every cluster of the mesh.
    apiVersion: istio.alibabacloud.com/v1beta1
    kind: IstioGateway
    metadata:
      name: ingressgateway
      namespace: istio-system
      # This annotation alone makes it serverless. Setting or removing it later gives a new address.
      annotations:
        asm.alibabacloud.com/managed-by-asm: 'true'
    spec:
      gatewayType: ingress
      replicaCount: 1
      serviceType: LoadBalancer
      externalTrafficPolicy: Local
      ports:
        - name: http
          port: 80
          protocol: TCP
          targetPort: 80
        - name: https
          port: 443
          protocol: TCP
          targetPort: 443
      resources:
        requests:
          cpu: 200m
          memory: 256Mi
        limits:
          cpu: '2'
          memory: 2G
      rollingMaxSurge: 100%
      rollingMaxUnavailable: 25%
      dnsPolicy: ClusterFirst
      hostNetwork: false
      runAsRoot: true
    ");
    insta::assert_snapshot!(world.run(&["gateway", "create", "ingressgateway", "--serverless"]), @"
    ! error: mesh/gateways/ingressgateway.yaml:3:1: the gateway ingressgateway exists already
    ! hint: choose another name, or change it with: kubectl asm gateway edit ingressgateway
    [2]
    ");
}

#[test]
fn gateway_in_clusters() {
    let world = World::with_fleet();
    world.line("gateway create front --serverless");
    world.line(
        "gateway create edge --cluster m1c1,m1c2 --replicas 2 --address-type intranet --external-traffic-policy local \
         --port http2=80:8080 --port https=443",
    );
    // What is not as in a gateway of the other sort.
    let front = world.read("mesh/gateways/front.yaml");
    insta::assert_snapshot!(world.changed("mesh/gateways/edge.yaml", &front), @"
    @@ -1,3 +1,3 @@
    -# A serverless ingress gateway: ASM runs its pods and its load balancer, in no member cluster, and it reaches
    -# the pods of every cluster of the mesh.
    +# An ingress gateway: ASM makes a Service, a load balancer and a Deployment `istio-<name>` for it in each of
    +# these clusters. Removing a cluster here, or this file, releases the load balancer and its address.
     apiVersion: istio.alibabacloud.com/v1beta1
    @@ -5,17 +5,19 @@
     metadata:
    -  name: front
    +  name: edge
       namespace: istio-system
    -  # This annotation alone makes it serverless. Setting or removing it later gives a new address.
    -  annotations:
    -    asm.alibabacloud.com/managed-by-asm: 'true'
     spec:
       gatewayType: ingress
    -  replicaCount: 1
    +  clusterIds:
    +    - c0123456789abcdef0123456789abcde1 # m1c1
    +    - c0123456789abcdef0123456789abcde2 # m1c2
    +  replicaCount: 2
       serviceType: LoadBalancer
       externalTrafficPolicy: Local
    +  serviceAnnotations:
    +    service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type: intranet
       ports:
    -    - name: http
    +    - name: http2
           port: 80
           protocol: TCP
    -      targetPort: 80
    +      targetPort: 8080
         - name: https
    @@ -33,4 +35 @@
       rollingMaxUnavailable: 25%
    -  dnsPolicy: ClusterFirst
    -  hostNetwork: false
    -  runAsRoot: true
    ");
}

#[test]
fn gateway_refusals() {
    let world = World::with_fleet();
    for args in [
        &["gateway", "create", "x"][..],
        &["gateway", "create", "x", "--serverless", "--cluster", "m1c1"],
        &["gateway", "create", "x", "--serverless", "--address-type", "intranet"],
        &["gateway", "create", "X", "--serverless"],
        &["gateway", "create", "x", "--serverless", "--replicas", "0"],
        &["gateway", "create", "x", "--serverless", "--port", "80"],
        &["gateway", "create", "x", "--serverless", "--port", "http=80", "--port", "http=81"],
        &["gateway", "create", "x", "--serverless", "-n", "default"],
        &["gateway", "create", "x", "--cluster", "m1c9"],
    ] {
        let before = world.files();
        let run = world.run(args);
        assert_eq!(run.code, Some(2), "{args:?}\n{run}");
        assert!(run.stderr.starts_with("error: "), "{run}");
        assert_eq!(world.files(), before, "{args:?}");
    }
}

#[test]
fn dry_run_and_machine_formats() {
    let world = World::with_fleet();
    fn create<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["gateway", "create", "ingressgateway", "--serverless"][..], more].concat()
    }
    let before = world.files();
    let dry = world.ok(&create(&["--dry-run"]));
    assert_eq!(dry.stderr, "created mesh/gateways/ingressgateway.yaml (dry run)\n");
    let document = world.ok(&create(&["--dry-run=client", "-o", "json"])).stdout;
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["kind"], "EditList");
    assert_eq!(document["dryRun"], true);
    assert_eq!(document["items"][0]["action"], "created");
    assert_eq!(document["items"][0]["objects"][0], "istiogateway.istio.alibabacloud.com/ingressgateway");
    assert_eq!(world.files(), before);
    let named = world.ok(&create(&["-o", "name"]));
    assert_eq!(named.stdout, "istiogateway.istio.alibabacloud.com/ingressgateway\n");
    assert_eq!(world.read("mesh/gateways/ingressgateway.yaml"), dry.stdout);
}

#[test]
fn bookinfo_split_over_two_clusters() {
    let world = World::with_fleet();
    insta::assert_snapshot!(world.run(&["app", "add", "bookinfo", "--preset", "split"]), @"
    created clusters/m1c1/apps/bookinfo.yaml
    created clusters/m1c2/apps/bookinfo.yaml
    ! hint: keep it with: git add clusters/m1c1/apps/bookinfo.yaml clusters/m1c2/apps/bookinfo.yaml && git commit
    ! hint: next: kubectl asm route add bookinfo --gateway bookinfo-gateway --create-gateway --host '*' --match exact:/productpage --match prefix:/static --match exact:/login --match exact:/logout --match prefix:/api/v1/products --to productpage:9080
    [0]
    ");
    insta::assert_snapshot!(world.read("clusters/m1c1/apps/bookinfo.yaml"), @"
    # Bookinfo in m1c1: reviews v3.
    # More of it runs in m1c2; the mesh joins the pods of all clusters behind one Service name.

    # reviews: what readers think of the book
    apiVersion: v1
    kind: Service
    metadata:
      name: reviews
      labels:
        app: reviews
        service: reviews
    spec:
      ports:
        - port: 9080
          name: http
      selector:
        app: reviews
    ---
    apiVersion: v1
    kind: ServiceAccount
    metadata:
      name: bookinfo-reviews
      labels:
        account: reviews
    ---
    # v3: red stars
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: reviews-v3
      labels:
        app: reviews
        version: v3
    spec:
      replicas: 1
      selector:
        matchLabels:
          app: reviews
          version: v3
      template:
        metadata:
          labels:
            app: reviews
            version: v3
        spec:
          serviceAccountName: bookinfo-reviews
          containers:
            - name: reviews
              image: docker.io/istio/examples-bookinfo-reviews-v3:1.15.0
              imagePullPolicy: IfNotPresent
              ports:
                - containerPort: 9080
    ---
    # ratings: no pods here, they run in m1c2. reviews v3 calls it by this name, which must exist in its own cluster.
    apiVersion: v1
    kind: Service
    metadata:
      name: ratings
      labels:
        app: ratings
        service: ratings
    spec:
      ports:
        - port: 9080
          name: http
      selector:
        app: ratings
    ");
    insta::assert_snapshot!("m1c2", world.read("clusters/m1c2/apps/bookinfo.yaml"));
    insta::assert_snapshot!(world.run(&["app", "add", "bookinfo", "--preset", "split"]), @"
    ! error: clusters/m1c1/apps/bookinfo.yaml exists already
    ! hint: edit that file, or remove it first (git rm) if it is not wanted
    [2]
    ");
}

#[test]
fn bookinfo_as_placed() {
    let world = World::with_fleet();
    let outline = |path: &str| -> Vec<String> {
        let kind_and_name = |document: &str| {
            let kind = document.lines().find_map(|line| line.strip_prefix("kind: "))?;
            Some(format!("{kind} {}", document.lines().find_map(|line| line.strip_prefix("  name: "))?))
        };
        world.read(path).split("---\n").filter_map(kind_and_name).collect()
    };
    // The same placement as the preset, said piece by piece, with the roles of the clusters exchanged.
    world.ok(&[
        "app",
        "add",
        "bookinfo",
        "-n",
        "shop",
        "--place",
        "details=m1c1,ratings=m1c1",
        "--place",
        "reviews=m1c1,reviews-v3=m1c2",
        "--place",
        "productpage=m1c1",
    ]);
    assert_eq!(
        outline("clusters/m1c2/apps/bookinfo.yaml"),
        ["Service reviews", "ServiceAccount bookinfo-reviews", "Deployment reviews-v3", "Service ratings"]
    );
    assert_eq!(outline("clusters/m1c1/apps/bookinfo.yaml").len(), 13);
    assert_eq!(world.read("clusters/m1c2/apps/bookinfo.yaml").matches("  namespace: shop\n").count(), 4);

    let world = World::with_fleet();
    let run = world.ok(&["app", "add", "bookinfo", "--place", "productpage=m1c1"]);
    insta::assert_snapshot!(run, @"
    created clusters/m1c1/apps/bookinfo.yaml
    ! warning: details runs nowhere, and productpage calls it
    ! warning: reviews runs nowhere, and productpage calls it
    ! hint: keep it with: git add clusters/m1c1/apps/bookinfo.yaml && git commit
    ! hint: next: kubectl asm route add bookinfo --gateway bookinfo-gateway --create-gateway --host '*' --match exact:/productpage --match prefix:/static --match exact:/login --match exact:/logout --match prefix:/api/v1/products --to productpage:9080
    [0]
    ");
    let world = World::with_fleet();
    world.ok(&["app", "add", "bookinfo", "--preset", "split", "--clusters", "m1c2,m1c1"]);
    assert!(world.read("clusters/m1c2/apps/bookinfo.yaml").contains("name: reviews-v3"));
    for args in [
        &["app", "add", "bookinfo"][..],
        &["app", "add", "bookinfo", "--place", "reviews-v4=m1c1"],
        &["app", "add", "bookinfo", "--place", "reviews=m1c3"],
        &["app", "add", "bookinfo", "--preset", "split", "--clusters", "m1c1"],
        &["app", "add", "bookinfo", "--clusters", "m1c1"],
        &["app", "add", "bookshop"],
    ] {
        assert_eq!(world.run(args).code, Some(2), "{args:?}");
    }
}

#[test]
fn nothing_is_written_into_a_fleet_that_would_break() {
    let world = World::with_fleet();
    // Another file has the Gateway's identity already in a broken document: the fleet's problems stay what they were.
    world.write("mesh/broken.yaml", "kind: [\n");
    let before = world.files();
    let run = world.run(&["gateway", "create", "ingressgateway", "--serverless"]);
    assert_eq!(run.code, Some(0), "problems that were there before stand in nobody's way\n{run}");
    assert_ne!(world.files(), before);
    // The Service `reviews` exists under another file name: bookinfo would make it a second time.
    let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: reviews\nspec:\n  ports:\n    - port: 80\n";
    world.write("clusters/m1c1/reviews.yaml", service);
    let before = world.files();
    let run = world.run(&["app", "add", "bookinfo", "--preset", "split"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("error: nothing was written: the fleet would have problems"), "{run}");
    assert_eq!(world.files(), before);
}
