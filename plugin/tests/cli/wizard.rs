//! `gateway create --interactive`: a person at a terminal who is asked.

use crate::terminal::{CTRL_C, DOWN, ENTER, ESC, Terminal};
use crate::world::World;

const ASK: [&str; 3] = ["gateway", "create", "--interactive"];

/// Every question of a gateway in clusters, and the keys that answer it.
const WALK: &[(&str, &str)] = &[
    ("Name of the gateway", "door\r"),
    ("Where do its pods run?", ENTER),
    ("Clusters", " \u{1b}[B \r"),
    ("Type of the Service", ENTER),
    ("Kind of load balancer", ENTER),
    ("Who reaches it?", "\u{1b}[B\r"),
    ("Which load balancer?", ENTER),
    ("Specification of the CLB", "slb.s2.small\r"),
    ("Ports", "http=80:8080 https=443\r"),
    ("Limits of a pod", ENTER),
    ("Requests of a pod", ENTER),
    ("Pods (in each cluster)", "2\r"),
    ("Advanced options?", "\u{1b}[B\r"),
    ("External traffic policy", "\u{1b}[B\r"),
    ("Scale by itself", "\u{1b}[B\r"),
    ("Fewest pods", "2\r"),
    ("Most pods", ENTER),
    ("this CPU", ENTER),
    ("this memory", ENTER),
    ("pods that may be missing", ENTER),
    ("pods above the wanted number", "1\r"),
    ("Prefer different nodes", "\u{1b}[B\r"),
    ("Labels that a node must have", "disk=ssd\r"),
    ("Taints that the pods bear", "edge:NoSchedule\r"),
    ("Graceful shutdown", "30\r"),
];

#[test]
fn the_whole_page() {
    let world = World::with_fleet();
    let mut terminal = Terminal::start(&world, &ASK);
    for (question, keys) in WALK {
        terminal.answer(question, keys);
    }
    terminal.answer("Write mesh/gateways/door.yaml?", ENTER);
    let ended = terminal.ended();
    assert_eq!(ended.code, Ok(0), "{}", ended.screen);
    insta::assert_snapshot!("the_whole_page", ended.screen);

    // The command line that it shows does the same, and is what a person would have typed.
    let line = ended.screen.split("The same without questions:\n").nth(1).unwrap();
    // A line that is longer than the terminal goes on in the next one.
    let line = line.split("\n\n").next().unwrap().trim().replace('\n', "");
    let words = shell_words(&line);
    let other = World::with_fleet();
    other.ok(&words.iter().skip(2).map(String::as_str).collect::<Vec<_>>());
    assert_eq!(other.files(), world.files());
}

/// Words of a line that quotes nothing but by single quotes.
fn shell_words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    let words = parts.flat_map(|(place, part)| match place % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

#[test]
fn left_at_any_question() {
    for (keys, at) in [(CTRL_C, 0), (ESC, 0), (CTRL_C, 2), (ESC, 5), (CTRL_C, 8), (ESC, WALK.len())] {
        let world = World::with_fleet();
        let before = world.files();
        let mut terminal = Terminal::start(&world, &ASK);
        for (question, keys) in &WALK[..at] {
            terminal.answer(question, keys);
        }
        terminal.answer(WALK.get(at).map_or("Write mesh/gateways/door.yaml?", |(question, _)| question), keys);
        let ended = terminal.ended();
        assert_eq!(ended.code, Ok(130), "{}", ended.screen);
        assert!(ended.screen.ends_with("error: broken off: nothing was written\n"), "{}", ended.screen);
        assert_eq!(world.files(), before);
    }
}

#[test]
fn no_is_an_answer() {
    let world = World::with_fleet();
    let before = world.files();
    let mut terminal = Terminal::start(&world, &[&ASK[..], &["door", "--serverless"]].concat());
    for question in ["Ports", "Limits", "Requests", "Pods", "Advanced options?"] {
        terminal.answer(question, ENTER);
    }
    terminal.answer("Write mesh/gateways/door.yaml?", "n\r");
    let ended = terminal.ended();
    assert_eq!(ended.code, Ok(2), "{}", ended.screen);
    assert!(ended.screen.ends_with("error: nothing was written\n"), "{}", ended.screen);
    assert_eq!(world.files(), before);
}

#[test]
fn what_is_given_is_not_asked() {
    let world = World::with_fleet();
    let given = "door --cluster m1c1 --service-type LoadBalancer --load-balancer clb --address-type intranet \
                 --port http=80 --limits cpu=4 --requests cpu=1 --replicas 3 --annotation a.b/c=d=e";
    let given: Vec<&str> = given.split_whitespace().collect();
    let mut terminal = Terminal::start(&world, &[&ASK[..], &given].concat());
    // A load balancer that exists: the risks are said before the question.
    terminal.answer("Which load balancer?", &[DOWN, ENTER].concat());
    terminal.answer("ID of the load balancer", "lb-1\r");
    terminal.answer("replace its listeners?", &[DOWN, ENTER].concat());
    terminal.answer("Advanced options?", ENTER);
    terminal.answer("Write mesh/gateways/door.yaml?", ENTER);
    let ended = terminal.ended();
    assert_eq!(ended.code, Ok(0), "{}", ended.screen);
    insta::assert_snapshot!("what_is_given_is_not_asked", ended.screen);

    let flags = ["--reuse-load-balancer", "lb-1", "--override-listeners"];
    let other = World::with_fleet();
    other.ok(&[&["gateway", "create"][..], &given, &flags].concat());
    assert_eq!(other.files(), world.files());
}

#[test]
fn a_wrong_answer_is_asked_again() {
    let world = World::with_fleet();
    world.ok(&["gateway", "create", "taken", "--serverless"]);
    let mut terminal = Terminal::start(&world, &ASK);
    terminal.answer("Name of the gateway", "Door_1\r");
    terminal.answer("`Door_1` cannot be the name of a gateway", "taken\r");
    terminal.answer("the gateway taken exists already", "door\r");
    terminal.answer("Where do its pods run?", ENTER);
    terminal.answer("Clusters", ENTER);
    terminal.answer("a gateway needs at least one cluster", " \r");
    terminal.answer("Type of the Service", ENTER);
    terminal.answer("Kind of load balancer", &[DOWN, ENTER].concat());
    terminal.answer("Who reaches it?", ENTER);
    terminal.answer("Which load balancer?", ENTER);
    terminal.answer("Zones of the NLB", ENTER);
    terminal.answer("--zone-map is needed here", "h=vsw-1\r");
    terminal.answer("it needs at least two different ones", "h=vsw-1 i=vsw-2\r");
    terminal.answer("Ports", "http\r");
    terminal.answer("`http` is not NAME=PORT[:TARGET]", "a=80 b=80\r");
    terminal.answer("have the same name or number", ENTER);
    terminal.answer("Limits", ENTER);
    terminal.answer("Requests", ENTER);
    terminal.answer("Pods (in each cluster)", "0\r");
    terminal.answer("0 is not in 1..", "1\r");
    terminal.answer("Advanced options?", ENTER);
    terminal.answer("Write mesh/gateways/door.yaml?", ENTER);
    let ended = terminal.ended();
    assert_eq!(ended.code, Ok(0), "{}", ended.screen);

    let line = "gateway create door --cluster m1c1 --load-balancer nlb --address-type internet --zone-map h=vsw-1 --zone-map i=vsw-2";
    let other = World::with_fleet();
    other.ok(&["gateway", "create", "taken", "--serverless"]);
    other.ok(&line.split(' ').collect::<Vec<_>>());
    assert_eq!(other.files(), world.files());
}

#[test]
fn what_is_wrong_already_is_said_before_the_first_question() {
    let world = World::with_fleet();
    for args in [&["--cluster", "m1c9", "door"][..], &["Door", "--serverless"]] {
        let ended = Terminal::start(&world, &[&ASK[..], args].concat()).ended();
        assert_eq!(ended.code, Ok(2), "{}", ended.screen);
        assert!(ended.screen.starts_with("error: ") && !ended.screen.contains("\n? "), "{}", ended.screen);
    }
}

#[test]
fn nobody_to_ask() {
    let world = World::with_fleet();
    insta::assert_snapshot!(world.run(&ASK), @"
    ! error: nobody can be asked: stdin is not a terminal
    ! hint: say it with flags: kubectl asm gateway create NAME --cluster A,B (or --serverless), and what --help lists
    [2]
    ");
    let ended = Terminal::start(&world, &[&ASK[..], &["--no-input"]].concat()).ended();
    assert_eq!(ended.code, Ok(2));
    assert!(ended.screen.starts_with("error: nobody can be asked: --no-input is given\n"), "{}", ended.screen);
}
