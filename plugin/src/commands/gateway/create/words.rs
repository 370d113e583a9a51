//! A command line as words: what was given, what the answers add, and what a person would have typed.

use super::CreateArgs;
use crate::error::CommandError;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// The one argument without a flag.
pub(super) const NAME: &str = "name";
/// The flag for a load balancer that exists.
pub(super) const REUSE: &str = "reuse-load-balancer";
const INTERACTIVE: &str = "interactive";

/// A flag with its value, or the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The flag without its dashes; [`NAME`] for the name.
    pub(super) flag: String,
    /// Its value; a switch has none.
    pub(super) value: Option<String>,
    /// The value has to be joined by `=`.
    joined: bool,
}

impl Word {
    pub(super) fn new(flag: &str, value: Option<&str>) -> Self {
        Self { flag: flag.to_owned(), value: value.map(str::to_owned), joined: false }
    }

    fn typed(&self) -> Vec<String> {
        let flag = format!("--{}", self.flag);
        match &self.value {
            Some(value) if self.flag == NAME => vec![value.clone()],
            // What begins with a dash would be taken for a flag.
            Some(value) if self.joined || value.starts_with('-') => vec![format!("{flag}={value}")],
            Some(value) => vec![flag, value.clone()],
            None => vec![flag],
        }
    }
}

/// `--interactive`, and the flags that were given with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    /// Is it given?
    pub(super) interactive: bool,
    /// The others, when it is.
    pub(super) words: Vec<Word>,
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Self { interactive: matches.get_flag(INTERACTIVE), words: Vec::new() };
        if given.interactive {
            given.words = definition().get_arguments().flat_map(|arg| words_of(arg, matches)).collect();
        }
        Ok(given)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        command.arg(
            Arg::new(INTERACTIVE)
                .long(INTERACTIVE)
                .short('i')
                .action(ArgAction::SetTrue)
                .help("Ask on the terminal for what no flag says, show the YAML, and write it when told to"),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn definition() -> Command {
    CreateArgs::augment_args(Command::new("create")).no_binary_name(true)
}

fn words_of(arg: &Arg, matches: &ArgMatches) -> Vec<Word> {
    let id = arg.get_id().as_str();
    if id == INTERACTIVE || matches.value_source(id) != Some(ValueSource::CommandLine) {
        return Vec::new();
    }
    let flag = arg.get_long().unwrap_or(NAME);
    if !arg.get_action().takes_values() {
        return vec![Word::new(flag, None)];
    }
    let values = matches.get_raw(id).into_iter().flatten();
    let joined = arg.is_require_equals_set();
    values.map(|value| Word { joined, ..Word::new(flag, Some(&value.to_string_lossy())) }).collect()
}

/// Understands words as the same words on a command line. `--interactive` lets the name and the clusters be missing.
pub(super) fn understood(words: &[Word]) -> Result<CreateArgs, CommandError> {
    let typed = words.iter().flat_map(Word::typed).chain([format!("--{INTERACTIVE}")]);
    let wrong = |error: clap::Error| {
        let text = error.to_string();
        let first = text.split("\n\n").next().unwrap_or_default();
        CommandError::usage(first.strip_prefix("error: ").unwrap_or(first).trim_end())
    };
    let matches = definition().try_get_matches_from(typed).map_err(wrong)?;
    CreateArgs::from_arg_matches(&matches).map_err(wrong)
}

/// The command line, quoted for a shell.
pub(super) fn command_line(words: &[Word]) -> String {
    let words = words.iter().flat_map(Word::typed);
    words.fold("kubectl asm gateway create".to_owned(), |line, word| format!("{line} {}", quoted(&word)))
}

/// A word as a person would type it: quoted only where a shell would read something else.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.,:/=@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_differently_is_quoted() {
        for (word, expected) in
            [("http=80:8080", "http=80:8080"), ("a b", "'a b'"), ("", "''"), ("it's", r"'it'\''s'"), ("*", "'*'")]
        {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn words_are_understood_as_they_are_shown() {
        let words = [Word::new(NAME, Some("door")), Word::new("set", Some("-x=1")), Word::new("spread", None)];
        assert_eq!(command_line(&words), "kubectl asm gateway create door --set=-x=1 --spread");
        let args = understood(&words).unwrap();
        assert_eq!(args.name.as_deref(), Some("door"));
    }
}
