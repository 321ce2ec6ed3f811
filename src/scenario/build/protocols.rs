//! Protocols and their options.

use super::{Builder, reorganise, written};
use crate::protocols::optimistic::{self, Ack, MergePolicy, Options, ReadLevel};
use crate::protocols::raft::AfterDiskLoss;
use crate::protocols::{dynamic_voting, lazy_consensus, omnipaxos, raft, static_primary, viewstamped};
use crate::scenario::fields::protocols::BREAK;
use crate::scenario::item::Item;
use crate::scenario::{Kind, Protocol};
use crate::time::Duration;
use crate::workload::Application;

pub fn build(builder: &mut Builder<'_>, whole: Option<&reorganise::Whole>) -> Vec<Protocol> {
    let root = builder.root;
    let mut protocols = Vec::new();
    for (label, item) in root.get("protocols").map_or(&[][..], Item::fields) {
        let kind = match item.kind() {
            "optimistic" => Kind::Optimistic(optimistic(builder, item)),
            "raft" => Kind::Raft(raft(builder, item)),
            "omnipaxos" => Kind::OmniPaxos(omnipaxos(builder, item)),
            "viewstamped" => Kind::Viewstamped(viewstamped(builder, item)),
            "static-primary" => Kind::StaticPrimary(static_primary::Options {
                heartbeat: item.time("heartbeat").unwrap_or_default(),
                snapshot_entries: item.whole("snapshot_entries").unwrap_or_default(),
            }),
            "lazy-consensus" => Kind::LazyConsensus(lazy_consensus(builder, item)),
            "dynamic-voting" => Kind::DynamicVoting(dynamic_voting(builder, item)),
            _ => continue,
        };
        let policy = reorganise::of_protocol(builder, item, whole);
        protocols.push(Protocol { label: label.clone(), kind, policy });
    }
    protocols
}

fn optimistic(builder: &mut Builder<'_>, item: &Item) -> Options {
    suspicion(builder, item);
    freezing(builder, item);
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
        mutation: item.text(BREAK).and_then(optimistic::Mutation::named),
    }
}

fn suspicion(builder: &mut Builder<'_>, item: &Item) {
    let (Some(suspect), Some(heartbeat)) = (item.get("suspect_after"), item.get("heartbeat")) else { return };
    if let (Some(silence), Some(period)) = (suspect.as_time(), heartbeat.as_time())
        && silence <= period.saturating_mul(2)
    {
        let message =
            format!("suspicion after {silence} with a heartbeat each {period}: one lost message is a failure");
        builder.add(written(suspect, heartbeat), message).expected("`suspect_after` > 2 x `heartbeat`");
    }
}

fn freezing(builder: &mut Builder<'_>, item: &Item) {
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

fn raft(builder: &mut Builder<'_>, item: &Item) -> raft::Options {
    let election_timeout = election_range(builder, item);
    let heartbeat = item.time("heartbeat").unwrap_or_default();
    let tick = tick(builder, item, &[election_timeout.0, election_timeout.1, heartbeat]);
    lease(builder, item);
    raft::Options {
        election_timeout,
        heartbeat,
        tick,
        pre_vote: item.flag("pre_vote").unwrap_or_default(),
        check_quorum: item.flag("check_quorum").unwrap_or_default(),
        reads: if item.text("reads") == Some("lease") { raft::Reads::Lease } else { raft::Reads::ReadIndex },
        after_disk_loss: after_disk_loss(item),
        snapshot_entries: item.whole("snapshot_entries").unwrap_or_default(),
        mutation: item.text(BREAK).and_then(raft::Mutation::named),
    }
}

/// A leader that never checks for a quorum has no lease.
fn lease(builder: &mut Builder<'_>, item: &Item) {
    if let (Some(reads), Some(check)) = (item.get("reads"), item.get("check_quorum"))
        && reads.as_text() == Some("lease")
        && item.flag("check_quorum") == Some(false)
    {
        let message = "a lease needs a leader that steps down when it hears no majority";
        builder.add(written(check, reads), message).expected("`check_quorum`: true with `reads`: \"lease\"");
    }
}

fn omnipaxos(builder: &mut Builder<'_>, item: &Item) -> omnipaxos::Options {
    let election_timeout = item.time("election_timeout").unwrap_or_default();
    omnipaxos::Options {
        election_timeout,
        tick: tick(builder, item, &[election_timeout]),
        reads: if item.text("reads") == Some("leader") { omnipaxos::Reads::Leader } else { omnipaxos::Reads::Log },
        after_disk_loss: after_disk_loss(item),
        snapshot_entries: item.whole("snapshot_entries").unwrap_or_default(),
        mutation: item.text(BREAK).and_then(omnipaxos::Mutation::named),
    }
}

fn viewstamped(builder: &mut Builder<'_>, item: &Item) -> viewstamped::Options {
    let election_timeout = item.time("election_timeout").unwrap_or_default();
    outlasts_heartbeat(builder, item, election_timeout);
    viewstamped::Options {
        election_timeout,
        heartbeat: item.time("heartbeat").unwrap_or_default(),
        snapshot_entries: item.whole("snapshot_entries").unwrap_or_default(),
        mutation: item.text(BREAK).and_then(viewstamped::Mutation::named),
    }
}

fn lazy_consensus(builder: &mut Builder<'_>, item: &Item) -> lazy_consensus::Options {
    suspicion(builder, item);
    lazy_consensus::Options {
        heartbeat: item.time("heartbeat").unwrap_or_default(),
        suspect_after: item.time("suspect_after").unwrap_or_default(),
        snapshot_entries: item.whole("snapshot_entries").unwrap_or_default(),
        mutation: item.text(BREAK).and_then(lazy_consensus::Mutation::named),
    }
}

fn dynamic_voting(builder: &mut Builder<'_>, item: &Item) -> dynamic_voting::Options {
    suspicion(builder, item);
    dynamic_voting::Options {
        heartbeat: item.time("heartbeat").unwrap_or_default(),
        suspect_after: item.time("suspect_after").unwrap_or_default(),
        stable_after: item.time("stable_after").unwrap_or_default(),
        view_deadline: item.time("view_deadline").unwrap_or_default(),
        snapshot_entries: item.whole("snapshot_entries").unwrap_or_default(),
        mutation: item.text(BREAK).and_then(dynamic_voting::Mutation::named),
    }
}

fn after_disk_loss(item: &Item) -> AfterDiskLoss {
    match item.text("after_disk_loss") {
        Some("rejoin-empty") => AfterDiskLoss::RejoinEmpty,
        _ => AfterDiskLoss::StayOut,
    }
}

/// `"3s"` stands for [3 s, 6 s); a list for itself.
fn election_range(builder: &mut Builder<'_>, item: &Item) -> (Duration, Duration) {
    let Some(timeout) = item.get("election_timeout") else { return Default::default() };
    let bounds = match timeout.as_time() {
        Some(time) => [time, time + time],
        None => match timeout.items() {
            [low, high] => [low, high].map(|bound| bound.as_time().unwrap_or_default()),
            _ => return Default::default(),
        },
    };
    let [low, high] = bounds;
    if low > high && !high.is_zero() {
        builder.add(timeout, format!("the lowest, {low}, is above the highest, {high}"));
    }
    outlasts_heartbeat(builder, item, low);
    (low, high)
}

fn outlasts_heartbeat(builder: &mut Builder<'_>, item: &Item, election: Duration) {
    if let (Some(timeout), Some(heartbeat)) = (item.get("election_timeout"), item.get("heartbeat"))
        && let Some(period) = heartbeat.as_time()
        && election <= period
        && !election.is_zero()
    {
        builder
            .add(written(timeout, heartbeat), format!("an election after {election} with a heartbeat each {period}"))
            .expected("`election_timeout` > `heartbeat`");
    }
}

/// The tick that is written, or the largest of 1 to 50 ms that divides all of these times.
fn tick(builder: &mut Builder<'_>, item: &Item, times: &[Duration]) -> Duration {
    let divides = |tick: Duration| times.iter().all(|time| time.as_nanos().is_multiple_of(tick.as_nanos()));
    if let Some(field) = item.get("tick") {
        let tick = field.as_time().unwrap_or_default();
        if !tick.is_zero() && !divides(tick) {
            builder.add(field, format!("a tick of {tick} does not divide the protocol's times"));
        }
        return tick;
    }
    let found = (1..=50).rev().map(Duration::from_millis).find(|&tick| divides(tick));
    if found.is_none() {
        let place = item.get("election_timeout").unwrap_or(item);
        builder
            .add(place, "no tick of 1 to 50 ms divides the protocol's times")
            .help("write whole milliseconds, or a `tick`");
    }
    found.unwrap_or_default()
}
