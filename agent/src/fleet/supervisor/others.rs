//! What goes to the other replicas and comes from them.

use super::Supervisor;
use crate::fleet::brief::Brief;
use crate::fleet::numbers::Numbers;
use crate::fleet::progress;
use crate::fleet::view::Told;
use crate::lease::Share;
use asm_shared::api::{FleetSync, labels};
use asm_shared::object::ObjectId;
use kube::ResourceExt as _;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Objects on their way out that are told: many more are never removed at once, and what is taken over makes room.
const MOST_LEAVING: usize = 100;

/// What is told of a target.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct State {
    /// How far it is with a commit: what the steps of other targets wait for.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<progress::Told>,
    /// How it stands: what the status says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    brief: Option<Brief>,
    /// What has left Git and is still there: other FleetSyncs may have it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    leaving: Vec<ObjectId>,
    /// What pages show of it besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<Told>,
}

impl Supervisor {
    /// Takes in how the work is shared and what others tell. `true` when they know a commit that this replica does not.
    pub(super) async fn shared(&mut self, share: Arc<Share>, sync: &Arc<FleetSync>) -> bool {
        if share.leads && !self.share.leads {
            // From here on the status is this replica's: it goes on from what the last one wrote.
            self.sync = sync.clone();
            self.last_status = sync.status.clone().unwrap_or_default();
            self.read_handled();
            self.read_wishes();
            self.writer.read_anew();
            self.numbers = Some(Numbers::new(self.context.metrics.clone(), self.label(), &self.last_status));
        } else if !share.leads {
            self.numbers = None;
        }
        self.share = share;
        let (client, namespace) = (&self.context.client, &self.context.namespace);
        let wanted = self.share.others && self.context.views.is_on();
        self.reports.follow(wanted, client, namespace, &self.sync.name_any());
        self.man_posts().await;
        let mut newer = None;
        for (target, post) in self.posts.iter_mut().filter(|(_, post)| post.work.is_none()) {
            let Some(text) = self.share.told(&post.item) else { continue };
            if post.told.as_ref().is_some_and(|(known, _)| known == text) {
                continue;
            }
            // A replica of another version may tell what this one does not understand.
            let State { place, brief, leaving, page } = serde_json::from_str(text).unwrap_or_default();
            let set = labels::applyset_id(&self.context.namespace, &self.sync.name_any(), target.name());
            self.context.sets.leaving(&set, leaving.into_iter().collect());
            if let Some(place) = place {
                if self.commit.as_ref().is_none_or(|commit| *commit.revision != *place.revision()) {
                    newer = Some(place.revision().to_owned());
                }
                self.progress.told(target, place);
            }
            if let Some(page) = page {
                post.shown = page;
            }
            let brief = brief.or_else(|| post.told.take().map(|(_, brief)| brief));
            post.told = brief.map(|brief| (text.clone(), brief));
        }
        let is_news = newer.is_some() && newer != self.looked_for;
        if is_news {
            self.looked_for = newer;
        }
        is_news
    }

    /// Tells the other replicas how this one's targets stand.
    pub(super) fn tell_others(&self) {
        if !self.share.others {
            return;
        }
        for (target, post) in self.posts.iter().filter(|(_, post)| post.work.is_some()) {
            let brief = post.report.as_ref().map(Brief::of);
            let leaving = self.context.sets.left(&self.set(target.name()), MOST_LEAVING);
            let page = post.report.as_ref().map(Told::of);
            let state = State { place: self.progress.tell(target), brief, leaving, page };
            if let Ok(text) = serde_json::to_string(&state) {
                self.offer.tell(&post.item, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::State;
    use asm_shared::object::ObjectId;

    #[test]
    fn what_leaves_is_told_to_other_replicas_and_their_older_words_are_understood() {
        let leaving =
            vec![ObjectId::new("apps", "Deployment", Some("shop"), "web"), ObjectId::new("", "Namespace", None, "n")];
        let text = serde_json::to_string(&State { leaving: leaving.clone(), ..State::default() }).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap().leaving, leaving);
        assert_eq!(serde_json::to_string(&State::default()).unwrap(), "{}");
        assert!(serde_json::from_str::<State>("{}").unwrap().leaving.is_empty());
    }
}
