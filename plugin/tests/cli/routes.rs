//! Routes: added, set, split, shifted.

use super::world::World;

const BOOKINFO: &str = "route add bookinfo --gateway bookinfo-gateway --host * --match exact:/productpage \
    --match prefix:/static --match exact:/login --match exact:/logout --match prefix:/api/v1/products \
    --to productpage:9080 --create-gateway";

/// A route as a person wrote it.
const HAND: &str = "\
# Ours, do not touch the order.
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
    hosts: [reviews]
    http:
      # Testers first.
      - name: testers
        match:
          - headers: {end-user: {exact: jason}}
        route:
          - destination: {host: reviews, subset: v2}
      - name: everybody
        timeout: 3s # asked for by shop
        route:
          - destination:
              host: reviews
              subset: v1 # stable
            weight: 100
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews.default.svc.cluster.local
  subsets:
    - {name: v1, labels: {version: v1}} # no stars
    - {name: v2, labels: {version: v2}}
";

fn world() -> World {
    let world = World::with_bookinfo();
    world.line("gateway create ingressgateway --serverless");
    world
}

#[test]
fn through_a_gateway() {
    let world = world();
    insta::assert_snapshot!(world.line(BOOKINFO), @"
    created mesh/routes/bookinfo.yaml
    ! hint: keep it with: git add mesh/routes/bookinfo.yaml && git commit
    ! hint: next: kubectl asm diff
    [0]
    ");
    insta::assert_snapshot!(world.read("mesh/routes/bookinfo.yaml"), @"
    # Opens a port on the ingress gateway for these hosts.
    apiVersion: networking.istio.io/v1beta1
    kind: Gateway
    metadata:
      name: bookinfo-gateway
    spec:
      # Labels of the ingress gateway's pods.
      selector:
        istio: ingressgateway
      servers:
        - port:
            number: 80
            name: http
            protocol: HTTP
          hosts:
            - '*'
    ---
    # Where requests that come in through the gateway go.
    apiVersion: networking.istio.io/v1beta1
    kind: VirtualService
    metadata:
      name: bookinfo
    spec:
      hosts:
        - '*'
      gateways:
        - bookinfo-gateway
      http:
        - match:
            - uri:
                exact: /productpage
            - uri:
                prefix: /static
            - uri:
                exact: /login
            - uri:
                exact: /logout
            - uri:
                prefix: /api/v1/products
          route:
            - destination:
                host: productpage
                port:
                  number: 9080
    ");
    let same: Vec<_> = BOOKINFO
        .split_whitespace()
        .chain(["--selector", "istio=ingressgateway", "--port", "80", "--dry-run"])
        .collect();
    assert_eq!(world.run(&same).code, Some(2), "it exists already");
}

#[test]
fn split_and_shift() {
    let world = world();
    insta::assert_snapshot!(world.run(&["route", "split", "reviews", "--subset", "v1,v2,v3", "--to", "v3=100"]), @"
    created mesh/routes/reviews.yaml
    ! hint: keep it with: git add mesh/routes/reviews.yaml && git commit
    ! hint: next: kubectl asm diff
    [0]
    ");
    insta::assert_snapshot!(world.read("mesh/routes/reviews.yaml"), @"
    # The versions that routes can name.
    apiVersion: networking.istio.io/v1beta1
    kind: DestinationRule
    metadata:
      name: reviews
    spec:
      host: reviews
      subsets:
        - name: v1
          labels:
            version: v1
        - name: v2
          labels:
            version: v2
        - name: v3
          labels:
            version: v3
    ---
    # Where the sidecars of the mesh send requests for these hosts.
    apiVersion: networking.istio.io/v1beta1
    kind: VirtualService
    metadata:
      name: reviews
    spec:
      hosts:
        - reviews
      http:
        - route:
            - destination:
                host: reviews
                subset: v3
    ");
    let all_to_v3 = world.read("mesh/routes/reviews.yaml");
    insta::assert_snapshot!(world.run(&["route", "weight", "reviews", "v1=90", "v2=10"]), @"
    configured mesh/routes/reviews.yaml
    ! warning: reviews@v3 is out of the route reviews and gets no requests any more
    ! hint: keep it with: git add mesh/routes/reviews.yaml && git commit
    ! hint: next: kubectl asm diff
    [0]
    ");
    insta::assert_snapshot!(world.run(&["route", "weight", "reviews", "v1=50", "v2=50", "--dry-run"]), @"
    --- a/mesh/routes/reviews.yaml
    +++ b/mesh/routes/reviews.yaml
    @@ -29,8 +29,8 @@
             - destination:
                 host: reviews
                 subset: v1
    -          weight: 90
    +          weight: 50
             - destination:
                 host: reviews
                 subset: v2
    -          weight: 10
    +          weight: 50
    ! configured mesh/routes/reviews.yaml (dry run)
    [0]
    ");
    insta::assert_snapshot!(world.run(&["route", "weight", "reviews", "v1=50", "v2=40"]), @"
    ! error: the weights add up to 90, not 100: reviews@v1=50, reviews@v2=40
    [2]
    ");
    insta::assert_snapshot!(world.run(&["route", "weight", "reviews", "v1=50", "v22=50"]), @"
    ! error: mesh/routes/reviews.yaml:20:1: the route reviews has no destination v22
    ! hint: did you mean v2?
    ! hint: it knows v1, v2, v3
    [2]
    ");
    world.ok(&["route", "split", "reviews", "--to", "v3"]);
    assert_eq!(world.read("mesh/routes/reviews.yaml"), all_to_v3, "the same as from the beginning");
    insta::assert_snapshot!(world.run(&["route", "set", "reviews", "--to", "reviews@v3"]), @"
    ! unchanged: the files say so already
    [0]
    ");
}

#[test]
fn equal_shares() {
    let world = world();
    world.ok(&["route", "split", "reviews", "--subset", "v1,v2,v3"]);
    let text = world.read("mesh/routes/reviews.yaml");
    let weights: Vec<_> = text.lines().filter_map(|line| line.trim().strip_prefix("weight: ")).collect();
    assert_eq!(weights, ["34", "33", "33"]);
}

#[test]
fn edits_keep_what_people_wrote() {
    let world = world();
    world.write("mesh/hand.yaml", HAND);
    insta::assert_snapshot!(world.run(&["route", "set", "reviews", "--to", "reviews@v3"]), @"
    ! error: mesh/hand.yaml:2:1: the route reviews has 2 rules
    ! hint: its rules are 1 (testers), 2 (everybody): name one with --rule
    [2]
    ");
    world.ok(&["route", "set", "reviews", "--rule", "everybody", "--to", "reviews@v1=90,reviews@v3=10"]);
    insta::assert_snapshot!(world.changed("mesh/hand.yaml", HAND), @"
    @@ -19,3 +19,7 @@
                   subset: v1 # stable
    -            weight: 100
    +            weight: 90
    +          - destination:
    +                host: reviews
    +                subset: v3
    +            weight: 10
     ---
    @@ -29 +33,4 @@
         - {name: v2, labels: {version: v2}}
    +    - name: v3
    +      labels:
    +        version: v3
    ");
}

#[test]
fn names_that_nobody_knows() {
    let world = world();
    let mut all = String::new();
    for args in [
        &["route", "add", "x", "--to", "reveiws"][..],
        &["route", "add", "x", "--to", "reviews:80"],
        &["route", "add", "x", "--to", "reviews@v4"],
        &["route", "add", "x", "--host", "*", "--gateway", "ingressgateway", "--to", "productpage"],
        &["route", "set", "reviewz", "--to", "reviews"],
        &["route", "add", "x", "--to", "reviews@v1=50,reviews@v2"],
        &[
            "route",
            "add",
            "x",
            "--host",
            "*",
            "--gateway",
            "g",
            "--create-gateway",
            "--selector",
            "istio=other",
            "--to",
            "productpage",
            "--dry-run",
            "-o",
            "name",
        ],
    ] {
        all += &format!("$ {}\n{}\n\n", args.join(" "), world.run(args));
    }
    insta::assert_snapshot!(all, @"
    $ route add x --to reveiws
    ! error: no cluster has a Service reveiws in namespace default, to which reveiws would go
    ! hint: did you mean reviews?
    ! hint: if it is right all the same, add --allow-unknown
    [2]

    $ route add x --to reviews:80
    ! error: clusters/m1c1/apps/bookinfo.yaml:5:1: the Service reviews has no port 80
    ! hint: it has 9080
    ! hint: if it is right all the same, add --allow-unknown
    [2]

    $ route add x --to reviews@v4
    ! error: no pod of reviews carries version=v4, the label of subset v4
    ! hint: did you mean v1?
    ! hint: its pods carry version=v1, v2, v3
    ! hint: if it is right all the same, add --allow-unknown
    [2]

    $ route add x --host * --gateway ingressgateway --to productpage
    ! error: there is no Gateway ingressgateway in namespace default
    ! hint: ingressgateway is an IstioGateway (mesh/gateways/ingressgateway.yaml:3:1), the pods; a route binds to a Gateway, which selects them: --gateway ingressgateway-gateway --create-gateway --selector istio=ingressgateway
    ! hint: if it is right all the same, add --allow-unknown
    [2]

    $ route set reviewz --to reviews
    ! error: there is no route (VirtualService) reviewz in namespace default
    ! hint: add it with: kubectl asm route add reviewz …
    [2]

    $ route add x --to reviews@v1=50,reviews@v2
    ! error: every one of several destinations needs a weight: reviews@v1=50, reviews@v2=?
    ! hint: write --to HOST@SUBSET=PERCENT; the percents add up to 100
    [2]

    $ route add x --host * --gateway g --create-gateway --selector istio=other --to productpage --dry-run -o name
    gateway.networking.istio.io/g
    virtualservice.networking.istio.io/x
    ! warning: no IstioGateway of the fleet gives its pods the label istio=other
    [0]
    ");
    world.ok(&["route", "add", "x", "--to", "reveiws", "--allow-unknown", "--dry-run"]);
}

#[test]
fn ports_stay_and_namespaces_have_their_own_folder() {
    let world = World::with_fleet();
    world.ok(&["gateway", "create", "ingressgateway", "--serverless"]);
    world.ok(&["app", "add", "bookinfo", "--preset", "split", "-n", "shop"]);
    world.line(&format!("{BOOKINFO} -n shop"));
    world.ok(&["-n", "shop", "route", "set", "bookinfo", "--to", "productpage@v1"]);
    let text = world.read("mesh/routes/shop/bookinfo.yaml");
    assert_eq!(text.matches("namespace: shop\n").count(), 3, "the new DestinationRule too\n{text}");
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("host: productpage subset: v1 port: number: 9080"), "{text}");
    let run = world.run(&["route", "set", "bookinfo", "--to", "productpage"]);
    assert!(run.stderr.starts_with("error: there is no route (VirtualService) bookinfo in namespace default"), "{run}");
}

#[test]
fn two_routes_of_one_host_are_pointed_out() {
    let world = world();
    world.ok(&["route", "add", "reviews", "--to", "reviews@v1"]);
    let run = world.ok(&["route", "add", "other", "--to", "reviews@v2"]);
    assert!(run.stderr.contains("warning: mesh/routes/reviews.yaml:14:1 routes the same host"), "{run}");
    // The subset went into the DestinationRule that was there.
    assert!(world.read("mesh/routes/reviews.yaml").contains("    - name: v2\n      labels:\n        version: v2\n"));
    assert!(!world.read("mesh/routes/other.yaml").contains("DestinationRule"));
}

#[test]
fn a_version_may_stay_without_requests() {
    let world = world();
    world.ok(&["route", "split", "reviews", "--to", "v1=100,v2=0"]);
    let text = world.read("mesh/routes/reviews.yaml");
    assert!(text.contains("weight: 100\n") && text.contains("weight: 0\n"), "{text}");
    world.ok(&["route", "weight", "reviews", "v2=100"]);
    let text = world.read("mesh/routes/reviews.yaml");
    assert!(text.ends_with("            subset: v2\n          weight: 100\n"), "{text}");
}

#[test]
fn windows_line_ends_stay() {
    let world = world();
    world.ok(&["route", "split", "reviews", "--subset", "v1,v2,v3", "--to", "v1=90,v2=10"]);
    let text = world.read("mesh/routes/reviews.yaml").replace('\n', "\r\n");
    world.write("mesh/routes/reviews.yaml", &text);
    world.ok(&["route", "weight", "reviews", "v1=50", "v2=25", "v3=25"]);
    let text = world.read("mesh/routes/reviews.yaml");
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{text:?}");
    assert!(text.contains("subset: v3\r\n"), "{text}");
}
