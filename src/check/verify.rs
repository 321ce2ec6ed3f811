//! Every judge of histories, over the whole of one or over a part of it.
//!
//! A part is judged as if the run had begun with it, in a state that nobody knows: what was written before may
//! be there or not, and what was not answered yet may happen at any time later. So whatever is true of the
//! whole is true of each part, and a part after a disaster is not blamed for what the disaster did.

use std::collections::BTreeMap;

use super::account::{Finding, story};
use super::linearizability::thread::decide_known;
use super::linearizability::{self, Operation, Start, Verdict, check_keys, decide};
pub use super::seen::Span;
use super::seen::{Saw, Service, services};
use super::{causal, sequential, sessions, writes};
use crate::history::Event;
use crate::id::ServiceId;
use crate::op::Answer;

/// Steps to find out what reads of threads saw.
const STEPS_TO_RESOLVE: u64 = 200_000_000;

/// A property that a history has or has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    Linearizable,
    Sequential,
    CausalConvergence,
    Causal,
    ReadYourWrites,
    MonotonicReads,
    MonotonicWrites,
    WritesFollowReads,
    LostWrites,
    RevokedWrites,
    DuplicatedWrites,
}

impl Check {
    pub const ALL: [Self; 11] = [
        Self::Linearizable,
        Self::Sequential,
        Self::CausalConvergence,
        Self::Causal,
        Self::ReadYourWrites,
        Self::MonotonicReads,
        Self::MonotonicWrites,
        Self::WritesFollowReads,
        Self::LostWrites,
        Self::RevokedWrites,
        Self::DuplicatedWrites,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Linearizable => "linearizable",
            Self::Sequential => "sequential",
            Self::CausalConvergence => "causal-convergence",
            Self::Causal => "causal",
            Self::ReadYourWrites => "read-your-writes",
            Self::MonotonicReads => "monotonic-reads",
            Self::MonotonicWrites => "monotonic-writes",
            Self::WritesFollowReads => "writes-follow-reads",
            Self::LostWrites => "no-lost-writes",
            Self::RevokedWrites => "no-revoked-writes",
            Self::DuplicatedWrites => "no-duplicated-writes",
        }
    }

    /// What it states, in a sentence.
    pub const fn states(self) -> &'static str {
        match self {
            Self::Linearizable => {
                "one order of all operations explains every answer, and no operation leaves its interval"
            }
            Self::Sequential => {
                "one order of all operations explains every answer, and keeps the order of each session"
            }
            Self::CausalConvergence => {
                "every session sees what causally precedes it, and all agree on the order of writes"
            }
            Self::Causal => "every session sees what causally precedes it",
            Self::ReadYourWrites => "a session sees its own writes, or newer ones",
            Self::MonotonicReads => "a session that saw a write never sees an older state",
            Self::MonotonicWrites => "whoever sees a write sees the earlier ones of its session",
            Self::WritesFollowReads => "whoever sees a write sees what its session had seen before it",
            Self::LostWrites => "every acknowledged write is there when its key is last read",
            Self::RevokedWrites => "no acknowledged write is revoked",
            Self::DuplicatedWrites => "no post is seen twice",
        }
    }

    /// Whether every sequentially consistent history has it.
    const fn follows_from_sequential(self) -> bool {
        matches!(
            self,
            Self::CausalConvergence
                | Self::Causal
                | Self::ReadYourWrites
                | Self::MonotonicReads
                | Self::MonotonicWrites
                | Self::WritesFollowReads
        )
    }

    /// Whether every linearizable history has it.
    const fn follows_from_linearizable(self) -> bool {
        self.follows_from_sequential() || matches!(self, Self::Sequential | Self::LostWrites | Self::DuplicatedWrites)
    }
}

/// Order of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Valid,
    Unknown,
    Violated,
}

impl Outcome {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Unknown => "unknown",
            Self::Violated => "violated",
        }
    }
}

/// What one judge says of one service in one span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub check: Check,
    pub outcome: Outcome,
    /// Of a violation the smallest evidence there is; of what is unknown, why.
    pub evidence: Option<String>,
}

/// A history, prepared for its judges.
#[derive(Clone, Debug)]
pub struct History {
    services: BTreeMap<ServiceId, Service>,
    /// Why no verdict can be better than unknown.
    incomplete: Option<String>,
}

impl History {
    /// `initial_unknown`: cells begin with any value instead of none. `incomplete`: something that was
    /// observed is not among the events, so nothing is valid for certain.
    pub fn new(events: &[Event], initial_unknown: bool, incomplete: Option<String>) -> Self {
        Self { services: services(events, initial_unknown, &mut { STEPS_TO_RESOLVE }), incomplete }
    }

    pub fn services(&self) -> impl Iterator<Item = ServiceId> + '_ {
        self.services.keys().copied()
    }

    /// Operations that may have happened and began in a span.
    pub fn operations(&self, service: ServiceId, span: Span) -> usize {
        let Some(service) = self.services.get(&service) else { return 0 };
        service.operations.iter().filter(|operation| span.contains(operation.invoked)).count()
    }

    /// Judges a service in a span. Each judge has `budget` steps, of about a microsecond; when they are
    /// used up, its verdict is [`Outcome::Unknown`].
    pub fn judge(&self, service: ServiceId, span: Span, checks: &[Check], budget: u64) -> Vec<Judgement> {
        let Some(service) = self.services.get(&service) else { return Vec::new() };
        let threads = service.writes.keys().any(|&key| service.is_thread(key));
        let applies = |check: &Check| *check != Check::DuplicatedWrites || threads;
        let asked: Vec<Check> = Check::ALL.into_iter().filter(|check| checks.contains(check)).filter(applies).collect();
        let mut found = findings(service, span, &asked, budget);
        asked.into_iter().filter_map(|check| Some(self.judgement(check, found.remove(&check)?))).collect()
    }

    fn judgement(&self, check: Check, finding: Finding) -> Judgement {
        let (outcome, evidence) = match (finding, &self.incomplete) {
            (Finding::Valid, None) => (Outcome::Valid, None),
            (Finding::Valid, Some(why)) => (Outcome::Unknown, Some(why.clone())),
            (Finding::Unknown(why), _) => (Outcome::Unknown, Some(why)),
            (Finding::Violated(evidence), _) => (Outcome::Violated, Some(evidence)),
        };
        Judgement { check, outcome, evidence }
    }
}

/// What the judges find, at least those that are asked. Of a history that is linearizable, or sequentially
/// consistent, much else is known, even where a judge of its own could not tell.
fn findings(service: &Service, span: Span, asked: &[Check], budget: u64) -> BTreeMap<Check, Finding> {
    let wants = |those: &[Check]| those.iter().any(|check| asked.contains(check));
    let mut found: BTreeMap<Check, Finding> = BTreeMap::new();
    let linear = |check: &Check| *check == Check::Linearizable || check.follows_from_linearizable();
    if asked.iter().any(linear) {
        found.insert(Check::Linearizable, linearizable(service, span, budget));
    }
    if wants(&[Check::LostWrites, Check::RevokedWrites, Check::DuplicatedWrites]) {
        let three = writes::judge(service, span);
        found.extend([Check::LostWrites, Check::RevokedWrites, Check::DuplicatedWrites].into_iter().zip(three));
    }
    if found.get(&Check::Linearizable) == Some(&Finding::Valid) {
        let follow = Check::ALL.into_iter().filter(|check| check.follows_from_linearizable());
        found.extend(follow.map(|check| (check, Finding::Valid)));
        return found;
    }
    if wants(&[Check::Causal, Check::CausalConvergence]) {
        let [causal, convergent] = causal::judge(service, span, &mut { budget });
        found.extend([(Check::Causal, causal), (Check::CausalConvergence, convergent)]);
    }
    let names = [Check::ReadYourWrites, Check::MonotonicReads, Check::MonotonicWrites, Check::WritesFollowReads];
    if wants(&names) {
        found.extend(names.into_iter().zip(sessions::judge(service, span, &mut { budget })));
    }
    if asked.iter().any(|check| *check == Check::Sequential || check.follows_from_sequential()) {
        found.insert(Check::Sequential, sequential::judge(service, span, &mut { budget }));
    }
    if found.get(&Check::Sequential) == Some(&Finding::Valid) {
        for (check, finding) in &mut found {
            if check.follows_from_sequential() && matches!(finding, Finding::Unknown(_)) {
                *finding = Finding::Valid;
            }
        }
    }
    found
}

/// Judges linearizability in a span.
fn linearizable(service: &Service, span: Span, budget: u64) -> Finding {
    if let Some(finding) = causal::from_thin_air(service, span) {
        return finding;
    }
    let mut keys: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for index in (0..service.operations.len()).filter(|&index| span.contains(service.operations[index].invoked)) {
        keys.entry(service.key(index)).or_default().push(index);
    }
    let mut questions = Vec::new();
    let mut open = false;
    for (&key, inside) in &keys {
        let (operations, unresolved) = part(service, span, key, inside);
        let start = match start(service, span, key, inside) {
            Ok(start) => start,
            Err(finding) => return finding,
        };
        open |= unresolved;
        // What the judge of threads can not tell from sums may be known from what was seen near by.
        if !unresolved
            && is_board(service, key)
            && decide(&operations, start, &mut { budget }) == Verdict::Unknown
            && as_seen(service, &operations, inside) == Verdict::Valid
        {
            continue;
        }
        questions.push(((ServiceId(0), key), operations, start));
    }
    match check_keys(questions, budget) {
        linearizability::Outcome::Violated { key, evidence, .. } => {
            Finding::Violated(format!("on key {key}, {evidence}"))
        }
        linearizability::Outcome::Valid if !open => Finding::Valid,
        _ => Finding::Unknown("the budget ended first, or what a read saw could not be told".to_owned()),
    }
}

/// Judges a thread by what its reads are known to have seen.
fn as_seen(service: &Service, operations: &[Operation], inside: &[usize]) -> Verdict {
    let name = |operation: &Operation| (operation.op.is_read(), operation.client, operation.number);
    let places: BTreeMap<_, usize> = operations.iter().enumerate().map(|(place, one)| (name(one), place)).collect();
    let reads: BTreeMap<usize, usize> =
        inside.iter().filter_map(|&index| Some((*places.get(&name(&service.operations[index]))?, index))).collect();
    let seen = |read: usize| {
        let posts = reads.get(&read).map_or(&[][..], |&index| service.sources(index));
        posts.iter().filter_map(|&post| places.get(&name(&service.operations[post])).copied()).collect()
    };
    decide_known(operations, &seen)
}

/// The operations of a key in a span, with the writes that may take effect in it though they began outside.
/// Whether some had to be left out.
fn part(service: &Service, span: Span, key: u32, inside: &[usize]) -> (Vec<Operation>, bool) {
    let mut operations: Vec<Operation> = inside.iter().map(|&index| service.operations[index]).collect();
    if span == Span::WHOLE {
        return (operations, false);
    }
    let last = operations.iter().filter_map(|operation| Some(operation.answered?.0)).max().unwrap_or(span.from);
    let may = |operation: &&Operation| {
        (operation.invoked < span.from && operation.returned() >= span.from)
            || (operation.invoked >= span.to && operation.invoked <= last)
    };
    let writes = service.writes.get(&key).into_iter().flatten().map(|&index| &service.operations[index]);
    let outside = writes.filter(|operation| !span.contains(operation.invoked)).filter(may);
    operations.extend(outside.map(|operation| Operation { answered: None, ..*operation }));
    operations.sort_by_key(|operation| operation.invoked);
    let unresolved = is_board(service, key) && inside.iter().any(|&index| service.saw[index] == Saw::Unresolved);
    if unresolved {
        let resolved = |operation: &Operation| {
            let same = |&&index: &&usize| service.operations[index] == *operation;
            inside.iter().find(same).is_none_or(|&index| service.saw[index] != Saw::Unresolved)
        };
        operations.retain(resolved);
    }
    (operations, unresolved)
}

fn is_board(service: &Service, key: u32) -> bool {
    service.is_thread(key) && service.writes.get(&key).is_some_and(|writes| !writes.is_empty())
}

/// What a key holds when a span begins. An error if its reads cannot agree on that.
fn start(service: &Service, span: Span, key: u32, inside: &[usize]) -> Result<Start, Finding> {
    let is_first = service.operations.first().is_none_or(|first| first.invoked >= span.from);
    if !is_board(service, key) {
        if is_first && !service.initial_unknown {
            return Ok(Start::Absent);
        }
        let since = (!is_first && service.unique && !service.initial_unknown).then_some(span.from);
        // What the first append was made to, if that is known.
        let also = inside.iter().find_map(|index| service.appended_to.get(index)).copied();
        return Ok(Start::Unknown { since, also });
    }
    if is_first {
        return Ok(Start::Absent);
    }
    let over = |&post: &usize| service.operations[post].returned() < span.from;
    let mut first: Option<(usize, Vec<usize>)> = None;
    for &index in inside {
        let (Saw::Set(posts), Some((_, Answer::Read { .. }))) =
            (&service.saw[index], service.operations[index].answered)
        else {
            continue;
        };
        let old: Vec<usize> = posts.iter().copied().filter(over).collect();
        match &first {
            None => first = Some((index, old)),
            Some((_, before)) if *before == old => {}
            Some((read, before)) => {
                let other = |post: &&usize| before.binary_search(post).is_ok() != old.binary_search(post).is_ok();
                let post = before.iter().chain(&old).copied().find(|post| other(&post));
                let about: Vec<usize> = post.into_iter().chain([*read, index]).collect();
                let sentence = "a post that was over before comes or goes between these reads";
                return Err(Finding::Violated(story(service, sentence, &about)));
            }
        }
    }
    let sum = |posts: Vec<usize>| posts.into_iter().fold(0, |sum, post| service.operations[post].op.apply(sum, 0).0);
    Ok(Start::Set(first.map_or(0, |(_, posts)| sum(posts))))
}
