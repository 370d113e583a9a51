//! Questions on a terminal. Whoever may ask is decided here, and so is what leaving a question means.

use crate::context::Context;
use crate::error::CommandError;
use inquire::{Confirm, InquireError, MultiSelect, Select, Text};
use std::io::IsTerminal as _;

/// Somebody who answers questions.
pub(crate) trait Answerer {
    /// One line. An empty answer is the default.
    fn text(&mut self, question: &str, help: &str, default: &str) -> Result<String, CommandError>;
    /// One of several, by its place.
    fn choose(&mut self, question: &str, help: &str, options: &[&str]) -> Result<usize, CommandError>;
    /// Some of several, by their places.
    fn choose_some(&mut self, question: &str, help: &str, options: &[&str]) -> Result<Vec<usize>, CommandError>;
    /// Yes or no.
    fn confirm(&mut self, question: &str) -> Result<bool, CommandError>;
}

/// The person at the terminal. Questions stand on stderr: stdout belongs to data.
#[derive(Debug)]
pub(crate) struct Person(());

impl Person {
    /// Is there somebody to ask? Says what to do instead where there is not.
    pub(crate) fn at_the_terminal(context: &Context, instead: &str) -> Result<Self, CommandError> {
        let refused = |why: &str| Err(CommandError::usage(format!("nobody can be asked: {why}")).hinted(instead));
        if context.globals.no_input {
            return refused("--no-input is given");
        }
        match (std::io::stdin().is_terminal(), std::io::stderr().is_terminal()) {
            (true, true) => Ok(Self(())),
            (false, _) => refused("stdin is not a terminal"),
            (_, false) => refused("stderr is not a terminal"),
        }
    }
}

/// `inquire` puts the terminal back before it says that a question was left.
fn left(error: InquireError) -> CommandError {
    match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => CommandError::interrupted(),
        error => CommandError::input("cannot ask on this terminal").caused_by(&error),
    }
}

impl Answerer for Person {
    fn text(&mut self, question: &str, help: &str, default: &str) -> Result<String, CommandError> {
        let mut prompt = Text::new(question);
        if !help.is_empty() {
            prompt = prompt.with_help_message(help);
        }
        if !default.is_empty() {
            prompt = prompt.with_default(default);
        }
        prompt.prompt().map_err(left)
    }

    fn choose(&mut self, question: &str, help: &str, options: &[&str]) -> Result<usize, CommandError> {
        let help = if help.is_empty() { "up and down to move, enter to choose" } else { help };
        let prompt = Select::new(question, options.to_vec()).without_filtering().with_help_message(help);
        prompt.raw_prompt().map(|chosen| chosen.index).map_err(left)
    }

    fn choose_some(&mut self, question: &str, help: &str, options: &[&str]) -> Result<Vec<usize>, CommandError> {
        // The only one there is need not be looked for.
        let all = if options.len() == 1 { vec![0] } else { Vec::new() };
        let mut prompt = MultiSelect::new(question, options.to_vec()).without_filtering().with_default(&all);
        if !help.is_empty() {
            prompt = prompt.with_help_message(help);
        }
        prompt.raw_prompt().map(|chosen| chosen.into_iter().map(|one| one.index).collect()).map_err(left)
    }

    fn confirm(&mut self, question: &str) -> Result<bool, CommandError> {
        Confirm::new(question).with_default(true).prompt().map_err(left)
    }
}
