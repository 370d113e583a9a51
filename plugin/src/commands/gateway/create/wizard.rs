//! Goes through the questions. What comes out is a command line: the gateway is then made of it as of any other.

use super::questions::{Answers, Kind, QUESTIONS, Question, Reading};
use super::words::{self, NAME, Word};
use super::{CreateArgs, intent};
use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::prompt::Answerer;
use asm_shared::authoring::{CreateGateway, GatewaySettings, Hosting};

/// Asks for what the given words do not say. The first words of the answer are those that were given.
pub(super) fn ask(
    context: &Context,
    repo: &FleetRepo,
    given: Vec<Word>,
    person: &mut dyn Answerer,
) -> Result<Vec<Word>, CommandError> {
    let mut answers = Answers { words: given, chosen: Vec::new() };
    // What is wrong already is said before the first question.
    bare(&words::understood(&answers.words)?, repo)?;
    for question in QUESTIONS {
        let is_given = answers.has(question.key) || question.flags.iter().any(|flag| answers.has(flag));
        if is_given || !(question.when)(&answers) {
            continue;
        }
        question.before.iter().for_each(|risk| context.ui().warning(risk));
        loop {
            let before = judged(&answers.words, repo).err();
            let mut after = answers.clone();
            let answered = answer(question, repo, person, &mut after)?;
            // What was wrong before is not the fault of this answer.
            let wrong = answered.and_then(|()| if question.is_half { Ok(()) } else { judged(&after.words, repo) });
            match wrong {
                Err(error) if before.is_none_or(|before| before.message != error.message) => error.print(context.ui()),
                _ => {
                    answers = after;
                    break;
                }
            }
        }
    }
    Ok(answers.words)
}

/// One question. The outer error breaks everything off, the inner one is about the answer.
fn answer(
    question: &Question,
    repo: &FleetRepo,
    person: &mut dyn Answerer,
    answers: &mut Answers,
) -> Result<Result<(), CommandError>, CommandError> {
    match question.kind {
        Kind::Choice(choices) => {
            let shown: Vec<&str> = choices.iter().map(|(shown, _)| *shown).collect();
            let place = person.choose(question.text, question.help, &shown)?;
            answers.chosen.push((question.key, place));
            let word = choices.get(place).and_then(|(_, word)| *word);
            answers.words.extend(word.map(|(flag, value)| Word::new(flag, value)));
        }
        Kind::Text { default, reading } => {
            let typed = person.text(question.text, question.help, default)?;
            let typed = typed.trim();
            if typed.is_empty() && reading == Reading::Needed {
                return Ok(Err(CommandError::usage(format!("--{} is needed here", question.key))));
            }
            let word = |value: &str| Word::new(question.key, Some(value));
            if typed.is_empty() || (typed == default && reading != Reading::Always) {
                return Ok(Ok(()));
            }
            match reading {
                Reading::One | Reading::Always => answers.words.push(word(typed)),
                Reading::Many | Reading::Needed => {
                    let values = typed.split([' ', ',']).filter(|value| !value.is_empty());
                    answers.words.extend(values.map(word));
                }
            }
        }
        Kind::Clusters => {
            let clusters: Vec<&str> = repo.fleet()?.spec.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
            if clusters.is_empty() {
                return Err(CommandError::input("fleet.yaml has no cluster that a gateway could run in")
                    .hinted("add one with: kubectl asm cluster add NAME --id ACK-CLUSTER-ID")
                    .hinted("or let ASM run the gateway: --serverless"));
            }
            let chosen = person.choose_some(question.text, question.help, &clusters)?;
            if chosen.is_empty() {
                return Ok(Err(CommandError::usage("a gateway needs at least one cluster")));
            }
            let names = chosen.into_iter().filter_map(|place| clusters.get(place));
            answers.words.extend(names.map(|name| Word::new(question.key, Some(name))));
        }
    }
    Ok(Ok(()))
}

/// Could a gateway be made of the words?
fn judged(words: &[Word], repo: &FleetRepo) -> Result<(), CommandError> {
    let args = words::understood(words)?;
    if args.serverless || !args.cluster.is_empty() {
        intent(args)?.plan(&repo.tree, &repo.state)?;
        return Ok(());
    }
    bare(&args, repo)
}

/// Could there be a gateway of this name in this place, whatever else it says?
fn bare(args: &CreateArgs, repo: &FleetRepo) -> Result<(), CommandError> {
    // Any name that is free will do as long as none is known.
    let Some(name) = &args.name else { return Ok(()) };
    let hosting = if args.cluster.is_empty() { Hosting::Serverless } else { Hosting::Clusters(args.cluster.clone()) };
    let gateway = CreateGateway { name: name.clone(), hosting, settings: GatewaySettings::default() };
    gateway.plan(&repo.tree, &repo.state)?;
    Ok(())
}

/// Shows what comes of the words, and asks whether to write it.
pub(super) fn show(context: &Context, words: &[Word], yaml: &str) {
    let ui = context.ui();
    if !yaml.is_empty() {
        ui.status(&format!("\n{}", yaml.trim_end()));
    }
    let mut line = words::command_line(words);
    if let Some(repo) = &context.globals.repo {
        line = format!("{line} --repo {}", repo.display());
    }
    ui.status(&format!("\nThe same without questions:\n  {line}\n"));
}

/// The name is the first thing that is asked for: then it is there.
pub(super) fn name(args: &CreateArgs) -> Result<&str, CommandError> {
    args.name.as_deref().ok_or_else(|| CommandError::usage(format!("<{}> is missing", NAME.to_uppercase())))
}
