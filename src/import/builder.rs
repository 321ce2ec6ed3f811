//! From lines that name a process to events that number the operations of clients.

use std::collections::BTreeMap;

use super::{Imported, Initial, Input, MOST_EVENTS, Model, Options, Problem};
use crate::hash;
use crate::history::{Event, What};
use crate::id::{ClientId, DcId, NodeId, ServiceId};
use crate::op::{Answer, Op, Tip, Value};
use crate::time::SimTime;

/// An operation that has begun and has not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    line: usize,
    number: u32,
    op: Op,
    invoked: SimTime,
}

/// Collects the events of a file whose processes do one thing after the other.
#[derive(Debug, Default)]
pub(super) struct Builder {
    events: Vec<Event>,
    open: BTreeMap<u32, Open>,
    /// Reads and writes of each process so far.
    counts: BTreeMap<u32, [u32; 2]>,
    digests: BTreeMap<String, u64>,
    numbers: BTreeMap<String, u32>,
    keys: Vec<String>,
    /// A value that counts as absent, since it is there before anything is written.
    first: Option<String>,
    pub left_out: Vec<String>,
}

impl Builder {
    pub(super) fn new(initial: Option<&Initial>) -> Self {
        let first = match initial {
            Some(Initial::Value(value)) => Some(value.clone()),
            _ => None,
        };
        Self { first, ..Self::default() }
    }

    /// A value by its text; one text is one value.
    pub(super) fn value(&mut self, text: &str) -> Value {
        let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
        if self.first.as_deref() == Some(text) {
            return Value { digest: 0, bytes };
        }
        let next = self.digests.len() as u64 + 1;
        let digest = *self.digests.entry(text.to_owned()).or_insert_with(|| hash::of([next]).max(1));
        Value { digest, bytes }
    }

    /// Absent, where the first value is not absence itself.
    pub(super) fn absent(&mut self) -> Value {
        if self.first.is_some() { self.value("nil") } else { Value { digest: 0, bytes: 0 } }
    }

    pub(super) fn key(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = self.keys.len() as u32;
        self.keys.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    pub(super) fn invoke(&mut self, line: usize, at: SimTime, process: u32, op: Op) -> Result<(), Problem> {
        if let Some(open) = self.open.get(&process) {
            let message = format!("process {process} begins again, and what it began in line {} is open", open.line);
            return Err(Problem::new(line, message));
        }
        let count = &mut self.counts.entry(process).or_default()[usize::from(op.is_read())];
        *count += 1;
        let open = Open { line, number: *count, op, invoked: at };
        self.open.insert(process, open);
        self.push(line, at, process, open, What::Invoke)
    }

    /// What the process is doing.
    pub(super) fn doing(&self, line: usize, process: u32) -> Result<Op, Problem> {
        let open = self.open.get(&process);
        open.map(|open| open.op)
            .ok_or_else(|| Problem::new(line, format!("process {process} ends an operation that it did not begin")))
    }

    pub(super) fn end(&mut self, line: usize, at: SimTime, process: u32, what: What) -> Result<(), Problem> {
        self.doing(line, process)?;
        match self.open.remove(&process) {
            Some(open) => self.push(line, at, process, open, what),
            None => Ok(()),
        }
    }

    fn push(&mut self, line: usize, at: SimTime, process: u32, open: Open, what: What) -> Result<(), Problem> {
        if self.events.len() >= MOST_EVENTS {
            return Err(Problem::new(line, format!("there are more than {MOST_EVENTS} events")));
        }
        let Open { number, op, invoked, .. } = open;
        let (service, place, client) = (ServiceId(0), DcId(0), ClientId(process));
        self.events.push(Event { at, service, place, client, number, op, invoked, what });
        Ok(())
    }

    pub(super) fn finish(
        self,
        input: Input,
        model: Model,
        options: &Options,
        default: &Initial,
        clock: bool,
    ) -> Imported {
        let initial = options.initial.as_ref().unwrap_or(default);
        Imported {
            input,
            model: Some(model),
            events: self.events,
            services: vec![String::new()],
            keys: self.keys,
            values: self.digests.into_iter().map(|(text, digest)| (digest, text)).collect(),
            initial_unknown: *initial == Initial::Unknown,
            clock,
            left_out: self.left_out,
        }
    }
}

/// A final answer.
pub(super) fn ok(answer: Answer) -> What {
    What::Ok { answer, server: NodeId(0), epoch: 0, token: Tip::default(), degraded: false }
}

/// A read's answer.
pub(super) fn saw(value: Value) -> What {
    ok(Answer::Read { digest: value.digest, bytes: value.bytes })
}

/// Lines stand for time where a file has none: one a second.
pub(super) fn at_line(line: usize) -> SimTime {
    SimTime::from_nanos((line as u64).saturating_mul(1_000_000_000))
}
