//! What each format means, and what is wrong with files that are not whole, foreign or hostile.

use super::*;
use crate::check::verify::{Check, History, Outcome, Span};
use crate::history::What;
use crate::op::{Answer, Op};

fn import(text: &str) -> Imported {
    read(text, &Options::default()).unwrap_or_else(|problem| panic!("{problem} in {text}"))
}

fn outcome_of(imported: &Imported, check: Check) -> Outcome {
    let history = History::new(&imported.events, imported.initial_unknown, imported.left_out.first().cloned());
    let judged = history.judge(ServiceId(0), Span::WHOLE, &[check], 1_000_000);
    judged.first().map_or(Outcome::Valid, |judgement| judgement.outcome)
}

fn linearizable(text: &str) -> Outcome {
    outcome_of(&import(text), Check::Linearizable)
}

#[track_caller]
fn refused(text: &str, line: usize, part: &str) {
    let problem = read(text, &Options::default()).expect_err("it is wrong");
    assert!(problem.line == line && problem.message.contains(part), "{problem:?}");
}

/// Lines of a log of etcd.
fn log(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("INFO  jepsen.util - {line}\n")).collect()
}

#[test]
fn in_logs_of_etcd_nil_is_absence_and_a_refused_swap_is_an_observation() {
    let base = ["0\t:invoke\t:write\t1", "0\t:ok\t:write\t1"];
    let after = |lines: &[&str]| linearizable(&log(&[&base[..], lines].concat()));
    assert_eq!(after(&["1 :invoke :read nil", "1 :ok :read 1"]), Outcome::Valid);
    assert_eq!(after(&["1 :invoke :read nil", "1 :ok :read nil"]), Outcome::Violated);
    assert_eq!(after(&["1 :invoke :cas [1 2]", "1 :fail :cas [1 2]"]), Outcome::Violated);
    assert_eq!(after(&["1 :invoke :cas [7 2]", "1 :fail :cas [7 2]"]), Outcome::Valid);
    assert_eq!(after(&["1 :invoke :cas [7 2]", "1 :ok :cas [7 2]"]), Outcome::Violated);
    // A read that timed out tells nothing; a write that did may happen any time later.
    assert_eq!(after(&["1 :invoke :read nil", "1 :fail :read :timed-out"]), Outcome::Valid);
    let open = ["1 :invoke :write 2", "1 :info :write :timed-out"];
    for seen in ["1", "2"] {
        let read = ["2 :invoke :read nil".to_owned(), format!("2 :ok :read {seen}")];
        let lines: Vec<&str> = open.into_iter().chain(read.iter().map(String::as_str)).collect();
        assert_eq!(after(&lines), Outcome::Valid, "{seen}");
    }
    assert_eq!(
        after(&["1 :invoke :cas [7 2]", "1 :info :cas :timed-out", "2 :invoke :read nil", "2 :ok :read 2"]),
        Outcome::Violated
    );
}

#[test]
fn in_jepsens_histories_a_failure_did_not_happen_and_nil_tells_nothing() {
    let with = |rest: &str| {
        linearizable(&format!(
            "{{:process 0, :type :invoke, :f :write, :value 1}}\n{{:process 0, :type :ok, :f :write, :value 1}}\n{rest}"
        ))
    };
    let read = |value: &str| {
        format!("{{:process 1 :type :invoke :f :read :value nil}} {{:process 1 :type :ok :f :read :value {value}}}")
    };
    assert_eq!(with(&read("1")), Outcome::Valid);
    assert_eq!(with(&read("nil")), Outcome::Valid);
    assert_eq!(with(&read("0")), Outcome::Violated, "whatever was there first is gone");
    let failed =
        "{:process 1, :type :invoke, :f :cas, :value [1 2]}\n{:process 1, :type :fail, :f :cas, :value [1 2]}\n";
    assert_eq!(with(failed), Outcome::Valid);
    assert_eq!(
        with(&format!(
            "{failed}{{:process 2 :type :invoke :f :read :value nil}}\n{{:process 2 :type :ok :f :read :value 2}}"
        )),
        Outcome::Violated
    );
    let open = "{:process 1, :type :invoke, :f :write, :value 2}\n{:process 1, :type :info, :f :write, :value 2, :error [:timeout \"x\"]}\n";
    for value in ["1", "2"] {
        let read = read(value).replace(":process 1", ":process 2");
        assert_eq!(with(&format!("{open}{read}")), Outcome::Valid);
    }
}

#[test]
fn what_a_cell_holds_first_is_absent_unknown_or_given() {
    let text = "{:process 0, :type :invoke, :f :read, :value nil}\n{:process 0, :type :ok, :f :read, :value 0}\n\
                {:process 0, :type :invoke, :f :cas, :value [0 1]}\n{:process 0, :type :ok, :f :cas, :value [0 1]}\n";
    let with = |initial: Option<Initial>, text: &str| {
        let imported = read(text, &Options { initial, ..Options::default() }).expect("it is right");
        [Check::Linearizable, Check::Sequential, Check::Causal].map(|check| outcome_of(&imported, check))
    };
    let twice = format!(
        "{text}{{:process 0, :type :invoke, :f :read, :value nil}}\n{{:process 0, :type :ok, :f :read, :value 5}}\n"
    );
    for (initial, once, other) in [
        (None, Outcome::Valid, Outcome::Violated),
        (Some(Initial::Unknown), Outcome::Valid, Outcome::Violated),
        (Some(Initial::Value("0".into())), Outcome::Valid, Outcome::Violated),
        (Some(Initial::Value("5".into())), Outcome::Violated, Outcome::Violated),
        (Some(Initial::Absent), Outcome::Violated, Outcome::Violated),
    ] {
        assert_eq!(with(initial.clone(), text), [once; 3], "{initial:?}");
        assert_eq!(with(initial.clone(), &twice)[0], other, "{initial:?}");
    }
}

#[test]
fn edn_is_read_in_all_its_shapes() {
    let text = "; a comment\n[#jepsen.history.Op{:index 0, :time 5, :process 0, :type :invoke, :f :write, :value [\"k x\" 1]}\n\
                #_ {:ignored [1 2]} {:process :nemesis :type :info :f :start :value {:a #{1 2}}, :time 6}\n\
                {:process 0, :type :ok, :f :write, :value [\"k x\" 1], :time 7}]";
    let imported = import(text);
    assert_eq!((imported.model, imported.clock, imported.events.len()), (Some(Model::Kv), true, 2));
    assert_eq!(imported.key(0), "\"k x\"");
    assert_eq!(imported.events[1].at.as_nanos(), 7);
    let digest = imported.events[0].op.value().map_or(0, |value| value.digest);
    assert_eq!(
        imported.in_its_words(&format!("put of {digest:016x} on key 0, saw 0000000000000000.")),
        "put of 1 on key \"k x\", saw 0000000000000000."
    );
}

#[test]
fn sets_of_jepsen_are_threads() {
    let text = |seen: &str| {
        format!(
            "{{:process 0, :type :invoke, :f :add, :value 1}}\n{{:process 0, :type :ok, :f :add, :value 1}}\n\
             {{:process 1, :type :invoke, :f :add, :value 2}}\n{{:process 1, :type :info, :f :add, :value 2}}\n\
             {{:process 0, :type :invoke, :f :read, :value nil}}\n{{:process 0, :type :ok, :f :read, :value {seen}}}\n"
        )
    };
    for (seen, expected) in [
        ("#{1}", Outcome::Valid),
        ("[2 1]", Outcome::Valid),
        ("#{2}", Outcome::Violated),
        ("#{}", Outcome::Violated),
        ("#{1 3}", Outcome::Violated),
        ("nil", Outcome::Valid),
    ] {
        assert_eq!(linearizable(&text(seen)), expected, "{seen}");
    }
    assert_eq!(outcome_of(&import(&text("#{2}")), Check::LostWrites), Outcome::Violated);
}

#[test]
fn a_store_of_strings_shows_chains_of_appends() {
    let text = |seen: &str| {
        format!(
            "{{:process 0, :type :invoke, :f :append, :key \"a\", :value \"x0y\"}}\n{{:process 0, :type :ok, :f :append, :key \"a\", :value \"x0y\"}}\n\
             {{:process 0, :type :invoke, :f :append, :key \"a\", :value \"x1y\"}}\n{{:process 0, :type :ok, :f :append, :key \"a\", :value \"x1y\"}}\n\
             {{:process 1, :type :invoke, :f :get, :key \"a\", :value nil}}\n{{:process 1, :type :ok, :f :get, :key \"a\", :value \"{seen}\"}}\n"
        )
    };
    for (seen, expected) in [
        ("x0yx1y", Outcome::Valid),
        ("x1yx0y", Outcome::Violated),
        ("x0y", Outcome::Violated),
        ("", Outcome::Violated),
        ("x0yx1yx1y", Outcome::Violated),
        ("other", Outcome::Violated),
    ] {
        assert_eq!(linearizable(&text(seen)), expected, "{seen}");
    }
    // `aa` may be one append or two, and which is not known.
    let ambiguous = "{:process 0, :type :invoke, :f :append, :key \"a\", :value \"z\"}\n{:process 1, :type :invoke, :f :append, :key \"a\", :value \"zz\"}\n\
                     {:process 2, :type :invoke, :f :get, :key \"a\", :value nil}\n{:process 2, :type :ok, :f :get, :key \"a\", :value \"zz\"}\n";
    assert_eq!(import(ambiguous).left_out.len(), 1);
    assert_eq!(linearizable(ambiguous), Outcome::Unknown, "what was left out is not valid");
}

/// A line of `history.jsonl`.
fn line(t: u64, client: u32, number: u32, kind: &str, op: &str, value: &str, result: &str) -> String {
    format!(
        "{{\"t_ns\":{t},\"client\":{client},\"number\":{number},\"service\":\"accounts\",\"place\":\"tokyo\",\"type\":\"{kind}\",\
         \"op\":\"{op}\",\"key\":3,\"value\":{value},\"result\":{result},\"server\":null,\"view\":null}}\n"
    )
}

const ONE: &str = "\"0000000000000001\"";

#[test]
fn a_history_of_firedrill_is_read_back() {
    let text = [
        line(5, 0, 1, "invoke", "put", ONE, "null"),
        line(6, 1, 1, "invoke", "read", "null", "null"),
        line(7, 0, 1, "ok", "put", ONE, "true"),
        line(8, 1, 1, "ok", "read", "null", ONE),
        line(9, 1, 1, "invoke", "compare-and-swap", "[\"0000000000000001\",\"0000000000000002\"]", "null"),
        line(9, 1, 1, "ok", "compare-and-swap", "[\"0000000000000001\",\"0000000000000002\"]", "false"),
        line(9, 0, 1, "revoked", "put", ONE, "null"),
    ]
    .concat();
    let imported = import(&text);
    assert_eq!((imported.service(ServiceId(0)), imported.events.len(), imported.clock), ("accounts", 7, true));
    assert!(matches!(imported.events[3].what, What::Ok { answer: Answer::Read { digest: 1, .. }, .. }));
    assert_eq!(imported.events[3].invoked.as_nanos(), 6);
    assert!(matches!(imported.events[4].op, Op::CompareAndSwap { expect: 1, .. }));
    assert_eq!(outcome_of(&imported, Check::Linearizable), Outcome::Violated, "the swap should have met 1");
    assert_eq!(outcome_of(&imported, Check::RevokedWrites), Outcome::Violated);
}

#[test]
fn a_history_of_firedrill_that_is_wrong_is_refused_with_its_line() {
    let first = line(5, 0, 1, "invoke", "put", ONE, "null");
    let then = |next: &str| format!("{first}{next}");
    refused(&then(&first), 2, "began in line 1 already");
    refused(&then(&first[..40]), 2, "not whole");
    refused(&then("nonsense"), 2, "it is no line of a history");
    refused(&then(&first.replace("\"key\":3", "\"keys\":3")), 2, "unknown field `keys`");
    refused(&then(&line(4, 0, 1, "ok", "put", ONE, "true")), 2, "earlier");
    refused(&then(&line(6, 0, 2, "ok", "put", ONE, "true")), 2, "did not begin");
    refused(&then(&line(6, 0, 1, "ok", "put", "\"0000000000000002\"", "true")), 2, "another operation");
    refused(&then(&line(6, 0, 1, "ok", "put", "\"xyz\"", "true")), 2, "16 hexadecimal digits");
    refused(&then(&line(6, 0, 1, "ok", "put", ONE, "7")), 2, "does not answer");
    refused(&then(&line(6, 0, 1, "done", "put", ONE, "true")), 2, "`type` \"done\"");
    refused(&then(&line(6, 0, 1, "invoke", "fly", ONE, "true")), 2, "`op` \"fly\"");
    let ended = then(&line(6, 0, 1, "ok", "put", ONE, "true"));
    refused(&format!("{ended}{}", line(7, 0, 1, "info", "put", ONE, "null")), 3, "ended in line 2 already");
    let board = Options { model: Some(Model::Board), ..Options::default() };
    assert_eq!(read(&first, &board).expect_err("a put").line, 1);
}

#[test]
fn other_files_that_are_wrong_are_refused_with_their_line() {
    refused("", 0, "empty");
    refused("hello\n", 1, "no history that firedrill knows");
    refused("{:process 0, :type :invoke, :f :read, :value nil", 1, "ends in the middle");
    refused("\n{:process 0, :type :invoke\n:f \"x", 3, "ends in the middle of the string");
    refused("{:process 0 :type :invoke :f}", 1, "no value");
    refused("{:process 0, :type :ok, :f :read, :value 1}", 1, "did not begin");
    refused("{:process 0, :type :invoke, :f :read}\n{:process 0, :type :invoke, :f :read}", 2, "begins again");
    refused("{:process 0, :type :invoke, :f :txn, :value [[:r 1 nil]]}", 1, "`:f :txn` is not known");
    refused("{:process -1, :type :invoke, :f :read}", 1, "no process");
    refused("{:process 0, :type :started, :f :read}", 1, "did not begin");
    refused("[1 2]", 1, "a map was expected");
    refused(")", 1, "no history");
    refused(&"[".repeat(100_000), 1, "nested deeper");
    refused(&"#_".repeat(100_000), 1, "nested deeper");
    refused("INFO  jepsen.util - 0 :invoke :read nil\nINFO  jepsen.util - 1 :ok :read 1\n", 2, "did not begin");
    refused("INFO  jepsen.util - 0 :invoke :read nil\nWARN\n", 2, "INFO");
    refused("INFO  jepsen.util - 0 :invoke :read nil\nINFO  jepsen.util - 0 :ok :write 1\n", 2, "something else");
    refused("INFO  jepsen.util - 0 :invoke :cas 5\n", 1, ":cas [1 2]");
    refused("INFO\n", 1, " - ");
    refused("{:process 0, :type :invoke, :f :append, :key \"a\", :value \"\"}", 1, "append of nothing");
    refused(
        "{:process 0, :type :invoke, :f :read, :value 1}\n{:process 0, :type :ok, :f :read, :value [1 2]}",
        0,
        "--model",
    );
}

#[test]
fn nothing_makes_the_readers_panic() {
    let seeds = [
        log(&["0 :invoke :cas [1 2]", "0 :ok :cas [1 2]", "1 :invoke :read nil", "1 :ok :read 2"]),
        "{:process 0, :type :invoke, :f :write, :value [\"k\" 1]}\n{:process 0, :type :ok, :f :write, :value [\"k\" 1]}\n".to_owned(),
        "{:process 0, :type :invoke, :f :append, :key \"a\", :value \"x\"}\n{:process 0, :type :ok, :f :append, :key \"a\", :value \"x\"}\n".to_owned(),
        line(5, 0, 1, "invoke", "put", ONE, "null") + &line(7, 0, 1, "ok", "put", ONE, "true"),
    ];
    let pieces = [
        "",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\\",
        ":",
        "#",
        "nil",
        "é",
        "\u{1f525}",
        "\n",
        "99999999999999999999",
        ":ok",
        ":fail",
        " - ",
    ];
    let mut stream = crate::rng::Stream::new(1, "hostile histories", &[]);
    let mut read_well = 0;
    for round in 0..20_000 {
        let mut text = seeds[round % seeds.len()].clone();
        for _ in 0..=stream.below(2) {
            let mut at = |text: &str| {
                let place = stream.below(text.len() as u64 + 1) as usize;
                (0..=place).rev().find(|&place| text.is_char_boundary(place)).unwrap_or(0)
            };
            let (one, other) = (at(&text), at(&text));
            let piece = pieces[stream.below(pieces.len() as u64) as usize];
            if one.abs_diff(other) < 8 {
                text.replace_range(one.min(other)..one.max(other), piece);
            } else {
                text.insert_str(one, piece);
            }
        }
        if let Ok(imported) = read(&text, &Options::default()) {
            read_well += 1;
            let history = History::new(&imported.events, imported.initial_unknown, None);
            for service in history.services() {
                history.judge(service, Span::WHOLE, &Check::ALL, 10_000);
            }
        }
    }
    assert!(read_well > 200, "{read_well}");
}
