//! Links for protocols that assume connections.

use super::kit::*;
use firedrill::world::fault::*;

fn links(all: Vec<Heard>) -> Vec<Heard> {
    all.into_iter().filter(|heard| matches!(heard, Heard::Up(_) | Heard::Down(_))).collect()
}

#[test]
fn a_session_is_first_in_first_out_and_turns_loss_into_delay() {
    let world = Plan::sites(&["a", "b"])
        .paths(|path| (path.jitter, path.loss) = (1.0, 0.2))
        .act(0, 0, Act::Stream { to: 2, bytes: 125, every: ms(5), count: 4_000 })
        .fault(
            0,
            None,
            Action::Degrade { between: (site(0), site(1)), add_delay: ms(0), loss: 0.0, duplicate: 0.5, reorder: 0.5 },
        )
        .run_sessions();
    assert!(words(&world, 2).into_iter().eq(0..4_000), "each once and in order");
    let journeys = &world.front().journeys[&(0, 2)];
    let resent = journeys.iter().filter(|(left, came)| came.since(*left) > ms(220)).count();
    assert!(resent > 700, "a fifth was lost and resent after 200 ms, and others wait behind: {resent}");
}

#[test]
fn a_cut_breaks_the_session_and_both_sides_hear_of_it_and_of_its_return() {
    let world = Plan::sites(&["a", "b", "c"])
        .act(0, 990, Act::Send { to: 2, bytes: 125, from: 1, count: 1 })
        .act(0, 5_000, Act::Send { to: 2, bytes: 125, from: 2, count: 1 })
        .act(0, 12_000, Act::Send { to: 2, bytes: 125, from: 3, count: 1 })
        .fault(1_000, Some(10_000), cut(1, 0, true))
        .run_sessions();
    assert_eq!(links(heard(&world, 0)), [Heard::Down(2), Heard::Up(2)]);
    assert_eq!(links(heard(&world, 2)), [Heard::Down(0), Heard::Up(0)]);
    assert_eq!(links(heard(&world, 4)), []);
    assert_eq!(words(&world, 2), [3], "what a broken session carried is lost, even the way that was open");
    let times: Vec<_> = world.front().trace.iter().filter(|(_, text)| text.contains("Link")).map(|(t, _)| *t).collect();
    assert_eq!(times, [2_000, 2_000, 11_040, 11_040].map(at), "a second of silence; one round trip to connect");
}

#[test]
fn a_dead_process_on_a_live_machine_is_noticed_at_once_and_the_new_one_starts_clean() {
    let world = Plan::sites(&["a", "b"]).fault(1_000, Some(3_000), crash(&[2], Disk::Kept)).run_sessions();
    assert_eq!(links(heard(&world, 0)), [Heard::Down(2), Heard::Up(2)]);
    assert_eq!(links(heard(&world, 2)), [Heard::Up(0)], "it never knew the old session");
    let first = world.front().trace.iter().find(|(_, text)| text.contains("LinkDown")).expect("a side was told");
    assert_eq!(first.0, at(1_020));
}

#[test]
fn a_break_too_short_to_notice_is_told_when_the_session_returns() {
    let world = Plan::sites(&["a", "b"]).fault(1_000, Some(100), cut(0, 1, false)).run_sessions();
    for on in [0, 2] {
        let peer = 2 - on;
        assert_eq!(links(heard(&world, on)), [Heard::Down(peer), Heard::Up(peer)]);
    }
}

#[test]
fn a_process_born_during_a_cut_hears_of_no_break() {
    let world = Plan::sites(&["a", "b"])
        .fault(1_000, Some(3_000), cut(0, 1, false))
        .fault(1_200, Some(100), crash(&[2], Disk::Kept))
        .run_sessions();
    assert_eq!(links(heard(&world, 0)), [Heard::Down(2), Heard::Up(2)]);
    assert_eq!(links(heard(&world, 2)), [Heard::Up(0)]);
}
