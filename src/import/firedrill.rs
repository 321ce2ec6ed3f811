//! firedrill's own `history.jsonl`: a JSON object a line, as `run --history` writes it, with or without the
//! first and last line that vouch for the rest.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

use super::builder::ok;
use super::{Imported, Initial, Input, MOST_EVENTS, Model, Options, Problem, seal};
use crate::history::{Event, What};
use crate::id::{ClientId, DcId, NodeId, ServiceId};
use crate::op::{Answer, Op, Value};
use crate::time::SimTime;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    t_ns: u64,
    client: u32,
    number: u32,
    service: String,
    place: String,
    #[serde(rename = "type")]
    kind: String,
    op: String,
    key: u32,
    value: Json,
    result: Json,
    server: Option<String>,
    view: Option<u64>,
}

/// What is known of an operation so far.
struct Begun {
    line: usize,
    op: Op,
    invoked: SimTime,
    ended: Option<usize>,
}

#[derive(Default)]
struct Reader {
    events: Vec<Event>,
    /// By service, client, whether it reads, and number.
    begun: BTreeMap<(ServiceId, u32, bool, u32), Begun>,
    services: Vec<String>,
    places: Vec<String>,
    servers: Vec<String>,
    now: u64,
}

pub(super) fn read(text: &str, options: &Options) -> Result<Imported, Problem> {
    if matches!(options.initial, Some(Initial::Value(_))) {
        return Err(Problem::new(0, "a history of firedrill begins with nothing: --initial absent or unknown"));
    }
    let (before, events) = seal::open(text)?;
    let mut reader = Reader::default();
    for (index, line) in events.lines().enumerate() {
        if !line.trim().is_empty() {
            reader.line(before + index + 1, line, options.model)?;
        }
    }
    Ok(Imported {
        input: Input::Firedrill,
        model: options.model,
        events: reader.events,
        services: reader.services,
        keys: Vec::new(),
        values: BTreeMap::new(),
        initial_unknown: options.initial == Some(Initial::Unknown),
        clock: true,
        left_out: Vec::new(),
    })
}

impl Reader {
    fn line(&mut self, number: usize, text: &str, model: Option<Model>) -> Result<(), Problem> {
        let wrong = |message: String| Problem::new(number, message);
        let line: Line = serde_json::from_str(text).map_err(|error| {
            if error.is_eof() {
                wrong("the line ends in the middle: the file is not whole".to_owned())
            } else {
                // The only line that serde knows of is this one.
                let text = error.to_string();
                let text = text.split(" at line ").next().unwrap_or(&text);
                wrong(format!("it is no line of a history: {text} (column {})", error.column()))
            }
        })?;
        if line.t_ns < self.now {
            return Err(wrong("it is earlier than the line before it".to_owned()));
        }
        self.now = line.t_ns;
        if self.events.len() >= MOST_EVENTS {
            return Err(wrong(format!("there are more than {MOST_EVENTS} events")));
        }
        let op = op(&line).map_err(wrong)?;
        if let Some(model) = model {
            suits(op, model).map_err(|message| Problem::new(number, message))?;
        }
        let event = self.event(number, &line, op)?;
        self.events.push(event);
        Ok(())
    }

    fn event(&mut self, number: usize, line: &Line, op: Op) -> Result<Event, Problem> {
        let wrong = |message: String| Err(Problem::new(number, message));
        let service = ServiceId(intern(&mut self.services, &line.service));
        let place = DcId(intern(&mut self.places, &line.place));
        let server = line.server.as_ref().map_or(NodeId(0), |name| NodeId(intern(&mut self.servers, name)));
        let at = SimTime::from_nanos(line.t_ns);
        let name = (service, line.client, op.is_read(), line.number);
        let what = match what(line, op, server) {
            Ok(what) => what,
            Err(message) => return wrong(message),
        };
        if what == What::Invoke {
            if let Some(before) = self.begun.get(&name) {
                return wrong(format!(
                    "{} {} of client {} began in line {} already",
                    line.op, line.number, line.client, before.line
                ));
            }
            self.begun.insert(name, Begun { line: number, op, invoked: at, ended: None });
        }
        let Some(begun) = self.begun.get_mut(&name) else {
            return wrong(format!(
                "{} {} of client {} ends, and did not begin before",
                line.op, line.number, line.client
            ));
        };
        if begun.op != op {
            return wrong(format!("it is another operation than in line {}, under the same number", begun.line));
        }
        if !matches!(what, What::Invoke | What::Revoked { .. }) {
            if let Some(ended) = begun.ended {
                return wrong(format!("this operation ended in line {ended} already"));
            }
            begun.ended = Some(number);
        }
        let client = ClientId(line.client);
        Ok(Event { at, service, place, client, number: line.number, op, invoked: begun.invoked, what })
    }
}

/// Names are few.
fn intern(names: &mut Vec<String>, name: &str) -> u32 {
    let found = names.iter().position(|known| known == name);
    found.unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    }) as u32
}

fn suits(op: Op, model: Model) -> Result<(), String> {
    match (op, model) {
        (Op::Read { .. }, Model::Kv | Model::Board)
        | (Op::Post { .. }, Model::Board)
        | (Op::Put { .. } | Op::Append { .. } | Op::CompareAndSwap { .. }, Model::Kv) => Ok(()),
        (_, Model::Register) if op.key() != 0 => Err(format!("key {}: a register has key 0 only", op.key())),
        (Op::Post { .. }, Model::Register | Model::Kv) => Err("a post: this is a history of a board".to_owned()),
        (_, Model::Register) => Ok(()),
        (_, Model::Board) => Err(format!("a {}: this is a history of a kv", op.name())),
    }
}

fn digest(value: &Json) -> Option<u64> {
    let text = value.as_str()?;
    let plain = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if plain { u64::from_str_radix(text, 16).ok() } else { None }
}

fn op(line: &Line) -> Result<Op, String> {
    let key = line.key;
    let value = || {
        let digest = digest(&line.value)
            .ok_or_else(|| format!("`value` {}: 16 hexadecimal digits were expected", line.value))?;
        Ok::<Value, String>(Value { digest, bytes: 0 })
    };
    match line.op.as_str() {
        "read" if line.value.is_null() => Ok(Op::Read { key }),
        "read" => Err(format!("`value` {} of a read: null was expected", line.value)),
        "post" => Ok(Op::Post { key, value: value()? }),
        "put" => Ok(Op::Put { key, value: value()? }),
        "append" => Ok(Op::Append { key, value: value()? }),
        "compare-and-swap" => {
            let pair = line.value.as_array().filter(|pair| pair.len() == 2);
            let pair = pair.and_then(|pair| Some((digest(&pair[0])?, digest(&pair[1])?)));
            let (expect, new) = pair.ok_or_else(|| format!("`value` {}: two digests were expected", line.value))?;
            Ok(Op::CompareAndSwap { key, expect, value: Value { digest: new, bytes: 0 } })
        }
        other => Err(format!("`op` {other:?}: read, post, put, append or compare-and-swap was expected")),
    }
}

fn what(line: &Line, op: Op, server: NodeId) -> Result<What, String> {
    let unexpected = || Err(format!("`result` {} does not answer a {}", line.result, op.name()));
    match line.kind.as_str() {
        "invoke" => Ok(What::Invoke),
        "fail" => Ok(What::Fail),
        "info" => Ok(What::Info),
        "revoked" => Ok(What::Revoked { server }),
        "ok" => {
            let answer = match (op, &line.result) {
                (Op::Read { .. }, result) => match digest(result) {
                    Some(digest) => Answer::Read { digest, bytes: 0 },
                    None => return unexpected(),
                },
                (Op::CompareAndSwap { .. }, Json::Bool(swapped)) => Answer::Swapped(*swapped),
                (Op::Post { .. } | Op::Put { .. } | Op::Append { .. }, Json::Bool(true)) => Answer::Done,
                _ => return unexpected(),
            };
            let What::Ok { token, degraded, .. } = ok(answer) else { return unexpected() };
            Ok(What::Ok { answer, server, epoch: line.view.unwrap_or(0), token, degraded })
        }
        other => Err(format!("`type` {other:?}: invoke, ok, fail, info or revoked was expected")),
    }
}
