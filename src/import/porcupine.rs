//! The two kinds of files in Porcupine's tests.
//!
//! A log of etcd, a line an event: `INFO jepsen.util - 0 :invoke :read nil`. There a failed compare-and-swap
//! was refused because of the value that it met, so it is an observation; nil is absence, and what is there
//! at first; a read that timed out tells nothing; `:info` stays open for ever.
//!
//! A store of strings, a map an event: `{:process 0, :type :invoke, :f :append, :key "0", :value "x"}`, with
//! get, put and append; a get answers the whole text, and what was never written is empty.

use super::builder::{Builder, at_line, ok, saw};
use super::edn::{self, Edn, Map, short};
use super::jepsen::{keyword, process};
use super::strings::Texts;
use super::{Imported, Initial, Input, Model, Options, Problem};
use crate::history::What;
use crate::op::{Answer, Op};

pub(super) fn read_log(text: &str, options: &Options) -> Result<Imported, Problem> {
    if !matches!(options.model, None | Some(Model::Register)) {
        return Err(Problem::new(0, "a log of etcd is the history of one cell: --model register"));
    }
    let mut builder = Builder::new(options.initial.as_ref());
    let key = builder.key("0");
    for (index, whole) in text.lines().enumerate() {
        let line = index + 1;
        if whole.trim().is_empty() {
            continue;
        }
        log_line(&mut builder, key, line, whole)?;
    }
    Ok(builder.finish(Input::Porcupine, Model::Register, options, &Initial::Absent, false))
}

fn log_line(builder: &mut Builder, key: u32, line: usize, whole: &str) -> Result<(), Problem> {
    let wrong = |what: &str| {
        Problem::new(line, format!("{what} (`INFO jepsen.util - 0 :invoke :read nil` is a line of such a log)"))
    };
    let at = at_line(line);
    let rest = whole.trim().strip_prefix("INFO").ok_or_else(|| wrong("it does not begin with INFO"))?;
    let Some((_, rest)) = rest.split_once(" - ") else { return Err(wrong("there is no ` - ` in it")) };
    let words: Vec<&str> =
        rest.split(|c: char| c.is_whitespace() || c == '[' || c == ']').filter(|w| !w.is_empty()).collect();
    let (who, kind, f, values) = match words.as_slice() {
        [who, kind, f, values @ ..] => (*who, *kind, *f, values),
        _ => return Err(wrong("a process, a type, a function and a value were expected")),
    };
    // What the nemesis does is in between.
    if who.starts_with(':') {
        return Ok(());
    }
    let process = who.parse().map_err(|_| wrong(&format!("`{who}` is no process")))?;
    if kind == ":invoke" {
        let op = match (f, values) {
            (":read", _) => Op::Read { key },
            (":write", [value]) => Op::Put { key, value: cell(builder, value) },
            (":cas", [old, new]) => {
                let expect = cell(builder, old).digest;
                Op::CompareAndSwap { key, expect, value: cell(builder, new) }
            }
            _ => return Err(wrong("`:read nil`, `:write 1` or `:cas [1 2]` was expected")),
        };
        return builder.invoke(line, at, process, op);
    }
    let op = builder.doing(line, process)?;
    let what = match (kind, f, op, values) {
        (":ok", ":read", Op::Read { .. }, [value]) => saw(cell(builder, value)),
        (":ok", ":write", Op::Put { .. }, _) => ok(Answer::Done),
        (":ok", ":cas", Op::CompareAndSwap { .. }, _) => ok(Answer::Swapped(true)),
        // It was refused, unless it timed out.
        (":fail", ":cas", Op::CompareAndSwap { .. }, [_, _]) => ok(Answer::Swapped(false)),
        (":fail", ":cas", Op::CompareAndSwap { .. }, _) => What::Info,
        (":fail", ":read", Op::Read { .. }, _) => What::Info,
        (":fail", ":write", Op::Put { .. }, _) => What::Fail,
        (":info", ..) => What::Info,
        (":ok" | ":fail", ..) => return Err(wrong(&format!("process {process} ends something else than it began"))),
        _ => return Err(wrong(&format!("`{kind}` is no type: invoke, ok, fail or info"))),
    };
    builder.end(line, at, process, what)
}

fn cell(builder: &mut Builder, text: &str) -> crate::op::Value {
    if text == "nil" { builder.absent() } else { builder.value(text) }
}

pub(super) fn read_store(text: &str, options: &Options) -> Result<Imported, Problem> {
    if !matches!(options.model, None | Some(Model::Kv)) {
        return Err(Problem::new(0, "operations with a `:key` are the history of a store: --model kv"));
    }
    if matches!(options.initial, Some(Initial::Value(_))) {
        return Err(Problem::new(0, "a store of strings begins empty: --initial absent or unknown"));
    }
    let maps = edn::maps(text)?;
    let mut builder = Builder::new(None);
    let mut texts = Texts::default();
    for map in &maps {
        if let (Some(f), Some(value)) = (map.get("f"), map.get("value")) {
            let writes = matches!(keyword(map, "type")?, "invoke");
            if let (Edn::Keyword(f), Edn::Text(value), true) = (f, value, writes) {
                let key = builder.key(&key(map)?);
                let digest = if value.is_empty() { 0 } else { builder.value(value).digest };
                texts.wrote(key, f == "append", value, digest);
            }
        }
    }
    for (index, map) in maps.iter().enumerate() {
        store_event(&mut builder, &mut texts, map, index + 1)?;
    }
    Ok(builder.finish(Input::Porcupine, Model::Kv, options, &Initial::Absent, false))
}

fn key(map: &Map) -> Result<String, Problem> {
    match map.get("key") {
        Some(Edn::Text(key)) => Ok(key.clone()),
        Some(other) => Ok(other.text()),
        None => Err(Problem::new(map.line, "an operation without `:key`")),
    }
}

fn store_event(builder: &mut Builder, texts: &mut Texts, map: &Map, index: usize) -> Result<(), Problem> {
    let Some(process) = process(map)? else { return Ok(()) };
    let (line, at) = (map.line, at_line(index));
    let (kind, f) = (keyword(map, "type")?, keyword(map, "f")?);
    let key = builder.key(&key(map)?);
    if kind == "invoke" {
        let op = match (f, map.get("value")) {
            ("get", _) => Op::Read { key },
            ("put", Some(Edn::Text(text))) if text.is_empty() => {
                Op::Put { key, value: crate::op::Value { digest: 0, bytes: 0 } }
            }
            ("put", Some(Edn::Text(text))) => Op::Put { key, value: builder.value(text) },
            ("append", Some(Edn::Text(text))) if text.is_empty() => {
                return Err(Problem::new(line, "an append of nothing cannot be told from a read"));
            }
            ("append", Some(Edn::Text(text))) => Op::Append { key, value: builder.value(text) },
            ("put" | "append", _) => {
                return Err(Problem::new(line, format!("`:f :{f}`: a string was expected as `:value`")));
            }
            _ => return Err(Problem::new(line, format!("`:f :{f}` is not known of a store: get, put or append"))),
        };
        return builder.invoke(line, at, process, op);
    }
    let op = builder.doing(line, process)?;
    if op.key() != key {
        return Err(Problem::new(line, "it ends an operation on another key"));
    }
    let what = match (kind, op, map.get("value")) {
        ("ok", Op::Read { .. }, Some(Edn::Text(text))) => match texts.digest(key, text) {
            Some(digest) => ok(Answer::Read { digest, bytes: 0 }),
            None => {
                builder.left_out.push(format!("line {line}: several orders of appends explain what was read"));
                What::Info
            }
        },
        ("ok", Op::Read { .. }, other) => {
            let other = other.map_or("nothing".to_owned(), short);
            return Err(Problem::new(line, format!("a get answers {other}: a string was expected")));
        }
        ("ok", ..) => ok(Answer::Done),
        ("fail", ..) => What::Fail,
        ("info", ..) => What::Info,
        _ => return Err(Problem::new(line, format!("`:type :{kind}`: invoke, ok, fail or info was expected"))),
    };
    builder.end(line, at, process, what)
}
