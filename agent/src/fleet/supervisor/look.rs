//! Looking at the branch, and reading what a new commit says.

use super::Supervisor;
use crate::fleet::commit::Reader;
use crate::fleet::conditions::short;
use crate::fleet::expiry::Credentials;
use crate::source::{self, Fetched};
use crate::trace;
use crate::web::Commit;
use asm_shared::api::{SourceStatus, SyncProblem};
use asm_shared::fleet::{Problem, Target};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use kube::runtime::events::EventType;
use std::sync::Arc;
use tokio::time::Instant;

impl Supervisor {
    /// Looks at the branch; reads the fleet when there is a new commit.
    pub(super) async fn poll(&mut self) {
        self.warn_of_expiry().await;
        let spec = self.sync.spec.source.clone();
        let started = Instant::now();
        let secrets = match crate::credentials::source(&self.context.client, &self.context.namespace, &spec).await {
            Ok(secrets) => secrets,
            Err(error) => return self.source_failed("CredentialsUnusable", error.to_string()).await,
        };
        let last = self.last_revision();
        let accept = self.sync.annotations().get(source::ACCEPT_REVISION).cloned();
        let result = self.source.fetch(&spec, secrets, last.as_deref(), accept.as_deref()).await;
        self.context.metrics.fetched(source::outcome(&result), started.elapsed());
        match result {
            Err(error) => {
                let hint = error.hint(&self.context.namespace, &self.sync.name_any());
                self.source_failed(error.reason(), format!("{error}; {hint}")).await;
            }
            Ok(fetched) => {
                self.known.source_error = None;
                self.known.passed_over.clone_from(&fetched.passed_over);
                if let Some(source) = &mut self.known.source {
                    source.url = Some(fetched.url.clone());
                    source.signed_by.clone_from(&fetched.signed_by);
                }
                let known = self.commit.as_ref().is_some_and(|commit| *commit.revision == *fetched.revision);
                if !known || self.path != spec.path || self.lint != self.sync.spec.lint {
                    self.read(fetched, &spec.path).await;
                }
                // A wish is passed on also when there is no new commit.
                self.give_orders();
            }
        }
    }

    /// Says in time that credentials of targets come to their end.
    async fn warn_of_expiry(&mut self) {
        let ends = self.posts.iter().filter_map(|(target, post)| {
            let end = post.brief()?.expires?;
            let reference = self.sync.spec.kubeconfig_of(target.name());
            Some(Credentials { target: target.name().to_owned(), secret: reference.name, key: reference.key, end })
        });
        self.known.expiring = ends.collect();
        if !self.share.leads {
            return;
        }
        for word in self.expiry.due(&self.known.expiring, &self.context.namespace, Timestamp::now()) {
            tracing::warn!(fleetsync = self.sync.name_any(), "{word}");
            self.events.publish(EventType::Warning, "CredentialsExpireSoon", "Watch", word).await;
        }
    }

    /// The commit that new ones must descend from.
    fn last_revision(&self) -> Option<String> {
        let source = self.known.source.as_ref().or(self.last_status.source.as_ref())?;
        source.revision.clone()
    }

    async fn source_failed(&mut self, reason: &'static str, message: String) {
        let news = self.known.source_error.as_ref().is_none_or(|(known, _)| *known != reason);
        if news {
            tracing::warn!(fleetsync = self.sync.name_any(), reason, "{message}");
            // Every replica looks; one tells.
            if self.share.leads {
                self.events.publish(EventType::Warning, reason, "Fetch", message.clone()).await;
            }
        }
        self.known.source_error = Some((reason, message));
        // The wish to sync is answered: it cannot be fulfilled now, and the condition says why.
        if self.share.leads
            && let Some(request) = self.request.take()
        {
            self.known.handled = Some(request.to_string());
        }
    }

    async fn read(&mut self, fetched: Fetched, path: &str) {
        let reader = Reader {
            repository: fetched.repository.clone(),
            revision: fetched.revision.as_str().into(),
            path: path.to_owned(),
            lint: self.sync.spec.lint,
        };
        let (reading, again) = (reader.clone(), reader.clone());
        let syncing = trace::Syncing::begin(&crate::fleet::full_name(&self.sync), &reader.revision);
        let span = syncing.read();
        let inside = span.clone();
        let (state, took) = match tokio::task::spawn_blocking(move || inside.in_scope(|| reading.read())).await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => return self.source_failed("TreeUnreadable", error).await,
            Err(error) => {
                return self.source_failed("TreeUnreadable", format!("the reader ended unexpectedly: {error}")).await;
            }
        };
        span.record("objects", state.manifests.len());
        span.record("problems", state.problems.len());
        drop(span);
        let revision = short(&reader.revision).to_owned();
        self.context.metrics.commit_seen();
        tracing::info!(
            fleetsync = self.sync.name_any(),
            revision,
            objects = state.manifests.len(),
            problems = state.problems.len(),
            held = state.held.iter().filter(|held| !held.leans).count(),
            lint_ms = took.as_millis(),
            "new commit"
        );
        self.known.source = Some(SourceStatus {
            revision: Some(fetched.revision),
            subject: Some(fetched.subject),
            author: Some(fetched.author),
            seen_at: Some(Time(Timestamp::now())),
            url: Some(fetched.url),
            signed_by: fetched.signed_by,
        });
        self.known.problems = state.problems.iter().map(sync_problem).collect();
        self.known.has_fleet = state.fleet.is_some();
        if !state.problems.is_empty() && self.share.leads {
            let first = self.known.problems.first().map(|problem| format!("{}: {}", problem.at, problem.message));
            let note = format!("{revision}: {} problems, first {}", state.problems.len(), first.unwrap_or_default());
            self.events.publish(EventType::Warning, "FilesWrong", "Read", note).await;
        }
        self.path.clone_from(&reader.path);
        self.lint = reader.lint;
        self.syncing_since = Some(Instant::now());
        self.syncing.end(self.posts.len(), "Superseded");
        self.syncing = syncing;
        // Other replicas may be behind for a moment: no reason to look at the branch again.
        self.looked_for = self.commit.take().map(|before| before.revision.to_string());
        let clusters = state.targets().into_iter().filter(|target| *target != Target::Mesh);
        let clusters = clusters.map(|cluster| cluster.name().to_owned()).collect();
        let whole = move || again.read().map(|(state, _)| state);
        self.commit = Some(Arc::new(Commit::new(&reader.revision, clusters, whole)));
        self.make_orders(reader, Arc::new(state)).await;
    }
}

fn sync_problem(problem: &Problem) -> SyncProblem {
    let at = problem.position.as_ref().map_or_else(|| "fleet".to_owned(), ToString::to_string);
    let hint = problem.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
    SyncProblem { at, message: format!("{}{hint}", problem.message) }
}
