//! What agents order: replicas that start and stop, machines that sleep and wake. One service, on machines 0, 2, ...

use super::kit::*;
use firedrill::id::{DcId, NodeId, ServiceId};
use firedrill::machine::{Demand, Order};
use firedrill::op::Outcome;
use firedrill::time::Duration;
use firedrill::world::fault::*;
use firedrill::world::{DropReason, PowerState, World};

fn start() -> Order {
    Order::Start { service: BOARD, members: vec![node(0)] }
}
fn stop() -> Order {
    Order::Stop { service: BOARD }
}
fn wake(on: u32) -> Order {
    Order::Wake(node(on))
}
fn dropped(world: &World<Parrot<false>, Scribe>) -> Vec<DropReason> {
    world.front().dropped.iter().map(|(_, why)| *why).collect()
}
/// What a machine drew power for, and since when in milliseconds.
fn power(world: &World<Parrot<false>, Scribe>, on: u32) -> Vec<(u64, PowerState)> {
    let of = world.front().power.iter().filter(|(_, node, _)| *node == NodeId(on));
    of.map(|(at, _, state)| (at.as_nanos() / 1_000_000, *state)).collect()
}

#[test]
fn a_replica_starts_empty_on_a_running_machine_and_only_once() {
    let mut plan = Plan::sites(&["a", "b"])
        .act(0, 500, Act::Send { to: 1, bytes: 1, from: 1, count: 1 })
        .act(0, 2_000, Act::Send { to: 1, bytes: 1, from: 2, count: 1 })
        .order(1, 1_000, start())
        .order(1, 1_500, start());
    plan.spare.acts.push((ms(100), Act::Write(7)));
    let world = plan.run();
    assert_eq!(heard(&world, 1), [Heard::Boot(vec![]), Heard::Written(1), Heard::Word(0, 2)]);
    let board = world.replicas().service(BOARD);
    assert_eq!(
        (board.nodes(), board.placed(), board.records(node(1))),
        (&[node(0), node(2), node(1)][..], 2, &[7][..])
    );
    assert_eq!(world.front().housed, [(at(1_000), node(1), true)]);
}

#[test]
fn a_stopped_replica_is_gone_with_its_timers_and_records() {
    let mut world = Plan::sites(&["a", "b"])
        .act(1, 100, Act::Write(7))
        .act(1, 500, Act::Bell(Some(ms(10_000))))
        .act(0, 5_000, Act::Send { to: 2, bytes: 1, from: 1, count: 1 })
        .ask(6_000, 2, read())
        .order(2, 1_000, stop())
        .order(2, 1_500, stop())
        .world::<false>();
    world.run_until(at(900));
    assert_eq!(world.replicas().service(BOARD).records(node(2)), [7]);
    world.run();
    let board = world.replicas().service(BOARD);
    assert!(!board.holds(node(2)) && !board.up(node(2)) && board.records(node(2)).is_empty());
    assert_eq!(board.nodes(), [node(0), node(2)], "positions stay");
    assert!(world.front().bells.is_empty());
    assert_eq!(world.front().housed, [(at(1_000), node(2), false)]);
    assert_eq!(agent_heard(&world, 2)[1..], [Heard::Stray(0, 0)], "and the machine's agent answers for it");
}

#[test]
fn nothing_that_was_under_way_for_a_stopped_replica_reaches_the_next_one() {
    // A message of 20 ms, a record of 5 ms and one held by it are under way when it is stopped and replaced.
    let plan = |sessions: bool| {
        let mut plan = Plan::sites(&["a", "b"])
            .act(0, 990, Act::Send { to: 2, bytes: 1, from: 1, count: 1 })
            .act(1, 998, Act::Write(7))
            .act(1, 998, Act::WriteThenSend(8, 0))
            .act(0, 1_100, Act::Send { to: 2, bytes: 1, from: 2, count: 1 })
            .order(2, 1_000, stop())
            .order(2, 1_000, start());
        // The newcomer writes, too: its first record gets the same name as its predecessor's.
        plan.spare.acts.push((ms(1), Act::Write(9)));
        let (heard, records) = if sessions {
            let world = plan.run_sessions();
            (heard(&world, 2), world.replicas().service(BOARD).records(node(2)).to_vec())
        } else {
            let world = plan.run();
            assert_eq!(dropped(&world), [DropReason::Restarted]);
            assert!(!world.front().journeys.contains_key(&(2, 0)), "what waited for the disk never leaves");
            (heard(&world, 2), world.replicas().service(BOARD).records(node(2)).to_vec())
        };
        assert_eq!(heard, [Heard::Boot(vec![]), Heard::Written(1), Heard::Word(0, 2)]);
        assert_eq!(records, [9]);
    };
    plan(false);
    plan(true);
}

#[test]
fn a_request_that_waits_for_a_stopped_replica_goes_to_the_agent() {
    // 100 ms each: the second waits when the replica is stopped, and so does the first, in service.
    let world = Plan::sites(&["a"])
        .machines(|node| node.capacity = 10.0)
        .ask(1_000, 0, read())
        .ask(1_000, 0, read())
        .order(0, 1_050, stop())
        .run();
    assert_eq!(agent_heard(&world, 0)[1..], [Heard::Stray(0, 0), Heard::Stray(0, 0)]);
    assert!(world.front().replies.iter().all(|(.., outcome)| matches!(outcome, Outcome::Redirect { .. })));
    assert_eq!(world.front().replies.len(), 2);
}

#[test]
fn a_stray_request_is_refused_where_there_is_no_agent() {
    let alone = Plan::sites(&["a"]).ask(1_000, 1, read()).run();
    assert_eq!(alone.front().replies[0].3, Outcome::Refused);
    let plan = Plan::sites(&["a"]).order(0, 30_000, Order::Survey).ask(1_000, 1, read());
    let world = plan.run();
    assert!(matches!(world.front().replies[0].3, Outcome::Redirect { .. }));
    assert_eq!(agent_heard(&world, 1)[1..], [Heard::Stray(0, 0)]);
}

#[test]
fn a_replica_started_twice_on_a_machine_draws_anew() {
    let random = |stops: bool| {
        let mut plan = Plan::sites(&["a"]).order(1, 1_000, start());
        if stops {
            plan = plan.order(1, 2_000, stop()).order(1, 3_000, start());
        }
        let world = plan.run();
        world.replicas().service(BOARD).machine(node(1)).expect("it runs").random
    };
    assert_ne!(random(false), random(true));
}

#[test]
fn a_started_replica_survives_a_crash_and_a_stopped_one_does_not_return() {
    let mut plan = Plan::sites(&["a", "b"]).order(1, 1_000, start()).order(2, 1_000, stop()).fault(
        5_000,
        Some(1_000),
        crash(&[1, 2], Disk::Kept),
    );
    plan.spare.acts.push((ms(0), Act::Write(7)));
    let mut world = plan.world::<false>();
    world.run_until(at(6_500));
    assert_eq!(heard(&world, 1)[0], Heard::Boot(vec![7]));
    assert!(!up(&world, 2));
}

#[test]
fn a_survey_tells_how_things_stand_and_counts_since_the_last_one() {
    let mut plan = Plan::sites(&["a", "b"]).machines(|node| node.capacity = 100.0).act(0, 100, Act::Write(7));
    for when in [1_000, 1_100, 1_200] {
        plan = plan.ask(when, 0, read());
    }
    let world = plan
        .ask(1_300, 0, put(1))
        .order(0, 2_000, Order::Survey)
        .order(0, 3_000, Order::Survey)
        .order(1, 3_000, Order::Survey)
        .run();
    let surveys: Vec<_> = (agent_heard(&world, 0).into_iter())
        .filter_map(|heard| if let Heard::Survey(survey) = heard { Some(survey) } else { None })
        .collect();
    let [first, second] = &surveys[..] else { panic!("two surveys: {surveys:?}") };
    assert_eq!((first.window, second.window), (ms(2_000), ms(1_000)));
    assert_eq!((first.busy, second.busy), (ms(40), Duration::ZERO));
    let [housed] = &first.replicas[..] else { panic!("agents are not told of: {first:?}") };
    assert_eq!((housed.service, housed.bytes, housed.busy), (BOARD, 16, ms(40)));
    assert_eq!(housed.served, [Demand { place: DcId(0), reads: 3, writes: 1 }]);
    assert_eq!((second.replicas[0].busy, &second.replicas[0].served[..]), (Duration::ZERO, &[][..]));
    let empty = agent_heard(&world, 1);
    assert!(matches!(&empty[1], Heard::Survey(survey) if survey.replicas.is_empty()), "{empty:?}");
}

#[test]
fn work_counts_as_it_is_done_and_not_when_it_begins() {
    // A request of 1 s, surveyed in its middle, and given up by a crash.
    let slow = |node: &mut firedrill::world::topology::Node| node.capacity = 1.0;
    let plan = Plan::sites(&["a"]).machines(slow).ask(1_000, 0, read()).order(0, 1_502, Order::Survey);
    let busy = |world: &World<Parrot<false>, Scribe>| world.replicas().busy(node(0), world.now());
    let mut world = plan.world::<false>();
    world.run_until(at(1_700));
    let Heard::Survey(survey) = &agent_heard(&world, 0)[1] else { panic!("it was surveyed") };
    assert!(survey.busy.as_nanos().abs_diff(500_000_000) < 1_200_000, "{survey:?}");
    world.run();
    assert_eq!(busy(&world), ms(1_000));
    let crash = Plan::sites(&["a"]).machines(slow).ask(1_000, 0, read()).fault(1_501, None, crash(&[0], Disk::Kept));
    assert!(busy(&crash.run()).as_nanos().abs_diff(500_000_000) < 1_200_000);
}

#[test]
fn an_agent_asks_the_replica_beside_it_for_another_set() {
    let order = Order::Reconfigure { service: BOARD, replicas: vec![node(2), node(0)] };
    let world = Plan::sites(&["a", "b"]).order(0, 1_000, order.clone()).order(1, 1_000, order).run();
    assert_eq!(heard(&world, 0)[1..], [Heard::Reconfigure(vec![node(2), node(0)])]);
}

#[test]
fn clients_of_a_site_hear_what_its_machines_publish() {
    let publish = || Order::Publish { service: BOARD, replicas: vec![node(2), node(0)] };
    let cut = Action::Cut { from: vec![Endpoint::Node(node(3))], to: vec![Endpoint::Place(DcId(1))], one_way: true };
    let world =
        Plan::sites(&["a", "b"]).order(3, 1_000, publish()).order(3, 5_000, publish()).fault(4_000, None, cut).run();
    let [(when, place, nodes)] = &world.front().published[..] else { panic!("{:?}", world.front().published) };
    assert_eq!((when.as_nanos() / 1_000_000, *place, &nodes[..]), (1_001, DcId(1), &[node(2), node(0)][..]));
    assert!(dropped(&world).contains(&DropReason::Cut));
}

#[test]
fn orders_of_what_does_not_exist_do_nothing() {
    let nowhere = ServiceId(9);
    let world = Plan::sites(&["a"])
        .order(1, 100, Order::Start { service: nowhere, members: vec![] })
        .order(1, 100, Order::Stop { service: nowhere })
        .order(1, 100, Order::Stop { service: AGENTS })
        .order(1, 100, Order::Reconfigure { service: nowhere, replicas: vec![] })
        .order(1, 100, Order::Publish { service: nowhere, replicas: vec![] })
        .order(1, 100, wake(77))
        .order(1, 100, wake(1))
        .order(1, 200, Order::Start { service: BOARD, members: vec![node(99)] })
        .run();
    assert!(up(&world, 1) && world.replicas().service(AGENTS).up(node(1)));
}

#[test]
fn a_machine_sleeps_with_its_disk_kept_and_wakes_after_its_boot_time() {
    // Shutting down takes 3 s, booting 10 s.
    let plan = Plan::sites(&["a", "b"])
        .act(1, 999, Act::Write(7))
        .ask(2_000, 2, read())
        .ask(8_000, 2, read())
        .order(2, 1_000, Order::Sleep)
        .order(0, 2_000, wake(2))
        .order(0, 7_000, wake(2))
        .order(0, 9_000, wake(2));
    let mut world = plan.world::<false>();
    world.run_until(at(5_000));
    assert!(!world.replicas().node_up(node(2)));
    world.run_until(at(17_500));
    assert_eq!(heard(&world, 2)[0], Heard::Boot(vec![7]), "a clean stop writes what was not yet on the disk");
    world.run();
    let expected = [
        (0, PowerState::Awake),
        (1_000, PowerState::ShuttingDown),
        (4_000, PowerState::Asleep),
        (7_020, PowerState::Booting),
        (17_020, PowerState::Awake),
        // Its agent sleeps again a second after its boot: it is the same script.
        (18_020, PowerState::ShuttingDown),
        (21_020, PowerState::Asleep),
    ];
    assert_eq!(power(&world, 2), expected, "a packet during the shutdown is lost, a second one changes nothing");
    assert!(world.front().replies.is_empty(), "a sleeping machine is silent");
    let times = world.replicas().power_times(node(2), at(60_000));
    assert_eq!((times.awake, times.booting, times.shutting_down), (ms(2_000), ms(10_000), ms(6_000)));
    assert_eq!(times.awake + times.booting + times.shutting_down + times.asleep, ms(60_000));
}

#[test]
fn a_packet_that_wakes_may_be_lost_like_any_other() {
    let cut = Action::Cut { from: site(0), to: site(1), one_way: true };
    let mut world = Plan::sites(&["a", "b"])
        .order(2, 1_000, Order::Sleep)
        .order(0, 5_000, wake(2))
        .order(0, 9_000, wake(2))
        .fault(4_500, Some(1_000), cut)
        .world::<false>();
    world.run_until(at(20_000));
    assert_eq!(power(&world, 2)[3..], [(9_020, PowerState::Booting), (19_020, PowerState::Awake)]);
    assert!(dropped(&world).contains(&DropReason::Cut));
}

#[test]
fn no_fault_wakes_a_sleeping_machine_and_a_held_one_cannot_be_woken() {
    let restart = |cold| Action::Restart { targets: these(&[2]), cold };
    let dead =
        Action::Crash { targets: Targets::Nodes { nodes: vec![node(2), node(3)], silent: true }, disk: Disk::Lost };
    let world = Plan::sites(&["a", "b"])
        .act(1, 100, Act::Write(7))
        .order(2, 1_000, Order::Sleep)
        .fault(5_000, Some(2_000), crash(&[2], Disk::Kept))
        .order(0, 6_000, wake(2))
        .fault(8_000, None, restart(false))
        .fault(9_000, None, restart(true))
        .fault(10_000, Some(1_000), Action::Pause { targets: these(&[2]) })
        .fault(12_000, Some(1_000), dead)
        .run();
    let expected = [
        (0, PowerState::Awake),
        (1_000, PowerState::ShuttingDown),
        (4_000, PowerState::Asleep),
        (12_000, PowerState::Dead),
        (13_000, PowerState::Asleep),
    ];
    assert_eq!(power(&world, 2), expected);
    assert!(world.replicas().service(BOARD).records(node(2)).is_empty(), "but a disk can be lost in its sleep");
}

#[test]
fn a_machine_that_crashes_on_its_way_to_sleep_or_back_is_asleep_afterwards() {
    let world = Plan::sites(&["a", "b"])
        .order(2, 1_000, Order::Sleep)
        .fault(2_000, Some(500), crash(&[2], Disk::Kept))
        .order(0, 5_000, wake(2))
        .fault(8_000, Some(500), crash(&[2], Disk::Kept))
        .run();
    let expected = [
        (0, PowerState::Awake),
        (1_000, PowerState::ShuttingDown),
        (2_000, PowerState::Asleep),
        (5_020, PowerState::Booting),
        (8_000, PowerState::Asleep),
    ];
    assert_eq!(power(&world, 2), expected);
}

#[test]
fn a_dead_process_leaves_its_machine_idle_and_a_cold_restart_boots_it() {
    let world = Plan::sites(&["a"])
        .fault(1_000, None, crash(&[0], Disk::Kept))
        .fault(2_000, None, Action::Restart { targets: these(&[0]), cold: true })
        .run();
    let expected =
        [(0, PowerState::Awake), (1_000, PowerState::Idle), (2_000, PowerState::Booting), (12_000, PowerState::Awake)];
    assert_eq!(power(&world, 0), expected);
}

#[test]
fn peers_notice_at_once_that_a_machine_went_to_sleep() {
    let world = Plan::sites(&["a", "b"]).order(2, 1_000, Order::Sleep).run_sessions();
    let told: Vec<_> = world.front().trace.iter().filter(|(_, text)| text.contains("LinkDown")).collect();
    assert!(!told.is_empty());
    assert!(
        told.iter().all(|(when, _)| *when <= at(1_020)),
        "connections are closed, not left to fall silent: {told:?}"
    );
}

#[test]
fn a_newcomer_is_connected_with_those_it_never_spoke_with() {
    let mut plan = Plan::sites(&["a", "b"]).act(1, 3_000, Act::Send { to: 1, bytes: 1, from: 1, count: 1 });
    let starts = Script { acts: vec![(ms(1_000), Act::Order(start()))], ..Script::default() };
    plan.agents = Some(vec![Script::default(), starts]);
    assert_eq!(words(&plan.run_sessions(), 1), [1]);
}
