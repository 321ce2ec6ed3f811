//! Merging branches (specification, section 5).

use std::collections::BTreeSet;

use super::super::entry::{Data, Effect, Executed, Why};
use super::super::log::{Chain, Log};
use super::super::merge::{Merged, merge};
use super::super::options::MergePolicy;
use super::super::state::{Fate, State};
use super::stage::{key, value};
use crate::id::{ClientId, NodeId};
use crate::op::{Answer, Op, WriteKey};
use crate::rng::Stream;

pub const POLICIES: [MergePolicy; 5] =
    [MergePolicy::RankWins, MergePolicy::Replay, MergePolicy::LastWriterWins, MergePolicy::Crdt, MergePolicy::Siblings];

/// A history that a test writes by hand.
#[derive(Clone)]
pub struct Branch(pub Log);

impl Branch {
    pub fn new() -> Self {
        Self(Log::new(State::new((0..5).map(NodeId).collect())))
    }

    pub fn view(mut self, epoch: u64, members: &[u32]) -> Self {
        let members = members.iter().copied().map(NodeId).collect();
        self.0.push(Data::View(super::super::entry::ViewEntry { epoch, coordinator: NodeId(0), members }));
        self
    }

    pub fn confirm(mut self) -> Self {
        let view = self.0.state().last_view.expect("a view to confirm").tip;
        self.0.push(Data::Confirm { view });
        self
    }

    /// The primary of this branch executes a write.
    pub fn write(mut self, client: u32, number: u32, op: Op, hlc: u64) -> Self {
        let (cell, answer) = self.0.state().execute(op);
        let client = ClientId(client);
        self.0.push(Data::Op(Executed { client, number, floor: 1, op, answer, cell, hlc }));
        self
    }

    pub fn put(self, client: u32, number: u32, at: u32, digest: u64, hlc: u64) -> Self {
        self.write(client, number, Op::Put { key: at, value: value(digest) }, hlc)
    }

    pub fn post(self, client: u32, number: u32, hlc: u64) -> Self {
        self.write(client, number, Op::Post { key: 0, value: value(hlc) }, hlc)
    }

    pub fn swap(self, client: u32, number: u32, expect: u64, digest: u64, hlc: u64) -> Self {
        self.write(client, number, Op::CompareAndSwap { key: 0, expect, value: value(digest) }, hlc)
    }

    pub fn chain(&self) -> Chain {
        self.0.chain().clone()
    }
}

pub fn merged(branches: &[&Branch], policy: MergePolicy) -> Merged {
    let chains: Vec<Chain> = branches.iter().map(|branch| branch.chain()).collect();
    merge(&chains, policy, true)
}

/// A common past under a confirmed view of five.
fn past() -> Branch {
    Branch::new().view(1, &[0, 1, 2, 3, 4]).confirm().put(9, 1, 0, 5, 10)
}

fn live(log: &Log, client: u32, number: u32) -> bool {
    matches!(log.state().fate(key(client, number)), Fate::Live(_) | Fate::Settled)
}

fn why(log: &Log, write: WriteKey) -> Option<Why> {
    log.state().journal().find(|one| one.write == write).map(|one| one.why)
}

#[test]
fn a_strict_prefix_is_a_fast_forward() {
    let short = past();
    let long = past().put(1, 1, 0, 7, 20);
    let both = merged(&[&short, &long], MergePolicy::RankWins);
    assert_eq!(both.log.tip(), long.0.tip(), "no Merge entry");
    assert_eq!(both.summary.branches, 0);
}

#[test]
fn the_branch_of_the_larger_confirmed_view_is_the_base() {
    let three = past().view(2, &[0, 1, 2]).confirm().put(1, 1, 0, 7, 20);
    let two = past().view(9, &[3, 4]).confirm().put(2, 1, 0, 8, 30).put(2, 2, 0, 8, 31);
    for policy in POLICIES {
        let both = merged(&[&two, &three], policy);
        assert!(both.log.chain().passes(three.0.tip()), "{policy:?}: three members beat epoch, length and time");
        assert!(both.log.covers(two.0.tip()), "the other is a segment");
        assert!(live(&both.log, 1, 1));
    }
    let both = merged(&[&two, &three], MergePolicy::RankWins);
    assert_eq!((why(&both.log, key(2, 1)), why(&both.log, key(2, 2))), (Some(Why::Rank), Some(Why::Rank)));
}

/// The view of five is in the history of the two before the view that they confirmed: the end of the old
/// primary is a tail, and however long and large it is, it is never the base.
#[test]
fn a_tail_is_never_the_base() {
    let mut tail = past();
    for number in 1..50 {
        tail = tail.put(1, number, 0, 7, 20 + u64::from(number));
    }
    let two = past().view(2, &[3, 4]).confirm().put(2, 1, 0, 8, 30);
    let both = merged(&[&tail, &two], MergePolicy::RankWins);
    assert!(both.log.chain().passes(two.0.tip()));
    assert_eq!(why(&both.log, key(1, 1)), Some(Why::Rank), "every uncovered part of a tail is a segment too");
    let chains = [tail.chain(), two.chain()];
    let without = merge(&chains, MergePolicy::RankWins, false);
    assert!(without.log.chain().passes(tail.0.tip()), "without the rule the larger view wins");
}

#[test]
fn a_view_that_was_never_confirmed_does_not_count() {
    let unfinished = past().view(5, &[0, 1, 2, 3, 4]).put(1, 1, 0, 7, 20);
    let two = past().view(2, &[3, 4]).confirm();
    let both = merged(&[&unfinished, &two], MergePolicy::RankWins);
    assert!(both.log.chain().passes(two.0.tip()));
}

#[test]
fn a_tail_is_recognised_when_its_view_was_merged_as_a_segment() {
    let west = past().view(2, &[0, 1, 2]).confirm().put(1, 1, 0, 7, 20);
    let east = past().view(2, &[3, 4]).confirm().put(2, 1, 0, 8, 20);
    let east_goes_on = Branch(east.0.clone()).put(2, 2, 0, 9, 90).put(2, 3, 0, 9, 91);
    let whole = Branch(merged(&[&west, &east], MergePolicy::Replay).log).view(3, &[0]).confirm();
    let again = merged(&[&whole, &east_goes_on], MergePolicy::Replay);
    assert!(again.log.chain().passes(whole.0.tip()));
    assert!(live(&again.log, 2, 3));
}

#[test]
fn the_same_write_with_the_same_result_is_a_duplicate_and_no_loss() {
    let three = past().view(2, &[0, 1, 2]).confirm().put(1, 1, 0, 7, 20);
    let two = past().view(2, &[3, 4]).confirm().put(1, 1, 0, 7, 25);
    for policy in POLICIES {
        let both = merged(&[&three, &two], policy);
        assert_eq!((both.summary.duplicates, both.summary.revoked, both.summary.reapplied), (1, 0, 0), "{policy:?}");
        assert_eq!(both.log.state().journal().count(), 0);
    }
}

#[test]
fn a_write_that_is_live_with_another_result_is_changed_and_journaled() {
    let three = past().view(2, &[0, 1, 2]).confirm().swap(1, 1, 5, 7, 20);
    let two = past().view(2, &[3, 4]).confirm().put(2, 1, 0, 8, 15).swap(1, 1, 5, 7, 25);
    for policy in POLICIES {
        let both = merged(&[&three, &two], policy);
        assert!(live(&both.log, 1, 1));
        assert_eq!(why(&both.log, key(1, 1)), Some(Why::Changed), "{policy:?}");
        assert!(!both.log.state().journaled(key(1, 1)), "changed is not revoked");
    }
}

/// What a losing branch knew to be changed stays on record in the history that takes it in.
#[test]
fn a_loser_passes_on_what_it_knew_to_be_changed() {
    let three = past().view(2, &[0, 1, 2]).confirm().swap(1, 1, 5, 7, 20);
    let two = past().view(2, &[3, 4]).confirm().put(2, 1, 0, 8, 15).swap(1, 1, 5, 7, 25);
    let lone = Branch(merged(&[&three, &two], MergePolicy::Replay).log).view(3, &[0]).confirm();
    let larger = Branch(three.0.clone()).view(4, &[1, 2]).confirm();
    let again = merged(&[&lone, &larger], MergePolicy::Replay);
    assert!(again.log.chain().passes(larger.0.tip()));
    assert_eq!(why(&again.log, key(1, 1)), Some(Why::Changed));
}

#[test]
fn live_in_the_base_beats_revoked_in_a_loser() {
    let west = past().view(2, &[0]).confirm().put(1, 1, 0, 7, 20);
    let east = past().view(2, &[3, 4]).confirm();
    let lost = Branch(merged(&[&west, &east], MergePolicy::RankWins).log).view(3, &[3]).confirm();
    assert_eq!(why(&lost.0, key(1, 1)), Some(Why::Rank));
    let kept = Branch(west.0.clone()).view(3, &[0, 1, 2]).confirm();
    let both = merged(&[&lost, &kept], MergePolicy::RankWins);
    assert!(both.log.chain().passes(kept.0.tip()));
    assert!(live(&both.log, 1, 1) && !both.log.state().journaled(key(1, 1)), "reinstated");
}

#[test]
fn revoked_in_the_base_stays_revoked() {
    let west = past().view(2, &[0]).confirm().put(1, 1, 0, 7, 20);
    let east = past().view(2, &[2, 3, 4]).confirm();
    let base = Branch(merged(&[&west, &east], MergePolicy::RankWins).log).view(3, &[2, 3, 4]).confirm();
    let again = Branch(west.0.clone()).view(3, &[0, 1]).confirm().put(1, 2, 0, 7, 99);
    for policy in POLICIES {
        let both = merged(&[&base, &again], policy);
        assert!(both.log.chain().passes(base.0.tip()));
        assert!(both.log.state().journaled(key(1, 1)) && !live(&both.log, 1, 1), "{policy:?}");
        assert_eq!(both.log.state().journaled(key(1, 2)), policy == MergePolicy::RankWins, "{policy:?}");
    }
}

#[test]
fn what_a_loser_revoked_and_the_base_never_saw_stays_revoked() {
    let lone = past().view(2, &[0]).confirm().put(1, 1, 0, 7, 20);
    let pair = past().view(2, &[3, 4]).confirm().put(2, 1, 0, 7, 21);
    let loser = Branch(merged(&[&lone, &pair], MergePolicy::RankWins).log).view(3, &[0, 4]).confirm();
    let base = past().view(2, &[1, 2, 3]).confirm();
    let both = merged(&[&loser, &base], MergePolicy::Replay);
    assert!(both.log.chain().passes(base.0.tip()));
    assert_eq!(why(&both.log, key(1, 1)), Some(Why::Earlier));
    assert!(live(&both.log, 2, 1));
}

/// A branch that shares no entry with the others is foreign: never the base against native ones, and never
/// reapplied.
#[test]
fn a_foreign_branch_is_journaled_whole() {
    let foreign = Branch::new().view(7, &[0, 1, 2, 3, 4]).confirm().put(1, 1, 0, 7, 20).put(9, 1, 0, 5, 10);
    let west = past().view(2, &[0]).confirm();
    let east = past().view(2, &[3, 4]).confirm();
    // Positions before the first entry are common to all: a foreign branch begins on an image.
    let mut log = foreign.0.clone();
    log.compact(2);
    let foreign = Branch(log);
    for policy in POLICIES {
        let all = merged(&[&foreign, &west, &east], policy);
        assert!(all.log.chain().passes(east.0.tip()), "{policy:?}");
        assert!(all.log.covers(foreign.0.tip()), "its tip is a segment");
        assert_eq!(why(&all.log, key(1, 1)), Some(Why::Foreign), "{policy:?}");
        assert!(live(&all.log, 9, 1) && !all.log.state().journaled(key(9, 1)), "known to the sessions: no loss");
    }
}

#[test]
fn numbers_that_only_a_foreign_image_knows_are_journaled() {
    let mut log = Branch::new().view(7, &[0]).confirm().put(1, 1, 0, 7, 20).put(1, 2, 0, 7, 21).0;
    log.compact(3);
    let foreign = Branch(log);
    let west = past().view(2, &[0]).confirm();
    let east = past().view(2, &[3, 4]).confirm();
    let all = merged(&[&foreign, &west, &east], MergePolicy::Replay);
    assert!(all.log.state().journaled(key(1, 1)) && all.log.state().journaled(key(1, 2)));
}

#[test]
fn the_board_loses_nothing_under_crdt_or_replay() {
    let three = past().view(2, &[0, 1, 2]).confirm().post(1, 1, 20).post(2, 1, 21);
    let two = past().view(2, &[3, 4]).confirm().post(3, 1, 22).post(2, 1, 23);
    let one = past().view(2, &[4]).confirm().post(4, 1, 24);
    for policy in [MergePolicy::Crdt, MergePolicy::Replay, MergePolicy::LastWriterWins, MergePolicy::Siblings] {
        let all = merged(&[&three, &two, &one], policy);
        assert_eq!(all.summary.revoked, 0, "{policy:?}");
        let thread = all.log.state().read(0);
        let whole = past().post(1, 1, 20).post(2, 1, 21).post(3, 1, 22).post(4, 1, 24).0.state().read(0);
        assert_eq!(thread, whole, "{policy:?}: the join of all");
    }
}

/// Replay evaluates a compare-and-swap again, and journals it if its outcome differs from what was told.
#[test]
fn replay_of_a_compare_and_swap() {
    let three = past().view(2, &[0, 1, 2]).confirm().put(1, 1, 0, 6, 20);
    let two = past().view(2, &[3, 4]).confirm().swap(2, 1, 5, 7, 30).swap(2, 2, 99, 8, 31);
    let both = merged(&[&three, &two], MergePolicy::Replay);
    assert_eq!(why(&both.log, key(2, 1)), Some(Why::Conflict), "it swapped 5, which is 6 here");
    assert!(live(&both.log, 2, 2), "it failed there and fails here");
    assert_eq!(both.log.state().read(0).digest, 6);
}

#[test]
fn replay_runs_in_the_order_of_timestamps_over_all_branches() {
    let three = past().view(2, &[0, 1, 2]).confirm();
    let two = past().view(2, &[3, 4]).confirm().put(2, 1, 0, 7, 40);
    let one = past().view(2, &[4]).confirm().put(3, 1, 0, 8, 30);
    let all = merged(&[&one, &two, &three], MergePolicy::Replay);
    assert_eq!(all.log.state().read(0).digest, 7, "the later write comes last");
    assert_eq!(all.summary.reapplied, 2);
}

#[test]
fn the_last_writer_wins_by_timestamp_key_by_key() {
    let three = past().view(2, &[0, 1, 2]).confirm().put(1, 1, 0, 6, 35).put(1, 2, 1, 6, 35);
    let two = past().view(2, &[3, 4]).confirm().put(2, 1, 0, 7, 30).put(2, 2, 1, 7, 40);
    let both = merged(&[&three, &two], MergePolicy::LastWriterWins);
    assert_eq!((both.log.state().read(0).digest, both.log.state().read(1).digest), (6, 7));
    assert_eq!(both.summary.revoked, 0, "an overwritten put was executed, and then overwritten");
}

fn values(log: &Log, at: u32, digests: &[u64]) -> bool {
    let mut sorted = digests.to_vec();
    sorted.sort_unstable();
    log.state().read(at).digest == crate::hash::of(sorted)
}

#[test]
fn siblings_keep_the_values_of_both_sides() {
    let three = past().view(2, &[0, 1, 2]).confirm().put(1, 1, 0, 6, 35);
    let two = past().view(2, &[3, 4]).confirm().put(2, 1, 0, 7, 30).put(2, 2, 0, 8, 40);
    let both = merged(&[&three, &two], MergePolicy::Siblings);
    assert!(values(&both.log, 0, &[6, 8]), "of one branch only the last");
    assert_eq!(both.summary.revoked, 0);
    let after = Branch(both.log).put(5, 1, 0, 9, 99);
    assert_eq!(after.0.state().read(0).digest, 9, "a write that saw them all replaces them all");
}

/// The unfinished end of a crashed primary is no side of a split: nobody waits to choose between its values.
/// Its writes are executed as if they came now, so one chain of views stays linearizable.
#[test]
fn a_tail_makes_no_siblings() {
    let tail = past().put(1, 1, 0, 7, 20).put(1, 2, 3, 9, 21).swap(1, 3, 7, 8, 22);
    let two = past().view(2, &[1, 2]).confirm().put(2, 1, 0, 6, 30);
    let both = merged(&[&tail, &two], MergePolicy::Siblings);
    let read = |at| both.log.state().read(at).digest;
    assert_eq!((read(0), read(3)), (8, 9), "plain values");
    assert_eq!(why(&both.log, key(1, 3)), None, "and it holds, since the first put was executed again");
}

/// The base did not write the key, two losers did: neither of theirs is the older one.
#[test]
fn siblings_keep_the_values_of_two_losers() {
    let three = past().view(2, &[0, 1, 2]).confirm();
    let two = past().view(2, &[3, 4]).confirm().put(2, 1, 0, 7, 30).put(2, 2, 0, 70, 50);
    let one = past().view(2, &[4]).confirm().put(3, 1, 0, 8, 40).put(3, 2, 0, 80, 45);
    let all = merged(&[&three, &two, &one], MergePolicy::Siblings);
    assert!(values(&all.log, 0, &[70, 80]), "{:?}", all.log.state().read(0));
}

/// Three sides wrote the key; the third is merged later. Its value does not replace that of the second.
#[test]
fn siblings_of_one_merge_survive_the_next() {
    let three = past().view(2, &[0, 1, 2]).confirm().put(1, 1, 0, 6, 30);
    let two = past().view(2, &[3, 4]).confirm().put(2, 1, 0, 7, 31);
    let one = past().view(2, &[4]).confirm().put(3, 1, 0, 8, 32);
    let first = Branch(merged(&[&three, &two], MergePolicy::Siblings).log).view(3, &[0, 1, 2, 3]).confirm();
    let all = merged(&[&first, &one], MergePolicy::Siblings);
    assert!(values(&all.log, 0, &[6, 7, 8]), "{:?}", all.log.state().read(0));
}

#[test]
fn replica_sets_merge_by_union() {
    let mut west = past().view(2, &[0, 1, 2]).confirm();
    west.0.push(Data::Reconfigure([0, 1, 2].map(NodeId).to_vec()));
    let mut east = past().view(2, &[3, 4]).confirm();
    east.0.push(Data::Reconfigure([3, 4, 7].map(NodeId).to_vec()));
    let both = merged(&[&east, &west], MergePolicy::Replay);
    assert_eq!(both.log.state().replica_set, [0, 1, 2, 3, 4, 7].map(NodeId));
}

/// Random branches of one past: two to four sides, some of them tails, with writes retried on several sides.
fn random_branches(stream: &mut Stream, board: bool) -> Vec<Branch> {
    let op = |stream: &mut Stream| {
        let at = stream.below(3) as u32;
        let value = value(1 + stream.below(4));
        match stream.below(if board { 1 } else { 4 }) {
            0 if board => Op::Post { key: at, value },
            0 => Op::Append { key: at, value },
            1 => Op::CompareAndSwap { key: at, expect: stream.below(4), value },
            _ => Op::Put { key: at, value },
        }
    };
    let mut hlc = 100;
    let mut next = 1;
    let mut retried: Vec<(u32, u32, Op)> = Vec::new();
    let mut grow = |branch: &mut Branch, stream: &mut Stream| {
        for _ in 0..stream.below(6) {
            hlc += stream.below(3);
            let again = stream.chance(0.3) && !retried.is_empty();
            let (client, number, one) = if again {
                retried[stream.below(retried.len() as u64) as usize]
            } else {
                next += 1;
                (stream.below(3) as u32, next, op(stream))
            };
            if branch.0.state().fate(key(client, number)) == Fate::New {
                retried.push((client, number, one));
                *branch = branch.clone().write(client, number, one, hlc);
            }
        }
    };
    let mut trunk = Branch::new().view(1, &[0, 1, 2, 3, 4]).confirm();
    grow(&mut trunk, stream);
    let mut branches = vec![];
    for side in 0..2 + stream.below(3) {
        // A later side may fork from an earlier one instead of from the trunk.
        let from = if !branches.is_empty() && stream.chance(0.3) { &branches[0] } else { &trunk };
        let mut branch = Branch::clone(from);
        grow(&mut branch, stream);
        if stream.chance(0.8) {
            let members: Vec<u32> = (0..5).filter(|_| stream.chance(0.5)).collect();
            branch = branch.view(2 + side, &members);
            if stream.chance(0.8) {
                branch = branch.confirm();
            }
            grow(&mut branch, stream);
        }
        branches.push(branch);
    }
    branches
}

fn all_writes(branches: &[Branch]) -> BTreeSet<WriteKey> {
    let numbers = |branch: &Branch| -> Vec<WriteKey> {
        let live = branch.0.state().live();
        live.flat_map(|(client, numbers)| numbers.iter().map(move |number| WriteKey { client, number })).collect()
    };
    branches.iter().flat_map(numbers).collect()
}

fn policy_for(seed: u64, board: bool) -> MergePolicy {
    let policy = POLICIES[(seed % 5) as usize];
    if policy == MergePolicy::Crdt && !board { MergePolicy::Replay } else { policy }
}

#[test]
fn a_merge_depends_neither_on_the_order_of_branches_nor_on_how_often_it_is_done() {
    for seed in 0..2_000 {
        let mut stream = Stream::new(seed, "merge property", &[]);
        let board = stream.chance(0.4);
        let policy = policy_for(seed, board);
        let mut branches = random_branches(&mut stream, board);
        let reference = merged(&branches.iter().collect::<Vec<_>>(), policy).log;
        for branch in &branches {
            assert!(reference.covers(branch.0.tip()), "seed {seed}: every branch is covered");
        }
        stream.shuffle(&mut branches);
        branches.push(branches[0].clone());
        let again = merged(&branches.iter().collect::<Vec<_>>(), policy).log;
        assert_eq!(reference.tip(), again.tip(), "seed {seed}: order and copies do not matter");
        let whole = Branch(reference);
        for branch in &branches {
            let twice = merged(&[branch, &whole], policy).log;
            assert_eq!(twice.tip(), whole.0.tip(), "seed {seed}: what is merged stays merged");
        }
        let all: Vec<&Branch> = branches.iter().chain([&whole]).collect();
        assert_eq!(merged(&all, policy).log.tip(), whole.0.tip(), "seed {seed}");
    }
}

#[test]
fn state_and_journal_account_for_every_write_whatever_the_order_of_pairwise_merges() {
    for seed in 0..2_000 {
        let mut stream = Stream::new(seed, "pairwise merges", &[]);
        let board = stream.chance(0.4);
        let policy = policy_for(seed, board);
        let mut branches = random_branches(&mut stream, board);
        let writes = all_writes(&branches);
        let tips: Vec<_> = branches.iter().map(|branch| branch.0.tip()).collect();
        let mut epoch = 50;
        while branches.len() > 1 {
            stream.shuffle(&mut branches);
            let (one, two) = (branches.pop().expect("two are left"), branches.pop().expect("two are left"));
            let mut both = Branch(merged(&[&one, &two], policy).log);
            epoch += 1;
            if stream.chance(0.7) {
                let members: Vec<u32> = (0..5).filter(|_| stream.chance(0.5)).collect();
                both = both.view(epoch, &members);
            }
            if stream.chance(0.7) && both.0.state().last_view.is_some() {
                both = both.confirm();
            }
            branches.push(both);
        }
        assert!(tips.into_iter().all(|tip| branches[0].0.covers(tip)), "seed {seed}: segments of segments count");
        let state = branches[0].0.state();
        for write in writes {
            let (live, journaled) = (state.applied(write), state.journaled(write));
            assert!(live != journaled, "seed {seed}, {policy:?}: {write:?} live {live}, journaled {journaled}");
        }
        let mut inventory = crate::machine::Inventory::default();
        state.inventory(&mut inventory);
        assert_eq!(inventory.duplicated, 0, "seed {seed}: nothing is applied twice");
        if board && policy != MergePolicy::RankWins {
            assert!(inventory.journaled.is_empty(), "seed {seed}, {policy:?}: a grow-only set loses nothing");
        }
    }
}

#[test]
fn what_was_reapplied_says_what_its_client_was_told() {
    for seed in 0..500 {
        let mut stream = Stream::new(seed, "told results", &[]);
        let branches = random_branches(&mut stream, false);
        let whole = merged(&branches.iter().collect::<Vec<_>>(), policy_for(seed, false)).log;
        let merges = whole.chain().entries.iter().filter_map(|entry| match &entry.data {
            Data::Merge(merge) => Some(merge),
            _ => None,
        });
        for one in merges.flat_map(|merge| &merge.reapplied) {
            let swapped = one.executed.answer == Answer::Swapped(true);
            assert!(!swapped || one.effect != Effect::Superseded, "seed {seed}: a swap that took place shows");
            assert!(!one.changed, "seed {seed}: a write that would answer otherwise is journaled instead");
        }
    }
}

/// A long split: ten thousand writes lose, and many of them were executed on both sides with other results.
#[test]
fn ten_thousand_lost_writes_merge_in_linear_time() {
    let (mut west, mut east) =
        (past().view(2, &[0, 1, 2]).confirm(), past().view(2, &[3, 4]).confirm().put(8, 1, 0, 1, 11));
    for number in 1..=10_000 {
        west = west.swap(1, number, 5, 5, 20 + u64::from(number));
        east = east.swap(1, number, 5, 5, 20 + u64::from(number));
        east = east.put(2, number, 1, 7, 20 + u64::from(number));
    }
    let both = merged(&[&west, &east], MergePolicy::RankWins);
    assert_eq!(both.summary.revoked, 10_001);
    assert_eq!(both.log.state().journal().filter(|one| one.why == Why::Changed).count(), 10_000);
}
