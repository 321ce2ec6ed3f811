//! Ten thousand operations: every judge says what it must, in seconds.

use super::*;
use crate::check::verify::{History, Outcome};
use crate::id::ServiceId;
use crate::rng::Stream;

/// A linearizable history: operations of many sessions take effect one after the other.
fn simulate(stream: &mut Stream, count: usize, threads: bool) -> Vec<Plain> {
    const CLIENTS: u64 = 40;
    const KEYS: u64 = 50;
    let mut states = [0; KEYS as usize];
    let mut free = [0; CLIENTS as usize];
    let mut plain = Vec::new();
    let mut now = 0;
    for digest in 1..=count as u64 {
        now += 1 + stream.below(3);
        let client = stream.below(CLIENTS);
        // The instant in which it takes effect is `now`; it began after its session's last one ended.
        if free[client as usize] >= now {
            continue;
        }
        let from = free[client as usize].max(now.saturating_sub(stream.below(20))) + 1;
        let (from, to) = (from.min(now), now + stream.below(20));
        free[client as usize] = to;
        // Every other operation is on a hot key.
        let key = if stream.chance(0.5) { 0 } else { stream.below(KEYS) } as u32;
        let state = &mut states[key as usize];
        let op = match stream.below(10) {
            0..6 => read(key),
            _ if threads => post(key, digest),
            6..9 => put(key, digest),
            _ => swap(key, *state, digest),
        };
        let (after, _, answer) = op.apply(*state, 0);
        *state = after;
        plain.push((client as u32, 2 * from, 2 * to + 1, op, Some(answer)));
    }
    plain
}

#[test]
fn ten_thousand_operations_are_judged_by_all() {
    for threads in [false, true] {
        let mut stream = Stream::new(5, "ten thousand", &[u64::from(threads)]);
        let plain = simulate(&mut stream, 12_000, threads);
        assert!(plain.len() > 8_000, "{}", plain.len());
        for (check, finding) in findings(&service(&plain), Span::WHOLE, PLENTY) {
            assert_eq!(finding, Finding::Valid, "{}", check.name());
        }
        // A session that saw the newest state sees the first one again.
        let mut wrong = plain.clone();
        let on_key = |(place, one): (usize, &Plain)| (one.3 == read(0) && one.0 == 7).then_some(place);
        let last = plain.iter().enumerate().filter_map(on_key).next_back().expect("there are reads");
        wrong[last].4 = saw(0);
        for (check, finding) in findings(&service(&wrong), Span::WHOLE, PLENTY) {
            let Finding::Violated(evidence) = finding else { panic!("{}: {finding:?}", check.name()) };
            assert!(evidence.lines().count() <= 13, "{evidence}");
        }
        for (check, finding) in findings(&service(&plain), Span::WHOLE, 1_000) {
            assert!(matches!(finding, Finding::Unknown(_)), "{} gave up: {finding:?}", check.name());
        }
    }
}

#[test]
fn no_part_of_a_right_history_is_wrong() {
    let mut stream = Stream::new(6, "parts of a right history", &[]);
    let mut undecided = 0;
    for round in 0..60 {
        let mut plain = simulate(&mut stream, 600, round % 2 == 0);
        // Some answers never came.
        for one in plain.iter_mut().filter(|one| !one.3.is_read()) {
            one.4 = one.4.filter(|_| !stream.chance(0.05));
        }
        let end = plain.iter().map(|one| one.2).max().unwrap_or(0);
        let history = History::new(&super::spans::events(&plain), false, None);
        for _ in 0..10 {
            let (one, other) = (stream.below(end), stream.below(end));
            let span = Span { from: seconds(one.min(other)), to: seconds(one.max(other) + 1) };
            for judgement in history.judge(ServiceId(0), span, &Check::ALL, 1_000_000) {
                let name = judgement.check.name();
                assert_ne!(judgement.outcome, Outcome::Violated, "{name} {span:?}: {:?}", judgement.evidence);
                undecided += usize::from(judgement.outcome == Outcome::Unknown);
            }
            // The judges that do not rest on that of linearizability.
            let service = service(&plain);
            for (check, finding) in findings(&service, span, 1_000_000) {
                assert!(!matches!(finding, Finding::Violated(_)), "{} {span:?}: {finding:?}", check.name());
            }
        }
    }
    assert!(undecided < 600, "{undecided} of 6,000");
}
