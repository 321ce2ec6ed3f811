//! The story of a run: what happened to each service, and why, from the trace alone.
//!
//! Pure: a [`Tape`] and a result go in, a [`Story`] comes out. A cause is told only if the trace shows it: a
//! message that was dropped, a process that was down, a fault that was on. Otherwise the story says that there is
//! [no cause in the trace](why::NO_CAUSE).
//!
//! | file | job |
//! |---|---|
//! | `scene` | faults and processes, for any instant |
//! | `course` | what the replicas of one service did, with the causes that the trace shows |
//! | `why`, `words` | causes, names, lists and times as a story says them |
//! | `beats` | suspicions, elections, corrections: what belongs together becomes one line |
//! | `change` | view changes and merges |
//! | `serve` | who served, which branches there were at once, and outages |
//! | `chapters` | the whole story, cut where faults begin and end |
//! | `instant` | the state at one instant, and what led to it |
//! | `request` | the life of one request |

mod beats;
mod change;
mod chapters;
mod course;
mod instant;
mod request;
mod scene;
mod serve;
mod why;
mod words;

use serde::{Serialize, Serializer};

use crate::scenario::Scenario;
use crate::time::SimTime;

pub use chapters::tell;
pub use course::is_heartbeat;
pub use instant::{Instant, at};
pub use request::{Failed, Life, failed, find, life, parse};
pub use scene::{FaultSpan, Life as Running, Scene};
pub use why::NO_CAUSE;
pub use words::{grouped, request as request_name};

/// What kind of thing a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    FaultBegins,
    FaultEnds,
    Suspicion,
    Trust,
    ViewChange,
    Merge,
    Campaign,
    Election,
    Following,
    Serving,
    Branches,
    HoldDown,
    StepDown,
    Correction,
    Refusal,
    Recovery,
    Membership,
    Outage,
    Converged,
    Request,
}

/// A line of a story.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    #[serde(rename = "at_s", serialize_with = "seconds")]
    pub at: SimTime,
    /// When the last of what the line tells happened.
    #[serde(rename = "until_s", serialize_with = "seconds")]
    pub until: SimTime,
    pub kind: Kind,
    pub text: String,
    /// The causes, as the trace shows them.
    pub because: Vec<String>,
    /// Labels of the faults among the causes.
    pub faults: Vec<String>,
}

impl Line {
    pub fn new(at: SimTime, kind: Kind, text: impl Into<String>) -> Self {
        Self { at, until: at, kind, text: text.into(), because: Vec::new(), faults: Vec::new() }
    }
}

/// What happened between two changes of the world.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chapter {
    #[serde(rename = "from_s", serialize_with = "seconds")]
    pub from: SimTime,
    #[serde(rename = "to_s", serialize_with = "seconds")]
    pub to: SimTime,
    /// The faults that begin or end here.
    pub heads: Vec<Line>,
    pub lines: Vec<Line>,
    /// Requests that started in it, and those of them that were answered in time.
    pub requests: u64,
    pub answered: u64,
}

/// Seconds in which requests started and none succeeded, in a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outage {
    pub from_s: u64,
    /// The first second after it.
    pub to_s: u64,
    /// Of its seconds, those in which requests started.
    pub out_s: u64,
    pub requests: u64,
}

/// The story of one service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceStory {
    pub service: String,
    pub replicas: Vec<String>,
    pub outages: Vec<Outage>,
    pub chapters: Vec<Chapter>,
    /// What is left at the end.
    pub remains: Vec<String>,
}

/// The story of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Story {
    pub scenario: String,
    pub protocol: String,
    pub seed: u64,
    pub services: Vec<ServiceStory>,
}

/// serde passes fields by reference.
fn seconds<S: Serializer>(at: &SimTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(at.as_secs_f64())
}

/// What a teller needs of a run.
#[derive(Clone, Copy)]
struct Stage<'a> {
    scenario: &'a Scenario,
    scene: &'a Scene,
}

impl<'a> Stage<'a> {
    fn words(self) -> words::Words<'a> {
        words::Words { scenario: self.scenario }
    }
    fn telling(self) -> why::Telling<'a> {
        why::Telling { words: self.words(), scene: self.scene }
    }
}
