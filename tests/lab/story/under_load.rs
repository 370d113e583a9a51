//! The same random changes under traffic, brought to the mesh in two ways: by the agent, and file by file.

use super::changes::{Dice, Files, HOST, MARK, Routing};
use super::{PATIENCE, Story, api};
use crate::dataplane::traffic::{Question, Tally, Traffic};
use crate::{Lab, MESH, wait_for};
use anyhow::{Context as _, Result, ensure};
use kube::api::DeleteParams;

/// What came of changes under traffic.
#[derive(Debug, Default)]
pub struct UnderLoad {
    /// What the clients saw, at the gateway and by way of Bookinfo's page.
    pub tally: Tally,
    /// The changes during which something failed: what was changed, and what came instead of answers.
    pub broken: Vec<String>,
    /// How many changes there were.
    pub changes: u32,
}

/// How to make a state of the routing live.
enum By<'a, 'lab> {
    /// Commit it, push it, wait until the agent says that it is live.
    Agent(&'a Story<'lab>),
    /// Apply file by file, then delete what has left, as a script with kubectl does.
    Files(&'a Lab),
}

impl Story<'_> {
    /// Makes `changes` changes through commits that the agent syncs.
    pub async fn changes_by_agent(&self, address: &str, seed: u64, changes: u32) -> Result<UnderLoad> {
        under_load(&By::Agent(self), address, seed, changes).await
    }

    /// Makes the same changes by applying the files in the order of their names. The agent must not run.
    pub async fn changes_by_files(&self, address: &str, seed: u64, changes: u32) -> Result<UnderLoad> {
        under_load(&By::Files(self.lab), address, seed, changes).await
    }
}

async fn under_load(by: &By<'_, '_>, address: &str, seed: u64, changes: u32) -> Result<UnderLoad> {
    let (mut dice, mut state) = (Dice::new(seed), Routing::start());
    by.bring(&state, "reviews as a whole").await?;
    let questions = [
        Question::reviews(address, HOST, "/reviews/1"),
        Question::reviews(address, "shop.example.com", "/productpage"),
    ];
    for question in &questions {
        wait_for("reviews are reached", PATIENCE, || async { Ok(Some(question.ask().await?)) }).await?;
    }
    live(&questions[0], &state).await?;
    let mut result = UnderLoad { changes, ..UnderLoad::default() };
    for _ in 0..changes {
        let (next, what) = state.next(&mut dice);
        let traffic = Traffic::start(&questions);
        by.bring(&next, what).await?;
        live(&questions[0], &next).await?;
        let mut tally = Tally::default();
        for part in traffic.stop().await? {
            tally.merge(part);
        }
        if !tally.failures.is_empty() {
            result.broken.push(format!("{}. {what}: {tally}", next.number()));
        }
        result.tally.merge(tally);
        // The traffic follows the commit.
        let now = questions[0].count(10).await;
        let allowed = next.versions();
        ensure!(now.answers.keys().all(|who| allowed.contains(&who.as_str())), "{what}: {now}, not {allowed:?}");
        state = next;
    }
    Ok(result)
}

/// Waits until the gateway has a state.
async fn live(question: &Question, state: &Routing) -> Result<()> {
    let number = state.number().to_string();
    wait_for(format!("the gateway has change {number}"), PATIENCE, || async {
        let (_, answer) = question.ask().await?;
        Ok((answer.header(MARK) == Some(&number)).then_some(()))
    })
    .await
}

impl By<'_, '_> {
    async fn bring(&self, state: &Routing, what: &str) -> Result<()> {
        let files = state.files();
        match self {
            Self::Agent(story) => {
                for (path, text) in &files {
                    match text {
                        Some(text) => story.write(path, text)?,
                        None => drop(std::fs::remove_file(story.dir().join(path))),
                    }
                }
                let revision = story.commit_and_push(what)?;
                story.wait_ready(&revision).await.map(drop)
            }
            Self::Files(lab) => apply(lab, &files).await,
        }
    }
}

async fn apply(lab: &Lab, files: &Files) -> Result<()> {
    for (path, text) in files {
        if let Some(text) = text {
            lab.apply_yaml(MESH, text).await.with_context(|| (*path).to_owned())?;
        }
    }
    let names = files.values().zip([
        ("VirtualService", "virtualservices", "reviews-edge"),
        ("VirtualService", "virtualservices", "reviews"),
        ("DestinationRule", "destinationrules", "reviews"),
    ]);
    for (_, (kind, plural, name)) in names.filter(|(text, _)| text.is_none()) {
        let objects = api(lab, MESH, "networking.istio.io/v1beta1", kind, plural, Some("default"))?;
        if objects.get_opt(name).await?.is_some() {
            objects.delete(name, &DeleteParams::default()).await?;
        }
    }
    Ok(())
}
