//! Protocols and their options.

use super::Builder;
use crate::protocols::optimistic::{Ack, MergePolicy, Options, ReadLevel};
use crate::scenario::item::Item;
use crate::scenario::{Kind, Protocol};
use crate::time::Duration;
use crate::workload::Application;

pub fn build(builder: &mut Builder<'_>) -> Vec<Protocol> {
    let root = builder.root;
    let mut protocols = Vec::new();
    for (label, item) in root.get("protocols").map_or(&[][..], Item::fields) {
        let kind = match item.kind() {
            "" => continue,
            "optimistic" => Kind::Optimistic(optimistic(builder, item)),
            other => {
                election(builder, item);
                Kind::NotBuilt(other)
            }
        };
        protocols.push(Protocol { label: label.clone(), kind });
    }
    protocols
}

fn optimistic(builder: &mut Builder<'_>, item: &Item) -> Options {
    intervals(builder, item);
    let ack = ack(builder, item);
    let merge = match item.text("merge") {
        Some("rank-wins") => MergePolicy::RankWins,
        Some("last-writer-wins") => MergePolicy::LastWriterWins,
        Some("crdt") => MergePolicy::Crdt,
        Some("siblings") => MergePolicy::Siblings,
        _ => MergePolicy::Replay,
    };
    if merge == MergePolicy::Crdt
        && let Some(field) = item.get("merge")
        && let Some(kv) = builder.services.iter().find(|service| service.application == Application::Kv)
    {
        let message = format!("`crdt` needs an application that only grows, and `{}` is a `kv`", kv.name);
        builder.add(field, message).expected("`rank-wins`, `replay`, `last-writer-wins` or `siblings`");
    }
    let time = |field: &str| item.time(field).unwrap_or_default();
    let whole = |field: &str| item.whole(field).unwrap_or_default();
    Options {
        heartbeat: time("heartbeat"),
        suspect_after: time("suspect_after"),
        stable_after: time("stable_after"),
        view_deadline: time("view_deadline"),
        freeze: time("freeze"),
        hold_down_max: time("hold_down_max"),
        ack,
        merge,
        reads: match item.text("reads") {
            Some("latest") => ReadLevel::Latest,
            Some("any") => ReadLevel::Any,
            _ => ReadLevel::Session,
        },
        epoch_max: whole("epoch_max"),
        retain_entries: whole("retain_entries"),
        retain_age: time("retain_age"),
        sync_limit: whole("sync_limit"),
        session_expiry: time("session_expiry"),
        clock_skew_max: time("clock_skew_max"),
    }
}

/// The field a person wrote, of two that contradict each other.
fn written<'a>(first: &'a Item, second: &'a Item) -> &'a Item {
    use crate::scenario::json::Origin;
    if matches!(first.origin, Origin::Default) { second } else { first }
}

fn intervals(builder: &mut Builder<'_>, item: &Item) {
    let (Some(suspect), Some(heartbeat)) = (item.get("suspect_after"), item.get("heartbeat")) else { return };
    if let (Some(silence), Some(period)) = (suspect.as_time(), heartbeat.as_time())
        && silence <= period.saturating_mul(2)
    {
        let message =
            format!("suspicion after {silence} with a heartbeat each {period}: one lost message is a failure");
        builder.add(written(suspect, heartbeat), message).expected("`suspect_after` > 2 x `heartbeat`");
    }
    let (Some(freeze), Some(deadline)) = (item.get("freeze"), item.get("view_deadline")) else { return };
    if let (Some(frozen), Some(limit)) = (freeze.as_time(), deadline.as_time())
        && frozen <= limit
    {
        let message = format!("members unfreeze after {frozen}, before a view change may end after {limit}");
        builder.add(written(freeze, deadline), message).expected("`freeze` > `view_deadline`");
    }
}

fn ack(builder: &mut Builder<'_>, item: &Item) -> Ack {
    let Some(field) = item.get("ack") else { return Ack::All };
    if let Some(word) = field.as_text() {
        return if word == "none" { Ack::None } else { Ack::All };
    }
    let (Some(copies), Some(sites)) = (field.whole("copies"), field.whole("data_centers")) else { return Ack::All };
    if sites > copies {
        let place = field.get("data_centers").unwrap_or(field);
        builder.add(place, format!("{sites} data centers need more copies than {copies}"));
    }
    // Both are at most 1,000.
    Ack::Copies { copies: copies as u16, data_centers: sites as u16 }
}

/// Options that every protocol with elections shares.
fn election(builder: &mut Builder<'_>, item: &Item) {
    let Some(timeout) = item.get("election_timeout") else { return };
    let bounds: Vec<Duration> = match timeout.as_time() {
        Some(time) => vec![time],
        None => timeout.items().iter().filter_map(Item::as_time).collect(),
    };
    if let [low, high] = bounds[..]
        && low >= high
    {
        builder.add(timeout, format!("the lowest, {low}, is not below the highest, {high}"));
    }
    if let (Some(low), Some(heartbeat)) = (bounds.first(), item.time("heartbeat"))
        && *low <= heartbeat
    {
        builder
            .add(timeout, format!("an election after {low} with a heartbeat each {heartbeat}"))
            .expected("`election_timeout` > `heartbeat`");
    }
}
