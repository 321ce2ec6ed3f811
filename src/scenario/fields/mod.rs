//! One table of everything that may stand in a scenario: names, shapes, defaults, units, sources, grades.
//!
//! The table drives the check of structure, the filling in of defaults, suggestions, the JSON Schema and
//! `list defaults`. What a value *means* together with others is checked in [`super::build`].

pub mod load;
pub mod protocols;
pub mod reorganise;
pub mod services;
pub mod timeline;
pub mod topology;

/// How sure a default is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// Read or computed from primary text or data.
    A,
    /// Commonly stated, not checked.
    M,
    /// Judgement.
    J,
    /// A choice of this format; there is nothing to measure.
    None,
}

impl Grade {
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::M => "M",
            Self::J => "J",
            Self::None => "-",
        }
    }
}

/// What may stand at a place.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    Flag,
    Whole {
        from: u64,
        to: u64,
    },
    /// A whole number beyond what a double holds exactly: a number, or its digits as a text.
    Wide {
        from: u64,
        to: u64,
    },
    /// `open`: above `from`, not equal to it.
    Number {
        from: f64,
        to: f64,
        open: bool,
    },
    /// A whole number of bytes, or a size.
    Bytes {
        from: u64,
        to: u64,
    },
    /// Any text.
    Text,
    /// A new name: the text says of what.
    Name(&'static str),
    /// The name of something: the text says of what. Whether it exists is checked later.
    Known(&'static str),
    /// A length of time; `zero`: it may be 0.
    Time {
        zero: bool,
    },
    /// A length of time that may be negative.
    Jump,
    Rate,
    Bandwidth,
    /// (word, meaning).
    OneOf(&'static [(&'static str, &'static str)]),
    List {
        of: &'static Shape,
        from: usize,
        to: usize,
    },
    Object(&'static Record),
    /// The record whose name the field `tag` holds.
    Tagged {
        tag: &'static str,
        variants: &'static [&'static Record],
    },
    /// An object of labels; each value is `Tagged` by `tag`, which defaults to the label.
    Labelled {
        tag: &'static str,
        variants: &'static [&'static Record],
    },
    /// Told apart by the kind of JSON value.
    Either(&'static [Shape]),
}

/// What holds if a field is left out.
#[derive(Clone, Copy, Debug)]
pub enum Default {
    /// It must be there.
    Required,
    /// Nothing is filled in; the text says what that means.
    Absent(&'static str),
    /// This JSON is filled in.
    Json(&'static str),
    /// This JSON holds, but is not filled in, so that what is older than the field resolves as it did before.
    Implied(&'static str),
    /// A value that depends on the rest of the scenario is filled in; the text says which.
    Derived(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub shape: Shape,
    pub default: Default,
    /// What it means, in a sentence.
    pub says: &'static str,
    /// Of the default.
    pub source: &'static str,
    pub grade: Grade,
}

/// Exactly one of these fields (at most one, unless `required`).
#[derive(Debug)]
pub struct Choice {
    pub of: &'static [&'static str],
    pub required: bool,
}

/// An object.
#[derive(Debug)]
pub struct Record {
    pub name: &'static str,
    pub says: &'static str,
    pub parts: &'static [&'static [Field]],
    pub choice: Option<Choice>,
}

impl Record {
    pub fn fields(&self) -> impl Iterator<Item = &'static Field> + Clone {
        self.parts.iter().flat_map(|part| part.iter())
    }
}

/// A field that must be there.
pub const fn need(name: &'static str, shape: Shape, says: &'static str) -> Field {
    Field { name, shape, default: Default::Required, says, source: "", grade: Grade::None }
}

/// A field that may be left out; `absent` says what that means.
pub const fn may(name: &'static str, shape: Shape, absent: &'static str, says: &'static str) -> Field {
    Field { name, shape, default: Default::Absent(absent), says, source: "", grade: Grade::None }
}

/// A field whose default depends on the rest.
pub const fn derived(name: &'static str, shape: Shape, from: &'static str, says: &'static str) -> Field {
    Field { name, shape, default: Default::Derived(from), says, source: "", grade: Grade::None }
}

/// A field with a default that is a choice of the format.
pub const fn plain(name: &'static str, shape: Shape, json: &'static str, says: &'static str) -> Field {
    Field { name, shape, default: Default::Json(json), says, source: "choice of this format", grade: Grade::None }
}

/// A field with a default that has a source.
pub const fn graded(
    name: &'static str,
    shape: Shape,
    json: &'static str,
    says: &'static str,
    grade: Grade,
    source: &'static str,
) -> Field {
    Field { name, shape, default: Default::Json(json), says, source, grade }
}

/// A field with a default that holds without being filled in.
pub const fn implied(
    name: &'static str,
    shape: Shape,
    json: &'static str,
    says: &'static str,
    grade: Grade,
    source: &'static str,
) -> Field {
    Field { name, shape, default: Default::Implied(json), says, source, grade }
}

pub const PROBABILITY: Shape = Shape::Number { from: 0.0, to: 1.0, open: false };
pub const POSITIVE: Shape = Shape::Number { from: 0.0, to: 1e9, open: true };
pub const TIME: Shape = Shape::Time { zero: false };
pub const TIME_OR_ZERO: Shape = Shape::Time { zero: true };
pub const DATA_CENTER: Shape = Shape::Known("data center");
pub const NODE: Shape = Shape::Known("node");
/// A data center, a node, or `*`.
pub const SITE: Shape = Shape::Known("data center or node");
pub const SERVICE: Shape = Shape::Known("service");
pub const ANY: usize = usize::MAX;

const SOURCES: Shape = Shape::List { of: &Shape::Text, from: 0, to: ANY };

const CHECKS: Shape = Shape::List {
    of: &Shape::OneOf(&[
        (
            "linearizability",
            "the history is linearizable, where the protocol promises it; every operation is kept in memory",
        ),
        ("accounts", "one history revokes no acknowledged write, and elsewhere the client of a revoked one is told"),
        ("succession", "who is taken into a view, when a change goes on without a member, what a merge goes on from"),
        ("rest", "long after the last fault nobody is left out of the view, and none is installed"),
    ]),
    from: 1,
    to: ANY,
};

/// A whole scenario.
pub static SCENARIO: Record = Record {
    name: "scenario",
    says: "A rehearsal: a world, services in it, protocols that replicate them, users, and what goes wrong.",
    parts: &[&[
        may("$schema", Shape::Text, "none", "Where an editor finds the schema. It has no effect on a run."),
        need("format", Shape::Whole { from: 1, to: 1 }, "Version of this format."),
        need("name", Shape::Name("scenario"), "Results are named after it."),
        plain("description", Shape::Text, "\"\"", "What is rehearsed; which parts are fact and which are assumption."),
        plain("sources", SOURCES, "[]", "Where the facts come from."),
        plain("seed", Shape::Wide { from: 0, to: u64::MAX }, "1", "Of every random draw of a run."),
        need("duration", TIME, "Simulated time in which requests arrive."),
        graded(
            "warmup",
            TIME_OR_ZERO,
            "\"10s\"",
            "Requests that start before this instant are not counted.",
            Grade::J,
            "judgement: a few times the time to install a first view",
        ),
        graded(
            "drain",
            TIME_OR_ZERO,
            "\"60s\"",
            "Time after `duration` without arrivals, before the final judgement.",
            Grade::J,
            "judgement: longer than convergence after a heal",
        ),
        need("topology", Shape::Object(&topology::TOPOLOGY), "Sites, links and machines."),
        need("services", services::SERVICES, "What is replicated."),
        need(
            "protocols",
            Shape::Labelled { tag: "kind", variants: protocols::KINDS },
            "Labels, and the protocol under each.",
        ),
        need("workload", load::WORKLOAD, "Who asks what, from where, how often."),
        may(
            "reorganise",
            reorganise::REORGANISE,
            "`off`",
            "Services lend, borrow and move machines. Energy is measured in scenarios that have it.",
        ),
        plain("timeline", timeline::TIMELINE, "[]", "What happens when. It may be unsorted."),
        plain("failures", timeline::FAILURES, "[]", "Failures at random, beside the timeline."),
        may("checks", CHECKS, "none", "Checks beyond those that every run is judged by."),
        plain("expect", load::EXPECTATIONS, "[]", "What the results must show; a run that does not exits with 1."),
    ]],
    choice: None,
};
