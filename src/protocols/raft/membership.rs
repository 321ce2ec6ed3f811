//! Identities, and the operator's side of membership changes (thesis, chapter 4).
//!
//! A node is known to the crate by its [`Identity`]. The first one is written when the service is installed;
//! a node that lost its disk, or that was removed, draws another, and asks for a place with `Join`.
//!
//! The leader carries out what the operator asked for in steps, each a change of the configuration by the
//! crate: newcomers become learners (4.2.1); when they have caught up they become voters, in the same joint
//! change (4.3) that removes whoever is to go, the lost identity of the same node included. Then the first of
//! the set is to lead: a leader that is not it transfers its leadership (3.10), and passes the request on. A
//! leader that is to go first brings the newcomers in, and leaves the removals to whom it hands over to; if the
//! first is not fit to lead, the next one is asked. A leader that is deposed or crashes forgets what it was asked
//! for: it is for the operator to repeat.

use raft::eraftpb::{ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState};

use super::replica::Replica;
use super::{Cx, Message, Record};
use crate::id::NodeId;
use crate::machine::Note;
use crate::rng::Stream;

/// Entries that a learner may lack when it becomes a voter.
const LAG_MAX: u64 = 100;
/// The low bits of an identity name the node: they are its address, as a store's number is in TiKV.
const NODE_BITS: u32 = 24;

/// By whom the crate knows a node: a number that is never used again by anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity(pub u64);

impl Identity {
    /// Written on the disk when the service is installed.
    pub fn first(node: NodeId) -> Self {
        assert!(node.0 < (1 << NODE_BITS) - 1, "more nodes than an identity can name");
        Self(u64::from(node.0) + 1)
    }

    /// Drawn after the disk was lost, or the node removed.
    pub fn another(node: NodeId, rng: &mut Stream) -> Self {
        let drawn = rng.bits() | 1 << 63;
        Self(drawn >> NODE_BITS << NODE_BITS | Self::first(node).0)
    }

    /// Whose identity it is.
    pub const fn node(self) -> NodeId {
        NodeId((self.0 as u32 & ((1 << NODE_BITS) - 1)).wrapping_sub(1))
    }
}

/// The voters of a configuration, of both halves of a joint one.
pub fn voters_of(conf: &ConfState) -> Vec<Identity> {
    let mut voters: Vec<Identity> = conf.voters.iter().chain(&conf.voters_outgoing).map(|&id| Identity(id)).collect();
    voters.sort_unstable();
    voters.dedup();
    voters
}

fn single(identity: Identity, kind: ConfChangeType) -> ConfChangeSingle {
    ConfChangeSingle { node_id: identity.0, change_type: kind, ..ConfChangeSingle::default() }
}

/// What is between the present configuration and the one that is wanted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// Voters and learners that are to go.
    remove: Vec<Identity>,
    /// Identities that are to vote and do not.
    add: Vec<Identity>,
    /// Nodes that are to vote, and of whom no identity is known that could.
    missing: Vec<NodeId>,
}

impl Replica {
    /// The operator asks for this set of replicas, the preferred leader first.
    pub(super) fn reconfigure(&mut self, nodes: Vec<NodeId>, cx: &mut Cx<'_>) {
        let mut set: Vec<NodeId> = Vec::new();
        for node in nodes {
            if !set.contains(&node) {
                set.push(node);
            }
        }
        if set.is_empty() {
            cx.note(Note::Refused("a membership change that leaves nobody"));
        } else if self.leads() {
            (self.wanted, self.heir) = (Some(set), None);
            self.pursue();
        } else if let Some(leader) = self.leader() {
            cx.send(leader, Message::Reconfigure { set });
        } else {
            cx.note(Note::Refused("a membership change without a leader"));
        }
    }

    /// A node without a place tells its identity.
    pub(super) fn joins(&mut self, from: NodeId, identity: Identity, cx: &mut Cx<'_>) {
        if identity.node() != from {
            return cx.note(Note::Refused("an identity of another node"));
        }
        self.asking.insert(from, identity);
        self.pursue();
    }

    /// Tells the others under which identity this node can be added.
    pub(super) fn ask_for_a_place(&self, cx: &mut Cx<'_>) {
        let identity = self.identity;
        for node in self.config.group.others() {
            let after = self.last_write();
            cx.effects.push(crate::machine::Effect::Send { to: node, message: Message::Join { identity }, after });
        }
    }

    fn plan(&self, set: &[NodeId], conf: &ConfState) -> Plan {
        let is_lost = |one: Identity| self.asking.get(&one.node()).is_some_and(|&asks| asks != one);
        let voters = voters_of(conf);
        let stays = |one: &Identity| set.contains(&one.node()) && !is_lost(*one);
        let mut plan = Plan { remove: voters.iter().copied().filter(|one| !stays(one)).collect(), ..Plan::default() };
        for &node in set {
            if !voters.iter().any(|one| one.node() == node && stays(one)) {
                match self.asking.get(&node) {
                    Some(&identity) => plan.add.push(identity),
                    None => plan.missing.push(node),
                }
            }
        }
        let learners = conf.learners.iter().map(|&id| Identity(id));
        plan.remove.extend(learners.filter(|one| !plan.add.contains(one)));
        plan
    }

    /// Takes the next step towards the set that the operator wants.
    pub(super) fn pursue(&mut self) {
        if self.rests_in_joint() {
            // The crate leaves a joint configuration by itself, if the leader that entered it stays. Else its
            // user is to ask, with a change of nothing.
            return self.change(Vec::new());
        }
        let Some(set) = self.wanted.clone() else { return };
        let Some(conf) = self.settled_conf() else { return };
        let mut plan = self.plan(&set, &conf);
        if !set.contains(&self.config.group.me) {
            // Whoever takes over sees to it that this leader goes, and the others with it.
            plan.remove.clear();
        }
        let learns = |one: &Identity| conf.learners.contains(&one.0);
        let new: Vec<Identity> = plan.add.iter().copied().filter(|one| !learns(one)).collect();
        if !new.is_empty() {
            return self.change(new.iter().map(|&one| single(one, ConfChangeType::AddLearnerNode)).collect());
        }
        if !plan.add.iter().all(|&one| self.caught_up(one)) {
            return;
        }
        let promoted = plan.add.iter().map(|&one| single(one, ConfChangeType::AddNode));
        let removed = plan.remove.iter().map(|&one| single(one, ConfChangeType::RemoveNode));
        let changes: Vec<ConfChangeSingle> = promoted.chain(removed).collect();
        if !changes.is_empty() {
            self.change(changes);
        } else if plan.missing.is_empty() {
            self.hand_over(&set, &conf);
        }
    }

    /// Proposes a change of the configuration: a simple one if it can be, else a joint one that ends by itself.
    fn change(&mut self, changes: Vec<ConfChangeSingle>) {
        let mut change = ConfChangeV2::default();
        change.set_transition(ConfChangeTransition::Auto);
        change.set_changes(changes.into());
        // Refused only while another is under way, or without leadership: then it is tried again.
        _ = self.call(|node| node.propose_conf_change(Vec::new(), change));
    }

    fn caught_up(&self, one: Identity) -> bool {
        self.node().is_some_and(|node| {
            let behind = |matched: u64| matched + LAG_MAX < node.raft.raft_log.committed;
            node.raft.prs().get(one.0).is_some_and(|progress| progress.matched > 0 && !behind(progress.matched))
        })
    }

    /// The set is there, but perhaps for those who are to go with this leader. Transfers the leadership to the first of the
    /// set, or, if this leader is to go, to the next one that is fit.
    fn hand_over(&mut self, set: &[NodeId], conf: &ConfState) {
        let me = self.config.group.me;
        let stays = set.contains(&me);
        if set[0] == me || (stays && self.heir.is_some()) {
            // It leads as it should; or the crate gave the transfer up, and goes on as it was.
            (self.wanted, self.heir) = (None, None);
            return;
        }
        let voters = voters_of(conf);
        let fit = |node: &&NodeId| {
            let identity = voters.iter().find(|one| one.node() == **node);
            !self.broken.contains(*node) && identity.is_some_and(|&one| self.caught_up(one))
        };
        // Whom it was transferred to in vain is asked again only if there is nobody else.
        let candidates: &[NodeId] = if stays { &set[..1] } else { set };
        let another = candidates.iter().filter(|node| self.heir != Some(**node)).find(fit);
        let Some(&heir) = another.or_else(|| candidates.iter().find(fit)) else { return };
        let Some(identity) = voters.iter().find(|one| one.node() == heir) else { return };
        self.heir = Some(heir);
        self.call(|node| node.transfer_leader(identity.0));
    }

    /// Who hands over passes the request on to its heir. A leader that is deposed forgets it: the operator may
    /// have asked for something else of the next one.
    pub(super) fn pass_on(&mut self, cx: &mut Cx<'_>) {
        if self.leads() || self.wanted.is_none() {
            return;
        }
        let Some(leader) = self.leader() else { return };
        if let (Some(set), Some(heir)) = (self.wanted.take(), self.heir.take())
            && heir == leader
        {
            cx.send(leader, Message::Reconfigure { set });
        }
    }

    /// A message came from an identity that is not in the configuration, though this leader has applied
    /// everything that was decided before its term.
    pub(super) fn tell_removed(&self, identity: Identity, cx: &mut Cx<'_>) {
        cx.send(identity.node(), Message::Removed { identity, index: self.conf_index });
    }

    /// This identity was removed, if the configuration that lacks it is newer than all that is applied here.
    pub(super) fn removed(&mut self, identity: Identity, index: u64, cx: &mut Cx<'_>) {
        if identity == self.identity && self.is_member() && index > self.applied_index() {
            self.leave(cx);
        }
    }

    /// A node that applies its own removal need not be told.
    pub(super) fn leave_if_removed(&mut self, cx: &mut Cx<'_>) {
        if self.has_no_part() && !self.leads() {
            self.leave(cx);
        }
    }

    fn leave(&mut self, cx: &mut Cx<'_>) {
        cx.note(Note::SteppedDown { why: "it was removed from the group" });
        let another = Identity::another(self.config.group.me, cx.rng);
        self.begin_anew(another, cx);
    }

    /// Waits for a place under an identity that nobody knows yet.
    pub(super) fn begin_anew(&mut self, identity: Identity, cx: &mut Cx<'_>) {
        self.restart(super::storage::Log::empty(identity), identity);
        self.write(Record::Joining(identity), None, cx);
        self.ask_for_a_place(cx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_names_its_node_and_no_two_are_alike() {
        let mut rng = Stream::new(1, "test", &[]);
        let node = NodeId(77);
        let (first, second, third) =
            (Identity::first(node), Identity::another(node, &mut rng), Identity::another(node, &mut rng));
        assert!([first, second, third].iter().all(|one| one.node() == node && one.0 != 0));
        assert!(first != second && second != third && first != third);
    }
}
