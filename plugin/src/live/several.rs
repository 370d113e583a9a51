//! Several API servers at once.

use super::LiveTargetName;
use crate::context::Context;
use crate::error::CommandError;
use crate::kubeconfig;
use futures::stream::{self, StreamExt as _};
use kube::Client;

/// API servers asked at the same time.
const AT_ONCE: usize = 8;

/// What API servers answered.
#[derive(Debug)]
pub struct Answers<T> {
    /// Those that did, in the order in which they were named.
    pub found: Vec<T>,
    /// Those that did not; see [`as_one`].
    pub errors: Vec<CommandError>,
}

/// Asks API servers, several at a time; one that fails does not keep the others from answering.
pub fn ask<T>(
    context: &Context,
    progress: &str,
    targets: &[LiveTargetName],
    one: impl AsyncFn(&LiveTargetName, Client) -> Result<T, CommandError>,
) -> Result<Answers<T>, CommandError> {
    let progress = context.ui().progress(progress);
    let work =
        each(targets, async |target| one(target, kubeconfig::client(context, &target.kube_context).await?).await);
    let answers = context.block_on(async { Ok(work.await) })?;
    drop(progress);
    Ok(sorted(answers))
}

/// Works on API servers, several at a time; the answers are in the order of the targets.
pub async fn each<'t, T>(targets: &'t [LiveTargetName], work: impl AsyncFn(&'t LiveTargetName) -> T) -> Vec<T> {
    stream::iter(targets).map(|target| work(target)).buffered(AT_ONCE).collect().await
}

fn sorted<T>(answers: Vec<Result<T, CommandError>>) -> Answers<T> {
    let mut sorted = Answers { found: Vec::new(), errors: Vec::new() };
    for answer in answers {
        match answer {
            Ok(answer) => sorted.found.push(answer),
            Err(error) => sorted.errors.push(error),
        }
    }
    sorted
}

/// Several failures as one: the first, with the others as causes, and what helps with each.
pub fn as_one(errors: Vec<CommandError>) -> Option<CommandError> {
    errors.into_iter().reduce(|first, other| {
        let first = first.because(other.to_string());
        let more: Vec<String> = other.hints.into_iter().filter(|hint| !first.hints.contains(hint)).collect();
        more.into_iter().fold(first, CommandError::hinted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use asm_shared::fleet::Target;

    #[test]
    fn answers_stand_in_the_order_of_the_targets() {
        let name = |name: &str| LiveTargetName { target: Target::Cluster(name.into()), kube_context: name.to_owned() };
        let targets: Vec<_> = (0..20).map(|number| name(&format!("m{number}"))).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answers = runtime.block_on(each(&targets, async |target| {
            let number: u32 = target.kube_context[1..].parse().unwrap();
            // Of those that are asked at the same time, the later ones answer first.
            for _ in number..20 {
                tokio::task::yield_now().await;
            }
            if number % 7 == 3 { Err(CommandError::unreachable(target.kube_context.clone())) } else { Ok(number) }
        }));
        let answers = sorted(answers);
        assert_eq!(answers.found, [0, 1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 18, 19]);
        let messages: Vec<&str> = answers.errors.iter().map(|error| error.message.as_str()).collect();
        assert_eq!(messages, ["m3", "m10", "m17"]);
    }

    #[test]
    fn failures_are_told_as_one() {
        assert!(as_one(Vec::new()).is_none());
        let error = |name: &str| CommandError::unreachable(name).because("refused").hinted("is it up?").hinted(name);
        let one = as_one(vec![error("a"), error("b"), error("c")]).unwrap();
        assert_eq!(one.to_string(), "a: refused: b: refused: c: refused");
        assert_eq!(one.hints, ["is it up?", "a", "b", "c"]);
    }
}
