//! Dialogues of dynamic voting.

use std::rc::Rc;

use super::{Config, Log, Message, Mutation, Options, Replica, Standing};
use crate::id::NodeId;
use crate::op::Outcome;
use crate::protocols::store::{Store, Update};
use crate::protocols::theatre::{Theatre, groups, play, write};
use crate::time::Duration;

fn names(nodes: &[NodeId]) -> String {
    let names: Vec<String> = nodes.iter().map(|node| format!("n{}", node.0)).collect();
    names.join(" ")
}

fn tell(standing: &Standing) -> String {
    let mut text = format!("of view {}, {} entries", standing.installed.number, standing.length);
    for view in &standing.attempts {
        text += &format!(", attempted {} ({})", view.number, names(&view.members));
    }
    match standing.since {
        None => text += ", disk lost",
        Some(0) => {}
        Some(since) => text += &format!(", since {since}"),
    }
    text
}

fn tell_log(log: &Log) -> String {
    let image = if log.image.is_some() { "a state, and " } else { "" };
    format!("{image}{} after {}", log.updates.len(), log.base)
}

fn describe(message: &Message) -> String {
    match message {
        Message::Alive(alive) => tell(&alive.standing),
        Message::Propose { number } | Message::Attempted { number } | Message::Install { number } => number.to_string(),
        Message::Accept { number, standing } => format!("{number}: {}", tell(standing)),
        Message::Refuse { number, promised } => format!("{number}: promised {promised}"),
        Message::Fetch { number, committed } => format!("{number}: after {committed}"),
        Message::Fetched { number, log } => format!("{number}: {}", tell_log(log)),
        Message::Attempt { view, log } => format!("{} ({}): {}", view.number, names(&view.members), tell_log(log)),
        Message::Updates { number, base, updates, committed } => {
            format!("{number}: {} after {base}, committed {committed}", updates.len())
        }
        Message::Holds { number, length } => format!("{number}: {length}"),
        Message::Confirm { number, .. } | Message::Confirmed { number, .. } => number.to_string(),
    }
}

fn configs(replicas: u32, snapshot_entries: u64, mutation: Option<Mutation>) -> Vec<Rc<Config>> {
    let options = Options {
        heartbeat: Duration::from_millis(250),
        suspect_after: Duration::from_secs(1),
        stable_after: Duration::from_millis(300),
        view_deadline: Duration::from_millis(400),
        snapshot_entries,
        mutation,
    };
    let config = |group| Rc::new(Config { options: options.clone(), group });
    groups(replicas).into_iter().map(config).collect()
}

fn transcript(name: &str, replicas: u32, snapshot_entries: u64) {
    let configs = configs(replicas, snapshot_entries, None);
    play::<Replica>(&format!("src/protocols/dynamic_voting/transcripts/{name}.txt"), configs, describe);
}

#[test]
fn a_write_waits_for_the_view_and_a_read_for_most_of_it() {
    transcript("a-write-and-a-read", 3, 100);
}

#[test]
fn a_shrinking_group_serves_to_the_last() {
    transcript("shrinking", 5, 100);
}

#[test]
fn of_half_a_view_the_distinguished_site_decides() {
    transcript("the-tie", 3, 100);
}

#[test]
fn a_majority_lost_at_once_stops_the_rest() {
    transcript("a-majority-at-once", 5, 100);
}

#[test]
fn what_one_member_holds_survives_its_primary() {
    transcript("the-primary-crashes", 3, 100);
}

#[test]
fn the_smaller_side_waits() {
    transcript("a-minority", 5, 100);
}

#[test]
fn a_lost_disk_stands_for_nothing_until_a_view_takes_it_in() {
    transcript("a-lost-disk", 3, 100);
}

#[test]
fn a_lagging_member_is_given_the_state() {
    transcript("a-lagging-member", 3, 2);
}

#[test]
fn after_a_crash_of_all_two_of_three_go_on() {
    transcript("all-crash", 3, 100);
}

#[test]
fn an_ambiguous_attempt_is_minded() {
    transcript("an-ambiguous-attempt", 5, 100);
}

/// Up to here as in the transcript: n0 and n1 are in a view that n2 recorded, and has not heard of again.
fn ambiguous(mutation: Option<Mutation>) -> Theatre<Replica> {
    let mut theatre = Theatre::<Replica>::new(configs(5, 100, mutation), describe);
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/src/protocols/dynamic_voting/transcripts/an-ambiguous-attempt.txt");
    let told = std::fs::read_to_string(path).expect("the transcript is there");
    let commands = told.lines().filter_map(|line| line.strip_prefix("> "));
    commands.take_while(|command| !command.starts_with("status")).for_each(|command| theatre.command(command));
    theatre
}

#[test]
fn without_minding_attempts_two_groups_would_serve() {
    let serving = |theatre: &Theatre<Replica>| {
        let serves = |node: &NodeId| theatre.machine(*node).is_some_and(crate::machine::Machine::serving);
        theatre.nodes().into_iter().filter(serves).collect::<Vec<_>>()
    };
    assert_eq!(serving(&ambiguous(None)), [NodeId(0)]);
    let mut broken = ambiguous(Some(Mutation::IgnoreAttempts));
    assert_eq!(serving(&broken), [NodeId(0), NodeId(2)]);
    let both = [broken.ask(NodeId(0), write(1, 1)), broken.ask(NodeId(2), write(2, 1))];
    broken.run(200);
    let acknowledged = both.iter().filter(|&&id| matches!(broken.outcome(id), Some(Outcome::Done(_))));
    assert_eq!(acknowledged.count(), 2, "each in a history without the other");
}

/// How much of three updates, durable at n1, it still holds when it is told to go on from another log.
fn held_after(replace: impl FnOnce(&[Update]) -> Log) -> u64 {
    let mut theatre = Theatre::<Replica>::new(configs(3, 100, None), describe);
    theatre.run(1_300);
    (1..=3).for_each(|client| _ = theatre.ask(NodeId(0), write(client, 1)));
    theatre.run(30);
    let mut held = (0, 0);
    theatre.with(NodeId(1), |replica, cx| {
        let before = replica.durable;
        let log = replace(replica.tail.make_contiguous());
        assert!(replica.take_over(&log, cx));
        held = (before, replica.durable);
    });
    assert_eq!(held.0, 3);
    held.1
}

#[test]
fn what_two_logs_have_in_common_stays_held() {
    let after = |image: &[Update], updates: &[Update]| {
        let mut store = Store::default();
        image.iter().for_each(|update| store.record(update));
        let image = (!image.is_empty()).then(|| Rc::new(store.image()));
        Log { base: store.tip().length, image, updates: updates.into() }
    };
    assert_eq!(held_after(|log| after(&[], log)), 3);
    assert_eq!(held_after(|log| after(&[], &[log[0], log[2], log[1]])), 1, "up to where they part");
    assert_eq!(held_after(|log| after(&[], &log[..2])), 2, "the end is dropped");
    assert_eq!(held_after(|log| after(&log[..2], &log[2..])), 3);
    assert_eq!(held_after(|log| after(&[log[1], log[0]], &log[2..])), 2, "an equal update of another history");
}
