//! Jepsen's histories: maps of EDN with `:process`, `:type`, `:f` and `:value`.
//!
//! A failed operation did not happen. One that ends with `:info` may still happen, at any time. A read of nil
//! tells nothing: Knossos takes it for "unknown".

use super::builder::{Builder, at_line, ok, saw};
use super::edn::{self, Edn, Map, short};
use super::{Imported, Initial, Input, Model, Options, Problem};
use crate::history::What;
use crate::op::{Answer, Op, Value};
use crate::time::SimTime;

pub(super) fn read(text: &str, options: &Options) -> Result<Imported, Problem> {
    let maps = edn::maps(text)?;
    let model = match options.model {
        Some(model) => model,
        None => guess(&maps)?,
    };
    let clock = has_clock(&maps);
    let mut reader = Reader { builder: Builder::new(options.initial.as_ref()), model };
    for (index, map) in maps.iter().enumerate() {
        let at = if clock { time(map).unwrap_or(SimTime::ZERO) } else { at_line(index + 1) };
        reader.operation(map, at)?;
    }
    Ok(reader.builder.finish(Input::Jepsen, model, options, &Initial::Unknown, clock))
}

/// Sets are posted to; otherwise it must be said whether a value begins with a key.
fn guess(maps: &[Map]) -> Result<Model, Problem> {
    let sets = maps.iter().any(|map| matches!(map.get("f"), Some(Edn::Keyword(f)) if f == "add"));
    if sets {
        return Ok(Model::Board);
    }
    let plain = |map: &Map| matches!(map.get("value"), None | Some(Edn::Nil | Edn::Word(_)));
    let client = |map: &&Map| matches!(map.get("process"), Some(Edn::Word(_)));
    let reads = |map: &&Map| matches!(map.get("f"), Some(Edn::Keyword(f)) if f == "read" || f == "write");
    let mut values = maps.iter().filter(client).filter(reads).map(plain);
    match values.next() {
        None => Ok(Model::Register),
        Some(first) if values.all(|plain| plain == first) => Ok(if first { Model::Register } else { Model::Kv }),
        Some(_) => Err(Problem::new(0, "some values are pairs and some are not: say --model register or --model kv")),
    }
}

/// Whether every operation has a time, and none goes back.
fn has_clock(maps: &[Map]) -> bool {
    let mut last = SimTime::ZERO;
    maps.iter().all(|map| time(map).is_some_and(|now| std::mem::replace(&mut last, now) <= now))
}

fn time(map: &Map) -> Option<SimTime> {
    match map.get("time") {
        Some(Edn::Word(word)) => word.parse().ok().map(SimTime::from_nanos),
        _ => None,
    }
}

/// The number of the client process; none for others, such as the nemesis.
pub(super) fn process(map: &Map) -> Result<Option<u32>, Problem> {
    match map.get("process") {
        Some(Edn::Word(word)) => match word.parse() {
            Ok(process) => Ok(Some(process)),
            Err(_) => {
                Err(Problem::new(map.line, format!("`:process {word}` is no process: a whole number was expected")))
            }
        },
        Some(Edn::Keyword(_)) => Ok(None),
        Some(other) => Err(Problem::new(map.line, format!("`:process {}` is no process", short(other)))),
        None => Err(Problem::new(map.line, "an operation without `:process`")),
    }
}

pub(super) fn keyword<'a>(map: &'a Map, key: &str) -> Result<&'a str, Problem> {
    match map.get(key) {
        Some(Edn::Keyword(word)) => Ok(word),
        Some(other) => Err(Problem::new(map.line, format!("`:{key} {}`: a keyword was expected", short(other)))),
        None => Err(Problem::new(map.line, format!("an operation without `:{key}`"))),
    }
}

struct Reader {
    builder: Builder,
    model: Model,
}

impl Reader {
    fn operation(&mut self, map: &Map, at: SimTime) -> Result<(), Problem> {
        let Some(process) = process(map)? else { return Ok(()) };
        let (kind, f) = (keyword(map, "type")?, keyword(map, "f")?);
        let value = map.get("value").unwrap_or(&Edn::Nil);
        let line = map.line;
        if kind == "invoke" {
            let op = self.op(line, f, value)?;
            return self.builder.invoke(line, at, process, op);
        }
        let op = self.builder.doing(line, process)?;
        let what = match kind {
            "ok" => self.answer(line, op, value)?,
            "fail" => What::Fail,
            "info" => What::Info,
            other => {
                return Err(Problem::new(line, format!("`:type :{other}`: invoke, ok, fail or info was expected")));
            }
        };
        self.builder.end(line, at, process, what)
    }

    fn op(&mut self, line: usize, f: &str, value: &Edn) -> Result<Op, Problem> {
        // A read of a set has no value yet, and its key would be in it.
        let (key, value) = self.key_and_value(line, value, f == "read")?;
        match (f, self.model) {
            ("read", _) => Ok(Op::Read { key }),
            ("add", Model::Board) => Ok(Op::Post { key, value: self.value(value) }),
            ("write", Model::Kv | Model::Register) => Ok(Op::Put { key, value: self.value(value) }),
            ("cas", Model::Kv | Model::Register) => match value {
                Edn::List(pair) if pair.len() == 2 => {
                    let (expect, value) = (self.value(&pair[0]).digest, self.value(&pair[1]));
                    Ok(Op::CompareAndSwap { key, expect, value })
                }
                other => Err(Problem::new(line, format!("`:cas` of {}: [old new] was expected", short(other)))),
            },
            (other, Model::Board) => {
                Err(Problem::new(line, format!("`:f :{other}` is not known of a board: read or add")))
            }
            (other, _) => Err(Problem::new(line, format!("`:f :{other}` is not known of a cell: read, write or cas"))),
        }
    }

    fn answer(&mut self, line: usize, op: Op, value: &Edn) -> Result<What, Problem> {
        match op {
            Op::Read { .. } => {
                let (key, value) = self.key_and_value(line, value, true)?;
                if key != op.key() {
                    return Err(Problem::new(line, "it answers a read of another key"));
                }
                match (self.model, value) {
                    // Nobody can tell whether nothing was there or nothing is known.
                    (_, Edn::Nil) => Ok(What::Info),
                    (Model::Board, Edn::Set(items) | Edn::List(items)) => Ok(saw(self.sum(items))),
                    (Model::Board, other) => Err(Problem::new(
                        line,
                        format!("a read of a board answers {}: a set was expected", short(other)),
                    )),
                    (_, value) => Ok(saw(self.value(value))),
                }
            }
            Op::CompareAndSwap { .. } => Ok(ok(Answer::Swapped(true))),
            Op::Post { .. } | Op::Put { .. } | Op::Append { .. } => Ok(ok(Answer::Done)),
        }
    }

    /// What a thread with these posts answers.
    fn sum(&mut self, items: &[Edn]) -> Value {
        let mut texts: Vec<String> = items.iter().map(Edn::text).collect();
        texts.sort_unstable();
        let mut sum = 0;
        for text in &texts {
            let value = self.builder.value(text);
            sum = Op::Post { key: 0, value }.apply(sum, 0).0;
        }
        Value { digest: sum, bytes: 0 }
    }

    fn value(&mut self, value: &Edn) -> Value {
        match value {
            Edn::Nil => self.builder.absent(),
            other => self.builder.value(&other.text()),
        }
    }

    /// Takes `[key value]` apart. A board may have one set without a key.
    fn key_and_value<'a>(&mut self, line: usize, value: &'a Edn, is_read: bool) -> Result<(u32, &'a Edn), Problem> {
        match (self.model, value) {
            (Model::Register, value) => Ok((self.builder.key("0"), value)),
            (Model::Kv, Edn::List(pair)) if pair.len() == 2 => Ok((self.builder.key(&pair[0].text()), &pair[1])),
            (Model::Kv, other) => {
                Err(Problem::new(line, format!("`:value {}`: [key value] was expected in a kv history", short(other))))
            }
            (Model::Board, Edn::List(pair)) if pair.len() == 2 && is_keyed(&pair[1], is_read) => {
                Ok((self.builder.key(&pair[0].text()), &pair[1]))
            }
            (Model::Board, value) => Ok((self.builder.key("0"), value)),
        }
    }
}

/// Whether `[x this]` is a key and a value rather than a set of two.
fn is_keyed(second: &Edn, is_read: bool) -> bool {
    !is_read || matches!(second, Edn::Nil | Edn::Set(_) | Edn::List(_))
}
