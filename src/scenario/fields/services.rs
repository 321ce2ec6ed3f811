//! Fields of `services`.

use super::{NODE, Record, Shape, derived, may, need, plain};

pub const SERVICES: Shape = Shape::List { of: &Shape::Object(&SERVICE), from: 1, to: 10_000 };

static SERVICE: Record = Record {
    name: "service",
    says: "Something replicated.",
    parts: &[&[
        need("id", Shape::Name("service"), "Its name."),
        may(
            "copies",
            Shape::Whole { from: 1, to: 10_000 },
            "one service, named `id`",
            "So many services that are alike: `id-0`, `id-1` and so on, with zeros in front so that all are as long.",
        ),
        need(
            "application",
            Shape::OneOf(&[
                ("board", "a bulletin board: threads to which messages are added, and nothing is changed"),
                ("kv", "cells that are put, appended to, and compared and swapped"),
            ]),
            "What it does.",
        ),
        derived(
            "replicas",
            Shape::Whole { from: 1, to: 1_000 },
            "as many as `place` names, else 3, or all nodes if there are fewer",
            "How many copies.",
        ),
        may("spread", Shape::Object(&SPREAD), "as wide as it comes", "What the placement must reach."),
        derived(
            "place",
            Shape::List { of: &NODE, from: 1, to: 1_000 },
            "chosen: new zones first, then new data centers, then the least used nodes, in scenario order",
            "The nodes of the replicas, in order of priority, first highest.",
        ),
    ]],
    choice: None,
};

static SPREAD: Record = Record {
    name: "spread",
    says: "What a placement must reach, or the scenario is refused.",
    parts: &[&[
        plain("data_centers", Shape::Whole { from: 1, to: 1_000 }, "1", "Replicas in at least so many data centers."),
        plain("zones", Shape::Whole { from: 1, to: 1_000 }, "1", "Replicas in at least so many disaster zones."),
    ]],
    choice: None,
};
