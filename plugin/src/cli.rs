//! The command line: the flags that kubectl users type by reflex, anywhere after `kubectl asm`, and the verbs.

use crate::commands::Command;
use crate::globals::GlobalArgs;
use clap::{ArgMatches, CommandFactory as _, Parser};
use std::ffi::OsString;
use std::path::Path;

/// Gateways, load balancers and routes of an Alibaba Cloud Service Mesh fleet, kept as plain YAML in Git.
///
/// A fleet repository has a `fleet.yaml` and the folders `mesh/`, `groups/` and `clusters/`. Commands find it from the
/// current directory upwards and change files in it. They leave committing to you, but for `clb replace`, `--steps` and
/// `pr create`, whose steps are commits. `asm-agent` brings what is committed to the clusters.
#[derive(Debug, Parser)]
#[command(
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  # start a fleet repository with two member clusters
  kubectl asm init shop --region cn-hangzhou
  kubectl asm cluster add m1c1 --id ACK-CLUSTER-ID
  kubectl asm cluster add m1c2 --id ACK-CLUSTER-ID

  # one serverless gateway in front of both
  kubectl asm gateway create ingressgateway --serverless

Exit codes: 0 clean, 1 findings, differences or drift, 2 usage or input error, 3 something could not be reached,
130 broken off with Ctrl-C or Esc."
)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub globals: GlobalArgs,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// A command line before it is understood.
#[derive(Debug)]
pub struct Invocation {
    /// The definition of the command line, named as the user calls it.
    pub command: clap::Command,
    args: Vec<OsString>,
}

impl Invocation {
    /// Takes the arguments, the program's name first.
    pub fn new(args: impl IntoIterator<Item = OsString>) -> Self {
        let mut args: Vec<_> = args.into_iter().collect();
        if args.is_empty() {
            args.push("kubectl-asm".into());
        }
        let command = command(&args[0]).color(requested_color(&args));
        let args = sink_cluster(&command, hoist_repeatable(args));
        Self { command, args }
    }

    /// Parses the arguments.
    pub fn parse(&mut self) -> Result<ArgMatches, clap::Error> {
        self.command.try_get_matches_from_mut(&self.args)
    }

    /// Does the verb give `--cluster` a meaning of its own (clusters of the fleet)? Then it does not name a cluster of
    /// the kubeconfig.
    pub fn defines_own_cluster_flag(&self, matches: &ArgMatches) -> bool {
        let (mut command, mut matches) = (&self.command, matches);
        while let Some((name, inner)) = matches.subcommand() {
            let Some(found) = command.find_subcommand(name) else { return false };
            (command, matches) = (found, inner);
        }
        has_own_cluster_flag(command)
    }
}

/// The definition of the command line. Usage lines say `kubectl asm` when the program runs as a kubectl plugin.
pub fn command(program: &std::ffi::OsStr) -> clap::Command {
    let file = Path::new(program).file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = if file.is_empty() || file.starts_with("kubectl-") { "kubectl asm".to_owned() } else { file };
    Cli::command().name("kubectl-asm").display_name("kubectl asm").bin_name(name)
}

/// Flags that may be repeated. clap keeps, of a global flag, only the values of the innermost level where it stands, so
/// `--context a diff --context b` would lose `a`.
const REPEATABLE: [&str; 2] = ["--context", "--as-group"];

/// Moves the repeatable global flags behind the program's name.
fn hoist_repeatable(args: Vec<OsString>) -> Vec<OsString> {
    // The words to be completed are not flags of this run.
    if args.get(1).is_some_and(|word| word == "__complete") {
        return args;
    }
    let mut args = args.into_iter();
    let mut front: Vec<OsString> = args.next().into_iter().collect();
    let mut rest = Vec::new();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if text == "--" {
            rest.push(arg);
            rest.extend(args);
            break;
        } else if REPEATABLE.iter().any(|flag| text == *flag) {
            front.push(arg);
            front.extend(args.next());
        } else if REPEATABLE.iter().any(|flag| text.strip_prefix(flag).is_some_and(|tail| tail.starts_with('='))) {
            front.push(arg);
        } else {
            rest.push(arg);
        }
    }
    front.append(&mut rest);
    front
}

fn has_own_cluster_flag(command: &clap::Command) -> bool {
    command.get_arguments().any(|arg| arg.get_id() == "cluster" && !arg.is_global_set())
}

/// Moves `--cluster` behind a verb that gives it a meaning of its own. clap would take it, before the verb, for kubectl's,
/// and then hand its value to the verb without the verb's checks.
fn sink_cluster(root: &clap::Command, args: Vec<OsString>) -> Vec<OsString> {
    let takes_value = |word: &str| {
        let is_it = |arg: &&clap::Arg| match word.strip_prefix("--") {
            Some(long) => arg.get_long() == Some(long),
            None => word.chars().eq(arg.get_short().into_iter().flat_map(|short| ['-', short])),
        };
        let found = root.get_arguments().find(is_it);
        found.is_some_and(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set())
    };
    let (mut command, mut kept, mut moved) = (root, Vec::new(), Vec::new());
    let mut rest = args.iter().skip(1);
    while command.has_subcommands() {
        let Some(arg) = rest.next() else { return args };
        let word = arg.to_string_lossy();
        let to = if word == "--cluster" || word.starts_with("--cluster=") { &mut moved } else { &mut kept };
        to.push(arg.clone());
        if word.starts_with('-') {
            if takes_value(&word) {
                to.extend(rest.next().cloned());
            }
        } else if let Some(found) = command.find_subcommand(word.as_ref()) {
            command = found;
        } else {
            return args;
        }
    }
    if moved.is_empty() || !has_own_cluster_flag(command) {
        return args;
    }
    args.iter().take(1).chain(&kept).chain(&moved).chain(rest).cloned().collect()
}

/// The colour choice for clap's own messages, which are printed before the arguments are understood.
fn requested_color(args: &[OsString]) -> clap::ColorChoice {
    let after_flag = args.windows(2).filter(|pair| pair[0] == "--color").map(|pair| pair[1].to_string_lossy());
    let joined = args
        .iter()
        .map(|arg| arg.to_string_lossy())
        .filter_map(|arg| arg.strip_prefix("--color=").map(|value| value.to_owned().into()));
    match after_flag.chain(joined).last().as_deref() {
        Some("always") => clap::ColorChoice::Always,
        Some("never") => clap::ColorChoice::Never,
        _ => clap::ColorChoice::Auto,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_is_consistent() {
        command("kubectl-asm".as_ref()).debug_assert();
    }

    #[test]
    fn usage_names_the_program_as_it_was_called() {
        for (program, expected) in
            [("kubectl-asm", "kubectl asm"), ("/opt/bin/kubectl-asm.exe", "kubectl asm"), ("asmctl", "asmctl")]
        {
            assert_eq!(command(program.as_ref()).get_bin_name(), Some(expected), "{program}");
        }
    }

    #[test]
    fn repeatable_flags_are_hoisted() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(
            hoist_repeatable(words("asm diff --context=b -v 1 --as-group g -- --context c")),
            words("asm --context=b --as-group g diff -v 1 -- --context c"),
        );
        assert_eq!(hoist_repeatable(words("asm __complete --context")), words("asm __complete --context"));
    }
}
