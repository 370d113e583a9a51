//! Completion knows every verb and flag, and the names of the fleet.

use super::stage::Stage;
use super::verbs::VERBS;

/// Shown flags of a verb, the global ones included.
fn flags(command: &clap::Command) -> Vec<String> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    shown.filter_map(|arg| Some(format!("--{}", arg.get_long()?))).collect()
}

#[test]
fn scripts_have_every_verb_and_flag() {
    let stage = Stage::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = stage.world.ok(&["completion", shell]).stdout;
        let has = |word: &str| {
            script.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').any(|found| found == word)
        };
        for verb in VERBS {
            for word in verb.words() {
                assert!(has(word), "{shell}: {}", verb.path);
            }
            for flag in flags(&verb.command()) {
                let name = flag.trim_start_matches('-');
                // fish writes `-l name`, and `-s v` for a short one.
                assert!(has(&flag) || shell == "fish" && has(name), "{shell}: {} {flag}", verb.path);
            }
        }
    }
}

#[test]
fn kubectl_is_answered_every_verb_and_flag() {
    let stage = Stage::new();
    let answers = |words: &[&str]| -> Vec<String> {
        let run = stage.world.ok(&[&["__complete"][..], words].concat());
        run.stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    };
    for verb in VERBS {
        let words = verb.words();
        let (last, before) = words.split_last().unwrap();
        assert!(answers(&[before, &[""]].concat()).iter().any(|answer| answer == last), "{}", verb.path);
        let offered = answers(&[&words[..], &["--"]].concat());
        for flag in flags(&verb.command()) {
            assert!(offered.contains(&flag), "{} {flag}", verb.path);
        }
    }
}

/// What a place on the command line takes, by the name of the argument and the group of the verb, and one of the names
/// that the fleet of [`Stage::new`] has for it.
fn expected(path: &str, arg: &clap::Arg) -> Option<&'static str> {
    let (group, verb) = path.split_once(' ').unwrap_or((path, ""));
    let makes_it = matches!(verb, "add" | "create") || path == "init";
    match (group, arg.get_id().as_str()) {
        (_, "cluster" | "clusters") if !arg.is_global_set() => Some("m1c1"),
        ("cluster", "name") if !makes_it => Some("m1c1"),
        ("gateway", "name" | "names") if !makes_it => Some("ingressgateway"),
        // A Gateway of Istio, not one of ASM.
        ("gateway", "gateway") => Some("bookinfo-gateway"),
        ("route", "name" | "route" | "routes") if !makes_it => Some("reviews"),
        ("route", "host") => Some("reviews"),
        ("route", "gateway") if verb == "test" => Some("ingressgateway"),
        ("route", "from") => Some("m1c1"),
        ("route", "gateways" | "gateway") => Some("bookinfo-gateway"),
        ("clb", "gateway" | "gateways") => Some("ingressgateway"),
        ("diff" | "lint" | "drift", "targets") => Some("m1c1"),
        ("adopt" | "revert" | "freeze" | "unfreeze", "object" | "objects") => Some("virtualservice/reviews"),
        ("lint", "rules" | "ignored") | ("explain", "rule") => Some("destination-host"),
        (_, "contexts") => Some("host"),
        (_, "namespace") => Some("default"),
        _ => None,
    }
}

#[test]
fn names_come_from_the_repository() {
    let stage = Stage::new();
    let mut asked = 0;
    for verb in VERBS {
        let command = verb.command();
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            let Some(name) = expected(verb.path, arg) else { continue };
            let mut words = vec!["__complete"];
            words.extend(verb.words());
            let flag = arg.get_long().map(|long| format!("--{long}"));
            match &flag {
                Some(flag) => words.push(flag),
                // The arguments before this one.
                None => words.extend(std::iter::repeat_n("x", arg.get_index().unwrap_or(1) - 1)),
            }
            words.push("");
            let run = stage.world.ok(&words);
            assert!(
                run.stdout.lines().any(|line| line.split('\t').next() == Some(name)),
                "{words:?} does not offer {name}: add the argument to values() in plugin/src/commands/complete.rs\n{run}"
            );
            asked += 1;
        }
    }
    assert!(asked > 30, "{asked}");
}
