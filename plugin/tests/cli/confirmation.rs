//! What loses an address asks for the name on a terminal.

use crate::terminal::{CTRL_C, Terminal};
use crate::world::World;

/// A fleet, a command that asks, and the name that it asks for.
fn cases() -> Vec<(World, Vec<&'static str>, &'static str)> {
    let commands = [
        ("gateway delete edge --address 198.51.100.7", "edge"),
        ("clb remove istio-edge-2 --address 198.51.100.8", "istio-edge-2"),
    ];
    let case = |(line, name): (&'static str, &'static str)| {
        let world = World::with_fleet();
        world.ok(&["gateway", "create", "edge", "--cluster", "m1c1", "--address-type", "intranet"]);
        world.ok(&["clb", "add", "istio-edge-2", "--gateway", "edge", "--cluster", "m1c1", "--internal"]);
        (world, line.split(' ').collect(), name)
    };
    commands.into_iter().map(case).collect()
}

#[test]
fn the_right_name() {
    for (world, args, name) in cases() {
        let mut terminal = Terminal::start(&world, &args);
        terminal.answer("Type ", &format!("{name}\r"));
        let ended = terminal.ended();
        assert_eq!(ended.code, Ok(0), "{}", ended.screen);
        let approvals = std::fs::read_dir(world.root().join("approvals")).unwrap().count();
        assert_eq!(approvals, 1, "{}", ended.screen);
    }
}

#[test]
fn another_name_or_none() {
    for typed in ["edg\r", "\r", "\u{4}"] {
        for (world, args, name) in cases() {
            let before = world.files();
            let mut terminal = Terminal::start(&world, &args);
            terminal.answer("Type ", typed);
            let ended = terminal.ended();
            assert_eq!(ended.code, Ok(2), "{}", ended.screen);
            let hint = format!("--confirm {name}");
            assert!(ended.screen.contains("error: nothing was ") && ended.screen.contains(&hint), "{}", ended.screen);
            assert_eq!(world.files(), before);
        }
    }
}

#[test]
fn broken_off() {
    for (world, args, _) in cases() {
        let before = world.files();
        let mut terminal = Terminal::start(&world, &args);
        terminal.answer("Type ", CTRL_C);
        let ended = terminal.ended();
        // A shell makes 130 of it.
        assert_eq!(ended.code, Err("Interrupt".to_owned()), "{}", ended.screen);
        assert_eq!(world.files(), before);
    }
}
