//! `cluster add`, `list` and `remove`.

use super::world::{M1C1, World};

#[test]
fn add_list_remove() {
    let world = World::new();
    world.ok(&["init", "shop"]);
    let empty = world.read("fleet.yaml");
    insta::assert_snapshot!(world.run(&["cluster", "list"]), @"
    ! No clusters found in fleet shop.
    ! hint: add one with: kubectl asm cluster add NAME --id ACK-CLUSTER-ID
    [0]
    ");
    insta::assert_snapshot!(world.run(&["cluster", "add", "m1c1", "--id", M1C1, "--region", "cn-hangzhou", "--group", "all"]), @"
    configured fleet.yaml
    ! hint: keep it with: git add fleet.yaml && git commit
    ! hint: next: kubectl asm cluster add for every other member cluster, or kubectl asm gateway create ingressgateway --serverless
    [0]
    ");
    world.ok(&["cluster", "add", "m1c2", "--context", "ack-2", "--kubernetes-version", "1.33", "--group", "all"]);
    insta::assert_snapshot!(world.changed("fleet.yaml", &empty), @"
    @@ -14,2 +14,13 @@
       # Clusters that joined the mesh. Add one with: kubectl asm cluster add NAME --id ACK-CLUSTER-ID
    -  clusters: []
    +  clusters:
    +    - name: m1c1
    +      id: c0123456789abcdef0123456789abcde1
    +      region: cn-hangzhou
    +    - name: m1c2
    +      context: ack-2
    +      kubernetesVersion: '1.33'
    +  groups:
    +    - name: all
    +      clusters:
    +        - m1c1
    +        - m1c2
    ");
    insta::assert_snapshot!(world.ok(&["cluster", "list"]), @"
    NAME   ID                                  REGION        VERSION   GROUPS   OBJECTS
    m1c1   c0123456789abcdef0123456789abcde1   cn-hangzhou   <none>    all      0
    m1c2   <none>                              <none>        1.33      all      0
    [0]
    ");
    insta::assert_snapshot!(world.ok(&["cluster", "list", "-o", "wide", "--no-headers"]), @"
    m1c1   c0123456789abcdef0123456789abcde1   cn-hangzhou   <none>   all   0   <none>   m1c1    0
    m1c2   <none>                              <none>        1.33     all   0   <none>   ack-2   0
    [0]
    ");

    world.write(
        "clusters/m1c2/door.yaml",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: door\nspec:\n  type: LoadBalancer\n  ports:\n    - port: 80\n",
    );
    let before = world.files();
    insta::assert_snapshot!(world.run(&["cluster", "remove", "m1c2"]), @"
    ! error: clusters/m1c2/ still has files: clusters/m1c2/door.yaml
    ! hint: remove them as well with: kubectl asm cluster remove m1c2 --with-files
    ! hint: Service default/door (clusters/m1c2/door.yaml:1:1) owns a load balancer in m1c2: deleting it there loses its address, and the agent does so only with an approval
    [2]
    ");
    assert_eq!(world.files(), before);
    insta::assert_snapshot!(world.run(&["cluster", "remove", "m1c2", "--with-files"]), @"
    configured fleet.yaml
    deleted clusters/m1c2/door.yaml
    ! warning: Service default/door (clusters/m1c2/door.yaml:1:1) owns a load balancer in m1c2: deleting it there loses its address, and the agent does so only with an approval
    ! hint: keep it with: git add fleet.yaml clusters/m1c2/door.yaml && git commit
    ! hint: next: kubectl asm diff
    [0]
    ");
    assert!(!world.root().join("clusters").exists(), "no empty folders are left");
    assert_eq!(world.ok(&["cluster", "list", "-o", "name"]).stdout, "cluster/m1c1\n");
}

#[test]
fn unknown_and_double_names() {
    let world = World::with_fleet();
    insta::assert_snapshot!(world.run(&["cluster", "add", "m1c1"]), @"
    ! error: fleet.yaml has a cluster m1c1 already
    [2]
    ");
    insta::assert_snapshot!(world.run(&["cluster", "add", "m1c3", "--id", M1C1]), @"
    ! error: the cluster m1c1 has this ACK ID already
    [2]
    ");
    insta::assert_snapshot!(world.run(&["cluster", "remove", "m2c1"]), @"
    ! error: fleet.yaml has no cluster m2c1
    ! hint: did you mean m1c1?
    ! hint: the fleet has m1c1, m1c2
    [2]
    ");
    // A wrong ID is found when the result is read, before anything is written.
    let before = world.files();
    assert_eq!(world.run(&["cluster", "add", "m1c3", "--id", "123"]).code, Some(2));
    assert_eq!(world.files(), before);
}
