//! Ten thousand operations: every judge says what it must, in seconds.

use super::*;
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
