//! The hash-chained log, its image, and what a start makes of the disk.

use std::rc::Rc;

use super::super::entry::{Data, Entry};
use super::super::log::{Chain, Log};
use super::super::message::View;
use super::super::options::MergePolicy;
use super::super::record::{self, Record};
use super::merge::{Branch, merged};
use super::stage::{A, config, options};
use crate::id::NodeId;
use crate::op::Tip;
use crate::rng::Stream;

fn long(count: u32) -> Branch {
    let mut branch = Branch::new().view(1, &[0, 1, 2]).confirm();
    for number in 1..=count {
        branch = branch.put(number % 7, number, number % 5, u64::from(number), 100 + u64::from(number));
    }
    branch
}

#[test]
fn a_hash_covers_all_that_came_before() {
    let log = long(20).0;
    assert!(log.chain().is_sound());
    assert_eq!(log.first_bad(0, u64::MAX), None);
    for at in 1..=log.length() {
        let mut chain = log.chain().clone();
        let offset = at as usize - 1;
        let mut entry = (*chain.entries[offset]).clone();
        entry.data = Data::Reconfigure(vec![NodeId(3)]);
        chain.entries[offset] = Rc::new(entry.clone());
        assert_eq!(Log::from_chain(chain.clone()).first_bad(0, u64::MAX), Some(at), "its own hash betrays it");
        chain.entries[offset] = Entry::new(entry.prev, entry.data);
        let next = (at < log.length()).then_some(at + 1);
        assert_eq!(Log::from_chain(chain).first_bad(0, u64::MAX), next, "or the link after it");
    }
}

#[test]
fn the_search_for_a_bad_link_keeps_to_its_budget() {
    let mut chain = long(20).chain();
    let mut entry = (*chain.entries[10]).clone();
    entry.prev ^= 1;
    chain.entries[10] = Rc::new(entry);
    let log = Log::from_chain(chain);
    assert_eq!((log.first_bad(1, 10), log.first_bad(1, 11), log.first_bad(12, 100)), (None, Some(11), None));
}

#[test]
fn the_fork_is_the_last_common_entry() {
    let mut stream = Stream::new(1, "fork", &[]);
    for _ in 0..300 {
        let common = stream.below(40) as u32;
        let trunk = long(common);
        let grow = |branch: &Branch, client, count| {
            (1..=count).fold(branch.clone(), |branch, number| branch.put(client, number, 0, 1, 500))
        };
        let left = grow(&trunk, 50, stream.below(20) as u32);
        let right = grow(&trunk, 51, stream.below(20) as u32);
        let mut log = right.0.clone();
        log.compact(stream.below(trunk.0.length() + 1));
        assert_eq!(left.0.chain().fork(log.chain()), Some(trunk.0.tip()));
        assert_eq!(log.chain().fork(left.0.chain()), Some(trunk.0.tip()));
        let mut beyond = grow(&right, 52, 1).0;
        beyond.compact(beyond.length());
        assert_eq!(left.0.chain().fork(beyond.chain()), None, "what they share is compacted");
    }
}

#[test]
fn ancestry_reaches_back_to_the_image_at_doubling_distances() {
    let mut log = long(1_000).0;
    log.compact(100);
    let ancestry = log.chain().ancestry();
    assert_eq!((ancestry[0], *ancestry.last().expect("never empty")), (log.tip(), log.chain().base.tip));
    assert!(ancestry.len() < 15, "{}", ancestry.len());
    assert!(ancestry.iter().all(|&tip| log.chain().passes(tip)));
    let steps: Vec<u64> = ancestry.windows(2).map(|pair| pair[0].length - pair[1].length).collect();
    assert!(steps[..steps.len() - 1].windows(2).all(|pair| pair[1] == 2 * pair[0]), "{steps:?}");
    let whole = Log::from_chain(Chain { base: log.chain().base.clone(), entries: Vec::new() });
    assert_eq!(whole.chain().ancestry(), [log.chain().base.tip]);
}

#[test]
fn compaction_changes_neither_tip_nor_state() {
    let whole = long(200).0;
    for floor in [0, 1, 57, 202, 9_999] {
        let mut log = whole.clone();
        log.compact(floor);
        assert_eq!((log.tip(), log.length()), (whole.tip(), whole.length()));
        assert_eq!(log.state().full_digest(), whole.state().full_digest());
        assert_eq!(log.chain().replay().full_digest(), whole.state().full_digest());
        assert_eq!(log.chain().confirmed(), whole.chain().confirmed(), "the confirmed view outlives its entry");
        assert!(log.chain().is_sound() && !log.rebuild());
    }
}

#[test]
fn hashes_of_views_and_nothing_else_outlive_compaction() {
    let mut log = long(50).0;
    let (view, ordinary) = (log.state().last_view.expect("a view").tip, 30);
    let ordinary = Tip { length: ordinary, hash: log.chain().hash_at(ordinary).expect("retained") };
    assert_eq!((log.covers_token(view), log.covers_token(ordinary)), (Some(true), Some(true)));
    log.compact(40);
    assert_eq!((log.covers_token(view), log.covers_token(ordinary)), (Some(true), None), "compacted, and unknown");
    assert!(log.covers(view));
}

#[test]
fn a_merge_below_the_floor_drops_its_segments() {
    let trunk = long(3);
    let (west, east) = (trunk.clone().view(2, &[0, 1]).confirm(), trunk.put(30, 1, 0, 1, 999));
    let mut log = merged(&[&west, &east], MergePolicy::Replay).log;
    assert!(log.covers(east.0.tip()));
    assert_eq!(log.covers_token(east.0.tip()), Some(false), "regressed");
    log.compact(log.length());
    assert!(!log.covers(east.0.tip()));
}

#[test]
fn a_cut_log_is_the_log_that_it_was() {
    let before = long(30).0;
    let mut log = long(90).0;
    log.truncate(before.length());
    assert_eq!((log.tip(), log.state().full_digest()), (before.tip(), before.state().full_digest()));
    assert!(!log.rebuild());
}

#[test]
fn a_scrub_finds_a_state_that_differs_from_its_log() {
    for seed in 0..200 {
        let mut log = long(30).0;
        let before = log.state().full_digest();
        log.parts_mut().1.corrupt(&mut Stream::new(seed, "scrub", &[]));
        let changed = log.state().full_digest() != before;
        assert_eq!(log.rebuild(), changed, "seed {seed}");
        assert_eq!(log.state().full_digest(), before, "seed {seed}");
    }
}

/// Any run of records boots to the log that wrote them; a torn end boots to a shorter one.
#[test]
fn records_boot_to_the_log_that_wrote_them() {
    let config = config(A, 5, &options());
    for seed in 0..300 {
        let mut stream = Stream::new(seed, "records", &[]);
        let mut log = Log::from_chain(Chain { base: record::empty_image(&config), entries: Vec::new() });
        let mut view = None;
        let mut records = Vec::new();
        let mut states = vec![(log.tip(), view.clone())];
        for step in 0..stream.below(20) {
            let record = random_record(&mut log, &mut view, step, &mut stream);
            records.push(record);
            states.push((log.tip(), view.clone()));
        }
        for kept in 0..=records.len() {
            let record::Read { log: booted, view: its_view, .. } = record::read(&config, &records[..kept]);
            assert_eq!((booted.tip(), its_view), states[kept].clone(), "seed {seed}, {kept} records");
            assert!(booted.chain().is_sound());
        }
        let booted = record::read(&config, &records).log;
        assert_eq!(booted.state().full_digest(), log.state().full_digest(), "seed {seed}");
    }
}

fn random_record(log: &mut Log, view: &mut Option<View>, step: u64, stream: &mut Stream) -> Record {
    let grow = |log: &mut Log, count: u64| {
        for at in 0..count {
            let number = (step * 10 + at + 1) as u32;
            *log = Branch(log.clone()).put(number, number, 0, 3, 100).0;
        }
    };
    let before = log.length();
    match stream.below(4) {
        0 => {
            let keep = before - stream.below(before.min(4) + 1);
            let keep = keep.max(log.chain().base.tip.length);
            log.truncate(keep);
            grow(log, 1);
            let installed = View { epoch: step + 1, coordinator: A, incarnation: stream.bits(), members: vec![A] };
            *view = Some(installed.clone());
            Record::Install { keep, entries: log.chain().after(keep).to_vec(), view: installed }
        }
        1 => {
            log.compact(stream.below(before + 1));
            let (image, entries) = (log.chain().base.clone(), log.chain().entries.clone());
            Record::Snapshot { image, entries, view: view.clone(), aside: Rc::new([]) }
        }
        _ => {
            grow(log, 1 + stream.below(3));
            Record::Append(log.chain().after(before).to_vec())
        }
    }
}

#[test]
fn a_record_that_was_torn_ends_the_log() {
    let config = config(A, 5, &options());
    let empty = Log::from_chain(Chain { base: record::empty_image(&config), entries: Vec::new() });
    let log = Branch(empty).put(1, 1, 0, 1, 1).put(1, 2, 0, 2, 2).put(1, 3, 0, 3, 3).0;
    let append = |at: u64| Record::Append(vec![log.chain().entry(at).expect("it is there").clone()]);
    let mut torn = (**log.chain().entry(2).expect("it is there")).clone();
    torn.hash ^= 1;
    for second in [Record::Append(vec![Rc::new(torn)]), append(3), Record::Append(Vec::new())] {
        let booted = record::read(&config, &[append(1), second, append(3)]).log;
        assert_eq!(booted.tip(), Tip { length: 1, hash: log.chain().hash_at(1).expect("it is there") });
    }
}

#[test]
fn an_installation_that_keeps_more_than_there_is_does_not_take_place() {
    let config = config(A, 5, &options());
    let empty = Log::from_chain(Chain { base: record::empty_image(&config), entries: Vec::new() });
    let log = Branch(empty).put(1, 1, 0, 1, 1).put(1, 2, 0, 2, 2).put(1, 3, 0, 3, 3).0;
    let view = View { epoch: 1, coordinator: A, incarnation: 1, members: vec![A] };
    let install = |keep: u64| Record::Install { keep, entries: log.chain().after(keep).to_vec(), view: view.clone() };
    let first = Record::Append(vec![log.chain().entries[0].clone()]);
    let record::Read { log: booted, view: its_view, .. } = record::read(&config, &[first.clone(), install(3)]);
    assert_eq!((booted.length(), its_view), (1, None), "what it builds on was torn off");
    let record::Read { log: booted, view: its_view, .. } = record::read(&config, &[first, install(1)]);
    assert_eq!((booted.tip(), its_view), (log.tip(), Some(view.clone())));
}
