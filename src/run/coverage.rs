//! What a run reached, as a set of numbers: decisions that follow each other at a replica, and states of a service
//! seen second by second. Two runs with the same features are much alike; whoever searches keeps those with new ones.

use std::collections::{BTreeMap, BTreeSet};

use crate::hash;
use crate::id::{NodeId, ServiceId};
use crate::machine::{Machine, Note, Role, Status};
use crate::world::Replicas;

/// Kinds of features, so that their numbers do not meet.
const PAIR: u64 = 1;
const DETAIL: u64 = 2;
const STATE: u64 = 3;

/// The features of a run so far.
#[derive(Debug, Default)]
pub struct Coverage {
    features: BTreeSet<u64>,
    /// The kind of the last decision of each replica.
    last: BTreeMap<(ServiceId, NodeId), u64>,
}

impl Coverage {
    /// A decision, after the one before it at this replica.
    pub fn note(&mut self, service: ServiceId, node: NodeId, note: &Note) {
        let kind = kind(note);
        let before = self.last.insert((service, node), kind).unwrap_or(0);
        self.features.insert(hash::of([PAIR, before, kind]));
        self.features.insert(hash::of([DETAIL, kind, detail(note)]));
    }

    /// What the replicas of a service are doing, whoever does it.
    pub fn state<M: Machine>(&mut self, replicas: &Replicas<'_, M>) {
        let mut parts: Vec<u64> = replicas.nodes().iter().map(|&node| part(replicas, node)).collect();
        parts.sort_unstable();
        self.features.insert(hash::of([STATE].into_iter().chain(parts)));
    }

    pub fn into_features(self) -> Vec<u64> {
        self.features.into_iter().collect()
    }
}

fn part<M: Machine>(replicas: &Replicas<'_, M>, node: NodeId) -> u64 {
    let Some(machine) = replicas.machine(node) else { return 0 };
    let Status { role, members, replica_set, serving, frozen, changing, held, impaired, .. } = machine.status();
    let role = match role {
        Role::Listening => 1,
        Role::Following => 2,
        Role::Leading => 3,
    };
    let flags = [serving, frozen, changing, impaired, replicas.paused(node)];
    let flags = flags.into_iter().fold(0, |sum, flag| sum << 1 | u64::from(flag));
    hash::of([role, flags, members.len() as u64, replica_set.len() as u64, held.len() as u64])
}

fn kind(note: &Note) -> u64 {
    match note {
        Note::Suspected(_) => 1,
        Note::Trusted(_) => 2,
        Note::Follows(_) => 3,
        Note::Proposed { .. } => 4,
        Note::Abandoned { .. } => 5,
        Note::Installed { .. } => 6,
        Note::Confirmed { .. } => 7,
        Note::Merged { .. } => 8,
        Note::Compacted { .. } => 9,
        Note::HeldDown { .. } => 10,
        Note::SteppedDown { .. } => 11,
        Note::Corrected(_) => 12,
        Note::Refused(_) => 13,
        Note::ReplicaSet(_) => 14,
        Note::Snapshot { .. } => 15,
        Note::Campaigns { .. } => 16,
        Note::Elected { .. } => 17,
        Note::ViewChange { .. } => 18,
        Note::Recovering => 19,
        Note::Recovered => 20,
        Note::Decided(_) => 21,
    }
}

/// What tells decisions of one kind apart, coarsely: sizes of sets, reasons, and how much a merge did.
fn detail(note: &Note) -> u64 {
    let text = |why: &str| hash::of(why.bytes().map(u64::from));
    // 0, 1, 2 to 3, 4 to 7, and so on.
    let rough = |count: usize| u64::from(usize::BITS - count.leading_zeros());
    match note {
        Note::Proposed { members, .. } | Note::Installed { members, .. } | Note::Confirmed { members, .. } => {
            members.len() as u64
        }
        Note::Abandoned { missing, .. } => missing.len() as u64,
        Note::Merged { branches, reapplied, revoked, duplicates, .. } => {
            hash::of([*branches as u64, rough(*reapplied), rough(*revoked), rough(*duplicates)])
        }
        Note::HeldDown { failures, .. } => u64::from(*failures),
        Note::Decided(decision) => text(decision.action),
        Note::SteppedDown { why } | Note::Corrected(why) | Note::Refused(why) => text(why),
        Note::ReplicaSet(nodes) => nodes.len() as u64,
        _ => 0,
    }
}
