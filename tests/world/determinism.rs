//! Equal seeds give equal runs, and watching one changes nothing.

use super::kit::*;
use firedrill::world::fault::*;

/// A little of everything.
fn storm(seed: u64) -> Plan {
    let mut plan = Plan::sites(&["a", "b", "c"])
        .seed(seed)
        .paths(|path| (path.jitter, path.loss) = (0.1, 0.05))
        .act(0, 0, Act::Stream { to: 2, bytes: 500, every: ms(7), count: 3_000 })
        .act(1, 0, Act::Stream { to: 4, bytes: 900, every: ms(11), count: 3_000 })
        .act(2, 50, Act::WriteThenSend(1, 0))
        .fault(
            2_000,
            Some(3_000),
            Action::Crash { targets: Targets::Majority { service: BOARD, count: 2 }, disk: Disk::Kept },
        )
        .fault(8_000, Some(2_000), cut(0, 1, false))
        .fault(9_000, Some(2_000), Action::Pause { targets: these(&[4]) });
    for step in 0..200 {
        plan = plan.ask(100 * step, [0, 2, 4][step as usize % 3], if step % 2 == 0 { put(1) } else { read() });
    }
    plan.scripts.iter_mut().for_each(|script| script.echo = true);
    plan
}

#[test]
fn a_seed_names_one_run() {
    let mark = |seed| {
        let world = storm(seed).run();
        (world.fingerprint(), world.events())
    };
    assert_eq!(mark(1), mark(1));
    assert_ne!(mark(1).0, mark(2).0);
    assert!(mark(1).1 > 10_000);
}

#[test]
fn observing_and_tracing_change_neither_the_fingerprint_nor_the_number_of_events() {
    let plain = storm(3).untraced().run();
    let mut plan = storm(3);
    plan.observe_every = Some(ms(13));
    plan.scribe.observe_at = vec![at(100), at(100), at(5_000), at(70_000)];
    let watched = plan.run();
    assert!(watched.front().trace.len() > 10_000 && watched.front().observed.len() > 4_000);
    assert_eq!((plain.fingerprint(), plain.events()), (watched.fingerprint(), watched.events()));
    assert_eq!(plain.front().replies, watched.front().replies);
}

#[test]
fn running_in_steps_is_running() {
    let whole = storm(4).run();
    let mut stepped = storm(4).world::<false>();
    (0..600).for_each(|step| stepped.run_until(at(100 * step)));
    stepped.run();
    assert_eq!((whole.fingerprint(), whole.events()), (stepped.fingerprint(), stepped.events()));
    assert_eq!(stepped.now(), at(60_000));
}

#[test]
fn an_observation_sees_what_happened_before_its_instant_and_nothing_at_it() {
    let mut plan = Plan::sites(&["a", "b"]).fault(2_000, Some(500), crash(&[0], Disk::Kept));
    plan.observe_every = Some(ms(1_000));
    plan.end = at(4_000);
    plan.scribe.observe_at = vec![at(2_100)];
    let world = plan.run();
    let seen: Vec<_> = world.front().observed.iter().map(|(when, up)| (*when, up[0])).collect();
    let expected = [(1_000, true), (2_000, true), (2_100, false), (3_000, true), (4_000, true)];
    assert_eq!(seen, expected.map(|(when, up)| (at(when), up)));
}

#[test]
fn a_bug_in_a_protocol_names_its_seed_and_event() {
    let plan = Plan::sites(&["a"]).seed(42).act(0, 100, Act::Panic);
    let mut world = plan.world::<false>();
    let cause = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run())).expect_err("it panics");
    let text = cause.downcast_ref::<String>().expect("a message");
    assert_eq!(text, "seed 42, event 1, 100000000 ns: as the script says");
}
