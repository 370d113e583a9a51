//! A time of day of its own for a program of the lab, which can jump while it runs: a few lines of C before the C library's
//! `clock_gettime`. Rust asks that one; Go and static programs do not, so that the API servers keep the machine's time.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::Lab;

const SOURCE: &str = include_str!("clock/shift.c");
/// Where the library finds the file with the seconds.
const FILE: &str = "ASM_LAB_CLOCK";

/// A clock that can be set.
#[derive(Debug)]
pub struct Clock {
    library: PathBuf,
    offset: PathBuf,
}

impl Clock {
    /// Makes one, with the machine's time; nothing where the machine has no C compiler or is no Linux.
    pub fn make(lab: &Lab) -> Result<Option<Self>> {
        if !cfg!(target_os = "linux") {
            return Ok(None);
        }
        let n = lab.next_number();
        let place = |name: &str| lab.dir().join(format!("clock-{n}{name}"));
        let clock = Self { library: place(".so"), offset: place("") };
        fs::write(&clock.offset, 0_i64.to_ne_bytes())?;
        let built = compile(&place(".c"), &clock.library)?;
        Ok(built.then_some(clock))
    }

    /// What a program needs in its environment to go by this clock.
    #[must_use]
    pub fn env(&self) -> BTreeMap<String, String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        [("LD_PRELOAD".to_owned(), text(&self.library)), (FILE.to_owned(), text(&self.offset))].into()
    }

    /// Sets it to so many seconds after the machine's time.
    pub fn set(&self, seconds: i64) -> Result<()> {
        // Not written anew: the program has the file in its memory, and one that shrinks in between would end it.
        let file = fs::OpenOptions::new().write(true).open(&self.offset)?;
        file.write_all_at(&seconds.to_ne_bytes(), 0).context("cannot set the clock")
    }
}

/// `false` when there is no compiler.
fn compile(source: &Path, library: &Path) -> Result<bool> {
    fs::write(source, SOURCE)?;
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut command = Command::new(compiler);
    command.args(["-shared", "-fPIC", "-O1", "-o"]).args([library, source]);
    let output = match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        output => output.context("cannot run the C compiler")?,
    };
    ensure!(output.status.success(), "cannot compile the clock:\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(true)
}
