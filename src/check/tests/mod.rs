//! The judges of histories: by hand, against every order tried, and on large ones.

mod hand;
mod large;
mod oracle;
mod small;
mod spans;

use super::account::Finding;
use super::linearizability::Operation;
use super::seen::{Service, Span, resolve};
use super::verify::Check;
use super::{causal, sequential, sessions};
use crate::id::ClientId;
use crate::op::{Answer, Op, Value};
use crate::time::SimTime;

const PLENTY: u64 = 50_000_000;

/// Client, from, to, what, and the answer; without one it is open for ever.
type Plain = (u32, u64, u64, Op, Option<Answer>);

fn value(digest: u64) -> Value {
    Value { digest, bytes: 1 }
}
fn put(key: u32, digest: u64) -> Op {
    Op::Put { key, value: value(digest) }
}
fn post(key: u32, digest: u64) -> Op {
    Op::Post { key, value: value(digest) }
}
fn swap(key: u32, expect: u64, digest: u64) -> Op {
    Op::CompareAndSwap { key, expect, value: value(digest) }
}
fn read(key: u32) -> Op {
    Op::Read { key }
}
fn saw(digest: u64) -> Option<Answer> {
    Some(Answer::Read { digest, bytes: 0 })
}
/// The answer of a thread with these posts.
fn saw_posts(posts: &[u64]) -> Option<Answer> {
    saw(posts.iter().fold(0, |digest, &of| post(0, of).apply(digest, 0).0))
}
const DONE: Option<Answer> = Some(Answer::Done);
const SWAPPED: Option<Answer> = Some(Answer::Swapped(true));
const REFUSED: Option<Answer> = Some(Answer::Swapped(false));

fn seconds(seconds: u64) -> SimTime {
    SimTime::from_nanos(seconds * 1_000_000_000)
}

fn operation((number, &(client, from, to, op, answer)): (usize, &Plain)) -> Operation {
    let answered = answer.map(|answer| (seconds(to), answer));
    Operation { client: ClientId(client), number: number as u32 + 1, op, invoked: seconds(from), answered }
}

fn service(plain: &[Plain]) -> Service {
    resolve(plain.iter().enumerate().map(operation).collect(), false, &mut { PLENTY })
}

/// Sessions one after the other, each operation after the one before it, all at the same time.
fn sessions_of(sessions: &[&[(Op, Option<Answer>)]]) -> Vec<Plain> {
    let session = |(client, operations): (usize, &&[(Op, Option<Answer>)])| {
        let plain = operations
            .iter()
            .enumerate()
            .map(move |(place, &(op, answer))| (client as u32, 10 * place as u64, 10 * place as u64 + 9, op, answer));
        plain.collect::<Vec<_>>()
    };
    sessions.iter().enumerate().flat_map(session).collect()
}

/// What each judge but that of linearizability finds, none knowing of the others.
fn findings(service: &Service, span: Span, budget: u64) -> Vec<(Check, Finding)> {
    let [causal, convergent] = causal::judge(service, span, &mut { budget });
    let four = sessions::judge(service, span, &mut { budget });
    let names = [Check::ReadYourWrites, Check::MonotonicReads, Check::MonotonicWrites, Check::WritesFollowReads];
    let mut all = vec![
        (Check::Sequential, sequential::judge(service, span, &mut { budget })),
        (Check::CausalConvergence, convergent),
        (Check::Causal, causal),
    ];
    all.extend(names.into_iter().zip(four));
    all
}
