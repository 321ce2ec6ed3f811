//! Dialogues with the crate, and what must hold of it for the adapter to be right.

use std::rc::Rc;

use omnipaxos::messages::Message as Inner;
use omnipaxos::messages::ballot_leader_election::HeartbeatMsg;
use omnipaxos::messages::sequence_paxos::PaxosMsg;
use omnipaxos::storage::SnapshotType;
use omnipaxos::util::LogSync;

use super::entry::Entry;
use super::{Config, Message, Options, Reads, Replica};
use crate::protocols::raft::AfterDiskLoss;
use crate::protocols::theatre::{groups, play};
use crate::time::Duration;
use omnipaxos::ballot_leader_election::Ballot;

fn ballot(ballot: Ballot) -> String {
    format!("{}@n{}", ballot.n, ballot.pid.wrapping_sub(1) as i64)
}

fn sync(sync: &LogSync<Entry>) -> String {
    let snapshot = match &sync.decided_snapshot {
        None => "nothing".to_owned(),
        Some(SnapshotType::Complete(state)) => format!("a state of {}", state.store().tip().length),
        Some(SnapshotType::Delta(_)) => "a delta".to_owned(),
    };
    let stop = if sync.stopsign.is_some() { " and a stop-sign" } else { "" };
    format!("{snapshot} and {} entries from {}{stop}", sync.suffix.len(), sync.sync_idx)
}

fn describe_inner(message: &Inner<Entry>) -> String {
    match message {
        Inner::SequencePaxos(one) => match &one.msg {
            PaxosMsg::PrepareReq(request) => ballot(request.n),
            PaxosMsg::Prepare(prepare) => format!(
                "{}: decided {}, accepted {} in {}",
                ballot(prepare.n),
                prepare.decided_idx,
                prepare.accepted_idx,
                ballot(prepare.n_accepted)
            ),
            PaxosMsg::Promise(promise) => format!(
                "{}: decided {}, accepted {} in {}, with {}",
                ballot(promise.n),
                promise.decided_idx,
                promise.accepted_idx,
                ballot(promise.n_accepted),
                promise.log_sync.as_ref().map_or("nothing".into(), sync)
            ),
            PaxosMsg::AcceptSync(accept) => {
                format!("{}: decided {}, {}", ballot(accept.n), accept.decided_idx, sync(&accept.log_sync))
            }
            PaxosMsg::AcceptDecide(accept) => {
                format!("{}: {} entries, decided {}", ballot(accept.n), accept.entries.len(), accept.decided_idx)
            }
            PaxosMsg::Accepted(accepted) => format!("{}: {}", ballot(accepted.n), accepted.accepted_idx),
            PaxosMsg::NotAccepted(not) => ballot(not.n),
            PaxosMsg::Decide(decide) => format!("{}: {}", ballot(decide.n), decide.decided_idx),
            PaxosMsg::AcceptStopSign(accept) => ballot(accept.n),
            other => format!("{other:?}"),
        },
        Inner::BLE(one) => match &one.msg {
            HeartbeatMsg::Request(request) => format!("round {}", request.round),
            HeartbeatMsg::Reply(reply) => {
                let mood = if reply.happy { "happy" } else { "unhappy" };
                format!("{mood} with {}, offers {}", ballot(reply.leader), ballot(reply.ballot))
            }
        },
    }
}

pub(super) fn describe(message: &Message) -> String {
    match message {
        Message::Within { message, .. } => describe_inner(message),
        Message::Identify | Message::Lacks => String::new(),
        Message::Identity { identity } => if *identity == 0 { "as installed" } else { "new" }.to_owned(),
        Message::Newer { configuration } | Message::Joined { configuration } => {
            format!("configuration {configuration}")
        }
        Message::Handover { configuration, store } => {
            format!("configuration {}, a state of {}", configuration.id, store.tip().length)
        }
    }
}

pub(super) fn options() -> Options {
    Options {
        election_timeout: Duration::from_millis(300),
        tick: Duration::from_millis(100),
        reads: Reads::Log,
        after_disk_loss: AfterDiskLoss::StayOut,
        snapshot_entries: 1_000,
        mutation: None,
    }
}

fn transcript(name: &str, count: u32, options: &Options) {
    let configs = groups(count).into_iter().map(|group| Rc::new(Config { options: options.clone(), group })).collect();
    play::<Replica>(&format!("src/protocols/omnipaxos/transcripts/{name}.txt"), configs, describe);
}

#[test]
fn the_first_by_placement_is_chosen_and_writes_are_decided_by_a_majority() {
    transcript("a-write-and-a-read", 3, &options());
}

#[test]
fn nothing_is_promised_or_accepted_before_it_is_durable() {
    transcript("a-slow-disk", 3, &options());
}

#[test]
fn another_leads_when_the_leader_crashed() {
    transcript("the-leader-crashes", 3, &options());
}

#[test]
fn a_minority_decides_nothing_and_is_synchronised_when_it_is_back() {
    transcript("a-minority", 5, &options());
}

#[test]
fn who_lost_its_disk_stays_out_until_a_configuration_names_its_new_identity() {
    transcript("a-lost-disk", 3, &options());
}

#[test]
fn who_comes_back_empty_under_its_old_identity_forgets_what_was_acknowledged() {
    let rejoin = Options { after_disk_loss: AfterDiskLoss::RejoinEmpty, ..options() };
    transcript("rejoin-empty", 3, &rejoin);
}

#[test]
fn a_lagging_replica_is_sent_a_state_or_a_delta() {
    transcript("snapshots", 3, &Options { snapshot_entries: 4, ..options() });
}

#[test]
fn all_crash_and_what_was_decided_is_there_again() {
    transcript("all-crash", 3, &options());
}

#[test]
fn a_leader_that_reaches_no_quorum_gives_way_to_the_one_who_does() {
    transcript("quorum-loss", 5, &options());
}

#[test]
fn the_middle_of_a_chain_leads_and_stays() {
    transcript("chained", 3, &options());
}

#[test]
fn a_stop_sign_ends_a_configuration() {
    transcript("a-new-configuration", 4, &options());
}

#[test]
fn reads_of_a_leader_may_be_stale() {
    transcript("stale-reads", 5, &Options { reads: Reads::Leader, ..options() });
}

#[test]
fn a_service_of_one_replica_does_not_start() {
    use crate::machine::{BootError, Context, Machine};
    let group = groups(1).remove(0);
    let config = Rc::new(Config { options: options(), group });
    let mut rng = crate::rng::Stream::new(1, "test", &[]);
    let now = crate::time::LocalTime::ZERO;
    let mut cx = Context { now, wall: now, rng: &mut rng, effects: &mut Vec::new() };
    let BootError(why) = Replica::boot(&config, &Replica::format(&config), &mut cx).err().expect("it needs two");
    assert!(why.contains("more than 1 node"), "{why}");
}

#[test]
fn a_panic_of_the_crate_stops_the_replica_until_it_starts_again() {
    use crate::id::NodeId;
    use crate::machine::{Context, Input, Machine, Note, RequestId, Role};
    use crate::op::Outcome;
    use crate::protocols::theatre::{Theatre, write};
    let configs = groups(3).into_iter().map(|group| Rc::new(Config { options: options(), group }));
    let mut theatre = Theatre::<Replica>::new(configs.collect(), describe);
    theatre.run(1_000);
    let waiting = theatre.ask(NodeId(0), write(1, 1));
    let mut failed = Vec::new();
    theatre.with(NodeId(0), |machine, cx: &mut Context<'_, Replica>| {
        machine.call(cx, |_| panic!("as the crate does when its storage fails"));
        machine.step(Input::Request { id: RequestId(9), request: write(2, 1) }, cx);
        failed.push(machine.status().role);
    });
    assert_eq!(failed, [Role::Listening]);
    assert!(matches!(theatre.outcome(waiting), Some(Outcome::Unfinished { .. })));
    assert!(matches!(theatre.outcome(RequestId(9)), Some(Outcome::Refused)));
    assert!(theatre.notes.contains(&(NodeId(0), Note::SteppedDown { why: "the crate panicked" })));
    theatre.run(2_000);
    assert_eq!(theatre.leader(), Some(NodeId(1)), "the others go on without it");
    theatre.crash(NodeId(0));
    theatre.boot(NodeId(0));
    theatre.run(2_000);
    assert_eq!(theatre.machine(NodeId(0)).map(|machine| machine.status().role), Some(Role::Following));
}
