//! Merging branches of a history: a pure, deterministic function of the branches and the policy.
//!
//! Which branch is the base, and what becomes of the others' writes, never depends on the order in which
//! branches are given nor on who holds them (protocol specification, section 5).

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::entry::{Cell, Data, Effect, Entry, Executed, Journaled, Merge, Reapplied, Segment, Why};
use super::log::{Chain, Log};
use super::membership::extend;
use super::options::MergePolicy;
use super::state::{Confirmed, Fate, State};
use crate::id::NodeId;
use crate::machine::{Branch, Revocation, Union};
use crate::op::{Answer, Op, Tip, WriteKey};

/// The outcome of a merge.
#[derive(Debug)]
pub struct Merged {
    /// The base branch and, if anything was merged into it, one Merge entry and perhaps a Reconfigure.
    pub log: Log,
    pub summary: Summary,
}

/// What a merge did, for notes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Branches merged into the base.
    pub branches: usize,
    pub reapplied: usize,
    pub revoked: usize,
    pub duplicates: usize,
    pub union: Union,
}

/// Merges histories. `branches` must not be empty; `tail_rule` is off only in a deliberate defect.
pub fn merge(branches: &[Chain], policy: MergePolicy, tail_rule: bool) -> Merged {
    let branches = uncovered(branches);
    let ranked = rank(&branches, tail_rule);
    let base = branches[ranked[0].at];
    let mut log = Log::from_chain(base.clone());
    if ranked.len() == 1 {
        return Merged { log, summary: Summary::default() };
    }
    let losers: Vec<&Chain> = ranked[1..].iter().map(|one| branches[one.at]).collect();
    let mut collected = Collected::default();
    for (branch, one) in ranked[1..].iter().enumerate() {
        collected.tail = one.tail;
        collected.take(&log, branches[one.at], branch as u32);
    }
    let (entry, mut summary) = settle(&log, collected, policy);
    summary.branches = losers.len();
    summary.union.branches = ranked
        .iter()
        .map(|one| Branch {
            view: one.confirmed.map(|view| (view.tip, view.epoch)),
            tip: branches[one.at].tip(),
            tail: one.tail,
        })
        .collect();
    log.push(Data::Merge(Box::new(entry)));
    let union = union_of_replica_sets(&log, &losers);
    if union != log.state().replica_set {
        log.push(Data::Reconfigure(union));
    }
    Merged { log, summary }
}

/// Whether the history of `chain` holds `tip`, which must be the tip of a branch.
fn covers(chain: &Chain, tip: Tip) -> bool {
    tip.length == 0 || chain.history_holds(tip, u64::MAX)
}

/// Drops branches whose tip another covers: a strict prefix is a fast-forward, not a conflict.
fn uncovered(branches: &[Chain]) -> Vec<&Chain> {
    // In an order of their own content, so that of two that cover each other the same one stays.
    let mut sorted: Vec<&Chain> = branches.iter().collect();
    sorted.sort_by_key(|chain| (std::cmp::Reverse(chain.tip()), chain.base.tip));
    let mut kept: Vec<&Chain> = Vec::new();
    for (at, chain) in sorted.iter().enumerate() {
        let tip = chain.tip();
        let by_kept = kept.iter().any(|other| covers(other, tip));
        let by_later = sorted[at + 1..].iter().any(|other| covers(other, tip) && !covers(chain, other.tip()));
        if !by_kept && !by_later {
            kept.push(chain);
        }
    }
    if kept.is_empty() { vec![sorted[0]] } else { kept }
}

/// A branch in its place.
struct Ranked {
    /// Its index among the branches.
    at: usize,
    tail: bool,
    confirmed: Option<Confirmed>,
}

/// The branches in order, the base first.
///
/// A *tail* is the unfinished end of a primary that crashed or paused: its last confirmed view is in
/// another's confirmed history. A tail is never the base. The rest rank by members and epoch of their last
/// confirmed view, length and tip.
fn rank(branches: &[&Chain], tail_rule: bool) -> Vec<Ranked> {
    let confirmed: Vec<_> = branches.iter().map(|chain| chain.confirmed()).collect();
    let is_tail = |x: usize| {
        tail_rule
            && (0..branches.len()).filter(|&y| y != x).any(|y| match (confirmed[x], confirmed[y]) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(cx), Some(cy)) => cx.tip != cy.tip && branches[y].history_holds(cx.tip, cy.tip.length),
            })
    };
    // A foreign branch shares no entry with any other, and is never the base against native ones. Of two
    // branches that are foreign to each other neither is native: rank decides.
    let kin = |x: usize| (0..branches.len()).any(|y| y != x && branches[x].fork(branches[y]).is_some());
    let any_kin = (0..branches.len()).any(kin);
    let mut order: Vec<usize> = (0..branches.len()).collect();
    order.sort_by_key(|&x| {
        let (members, epoch) = confirmed[x].map_or((0, 0), |view| (view.members, view.epoch));
        (any_kin && !kin(x), is_tail(x), std::cmp::Reverse((members, epoch, branches[x].tip())))
    });
    order.into_iter().map(|at| Ranked { at, tail: is_tail(at), confirmed: confirmed[at] }).collect()
}

/// The base's order comes first, then who is in the losers' sets only, in the order of their rank.
fn union_of_replica_sets(base: &Log, losers: &[&Chain]) -> Vec<NodeId> {
    let mut union = base.state().replica_set.clone();
    for loser in losers {
        let latest = loser.entries.iter().rev().find_map(|entry| match &entry.data {
            Data::Reconfigure(nodes) => Some(nodes),
            _ => None,
        });
        extend(&mut union, latest.unwrap_or(&loser.base.state.replica_set).iter().copied());
    }
    union
}

/// A write of a losing branch.
struct Instance {
    executed: Executed,
    /// Its branch's place in the ranking of the losers.
    branch: u32,
    /// Names its branch among the siblings of a key, in later merges too.
    sibling: u32,
    foreign: bool,
    /// Its branch is the unfinished end of a former primary, and no side that served.
    tail: bool,
    /// Whether the base wrote the key after the branch forked from it; for siblings, or another loser.
    contended: bool,
}

/// All that the losing branches hold and the base does not.
#[derive(Default)]
struct Collected {
    segments: Vec<Segment>,
    hashes: BTreeSet<u64>,
    instances: Vec<Instance>,
    revoked: Vec<Journaled>,
    /// Whether the branch that is being taken is a tail.
    tail: bool,
}

impl Collected {
    fn take(&mut self, base: &Log, loser: &Chain, branch: u32) {
        let fork = base.chain().fork(loser);
        let first = fork.map_or(loser.base.tip.length, |fork| fork.length);
        let touched: BTreeSet<u32> = fork.map_or_else(BTreeSet::new, |fork| keys_of(base.chain().after(fork.length)));
        let mut segment = Segment { fork: fork.unwrap_or_default(), tip: loser.tip(), hashes: Vec::new() };
        if fork.is_none() {
            self.take_foreign_sessions(base, loser);
            segment.hashes.push(loser.base.tip.hash);
        }
        for entry in loser.after(first) {
            let known = base.covers(Tip { length: u64::MAX, hash: entry.hash }) || !self.hashes.insert(entry.hash);
            segment.hashes.push(entry.hash);
            if !known {
                self.take_entry(entry, branch, fork.is_none(), &touched, &mut segment);
            }
        }
        self.segments.push(segment);
    }

    fn take_entry(
        &mut self,
        entry: &Entry,
        branch: u32,
        foreign: bool,
        touched: &BTreeSet<u32>,
        segment: &mut Segment,
    ) {
        let (tip, tail) = (segment.tip, self.tail);
        let mut add = |executed: &Executed| {
            let contended = foreign || touched.contains(&executed.op.key());
            let sibling = tip.hash as u32;
            self.instances.push(Instance { executed: *executed, branch, sibling, foreign, tail, contended });
        };
        match &entry.data {
            Data::Op(executed) => add(executed),
            Data::Merge(merge) => {
                merge.reapplied.iter().for_each(|one| add(&one.executed));
                self.revoked.extend(&merge.journal);
                for inner in &merge.segments {
                    self.hashes.extend(&inner.hashes);
                    segment.hashes.extend(&inner.hashes);
                }
            }
            Data::View(_) | Data::Confirm { .. } | Data::Reconfigure(_) => {}
        }
    }

    /// Writes that are in a foreign branch's compacted part are known by number only.
    fn take_foreign_sessions(&mut self, base: &Log, loser: &Chain) {
        let state = &loser.base.state;
        for (client, numbers) in state.live() {
            for number in numbers.iter() {
                let write = WriteKey { client, number };
                if base.state().fate(write) == Fate::New {
                    self.revoked.push(Journaled { write, op: None, hlc: 0, why: Why::Foreign });
                }
            }
        }
        self.revoked.extend(state.journal());
    }
}

fn keys_of(entries: &[Rc<Entry>]) -> BTreeSet<u32> {
    let mut keys = BTreeSet::new();
    for entry in entries {
        match &entry.data {
            Data::Op(executed) => {
                keys.insert(executed.op.key());
            }
            Data::Merge(merge) => keys.extend(merge.reapplied.iter().map(|one| one.executed.op.key())),
            _ => {}
        }
    }
    keys
}

/// Decides what is reapplied and what is journaled.
fn settle(base: &Log, collected: Collected, policy: MergePolicy) -> (Merge, Summary) {
    let Collected { mut segments, mut instances, revoked, .. } = collected;
    segments.sort_by_key(|segment| segment.tip);
    instances.sort_by_key(|one| (one.executed.hlc, one.executed.key(), one.executed.op.digest(), one.branch));
    if policy == MergePolicy::Siblings {
        instances.sort_by_key(|one| one.branch);
        contend(&mut instances);
    }
    let (changed, revoked): (Vec<_>, Vec<_>) = revoked.into_iter().partition(|one| one.why == Why::Changed);
    let mut settling = Settling {
        state: base.state().clone(),
        length: base.length() + 1,
        merge: Merge { segments, ..Merge::default() },
        decided: BTreeMap::new(),
        changed: BTreeSet::new(),
        summary: Summary::default(),
    };
    for one in revoked {
        settling.carry(one);
    }
    for one in &instances {
        settling.decide(one, policy);
    }
    for one in changed {
        settling.carry_changed(one);
    }
    let Settling { mut merge, mut summary, .. } = settling;
    merge.journal.sort_by_key(|one| one.write);
    summary.reapplied = merge.reapplied.len();
    summary.revoked = merge.journal.iter().filter(|one| one.why != Why::Changed).count();
    (merge, summary)
}

/// A key that the base did not write, and two losers did: neither of their values is the older one.
fn contend(instances: &mut [Instance]) {
    let mut first: BTreeMap<u32, u32> = BTreeMap::new();
    for one in instances {
        let owner = *first.entry(one.executed.op.key()).or_insert(one.branch);
        one.contended |= owner != one.branch;
    }
}

struct Settling {
    /// The base's state with what was reapplied so far.
    state: State,
    length: u64,
    merge: Merge,
    /// Writes of the losers that this merge has dealt with; true: revoked.
    decided: BTreeMap<WriteKey, bool>,
    /// Live writes that this merge records as changed.
    changed: BTreeSet<WriteKey>,
    summary: Summary,
}

impl Settling {
    /// A write that a losing branch had revoked: live in the base beats it, otherwise it stays revoked.
    fn carry(&mut self, one: Journaled) {
        if self.state.fate(one.write) != Fate::New || self.decided.contains_key(&one.write) {
            return;
        }
        let why = if one.why == Why::Foreign { Why::Foreign } else { Why::Earlier };
        self.decided.insert(one.write, true);
        self.summary.union.revoked.push(Revocation { write: one.write, branch: None, why: why.in_words() });
        self.merge.journal.push(Journaled { why, ..one });
    }

    /// A write that a losing branch knew to be live with another answer than was told: so it is here.
    fn carry_changed(&mut self, one: Journaled) {
        let live = matches!(self.state.fate(one.write), Fate::Live(_) | Fate::Settled);
        if live && !self.state.changed(one.write) && self.changed.insert(one.write) {
            self.merge.journal.push(one);
        }
    }

    fn decide(&mut self, one: &Instance, policy: MergePolicy) {
        let executed = &one.executed;
        let write = executed.key();
        match self.state.fate(write) {
            Fate::Revoked => return,
            Fate::Live(recent) => {
                self.summary.duplicates += 1;
                if recent.digest == executed.op.digest() && recent.answer != executed.answer {
                    self.journal(one, Why::Changed);
                }
                return;
            }
            Fate::Settled => {
                self.summary.duplicates += 1;
                return;
            }
            Fate::New => {}
        }
        if self.decided.contains_key(&write) {
            return;
        }
        match self.effect(one, policy) {
            Ok((effect, answer)) => self.reapply(one, effect, answer),
            Err(why) => {
                self.decided.insert(write, true);
                let branch = Some(one.branch as usize + 1);
                self.summary.union.revoked.push(Revocation { write, branch, why: why.in_words() });
                self.journal(one, why);
            }
        }
    }

    fn journal(&mut self, one: &Instance, why: Why) {
        let Executed { op, hlc, .. } = one.executed;
        let write = one.executed.key();
        if why != Why::Changed || self.changed.insert(write) {
            self.merge.journal.push(Journaled { write, op: Some(op), hlc, why });
        }
    }

    fn reapply(&mut self, one: &Instance, effect: Effect, answer: Answer) {
        let told = one.executed.answer;
        let cell = match effect {
            Effect::Replace(cell) | Effect::Sibling { cell, .. } => cell,
            Effect::Superseded => self.state.read(one.executed.op.key()),
        };
        let executed = Executed { answer, cell, ..one.executed };
        let reapplied = Reapplied { executed, effect, changed: answer != told };
        self.state.reapply(&reapplied, self.length);
        self.merge.reapplied.push(reapplied);
        self.summary.union.reapplied.push((one.executed.key(), one.branch as usize + 1));
        self.decided.insert(one.executed.key(), false);
    }

    /// What the policy makes of a write that the base does not know.
    fn effect(&self, one: &Instance, policy: MergePolicy) -> Result<(Effect, Answer), Why> {
        if one.foreign {
            return Err(Why::Foreign);
        }
        let executed = &one.executed;
        match policy {
            MergePolicy::RankWins => Err(Why::Rank),
            MergePolicy::Crdt | MergePolicy::Replay => self.again(executed),
            MergePolicy::LastWriterWins => {
                let later = executed.hlc > self.state.written(executed.op.key());
                match executed.op {
                    Op::Put { .. } if later => Ok((Effect::Replace(executed.cell), executed.answer)),
                    Op::Put { .. } => Ok((Effect::Superseded, executed.answer)),
                    Op::Post { .. } => self.again(executed),
                    _ if later || !one.contended => self.again(executed),
                    _ => Err(Why::Conflict),
                }
            }
            MergePolicy::Siblings => match executed.op {
                Op::Post { .. } => self.again(executed),
                _ if one.tail => self.again(executed),
                _ if !one.contended => Ok((Effect::Replace(executed.cell), executed.answer)),
                _ if executed.answer == Answer::Swapped(false) => Ok((Effect::Superseded, executed.answer)),
                _ => Ok((Effect::Sibling { cell: executed.cell, branch: one.sibling }, executed.answer)),
            },
        }
    }

    /// Executes the operation on the merged state; it holds if the client was told the same.
    fn again(&self, executed: &Executed) -> Result<(Effect, Answer), Why> {
        let (cell, answer): (Cell, Answer) = self.state.execute(executed.op);
        if answer == executed.answer { Ok((Effect::Replace(cell), answer)) } else { Err(Why::Conflict) }
    }
}
