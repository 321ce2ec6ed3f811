//! Links: delay, loss, bandwidth, and the conditions that faults impose on them.

use std::collections::BTreeMap;

use super::kit::*;
use firedrill::time::Duration;
use firedrill::world::DropReason;
use firedrill::world::fault::*;
use firedrill::world::topology::Path;

/// A word each 10 ms from a to b, until 40 s.
fn stream() -> Plan {
    Plan::sites(&["a", "b", "c"]).act(0, 0, Act::Stream { to: 2, bytes: 125, every: ms(10), count: 4_000 })
}

fn degrade(add_delay: u64, loss: f64, duplicate: f64, reorder: f64) -> Action {
    Action::Degrade { between: (site(0), site(1)), add_delay: ms(add_delay), loss, duplicate, reorder }
}

#[test]
fn a_delay_is_never_below_its_base_and_exceeds_it_by_the_jitter() {
    let world = stream().paths(|path| path.jitter = 0.1).run();
    let journeys = &world.front().journeys[&(0, 2)];
    let delays: Vec<f64> = journeys.iter().map(|(left, came)| came.since(*left).as_millis_f64()).collect();
    // 20 ms, and 125 bytes at 1 Gbit/s take 1 us.
    assert!(delays.iter().all(|&delay| delay >= 20.001));
    let mean = delays.iter().sum::<f64>() / delays.len() as f64;
    assert!((mean - 22.0).abs() < 0.15, "one way and a tenth of it: {mean} ms");
    let above = delays.iter().filter(|&&delay| delay > 20.0 + 2.0 * std::f64::consts::LN_2).count();
    assert!((1_850..2_150).contains(&above), "half of the exponential is above ln 2 of its mean: {above}");
}

#[test]
fn losses_come_at_their_rate_and_combine_with_those_of_a_degradation() {
    let lost = |plan: Plan| plan.run().front().dropped.len();
    let alone = lost(stream().paths(|path| path.loss = 0.1));
    assert!((340..460).contains(&alone), "{alone} of 4000 at 0.1");
    let both = lost(stream().paths(|path| path.loss = 0.1).fault(0, None, degrade(0, 0.5, 0.0, 0.0)));
    assert!((2_100..2_300).contains(&both), "{both} of 4000 at 1 - 0.9 * 0.5");
}

#[test]
fn a_degraded_link_is_late_doubles_and_reorders() {
    let world = stream().fault(10_000, Some(20_000), degrade(80, 0.0, 0.2, 0.3)).run();
    let heard = words(&world, 2);
    let copies = heard.len() - 4_000;
    assert!((340..460).contains(&copies), "{copies} of 2000 doubled at 0.2");
    let falls = heard.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert!(falls > 100, "a late word comes after a younger one: {falls}");
    assert!(heard[..990].is_sorted() && heard[heard.len() - 900..].is_sorted(), "only while it lasts");
    let journeys = &world.front().journeys[&(0, 2)];
    let slow = journeys.iter().filter(|(left, came)| came.since(*left) > ms(99)).count();
    assert_eq!(slow, 2_000, "80 ms more, for 20 s");
}

#[test]
fn bytes_queue_behind_earlier_bytes_to_the_same_machine_only() {
    // 125 kB at 1 Gbit/s take 1 ms.
    let big = |to, count| Act::Send { to, bytes: 125_000, from: 0, count };
    let world = Plan::sites(&["a", "b", "c"]).act(0, 0, big(2, 5)).act(0, 0, big(4, 1)).run();
    let came = |to| world.front().journeys[&(0, to)].iter().map(|(_, came)| *came).collect::<Vec<_>>();
    assert_eq!(came(2), [21, 22, 23, 24, 25].map(at));
    assert_eq!(came(4), [at(21)]);
}

#[test]
fn a_pair_of_machines_may_have_a_path_of_its_own() {
    let mut plan = stream();
    let path = Path { one_way: ms(3), jitter: 0.0, loss: 0.0, bandwidth: 1_000_000_000 };
    plan.topology.overrides = BTreeMap::from([((node(0), node(2)), path)]);
    plan.scripts[1].echo = true;
    let world = plan.run();
    let delay = |pair| {
        let (left, came) = world.front().journeys[&pair][0];
        came.since(left)
    };
    assert_eq!(delay((0, 2)), ms(3) + Duration::from_micros(1));
    assert_eq!(delay((2, 0)), ms(20) + Duration::from_micros(1), "each direction by itself");
}

#[test]
fn the_network_does_not_care_how_much_a_protocol_sends() {
    let fates = |plan: Plan| {
        let world = plan.paths(|path| (path.jitter, path.loss) = (0.2, 0.3)).run();
        let mut fates = world.front().journeys[&(0, 2)].clone();
        fates.retain(|(left, _)| left.as_nanos() % 10_000_000 == 0);
        fates
    };
    let quiet = fates(stream());
    // The talkative one sends to others at the same instants, and to the same machine at other instants.
    let talkative = stream().act(0, 0, Act::Stream { to: 4, bytes: 125, every: ms(10), count: 4_000 }).act(
        0,
        5,
        Act::Stream { to: 2, bytes: 125, every: ms(10), count: 4_000 },
    );
    assert_eq!(quiet, fates(talkative));
}

#[test]
fn what_is_under_way_when_a_link_is_cut_arrives() {
    // Sent at 0, 10, ... ms; cut from 15 to 55 ms.
    let world = stream().fault(15, Some(40), cut(0, 1, false)).run();
    assert_eq!(words(&world, 2)[..4], [0, 1, 6, 7], "20 to 50 were cut");
    assert_eq!(world.front().dropped.len(), 4);
    assert!(world.front().dropped.iter().all(|&(_, why)| why == DropReason::Cut));
}

#[test]
fn a_cut_may_be_one_way_and_then_the_other_way_goes_on() {
    let mut plan = stream().fault(0, None, cut(1, 0, true));
    plan.scripts[1].echo = true;
    let world = plan.run();
    assert_eq!(words(&world, 2).len(), 4_000);
    assert!(words(&world, 0).is_empty(), "no echo returns");
    let board = world.replicas().service(BOARD);
    assert!(board.open(node(0), node(2)) && !board.open(node(2), node(0)));
    assert!(!board.connected(node(0), node(2)) && board.connected(node(0), node(4)), "a partial cut");
}

#[test]
fn a_partition_separates_groups_and_nothing_within_them() {
    let groups = vec![site(0), [site(1), site(2)].concat()];
    let mut world = Plan::sites(&["a", "b", "c"]).fault(100, Some(100), Action::Partition { groups }).world::<false>();
    world.run_until(at(150));
    let board = world.replicas().service(BOARD);
    let open = |a, b| board.open(node(a), node(b));
    assert!(!open(0, 2) && !open(2, 0) && !open(4, 0) && open(2, 4) && open(0, 1));
    use firedrill::id::DcId;
    assert!(board.reachable_from(DcId(0), node(0)) && !board.reachable_from(DcId(0), node(2)));
    world.run_until(at(250));
    assert!(world.replicas().service(BOARD).connected(node(0), node(2)));
}

#[test]
fn cuts_stack_and_the_end_of_one_ends_only_itself() {
    let mut world = Plan::sites(&["a", "b", "c"])
        .fault(100, Some(300), cut(0, 1, false))
        .fault(200, Some(400), cut(0, 1, true))
        .world::<false>();
    let mut open = |millis| {
        world.run_until(at(millis));
        let board = world.replicas().service(BOARD);
        (board.open(node(0), node(2)), board.open(node(2), node(0)))
    };
    assert_eq!(open(150), (false, false));
    assert_eq!(open(300), (false, false), "two cuts are not none");
    assert_eq!(open(450), (false, true), "the second still cuts its way");
    assert_eq!(open(650), (true, true));
}

#[test]
fn heal_ends_all_conditions_or_those_between_two_sides() {
    let heal = |between| Action::Heal { between };
    let all = [site(1), site(2)].concat();
    let mut world = Plan::sites(&["a", "b", "c"])
        .fault(0, Some(10_000), Action::Cut { from: site(0), to: all, one_way: false })
        .fault(100, None, heal(Some((site(1), site(0)))))
        .fault(200, None, heal(None))
        .world::<false>();
    let mut open = |millis| {
        world.run_until(at(millis));
        let board = world.replicas().service(BOARD);
        [2, 4].map(|peer| board.open(node(0), node(peer)) && board.open(node(peer), node(0)))
    };
    assert_eq!(open(50), [false, false]);
    assert_eq!(open(150), [true, false]);
    assert_eq!(open(250), [true, true]);
    world.run();
    let ends: Vec<_> = world.front().faults.iter().filter(|(_, _, begins, _)| !begins).collect();
    assert_eq!(ends.len(), 1, "a healed fault ends once: {ends:?}");
    assert_eq!(ends[0].0, at(200));
}

#[test]
fn a_flapping_link_begins_down_and_stays_up_after_its_end() {
    let flap = Action::Flap { between: (site(0), site(1)), up: ms(300), down: ms(200) };
    let mut world = Plan::sites(&["a", "b"]).fault(1_000, Some(1_100), flap).world::<false>();
    let states: Vec<bool> = [900, 1_100, 1_300, 1_600, 1_800, 2_050, 2_150, 5_000]
        .into_iter()
        .map(|millis| {
            world.run_until(at(millis));
            world.replicas().service(BOARD).open(node(0), node(2))
        })
        .collect();
    assert_eq!(states, [true, false, true, false, true, false, true, true]);
}

#[test]
fn a_healed_link_flaps_no_more() {
    let flap = Action::Flap { between: (site(0), site(1)), up: ms(10), down: ms(10) };
    let world =
        Plan::sites(&["a", "b"]).fault(1_000, None, flap).fault(1_105, None, Action::Heal { between: None }).run();
    assert!(world.replicas().service(BOARD).connected(node(0), node(2)));
    assert!(world.events() < 20, "the world comes to rest: {} events", world.events());
}
