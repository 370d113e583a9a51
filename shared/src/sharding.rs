//! Which replica of the agent works on which target: a function of what is held now, so that everybody who sees the same
//! comes to the same.
//!
//! Balanced to one: with `n` targets and `m` members each has `n / m` or one more. Sticky: a target stays with its holder as
//! long as that one has no more than its part, so that a member that leaves moves its own targets and nothing else, and one
//! that comes gets its part and nothing else moves. Who gets what is free is decided by rendezvous hashing.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The holder that each target is to have. `held`: targets and who holds them, if that is one of the `members`. Nobody gets
/// anything when there are no members.
pub fn assign<'a>(
    held: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    members: &[&'a str],
) -> BTreeMap<&'a str, &'a str> {
    let mut of: BTreeMap<&str, Vec<&str>> = members.iter().map(|member| (*member, Vec::new())).collect();
    let mut free: Vec<&str> = Vec::new();
    let mut count = 0_usize;
    for (target, holder) in held {
        count += 1;
        match holder.and_then(|holder| of.get_mut(holder)) {
            Some(own) => own.push(target),
            None => free.push(target),
        }
    }
    if of.is_empty() {
        return BTreeMap::new();
    }
    let mut room = parts(count, &of);
    let mut assigned = BTreeMap::new();
    for (member, own) in &mut of {
        // What it keeps is what it would be given.
        own.sort_by_key(|target| Reverse((weight(target, member), *target)));
        let part = room.entry(member).or_default();
        let kept = own.len().min(*part);
        *part -= kept;
        assigned.extend(own.iter().take(kept).map(|target| (*target, *member)));
        free.extend(own.iter().skip(kept));
    }
    free.sort_unstable();
    for target in free {
        let open = room.iter_mut().filter(|(_, left)| **left > 0);
        let Some((member, left)) = open.max_by_key(|(member, _)| (weight(target, member), **member)) else { break };
        *left -= 1;
        assigned.insert(target, *member);
    }
    assigned
}

/// How many targets each member is to have. One more goes to those who have most already: that moves least.
fn parts<'a>(count: usize, of: &BTreeMap<&'a str, Vec<&str>>) -> BTreeMap<&'a str, usize> {
    let mut by_load: Vec<(&str, usize)> = of.iter().map(|(member, own)| (*member, own.len())).collect();
    by_load.sort_by_key(|(member, own)| (Reverse(*own), *member));
    let (part, more) = (count / of.len(), count % of.len());
    let number = |(place, (member, _))| (member, part + usize::from(place < more));
    by_load.into_iter().enumerate().map(number).collect()
}

/// How much a member wants a target: FNV-1a over both, mixed so that names that differ in their last letter differ in all bits.
fn weight(target: &str, member: &str) -> u64 {
    let bytes = target.bytes().chain([0]).chain(member.bytes());
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::assign;
    use proptest::collection::{btree_map, btree_set};
    use proptest::option;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    type Held = BTreeMap<String, Option<String>>;

    fn run<'a>(held: &'a Held, members: &'a BTreeSet<String>) -> BTreeMap<&'a str, &'a str> {
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        assign(held.iter().map(|(target, holder)| (target.as_str(), holder.as_deref())), &members)
    }

    fn settled(held: &Held, members: &BTreeSet<String>) -> Held {
        run(held, members).into_iter().map(|(target, holder)| (target.to_owned(), Some(holder.to_owned()))).collect()
    }

    fn moved(before: &Held, after: &Held) -> usize {
        before.iter().filter(|(target, holder)| after.get(*target) != Some(holder)).count()
    }

    /// Targets with holders, and members, some of which are holders.
    fn fleet() -> impl Strategy<Value = (Held, BTreeSet<String>)> {
        (btree_map("t[a-z0-9]{1,3}", option::of("m[0-9]"), 0..60), btree_set("m[0-9]", 1..8))
    }

    proptest! {
        #[test]
        fn every_target_has_one_member_and_nobody_has_two_more_than_another((held, members) in fleet()) {
            let assigned = run(&held, &members);
            prop_assert_eq!(assigned.len(), held.len());
            let load = |member: &String| assigned.values().filter(|holder| *holder == member).count();
            let loads: Vec<usize> = members.iter().map(load).collect();
            let (least, most) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{loads:?}");
        }

        #[test]
        fn what_is_settled_stays((held, members) in fleet()) {
            let settled_once = settled(&held, &members);
            prop_assert_eq!(&settled(&settled_once, &members), &settled_once);
        }

        #[test]
        fn only_the_targets_of_a_member_that_leaves_move((held, members) in fleet()) {
            let before = settled(&held, &members);
            for gone in &members {
                let rest: BTreeSet<String> = members.iter().filter(|member| *member != gone).cloned().collect();
                if rest.is_empty() {
                    continue;
                }
                let after = settled(&before, &rest);
                let its_own = before.values().filter(|holder| holder.as_ref() == Some(gone)).count();
                prop_assert_eq!(moved(&before, &after), its_own);
            }
        }

        #[test]
        fn a_member_that_comes_takes_its_part_and_nothing_else_moves((held, members) in fleet()) {
            let before = settled(&held, &members);
            let mut more = members.clone();
            more.insert("new".to_owned());
            let after = settled(&before, &more);
            let part = after.values().filter(|holder| holder.as_deref() == Some("new")).count();
            prop_assert_eq!(part, before.len() / more.len());
            prop_assert_eq!(moved(&before, &after), part);
        }
    }

    #[test]
    fn five_replicas_share_500_new_targets_evenly_and_not_by_their_names() {
        let held: Held = (0..500).map(|n| (format!("m1c{n}"), None)).collect();
        let members: BTreeSet<String> = (0..5).map(|n| format!("asm-agent-{n}")).collect();
        let assigned = run(&held, &members);
        for member in &members {
            let own: Vec<&&str> = assigned.iter().filter(|(_, holder)| *holder == member).map(|(t, _)| t).collect();
            assert_eq!(own.len(), 100);
            let low = own.iter().filter(|target| target.len() < 6).count();
            assert!((5..40).contains(&low), "{member} has {low} of the first hundred");
        }
        assert!(assign([("a", None)], &[]).is_empty());
    }
}
