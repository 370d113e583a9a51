//! `kubectl asm __complete`: kubectl's protocol for completing plugins. The words after `kubectl asm` come in, the last of
//! them unfinished; candidates go out, one per line with an optional description after a tab, then `:` and a number that
//! says what the shell should do. It runs on every TAB: it answers from the command line's definition and the files of
//! the fleet, never from a cluster, and an error is no candidates.

use crate::cli;
use crate::commands::graph::FORMATS as GRAPH_FORMATS;
use crate::commands::lint::FORMATS as LINT_FORMATS;
use crate::commands::route::test::FORMATS as ROUTE_TEST_FORMATS;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::kubeconfig;
use asm_io::tree::DirTree;
use asm_shared::authoring::LoadBalancerService;
use asm_shared::fleet::{FleetState, Manifest, Part, Target};
use asm_shared::lint;
use asm_shared::object::kinds::{ASM, ISTIO_NETWORKING};
use clap::{Arg, Command};
use std::mem::ManuallyDrop;

/// Bits of cobra's directive.
const NO_FILES: u8 = 4;
const DEFAULT: u8 = 0;

/// Completes a command line.
#[derive(Debug, clap::Args)]
pub struct CompleteArgs {
    /// The words after `kubectl asm`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// A candidate and its description.
type Candidate = (String, String);

/// Runs it.
pub fn run(context: &Context, args: CompleteArgs) -> Result<Exit, CommandError> {
    let mut root = cli::command("kubectl-asm".as_ref());
    root.build();
    let names = |what: Names| names(context, what);
    let (mut candidates, directive) = complete(&root, &args.words, &names);
    candidates.sort();
    candidates.dedup();
    for (word, about) in candidates {
        context.ui().line(&if about.is_empty() { word } else { format!("{word}\t{about}") });
    }
    context.ui().line(&format!(":{directive}"));
    Ok(Exit::Clean)
}

/// Names that are looked up when they are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    Clusters,
    /// The mesh and the clusters.
    Targets,
    Groups,
    Gateways,
    IstioGateways,
    Routes,
    Services,
    Namespaces,
    Contexts,
    LoadBalancers,
    /// `kind/name` of whatever stands in the files.
    Objects,
}

impl Names {
    /// The files that they stand in: a TAB does not wait for the rest of the fleet to be read.
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::Contexts => &[],
            Self::Clusters | Self::Targets | Self::Groups => &["fleet.yaml"],
            Self::Gateways | Self::IstioGateways | Self::Routes => &["fleet.yaml", "mesh/"],
            Self::Services | Self::Namespaces | Self::LoadBalancers | Self::Objects => &[""],
        }
    }
}

fn names(context: &Context, what: Names) -> Vec<String> {
    if what == Names::Contexts {
        let config = kubeconfig::load(context).unwrap_or_default();
        return config.contexts.into_iter().map(|context| context.name).collect();
    }
    let Ok(root) = context.repo_root() else { return Vec::new() };
    // Taking a large fleet apart again would take longer than printing its names; the process ends at once.
    let state = &*ManuallyDrop::new(FleetState::read(&Part::of(&DirTree::new(&root), what.files())));
    let fleet = state.fleet.iter();
    match what {
        Names::Clusters => fleet.flat_map(|fleet| &fleet.spec.clusters).map(|cluster| cluster.name.clone()).collect(),
        Names::Targets => state.targets().iter().map(|target| target.name().to_owned()).collect(),
        Names::Groups => fleet.flat_map(|fleet| &fleet.spec.groups).map(|group| group.name.clone()).collect(),
        Names::Gateways => objects(state, ISTIO_NETWORKING, "Gateway"),
        Names::IstioGateways => objects(state, ASM, "IstioGateway"),
        Names::Routes => objects(state, ISTIO_NETWORKING, "VirtualService"),
        Names::Services => {
            let services = state.manifests.iter().filter(|manifest| manifest.group_kind().is("", "Service"));
            services.map(|manifest| manifest.id.name.to_string()).collect()
        }
        Names::Namespaces => {
            state.manifests.iter().filter_map(|manifest| manifest.id.namespace.as_deref()).map(str::to_owned).collect()
        }
        Names::LoadBalancers => LoadBalancerService::all(state).into_iter().map(|service| service.name).collect(),
        Names::Objects => {
            let kind = |manifest: &Manifest| manifest.group_kind().kind.to_lowercase();
            state.manifests.iter().map(|manifest| format!("{}/{}", kind(manifest), manifest.id.name)).collect()
        }
        Names::Contexts => Vec::new(),
    }
}

fn objects(state: &FleetState, group: &str, kind: &str) -> Vec<String> {
    let wanted = state.manifests_of(&Target::Mesh).filter(|manifest| manifest.group_kind().is(group, kind));
    wanted.map(|manifest| manifest.id.name.to_string()).collect()
}

fn complete(root: &Command, words: &[String], names: &dyn Fn(Names) -> Vec<String>) -> (Vec<Candidate>, u8) {
    let (unfinished, finished) = words.split_last().map_or(("", words), |(last, rest)| (last.as_str(), rest));
    let mut command = root;
    let mut path = Vec::new();
    let mut positionals = 0;
    let mut open: Option<&Arg> = None;
    for word in finished {
        if open.take().is_some() {
            continue;
        }
        if let Some(flag) = word.strip_prefix('-') {
            if !word.contains('=') {
                open = find_flag(command, flag).filter(|arg| takes_value(arg));
            }
        } else if let Some(found) = command.find_subcommand(word) {
            path.push(found.get_name());
            command = found;
        } else {
            positionals += 1;
        }
    }
    let (arg, prefix, typed) = if let Some(arg) = open {
        (Some(arg), String::new(), unfinished)
    } else if let Some((flag, value)) = unfinished.split_once('=').filter(|(flag, _)| flag.starts_with('-')) {
        (find_flag(command, &flag[1..]), format!("{flag}="), value)
    } else if unfinished.starts_with('-') {
        return (starting_with(flags(command), unfinished), NO_FILES);
    } else if command.has_subcommands() {
        return (starting_with(subcommands(command), unfinished), NO_FILES);
    } else {
        let positional = command.get_positionals().nth(positionals).or_else(|| command.get_positionals().last());
        (positional, String::new(), unfinished)
    };
    let Some(arg) = arg else { return (Vec::new(), NO_FILES) };
    let Some(values) = values(&path, arg, names) else { return (Vec::new(), DEFAULT) };
    // The part after the last comma is the one being typed.
    let done = typed.rfind(',').map_or(0, |comma| comma + 1);
    let prefix = format!("{prefix}{}", &typed[..done]);
    let candidates = starting_with(values, &typed[done..]);
    (candidates.into_iter().map(|(word, about)| (format!("{prefix}{word}"), about)).collect(), NO_FILES)
}

fn starting_with(candidates: Vec<Candidate>, prefix: &str) -> Vec<Candidate> {
    candidates.into_iter().filter(|(word, _)| word.starts_with(prefix)).collect()
}

fn find_flag<'a>(command: &'a Command, flag: &str) -> Option<&'a Arg> {
    let mut args = command.get_arguments();
    match flag.strip_prefix('-') {
        Some(long) => args.find(|arg| arg.get_long() == Some(long)),
        None => args.find(|arg| arg.get_short() == flag.chars().next() && flag.chars().count() == 1),
    }
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

fn flags(command: &Command) -> Vec<Candidate> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    shown.filter_map(|arg| Some((format!("--{}", arg.get_long()?), first_line(arg.get_help())))).collect()
}

fn subcommands(command: &Command) -> Vec<Candidate> {
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help");
    shown.map(|command| (command.get_name().to_owned(), first_line(command.get_about()))).collect()
}

fn first_line(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(|text| text.to_string().lines().next().unwrap_or_default().to_owned()).unwrap_or_default()
}

/// The values of an argument; `None` when files may be meant.
fn values(path: &[&str], arg: &Arg, names: &dyn Fn(Names) -> Vec<String>) -> Option<Vec<Candidate>> {
    let possible: Vec<_> = arg.get_possible_values();
    if !possible.is_empty() {
        let candidate =
            |value: &clap::builder::PossibleValue| (value.get_name().to_owned(), first_line(value.get_help()));
        return Some(possible.iter().filter(|value| !value.is_hide_set()).map(candidate).collect());
    }
    let what = match (path, arg.get_id().as_str()) {
        (_, "contexts" | "mesh_context") | (["cluster", ..], "context") => Names::Contexts,
        (_, "namespace") => Names::Namespaces,
        (_, "cluster" | "clusters") | (["cluster", "remove"], "name") => Names::Clusters,
        (["cluster", ..], "group" | "groups") => Names::Groups,
        (["graph"], "targets") => Names::Clusters,
        (["graph"], "gateways") => Names::IstioGateways,
        (["diff" | "lint" | "drift"], "targets") => Names::Targets,
        (["adopt" | "revert" | "freeze" | "unfreeze"], "object" | "objects") => Names::Objects,
        (["lint"], "rules" | "ignored") | (["explain"], "rule") => {
            return Some(lint::all().map(|rule| (rule.id.to_owned(), rule.summary.to_owned())).collect());
        }
        (["lint"], "output") => return Some(LINT_FORMATS.map(|format| (format.to_owned(), String::new())).into()),
        (["graph"], "output") => return Some(GRAPH_FORMATS.map(|format| (format.to_owned(), String::new())).into()),
        (["route", "test"], "gateway") => Names::IstioGateways,
        (["route", "test"], "from") => Names::Clusters,
        (["route", "test"], "clb") => Names::LoadBalancers,
        (["route", "test"], "output") => {
            return Some(ROUTE_TEST_FORMATS.map(|format| (format.to_owned(), String::new())).into());
        }
        (["route", ..], "gateway" | "gateways") => Names::Gateways,
        (["route", "add"], "name") => return Some(Vec::new()),
        (["route", ..], "name" | "names" | "route" | "routes") => Names::Routes,
        (["route", ..], "host") => Names::Services,
        (["gateway", "create"], "name") => return Some(Vec::new()),
        (["gateway", "share"], "gateway") => Names::Gateways,
        (["clb", "show" | "remove" | "replace"], "name") => Names::LoadBalancers,
        (["clb", ..], "group") => Names::Groups,
        (["gateway", ..], "name" | "names") | (["gateway" | "clb", ..], "gateway" | "gateways") => Names::IstioGateways,
        (_, "output") => {
            let formats = ["json", "yaml", "name", "wide"];
            return Some(formats.map(|format| (format.to_owned(), String::new())).into());
        }
        _ => {
            let hint = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str());
            return if matches!(hint, Some("DIR" | "FILE" | "PATH")) { None } else { Some(Vec::new()) };
        }
    };
    Some(names(what).into_iter().map(|name| (name, String::new())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(line: &str) -> (Vec<String>, u8) {
        let mut root = cli::command("kubectl-asm".as_ref());
        root.build();
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        let names = |what: Names| match what {
            Names::Clusters => vec!["m1c1".to_owned(), "m1c2".to_owned()],
            _ => Vec::new(),
        };
        let (candidates, directive) = complete(&root, &words, &names);
        (candidates.into_iter().map(|(word, _)| word).collect(), directive)
    }

    #[test]
    fn verbs_flags_and_names() {
        assert_eq!(ask("ini"), (vec!["init".to_owned()], NO_FILES));
        assert_eq!(ask("gateway cr"), (vec!["create".to_owned()], NO_FILES));
        assert_eq!(ask("gateway create x --serverl"), (vec!["--serverless".to_owned()], NO_FILES));
        assert_eq!(
            ask("gateway create x --cluster m1c1,m"),
            (vec!["m1c1,m1c1".to_owned(), "m1c1,m1c2".to_owned()], NO_FILES)
        );
        assert_eq!(ask("gateway create x --cluster=m1c2"), (vec!["--cluster=m1c2".to_owned()], NO_FILES));
        assert_eq!(ask("--color a"), (vec!["auto".to_owned(), "always".to_owned()], NO_FILES));
        assert_eq!(ask("init --dir "), (vec![], DEFAULT));
    }
}
