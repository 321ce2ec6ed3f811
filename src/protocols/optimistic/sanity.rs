//! Local checking and correction, every tick: whatever a transient fault wrote into a replica's state, it
//! is a legal state again after one tick, or one scrub for what takes longer to check. And the faults.

use std::rc::Rc;

use super::config::Mutation;
use super::entry::{Data, Entry};
use super::hold::Hold;
use super::log::Log;
use super::message::{Heartbeat, Message, View};
use super::view::{Change, Frozen};
use super::{Cx, Record, Replica, record};
use crate::id::NodeId;
use crate::machine::{Corrupt, Note};
use crate::op::Tip;
use crate::rng::Stream;
use crate::time::{Duration, LocalTime};

/// Entries whose links are checked at each tick.
const LINKS_PER_TICK: u64 = 4_096;
/// Ticks between two scrubs of the state, and how many entries add one more.
const SCRUB_TICKS: u64 = 4;
const SCRUB_ENTRIES: u64 = 1_000;
/// A node outside of the group is forgotten when it was not heard for so long.
const FORGET_AFTER: Duration = Duration::from_secs(600);

impl Replica {
    pub(super) fn sanity(&mut self, cx: &mut Cx<'_>) {
        self.clamp_times(cx.now);
        self.check_peers(cx.now);
        self.check_change(cx);
        self.check_log(cx);
        self.check_view(cx);
        self.check_positions(cx);
        self.absorb_clock(cx);
    }

    /// Moves every stored time into the window that it can legally have.
    fn clamp_times(&mut self, now: LocalTime) {
        let freeze = self.options().freeze;
        let hold = self.options().hold_down_max.max(self.options().suspect_after);
        let deadline = self.config.view_deadline();
        let trust_future = self.mutated(Mutation::TrustTheFuture);
        self.booted = self.booted.min(now);
        self.invited = self.invited.map(|at| at.min(now));
        self.install_until = self.install_until.min(now + freeze);
        self.unsettled_since = self.unsettled_since.map(|since| since.min(now));
        if let Some(frozen) = &mut self.frozen {
            frozen.deadline = frozen.deadline.min(now + freeze);
        }
        if let Some(change) = &mut self.change {
            change.deadline = change.deadline.min(now + deadline);
        }
        if let Some(installing) = &mut self.installing {
            installing.since = installing.since.min(now);
        }
        for (_, since, _) in &mut self.disk.pending {
            *since = (*since).min(now);
        }
        self.disk.hold.clamp(now, hold);
        let patience = self.options().suspect_after;
        for known in self.peers.values_mut() {
            known.former = known.former.filter(|&(_, until)| until <= now + patience);
            if !trust_future {
                known.heard = known.heard.map(|heard| heard.min(now));
            }
            known.hold.clamp(now, hold);
            known.waiting_since = known.waiting_since.map(|since| since.min(now));
            known.refilled = known.refilled.filter(|&(_, at)| at <= now);
            known.fetching = known.fetching.filter(|&since| since <= now);
        }
    }

    fn check_peers(&mut self, now: LocalTime) {
        let me = self.me();
        self.peers.remove(&me);
        let config = self.config.clone();
        self.peers.retain(|&node, _| config.knows(node));
        self.forget_strangers(now);
        self.add_peers();
        let (length, probes, epoch_max) = (self.log.length(), self.probes, self.options().epoch_max);
        for (&node, known) in &mut self.peers {
            if known.matched > length {
                known.matched = 0;
            }
            if known.probe > probes {
                known.probe = 0;
            }
            if known.report.as_ref().is_some_and(|report| !is_plausible(&config, node, report, epoch_max)) {
                known.report = None;
            }
        }
        if self.epoch_seen >= epoch_max {
            self.epoch_seen = 0;
        }
        self.attempts = self.attempts.min(3);
    }

    /// Of those who have no part in this group any more, and were not heard for long, nothing is kept.
    fn forget_strangers(&mut self, now: LocalTime) {
        let (set, first, view) = (&self.log.state().replica_set, &self.config.replica_set, &self.view);
        self.peers.retain(|node, known| {
            let counts =
                set.contains(node) || first.contains(node) || view.as_ref().is_some_and(|view| view.has(*node));
            counts || known.heard.is_some_and(|heard| now.since(heard) <= FORGET_AFTER)
        });
    }

    fn check_change(&mut self, cx: &mut Cx<'_>) {
        let (me, incarnation) = (self.me(), self.incarnation);
        let sound = |change: &Change| {
            change.view.coordinator == me && change.view.incarnation == incarnation && change.view.has(me)
        };
        if self.change.as_ref().is_some_and(|change| !sound(change)) {
            self.change = None;
            cx.note(Note::Corrected("a view change that is not this node's"));
        }
        let stuck = self.options().suspect_after;
        if self.installing.as_ref().is_some_and(|installing| cx.now.since(installing.since) > stuck) {
            // Its write is lost, or the storage does not answer: what the disk holds is said again.
            self.installing = None;
            self.save(cx);
            cx.note(Note::Corrected("an installation whose write never ended"));
        }
    }

    /// Writes log and view whole, so that the disk agrees with what was corrected.
    fn save(&mut self, cx: &mut Cx<'_>) {
        let (image, entries) = (self.log.chain().base.clone(), self.log.chain().entries.clone());
        self.write(Record::Snapshot { image, entries, view: self.view.clone(), aside: self.aside_record() }, cx);
    }

    fn check_log(&mut self, cx: &mut Cx<'_>) {
        let base = self.log.chain().base.tip.length;
        if self.scrubbed < base || self.scrubbed > self.log.length() {
            self.scrubbed = base;
        }
        self.doubtful |= self.log.is_doubtful();
        let first_bad = |log: &Log| log.first_bad(self.scrubbed + 1, LINKS_PER_TICK);
        if let Some(bad) = Some(&self.log).filter(|_| self.doubtful).and_then(first_bad) {
            self.quarantine(bad - 1);
            self.log.truncate(bad - 1);
            self.forget_claims(cx);
            cx.note(Note::Corrected("the log was cut at its first bad link"));
        }
        self.scrubbed = (self.scrubbed + LINKS_PER_TICK).min(self.log.length());
        if self.scrubbed == self.log.length() {
            self.scrubbed = base;
        }
        let every = SCRUB_TICKS + self.log.chain().entries.len() as u64 / SCRUB_ENTRIES;
        if self.doubtful && self.ticks.is_multiple_of(every) {
            self.scrub(cx);
        }
    }

    fn scrub(&mut self, cx: &mut Cx<'_>) {
        if !self.log.chain().base.is_sound() {
            self.quarantine(self.log.chain().base.tip.length);
            self.log =
                Log::from_chain(super::log::Chain { base: record::empty_image(&self.config), entries: Vec::new() });
            self.view = None;
            self.forget_claims(cx);
            cx.note(Note::Corrected("the image was bad: this replica starts empty"));
        } else if self.log.rebuild() {
            cx.note(Note::Corrected("the state differed from its log and was rebuilt"));
        }
    }

    /// After the log lost entries: nothing that was claimed about it holds any more.
    fn forget_claims(&mut self, cx: &mut Cx<'_>) {
        self.incarnation = cx.rng.bits();
        self.incumbent = false;
        self.wanted = None;
        self.heir = None;
        self.change = None;
        self.installing = None;
        self.confirm_length = None;
        self.acked_length = 0;
        let length = self.log.length();
        self.disk.durable = self.disk.durable.min(length);
        for (_, _, end) in &mut self.disk.pending {
            *end = (*end).min(length);
        }
        for known in self.peers.values_mut() {
            known.matched = 0;
            known.branch = None;
        }
        self.turn_away(cx);
        self.save(cx);
    }

    fn check_view(&mut self, cx: &mut Cx<'_>) {
        let me = self.me();
        if self.view.as_ref().is_some_and(|view| !self.is_typed(view)) {
            self.view = None;
            cx.note(Note::Corrected("an impossible view was dropped"));
        }
        let last = self.log.state().last_view;
        self.view_length = last.map_or(0, |view| view.tip.length);
        let is_primary = self.view.as_ref().is_some_and(|view| {
            view.coordinator == me
                && view.incarnation == self.incarnation
                && last.is_some_and(|last| last.epoch == view.epoch && last.members as usize == view.members.len())
        });
        if self.incumbent && !is_primary {
            self.incumbent = false;
            self.turn_away(cx);
            cx.note(Note::SteppedDown { why: "its view is not its own" });
        }
    }

    /// Positions are derived from the log and the members' acknowledgements.
    fn check_positions(&mut self, cx: &mut Cx<'_>) {
        let length = self.log.length();
        let ends = self.disk.pending.iter().map(|&(_, _, length)| length);
        self.disk.durable = if self.disk.pending.is_empty() && self.installing.is_none() {
            length
        } else {
            self.disk.durable.min(ends.max().unwrap_or(length)).min(length)
        };
        self.disk.durable = self.disk.durable.max(self.log.chain().base.tip.length);
        if !self.incumbent {
            return;
        }
        let last_view = self.log.state().last_view;
        let base = self.log.chain().base.clone();
        let names_view = |at: u64| {
            self.log.chain().entry(at).is_some_and(|entry| match &entry.data {
                Data::Confirm { view } => Some(*view) == last_view.map(|view| view.tip),
                _ => false,
            })
        };
        let compacted = |at: u64| at <= base.tip.length && base.state.confirmed == last_view;
        if let Some(at) = self.confirm_length
            && !names_view(at)
            && !compacted(at)
        {
            self.confirm_length = (self.view_length + 1..=length).find(|&at| names_view(at));
            self.service.confirmed &= self.confirm_length.is_some();
        }
        self.acked_length = self.acked_length.min(length);
        if !self.desk_is_sound() {
            self.turn_away(cx);
            cx.note(Note::Corrected("requests in hand that no log holds"));
        }
    }

    pub(super) fn overwrite(&mut self, what: Corrupt, rng: &mut Stream) {
        if what != Corrupt::Log {
            self.overwrite_volatile(rng);
        }
        if what != Corrupt::Volatile {
            self.overwrite_log(rng);
        }
    }

    fn any_time(&self, rng: &mut Stream) -> LocalTime {
        let now = self.last_tick.as_nanos();
        LocalTime::from_nanos(match rng.below(3) {
            0 => rng.bits(),
            1 => now.saturating_add(rng.below(20_000_000_000)),
            _ => now.saturating_sub(rng.below(20_000_000_000)),
        })
    }

    fn any_node(&self, rng: &mut Stream) -> NodeId {
        self.config.directory[rng.below(self.config.directory.len() as u64) as usize].node
    }

    fn any_view(&self, rng: &mut Stream) -> View {
        let mut members: Vec<NodeId> =
            self.config.directory.iter().map(|peer| peer.node).filter(|_| rng.chance(0.6)).collect();
        members.sort_unstable();
        let incarnation = if rng.chance(0.5) { self.incarnation } else { rng.bits() };
        View { epoch: any_epoch(rng, self.options().epoch_max), coordinator: self.any_node(rng), incarnation, members }
    }

    fn overwrite_volatile(&mut self, rng: &mut Stream) {
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        for node in nodes {
            let (heard, until, waiting) = (self.any_time(rng), self.any_time(rng), self.any_time(rng));
            // That a node leads, or follows this one, are the most dangerous lies.
            let candidate = match rng.below(3) {
                0 => node,
                1 => self.me(),
                _ => self.any_node(rng),
            };
            let epoch_max = self.options().epoch_max;
            let known = self.known(node);
            known.heard = rng.chance(0.8).then_some(heard);
            known.matched = if rng.chance(0.5) { rng.below(2_000) } else { rng.bits() };
            known.hold.until = rng.chance(0.3).then_some(until);
            known.waiting_since = rng.chance(0.3).then_some(waiting);
            known.hold.failures = rng.bits() as u32;
            known.hold.forget_at = until;
            if let Some(report) = &known.report {
                let mut beat = (**report).clone();
                overwrite_heartbeat(&mut beat, candidate, epoch_max, rng);
                known.report = Some(Rc::new(beat));
            }
        }
        self.incumbent = rng.chance(0.5);
        self.candidate = rng.chance(0.7).then(|| self.any_node(rng));
        self.epoch_seen = any_epoch(rng, self.options().epoch_max);
        self.attempts = rng.bits() as u32;
        self.unsettled_since = rng.chance(0.5).then(|| self.any_time(rng));
        self.install_until = self.any_time(rng);
        self.confirm_length = rng.chance(0.5).then(|| rng.bits());
        self.acked_length = rng.bits();
        self.disk.durable = rng.bits();
        self.view_length = rng.bits();
        self.hlc = rng.bits();
        self.frozen = rng.chance(0.5).then(|| Frozen { id: self.any_view(rng).id(), deadline: self.any_time(rng) });
        self.change = rng.chance(0.3).then(|| Change {
            view: Rc::new(self.any_view(rng)),
            reset: rng.chance(0.5),
            deadline: self.any_time(rng),
            acks: std::collections::BTreeMap::new(),
        });
        self.service.scramble(rng);
        let until = rng.chance(0.3).then(|| self.any_time(rng));
        self.disk.hold = Hold { failures: rng.bits() as u32, until, forget_at: self.any_time(rng) };
        self.disk.unproven = rng.chance(0.3);
        self.invited = rng.chance(0.3).then(|| self.any_time(rng));
        if rng.chance(0.3) {
            self.aside.clear();
        }
        // The disk answers by identifier, and time goes on: those two cannot be corrupted by this model.
        let length = self.log.length();
        self.acked_length = self.acked_length.min(length);
        self.disk.durable = self.disk.durable.clamp(self.log.chain().base.tip.length, length);
    }

    fn overwrite_log(&mut self, rng: &mut Stream) {
        if rng.chance(0.7) {
            self.view = rng.chance(0.8).then(|| self.any_view(rng));
        }
        let (chain, state) = self.log.parts_mut();
        if rng.chance(0.5) {
            state.corrupt(rng);
        }
        if rng.chance(0.2) {
            Rc::make_mut(&mut chain.base).state.corrupt(rng);
        }
        if !chain.entries.is_empty() && rng.chance(0.7) {
            let at = rng.below(chain.entries.len() as u64) as usize;
            let mut entry = (*chain.entries[at]).clone();
            overwrite_entry(&mut entry, rng);
            chain.entries[at] = Rc::new(entry);
        }
        if chain.entries.len() > 1 && rng.chance(0.3) {
            let keep = rng.below(chain.entries.len() as u64) as usize;
            chain.entries.truncate(keep);
            self.disk.durable = self.disk.durable.min(self.log.length());
            self.acked_length = self.acked_length.min(self.log.length());
        }
    }
}

fn is_plausible(config: &super::Config, node: NodeId, beat: &Heartbeat, epoch_max: u64) -> bool {
    let view_ok = beat.view.is_none_or(|view| view.epoch > 0 && view.epoch < epoch_max);
    let claim_ok = !beat.incumbent || beat.view.is_some_and(|view| view.coordinator == node);
    view_ok && claim_ok && beat.members as usize <= config.directory.len()
}

fn any_epoch(rng: &mut Stream, epoch_max: u64) -> u64 {
    match rng.below(3) {
        0 => rng.bits(),
        1 => epoch_max.saturating_sub(rng.below(4)),
        _ => rng.below(16),
    }
}

fn overwrite_entry(entry: &mut Entry, rng: &mut Stream) {
    match rng.below(3) {
        0 => entry.hash = rng.bits(),
        1 => entry.prev = rng.bits(),
        _ => match &mut entry.data {
            Data::Op(executed) => executed.cell.digest = rng.bits(),
            Data::View(view) => view.epoch = rng.bits(),
            Data::Confirm { view } => view.hash = rng.bits(),
            Data::Merge(merge) => merge.segments.clear(),
            Data::Reconfigure(nodes) => nodes.clear(),
        },
    }
}

fn overwrite_heartbeat(beat: &mut Heartbeat, candidate: NodeId, epoch_max: u64, rng: &mut Stream) {
    beat.incumbent = rng.chance(0.5);
    beat.candidate = rng.chance(0.8).then_some(candidate);
    beat.members = rng.below(6) as u32;
    beat.place = beat.members as u16;
    if rng.chance(0.5) {
        beat.tip = Tip { length: rng.bits() >> rng.below(64), hash: rng.bits() };
    }
    beat.floor = rng.bits() >> rng.below(64);
    if rng.chance(0.3) {
        beat.incarnation = rng.bits();
    }
    if let Some(view) = &mut beat.view {
        view.epoch = any_epoch(rng, epoch_max);
    }
    if rng.chance(0.3) {
        beat.trusted.clear();
    }
    beat.impaired = rng.chance(0.3);
    beat.retired = rng.chance(0.3);
}

/// Overwrites a message in flight.
pub fn overwrite_message(message: &mut Message, rng: &mut Stream) {
    let mut tip = |tip: &mut Tip| *tip = Tip { length: rng.bits() >> rng.below(64), hash: rng.bits() };
    match message {
        Message::Heartbeat(beat) => {
            let mut changed = (**beat).clone();
            let candidate = changed.trusted.first().copied().unwrap_or_default();
            overwrite_heartbeat(&mut changed, candidate, u64::MAX, rng);
            *beat = Rc::new(changed);
        }
        Message::Beacon { view, tip: end, .. } => {
            view.epoch = rng.bits();
            end.hash = rng.bits();
        }
        Message::Propose { view, reset } => {
            let mut changed = (**view).clone();
            changed.epoch = rng.bits();
            changed.members.pop();
            *view = Rc::new(changed);
            *reset = rng.chance(0.5);
        }
        Message::ViewAck { tip: end, .. } => tip(end),
        Message::ViewNack { epoch, .. } => *epoch = rng.bits(),
        Message::Fetch { have } => *have = [Tip { length: rng.bits(), hash: rng.bits() }].into(),
        Message::Branch { delta, .. } => {
            let mut changed = (**delta).clone();
            changed.from.hash = rng.bits();
            *delta = Rc::new(changed);
        }
        Message::Install { delta, .. } => {
            let mut changed = (**delta).clone();
            if let Some(last) = changed.entries.last_mut() {
                let mut entry = (**last).clone();
                overwrite_entry(&mut entry, rng);
                *last = Rc::new(entry);
            }
            *delta = Rc::new(changed);
        }
        Message::Replicate(replicate) => tip(&mut replicate.base),
        Message::TakeOver { view, .. } | Message::Quarantined { view, .. } => view.digest = rng.bits(),
        Message::ReplicateAck(ack) => {
            tip(&mut ack.tip);
            ack.probe = rng.bits();
        }
    }
}
