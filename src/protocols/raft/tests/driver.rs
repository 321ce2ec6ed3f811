//! What the driver owes to the crate, and to whoever repeats a run.

use raft::StateRole;

use super::{Options, configs, options};
use crate::id::NodeId;
use crate::machine::Machine;
use crate::op::Outcome;
use crate::protocols::raft::membership::Identity;
use crate::protocols::raft::{Message, Replica};
use crate::protocols::theatre::{Theatre, read, write};
use crate::time::Duration;

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

#[test]
fn after_every_call_the_election_timeout_is_ours() {
    let mut stage = theatre(3, &options());
    let check = |stage: &Theatre<Replica>| {
        for node in stage.nodes() {
            let Some(replica) = stage.machine(node) else { continue };
            let raft = &replica.node().expect("it did not panic").raft;
            // The crate has no reader for it: it is passed exactly when so many ticks have gone by.
            let ours = replica.timeout();
            assert!((30..60).contains(&ours), "{ours}");
            assert_eq!(raft.pass_election_timeout(), raft.election_elapsed >= ours);
            if raft.state != StateRole::Leader {
                assert!(raft.election_elapsed <= ours, "{} of {ours}", raft.election_elapsed);
            }
        }
    };
    for round in 0..40 {
        let leader = stage.leader();
        stage.ask(leader.unwrap_or(NodeId(round % 3)), write(round + 1, 1));
        if round % 10 == 9
            && let Some(leader) = leader
        {
            stage.crash(leader);
        }
        for _ in 0..50 {
            stage.run(3);
            check(&stage);
        }
        for node in stage.nodes() {
            if round % 10 == 4 && stage.machine(node).is_none() {
                stage.boot(node);
            }
        }
    }
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
    stage.command(&format!("reconfigure n{} n0 n1 n2", stays.0));
    stage.run(3_000);
    let back = stage.machine(goes).expect("it runs");
    assert!(back.is_member() && back.identity != Identity::first(goes), "{back:?}");
    assert_eq!(stage.leader(), Some(leader));
    assert_eq!(back.voters(), stage.nodes());
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
