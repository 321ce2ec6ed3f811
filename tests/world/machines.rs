//! Machines: processors, disks, clocks, crashes and pauses.

use super::kit::*;
use firedrill::id::{ClientId, DcId};
use firedrill::op::{Op, Outcome, WriteKey};
use firedrill::time::Duration;
use firedrill::world::DropReason;
use firedrill::world::fault::*;

#[test]
fn a_processor_serves_requests_one_by_one_and_refuses_what_finds_no_place() {
    // 100 requests a second: 10 ms each. One is served, three may wait.
    let mut plan = Plan::sites(&["a"]).machines(|node| (node.capacity, node.queue) = (100.0, 3));
    for _ in 0..6 {
        plan = plan.ask(1_000, 0, read());
    }
    let world = plan.run();
    let replies = &world.front().replies;
    let refused = replies.iter().filter(|(.., outcome)| *outcome == Outcome::Refused).count();
    assert_eq!(refused, 2, "{replies:?}");
    assert!(replies[..2].iter().all(|(when, ..)| *when < at(1_003)), "refused at once");
    let served: Vec<u64> = replies[2..].iter().map(|(when, ..)| when.as_nanos() / 1_000_000).collect();
    assert_eq!(served, [1_012, 1_022, 1_032, 1_042]);
    assert_eq!(world.front().answered, 4, "a refusal is the machine's, not the replica's");
}

#[test]
fn a_slow_machine_serves_and_syncs_slowly_until_each_fault_ends() {
    let slow = |factor| Action::Slow { targets: these(&[0]), factor };
    let took = |when: u64| {
        let world = Plan::sites(&["a"])
            .fault(1_000, Some(3_000), slow(10.0))
            .fault(2_000, Some(1_000), slow(2.0))
            .ask(when, 0, put(1))
            .run();
        world.front().replies[0].0.since(at(when)).as_nanos() / 1_000_000
    };
    // 2 ms on the way, 1 ms of service, 5 ms of sync.
    assert_eq!([500, 1_500, 2_500, 3_500, 4_500].map(took), [8, 62, 122, 62, 8]);
}

#[test]
fn service_times_may_be_exponential_and_are_the_same_for_every_protocol() {
    let mut plan = Plan::sites(&["a"]).machines(|node| (node.exponential_service, node.capacity) = (true, 100.0));
    for index in 0..1_000 {
        plan = plan.ask(50 * index, 0, read());
    }
    let world = plan.run();
    let took: f64 = world.replicas().busy(node(0), at(60_000)).as_secs_f64();
    assert!((took / 10.0 - 1.0).abs() < 0.1, "1000 of mean 10 ms took {took} s");
}

#[test]
fn messages_cost_processor_time_where_they_have_a_price() {
    let world = Plan::sites(&["a", "b"])
        .machines(|node| node.message_cost = ms(10))
        .act(0, 0, Act::Send { to: 2, bytes: 1, from: 0, count: 3 })
        .run();
    let came: Vec<u64> = world.front().delivered.iter().map(|when| when.as_nanos() / 1_000_000).collect();
    assert_eq!(came, [30, 40, 50]);
}

#[test]
fn a_replica_that_does_not_answer_redirects_without_waiting_in_the_queue() {
    let mut plan = Plan::sites(&["a"]).machines(|node| node.capacity = 1.0).ask(1_000, 0, read());
    plan = plan.ask(1_100, 0, Op::Post { key: 1, value: firedrill::op::Value { digest: 0, bytes: 0 } });
    let replies = &plan.run().front().replies.clone();
    assert!(matches!(replies[0].3, Outcome::Redirect { .. }));
    assert!(replies[0].0 < at(1_103) && replies[1].0 > at(2_000));
}

#[test]
fn requests_that_nobody_answers_and_replies_after_a_crash_go_nowhere() {
    // The write is in the machine's hands when it crashes.
    let world = Plan::sites(&["a"]).ask(1_000, 0, put(1)).fault(1_004, Some(1), crash(&[0], Disk::Kept)).run();
    assert!(world.front().replies.is_empty());
    assert_eq!(world.front().answered, 0);
}

#[test]
fn writes_during_a_sync_share_the_next_one() {
    let mut plan = Plan::sites(&["a"]);
    for (when, record) in [(100, 1), (101, 2), (102, 3), (103, 4)] {
        plan = plan.act(0, when, Act::Write(record));
    }
    let world = plan.run();
    assert_eq!(heard(&world, 0)[1..], [Heard::Written(1), Heard::Written(4)]);
    assert_eq!(world.replicas().service(BOARD).records(node(0)), [1, 2, 3, 4]);
    let durable: Vec<_> = world.front().trace.iter().filter(|(_, text)| text.contains("Durable")).collect();
    assert_eq!([durable[0].0, durable[1].0], [at(105), at(110)]);
}

#[test]
fn a_message_that_depends_on_a_write_leaves_when_it_is_durable() {
    let world = Plan::sites(&["a", "b"]).act(0, 100, Act::WriteThenSend(1, 2)).run();
    assert_eq!(world.front().journeys[&(0, 2)][0].0, at(105));
    let crashed =
        Plan::sites(&["a", "b"]).act(0, 100, Act::WriteThenSend(1, 2)).fault(103, None, crash(&[0], Disk::Kept)).run();
    assert!(crashed.front().journeys.is_empty(), "a held message dies with its process");
    let again = Plan::sites(&["a", "b"])
        .act(0, 100, Act::WriteThenSend(1, 2))
        .fault(103, Some(50), crash(&[0], Disk::Kept))
        .run();
    assert_eq!(words(&again, 2), [1], "and the next one's writes do not send it");
}

#[test]
fn a_checkpoint_replaces_what_came_before_it_once_durable() {
    let mut world = Plan::sites(&["a"])
        .act(0, 100, Act::Write(1))
        .act(0, 200, Act::Checkpoint(10))
        .act(0, 300, Act::Write(11))
        .world::<false>();
    let mut records = |millis| {
        world.run_until(at(millis));
        world.replicas().service(BOARD).records(node(0)).to_vec()
    };
    assert_eq!(records(203), [1], "not yet durable");
    assert_eq!(records(250), [10]);
    assert_eq!(records(350), [10, 11]);
}

#[test]
fn a_crash_keeps_what_was_synced_and_a_random_prefix_of_the_rest() {
    let mut survivors = [0; 4];
    for seed in 0..100 {
        let mut plan = Plan::sites(&["a"]).seed(seed).act(0, 100, Act::Write(1));
        for record in 2..5 {
            plan = plan.act(0, 200, Act::Write(record));
        }
        let world = plan.fault(203, Some(50), crash(&[0], Disk::Kept)).run();
        let Heard::Boot(log) = &heard(&world, 0)[0] else { panic!("it booted again") };
        assert!(log.iter().copied().eq(1..=log.len() as u64), "{log:?}");
        survivors[log.len() - 1] += 1;
    }
    assert!(survivors.iter().all(|&count| count > 10), "{survivors:?}");
}

#[test]
fn a_lost_disk_is_empty_even_if_the_machine_was_already_down() {
    let plan = || Plan::sites(&["a"]).act(0, 100, Act::Write(1));
    let lost = plan().fault(1_000, Some(1_000), crash(&[0], Disk::Lost)).run();
    assert_eq!(heard(&lost, 0)[0], Heard::Boot(vec![]));
    let later = plan()
        .fault(1_000, Some(3_000), crash(&[0], Disk::Kept))
        .fault(2_000, Some(1_000), crash(&[0], Disk::Lost))
        .run();
    assert_eq!(heard(&later, 0)[0], Heard::Boot(vec![]));
}

#[test]
fn a_crash_loses_timers_and_messages_meant_for_the_old_process() {
    // Sent at 990 and due at 1010; the receiver is down from 1000 to 1005. Another is sent while it is down.
    let world = Plan::sites(&["a", "b"])
        .act(0, 990, Act::Send { to: 2, bytes: 1, from: 1, count: 1 })
        .act(0, 1_003, Act::Send { to: 2, bytes: 1, from: 2, count: 1 })
        .act(1, 500, Act::Bell(Some(ms(700))))
        .fault(1_000, Some(5), crash(&[2], Disk::Kept))
        .run();
    assert_eq!(words(&world, 2), [2]);
    assert_eq!(world.front().dropped, [(at(1_010) + Duration::from_nanos(8), DropReason::Restarted)]);
    // The old process would have rung at 1.2 s; the new one, by its own script, at 1.005 + 0.5 + 0.7 s.
    assert_eq!(world.front().bells, [at(2_205)]);
}

#[test]
fn a_dead_process_refuses_and_a_dead_site_is_silent() {
    let silent = Targets::Nodes { nodes: vec![node(0), node(1)], silent: true };
    let world = Plan::sites(&["a", "b"])
        .fault(1_000, Some(1_000), crash(&[0], Disk::Kept))
        .fault(3_000, Some(1_000), Action::Crash { targets: silent, disk: Disk::Kept })
        .ask(1_500, 0, read())
        .ask(3_500, 0, read())
        .ask(4_500, 0, read())
        .run();
    let replies: Vec<(u64, bool)> =
        world.front().replies.iter().map(|(.., ticket, outcome)| (*ticket, *outcome == Outcome::Refused)).collect();
    assert_eq!(replies, [(0, true), (2, false)]);
}

#[test]
fn a_log_that_does_not_start_a_replica_leaves_it_down_on_a_live_machine() {
    let mut plan = Plan::sites(&["a"]).ask(1_000, 0, read());
    plan.scripts[0].refuses_to_boot = true;
    let world = plan.run();
    assert!(!up(&world, 0) && world.replicas().node_up(node(0)));
    assert_eq!(world.front().notes.len(), 1);
    assert_eq!(world.front().replies[0].3, Outcome::Refused);
}

#[test]
fn after_a_pause_expired_timers_come_first_and_then_what_waited_in_order() {
    let world = Plan::sites(&["a", "b"])
        .act(0, 1_000, Act::Send { to: 2, bytes: 1, from: 1, count: 2 })
        .act(1, 995, Act::Write(9))
        .act(1, 990, Act::Bell(Some(ms(500))))
        .ask(1_100, 2, read())
        .fault(997, Some(9_003), Action::Pause { targets: these(&[2]) })
        .run();
    let expected = [Heard::Bell, Heard::Written(1), Heard::Word(0, 1), Heard::Word(0, 2), Heard::Request(1)];
    assert_eq!(heard(&world, 2)[1..], expected);
    assert_eq!(world.front().delivered, [at(10_000); 2]);
}

#[test]
fn a_timer_cancelled_on_waking_does_not_ring() {
    // Both run out during the pause; the first to run out cancels the second.
    let plan = |cancels| {
        let act = if cancels { Act::Bell(None) } else { Act::Write(1) };
        Plan::sites(&["a"])
            .act(0, 100, Act::Bell(Some(ms(2_000))))
            .act(0, 1_500, act)
            .fault(1_000, Some(5_000), Action::Pause { targets: these(&[0]) })
            .run()
    };
    assert_eq!(plan(false).front().bells, [at(6_000)]);
    assert_eq!(plan(true).front().bells, []);
}

#[test]
fn a_paused_machine_that_crashes_forgets_what_waited() {
    let world = Plan::sites(&["a", "b"])
        .act(0, 1_000, Act::Send { to: 2, bytes: 1, from: 1, count: 2 })
        .fault(500, Some(1_500), Action::Pause { targets: these(&[2]) })
        .fault(1_500, Some(100), crash(&[2], Disk::Kept))
        .run();
    assert!(words(&world, 2).is_empty());
    let boot = &world.front().trace.iter().rfind(|(_, text)| text.contains("Booted")).expect("it booted again");
    assert_eq!(boot.0, at(2_000), "it boots when the pause, too, is over");
}

#[test]
fn a_drifting_clock_shifts_timers_and_a_jump_only_the_wall() {
    let clock = |jump, drift_ppm| Action::Clock { targets: these(&[0]), jump, drift_ppm };
    let ring = |plan: Plan| plan.act(0, 10_000, Act::Bell(Some(ms(20_000)))).run();
    let fast = ring(Plan::sites(&["a"]).fault(5_000, None, clock(0, 1_000.0)));
    let rang = fast.front().bells[0];
    // Armed at 10 s (set before the drift); 20 s at 1.001 take 19.98002 s.
    assert_eq!(rang.as_nanos() / 1_000, 29_980_019);
    let back = ring(Plan::sites(&["a"]).fault(5_000, Some(1_000), clock(0, 1_000.0)));
    assert_eq!(back.front().bells, [at(30_000)], "the drift ended before it was armed");
    let jumped = ring(Plan::sites(&["a"]).fault(15_000, None, clock(-2_000_000_000, 0.0)));
    assert_eq!(jumped.front().bells, [at(30_000)]);
    let replicas = jumped.replicas().service(BOARD);
    let machine = replicas.machine(node(0)).expect("it runs");
    let (boot, rung) = (&machine.heard[0], machine.heard.last().expect("it rang"));
    assert_eq!(rung.0.since(boot.0), ms(30_000));
    assert_eq!(rung.1.since(boot.1), ms(28_000));
}

#[test]
fn clocks_and_draws_differ_between_machines_and_incarnations() {
    let world = Plan::sites(&["a", "b"]).fault(1_000, Some(10), crash(&[2], Disk::Kept)).run();
    let board = world.replicas().service(BOARD);
    let boots = [0, 2].map(|on| board.machine(node(on)).expect("it runs").heard[0].0);
    assert!(boots[0].since(boots[1]).max(boots[1].since(boots[0])) > Duration::from_secs(60), "{boots:?}");
    let again = Plan::sites(&["a", "b"]).run();
    let first = again.replicas().service(BOARD).machine(node(2)).expect("it runs").heard[0].0;
    assert!(boots[1].since(first).max(first.since(boots[1])) > Duration::from_secs(60));
    let draw = |world: &firedrill::world::World<Parrot<false>, Scribe>, on| {
        world.replicas().service(BOARD).machine(node(on)).expect("it runs").random
    };
    assert_eq!(draw(&world, 0), draw(&again, 0), "what a machine draws does not depend on what others do");
    assert_ne!(draw(&world, 2), draw(&again, 2), "but each incarnation draws anew");
}

#[test]
fn a_client_is_told_of_its_revoked_write_and_confirms_it() {
    let world = Plan::sites(&["a", "b"]).act(1, 1_000, Act::Tell(7)).run();
    let write = WriteKey { client: ClientId(7), number: 1 };
    assert_eq!(world.front().told, [(at(1_020) + Duration::from_nanos(768), DcId(0), write)]);
    assert_eq!(heard(&world, 2)[1..], [Heard::Acknowledged(1)]);
}

#[test]
fn only_messages_between_data_centers_count_as_wan() {
    let mut plan = Plan::sites(&["a", "b"]).act(0, 0, Act::Send { to: 1, bytes: 1_000, from: 0, count: 1 });
    plan = plan.act(0, 0, Act::Send { to: 2, bytes: 300, from: 0, count: 2 });
    plan = plan.act(0, 0, Act::Send { to: 0, bytes: 300, from: 5, count: 1 });
    plan.replicas = vec![node(0), node(1), node(2)];
    plan.scripts.push(Script::default());
    let world = plan.run();
    let counts = world.replicas().service(BOARD).counts();
    assert_eq!((counts.messages, counts.bytes_wan), (3, 600));
    assert_eq!(words(&world, 0), [5], "a message to itself comes at once");
}

#[test]
fn the_operator_asks_for_another_set_of_replicas() {
    let mut world = Plan::sites(&["a", "b"]).world::<false>();
    world.inject_reconfigure(at(1_000), BOARD, node(2), vec![node(0), node(2)]);
    world.run();
    assert_eq!(heard(&world, 2)[1..], [Heard::Reconfigure(vec![node(0), node(2)])]);
}
