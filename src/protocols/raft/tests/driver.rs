//! What the driver owes to the crate, and to whoever repeats a run.

use std::collections::BTreeSet;
use std::rc::Rc;

use raft::eraftpb::{self, MessageType};

use super::{AfterDiskLoss, Config, Options, configs, options};
use crate::id::NodeId;
use crate::machine::{Context, Effect, Input, Machine, RequestId};
use crate::op::Outcome;
use crate::protocols::Group;
use crate::protocols::raft::membership::Identity;
use crate::protocols::raft::storage::INIT_INDEX;
use crate::protocols::raft::{Message, Replica, Timer};
use crate::protocols::theatre::{Theatre, groups, read, write};
use crate::rng::Stream;
use crate::time::{Duration, LocalTime};

fn theatre(count: u32, options: &Options) -> Theatre<Replica> {
    Theatre::new(configs(count, options), |_: &Message| String::new())
}

/// The leader, once there is one.
fn elected(theatre: &mut Theatre<Replica>) -> NodeId {
    let leader = (0..100).find_map(|_| {
        theatre.run(50);
        theatre.leader()
    });
    // It commits an entry of its term.
    theatre.run(100);
    leader.expect("a leader within 5 s")
}

fn is_done(outcome: Option<Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Done(_)))
}

/// A replica without others: the test plays them.
struct Alone {
    replica: Replica,
    rng: Stream,
    now: LocalTime,
    /// The roles that it played.
    roles: BTreeSet<String>,
}

impl Alone {
    fn new() -> Self {
        let (config, mut rng, now) = (configs(3, &options()).remove(0), Stream::new(1, "alone", &[]), LocalTime::ZERO);
        let mut effects = Vec::new();
        let mut cx = Context { now, wall: now, rng: &mut rng, effects: &mut effects };
        let replica = Replica::boot(&config, &Replica::format(&config), &mut cx).expect("it boots");
        Self { replica, rng, now, roles: BTreeSet::new() }
    }

    /// A step, and those in which what it wrote becomes durable. After each the timeout is ours.
    fn step(&mut self, input: Input<Replica>) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut effects = Vec::new();
            let mut cx = Context { now: self.now, wall: self.now, rng: &mut self.rng, effects: &mut effects };
            self.replica.step(input, &mut cx);
            self.timeout_is_ours();
            inputs.extend(effects.iter().filter_map(|effect| match effect {
                Effect::Write { id, .. } | Effect::Checkpoint { id, .. } => Some(Input::Written(*id)),
                _ => None,
            }));
        }
    }

    /// The crate does not show its timeout, but says whether a count of ticks reaches it.
    fn timeout_is_ours(&mut self) {
        let ours = self.replica.timeout();
        assert!((30..60).contains(&ours), "{ours}");
        let raft = &mut self.replica.node.as_mut().expect("it did not panic").raft;
        self.roles.insert(format!("{:?}", raft.state));
        let elapsed = raft.election_elapsed;
        raft.election_elapsed = ours - 1;
        assert!(!raft.pass_election_timeout(), "it is below {ours}");
        raft.election_elapsed = ours;
        assert!(raft.pass_election_timeout(), "it is above {ours}");
        raft.election_elapsed = elapsed;
    }

    fn hears(&mut self, from: u32, term: u64, kind: MessageType) {
        let mut message = eraftpb::Message::default();
        message.set_msg_type(kind);
        (message.from, message.to, message.term) = (u64::from(from) + 1, 1, term);
        (message.index, message.log_term) = (INIT_INDEX, 1);
        let message = Message::Raft { message: Box::new(message), image: None };
        self.step(Input::Message { from: NodeId(from), message });
    }
}

#[test]
fn after_every_call_the_election_timeout_is_ours() {
    let mut alone = Alone::new();
    for round in 0..60 {
        for _ in 0..70 {
            alone.step(Input::Timeout(Timer::Tick));
        }
        let term = alone.replica.term();
        let others = [(1, MessageType::MsgRequestPreVoteResponse), (2, MessageType::MsgRequestVoteResponse)];
        match round % 6 {
            0 => alone.hears(1, term + 1, MessageType::MsgHeartbeat),
            1 => alone.hears(2, term + 1, MessageType::MsgRequestVote),
            2 => alone.hears(1, term + 2, MessageType::MsgAppend),
            3 => alone.hears(2, term, MessageType::MsgTimeoutNow),
            _ => {
                alone.hears(others[0].0, term + 1, others[0].1);
                alone.hears(others[1].0, alone.replica.term(), others[1].1);
            }
        }
        let request = Input::Request { id: RequestId(round), request: write(round as u32, 1) };
        alone.step(request);
    }
    assert_eq!(alone.roles.len(), 4, "all were played: {:?}", alone.roles);
}

#[test]
fn equal_ends_of_the_range_give_that_timeout_to_everyone() {
    let fixed = Duration::from_millis(400);
    let stage = theatre(3, &Options { election_timeout: (fixed, fixed), ..options() });
    assert!(stage.nodes().iter().all(|&node| stage.machine(node).is_some_and(|replica| replica.timeout() == 40)));
}

#[test]
fn the_leadership_is_transferred_through_the_crate() {
    let mut stage = theatre(3, &options());
    let leader = elected(&mut stage);
    let heir = stage.nodes().into_iter().find(|&node| node != leader).expect("there are three");
    let term = stage.machine(leader).map(Replica::term);
    // Only the heir is to stay: a membership change is how an operator asks for a transfer.
    stage.command(&format!("reconfigure n{} n{}", leader.0, heir.0));
    stage.run(1_000);
    assert_eq!(stage.leader(), Some(heir));
    assert_eq!(stage.machine(heir).map(|replica| replica.voters().to_vec()), Some(vec![heir]));
    assert_eq!(stage.machine(heir).map(Replica::term), term.map(|term| term + 1), "an election without Pre-Vote");
    let asked = stage.ask(heir, write(1, 1));
    stage.run(100);
    assert!(is_done(stage.outcome(asked)), "alone it is a majority");
    for node in stage.nodes().into_iter().filter(|&node| node != heir) {
        assert!(!stage.machine(node).is_some_and(Replica::is_member), "n{} was told, and knows", node.0);
    }
}

#[test]
fn during_a_transfer_a_write_is_sent_elsewhere_and_not_executed() {
    let mut stage = theatre(3, &options());
    let leader = elected(&mut stage);
    let heir = stage.nodes().into_iter().find(|&node| node != leader).expect("there are three");
    stage.command(&format!("reconfigure n{} n{}", leader.0, heir.0));
    let asked = stage.ask(leader, write(1, 1));
    assert_eq!(stage.outcome(asked), Some(Outcome::Redirect { hint: None }));
    stage.run(1_000);
    assert!(!stage.machine(heir).is_some_and(|replica| replica.applied(write(1, 1).write_key())));
}

#[test]
fn a_removed_node_comes_back_under_another_identity() {
    let mut stage = theatre(3, &options());
    let leader = elected(&mut stage);
    let others: Vec<NodeId> = stage.nodes().into_iter().filter(|&node| node != leader).collect();
    let (stays, goes) = (others[0], others[1]);
    stage.command(&format!("reconfigure n{} n{} n{}", leader.0, leader.0, stays.0));
    stage.run(3_000);
    assert!(!stage.machine(goes).is_some_and(Replica::is_member));
    stage.command(&format!("reconfigure n{} n{} n{} n{}", stays.0, leader.0, stays.0, goes.0));
    stage.run(3_000);
    let back = stage.machine(goes).expect("it runs");
    assert!(back.is_member() && back.identity != Identity::first(goes), "{back:?}");
    assert_eq!(stage.leader(), Some(leader));
    assert_eq!(back.voters(), stage.nodes());
}

/// Newcomers whom no configuration names start on empty disks, and replace everybody, one by one. The first of
/// each set is to lead, and does.
#[test]
fn newcomers_replace_everybody_and_the_first_leads() {
    for after_disk_loss in [AfterDiskLoss::StayOut, AfterDiskLoss::RejoinEmpty] {
        let options = Options { after_disk_loss, ..options() };
        let mut stage = theatre(3, &options);
        elected(&mut stage);
        let mut set = stage.nodes();
        let mut number = 0;
        for _ in 0..3 {
            let group = Group { me: NodeId::from(stage.nodes().len()), members: set.clone(), ..groups(3).remove(0) };
            let me = stage.arrive(Rc::new(Config { options: options.clone(), group }));
            stage.run(1_000);
            assert!(!stage.machine(me).is_some_and(Replica::is_member), "it waits");
            let gone = set.remove(0);
            set.insert(1, me);
            let leader = stage.leader().expect("a leader");
            stage.step(leader, Input::Reconfigure(set.clone()));
            for _ in 0..30 {
                number += 1;
                if let Some(leader) = stage.leader() {
                    stage.ask(leader, write(1, number));
                }
                stage.run(100);
            }
            assert_eq!(stage.leader(), Some(set[0]), "{set:?}");
            let mut voters = set.clone();
            voters.sort_unstable();
            let status = stage.machine(set[0]).map(Machine::status).expect("it runs");
            assert_eq!((status.replica_set[0], &status.members, &status.synced), (set[0], &voters, &voters));
            assert!(!status.released && stage.machine(gone).is_some_and(|gone| gone.status().released));
            stage.crash(gone);
        }
        let done = stage.replies.iter().filter(|(.., outcome)| is_done(Some(*outcome))).count();
        assert!(done > 80, "{done} of {number} writes were acknowledged");
        let leader = stage.machine(set[0]).expect("it runs");
        assert!(leader.applied(write(1, number).write_key()));
    }
}

/// The first of the set is down. The leader does not stop for it, and leads on.
#[test]
fn a_leader_does_not_wait_for_an_heir_that_is_down() {
    let mut stage = theatre(3, &options());
    let leader = elected(&mut stage);
    let others: Vec<NodeId> = stage.nodes().into_iter().filter(|&node| node != leader).collect();
    stage.crash(others[0]);
    stage.step(leader, Input::Reconfigure(vec![others[0], leader, others[1]]));
    for number in 1..=20 {
        let asked = stage.ask(leader, write(1, number));
        stage.run(100);
        assert!(is_done(stage.outcome(asked)), "{number}");
    }
}

#[test]
fn reads_that_come_before_the_first_commit_of_a_term_wait_for_it() {
    let mut stage = theatre(3, &options());
    let mut asked = None;
    for _ in 0..1_000 {
        stage.run(1);
        if let Some(leader) = stage.leader() {
            asked = Some(stage.ask(leader, read(1)));
            break;
        }
    }
    let asked = asked.expect("a leader within a second");
    assert_eq!(stage.outcome(asked), None);
    stage.run(200);
    assert!(is_done(stage.outcome(asked)));
}
