//! The command line: the flags that kubectl users type by reflex, anywhere after `kubectl asm`, and the verbs.

use crate::commands::Command;
use crate::ui::Color;
use clap::{ArgAction, ArgMatches, Args, CommandFactory as _, Parser};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

const CONNECTION: &str = "Connection options (as in kubectl)";
const GLOBAL: &str = "Global options";

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

/// Flags of every command. They may stand anywhere on the command line.
#[derive(Clone, Debug, Default, Args)]
pub struct GlobalArgs {
    /// Root of the fleet repository [default: the nearest parent directory with a fleet.yaml]
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    pub repo: Option<PathBuf>,

    /// Namespace of the objects
    #[arg(long, short, global = true, value_name = "NAME", help_heading = GLOBAL)]
    pub namespace: Option<String>,

    /// Objects of all namespaces
    #[arg(long, short = 'A', global = true, conflicts_with = "namespace", num_args = 0..=1, require_equals = true, action = ArgAction::Set, default_value = "false",
          default_missing_value = "true", value_name = "BOOL", hide_default_value = true, hide_possible_values = true, help_heading = GLOBAL)]
    pub all_namespaces: bool,

    /// Output format; each command says which ones it has
    #[arg(long, short, global = true, value_name = "FORMAT", help_heading = GLOBAL)]
    pub output: Option<String>,

    /// Leave the header line of tables out
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, action = ArgAction::Set, default_value = "false",
          default_missing_value = "true", value_name = "BOOL", hide_default_value = true, hide_possible_values = true, help_heading = GLOBAL, hide_short_help = true)]
    pub no_headers: bool,

    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = GLOBAL, hide_short_help = true)]
    pub color: Color,

    /// Never start a pager
    #[arg(
        long,
        global = true,
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        default_value = "false",
        default_missing_value = "true",
        value_name = "BOOL",
        hide_default_value = true,
        hide_possible_values = true,
        help_heading = GLOBAL,
        hide_short_help = true
    )]
    pub no_pager: bool,

    /// Never ask; fail instead
    #[arg(
        long,
        global = true,
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        default_value = "false",
        default_missing_value = "true",
        value_name = "BOOL",
        hide_default_value = true,
        hide_possible_values = true,
        help_heading = GLOBAL,
        hide_short_help = true
    )]
    pub no_input: bool,

    /// Log level, 0 to 9
    #[arg(long = "v", short = 'v', global = true, value_name = "LEVEL", default_value_t = 0,
          value_parser = clap::value_parser!(u8).range(0..=10), help_heading = GLOBAL, hide_short_help = true)]
    pub verbosity: u8,

    /// Path of the kubeconfig file; replaces the KUBECONFIG list
    #[arg(long, global = true, value_name = "FILE", help_heading = CONNECTION, hide_short_help = true)]
    pub kubeconfig: Option<PathBuf>,

    /// Name of a kubeconfig context; may be repeated
    #[arg(long = "context", global = true, value_name = "NAME", action = ArgAction::Append, help_heading = CONNECTION, hide_short_help = true)]
    pub contexts: Vec<String>,

    /// Name of a kubeconfig cluster
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION, hide_short_help = true)]
    pub cluster: Option<String>,

    /// Name of a kubeconfig user
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION, hide_short_help = true)]
    pub user: Option<String>,

    /// User to act as
    #[arg(long = "as", global = true, value_name = "USER", help_heading = CONNECTION, hide_short_help = true)]
    pub impersonate: Option<String>,

    /// Group to act as; may be repeated
    #[arg(long = "as-group", global = true, value_name = "GROUP", action = ArgAction::Append, help_heading = CONNECTION, hide_short_help = true)]
    pub impersonate_groups: Vec<String>,

    /// UID to act as
    #[arg(long = "as-uid", global = true, value_name = "UID", help_heading = CONNECTION, hide_short_help = true)]
    pub impersonate_uid: Option<String>,

    /// How long to wait for one request, for example 30s or 2m; 0 waits without limit
    #[arg(long, global = true, value_name = "DURATION", default_value = "0", help_heading = CONNECTION, hide_short_help = true)]
    pub request_timeout: String,

    /// Address of the API server
    #[arg(long, short, global = true, value_name = "URL", help_heading = CONNECTION, hide_short_help = true)]
    pub server: Option<String>,

    /// User name for basic authentication
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION, hide_short_help = true)]
    pub username: Option<String>,

    /// Password for basic authentication
    #[arg(long, global = true, value_name = "PASSWORD", help_heading = CONNECTION, hide_short_help = true)]
    pub password: Option<String>,

    /// Bearer token
    #[arg(long, global = true, value_name = "TOKEN", help_heading = CONNECTION, hide_short_help = true)]
    pub token: Option<String>,

    /// File with the certificates of the API server's authority
    #[arg(long, global = true, value_name = "FILE", help_heading = CONNECTION, hide_short_help = true)]
    pub certificate_authority: Option<PathBuf>,

    /// File with the client certificate
    #[arg(long, global = true, value_name = "FILE", help_heading = CONNECTION, hide_short_help = true)]
    pub client_certificate: Option<PathBuf>,

    /// File with the client key
    #[arg(long, global = true, value_name = "FILE", help_heading = CONNECTION, hide_short_help = true)]
    pub client_key: Option<PathBuf>,

    /// Do not check the API server's certificate
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, action = ArgAction::Set, default_value = "false",
          default_missing_value = "true", value_name = "BOOL", hide_default_value = true, hide_possible_values = true, help_heading = CONNECTION, hide_short_help = true)]
    pub insecure_skip_tls_verify: bool,

    /// Name to expect in the API server's certificate
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION, hide_short_help = true)]
    pub tls_server_name: Option<String>,

    /// Ask the API server not to compress answers
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, action = ArgAction::Set, default_value = "false",
          default_missing_value = "true", value_name = "BOOL", hide_default_value = true, hide_possible_values = true, help_heading = CONNECTION, hide_short_help = true)]
    pub disable_compression: bool,

    /// Accepted for kubectl's sake; nothing is cached
    #[arg(long, global = true, value_name = "DIR", help_heading = CONNECTION, hide_short_help = true)]
    pub cache_dir: Option<PathBuf>,

    /// Flags of kubectl that mean nothing here.
    #[command(flatten)]
    pub without_effect: WithoutEffect,
}

/// Flags that kubectl takes with every command and that mean nothing here: whoever has them in a script or an alias is
/// not refused.
#[derive(Clone, Debug, Default, Args)]
pub struct WithoutEffect {
    /// How often kubectl writes its log.
    #[arg(long, global = true, hide = true)]
    pub log_flush_frequency: Option<String>,
    /// kubectl compares its version with the server's.
    #[arg(long, global = true, hide = true, num_args = 0..=1, require_equals = true, action = ArgAction::Set, default_value = "false",
          default_missing_value = "true", value_name = "BOOL")]
    pub match_server_version: bool,
    /// kubectl measures itself.
    #[arg(long, global = true, hide = true)]
    pub profile: Option<String>,
    /// Where kubectl puts what it measured.
    #[arg(long, global = true, hide = true)]
    pub profile_output: Option<String>,
    /// Log levels of kubectl's source files.
    #[arg(long, global = true, hide = true)]
    pub vmodule: Option<String>,
    /// kubectl fails on warnings of the API server, which are not shown here.
    #[arg(long, global = true, hide = true, num_args = 0..=1, require_equals = true, action = ArgAction::Set, default_value = "false",
          default_missing_value = "true", value_name = "BOOL")]
    pub warnings_as_errors: bool,
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
