//! Dialogues of semi-passive replication.

use std::rc::Rc;

use super::{Config, Message, Options, Replica, Value};
use crate::id::NodeId;
use crate::machine::Input;
use crate::protocols::theatre::{Theatre, groups, play};
use crate::time::Duration;

fn tell(value: &Value) -> String {
    format!("{} of n{} (epoch {})", value.updates.len(), value.proposer.0, value.epoch)
}

fn describe(message: &Message) -> String {
    match message {
        Message::Estimate { instance, round, estimate, adopted } => {
            let estimate = estimate.as_ref().map_or("nothing".into(), |value| tell(value));
            format!("{instance}/{round}: {estimate}, adopted in round {adopted}")
        }
        Message::Propose { instance, round, value, .. } => format!("{instance}/{round}: {}", tell(value)),
        Message::Ack { instance, round } | Message::Nack { instance, round } | Message::Decide { instance, round } => {
            format!("{instance}/{round}")
        }
        Message::Alive { decided, round, able, .. } => {
            format!("{decided} decided, round {round}{}", if *able { "" } else { ", not able" })
        }
        Message::Want { decided } => format!("after {decided}"),
        Message::Decisions { base, values } => format!("{} after {base}", values.len()),
        Message::State { image } => format!("after {}", image.decided),
        Message::Lost { joins, .. } => joins.map_or(String::new(), |joins| format!("joins at {joins}")),
        Message::Instance { instance, .. } => format!("{instance}"),
    }
}

fn configs(replicas: u32, snapshot_entries: u64) -> Vec<Rc<Config>> {
    let options = Options {
        heartbeat: Duration::from_millis(500),
        suspect_after: Duration::from_secs(1),
        snapshot_entries,
        mutation: None,
    };
    let config = |group| Rc::new(Config { options: options.clone(), group });
    groups(replicas).into_iter().map(config).collect()
}

fn transcript(name: &str, replicas: u32, snapshot_entries: u64) {
    let configs = configs(replicas, snapshot_entries);
    play::<Replica>(&format!("src/protocols/lazy_consensus/transcripts/{name}.txt"), configs, describe);
}

#[test]
fn one_replica_executes_a_request() {
    transcript("one-executes", 3, 100);
}

#[test]
fn a_crashed_coordinator_costs_a_round() {
    transcript("the-coordinator-crashes", 3, 100);
}

#[test]
fn a_wrong_suspicion_excludes_nobody() {
    transcript("a-wrong-suspicion", 3, 100);
}

#[test]
fn a_minority_waits() {
    transcript("a-minority-waits", 5, 100);
}

#[test]
fn who_lost_its_disk_votes_only_where_it_cannot_have_voted() {
    transcript("a-lost-disk", 3, 100);
}

#[test]
fn a_lagging_replica_is_sent_the_state() {
    transcript("a-lagging-replica", 3, 2);
}

#[test]
fn after_a_crash_of_all_the_same_value_is_proposed() {
    transcript("all-crash", 3, 100);
}

#[test]
fn a_value_that_nobody_adopted_is_not_decided() {
    transcript("a-value-nobody-adopted", 3, 100);
}

#[test]
fn along_a_chain_a_process_in_the_middle_coordinates() {
    transcript("a-chain", 5, 100);
}

#[test]
fn an_old_estimate_counts_for_nothing_once_the_instance_is_decided() {
    transcript("an-old-estimate", 5, 100);
}

/// Estimates of three others for round 7, which n1 coordinates: it adopts, and proposes, the one adopted last.
#[test]
fn of_several_estimates_the_one_adopted_last_is_proposed() {
    let mut theatre = Theatre::<Replica>::new(configs(5, 100), describe);
    let value = |proposer| Rc::new(Value { epoch: 2, proposer: NodeId(proposer), updates: Vec::new() });
    let estimates = [(2, Some(value(2)), 3), (3, Some(value(3)), 4), (4, None, 0)];
    for (from, estimate, adopted) in estimates {
        let message = Message::Estimate { instance: 1, round: 7, estimate, adopted };
        theatre.step(NodeId(1), Input::Message { from: NodeId(from), message });
    }
    let of =
        |theatre: &Theatre<Replica>, node| theatre.machine(NodeId(node)).map(|one| (one.round, one.estimate.clone()));
    assert_eq!(of(&theatre, 1), Some((7, None)), "its own estimate counts once its disk has the round");
    theatre.run(30);
    assert_eq!(of(&theatre, 1), Some((7, Some(value(3)))));
    assert_eq!(of(&theatre, 4), Some((7, Some(value(3)))), "who receives a proposal of a later round joins it");
}
