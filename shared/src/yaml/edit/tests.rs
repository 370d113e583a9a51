use super::super::write::tests::values;
use super::*;
use proptest::prelude::*;
use serde_json::json;

/// Applies a change and shows the new text.
fn edit(text: &str, change: impl FnOnce(&mut Editor) -> Result<(), EditError>) -> String {
    let mut editor = Editor::open(text).unwrap();
    match change(&mut editor) {
        Ok(()) => editor.finish().unwrap(),
        Err(error) => {
            assert_eq!(editor.text(), text, "a refused change leaves the text");
            format!("{error}\n")
        }
    }
}

const ROUTE: &str = "\
# 商店的路由
apiVersion: networking.istio.io/v1
kind: VirtualService   # 种类
metadata:
  name: shop
spec:
  hosts: [a.example.com, \"b.example.com\"] # two
  http:

  # catches the cart
  - match:
    - uri: {prefix: /cart}   # cart
    route:
    - destination: {host: cart, port: {number: 80}}
      weight: 100

  # catches everything
  - name: rest
    route:
    # the stable one
    - destination:
        host: 'web'
        subset: \"v1\"
      weight: 90
      # until Friday
    - destination:
        host: web
        subset: v2
      weight: 10
  # the end
";

#[test]
fn scalars_change_alone() {
    let set = |pointer: &str, value: Value| {
        let after = edit(ROUTE, |editor| editor.set(0, pointer, &value));
        let diff = ROUTE
            .lines()
            .zip(after.lines())
            .filter(|(a, b)| a != b)
            .map(|(_, b)| b.trim().to_owned())
            .collect::<Vec<_>>();
        assert_eq!(ROUTE.lines().count(), after.lines().count(), "{after}");
        diff.join("|")
    };
    assert_eq!(set("/kind", json!("Gateway")), "kind: Gateway   # 种类");
    assert_eq!(set("/spec/http/1/route/0/weight", json!(50)), "weight: 50");
    assert_eq!(set("/spec/http/1/route/0/destination/host", json!("yes")), "host: 'yes'");
    assert_eq!(set("/spec/http/1/route/0/destination/subset", json!("on\n")), "subset: \"on\\n\"");
    assert_eq!(set("/spec/http/1/route/1/destination/subset", json!("1")), "subset: '1'");
    assert_eq!(
        set("/spec/http/0/route/0/destination/port/number", json!(8443)),
        "- destination: {host: cart, port: {number: 8443}}"
    );
    assert_eq!(set("/spec/hosts/1", json!("中文")), "hosts: [a.example.com, \"中文\"] # two");
    assert_eq!(set("/spec/hosts", json!(["x"])), "hosts: [x] # two");
    assert_eq!(set("/spec/http/0/match/0/uri", json!({"exact": "/c, d"})), "- uri: {exact: '/c, d'}   # cart");
    assert_eq!(set("/spec/http/1/name", json!("rest")), "");
}

#[test]
fn fields_are_added_where_people_expect_them() {
    let text = edit(ROUTE, |editor| {
        editor.set(0, "/metadata/annotations/note", &json!("a: b"))?;
        editor.set(0, "/metadata/namespace", &json!("default"))?;
        editor.set(0, "/spec/gateways", &json!(["ingress", "istio-system/other"]))?;
        editor.set(0, "/spec/http/1/route/0/destination/port", &json!({"number": 80}))?;
        editor.set(0, "/spec/http/0/match/0/uri/ignoreCase", &json!(true))?;
        editor.set(0, "/spec/http/1/timeout", &json!("5s"))?;
        editor.append(0, "/spec/hosts", &json!("*"))?;
        editor.insert(
            0,
            "/spec/http",
            1,
            &json!({"route": [{"destination": {"host": "new"}}], "match": [{"uri": {"prefix": "/new"}}]}),
        )?;
        editor.insert(0, "/spec/http", 0, &json!({"name": "first"}))?;
        editor.append(0, "/spec/http", &json!({"name": "last"}))?;
        editor.append(0, "/spec/http/3/route", &json!({"destination": {"host": "x"}}))
    });
    insta::assert_snapshot!(text, @r#"
    # 商店的路由
    apiVersion: networking.istio.io/v1
    kind: VirtualService   # 种类
    metadata:
      name: shop
      namespace: default
      annotations:
        note: 'a: b'
    spec:
      hosts: [a.example.com, "b.example.com", '*'] # two
      gateways:
      - ingress
      - istio-system/other
      http:

      - name: first

      # catches the cart
      - match:
        - uri: {prefix: /cart, ignoreCase: true}   # cart
        route:
        - destination: {host: cart, port: {number: 80}}
          weight: 100

      - match:
        - uri:
            prefix: /new
        route:
        - destination:
            host: new

      # catches everything
      - name: rest
        route:
        # the stable one
        - destination:
            host: 'web'
            subset: "v1"
            port:
              number: 80
          weight: 90
          # until Friday
        - destination:
            host: web
            subset: v2
          weight: 10
        - destination:
            host: x
        timeout: 5s

      - name: last
      # the end
    "#);
}

#[test]
fn what_is_removed_takes_its_comments_along() {
    insta::assert_snapshot!(edit(ROUTE, |editor| editor.remove(0, "/spec/http/0")), @r#"
    # 商店的路由
    apiVersion: networking.istio.io/v1
    kind: VirtualService   # 种类
    metadata:
      name: shop
    spec:
      hosts: [a.example.com, "b.example.com"] # two
      http:

      # catches everything
      - name: rest
        route:
        # the stable one
        - destination:
            host: 'web'
            subset: "v1"
          weight: 90
          # until Friday
        - destination:
            host: web
            subset: v2
          weight: 10
      # the end
    "#);
    insta::assert_snapshot!(edit(ROUTE, |editor| {
        editor.remove(0, "/spec/http/1/name")?;
        editor.remove(0, "/spec/http/1/route/0")?;
        editor.remove(0, "/spec/hosts/0")?;
        editor.remove(0, "/spec/http/0/route/0/destination/port")?;
        editor.remove(0, "/spec/http/0/match")?;
        editor.remove(0, "/apiVersion")
    }), @r#"
    # 商店的路由
    kind: VirtualService   # 种类
    metadata:
      name: shop
    spec:
      hosts: ["b.example.com"] # two
      http:

      # catches the cart
      - route:
        - destination: {host: cart}
          weight: 100

      # catches everything
      - route:
        - destination:
            host: web
            subset: v2
          weight: 10
      # the end
    "#);
    let text = edit(ROUTE, |editor| {
        editor.remove(0, "/spec/http/1/route/1")?;
        editor.remove(0, "/spec/http/1/route/0")?;
        editor.remove(0, "/metadata/name")?;
        editor.remove(0, "/spec/hosts/1")?;
        editor.remove(0, "/spec/hosts/0")?;
        editor.append(0, "/spec/hosts", &json!("x"))?;
        editor.append(0, "/spec/http/1/route", &json!({"destination": {"host": "x"}}))?;
        editor.set(0, "/metadata/name", &json!("y"))
    });
    insta::assert_snapshot!(text, @r#"
    # 商店的路由
    apiVersion: networking.istio.io/v1
    kind: VirtualService   # 种类
    metadata:
      name: 'y'
    spec:
      hosts: # two
      - x
      http:

      # catches the cart
      - match:
        - uri: {prefix: /cart}   # cart
        route:
        - destination: {host: cart, port: {number: 80}}
          weight: 100

      # catches everything
      - name: rest
        route:
        - destination:
            host: x
      # the end
    "#);
}

#[test]
fn items_move_with_their_comments() {
    let text = "l:\n# one\n- a: 1 # x\n\n# two\n- b: 2\n  # inner\n\n- c: 3";
    let moved = |from, to| edit(text, |editor| editor.move_item(0, "/l", from, to));
    assert_eq!(moved(0, 1), "l:\n# two\n- b: 2\n  # inner\n\n# one\n- a: 1 # x\n\n- c: 3");
    assert_eq!(moved(2, 0), "l:\n- c: 3\n\n# one\n- a: 1 # x\n\n# two\n- b: 2\n  # inner");
    assert_eq!(moved(0, 2), "l:\n# two\n- b: 2\n  # inner\n\n- c: 3\n\n# one\n- a: 1 # x");
    assert_eq!(moved(1, 1), text);
    for (text, from, to) in [("l: [1, 2]\n", 0, 1), ("l:\n- 1\n- 2\n", 0, 2), ("l: 1\n", 0, 1)] {
        assert!(Editor::open(text).unwrap().move_item(0, "/l", from, to).is_err(), "{text}");
    }
}

#[test]
fn kinds_of_values_are_exchanged() {
    let text = "a: 1 # one\nb:\n  c: 2 # two\n  # in b\nd: |\n  x\n  y\ne:\nf: {}\ng:\n- 1 # g\n-\n- z: 1\n  y: 2\nh: [] # h\n";
    let text = edit(text, |editor| {
        editor.set(0, "/a", &json!({"x": [1, {"y": "l1\nl2\n"}]}))?;
        editor.set(0, "/b", &json!(5))?;
        editor.set(0, "/d", &json!("short"))?;
        editor.set(0, "/e", &json!({"x": 1}))?;
        editor.set(0, "/f", &json!({"x": 1, "y": {"z": []}}))?;
        editor.set(0, "/g/0", &json!({"p": 1, "q": 2}))?;
        editor.set(0, "/g/1", &json!({"p": [1]}))?;
        editor.set(0, "/g/2", &json!("text\nof lines"))?;
        editor.set(0, "/h/-", &json!({"p": 1, "q": 2}))?;
        editor.set(0, "/new/deep/er", &json!("x"))
    });
    insta::assert_snapshot!(text, @r#"
    a: # one
      x:
      - 1
      - 'y': |
          l1
          l2
    b: 5
    d: short
    e:
      x: 1
    f:
      x: 1
      'y':
        z: []
    g:
    - p: 1
      q: 2 # g
    - p:
      - 1
    - |-
      text
      of lines
    h: # h
    - p: 1
      q: 2
    new:
      deep:
        er: x
    "#);
}

#[test]
fn line_ends_are_kept() {
    let text = "a: 1\r\nb:\r\n  - x\r\n  - y # y\r\nc: {}\r\n";
    let after = edit(text, |editor| {
        editor.append(0, "/b", &json!({"p": 1, "q": 2}))?;
        editor.set(0, "/c", &json!({"d": 1}))?;
        editor.set(0, "/e", &json!("l1\nl2\n"))?;
        editor.append_document(&json!({"k": 1, "l": 2}))
    });
    assert_eq!(
        after,
        "a: 1\r\nb:\r\n  - x\r\n  - y # y\r\n  - p: 1\r\n    q: 2\r\nc:\r\n  d: 1\r\ne: |\r\n  l1\r\n  l2\r\n---\r\nk: 1\r\nl: 2\r\n"
    );
    // A last line without a line break.
    assert_eq!(edit("a:\n  - 1", |editor| editor.append(0, "/a", &json!(2))), "a:\n  - 1\n  - 2");
    assert_eq!(edit("a: 1", |editor| editor.set(0, "/b", &json!({"c": 2}))), "a: 1\nb:\n  c: 2");
    assert_eq!(edit("a: 1", |editor| editor.set(0, "/a", &json!({"c": 2}))), "a:\n  c: 2");
    // kubectl, too, reads a block scalar without a line break at the end of the file as if it had one.
    assert_eq!(edit("a: |\n  x", |editor| editor.set(0, "/b", &json!(1))), "a: |\n  x\nb: 1");
}

#[test]
fn anchors_are_not_edited_through() {
    let text = "base: &b {x: 1, w: [1]}\nuse: *b\nmerged:\n  <<: *b\n  z: 1\np: &p 5\nm: *p\n";
    let error = "it comes from an anchor, so it would change in every place that uses the anchor\n";
    assert_eq!(
        edit(text, |editor| editor.set(0, "/use/x", &json!(2))),
        format!("setting /use/x is left to you: {error}")
    );
    assert_eq!(
        edit(text, |editor| editor.append(0, "/use/w", &json!(2))),
        format!("adding to /use/w is left to you: {error}")
    );
    assert_eq!(
        edit(text, |editor| editor.set(0, "/merged/w/0", &json!(2))),
        format!("setting /merged/w/0 is left to you: {error}")
    );
    assert_eq!(
        edit(text, |editor| editor.remove(0, "/merged/x")),
        "removing /merged/x is left to you: it comes from `<<`\n"
    );
    let elsewhere = "more than this would change, perhaps because an anchor or a block scalar is involved\n";
    assert_eq!(
        edit(text, |editor| editor.set(0, "/base/x", &json!(2))),
        format!("setting /base/x is left to you: {elsewhere}")
    );
    assert_eq!(edit(text, |editor| editor.set(0, "/p", &json!(2))), format!("setting /p is left to you: {elsewhere}"));
    assert!(edit(text, |editor| editor.remove(0, "/p")).contains("the file would break"));
    // A field beside the merge overrides what it brings; an alias itself can be replaced.
    let after = edit(text, |editor| {
        editor.set(0, "/merged/x", &json!(9))?;
        editor.set(0, "/use", &json!({"x": 2}))?;
        editor.remove(0, "/m")
    });
    assert_eq!(after, "base: &b {x: 1, w: [1]}\nuse:\n  x: 2\nmerged:\n  <<: *b\n  z: 1\n  x: 9\np: &p 5\n");
}

#[test]
fn documents_come_and_go() {
    let text = "# first\na: 1\n--- # second\n# about b\nb: 2\n---\n# nothing\n---\nc: 3\n...\n";
    assert_eq!(
        edit(text, |editor| editor.remove_document(0)),
        "--- # second\n# about b\nb: 2\n---\n# nothing\n---\nc: 3\n...\n"
    );
    assert_eq!(edit(text, |editor| editor.remove_document(1)), "# first\na: 1\n---\n# nothing\n---\nc: 3\n...\n");
    assert_eq!(
        edit(text, |editor| editor.remove_document(2)),
        "# first\na: 1\n--- # second\n# about b\nb: 2\n---\n# nothing\n"
    );
    assert_eq!(edit(text, |editor| editor.remove_document(3)), "editing document 4: the file has 3\n");
    assert_eq!(edit("a: 1\n", |editor| editor.remove_document(0)), "");
    assert_eq!(edit("# c\na: 1\n---\nb: 2\n", |editor| editor.remove_document(0)), "b: 2\n");
    let value = json!({"kind": "K", "apiVersion": "v1"});
    assert_eq!(edit("", |editor| editor.append_document(&value)), "apiVersion: v1\nkind: K\n");
    assert_eq!(edit("# c\n", |editor| editor.append_document(&value)), "# c\napiVersion: v1\nkind: K\n");
    assert_eq!(edit("a: 1", |editor| editor.append_document(&value)), "a: 1\n---\napiVersion: v1\nkind: K\n");
    assert_eq!(edit("a: 1\n---\n", |editor| editor.append_document(&value)), "a: 1\n---\napiVersion: v1\nkind: K\n");
    assert_eq!(edit(text, |editor| editor.append_text("# new\nd: 4\n")), format!("{text}---\n# new\nd: 4\n"));
    assert_eq!(edit(text, |editor| editor.set(1, "/b", &json!(3))), text.replace("b: 2", "b: 3"));
}

#[test]
fn senseless_changes_say_why() {
    let say = |change: fn(&mut Editor) -> Result<(), EditError>| edit("a: {b: 1}\nl: [1]\n", change);
    assert_eq!(say(|editor| editor.remove(0, "/x")), "removing /x: there is no such field\n");
    assert_eq!(say(|editor| editor.remove(0, "/l/1")), "removing /l/1: there is no such field\n");
    assert_eq!(say(|editor| editor.append(0, "/a", &json!(1))), "adding to /a: there is no list\n");
    assert_eq!(
        say(|editor| editor.insert(0, "/l", 2, &json!(1))),
        "adding to /l: the list has 1 items, so none can be put before item 2\n"
    );
    assert_eq!(say(|editor| editor.set(0, "/a/b/c", &json!(1))), "setting /a/b/c: there is no map to hold `c`\n");
    assert_eq!(say(|editor| editor.set(0, "/l/5", &json!(1))), "setting /l/5: the list has no item 5\n");
    assert_eq!(say(|editor| editor.set(1, "/a", &json!(1))), "editing document 2: the file has 1\n");
    assert_eq!(
        Editor::open("a: [").unwrap_err().to_string(),
        "the file cannot be edited: line 1, column 4: unclosed bracket '['"
    );
}

/// Every place in a value.
fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| pointers(value, &join(at, name), out)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| pointers(value, &format!("{at}/{index}"), out))
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Random edits of random files: on what this crate writes every sensible edit is made, and the values are those of the
    /// same edit on plain data (the editor checks that itself; here it is checked once more from outside).
    #[test]
    fn random_edits_are_made(documents in prop::collection::vec(values(), 1..3), edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, values()), 1..6), flow in any::<bool>()) {
        let documents: Vec<Value> = documents.into_iter().filter(is_big).collect();
        let text = if flow { documents.iter().map(|value| format!("---\n{}\n", crate::yaml::write::flow(value, crate::yaml::order::Context::Data))).collect() } else { crate::yaml::write_all(&documents) };
        // Names of more than a line's length cannot stand in flow style.
        if documents.is_empty() || text.contains(&"x".repeat(1000)) {
            return Ok(());
        }
        let mut editor = Editor::open(text).unwrap();
        for (index, kind, value) in edits.into_iter().filter(|(_, _, value)| !value.to_string().contains(&"x".repeat(1000))) {
            let mut expected = Value::clone(&editor.documents()[0].value);
            let mut all = Vec::new();
            pointers(&expected, "", &mut all);
            let pointer = all.get(index.index(all.len())).unwrap().clone();
            let before = editor.text().to_owned();
            let target = expected.at(&pointer).unwrap().clone();
            let (operation, result) = match (kind, &target) {
                (0, _) if !pointer.is_empty() => (Operation::Remove(&pointer), editor.remove(0, &pointer)),
                (1, Value::Array(items)) => {
                    let at = index.index(items.len() + 1);
                    (Operation::Insert(&pointer, at, &value), editor.insert(0, &pointer, at, &value))
                }
                (2, Value::Object(_)) => {
                    let pointer = join(&pointer, "added");
                    let result = editor.set(0, &pointer, &value);
                    Operation::Set(&pointer, &value).apply(&mut expected).unwrap();
                    prop_assert!(result.is_ok(), "{:?} at {pointer} of\n{before}", result);
                    prop_assert_eq!(&*editor.documents()[0].value, &expected);
                    continue;
                }
                _ if !pointer.is_empty() => (Operation::Set(&pointer, &value), editor.set(0, &pointer, &value)),
                _ => continue,
            };
            operation.apply(&mut expected).unwrap();
            prop_assert!(result.is_ok(), "{:?} for {operation:?} of\n{before}", result);
            prop_assert_eq!(&*editor.documents()[0].value, &expected);
        }
    }
}

fn is_big(value: &Value) -> bool {
    matches!(value, Value::Object(map) if !map.is_empty())
}

#[test]
fn a_field_gets_another_name_and_keeps_everything_else() {
    let text = "a:\n  # what it is for\n  protcol: HTTP # as is\n  'b/c': {x: 1}\n";
    let mut editor = Editor::open(text).unwrap();
    editor.rename(0, "/a/protcol", "protocol").unwrap();
    editor.rename(0, "/a/b~1c", "yes").unwrap();
    editor.rename(0, "/a/yes/x", "z").unwrap();
    assert_eq!(editor.text(), "a:\n  # what it is for\n  protocol: HTTP # as is\n  'yes': {z: 1}\n");
    editor.rename(0, "/a/yes", "protocol").unwrap_err();
    editor.rename(0, "/a/none", "some").unwrap_err();
    let mut aliased = Editor::open("a: &x {b: 1}\nc: *x\n").unwrap();
    aliased.rename(0, "/c/b", "d").unwrap_err();
    aliased.rename(0, "/a/b", "d").unwrap_err();
    let mut list = Editor::open("a: [1]\n").unwrap();
    list.rename(0, "/a/0", "d").unwrap_err();
}
