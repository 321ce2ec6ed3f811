//! Hand-made histories, random ones that are right by construction or broken on purpose, and a second
//! opinion that tries every order.

use super::{Operation, Outcome, Start, Verdict, check, evidence};
use crate::history::{Event, What};
use crate::id::{ClientId, DcId, NodeId, ServiceId};
use crate::op::{Answer, Op, Tip, Value};
use crate::rng::Stream;
use crate::time::SimTime;

const PLENTY: u64 = 10_000_000;

fn decide(operations: &[Operation], budget: &mut u64) -> Verdict {
    super::decide(operations, Start::Absent, budget)
}

fn value(digest: u64) -> Value {
    Value { digest, bytes: 1 }
}
fn put(digest: u64) -> Op {
    Op::Put { key: 0, value: value(digest) }
}
fn append(digest: u64) -> Op {
    Op::Append { key: 0, value: value(digest) }
}
fn post(digest: u64) -> Op {
    Op::Post { key: 0, value: value(digest) }
}
fn swap(expect: u64, digest: u64) -> Op {
    Op::CompareAndSwap { key: 0, expect, value: value(digest) }
}
fn seconds(seconds: u64) -> SimTime {
    SimTime::from_nanos(seconds * 1_000_000_000)
}
const READ: Op = Op::Read { key: 0 };
const DONE: Answer = Answer::Done;
fn saw(digest: u64) -> Answer {
    Answer::Read { digest, bytes: 1 }
}
/// The digest of a thread with these posts.
fn sum(posts: &[u64]) -> u64 {
    posts.iter().fold(0, |digest, &post_of| post(post_of).apply(digest, 0).0)
}

/// A history of (invoked, returned, op, answer); without an answer it is pending.
fn history(operations: &[(u64, u64, Op, Option<Answer>)]) -> Vec<Operation> {
    let operation = |(index, &(from, to, op, answer)): (usize, &(u64, u64, Op, Option<Answer>))| Operation {
        client: ClientId(index as u32),
        number: 1,
        op,
        invoked: seconds(from),
        answered: answer.map(|answer| (seconds(to), answer)),
    };
    let mut history: Vec<Operation> = operations.iter().enumerate().map(operation).collect();
    history.sort_by_key(|operation| operation.invoked);
    history
}

fn judge(operations: &[(u64, u64, Op, Option<Answer>)]) -> Verdict {
    let history = history(operations);
    let verdict = decide(&history, &mut { PLENTY });
    assert_eq!(
        verdict == Verdict::Valid,
        has_order(&history, 0, &mut vec![false; history.len()]),
        "the second opinion"
    );
    verdict
}

fn valid(operations: &[(u64, u64, Op, Option<Answer>)]) {
    assert_eq!(judge(operations), Verdict::Valid);
}

fn violated(operations: &[(u64, u64, Op, Option<Answer>)]) {
    assert_eq!(judge(operations), Verdict::Violated);
}

/// A second opinion, as plain as can be: tries every operation next that no other one precedes.
fn has_order(history: &[Operation], state: u64, placed: &mut Vec<bool>) -> bool {
    let left = |placed: &[bool]| (0..history.len()).filter(|&index| !placed[index]).collect::<Vec<_>>();
    if left(placed).iter().all(|&index| history[index].answered.is_none()) {
        return true;
    }
    for index in left(placed) {
        let operation = &history[index];
        if left(placed).iter().any(|&other| history[other].returned() < operation.invoked) {
            continue;
        }
        let (after, _, answer) = operation.op.apply(state, 1);
        let fits = match operation.answered {
            None => true,
            Some((_, Answer::Read { digest, .. })) => digest == state,
            Some((_, expected)) => expected == answer,
        };
        if fits {
            placed[index] = true;
            let found = has_order(history, after, placed);
            placed[index] = false;
            if found {
                return true;
            }
        }
    }
    false
}

#[test]
fn a_stale_read_has_no_order() {
    violated(&[(0, 1, put(1), Some(DONE)), (2, 3, put(2), Some(DONE)), (4, 5, READ, Some(saw(1)))]);
    valid(&[(0, 1, put(1), Some(DONE)), (2, 4, put(2), Some(DONE)), (4, 5, READ, Some(saw(1)))]);
    violated(&[(0, 1, post(1), Some(DONE)), (2, 3, post(2), Some(DONE)), (4, 5, READ, Some(saw(sum(&[1]))))]);
    valid(&[(0, 1, post(1), Some(DONE)), (2, 4, post(2), Some(DONE)), (4, 5, READ, Some(saw(sum(&[1]))))]);
}

#[test]
fn a_lost_update_has_no_order() {
    // Both swaps met the same value, so one of them was lost.
    let base = (0, 1, put(1), Some(DONE));
    let swapped = Some(Answer::Swapped(true));
    violated(&[base, (2, 5, swap(1, 2), swapped), (2, 5, swap(1, 3), swapped)]);
    valid(&[base, (2, 5, swap(1, 2), swapped), (2, 5, swap(2, 3), swapped)]);
    violated(&[(0, 1, post(1), Some(DONE)), (0, 1, post(2), Some(DONE)), (2, 3, READ, Some(saw(sum(&[2]))))]);
}

#[test]
fn a_pending_write_may_be_seen_later_or_never() {
    valid(&[(0, 0, put(1), None), (9, 10, READ, Some(saw(1)))]);
    valid(&[(0, 0, put(1), None), (5, 6, READ, Some(saw(0))), (9, 10, READ, Some(saw(1)))]);
    valid(&[(0, 0, put(1), None), (9, 10, READ, Some(saw(0)))]);
    violated(&[(0, 0, put(1), None), (5, 6, READ, Some(saw(1))), (9, 10, READ, Some(saw(0)))]);
    violated(&[(7, 7, put(1), None), (5, 6, READ, Some(saw(1)))]);
    valid(&[(0, 0, post(1), None), (5, 6, READ, Some(saw(0))), (9, 10, READ, Some(saw(sum(&[1]))))]);
    violated(&[(0, 0, post(1), None), (5, 6, READ, Some(saw(sum(&[1])))), (9, 10, READ, Some(saw(0)))]);
    violated(&[(7, 7, post(1), None), (5, 6, READ, Some(saw(sum(&[1]))))]);
}

#[test]
fn a_failed_swap_is_an_observation() {
    let failed = Some(Answer::Swapped(false));
    violated(&[(0, 1, put(1), Some(DONE)), (2, 3, swap(1, 2), failed)]);
    valid(&[(0, 1, put(1), Some(DONE)), (2, 3, swap(7, 2), failed)]);
    // A pending put that nobody saw is the only reason.
    valid(&[(0, 1, put(1), Some(DONE)), (0, 0, put(9), None), (2, 3, swap(1, 2), failed)]);
    violated(&[
        (0, 1, put(1), Some(DONE)),
        (0, 0, put(9), None),
        (2, 3, swap(1, 2), failed),
        (4, 5, READ, Some(saw(1))),
    ]);
    violated(&[(0, 1, put(1), Some(DONE)), (2, 3, swap(1, 2), failed), (4, 4, put(9), None)]);
    // Two such swaps in a row need two pending puts.
    let twice = [
        (0, 1, put(1), Some(DONE)),
        (2, 3, swap(1, 2), failed),
        (4, 5, put(3), Some(DONE)),
        (6, 7, swap(3, 4), failed),
    ];
    violated(&[&twice[..], &[(0, 0, put(9), None)]].concat());
    valid(&[&twice[..], &[(0, 0, put(9), None), (0, 0, put(10), None)]].concat());
}

#[test]
fn a_pending_write_is_not_wasted_where_another_would_do() {
    // Either pending write explains the failed swap, but only the append explains the last read.
    let seen = append(3).apply(5, 0).0;
    valid(&[
        (0, 1, put(1), Some(DONE)),
        (0, 0, append(3), None),
        (1, 1, put(9), None),
        (2, 3, swap(1, 2), Some(Answer::Swapped(false))),
        (4, 5, put(5), Some(DONE)),
        (6, 7, READ, Some(saw(seen))),
    ]);
}

#[test]
fn evidence_is_of_the_first_violation() {
    let step = |at: u64, op, answer| (2 * at, 2 * at + 1, op, Some(answer));
    let operations = history(&[
        step(0, put(1), DONE),
        step(1, put(2), DONE),
        step(2, READ, saw(1)),
        step(3, put(3), DONE),
        step(4, put(4), DONE),
        step(5, READ, saw(3)),
    ]);
    let text = evidence::describe(&operations, Start::Absent);
    assert!(text.contains("4.000000 s to 5.000000 s: read") && !text.contains("10.000000 s"), "{text}");
}

#[test]
fn reads_that_swap_order_have_none() {
    let writes = [(0, 9, put(1), Some(DONE)), (0, 9, put(2), Some(DONE))];
    let reads = |first: u64, second: u64, third: u64| {
        [(1, 2, READ, Some(saw(first))), (3, 4, READ, Some(saw(second))), (5, 6, READ, Some(saw(third)))]
    };
    valid(&[&writes[..], &reads(0, 1, 2)].concat());
    valid(&[&writes[..], &reads(2, 2, 1)].concat());
    violated(&[&writes[..], &reads(1, 2, 1)].concat());
    let posts = [(0, 9, post(1), Some(DONE)), (0, 9, post(2), Some(DONE))];
    let reads =
        |first: &[u64], second: &[u64]| [(1, 4, READ, Some(saw(sum(first)))), (1, 4, READ, Some(saw(sum(second))))];
    valid(&[&posts[..], &reads(&[1], &[1, 2])].concat());
    violated(&[&posts[..], &reads(&[1], &[2])].concat());
}

#[test]
fn appends_show_their_order_and_their_gaps() {
    let chain = |digests: &[u64]| digests.iter().fold(0, |cell, &digest| append(digest).apply(cell, 0).0);
    let both = [(0, 9, append(1), Some(DONE)), (0, 9, append(2), Some(DONE))];
    valid(&[&both[..], &[(10, 11, READ, Some(saw(chain(&[2, 1]))))]].concat());
    violated(&[&both[..], &[(10, 11, READ, Some(saw(chain(&[2]))))]].concat());
    let pending: Vec<_> = (1..=5).map(|digest| (0, 0, append(digest), None)).collect();
    valid(&[&pending[..], &[(10, 11, READ, Some(saw(chain(&[4, 2, 5]))))]].concat());
    violated(&[&pending[..], &[(10, 11, READ, Some(saw(chain(&[4, 2, 6]))))]].concat());
    valid(&[&pending[..], &[(0, 0, put(8), None), (10, 11, READ, Some(saw(append(3).apply(8, 0).0)))]].concat());
}

fn event(at: u64, invoked: u64, number: u32, op: Op, what: What) -> Event {
    Event {
        at: seconds(at),
        service: ServiceId(0),
        place: DcId(0),
        client: ClientId(0),
        number,
        op,
        invoked: seconds(invoked),
        what,
    }
}

fn ok(at: u64, invoked: u64, number: u32, op: Op, answer: Answer) -> Event {
    let what = What::Ok { answer, server: NodeId(0), epoch: 1, token: Tip::default(), degraded: false };
    event(at, invoked, number, op, what)
}

#[test]
fn events_become_operations_as_their_outcomes_say() {
    let told = |ends: &[What], seen: u64| {
        let mut events = vec![event(0, 0, 1, put(1), What::Invoke)];
        events.extend(ends.iter().map(|&what| event(5, 0, 1, put(1), what)));
        events.push(ok(8, 7, 1, READ, saw(seen)));
        matches!(check(&events, None, PLENTY), Outcome::Valid)
    };
    let revoked = What::Revoked { server: NodeId(1) };
    let done = ok(0, 0, 0, READ, DONE).what;
    // What ended how: may it be seen, may it be missing?
    for (ends, seen, missing) in [
        (&[][..], true, true),
        (&[What::Info][..], true, true),
        (&[What::Fail][..], false, true),
        (&[done][..], true, false),
        (&[revoked, What::Fail][..], true, true),
        (&[What::Info, revoked][..], true, true),
        (&[done, revoked][..], true, false),
    ] {
        assert_eq!((told(ends, 1), told(ends, 0)), (seen, missing), "{ends:?}");
    }
}

#[test]
fn reads_and_writes_of_one_number_and_services_of_one_key_are_kept_apart() {
    let mut events = vec![ok(1, 0, 1, put(1), DONE), ok(3, 2, 1, READ, saw(1))];
    assert_eq!(check(&events, None, PLENTY), Outcome::Valid);
    events.push(Event { service: ServiceId(1), ..ok(5, 4, 1, READ, saw(0)) });
    assert_eq!(check(&events, None, PLENTY), Outcome::Valid);
    events.push(ok(7, 6, 2, READ, saw(0)));
    let Outcome::Violated { service, key, evidence } = check(&events, None, PLENTY) else { panic!("a stale read") };
    assert_eq!((service, key), (ServiceId(0), 0));
    assert_eq!(
        evidence,
        "no order explains these answers:\n\
         2.000000 s to 3.000000 s: read 1 of client 0 saw 0000000000000001, the value of put 1 of client 0\n\
         6.000000 s to 7.000000 s: read 2 of client 0 saw nothing\n\
         whatever became of 1 other writes"
    );
}

#[test]
fn until_cuts_a_history() {
    let events =
        [ok(9, 0, 1, put(1), DONE), ok(3, 2, 1, READ, saw(0)), ok(5, 4, 2, READ, saw(1)), ok(7, 6, 3, READ, saw(0))];
    let verdict = |until| check(&events, Some(seconds(until)), PLENTY);
    assert_eq!(verdict(5), Outcome::Valid);
    assert_eq!(verdict(6), Outcome::Valid, "the last read is not answered yet");
    assert!(matches!(verdict(7), Outcome::Violated { .. }));
    assert_eq!(check(&events[..1], Some(seconds(4)), PLENTY), Outcome::Valid);
}

#[test]
fn without_a_budget_nothing_is_valid() {
    let events = [ok(3, 0, 1, put(1), DONE), ok(3, 0, 2, put(2), DONE), ok(5, 4, 1, READ, saw(1))];
    assert_eq!(check(&events, None, 0), Outcome::Unknown);
    assert_eq!(check(&events, None, 100), Outcome::Valid);
    // Fifty posts at once, half of them seen: too many subsets for a small budget.
    let posts: Vec<Event> = (1..=40).map(|number| event(0, 0, number, post(u64::from(number)), What::Info)).collect();
    let odd: Vec<u64> = (1..=40).filter(|number| number % 2 == 1).collect();
    let events = [&posts[..], &[ok(5, 4, 1, READ, saw(sum(&odd)))]].concat();
    assert_eq!(check(&events, None, 1_000), Outcome::Unknown);
    assert_eq!(check(&events, None, PLENTY), Outcome::Valid);
    let events = [&posts[..], &[ok(5, 4, 1, READ, saw(sum(&[1, 77])))]].concat();
    assert_eq!(check(&events, None, 1_000), Outcome::Unknown);
    assert!(matches!(check(&events, None, PLENTY), Outcome::Violated { .. }));
}

#[test]
fn of_many_uncertain_posts_few_nearly_all_or_a_run_are_found() {
    let posts: Vec<_> = (1..=100).map(|digest| (digest, 0, post(digest), None)).collect();
    let sees = |digests: &[u64]| {
        let history = history(&[&posts[..], &[(200, 201, READ, Some(saw(sum(digests))))]].concat());
        decide(&history, &mut { PLENTY })
    };
    assert_eq!(sees(&[3, 50, 51, 99]), Verdict::Valid);
    assert_eq!(sees(&(1..=100).filter(|digest| digest % 30 != 0).collect::<Vec<_>>()), Verdict::Valid);
    assert_eq!(sees(&(20..=70).collect::<Vec<_>>()), Verdict::Valid);
    assert_eq!(sees(&(1..=100).filter(|digest| digest % 3 == 0).collect::<Vec<_>>()), Verdict::Unknown);
    assert_eq!(sees(&[101]), Verdict::Unknown);
    assert_eq!(sees(&(33..=56).filter(|digest| digest % 3 > 0).collect::<Vec<_>>()), Verdict::Valid);
    // A read that lacks what it must have seen is recognised even so.
    let done: Vec<_> = (0..9).map(|step| (step, step + 1, post(200 + step), Some(DONE))).collect();
    let lacks = |digests: &[u64]| {
        let late = posts.iter().map(|&(from, to, op, answer)| (from + 10, to, op, answer)).collect::<Vec<_>>();
        let history = history(&[&done[..], &late, &[(300, 301, READ, Some(saw(sum(digests))))]].concat());
        decide(&history, &mut { PLENTY })
    };
    let from_200 = |to: u64, more: &[u64]| [&(200..=to).collect::<Vec<_>>()[..], more].concat();
    assert_eq!(lacks(&from_200(208, &[7])), Verdict::Valid);
    assert_eq!(lacks(&from_200(208, &[7])[1..]), Verdict::Violated);
    assert_eq!(lacks(&from_200(207, &[7, 50])), Verdict::Violated);
    assert_eq!(lacks(&from_200(201, &[])), Verdict::Violated);
    assert_eq!(lacks(&[]), Verdict::Violated);
}

#[test]
fn a_stale_read_is_found_however_many_writes_are_pending() {
    let hidden = |write: fn(u64) -> Op| (1..=100).map(move |digest| (0, 0, write(digest), None));
    // Seen, then something else, then seen again. None of it is the value of a put.
    let chain = |digests: &[u64]| digests.iter().fold(0, |cell, &digest| append(digest).apply(cell, 0).0);
    let some: Vec<u64> = (1..=100).filter(|digest| digest % 9 == 0).collect();
    for (write, old, new) in [
        (append as fn(u64) -> Op, chain(&some[1..]), chain(&some)),
        (post as fn(u64) -> Op, sum(&some[1..]), sum(&some)),
    ] {
        let reads =
            |last| [(10, 11, READ, Some(saw(old))), (12, 13, READ, Some(saw(new))), (14, 15, READ, Some(saw(last)))];
        let verdict = |last| decide(&history(&hidden(write).chain(reads(last)).collect::<Vec<_>>()), &mut 200_000);
        assert_eq!((verdict(old), verdict(new)), (Verdict::Violated, Verdict::Unknown));
    }
    // A value seen on both sides of a write that was done in between, and before it was written.
    let around = |op| [(10, 11, READ, Some(saw(7))), (12, 13, op, Some(DONE)), (14, 15, READ, Some(saw(7)))];
    for (write, op) in [(append as fn(u64) -> Op, append(200)), (append, put(200)), (post, post(200))] {
        let history = history(&hidden(write).chain(around(op)).collect::<Vec<_>>());
        assert_eq!(decide(&history, &mut 200_000), Verdict::Violated);
    }
    let early = vec![(10, 11, READ, Some(saw(200))), (12, 12, put(200), None)];
    // The pending put began after 201 was seen, and 201 is seen again after it.
    let other = [(9, 10, READ, Some(saw(201))), (23, 24, READ, Some(saw(201))), (8, 30, put(201), Some(DONE))];
    let between = [&other[..], &[(5, 22, READ, Some(saw(200))), (20, 20, put(200), None)]].concat();
    for operations in [early, between] {
        let history = history(&hidden(append).chain(operations).collect::<Vec<_>>());
        assert_eq!(decide(&history, &mut 200_000), Verdict::Violated);
    }
}

/// How a random history is made.
#[derive(Clone, Copy)]
struct Shape {
    operations: usize,
    /// Mean time between invocations; an operation takes up to 100.
    gap: u64,
    thread: bool,
    reads: f64,
    pending: f64,
}

/// A history that has an order: each operation takes effect at an instant of its interval. A pending
/// one takes effect with even odds, perhaps long after it began.
fn simulate(stream: &mut Stream, shape: Shape) -> Vec<(u64, u64, Op, Option<Answer>)> {
    let mut points = Vec::new();
    let mut now = 0;
    for index in 0..shape.operations {
        now += stream.below(2 * shape.gap + 1);
        let (before, after) = (stream.below(50), stream.below(50));
        let pending = stream.chance(shape.pending);
        let effect = now + before + if pending { stream.below(500) } else { 0 };
        points.push((effect, index, now, now + before + after, pending));
    }
    points.sort_unstable();
    let (mut state, mut recent) = (0, vec![0]);
    let mut history = Vec::new();
    for (_, index, from, to, pending) in points {
        let digest = index as u64 + 1;
        let expect = recent[recent.len() - 1 - stream.below(recent.len().min(3) as u64) as usize];
        let op = match stream.below(10) {
            _ if stream.chance(shape.reads) => READ,
            _ if shape.thread => post(digest),
            0..5 => put(digest),
            5..7 => append(digest),
            _ => swap(expect, digest),
        };
        if pending && stream.chance(0.5) {
            history.push((from, to, op, None));
            continue;
        }
        let (after, _, answer) = op.apply(state, 1);
        if after != state {
            recent.push(after);
            state = after;
        }
        history.push((from, to, op, Some(answer).filter(|_| !pending)));
    }
    history.retain(|(_, _, op, answer)| answer.is_some() || !op.is_read());
    history
}

#[test]
fn what_took_effect_in_order_is_valid() {
    let mut stream = Stream::new(1, "valid histories", &[]);
    for round in 0..300 {
        let shape = Shape {
            operations: 200,
            gap: [5, 15, 40][round % 3],
            thread: round % 2 == 0,
            reads: 0.6,
            pending: [0.0, 0.02, 0.1][round / 2 % 3],
        };
        let history = history(&simulate(&mut stream, shape));
        assert_eq!(decide(&history, &mut { PLENTY }), Verdict::Valid, "round {round}");
    }
}

#[test]
fn one_corrupted_read_is_found() {
    let mut stream = Stream::new(2, "corrupted histories", &[]);
    let (mut found, mut rounds) = (0, 0);
    for round in 0..200 {
        let shape =
            Shape { operations: 120, gap: 20, thread: round % 2 == 0, reads: 0.6, pending: [0.0, 0.03][round / 2 % 2] };
        let mut plain = simulate(&mut stream, shape);
        // The answer of another read, which is not concurrent: stale, or from the future.
        let reads: Vec<usize> = (0..plain.len()).filter(|&index| plain[index].2.is_read()).collect();
        let (victim, donor) =
            (reads[stream.below(reads.len() as u64) as usize], reads[stream.below(reads.len() as u64) as usize]);
        if plain[victim].3 == plain[donor].3 || plain[victim].1.abs_diff(plain[donor].1) < 400 {
            continue;
        }
        plain[victim].3 = plain[donor].3;
        rounds += 1;
        let history = history(&plain);
        let verdict = decide(&history, &mut { PLENTY });
        assert_ne!(verdict, Verdict::Unknown);
        if verdict == Verdict::Violated {
            found += 1;
            let text = evidence::describe(&history, Start::Absent);
            assert!(text.lines().count() <= 12, "a few lines show it: {text}");
        }
    }
    assert!(rounds > 100 && found == rounds, "{found} of {rounds}");
}

#[test]
fn small_histories_agree_with_every_order_tried() {
    let mut stream = Stream::new(3, "small histories", &[]);
    let mut counts = [0; 2];
    for round in 0..20_000 {
        let shape = Shape { operations: 7, gap: 1 + round % 40, thread: round % 3 == 0, reads: 0.45, pending: 0.25 };
        let mut plain = simulate(&mut stream, shape);
        for _ in 0..stream.below(3) {
            corrupt(&mut stream, &mut plain, shape.thread);
        }
        let history = history(&plain);
        let verdict = decide(&history, &mut { PLENTY });
        let has_order = has_order(&history, 0, &mut vec![false; history.len()]);
        assert_eq!(verdict, if has_order { Verdict::Valid } else { Verdict::Violated }, "round {round}: {history:#?}");
        counts[usize::from(has_order)] += 1;
    }
    assert!(counts.iter().all(|&count| count > 4_000), "{counts:?}");
}

/// Changes an answer, an interval or a value of one operation.
fn corrupt(stream: &mut Stream, history: &mut [(u64, u64, Op, Option<Answer>)], thread: bool) {
    if history.is_empty() {
        return;
    }
    let digests: Vec<u64> = history.iter().filter_map(|(_, _, op, _)| Some(op.value()?.digest)).collect();
    let any = |stream: &mut Stream| digests.get(stream.below(digests.len() as u64 + 1) as usize).copied().unwrap_or(0);
    let index = stream.below(history.len() as u64) as usize;
    let (one, other) = (any(stream), any(stream));
    let (from, to, op, answer) = &mut history[index];
    match answer {
        Some(Answer::Read { digest, .. }) => {
            *digest = match stream.below(4) {
                _ if thread => sum(&[one, other][stream.below(3).min(2) as usize..]),
                0 => append(one).apply(other, 0).0,
                1 => append(one).apply(0, 0).0,
                _ => one,
            };
        }
        Some(Answer::Swapped(swapped)) => *swapped = !*swapped,
        _ if stream.chance(0.3) && !thread => *op = put(one.max(1)),
        _ => *to = *from + stream.below(120),
    }
}

#[test]
fn ten_thousand_operations_over_fifty_keys_take_seconds() {
    let mut stream = Stream::new(4, "large history", &[]);
    let mut events = Vec::new();
    for key in 0..50 {
        // One key in fifty is hot, some have many writes without an answer.
        let shape = Shape {
            operations: if key == 0 { 3_000 } else { 150 },
            gap: if key == 0 { 8 } else { 30 },
            thread: key % 2 == 0,
            reads: 0.8,
            pending: if key % 10 < 2 { 0.1 } else { 0.005 },
        };
        for (index, (from, to, op, answer)) in simulate(&mut stream, shape).into_iter().enumerate() {
            let number = index as u32 + 1;
            let op = match op {
                Op::Read { .. } => Op::Read { key },
                Op::Post { value, .. } => Op::Post { key, value },
                Op::Put { value, .. } => Op::Put { key, value },
                Op::Append { value, .. } => Op::Append { key, value },
                Op::CompareAndSwap { expect, value, .. } => Op::CompareAndSwap { key, expect, value },
            };
            let event = match answer {
                Some(answer) => ok(to, from, number, op, answer),
                None => event(to, from, number, op, What::Info),
            };
            events.push(Event { client: ClientId(key), ..event });
        }
    }
    assert!(events.len() > 9_000);
    assert_eq!(check(&events, None, PLENTY), Outcome::Valid);
    // The same with one stale read on each kind of key.
    for key in [0, 1] {
        let mut events = events.clone();
        let reads: Vec<usize> =
            (0..events.len()).filter(|&index| events[index].op.is_read() && events[index].op.key() == key).collect();
        let (early, late) = (reads[reads.len() / 4], reads[3 * reads.len() / 4]);
        events[late].what = events[early].what;
        let Outcome::Violated { key: of, evidence, .. } = check(&events, None, PLENTY) else { panic!("a stale read") };
        assert_eq!(of, key);
        assert!(evidence.lines().count() <= 6, "{evidence}");
    }
}
