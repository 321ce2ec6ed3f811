//! Bad scenarios: each problem at its exact place, all of them at once, and never a panic.

use firedrill::rng::Stream;
use firedrill::scenario::{self, Diagnostics, Scenario, Source};

/// A small scenario that touches every part of the format.
const GOOD: &str = r#"{
  "format": 1,
  "name": "small",
  "duration": "10m",
  "topology": {
    "data_centers": [
      {"id": "tokyo", "region": "azure:japaneast", "zone": "kanto", "nodes": 2},
      {"id": "osaka", "region": "azure:japanwest", "nodes": [{"rack": "a"}, {"capacity": "90/m"}]},
      {"id": "sendai", "location": {"lat": 38.27, "lon": 140.87}, "nodes": 1}
    ],
    "network": {"loss": 0.001},
    "links": [{"between": ["tokyo", "sendai"], "round_trip": "8ms"}]
  },
  "services": [
    {"id": "board", "application": "board", "place": ["tokyo/0", "sendai/0", "osaka/1"]},
    {"id": "accounts", "application": "kv", "spread": {"data_centers": 3, "zones": 2}}
  ],
  "protocols": {
    "optimistic": {"ack": {"copies": 2, "data_centers": 2}},
    "raft-no-prevote": {"kind": "raft", "pre_vote": false, "election_timeout": ["1s", "2s"]}
  },
  "workload": [
    {"service": "board", "from": ["tokyo", "sendai"], "rate": "50/s", "profile": {"kind": "diurnal"}},
    {"service": "accounts", "rate": "5/s", "swaps": 0.5, "profile": {"kind": "flash-crowd", "at": "3m"}}
  ],
  "timeline": [
    {"at": "60s", "do": "crash", "data_centers": ["tokyo"], "for": "5m"},
    {"at": "60s", "do": "crash", "majority_of": "board", "disk": "lost"},
    {"at": "95s", "do": "crash", "random": {"fraction": 0.4}, "for": "2m"},
    {"at": "2m", "do": "partition", "groups": [["tokyo"], ["*"]], "for": "90s"},
    {"at": "4m", "do": "cut", "from": ["tokyo"], "to": "sendai", "one_way": true},
    {"at": "5m", "do": "flap", "between": ["tokyo", ["sendai", "osaka/0"]], "up": "3s", "down": "2s"},
    {"at": "5m", "do": "degrade", "between": ["tokyo", "*"], "add_delay": "80ms"},
    {"at": "6m", "do": "clock", "nodes": ["sendai/0"], "jump": "-2s", "drift_ppm": 200},
    {"at": "7m", "do": "load", "service": "board", "factor": 8, "ramp": "30s", "for": "2m"},
    {"at": "8m", "do": "restart", "nodes": ["*"]},
    {"at": "8m", "do": "heal"}
  ],
  "failures": [{"kind": "node"}, {"kind": "link", "between": "1h", "repair": {"lognormal": {"median": "1h", "sigma": 1}}}], "reorganise": {"policy": "save", "low": 0.2, "constraints": {"share": false}},
  "expect": [
    {"metric": "availability", "service": "board", "protocol": "optimistic", "from": "60s", "to": "6m", "at_least": 0.5}
  ]
}"#;

fn load_with(bytes: &[u8], sets: &[(&str, &str)]) -> Result<Scenario, Diagnostics> {
    let sets: Vec<_> = sets.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect();
    let source = Source { name: "s.json".into(), bytes: bytes.to_vec() };
    scenario::load(&source, &sets, &|name| Err(format!("there is no file {name}")))
}

fn load(text: &str) -> Result<Scenario, Diagnostics> {
    load_with(text.as_bytes(), &[])
}

/// `line:column message` of each problem.
fn problems(result: Result<Scenario, Diagnostics>) -> Vec<String> {
    match result {
        Ok(_) => Vec::new(),
        Err(diagnostics) => diagnostics
            .0
            .iter()
            .map(|problem| format!("{}:{} {}", problem.line, problem.column, problem.message))
            .collect(),
    }
}

/// The good scenario with one piece of text in place of another.
fn edited(from: &str, to: &str) -> String {
    assert_eq!(GOOD.matches(from).count(), 1, "{from}");
    GOOD.replace(from, to)
}

#[test]
fn the_good_scenario_is_good() {
    assert_eq!(problems(load(GOOD)), Vec::<String>::new());
}

/// (text of the good scenario, what stands there instead, the problems, a line each).
const EDITS: &[(&str, &str, &str)] = &[
    // syntax
    (r#""format": 1,"#, r#""format": 1,,"#, "2:15 expected a key in double quotes, found `,`"),
    (r#""at_least": 0.5}"#, r#""at_least": 0.5},"#, "42:3 expected a value, found `]`"),
    (r#""loss": 0.001}"#, r#""loss": 0.001,}"#, "11:31 expected a key in double quotes, found `}`"),
    (r#""format": 1,"#, "\"format\": 1, // one", "2:16 expected a key in double quotes, found `/`"),
    (r#""loss": 0.001"#, r#""loss": .001"#, "11:25 expected a value, found `.`"),
    (r#""loss": 0.001"#, r#""loss": 00.001"#, "11:25 a number does not begin with 0"),
    (r#""loss": 0.001"#, r#""loss": 1e999"#, "11:25 the number `1e999` does not fit"),
    (r#""loss": 0.001"#, r#""loss": NaN"#, "11:25 expected a value, found `NaN`"),
    (r#""name": "small""#, r#""name": "sm\qall""#, "3:14 this is no escape of JSON"),
    (r#""name": "small""#, r#""name": "sm\ud800all""#, "3:14 this is no character of Unicode"),
    (
        r#""name": "small""#,
        "\"name\": \"sm\tall\"",
        "3:14 a line break, tab or other control character stands inside a text; write it as an escape such as \\n, or close the text with \"",
    ),
    // keys and names
    (r#""format": 1,"#, r#""format": 1, "format": 1,"#, "2:16 the key `format` is repeated"),
    (r#""duration": "10m""#, r#""duration": "10m", "durration": "9m""#, "4:22 unknown field `durration` in a scenario"),
    (r#""name": "small""#, r#""name": "../x""#, "3:11 `../x` is not a name"),
    (r#""name": "small""#, r#""name": "Small""#, "3:11 `Small` is not a name"),
    (r#""name": "small""#, r#""name": "all""#, "3:11 `all` is not a name: results use it for the whole"),
    (r#""id": "osaka""#, r#""id": "tokyo""#, "8:14 the data center `tokyo` is repeated"),
    (r#""id": "accounts", "#, "", "16:5 the service has no `id`"),
    (r#""azure:japanwest""#, r#""japanwest""#, "8:33 unknown region `japanwest`"),
    (r#""location": {"lat": 38.27, "lon": 140.87}, "#, "", "9:7 the data center needs one of `region` or `location`"),
    (r#""lat": 38.27"#, r#""lat": 138.27"#, "9:44 `138.27` is out of range"),
    // types and quantities
    (r#""format": 1"#, r#""format": 2"#, "2:13 `2` is out of range"),
    (r#""format": 1"#, r#""format": 1.5"#, "2:13 `1.5` is not a whole number"),
    (
        r#""duration": "10m""#,
        r#""duration": 600"#,
        "4:15 expected a duration such as `250ms` or `10m`, found the number `600`",
    ),
    (r#""duration": "10m""#, r#""duration": "10 m""#, "4:15 `10 m` is no duration: there is no space in a quantity"),
    (r#""round_trip": "8ms""#, r#""round_trip": "0ms""#, "12:62 `0ms` is no duration: it must be above 0"),
    (r#""round_trip": "8ms""#, r#""round_trip": "-8ms""#, "12:62 `-8ms` is no duration: it must not be negative"),
    (r#""loss": 0.001"#, r#""loss": 1.001"#, "11:25 `1.001` is out of range"),
    (r#""loss": 0.001"#, r#""loss": "0.001""#, "11:25 expected a number from 0 up to 1, found the text `0.001`"),
    (r#""rate": "50/s""#, r#""rate": "0/s""#, "23:63 `0/s` is no rate: it must be above 0"),
    // places and spread
    (r#""place": ["tokyo/0", "#, r#""replicas": 4, "place": ["tokyo/0", "#, "15:57 4 replicas, but `place` names 3"),
    (r#""place": ["tokyo/0", "#, r#""place": ["tokyo/2", "#, "15:55 unknown node `tokyo/2`"),
    (r#""place": ["tokyo/0", "#, r#""place": ["tokyo", "#, "15:55 `tokyo` is a data center, not a node"),
    (r#""place": ["tokyo/0", "#, r#""place": ["osaka/1", "#, "15:78 `osaka/1` is repeated"),
    (r#""kv", "#, r#""kv", "replicas": 6, "#, "16:57 6 replicas, but there are only 5 nodes"),
    (
        r#"{"data_centers": 3, "zones": 2}"#,
        r#"{"data_centers": 4, "zones": 2}"#,
        "16:72 3 replicas cannot be in 4 data centers: they reach 3",
    ),
    // protocols
    (r#""kind": "raft""#, r#""kind": "rafft""#, "20:33 `rafft` is not known here"),
    (r#""kind": "raft", "#, "", "20:24 `raft-no-prevote` is not a kind, and there is no `kind`"),
    (r#"["1s", "2s"]"#, r#"["2s", "1s"]"#, "20:80 the lowest, 2s, is above the highest, 1s"),
    (
        r#""pre_vote": false"#,
        r#""check_quorum": false, "reads": "lease""#,
        "20:57 a lease needs a leader that steps down when it hears no majority",
    ),
    (r#"{"copies": 2, "#, r#"{"copies": 1, "#, "19:57 2 data centers need more copies than 1"),
    (
        r#"{"ack": {"#,
        r#"{"merge": "crdt", "ack": {"#,
        "19:29 `crdt` needs an application that only grows, and `accounts` is a `kv`",
    ),
    (
        r#"{"ack": {"#,
        r#"{"suspect_after": "1s", "ack": {"#,
        "19:37 suspicion after 1s with a heartbeat each 500ms: one lost message is a failure",
    ),
    (r#"{"ack": {"#, r#"{"epoch_max": 7, "ack": {"#, "19:33 `7` is out of range"),
    // load
    (r#""from": ["tokyo", "sendai"], "rate""#, r#""from": [], "rate""#, "23:34 the list is empty"),
    (
        r#""rate": "50/s","#,
        r#""rate": "50/s", "swaps": 0.1,"#,
        "23:80 `swaps` is for `kv`; the writes of a `board` are posts",
    ),
    (r#""service": "board", "factor": 8"#, r#""service": "bord", "factor": 8"#, "35:43 unknown service `bord`"),
    (r#""factor": 8"#, r#""factor": 0"#, "35:62 `0` is out of range"),
    (r#""ramp": "30s""#, r#""ramp": "3m""#, "35:73 a ramp of 3m does not fit into 2m"),
    (r#""factor": 8"#, r#""from": ["osaka"], "factor": 8"#, "35:60 no load on `board` comes from `osaka`"),
    // timeline
    (r#""at": "95s""#, r#""at": "10m""#, "29:12 10m is past the end: the duration is 10m"),
    (r#""do": "heal""#, r#""do": "heel""#, "37:24 `heel` is not known here"),
    (r#", "do": "heal""#, "", "37:5 there is no `do`"),
    (r#""disk": "lost""#, r#""disk": "melted""#, "28:66 `melted` is not known here"),
    (
        r#""majority_of": "board", "#,
        r#""majority_of": "board", "zones": ["kanto"], "#,
        "28:58 `majority_of` and `zones` exclude each other",
    ),
    (r#""random": {"fraction": 0.4}"#, r#""random": {"count": 6}"#, "29:54 6 of 5 nodes"),
    (r#""majority_of": "board", "#, r#""majority_of": "board", "count": 4, "#, "28:67 4 of the 3 replicas of `board`"),
    (
        r#", "nodes": ["*"]}"#,
        "}",
        "36:5 the restart needs one of `nodes`, `data_centers`, `zones`, `random`, `majority_of` or `primary_of`",
    ),
    (r#""nodes": ["*"]"#, r#""nodes": ["kyoto/*"]"#, "36:45 no node matches `kyoto/*`"),
    (r#"[["tokyo"], ["*"]]"#, r#"[["tokyo"], ["osaka"]]"#, "30:47 in no group: `sendai`"),
    (r#"[["tokyo"], ["*"]]"#, r#"[["tokyo"], ["tokyo", "*"]]"#, "30:60 `tokyo` is already on another side"),
    (r#"[["tokyo"], ["*"]]"#, r#"[["tokyo"], ["*"], ["*"]]"#, "30:67 `*` is already on another side"),
    (r#"[["tokyo"], ["*"]]"#, r#"[["tokyo", "osaka", "sendai"], ["*"]]"#, "30:47 nothing is left for `*`"),
    (r#""add_delay": "80ms""#, r#""for": "8s""#, "33:5 nothing gets worse"),
    (r#""drift_ppm": 200"#, r#""for": "8s""#, "34:71 unknown field `for` in a clock"),
    // failures and expectations
    (r#""between": "1h", "#, "", "39:34 the link has no `between`"),
    (r#""metric": "availability""#, r#""metric": "availabillity""#, "41:16 unknown metric `availabillity`"),
    (
        r#""metric": "availability""#,
        r#""metric": "messages""#,
        "41:82 `messages` is of a whole run, so `from` cannot cut it\n\
         41:95 `messages` is of a whole run, so `to` cannot cut it",
    ),
    (r#""protocol": "optimistic""#, r#""protocol": "raft""#, "41:64 unknown protocol `raft`"),
    (r#""to": "6m""#, r#""to": "1m""#, "41:99 it ends before it begins"),
    (r#""to": "6m""#, r#""to": "11m""#, "41:99 11m is past the end: the duration is 10m"),
    (r#""at_least": 0.5"#, r#""at_least": 0.5, "at_most": 1"#, "41:122 `at_least` and `at_most` exclude each other"),
    (r#", "at_least": 0.5"#, "", "41:5 the expectation needs one of `at_least`, `at_most` or `equals`"),
];

#[test]
fn each_problem_is_reported_at_its_place() {
    let mut wrong = Vec::new();
    for (from, to, expected) in EDITS {
        let found = problems(load(&edited(from, to)));
        if found != expected.split('\n').collect::<Vec<_>>() {
            wrong.push(format!("{to}\n    expected {expected}\n    found    {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_the_text() {
    let text = edited(r#""name": "small""#, r#""name": "../x""#)
        .replace(r#""loss": 0.001"#, r#""loss": 2, "jittr": 0"#)
        .replace(r#""data_centers": ["tokyo"], "for": "5m""#, r#""data_centers": ["tokio"], "for": 5"#)
        .replace(r#""metric": "availability""#, r#""metric": "availble""#)
        .replace(r#""duration": "10m","#, r#""duration": "10m", "duration": "9m","#);
    assert_eq!(
        problems(load(&text)),
        [
            "3:11 `../x` is not a name",
            "4:22 the key `duration` is repeated",
            "11:25 `2` is out of range",
            "11:28 unknown field `jittr` in a network",
            "27:51 unknown data center `tokio`",
            "27:68 expected a duration such as `250ms` or `10m`, found the number `5`",
            "41:16 unknown metric `availble`",
        ]
    );
}

#[test]
fn what_was_expected_and_a_suggestion_stand_under_a_caret() {
    let text = edited(r#""loss": 0.001"#, r#""los": 0.001"#);
    let rendered = load(&text).expect_err("a field is unknown").render(false);
    let expected = "\
s.json:11:17: error: unknown field `los` in a network
 11 |     \"network\": {\"los\": 0.001},
    |                 ^^^^^
    = expected `latency`, `jitter`, `loss` or `bandwidth`
    = help: did you mean `loss`?
";
    assert_eq!(rendered, expected);
    assert!(load(&text).expect_err("a field is unknown").render(true).contains("\u{1b}["));
    assert!(!rendered.contains('\u{1b}'));
    let json = load(&text).expect_err("a field is unknown").to_json();
    assert_eq!(
        json,
        serde_json::json!([{
            "file": "s.json", "line": 11, "column": 17, "path": "topology.network.los",
            "message": "unknown field `los` in a network",
            "expected": "`latency`, `jitter`, `loss` or `bandwidth`", "help": "did you mean `loss`?",
        }])
    );
}

#[test]
fn files_that_are_no_scenario_at_all_are_refused() {
    let brackets = "[".repeat(100_000);
    assert_eq!(problems(load(&brackets)), ["1:65 nested deeper than 64 levels"]);
    let braces = r#"{"a":"#.repeat(100_000);
    assert_eq!(problems(load(&braces)), ["1:321 nested deeper than 64 levels"]);
    assert_eq!(problems(load(&format!("\u{feff}{GOOD}"))), ["1:1 the file begins with a byte order mark"]);
    assert_eq!(problems(load("")), ["1:1 the file ends where a value was expected"]);
    assert_eq!(problems(load("[]")), ["1:1 a scenario is an object"]);
    assert_eq!(problems(load(&format!("{GOOD} x"))), ["43:3 expected the end of the file, found `x`"]);
    let not_utf8 = load_with(b"{\n  \"\xff", &[]);
    assert_eq!(problems(not_utf8), ["2:4 the file is not UTF-8: byte 5, 0xff, begins no character"]);
    let large = vec![b' '; scenario::LARGEST + 1];
    assert_eq!(problems(load_with(&large, &[])), ["0:0 the file is larger than 16 MiB"]);
    assert!(problems(load("{}")).len() >= 7, "every field that must be there is named");
}

#[test]
fn what_is_set_is_checked_and_named() {
    let good = load_with(
        GOOD.as_bytes(),
        &[
            ("protocols.optimistic.ack", "all"),
            ("workload.0.rate", "80/s"),
            ("timeline.1.for", "2m"),
            ("seed", "18446744073709551615"),
            ("protocols.raft-no-prevote.pre_vote", "true"),
            ("topology.node.fsync", "2ms"),
        ],
    )
    .unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert_eq!(good.seed, u64::MAX);
    assert_eq!(good.loads[0].rate, 80.0);
    assert_eq!(good.as_written["timeline"][1]["for"], "2m");
    assert_eq!(good.as_written["protocols"]["raft-no-prevote"]["pre_vote"], true);
    assert_eq!(good.resolved["seed"], "18446744073709551615");
    for (path, value, file, message) in [
        ("durration", "5m", "--set durration=5m", "unknown field `durration` in a scenario"),
        (
            "workload.2.rate",
            "5/s",
            "--set workload.2.rate=5/s",
            "there is no `workload.2.rate`: `2` is not an index from 0 to 1",
        ),
        ("name.x", "1", "--set name.x=1", "there is no `name.x`: what is before `x` is neither an object nor a list"),
        ("drain", "5", "--set drain=5", "expected a duration such as `250ms` or `10m`, found the number `5`"),
        ("workload.0.rate", "fast", "--set workload.0.rate=fast", "`fast` is no rate: it does not begin with a number"),
        (
            "protocols.optimistic.akc.copies",
            "1",
            "--set protocols.optimistic.akc.copies=1",
            "unknown field `akc` in an optimistic",
        ),
    ] {
        let Diagnostics(found) = load_with(GOOD.as_bytes(), &[(path, value)]).expect_err(path);
        assert_eq!((found[0].file.as_str(), found[0].message.as_str(), found[0].line), (file, message, 0));
        assert_eq!(found.len(), 1, "{path}");
    }
}

#[test]
fn a_table_of_round_trips_is_read_and_kept() {
    let text = edited(r#"{"loss": 0.001}"#, r#"{"latency": {"csv": "mine.csv"}}"#);
    let source = Source { name: "s.json".into(), bytes: text.into_bytes() };
    let read = |table: &'static str| move |_: &str| Ok(table.as_bytes().to_vec());
    let table = "from,to,round_trip\ntokyo,osaka,10ms\nosaka,tokyo,20ms\nparis,tokyo,1s\n";
    let scenario = scenario::load(&source, &[], &read(table)).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let one_way = scenario.topology.between_sites(0.into(), 1.into()).one_way;
    assert_eq!(one_way, firedrill::time::Duration::from_micros(7_500), "half of the mean of both directions");
    assert_eq!(scenario.resolved["topology"]["network"]["latency"]["rows"].as_array().map(Vec::len), Some(2));
    assert!(!scenario.resolved.to_string().contains("mine.csv"), "no path is left in what is resolved");
    assert!(same(&scenario), "what is resolved is the same scenario");
    let bad = "from,to,round_trip\ntokyo,osaka\ntokyo,osaka,fast\n";
    let Diagnostics(found) = scenario::load(&source, &[], &read(bad)).expect_err("the table is bad");
    let found: Vec<_> = found.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
    assert_eq!(
        found,
        [
            (11, "line 2 of `mine.csv`: 2 columns"),
            (11, "line 3 of `mine.csv`: `fast` is no duration: it does not begin with a number"),
        ]
    );
    assert_eq!(problems(load(std::str::from_utf8(&source.bytes).expect("UTF-8"))), ["11:36 there is no file mine.csv"]);
}

/// Whether what a scenario resolves to is the same scenario.
fn same(scenario: &Scenario) -> bool {
    let again = scenario::from_value(&scenario.resolved).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let bare = |scenario: &Scenario| {
        let bare = Scenario { as_written: serde_json::Value::Null, ..scenario.clone() };
        (format!("{bare:?}"), scenario.resolved.to_string())
    };
    bare(scenario) == bare(&again)
}

#[test]
fn what_is_resolved_is_the_same_scenario() {
    let scenario = load(GOOD).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert!(same(&scenario));
    assert_eq!(scenario.hash.len(), 64);
    let written_otherwise = load(&edited(r#""duration": "10m""#, r#""duration": "600.0s""#).replace("\n  ", " "));
    assert_eq!(written_otherwise.map(|other| other.hash).ok(), Some(scenario.hash), "the same scenario, the same hash");
}

#[test]
fn a_file_cut_off_anywhere_is_an_error() {
    for end in 0..GOOD.len() {
        assert!(load_with(&GOOD.as_bytes()[..end], &[]).is_err(), "cut at {end}");
    }
}

/// Texts that mutations put in.
const PIECES: &[&str] = &[
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "-1",
    "0",
    "1e308",
    "1e-400",
    "99999999999999999999",
    "\"*\"",
    "\"tokyo\"",
    "\"tokyo/0\"",
    "\"all\"",
    "\"0s\"",
    "\"-1s\"",
    "\"9999999999999h\"",
    "\"1/s\"",
    "{}",
    "[]",
    "\\",
    "\\u0000",
    "é",
    "😀",
    "\"board\"",
    "\"b*\"",
    "\"off\"",
    "\"copies\": 3,",
    "\"for\": \"1s\",",
    "\"count\": 2,",
    "\u{0}",
    "1",
    "2",
    "0.5",
    "\"100y\"",
];

#[test]
fn random_mutations_never_panic_and_what_loads_is_a_fixed_point() {
    let mut stream = Stream::new(1, "scenario mutations", &[]);
    let (mut loaded, mut refused) = (0, 0);
    for _ in 0..6_000 {
        let mut bytes = GOOD.as_bytes().to_vec();
        for _ in 0..=stream.below(2) {
            mutate(&mut bytes, &mut stream);
        }
        match load_with(&bytes, &[]) {
            Ok(scenario) => {
                loaded += 1;
                assert!(same(&scenario), "{}", String::from_utf8_lossy(&bytes));
            }
            Err(diagnostics) => {
                refused += 1;
                assert!(!diagnostics.0.is_empty());
                assert!(!diagnostics.render(false).is_empty() && diagnostics.to_json().is_array());
            }
        }
    }
    assert!(loaded > 100 && refused > 1_000, "{loaded} loaded and {refused} refused: mutations of one kind only");
}

fn mutate(bytes: &mut Vec<u8>, stream: &mut Stream) {
    let at = stream.below(bytes.len() as u64) as usize;
    let end = (at + 1 + stream.below(8) as usize).min(bytes.len());
    let piece = PIECES[stream.below(PIECES.len() as u64) as usize].bytes();
    match stream.below(6) {
        0 => bytes[at] ^= 1 << stream.below(8),
        1 => drop(bytes.drain(at..end)),
        2 => drop(bytes.splice(at..at, piece)),
        // A digit for a digit keeps the text valid.
        3 => {
            if let Some(digit) = bytes[at..].iter_mut().find(|byte| byte.is_ascii_digit()) {
                *digit = b'0' + stream.below(10) as u8;
            }
        }
        _ => replace_value(bytes, at, piece.collect()),
    }
}

/// Puts a piece in the place of the value behind the next colon.
fn replace_value(bytes: &mut Vec<u8>, at: usize, piece: Vec<u8>) {
    let Some(colon) = bytes[at..].iter().position(|byte| *byte == b':') else { return };
    let start = at + colon + 1;
    let length = bytes[start..].iter().position(|byte| matches!(byte, b',' | b'}' | b']')).unwrap_or(0);
    drop(bytes.splice(start..start + length, piece));
}
