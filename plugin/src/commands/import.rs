//! `kubectl asm import`.

mod render;

use crate::commands::init;
use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::live::survey::{WORKLOADS, Wish, survey};
use crate::output::OutputFormat;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::did_you_mean;
use asm_shared::fleet::{Fleet, Target};
use asm_shared::import::{Harvest, Import, ImportFleet, Member};
use asm_shared::object::{GroupKind, ObjectId, kinds};
use std::collections::BTreeSet;
use std::path::Path;

/// Takes what runs into Git: reads a mesh and its clusters and writes them as files of a fleet.
///
/// Reads (GET and LIST only) every IstioGateway and Istio object of the mesh, the LoadBalancer Services of the members,
/// and the workloads that are asked for with their Services and ServiceAccounts. Leaves out what ASM generates, what
/// other objects or tools own, Secrets, and of every object what API servers and controllers fill in; says what and why.
///
/// With --namespace only objects of that namespace, or of several with commas between them.
///
/// In a fleet it adds what is not there; elsewhere it starts one. Nothing is written when anything could not be read.
/// The agent takes the objects over without changing more than their labels.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # a mesh and two clusters, with every workload labelled app in the namespace shop
  kubectl asm import --mesh-context asm --cluster m1c1=ack-1 --cluster m1c2=ack-2 -n shop,istio-system --workloads app

  # look first; in the fleet that is here, from the contexts that fleet.yaml names
  kubectl asm import --dry-run

  # one more workload with its ConfigMaps
  kubectl asm import --workload deployment/shop/web --config-maps")]
pub struct ImportArgs {
    /// Name of a new fleet [default: the name of the directory]
    name: Option<String>,

    /// kubeconfig context of the mesh's own API [default: that of fleet.yaml, else mesh]
    #[arg(long, value_name = "CONTEXT")]
    mesh_context: Option<String>,

    /// Member cluster and its kubeconfig context; may be repeated [default: those of fleet.yaml]
    #[arg(long = "cluster", value_name = "NAME[=CONTEXT]", value_delimiter = ',')]
    cluster: Vec<String>,

    /// Workloads with these labels, a selector as in kubectl; may be repeated
    #[arg(long, value_name = "SELECTOR")]
    workloads: Vec<String>,

    /// A workload by name: deployment/NAMESPACE/NAME or statefulset/NAMESPACE/NAME; may be repeated
    #[arg(long, value_name = "KIND/NAMESPACE/NAME")]
    workload: Vec<String>,

    /// The ConfigMaps of the workloads too
    #[arg(long)]
    config_maps: bool,

    /// Kinds that are not read, such as IstioGateway; may be repeated
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    without: Vec<String>,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: ImportArgs) -> Result<Exit, CommandError> {
    let format = context.output(&write::FORMATS)?;
    if !context.globals.contexts.is_empty() {
        return Err(CommandError::usage("import reads several contexts")
            .hinted("name them with --mesh-context CONTEXT and --cluster NAME=CONTEXT"));
    }
    let wish = wish(context, &args)?;
    let repo = repo(context)?;
    ensure_sound(&repo)?;
    let fleet = repo.state.fleet.as_ref();
    let members = members(fleet, &args.cluster)?;
    let known_context = fleet.map(|fleet| fleet.spec.mesh.context.clone().unwrap_or_else(|| "mesh".to_owned()));
    let mesh_context = args.mesh_context.clone().or(known_context).unwrap_or_else(|| "mesh".to_owned());
    let intent = ImportFleet {
        name: match (&args.name, fleet) {
            (Some(name), None) => name.clone(),
            (None, None) => init::name_of(&repo.root)?,
            (Some(name), Some(fleet)) if *name != fleet.metadata.name => {
                return Err(CommandError::usage(format!("the fleet here is named {}", fleet.metadata.name))
                    .hinted("leave the name out to add to it"));
            }
            _ => String::new(),
        },
        mesh_context: Some(mesh_context.clone()),
        members,
    };
    // Names are wrong before anything is read.
    intent.plan(&repo.tree, &repo.state, &Harvest::new(Target::Mesh), &[])?;
    let (mesh, harvests) = {
        let progress = context.ui().progress(&format!("reading the mesh and {} clusters", intent.members.len()));
        let read = context.block_on(survey(context, &wish, &mesh_context, &intent.members));
        drop(progress);
        read?
    };
    let mut import = intent.plan(&repo.tree, &repo.state, &mesh, &harvests)?;
    import.report.dry_run = args.write.is_dry_run();
    let edits: Vec<_> = import.edits.iter().collect();
    write::check(&repo, &edits)?;
    if !args.write.is_dry_run() {
        write_all(context, &repo, &import)?;
    }
    show(context, format, &repo, &import, args.write)?;
    if wish.selectors.is_empty() && wish.workloads.is_empty() && !harvests.is_empty() && !format.is_document() {
        context.ui().hint(
            "no workloads were asked for: choose some with --workloads SELECTOR or --workload KIND/NAMESPACE/NAME",
        );
    }
    Ok(Exit::Clean)
}

fn write_all(context: &Context, repo: &FleetRepo, import: &Import) -> Result<(), CommandError> {
    if import.edits.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(&repo.root)
        .map_err(|error| CommandError::input(format!("cannot make {}", repo.root.display())).caused_by(&error))?;
    write::write_files(&repo.root, &import.edits.iter().collect::<Vec<_>>())?;
    if repo.state.fleet.is_none() {
        init::start_git(context, &repo.root);
    }
    Ok(())
}

fn show(
    context: &Context,
    format: OutputFormat,
    repo: &FleetRepo,
    import: &Import,
    args: WriteArgs,
) -> Result<(), CommandError> {
    if format.is_document() {
        return render::document(context.ui(), format, &import.report);
    }
    let edits: Vec<_> = import.edits.iter().collect();
    write::report(context, format, &edits, args)?;
    if format != OutputFormat::Name {
        render::human(context.ui(), &import.report);
    }
    if !args.is_dry_run() && !edits.is_empty() {
        render::next_steps(context.ui(), &write::git_commands(&repo.root, &import.edits));
    }
    Ok(())
}

/// The fleet that is here, or the place where one may start: an empty directory or the root of a Git working tree.
fn repo(context: &Context) -> Result<FleetRepo, CommandError> {
    let here = match &context.globals.repo {
        Some(root) => root.clone(),
        None => std::env::current_dir()
            .map_err(|error| CommandError::input("cannot tell the current directory").caused_by(&error))?,
    };
    let here = init::real_path(&here)
        .map_err(|error| CommandError::input(format!("cannot use {}", here.display())).caused_by(&error))?;
    let root = crate::context::find_root(&here);
    let root = if context.globals.repo.is_some() { root.filter(|root| *root == here) } else { root };
    if let Some(root) = root {
        write::recover(context.ui(), &root)?;
        return FleetRepo::open(root);
    }
    if may_start(&here) {
        write::recover(context.ui(), &here)?;
        return FleetRepo::open(here);
    }
    Err(CommandError::input(format!("{} is neither a fleet, nor empty, nor a Git repository", here.display()))
        .hinted("name an empty directory with --repo DIR, or start a fleet here with: kubectl asm init"))
}

fn may_start(root: &Path) -> bool {
    let entries = std::fs::read_dir(root).map(|entries| entries.flatten().map(|entry| entry.file_name()).collect());
    let entries: Vec<_> = match entries {
        Ok(entries) => entries,
        Err(error) => return error.kind() == std::io::ErrorKind::NotFound,
    };
    entries.iter().all(|name| name.to_string_lossy().starts_with('.')) || root.join(".git").exists()
}

/// A file that cannot be read may hold what would be written a second time.
fn ensure_sound(repo: &FleetRepo) -> Result<(), CommandError> {
    if repo.state.fleet.is_none() && !repo.root.join("fleet.yaml").exists() {
        return Ok(());
    }
    let serious: Vec<_> = repo.state.problems.iter().collect();
    if serious.is_empty() {
        return Ok(());
    }
    let error = CommandError::input("the fleet has problems: what is in Git already cannot be told");
    Err(serious
        .into_iter()
        .take(10)
        .fold(error, |error, problem| error.because(problem.to_string()).hinted_with(problem.hint.clone())))
}

/// The members to read: those given, or those of fleet.yaml.
fn members(fleet: Option<&Fleet>, given: &[String]) -> Result<Vec<Member>, CommandError> {
    let known: Vec<Member> = fleet
        .into_iter()
        .flat_map(|fleet| &fleet.spec.clusters)
        .map(|cluster| Member {
            name: cluster.name.clone(),
            context: cluster.context.clone().unwrap_or_else(|| cluster.name.clone()),
        })
        .collect();
    let mut members: Vec<Member> = Vec::new();
    for text in given {
        let (name, context) = text.split_once('=').unwrap_or((text, ""));
        if name.is_empty() || (text.contains('=') && context.is_empty()) {
            return Err(CommandError::usage(format!("--cluster {text}: write NAME=CONTEXT")));
        }
        if members.iter().any(|member| member.name == name) {
            return Err(CommandError::usage(format!("--cluster {name} is given twice")));
        }
        let of_fleet = known.iter().find(|member| member.name == name);
        let context = match (context, of_fleet) {
            ("", Some(member)) => member.context.clone(),
            ("", None) => name.to_owned(),
            (context, _) => context.to_owned(),
        };
        members.push(Member { name: name.to_owned(), context });
    }
    if given.is_empty() {
        members = known;
    }
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(members)
}

fn wish(context: &Context, args: &ImportArgs) -> Result<Wish, CommandError> {
    let namespaces = context.globals.namespace.iter().flat_map(|names| names.split(','));
    let namespaces: BTreeSet<String> = namespaces.map(|name| name.trim().to_owned()).collect();
    if namespaces.contains("") {
        return Err(CommandError::usage("--namespace: a name is empty").hinted("write -n NAME[,NAME…]"));
    }
    Ok(Wish {
        namespaces: namespaces.into_iter().collect(),
        without: args.without.iter().map(|name| kind(name)).collect::<Result<_, _>>()?,
        selectors: args.workloads.clone(),
        workloads: args.workload.iter().map(|text| workload(text)).collect::<Result<_, _>>()?,
        config_maps: args.config_maps,
    })
}

/// `deployment/shop/web`.
fn workload(text: &str) -> Result<ObjectId, CommandError> {
    let wrong = || {
        CommandError::usage(format!("--workload {text}: this names no workload"))
            .hinted("write deployment/NAMESPACE/NAME or statefulset/NAMESPACE/NAME")
    };
    let [kind, namespace, name] = text.split('/').collect::<Vec<_>>()[..] else { return Err(wrong()) };
    let kind = kind.to_ascii_lowercase();
    let short = match kind.as_str() {
        "deploy" => "deployment",
        "sts" => "statefulset",
        other => other,
    };
    let found = WORKLOADS.iter().find(|known| {
        let known = known.to_ascii_lowercase();
        short == known || short == format!("{known}s")
    });
    match found {
        Some(kind) if !namespace.is_empty() && !name.is_empty() => {
            Ok(ObjectId::new("apps", kind, Some(namespace), name))
        }
        _ => Err(wrong()),
    }
}

/// A kind that import reads, by kind or plural name.
fn kind(name: &str) -> Result<GroupKind, CommandError> {
    let readable = || {
        kinds::KINDS.iter().filter(|row| {
            row.place == kinds::Place::Mesh
                || matches!(
                    row.kind,
                    "Service"
                        | "ServiceAccount"
                        | "ConfigMap"
                        | "Deployment"
                        | "StatefulSet"
                        | "HorizontalPodAutoscaler"
                )
        })
    };
    let found = readable().find(|row| name.eq_ignore_ascii_case(row.kind) || name.eq_ignore_ascii_case(row.plural));
    found.map(|row| GroupKind::new(row.group, row.kind)).ok_or_else(|| {
        CommandError::usage(format!("--without {name}: import reads no such kind"))
            .hinted_with(did_you_mean(name, readable().map(|row| row.kind)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_by_name() {
        for (text, kind) in [
            ("deployment/shop/web", Some("Deployment")),
            ("deploy/shop/web", Some("Deployment")),
            ("StatefulSets/shop/db", Some("StatefulSet")),
            ("daemonset/shop/x", None),
            ("deployment/web", None),
            ("deployment//web", None),
        ] {
            assert_eq!(workload(text).ok().map(|id| id.group_kind.kind.to_string()).as_deref(), kind, "{text}");
        }
    }

    #[test]
    fn members_by_name_and_context() {
        let read = |given: &[&str]| {
            let given: Vec<_> = given.iter().map(|text| (*text).to_owned()).collect();
            members(None, &given).map(|found| found.into_iter().map(|m| (m.name, m.context)).collect::<Vec<_>>()).ok()
        };
        let pair = |name: &str, context: &str| (name.to_owned(), context.to_owned());
        assert_eq!(read(&["b=x", "a"]), Some(vec![pair("a", "a"), pair("b", "x")]));
        for wrong in [&["=x"][..], &["a="], &["a", "a=b"]] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn only_an_empty_directory_or_a_git_repository_may_become_a_fleet() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_owned();
        assert!(may_start(&root) && may_start(&root.join("new")));
        std::fs::write(root.join("thesis.txt"), "x").unwrap();
        assert!(!may_start(&root));
        std::fs::create_dir(root.join(".git")).unwrap();
        assert!(may_start(&root));
    }
}
