//! Parts of a history: wrong in the middle, right before and after.

use super::*;
use crate::check::verify::{History, Outcome};
use crate::history::{Event, What};
use crate::id::{DcId, NodeId, ServiceId};
use crate::op::Tip;

pub(super) fn events(plain: &[Plain]) -> Vec<Event> {
    let event = |(place, &(client, from, to, op, answer)): (usize, &Plain)| {
        let what = match answer {
            Some(answer) => What::Ok { answer, server: NodeId(0), epoch: 0, token: Tip::default(), degraded: false },
            None => What::Info,
        };
        let (at, invoked) = (seconds(to), seconds(from));
        Event {
            at,
            service: ServiceId(0),
            place: DcId(0),
            client: ClientId(client),
            number: place as u32 + 1,
            op,
            invoked,
            what,
        }
    };
    plain.iter().enumerate().map(event).collect()
}

/// The outcome of each check in a span.
fn outcome(plain: &[Plain], from: u64, to: u64, check: Check) -> Outcome {
    let span = if to == u64::MAX { Span::WHOLE } else { Span { from: seconds(from), to: seconds(to) } };
    let history = History::new(&events(plain), false, None);
    let judgements = history.judge(ServiceId(0), span, &[check], PLENTY);
    assert_eq!(judgements.len(), 1);
    assert_eq!(judgements[0].evidence.is_none(), judgements[0].outcome == Outcome::Valid);
    judgements[0].outcome
}

/// Two sides that do not hear of each other from 20 to 40, and one history again from 50 on.
fn divided(write: fn(u32, u64) -> Op, sees: &dyn Fn(&[u64]) -> Option<Answer>) -> Vec<Plain> {
    vec![
        (0, 0, 1, write(0, 1), DONE),
        (1, 2, 3, read(0), sees(&[1])),
        (0, 20, 21, write(0, 2), DONE),
        (1, 22, 23, write(0, 3), DONE),
        (0, 30, 31, read(0), sees(&[1, 2])),
        (1, 32, 33, read(0), sees(&[1, 3])),
        (0, 34, 35, read(0), sees(&[1, 2])),
        (0, 50, 51, read(0), sees(&[1, 2, 3])),
        (1, 52, 53, write(0, 4), DONE),
        (0, 54, 55, read(0), sees(&[1, 2, 3, 4])),
    ]
}

#[test]
fn temporary_inconsistency_and_eventual_convergence_are_told_apart() {
    let cell = |values: &[u64]| saw(values.last().copied().unwrap_or(0));
    for plain in [divided(put, &cell), divided(post, &|posts| saw_posts(posts))] {
        let linear = |from, to| outcome(&plain, from, to, Check::Linearizable);
        assert_eq!(linear(0, u64::MAX), Outcome::Violated);
        assert_eq!(
            [linear(0, 20), linear(20, 50), linear(50, 60)],
            [Outcome::Valid, Outcome::Violated, Outcome::Valid]
        );
        for check in [Check::Causal, Check::CausalConvergence, Check::ReadYourWrites, Check::MonotonicReads] {
            assert_eq!(outcome(&plain, 20, 50, check), Outcome::Valid, "{}", check.name());
            assert_eq!(outcome(&plain, 0, u64::MAX, check), Outcome::Valid, "{}", check.name());
        }
    }
}

#[test]
fn the_state_at_the_beginning_of_a_span_is_any_but_one() {
    let base = [(0, 0, 1, put(0, 1), DONE), (0, 2, 3, put(0, 2), DONE)];
    let with = |reads: &[u64]| {
        let reads = reads
            .iter()
            .enumerate()
            .map(|(place, &digest)| (1, 10 + 2 * place as u64, 11 + 2 * place as u64, read(0), saw(digest)));
        base.iter().copied().chain(reads).collect::<Vec<_>>()
    };
    let linear = |plain: &[Plain]| outcome(plain, 10, 100, Check::Linearizable);
    assert_eq!(linear(&with(&[2, 2])), Outcome::Valid);
    assert_eq!(linear(&with(&[1, 1])), Outcome::Valid, "who knows what happened before");
    assert_eq!(linear(&with(&[1, 2])), Outcome::Violated, "both were over before");
    assert_eq!(linear(&with(&[7])), Outcome::Violated, "nobody ever wrote it");
    // What is still open may come later.
    let open = |to: u64, answer| {
        let mut plain = with(&[2, 2]);
        plain.push((2, 5, to, put(0, 3), answer));
        plain.push((1, 30, 31, read(0), saw(3)));
        plain
    };
    assert_eq!(linear(&open(0, None)), Outcome::Valid);
    assert_eq!(linear(&open(20, DONE)), Outcome::Valid);
    assert_eq!(linear(&open(9, DONE)), Outcome::Violated);
    let swaps = [base[0], (1, 10, 11, swap(0, 1, 3), SWAPPED), (2, 12, 13, swap(0, 1, 4), SWAPPED)];
    assert_eq!(linear(&swaps), Outcome::Violated, "only one of them can have met it");
    assert_eq!(linear(&swaps[..2]), Outcome::Valid);
}

#[test]
fn what_ends_after_a_span_may_have_seen_what_began_after_it() {
    let plain = [(0, 10, 40, read(0), saw(1)), (1, 30, 35, put(0, 1), DONE)];
    for check in Check::ALL.into_iter().filter(|check| *check != Check::DuplicatedWrites) {
        assert_eq!(outcome(&plain, 5, 20, check), Outcome::Valid, "{}", check.name());
    }
}

#[test]
fn posts_before_a_span_are_there_or_not() {
    let posts = [(0, 0, 1, post(0, 1), DONE), (0, 2, 3, post(0, 2), DONE), (0, 10, 11, post(0, 3), DONE)];
    let with = |one: &[u64], other: &[u64]| {
        let reads = [(1, 12, 13, read(0), saw_posts(one)), (2, 14, 15, read(0), saw_posts(other))];
        [&posts[..], &reads].concat()
    };
    let linear = |plain: &[Plain]| outcome(plain, 10, 100, Check::Linearizable);
    assert_eq!(linear(&with(&[1, 2, 3], &[1, 2, 3])), Outcome::Valid);
    assert_eq!(linear(&with(&[1, 3], &[1, 3])), Outcome::Valid, "2 is lost, but not here");
    assert_eq!(linear(&with(&[1, 3], &[1, 2, 3])), Outcome::Violated);
    assert_eq!(linear(&with(&[1, 2], &[1, 2, 3])), Outcome::Violated, "3 was acknowledged");
    assert_eq!(outcome(&with(&[1, 3], &[1, 3]), 0, u64::MAX, Check::LostWrites), Outcome::Violated);
    assert_eq!(outcome(&with(&[1, 3], &[1, 3]), 10, 100, Check::LostWrites), Outcome::Valid);
    assert_eq!(outcome(&with(&[1, 3], &[1, 2, 2, 3]), 0, u64::MAX, Check::DuplicatedWrites), Outcome::Violated);
}

#[test]
fn appends_are_followed_into_a_span_and_past_values_that_nobody_met() {
    let append = |digest| Op::Append { key: 0, value: value(digest) };
    let chain = |digests: &[u64]| digests.iter().fold(1, |cell, &digest| append(digest).apply(cell, 0).0);
    let with = |last: u64| {
        let before = [(0, 0, 1, put(0, 1), DONE), (0, 2, 3, append(2), DONE), (1, 4, 5, read(0), saw(chain(&[2])))];
        let within = [
            (0, 10, 11, append(3), DONE),
            (1, 12, 13, read(0), saw(chain(&[2, 3]))),
            (0, 14, 15, append(4), DONE),
            (0, 16, 17, append(5), DONE),
            (1, 18, 19, read(0), saw(last)),
        ];
        [&before[..], &within].concat()
    };
    for check in [Check::Linearizable, Check::Sequential, Check::Causal] {
        for from in [0, 10] {
            assert_eq!(outcome(&with(chain(&[2, 3, 4, 5])), from, 100, check), Outcome::Valid, "{}", check.name());
            assert_ne!(outcome(&with(chain(&[2, 3, 5])), from, 100, check), Outcome::Valid, "{}", check.name());
            assert_ne!(outcome(&with(9), from, 100, check), Outcome::Valid, "{}", check.name());
        }
    }
    let stale = with(chain(&[2]));
    assert_eq!(outcome(&stale, 0, 100, Check::MonotonicReads), Outcome::Violated);
    assert_eq!(outcome(&stale, 0, u64::MAX, Check::Linearizable), Outcome::Violated);
}

#[test]
fn a_revoked_write_is_told() {
    let mut events = events(&[(0, 0, 1, put(0, 1), DONE), (1, 2, 3, read(0), saw(1))]);
    let revoked = Event { at: seconds(5), what: What::Revoked { server: NodeId(0) }, ..events[0] };
    let judge = |events: &[Event]| {
        let history = History::new(events, false, None);
        history.judge(ServiceId(0), Span::WHOLE, &[Check::RevokedWrites], PLENTY)[0].outcome
    };
    assert_eq!(judge(&events), Outcome::Valid);
    events.push(revoked);
    assert_eq!(judge(&events), Outcome::Violated);
}

#[test]
fn what_was_left_out_keeps_everything_from_being_valid() {
    let plain = [(0, 0, 1, put(0, 1), DONE), (1, 2, 3, read(0), saw(1))];
    let history = History::new(&events(&plain), false, Some("an answer was left out".to_owned()));
    for judgement in history.judge(ServiceId(0), Span::WHOLE, &Check::ALL, PLENTY) {
        assert_eq!(judgement.outcome, Outcome::Unknown, "{}", judgement.check.name());
    }
}
