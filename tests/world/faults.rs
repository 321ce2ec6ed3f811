//! The timeline: who is hit, for how long, and what ends it.

use super::kit::*;
use firedrill::id::NodeId;
use firedrill::world::World;
use firedrill::world::fault::*;

const SITES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Which of the five replicas run at some times.
fn running(world: &mut World<Parrot<false>, Scribe>, when: &[u64]) -> Vec<[bool; 5]> {
    let look = |&millis: &u64| {
        world.run_until(at(millis));
        [0, 2, 4, 6, 8].map(|on| up(world, on))
    };
    when.iter().map(look).collect()
}

#[test]
fn the_end_of_a_fault_never_revives_what_a_later_crash_still_holds() {
    let mut world = Plan::sites(&SITES)
        .fault(1_000, Some(2_000), crash(&[0], Disk::Kept))
        .fault(2_000, Some(3_000), crash(&[0, 2], Disk::Kept))
        .world();
    let first: Vec<bool> = running(&mut world, &[1_500, 3_500, 5_500]).iter().map(|up| up[0]).collect();
    assert_eq!(first, [false, false, true]);
}

#[test]
fn restart_ends_every_crash_and_pause_and_the_faults_are_over_once() {
    let mut world = Plan::sites(&SITES)
        .fault(1_000, Some(30_000), crash(&[0, 2], Disk::Kept))
        .fault(1_500, None, crash(&[0], Disk::Kept))
        .fault(1_500, None, Action::Pause { targets: these(&[4]) })
        .fault(2_000, None, Action::Restart { targets: these(&[0, 4]), cold: false })
        .world();
    assert_eq!(
        running(&mut world, &[1_800, 2_500]),
        [[false, false, true, true, true], [true, false, true, true, true]]
    );
    assert!(!world.replicas().service(BOARD).paused(node(4)));
    world.run();
    let ends: Vec<_> =
        world.front().faults.iter().filter(|news| !news.2).map(|news| (news.0, news.1.as_str())).collect();
    assert_eq!(ends, [(at(2_000), "fault 1"), (at(2_000), "fault 2"), (at(31_000), "fault 0")]);
}

#[test]
fn a_cold_restart_takes_the_boot_time_and_a_new_crash_stops_it() {
    let cold = || Action::Restart { targets: these(&[0, 2]), cold: true };
    let mut world = Plan::sites(&SITES)
        .fault(1_000, None, crash(&[0, 2], Disk::Kept))
        .fault(2_000, None, cold())
        .fault(5_000, None, crash(&[2], Disk::Kept))
        .world();
    let [before, after] = running(&mut world, &[11_900, 12_100])[..] else { unreachable!() };
    assert_eq!((before[0], after[0], after[1]), (false, true, false));
    assert!(running(&mut world, &[50_000])[0] == [true, false, true, true, true]);
}

#[test]
fn random_targets_and_majorities_depend_on_seed_and_event_and_not_on_the_protocol() {
    let hit = |seed: u64, serving: bool| {
        let everywhere = (0..10).map(NodeId).collect::<Vec<_>>();
        let random = Targets::Random { of: everywhere, count: 4 };
        let mut plan = Plan::sites(&SITES)
            .seed(seed)
            .fault(1_000, Some(100), Action::Crash { targets: random, disk: Disk::Kept })
            .fault(
                2_000,
                Some(100),
                Action::Crash { targets: Targets::Majority { service: BOARD, count: 3 }, disk: Disk::Kept },
            );
        plan.scripts[3].serving = serving;
        let world = plan.run();
        let nodes: Vec<Vec<NodeId>> =
            world.front().faults.iter().filter(|news| news.2).map(|news| news.3.clone()).collect();
        assert_eq!((nodes[0].len(), nodes[1].len()), (4, 3));
        assert!(nodes[1].iter().all(|node| node.0 % 2 == 0), "of the replica set: {nodes:?}");
        assert_eq!(world.front().depends_on_protocol, 0);
        nodes
    };
    assert_eq!(hit(1, false), hit(1, true));
    let distinct: std::collections::BTreeSet<_> = (0..20).map(|seed| hit(seed, false)).collect();
    assert!(distinct.len() > 15, "{} of 20", distinct.len());
}

#[test]
fn the_primary_is_whoever_serves_and_else_the_first() {
    let hit = |serving: &[usize]| {
        let targets = Targets::Primary { service: BOARD };
        let mut plan = Plan::sites(&SITES).fault(1_000, None, Action::Crash { targets, disk: Disk::Kept });
        serving.iter().for_each(|&rank| plan.scripts[rank].serving = true);
        let world = plan.run();
        assert_eq!(world.front().depends_on_protocol, 1, "the report must say so");
        world.front().faults[0].3.clone()
    };
    assert_eq!(hit(&[1, 3]), [node(2), node(6)]);
    assert_eq!(hit(&[]), [node(0)]);
}

#[test]
fn corruption_reaches_state_and_messages_in_flight_of_its_targets() {
    let corrupt = |what| Action::Corrupt { targets: these(&[0]), what };
    let plan = |what| {
        let word = |number| Act::Send { to: 4, bytes: 1, from: number, count: 1 };
        Plan::sites(&SITES).act(0, 1_000, word(1)).act(1, 1_000, word(2)).fault(1_010, None, corrupt(what)).run()
    };
    for (what, state, first, unsupported) in [
        (CorruptWhat::Volatile, 1, 1, 0),
        (CorruptWhat::Log, 1, 1, 1),
        (CorruptWhat::Messages, 0, 1_001, 0),
        (CorruptWhat::All, 1, 1_001, 0),
    ] {
        let world = plan(what);
        let board = world.replicas().service(BOARD);
        let corrupted = |on| board.machine(node(on)).expect("it runs").corrupted;
        assert_eq!((corrupted(0), corrupted(2)), (state, 0), "{what:?}");
        assert_eq!(words(&world, 4), [first, 2], "{what:?}");
        assert_eq!(world.front().unsupported, unsupported, "{what:?}");
    }
}

#[test]
fn failures_at_random_come_at_their_rate_and_are_the_same_for_every_protocol() {
    let run = |kind, serving| {
        let failure = Failure {
            kind,
            between: Distribution::Exponential { mean: ms(5_000) },
            repair: Distribution::Constant(ms(1_000)),
            disk: Disk::Kept,
        };
        let mut plan = Plan::sites(&SITES);
        plan.failures = vec![failure];
        plan.scripts[0].serving = serving;
        plan.end = at(300_000);
        plan.run().front().faults.clone()
    };
    let nodes = run(FailureKind::Node, false);
    assert_eq!(nodes, run(FailureKind::Node, true));
    // Ten machines, each about 300 s / 6 s times.
    let began = nodes.iter().filter(|news| news.2).count();
    assert!((440..560).contains(&began), "{began}");
    assert!(nodes.iter().all(|news| news.3.len() == 1));
    assert!(run(FailureKind::DataCenter, false).iter().all(|news| news.3.len() == 2));
    // Ten pairs of data centers.
    let links = run(FailureKind::Link, false).iter().filter(|news| news.2).count();
    assert!((440..560).contains(&links), "{links}");
}

#[test]
fn a_random_failure_of_a_link_cuts_its_clients_too() {
    let mut plan = Plan::sites(&["a", "b"]).ask(1_500, 2, read()).ask(2_500, 2, read());
    let constant = |millis| Distribution::Constant(ms(millis));
    plan.failures =
        vec![Failure { kind: FailureKind::Link, between: constant(1_000), repair: constant(1_000), disk: Disk::Kept }];
    let world = plan.run();
    let answered: Vec<u64> = world.front().replies.iter().map(|reply| reply.2).collect();
    assert_eq!(answered, [1]);
}
