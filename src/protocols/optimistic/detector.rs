//! Who is heard, and whom to follow: a priority maximal independent set over mutual trust.

use std::cmp::Reverse;
use std::rc::Rc;

use super::config::Mutation;
use super::hold::Hold;
use super::log::Chain;
use super::message::{Heartbeat, Message, ViewId};
use super::view::Acked;
use super::{Cx, Replica, Timer};
use crate::id::NodeId;
use crate::machine::Note;
use crate::op::Tip;
use crate::time::{Duration, LocalTime};

/// What this replica knows of another. All of it is soft.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// When its last heartbeat came.
    pub heard: Option<LocalTime>,
    /// The content of the last heartbeat, replaced whole.
    pub report: Option<Rc<Heartbeat>>,
    pub suspected: bool,

    // As primary, of a member of the installed view.
    /// The life of the member that `matched` is about.
    pub incarnation: u64,
    /// Its life before that, and until when what still arrives from it is void.
    pub former: Option<(u64, LocalTime)>,
    /// Position up to which it holds this log durably.
    pub matched: u64,
    /// Since when entries wait for it without progress.
    pub waiting_since: Option<LocalTime>,
    /// The position after which a gap was last filled, and when.
    pub refilled: Option<(u64, LocalTime)>,
    /// The greatest probe that it answered.
    pub probe: u64,
    /// What it said of its log when it accepted the proposal.
    pub acked: Option<Acked>,

    pub hold: Hold,

    // Background synchronisation.
    /// Its chain, as far as it was fetched.
    pub branch: Option<Chain>,
    pub fetching: Option<LocalTime>,
}

/// Of whom nothing is known.
const NOBODY: &Known = &Known {
    heard: None,
    report: None,
    suspected: false,
    incarnation: 0,
    former: None,
    matched: 0,
    waiting_since: None,
    refilled: None,
    probe: 0,
    acked: None,
    hold: Hold { failures: 0, until: None, forget_at: LocalTime::ZERO },
    branch: None,
    fetching: None,
};

/// Nodes of the directory beside those that are known to whom a beacon goes each time, in turn.
const BEACONS: usize = 8;

/// The order of leaders: an incumbent of the larger view first, the empty log last, else the first in place.
pub type Rank = (bool, u32, u64, bool, Reverse<u16>, Reverse<NodeId>);

impl Replica {
    /// Those who are known from the start: the replicas that this one was told of. Of the directory's others it
    /// keeps nothing before it hears of them, so that what it costs does not grow with the directory.
    pub(super) fn reset_peers(&mut self) {
        self.peers.clear();
        self.add_peers();
    }

    /// Replicas and members of the view have a place among the known, whatever happened to that.
    pub(super) fn add_peers(&mut self) {
        let members = self.view.iter().flat_map(|view| &view.members);
        let nodes = self.config.replica_set.iter().chain(&self.log.state().replica_set).chain(members);
        let me = self.config.me;
        for &node in nodes.filter(|&&node| node != me) {
            if !self.peers.contains_key(&node) && self.config.knows(node) {
                self.peers.insert(node, Known::default());
            }
        }
    }

    /// Whether a node is in the directory.
    pub(super) fn knows(&self, node: NodeId) -> bool {
        self.peers.contains_key(&node) || self.config.knows(node)
    }

    /// What is known of a node.
    pub(super) fn of(&self, node: NodeId) -> &Known {
        self.peers.get(&node).unwrap_or(NOBODY)
    }

    /// What a node said of itself last.
    pub(super) fn report(&self, node: NodeId) -> Option<&Heartbeat> {
        self.of(node).report.as_deref()
    }

    pub(super) fn known(&mut self, node: NodeId) -> &mut Known {
        self.peers.entry(node).or_default()
    }

    /// Every P.
    pub(super) fn tick(&mut self, cx: &mut Cx<'_>) {
        cx.set_timer(Timer::Tick, self.options().heartbeat);
        self.notice_gap(cx);
        self.ticks = self.ticks.wrapping_add(1);
        self.sanity(cx);
        self.note_suspicions(cx);
        self.thaw_if_due(cx);
        self.watch_storage(cx);
        self.choose_candidate(cx);
        if self.candidate == Some(self.me()) {
            self.lead(cx);
        } else {
            self.unsettled_since = None;
            self.change = None;
            self.attempts = 0;
        }
        self.synchronise(cx);
        self.look_after_members(cx);
        self.offer_quarantine(cx);
        self.say_heartbeat(cx);
    }

    /// A gap since the last tick means that this process did not run: what it believes of others is old.
    fn notice_gap(&mut self, cx: &mut Cx<'_>) {
        let gap = cx.now.since(self.last_tick);
        let period = self.options().heartbeat;
        self.last_tick = cx.now;
        if gap > self.options().suspect_after {
            self.disk.shift(cx.now, gap);
            self.restart(cx);
        } else if gap > period.saturating_mul(3) {
            // Shifted, never refreshed: a node that runs in jerks must still suspect the dead.
            let refresh = self.mutated(Mutation::RefreshAfterGap);
            let missed = gap.saturating_sub(period);
            self.disk.shift(cx.now, missed);
            for known in self.peers.values_mut() {
                if let Some(heard) = known.heard {
                    known.heard = Some(if refresh { cx.now } else { cx.now.min(heard + missed) });
                }
            }
        }
    }

    pub(super) fn trusts(&self, node: NodeId, now: LocalTime) -> bool {
        self.peers.get(&node).is_some_and(|known| {
            let limit = self.options().suspect_after;
            known.report.is_some() && known.heard.is_some_and(|heard| now.since(heard) <= limit)
        })
    }

    /// The report of a node that this one trusts and that trusts this one.
    pub(super) fn mutual(&self, node: NodeId, now: LocalTime) -> Option<&Heartbeat> {
        if !self.trusts(node, now) {
            return None;
        }
        let report = self.peers.get(&node)?.report.as_deref()?;
        (report.trusted.contains(&self.me()) || self.mutated(Mutation::OneWayTrust)).then_some(report)
    }

    fn note_suspicions(&mut self, cx: &mut Cx<'_>) {
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        for node in nodes {
            let suspected = !self.trusts(node, cx.now);
            let known = self.known(node);
            if known.report.is_some() && known.suspected != suspected {
                known.suspected = suspected;
                cx.note(if suspected { Note::Suspected(node) } else { Note::Trusted(node) });
            }
        }
    }

    /// Whether this node may lead at all. Held down for its storage it leads on if it leads, and otherwise
    /// only if nobody else could.
    pub(super) fn may_lead(&self, now: LocalTime) -> bool {
        let able = !self.is_listening(now) && !self.is_stuck(now) && self.is_active();
        able && (!self.is_impaired(now) || self.incumbent || !self.hears_a_fit_replica(now))
    }

    fn hears_a_fit_replica(&self, now: LocalTime) -> bool {
        let set = &self.log.state().replica_set;
        set.iter().any(|&node| self.mutual(node, now).is_some_and(|report| !report.impaired))
    }

    /// Taken out of the replica set by an entry that it holds, and done with its duties. One that installed a
    /// view after that entry led on alone, and may hold what nobody else does. A node outside of the set with
    /// an empty log is a spare: it answers those who call on it, and waits to be taken in.
    pub(super) fn is_retired(&self) -> bool {
        let state = self.log.state();
        let led_on = state.last_view.is_some_and(|view| view.tip.length > state.set_length);
        !self.is_replica() && !self.log.is_empty() && !self.incumbent && !led_on
    }

    /// In the replica set; or taken out of it, and not yet done with its duties.
    fn is_active(&self) -> bool {
        self.is_replica() || (!self.log.is_empty() && !self.is_retired())
    }

    /// A leader counts this node in, though its own log does not.
    fn is_invited(&self, now: LocalTime) -> bool {
        self.invited.is_some_and(|at| now.since(at) <= self.lately())
    }

    /// Retired, and nobody calls on it: it follows nobody, so that nobody takes it in again.
    pub(super) fn is_dismissed(&self, now: LocalTime) -> bool {
        self.is_retired() && !self.is_invited(now)
    }

    /// Whether somebody still counts this node among the members of its view: it is told to go on without.
    pub(super) fn is_awaited(&self, now: LocalTime) -> bool {
        let id = self.view_id();
        let reports = |node| self.peers.get(node).and_then(|known| known.report.as_ref()).map(|report| report.view);
        self.others().iter().any(|node| self.trusts(*node, now) && reports(node) == Some(id))
    }

    /// For how long a word from outside the replica set counts: longer than two beacons are apart.
    fn lately(&self) -> Duration {
        self.options().suspect_after.saturating_mul(4).max(self.options().heartbeat.saturating_mul(25))
    }

    fn own_rank(&self) -> Rank {
        let (members, epoch) = match &self.view {
            Some(view) if self.incumbent => (view.members.len() as u32, view.epoch),
            _ => (0, 0),
        };
        (self.incumbent, members, epoch, !self.log.is_empty(), Reverse(self.place()), Reverse(self.me()))
    }

    fn rank_of(node: NodeId, report: &Heartbeat) -> Rank {
        let (members, epoch) = match report.view {
            Some(view) if report.incumbent => (report.members, view.epoch),
            _ => (0, 0),
        };
        (report.incumbent, members, epoch, report.tip.length > 0, Reverse(report.place), Reverse(node))
    }

    fn choose_candidate(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        let may_lead = self.may_lead(now);
        let own = self.own_rank();
        let best = self
            .peers
            .keys()
            .filter_map(|&node| {
                let report = self.mutual(node, now)?;
                (report.candidate == Some(node)).then(|| (Self::rank_of(node, report), node))
            })
            .filter(|(rank, _)| !may_lead || *rank > own)
            .max();
        let chosen = match best {
            _ if self.is_dismissed(now) => None,
            Some((_, node)) => Some(node),
            None => may_lead.then(|| self.me()),
        };
        if self.incumbent && self.is_stuck(now) {
            self.incumbent = false;
            self.turn_away(cx);
            cx.note(Note::SteppedDown { why: "its own storage does not complete a write" });
        }
        if chosen != self.candidate {
            self.candidate = chosen;
            if let Some(node) = chosen {
                cx.note(Note::Follows(node));
            }
        }
    }

    /// Whom heartbeats go to: the replica set, and whoever else of the directory was heard lately. A newcomer
    /// tells the replicas that it was told of.
    fn audience(&self, now: LocalTime) -> Vec<NodeId> {
        let set = &self.log.state().replica_set;
        let is_active = self.is_active() || self.is_blank();
        let lately = self.lately();
        let own_set_only = self.mutated(Mutation::HeartbeatOwnSetOnly) && is_active;
        self.peers
            .iter()
            .filter(|(node, known)| {
                (is_active && set.contains(node))
                    || (!own_set_only && known.heard.is_some_and(|heard| now.since(heard) <= lately))
            })
            .map(|(&node, _)| node)
            .collect()
    }

    pub(super) fn say_heartbeat(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        if self.is_dismissed(now) && !self.is_awaited(now) {
            return;
        }
        let beat = Rc::new(Heartbeat {
            incarnation: self.incarnation,
            view: self.view_id(),
            members: self.view.as_ref().map_or(0, |view| view.members.len() as u32),
            incumbent: self.incumbent,
            candidate: self.candidate,
            place: self.place(),
            impaired: self.is_impaired(now),
            retired: self.is_retired(),
            trusted: self.peers.keys().copied().filter(|&node| self.trusts(node, now)).collect(),
            tip: self.durable_tip(),
            synced: self.synced_with_candidate(),
            floor: if self.is_serving() { self.floor() } else { 0 },
            load: std::mem::take(&mut self.load),
            data_center: self.config.peer(self.me()).map(|peer| peer.data_center).unwrap_or_default(),
        });
        for node in self.audience(now) {
            cx.send(node, Message::Heartbeat(beat.clone()));
        }
        if self.candidate == Some(self.me())
            && self.ticks.is_multiple_of(10)
            && !self.mutated(Mutation::HeartbeatOwnSetOnly)
        {
            self.say_beacon(cx);
        }
    }

    /// To all who are known, and in turn to the others of the directory: to so many each time that the cost
    /// does not grow with it.
    pub(super) fn say_beacon(&mut self, cx: &mut Cx<'_>) {
        let Some(view) = self.view_id() else { return };
        let replica_set: Rc<[NodeId]> = self.log.state().replica_set.clone().into();
        let tip = self.durable_tip();
        let (me, directory) = (self.me(), &self.config.directory);
        let from = self.beacons as usize % directory.len().max(1);
        let in_turn = directory[from..].iter().chain(&directory[..from]).map(|peer| peer.node);
        let strangers = in_turn.filter(|node| *node != me && !self.peers.contains_key(node)).take(BEACONS);
        let nodes: Vec<NodeId> = self.peers.keys().copied().chain(strangers).collect();
        if let Some(next) = nodes.get(self.peers.len()..).and_then(<[_]>::last) {
            let last = directory.iter().position(|peer| peer.node == *next);
            self.beacons = last.map_or(0, |at| at as u32 + 1);
        }
        for node in nodes {
            cx.send(node, Message::Beacon { view, tip, replica_set: replica_set.clone() });
        }
    }

    /// A beacon of a group that this node does not know adds its sender to those it sends heartbeats to. One
    /// that counts this node in asks it to come back.
    pub(super) fn beacon(&mut self, from: NodeId, _view: ViewId, replica_set: &[NodeId], cx: &mut Cx<'_>) {
        let now = cx.now;
        if self.is_retired() && replica_set.contains(&self.me()) {
            self.invited = Some(now);
        }
        let silent = self.options().suspect_after + Duration::from_nanos(1);
        let known = self.known(from);
        // Heard, but only a heartbeat makes it trusted.
        if known.report.is_none() || known.heard.is_none_or(|heard| now.since(heard) >= silent) {
            known.heard = Some(now - silent);
        }
    }

    pub(super) fn heard(&mut self, from: NodeId, beat: Rc<Heartbeat>, cx: &mut Cx<'_>) {
        if !self.is_possible(from, &beat) {
            cx.note(Note::Refused("an impossible heartbeat"));
            return;
        }
        let now = cx.now;
        let my_view = self.view_id();
        let patience = self.config.listen();
        let known = self.known(from);
        if known.former.is_some_and(|(former, until)| former == beat.incarnation && now < until) {
            return;
        }
        known.heard = Some(now);
        if known.incarnation != beat.incarnation {
            // It started anew: what it acknowledged in its former life may be gone.
            known.former = Some((known.incarnation, now + patience));
            known.incarnation = beat.incarnation;
            known.matched = 0;
            known.probe = 0;
        }
        let floor = beat.floor;
        let follows_it = beat.view.is_some() && beat.view == my_view && beat.incumbent;
        known.report = Some(beat);
        if follows_it {
            self.compact_to(floor, cx);
        }
    }

    /// Claims that no correct node makes are dropped on receipt.
    fn is_possible(&self, from: NodeId, beat: &Heartbeat) -> bool {
        let view_ok = beat.view.is_none_or(|view| view.epoch > 0 && view.epoch < self.options().epoch_max);
        let claim_ok = !beat.incumbent || beat.view.is_some_and(|view| view.coordinator == from);
        let size_ok = beat.members as usize <= self.config.directory.len();
        view_ok && claim_ok && size_ok && beat.candidate.is_none_or(|node| self.knows(node))
    }

    /// How far this node holds its candidate's chain beside its own.
    fn synced_with_candidate(&self) -> Option<Tip> {
        let candidate = self.candidate.filter(|&node| node != self.me())?;
        self.peers.get(&candidate)?.branch.as_ref().map(Chain::tip)
    }
}
