//! Minimal histories that some judges must refuse and others accept.

use super::*;

/// Which of sequential, causal convergence, causal, and the four of sessions are violated, a letter each.
fn violated(plain: &[Plain]) -> String {
    let service = service(plain);
    let found = findings(&service, Span::WHOLE, PLENTY);
    let letter = |((_, finding), letter): ((Check, Finding), char)| match finding {
        Finding::Violated(evidence) => {
            assert!(evidence.lines().count() >= 2, "evidence names operations: {evidence}");
            Some(letter)
        }
        Finding::Valid => None,
        Finding::Unknown(why) => panic!("unknown: {why}"),
    };
    // Sequential, converGent, Causal, read Your writes, monotonic Reads, monotonic Writes, writes Follow reads.
    found.into_iter().zip("SGCYRWF".chars()).filter_map(letter).collect()
}

#[test]
fn what_is_in_order_is_valid() {
    let one = sessions_of(&[&[(put(0, 1), DONE), (read(0), saw(1)), (put(0, 2), DONE), (read(0), saw(2))]]);
    assert_eq!(violated(&one), "");
    // A stale read of another session is no matter of sessions or causality.
    let stale = [
        (0, 0, 1, put(0, 1), DONE),
        (0, 2, 3, put(0, 2), DONE),
        (1, 4, 5, read(0), saw(1)),
        (1, 6, 7, read(0), saw(2)),
    ];
    assert_eq!(violated(&stale), "");
    let threads = sessions_of(&[
        &[(post(0, 1), DONE), (read(0), saw_posts(&[1]))],
        &[(read(0), saw_posts(&[])), (read(0), saw_posts(&[1])), (post(0, 2), DONE), (read(0), saw_posts(&[1, 2]))],
    ]);
    assert_eq!(violated(&threads), "");
}

#[test]
fn a_session_that_misses_its_own_write() {
    assert_eq!(violated(&sessions_of(&[&[(put(0, 1), DONE), (read(0), saw(0))]])), "SGCY");
    let older = sessions_of(&[&[(put(0, 1), DONE)], &[(read(0), saw(1)), (put(0, 2), DONE), (read(0), saw(1))]]);
    // Each guarantee alone has an order that does: 2 before 1 for its own writes, 1 before 2 for what it read.
    assert_eq!(violated(&older), "SGC");
    let blind = sessions_of(&[&[(put(0, 1), DONE), (read(0), saw(2))], &[(put(0, 2), DONE), (read(0), saw(1))]]);
    assert_eq!(violated(&blind), "SGY", "each has the other's write for the newer one");
    assert_eq!(violated(&sessions_of(&[&[(post(0, 1), DONE), (read(0), saw_posts(&[]))]])), "SGCY");
    // While a write goes on, nobody must see it.
    assert_eq!(violated(&[(0, 0, 5, put(0, 1), DONE), (0, 1, 2, read(0), saw(0)), (0, 6, 7, read(0), saw(1))]), "");
}

#[test]
fn reads_that_go_back() {
    let back = sessions_of(&[&[(put(0, 1), DONE)], &[(read(0), saw(1)), (read(0), saw(0))]]);
    assert_eq!(violated(&back), "SGCR");
    let writes: &[(Op, Option<Answer>)] = &[(put(0, 1), DONE)];
    let others: &[(Op, Option<Answer>)] = &[(put(0, 2), DONE)];
    let to_and_fro = sessions_of(&[writes, others, &[(read(0), saw(1)), (read(0), saw(2)), (read(0), saw(1))]]);
    assert_eq!(violated(&to_and_fro), "SGR", "concurrent writes may be seen in turns (CC), but not agreed upon");
    let crosswise = sessions_of(&[
        writes,
        others,
        &[(read(0), saw(1)), (read(0), saw(2))],
        &[(read(0), saw(2)), (read(0), saw(1))],
    ]);
    assert_eq!(violated(&crosswise), "SGR");
    let thread = sessions_of(&[&[(post(0, 1), DONE)], &[(read(0), saw_posts(&[1])), (read(0), saw_posts(&[]))]]);
    assert_eq!(violated(&thread), "SGCR");
}

#[test]
fn writes_of_a_session_seen_out_of_order() {
    let two: &[(Op, Option<Answer>)] = &[(put(0, 1), DONE), (put(0, 2), DONE)];
    assert_eq!(violated(&sessions_of(&[two, &[(read(0), saw(2)), (read(0), saw(1))]])), "SGCW");
    let keys: &[(Op, Option<Answer>)] = &[(put(0, 1), DONE), (put(1, 2), DONE)];
    assert_eq!(violated(&sessions_of(&[keys, &[(read(1), saw(2)), (read(0), saw(0))]])), "SGCW");
    assert_eq!(violated(&sessions_of(&[keys, &[(read(1), saw(2)), (read(0), saw(1))]])), "");
    let posts: &[(Op, Option<Answer>)] = &[(post(0, 1), DONE), (post(0, 2), DONE)];
    assert_eq!(violated(&sessions_of(&[posts, &[(read(0), saw_posts(&[2]))]])), "SGCW");
}

#[test]
fn a_write_that_does_not_follow_what_was_read() {
    let reply: &[(Op, Option<Answer>)] = &[(read(0), saw(1)), (put(1, 2), DONE)];
    let question: &[(Op, Option<Answer>)] = &[(put(0, 1), DONE)];
    assert_eq!(violated(&sessions_of(&[question, reply, &[(read(1), saw(2)), (read(0), saw(0))]])), "SGCF");
    let posts = sessions_of(&[
        &[(post(0, 1), DONE)],
        &[(read(0), saw_posts(&[1])), (post(0, 2), DONE)],
        &[(read(0), saw_posts(&[2]))],
    ]);
    assert_eq!(violated(&posts), "SGCF");
}

#[test]
fn values_from_thin_air_and_from_the_future() {
    assert_eq!(violated(&sessions_of(&[&[(read(0), saw(7))]])), "SGC");
    let future = sessions_of(&[&[(read(0), saw(1)), (put(0, 1), DONE)]]);
    assert_eq!(violated(&future), "SGC", "CyclicCO: it would have to come before itself");
    let circle = sessions_of(&[&[(read(0), saw(2)), (put(1, 1), DONE)], &[(read(1), saw(1)), (put(0, 2), DONE)]]);
    assert_eq!(violated(&circle), "SGC");
}

#[test]
fn the_examples_that_tell_the_models_apart() {
    // Causal, yet no order for all (the store buffer): each side has not seen the other yet.
    let buffer = sessions_of(&[&[(put(0, 1), DONE), (read(1), saw(0))], &[(put(1, 2), DONE), (read(0), saw(0))]]);
    assert_eq!(violated(&buffer), "S");
    // The same as threads.
    let threads = sessions_of(&[
        &[(post(0, 1), DONE), (read(1), saw_posts(&[]))],
        &[(post(1, 2), DONE), (read(0), saw_posts(&[]))],
    ]);
    assert_eq!(violated(&threads), "S");
    // Independent reads of independent writes.
    let independent = sessions_of(&[
        &[(put(0, 1), DONE)],
        &[(put(1, 2), DONE)],
        &[(read(0), saw(1)), (read(1), saw(0))],
        &[(read(1), saw(2)), (read(0), saw(0))],
    ]);
    assert_eq!(violated(&independent), "S");
}

#[test]
fn swaps_are_reads_and_writes() {
    let both = sessions_of(&[&[(swap(0, 0, 1), SWAPPED)], &[(swap(0, 0, 2), SWAPPED)]]);
    assert_eq!(violated(&both), "S", "one of them was lost, and no session can tell");
    let chain = sessions_of(&[&[(swap(0, 0, 1), SWAPPED)], &[(swap(0, 1, 2), SWAPPED), (read(0), saw(2))]]);
    assert_eq!(violated(&chain), "");
    // Refused, though nothing else was ever there.
    assert_eq!(violated(&sessions_of(&[&[(swap(0, 0, 1), REFUSED)]])), "S");
    let other = sessions_of(&[&[(put(0, 1), DONE), (swap(0, 1, 2), REFUSED)], &[(put(0, 3), None)]]);
    assert_eq!(violated(&other), "", "a write without an answer explains it");
    assert_eq!(violated(&other[..2]), "S");
}

#[test]
fn a_value_written_twice_has_no_certain_origin() {
    let twice = sessions_of(&[&[(put(0, 1), DONE), (put(0, 1), DONE)], &[(read(0), saw(1)), (read(0), saw(0))]]);
    let found = findings(&service(&twice), Span::WHOLE, PLENTY);
    assert!(matches!(found[0].1, Finding::Violated(_)), "a search needs no origins: {found:?}");
    assert!(found[1..].iter().all(|(_, finding)| !matches!(finding, Finding::Valid)), "{found:?}");
}

#[test]
fn without_a_budget_nothing_is_valid() {
    let plain = sessions_of(&[&[(put(0, 1), DONE), (read(0), saw(1))], &[(read(0), saw(1)), (put(0, 2), DONE)]]);
    for budget in [0, 1] {
        for (check, finding) in findings(&service(&plain), Span::WHOLE, budget) {
            assert!(matches!(finding, Finding::Unknown(_)), "{} with {budget} steps: {finding:?}", check.name());
        }
    }
    let posts = sessions_of(&[&[(post(0, 1), DONE), (read(0), saw_posts(&[1]))]]);
    for (check, finding) in findings(&service(&posts), Span::WHOLE, 0) {
        assert!(matches!(finding, Finding::Unknown(_)), "{}: {finding:?}", check.name());
    }
}
