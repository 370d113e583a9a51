//! A terminal with a command in front of it, and a person who reads its screen before typing.

use crate::world::World;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read as _, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

pub(crate) const ENTER: &str = "\r";
pub(crate) const DOWN: &str = "\u{1b}[B";
pub(crate) const CTRL_C: &str = "\u{3}";
pub(crate) const ESC: &str = "\u{1b}";

/// Tall enough for nothing to scroll away.
const SIZE: PtySize = PtySize { rows: 120, cols: 100, pixel_width: 0, pixel_height: 0 };
/// How long a person waits. Only a failing test does.
const PATIENCE: Duration = Duration::from_secs(60);

struct Screen {
    parser: vt100::Parser,
    is_over: bool,
}

/// A command at a terminal.
pub(crate) struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<(Mutex<Screen>, Condvar)>,
    home: String,
}

/// What a command at a terminal came to.
pub(crate) struct Ended {
    /// The exit code; with a signal its name.
    pub(crate) code: Result<u32, String>,
    /// What stands on the screen.
    pub(crate) screen: String,
}

impl Terminal {
    pub(crate) fn start(world: &World, args: &[&str]) -> Self {
        let pair = native_pty_system().openpty(SIZE).unwrap();
        let plain = world.command(args);
        let mut command = CommandBuilder::new(plain.get_program());
        command.args(plain.get_args());
        command.cwd(world.root());
        command.env_clear();
        command.env("TERM", "xterm-256color");
        for (key, value) in plain.get_envs() {
            command.env(key, value.unwrap());
        }
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let parser = vt100::Parser::new(SIZE.rows.try_into().unwrap(), SIZE.cols.try_into().unwrap(), 0);
        let screen = Arc::new((Mutex::new(Screen { parser, is_over: false }), Condvar::new()));
        let shared = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                // A terminal whose last program has gone is an error on Linux.
                let read = reader.read(&mut bytes).unwrap_or(0);
                let mut screen = shared.0.lock().unwrap();
                screen.parser.process(&bytes[..read]);
                screen.is_over = read == 0;
                shared.1.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        let keys = pair.master.take_writer().unwrap();
        let home = world.root().parent().unwrap().to_string_lossy().into_owned();
        Self { master: pair.master, keys, child, screen, home }
    }

    /// Waits for the screen to have something.
    fn wait(&self, what: &str, is_there: impl Fn(&Screen) -> bool) {
        let start = Instant::now();
        let mut screen = self.screen.0.lock().unwrap();
        while !is_there(&screen) {
            let left = PATIENCE.saturating_sub(start.elapsed());
            assert!(!left.is_zero() && !screen.is_over, "no {what} on the screen:\n{}", contents(&screen));
            screen = self.screen.1.wait_timeout(screen, left).unwrap().0;
        }
    }

    /// Waits for a text and answers with these keys.
    pub(crate) fn answer(&mut self, text: &str, keys: &str) {
        self.wait(text, |screen| contents(screen).contains(text));
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits for the command's end. Its terminal has to be as any program finds it.
    pub(crate) fn ended(mut self) -> Ended {
        let fresh = native_pty_system().openpty(SIZE).unwrap();
        let start = Instant::now();
        let mut screen = self.screen.0.lock().unwrap();
        while !screen.is_over {
            let left = PATIENCE.saturating_sub(start.elapsed());
            assert!(!left.is_zero(), "it goes on:\n{}", contents(&screen));
            screen = self.screen.1.wait_timeout(screen, left).unwrap().0;
        }
        let status = self.child.wait().unwrap();
        assert!(self.master.get_termios() == fresh.master.get_termios(), "the terminal is left in another mode");
        assert!(!screen.parser.screen().hide_cursor(), "the cursor is left hidden");
        assert!(!screen.parser.screen().bracketed_paste(), "bracketed paste is left on");
        let code = status.signal().map_or(Ok(status.exit_code()), |signal| Err(signal.to_owned()));
        Ended { code, screen: contents(&screen).replace(&self.home, "HOME") }
    }
}

fn contents(screen: &Screen) -> String {
    let contents = screen.parser.screen().contents();
    contents.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
