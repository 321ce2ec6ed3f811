//! Random small histories, right and wrong ones, against the second opinions.

use super::oracle::{Small, partial_orders};
use super::*;
use crate::check::linearizability::{Outcome, Start, check_keys};
use crate::id::ServiceId;
use crate::rng::Stream;
use std::collections::BTreeMap;

/// A history of a few operations on two keys. Answers are drawn from all values of the key.
fn random(stream: &mut Stream, count: usize, threads: bool) -> Vec<Plain> {
    let clients = 1 + stream.below(3) as u32;
    let mut now = vec![0; clients as usize];
    let mut plain: Vec<Plain> = Vec::new();
    for digest in 1..=count as u64 {
        let client = stream.below(u64::from(clients)) as u32;
        let key = u32::from(stream.chance(0.4));
        let from = now[client as usize] + stream.below(4);
        let to = from + 1 + stream.below(6);
        // Now and then operations of a session overlap.
        now[client as usize] = if stream.chance(0.1) { from } else { to + 1 };
        let open = stream.chance(0.1);
        plain.push(match stream.below(10) {
            0..5 => (client, from, to, read(key), saw(0)),
            _ if threads => (client, from, to, post(key, digest), DONE.filter(|_| !open)),
            5..8 => (client, from, to, put(key, digest), DONE.filter(|_| !open)),
            _ => {
                let expect = stream.below(count as u64 + 1);
                let answer = if stream.chance(0.7) { SWAPPED } else { REFUSED };
                (client, from, to, swap(key, expect, digest), answer.filter(|_| !open))
            }
        });
    }
    // A value of each key's own, or none.
    for place in 0..plain.len() {
        let key = plain[place].3.key();
        let values: Vec<u64> = plain
            .iter()
            .filter(|other| other.3.key() == key)
            .filter_map(|other| Some(other.3.value()?.digest))
            .collect();
        let some: Vec<u64> = values.iter().copied().filter(|_| stream.chance(0.6)).collect();
        let one = values.get(stream.below(values.len() as u64 + 1) as usize).copied().unwrap_or(0);
        match &mut plain[place] {
            (.., Op::Read { .. }, answer) => *answer = if threads { saw_posts(&some) } else { saw(one) },
            (.., Op::CompareAndSwap { expect, value, .. }, _) => *expect = if one == value.digest { 0 } else { one },
            _ => {}
        }
    }
    plain
}

/// Makes appends of some puts, and lets some reads see what they make of another value.
fn with_appends(stream: &mut Stream, plain: &mut [Plain]) {
    let mut chains: Vec<u64> = vec![0];
    for one in plain.iter_mut() {
        if let (.., Op::Put { key, value }, _) = *one
            && stream.chance(0.6)
        {
            one.3 = Op::Append { key, value };
        }
        if one.3.value().is_some() {
            let on = chains[stream.below(chains.len() as u64) as usize];
            chains.push(one.3.apply(on, 0).0);
        }
    }
    for one in plain.iter_mut().filter(|one| one.3.is_read()) {
        if stream.chance(0.6) {
            one.4 = saw(chains[stream.below(chains.len() as u64) as usize]);
        }
    }
}

#[test]
fn sequential_and_linearizable_agree_with_every_order_tried() {
    let mut stream = Stream::new(1, "small histories of sessions", &[]);
    let mut counts = [[0; 2]; 2];
    for round in 0..30_000 {
        let mut plain = random(&mut stream, 3 + round % 4, round % 3 == 0);
        if round % 3 == 1 {
            with_appends(&mut stream, &mut plain);
        }
        let service = service(&plain);
        let small = Small { operations: service.operations.clone() };
        let finding = sequential::judge(&service, Span::WHOLE, &mut { PLENTY });
        let expected = small.has_order(&|one, other| small.before(one, other));
        assert_eq!(finding == Finding::Valid, expected, "{round}: {plain:#?} {finding:?}");
        assert!(!matches!(finding, Finding::Unknown(_)), "{round}: {finding:?}");
        counts[0][usize::from(expected)] += 1;

        let mut keys: BTreeMap<u32, Vec<Operation>> = BTreeMap::new();
        for operation in &service.operations {
            keys.entry(operation.op.key()).or_default().push(*operation);
        }
        let keys = keys.into_iter().map(|(key, operations)| ((ServiceId(0), key), operations, Start::Absent)).collect();
        let outcome = check_keys(keys, PLENTY);
        let in_time = |one: usize, other: usize| small.operations[one].returned() < small.operations[other].invoked;
        let linear = small.has_order(&in_time);
        assert_eq!(outcome == Outcome::Valid, linear, "{round}: {plain:#?} {outcome:?}");
        assert!(!linear || expected, "what is linearizable is sequential");
        counts[1][usize::from(linear)] += 1;
    }
    assert!(counts.iter().flatten().all(|&count| count > 2_000), "{counts:?}");
}

#[test]
fn causal_judges_agree_with_every_partial_order_tried() {
    let mut stream = Stream::new(2, "small causal histories", &[]);
    let orders: Vec<Vec<Vec<u32>>> = (0..=5)
        .map(|count| {
            let padded = partial_orders(count).into_iter().map(|mut order| {
                order.resize(5, 0);
                order
            });
            padded.collect()
        })
        .collect();
    assert_eq!(orders[5].len(), 4_231, "the number of labelled partial orders of five");
    let mut counts = [[0; 2]; 2];
    for round in 0..6_000 {
        let plain = random(&mut stream, if round % 4 == 0 { 5 } else { 4 }, round % 3 == 0);
        let service = service(&plain);
        let small = Small { operations: service.operations.clone() };
        let [causal, convergent] = causal::judge(&service, Span::WHOLE, &mut { PLENTY });
        let all: Vec<Vec<u32>> = orders[..=plain.len()].concat();
        for (place, finding, agreed) in [(0, causal, false), (1, convergent, true)] {
            // A refused swap tells nothing here.
            let expected = small.is_causal(&all, agreed);
            assert_eq!(finding == Finding::Valid, expected, "{round} {agreed}: {plain:#?} {finding:?}");
            counts[place][usize::from(expected)] += 1;
        }
    }
    assert!(counts.iter().flatten().all(|&count| count > 1_000), "{counts:?}");
}

#[test]
fn session_judges_agree_with_every_order_of_writes_tried() {
    let mut stream = Stream::new(3, "small sessions", &[]);
    let names = [Check::ReadYourWrites, Check::MonotonicReads, Check::MonotonicWrites, Check::WritesFollowReads];
    let mut counts = [0; 4];
    for round in 0..40_000 {
        let plain = random(&mut stream, 4 + round % 4, false);
        let service = service(&plain);
        let small = Small { operations: service.operations.clone() };
        let four = sessions::judge(&service, Span::WHOLE, &mut { PLENTY });
        for (place, (name, finding)) in names.into_iter().zip(four).enumerate() {
            let broken = small.breaks(name);
            assert_eq!(
                matches!(finding, Finding::Violated(_)),
                broken,
                "{round} {}: {plain:#?} {finding:?}",
                name.name()
            );
            counts[place] += usize::from(broken);
        }
    }
    assert!(counts.iter().all(|&count| count > 300), "{counts:?}");
}

#[test]
fn weaker_guarantees_hold_wherever_stronger_ones_do() {
    let mut stream = Stream::new(4, "strong and weak", &[]);
    for round in 0..30_000 {
        let plain = random(&mut stream, 4 + round % 4, round % 2 == 0);
        let found: BTreeMap<Check, Finding> = findings(&service(&plain), Span::WHOLE, PLENTY).into_iter().collect();
        let valid = |check| found[&check] == Finding::Valid;
        let implies =
            |strong, weak: Check| assert!(!valid(strong) || valid(weak), "{round} {}: {plain:#?}", weak.name());
        implies(Check::Sequential, Check::CausalConvergence);
        implies(Check::CausalConvergence, Check::Causal);
        for weak in [Check::ReadYourWrites, Check::MonotonicReads, Check::MonotonicWrites, Check::WritesFollowReads] {
            implies(Check::CausalConvergence, weak);
        }
    }
}
