//! Dialogues of semi-passive replication.

use std::rc::Rc;

use super::{Config, Message, Options, Replica, Value};
use crate::protocols::theatre::{groups, play};
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

fn transcript(name: &str, replicas: u32, snapshot_entries: u64) {
    let options = Options {
        heartbeat: Duration::from_millis(500),
        suspect_after: Duration::from_secs(1),
        snapshot_entries,
    };
    let config = |group| Rc::new(Config { options: options.clone(), group, mutation: None });
    let configs = groups(replicas).into_iter().map(config).collect();
    play::<Replica>(&format!("src/protocols/lazy_consensus/transcripts/{name}.txt"), configs, describe);
}
