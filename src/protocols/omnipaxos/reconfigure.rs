//! From one configuration to the next (Ng, Haridi and Carbone 2023, section 6).
//!
//! The crate ends a configuration with a *stop-sign*, the last entry of its log, and leaves the rest to its
//! user: to start the next configuration, and to bring the history to those who were not in the last one.
//! Here a leader that is asked for another set of replicas first asks every node in it who it is, so that a
//! node whose disk was lost comes back under the identity that it drew when it started, and not as one that
//! remembers what it promised. The stop-sign names nodes and identities. Who decides it starts the next
//! configuration from its own state, or, if it is not in it, tells those who are. Who hears of a newer
//! configuration than its own asks for it, and is handed a state that was decided, with the configuration;
//! nobody takes part in a configuration before that.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::configuration::{Configuration, Member};
use super::disk::{Image, Record};
use super::entry::State;
use super::message::Message;
use super::replica::{Cx, Part, Replica};
use crate::id::NodeId;
use crate::machine::Note;
use crate::protocols::store::Store;

/// A configuration that was asked for.
#[derive(Clone, Debug)]
pub struct Pending {
    nodes: Vec<NodeId>,
    identities: BTreeMap<NodeId, u64>,
}

impl Replica {
    /// The operator asks for this set of replicas.
    pub(super) fn reconfigure(&mut self, nodes: Vec<NodeId>, cx: &mut Cx<'_>) {
        if self.led.is_none() {
            return cx.note(Note::Refused("only a leader can be asked for another replica set"));
        }
        let distinct = nodes.iter().enumerate().all(|(at, node)| !nodes[..at].contains(node));
        if nodes.len() < 2 || !distinct {
            return cx.note(Note::Refused("a replica set has at least two nodes, each once"));
        }
        self.pending = Some(Pending { nodes, identities: BTreeMap::from([(self.me.node, self.me.identity)]) });
        self.identify(cx);
    }

    /// Asks whoever in the wanted set has not said who it is.
    pub(super) fn identify(&self, cx: &mut Cx<'_>) {
        let Some(pending) = &self.pending else { return };
        for &node in pending.nodes.iter().filter(|node| !pending.identities.contains_key(node)) {
            self.send(node, Message::Identify, cx);
        }
    }

    /// Proposes the stop-sign when everyone in the wanted set has said who it is.
    fn propose_next(&mut self, cx: &mut Cx<'_>) {
        let Some(pending) = &self.pending else { return };
        let known = |node: &NodeId| Some(Member { node: *node, identity: *pending.identities.get(node)? });
        let members: Option<Rc<[Member]>> = pending.nodes.iter().map(known).collect();
        let Some(members) = members else { return };
        self.pending = None;
        let next = Configuration { id: self.configuration.id + 1, members };
        let (cluster, metadata) = (next.cluster(), next.metadata());
        let mut refused = false;
        self.call(cx, |omni| refused = omni.reconfigure(cluster, Some(metadata)).is_err());
        if refused {
            cx.note(Note::Refused("another configuration is on its way"));
        }
    }

    pub(super) fn identity(&mut self, from: NodeId, identity: u64, cx: &mut Cx<'_>) {
        let Some(pending) = &mut self.pending else { return };
        if pending.nodes.contains(&from) {
            pending.identities.insert(from, identity);
            self.propose_next(cx);
        }
    }

    /// The configuration ended here with its stop-sign: the next one begins with this state.
    pub(super) fn succeed(&mut self, next: Configuration, cx: &mut Cx<'_>) {
        self.begin(next, Rc::new(self.store.image()), cx);
    }

    fn begin(&mut self, next: Configuration, store: Rc<Store>, cx: &mut Cx<'_>) {
        self.unseat(cx);
        cx.note(Note::ReplicaSet(next.nodes()));
        let image = Image::new(next, self.me.identity, Some(State::of(store)));
        self.write(Record::Image(Rc::new(image.clone())), true, cx);
        if self.enter(image, cx).is_err() {
            self.part = Part::Failed;
            cx.note(Note::SteppedDown { why: "the crate does not start with the next configuration" });
        }
    }

    /// A message of another configuration than this replica's: one of the two is behind.
    pub(super) fn elsewhere(&mut self, from: NodeId, configuration: u32, cx: &mut Cx<'_>) {
        if configuration < self.configuration.id {
            self.send(from, Message::Newer { configuration: self.configuration.id }, cx);
        } else {
            self.newer(from, configuration, cx);
        }
    }

    /// Somebody knows of a newer configuration, perhaps: asks for it, once a round at most, because a state is
    /// large.
    pub(super) fn newer(&mut self, from: NodeId, configuration: u32, cx: &mut Cx<'_>) {
        if configuration <= self.configuration.id {
            if matches!(self.part, Part::Member(..)) {
                self.send(from, Message::Joined { configuration: self.configuration.id }, cx);
            }
            return;
        }
        let waits = |at| cx.now.since(at) < self.config.options.election_timeout;
        let is_silent = matches!(self.part, Part::Lost { asked: false } | Part::Failed);
        if is_silent || self.asked_at.is_some_and(waits) {
            return;
        }
        self.asked_at = Some(cx.now);
        self.send(from, Message::Lacks, cx);
    }

    /// Tells the members of the newest configuration that it is there.
    pub(super) fn tell_successors(&self, cx: &mut Cx<'_>) {
        let Part::Retired { joined } = &self.part else { return };
        for member in self.configuration.members.iter().filter(|member| !joined.contains(&member.node)) {
            self.send(member.node, Message::Newer { configuration: self.configuration.id }, cx);
        }
    }

    pub(super) fn joined(&mut self, from: NodeId, configuration: u32) {
        if let Part::Retired { joined } = &mut self.part
            && configuration >= self.configuration.id
        {
            joined.insert(from);
        }
    }

    pub(super) fn lacks(&self, from: NodeId, cx: &mut Cx<'_>) {
        let takes_part = matches!(self.part, Part::Member(..) | Part::Retired { .. });
        if takes_part && self.configuration.id > 1 {
            let (configuration, store) = (self.configuration.clone(), Rc::new(self.store.image()));
            self.send(from, Message::Handover { configuration, store }, cx);
        }
    }

    /// The next configuration, or a later one, and a state to take part in it from.
    pub(super) fn handover(&mut self, configuration: Configuration, store: Rc<Store>, cx: &mut Cx<'_>) {
        let is_named = configuration.holds(self.me);
        let is_left_out = configuration.pid(self.me.node).is_none();
        let wanted = match self.part {
            Part::Lost { .. } => is_named,
            Part::Member(..) | Part::Retired { .. } => is_named || is_left_out,
            Part::Failed => false,
        };
        if wanted && configuration.id > self.configuration.id {
            self.begin(configuration, store, cx);
        } else if !is_named && !is_left_out {
            if let Part::Lost { asked } = &mut self.part {
                *asked = false;
            }
            cx.note(Note::Refused("a configuration that names another identity of this node"));
        }
    }
}
