//! Fields of `workload` and `expect`.

use super::{ANY, Choice, DATA_CENTER, Grade, POSITIVE, PROBABILITY, Record, SERVICE, Shape, TIME, TIME_OR_ZERO};
use super::{derived, graded, implied, may, need, plain};

pub const WORKLOAD: Shape = Shape::List { of: &Shape::Object(&LOAD), from: 1, to: 10_000 };
pub const EXPECTATIONS: Shape = Shape::List { of: &Shape::Object(&EXPECTATION), from: 0, to: ANY };

const TWITTER: &str = "Yang et al. 2020, Twitter caches";
const WEIGHT: Shape = Shape::Number { from: 0.0, to: 1e6, open: false };
const COUNT: Shape = Shape::Whole { from: 1, to: 100_000_000 };

static LOAD: Record = Record {
    name: "load",
    says: "Users of one service.",
    parts: &[&[
        need("service", SERVICE, "The service they ask; with `*` for any letters, each service that is like it."),
        derived(
            "from",
            Shape::List { of: &DATA_CENTER, from: 1, to: 1_000 },
            "every data center",
            "Places they live at. A disaster at a data center leaves its users.",
        ),
        need("rate", Shape::Rate, "Requests of each place, at factor 1."),
        may(
            "weights",
            Shape::List { of: &WEIGHT, from: 1, to: 1_000 },
            "all places alike",
            "For each place of `from`, in that order: what `rate` is multiplied by there.",
        ),
        implied(
            "read_from",
            Shape::OneOf(&[
                ("primary", "the primary first, like writes"),
                ("nearest", "the nearest replica first, whoever leads; for protocols whose replicas answer reads"),
            ]),
            "\"primary\"",
            "Which replica a read is sent to first.",
            Grade::None,
            "choice of this format",
        ),
        graded("reads", PROBABILITY, "0.87", "Share of requests that read.", Grade::A, TWITTER),
        graded("appends", PROBABILITY, "0", "Of the writes of `kv`: the share that append.", Grade::J, "judgement"),
        graded(
            "swaps",
            PROBABILITY,
            "0",
            "Of the writes of `kv`: the share that compare and swap.",
            Grade::J,
            "judgement",
        ),
        graded("keys", COUNT, "1000", "Threads or cells.", Grade::J, "judgement"),
        graded(
            "skew",
            Shape::Number { from: 0.0, to: 10.0, open: false },
            "0.99",
            "Exponent of Zipf's law over the keys; 0 is uniform. Measured 0.44 to 1.94.",
            Grade::A,
            "YCSB; range from Yang et al. 2020, Twitter caches",
        ),
        graded(
            "value_bytes",
            Shape::Bytes { from: 0, to: u32::MAX as u64 },
            "224",
            "Size of a value.",
            Grade::A,
            TWITTER,
        ),
        graded("deadline", TIME, "\"2s\"", "An answer after it is a failure.", Grade::J, "judgement"),
        graded(
            "clients",
            Shape::Whole { from: 1, to: 1_000_000 },
            "16",
            "Sessions at each place; each request belongs to one.",
            Grade::J,
            "judgement",
        ),
        graded(
            "attempt_timeout",
            TIME,
            "\"400ms\"",
            "Plus 1.5 round trips: then the same request is tried elsewhere.",
            Grade::J,
            "judgement",
        ),
        plain(
            "profile",
            Shape::Tagged { tag: "kind", variants: &[&CONSTANT, &DIURNAL, &FLASH_CROWD] },
            "{\"kind\": \"constant\"}",
            "How the rate changes with time.",
        ),
    ]],
    choice: None,
};

static CONSTANT: Record = Record { name: "constant", says: "Always factor 1.", parts: &[], choice: None };

/// A day of factors, from midnight: rounded so that the mean is exactly 1, the peak 1.6 and the trough 0.45.
const DAY: &str = "[0.75, 0.6, 0.5, 0.45, 0.45, 0.5, 0.6, 0.75, 0.9, 1.05, 1.15, 1.25, \
                    1.35, 1.4, 1.5, 1.6, 1.5, 1.4, 1.25, 1.15, 1.15, 1.05, 0.9, 0.8]";

static DIURNAL: Record = Record {
    name: "diurnal",
    says: "Day and night.",
    parts: &[&[
        graded(
            "hours",
            Shape::List { of: &Shape::Number { from: 0.0, to: 24.0, open: false }, from: 24, to: 24 },
            DAY,
            "24 factors of mean 1, linear between them, the first at midnight.",
            Grade::A,
            "peak, trough and shape rounded from the NASA 1995 and World Cup 1998 traces of the Internet Traffic Archive",
        ),
        plain("period", TIME, "\"24h\"", "Length of the day."),
        graded(
            "shifted",
            Shape::Flag,
            "true",
            "Each place by its own sun: longitude / 15 h of a 24 h day.",
            Grade::J,
            "assumption",
        ),
        plain(
            "start",
            TIME_OR_ZERO,
            "\"0s\"",
            "Time since the midnight of a Monday, at longitude 0, when the run starts.",
        ),
        may(
            "weekend",
            Shape::Number { from: 0.0, to: 24.0, open: false },
            "every day is alike",
            "Factor of the sixth and the seventh day of each week, Saturday and Sunday; measured 0.65.",
        ),
    ]],
    choice: None,
};

static FLASH_CROWD: Record = Record {
    name: "flash-crowd",
    says: "Rises linearly, holds, and falls by half each half-life.",
    parts: &[&[
        need("at", TIME_OR_ZERO, "When it begins."),
        graded(
            "rise",
            TIME_OR_ZERO,
            "\"10m\"",
            "Until the peak.",
            Grade::A,
            "NASA, 13 July 1995: x5.7 of the median minute within 10 minutes",
        ),
        graded("hold", TIME_OR_ZERO, "\"0s\"", "At the peak.", Grade::J, "judgement"),
        graded("factor", POSITIVE, "5.7", "Of the peak.", Grade::A, "NASA, 13 July 1995"),
        graded("half_life", TIME, "\"30m\"", "Of the excess over 1, afterwards.", Grade::J, "judgement"),
    ]],
    choice: None,
};

static EXPECTATION: Record = Record {
    name: "expectation",
    says: "What the results must show.",
    parts: &[&[
        need("metric", Shape::Known("metric"), "A key of the metrics of a result."),
        may("service", SERVICE, "each service", "Of this service."),
        may("protocol", Shape::Known("protocol"), "each protocol", "Of the protocol under this label."),
        may("from", TIME_OR_ZERO, "the end of the warm-up", "Only requests that start at or after this instant."),
        may("to", TIME, "the duration", "Only requests that start before this instant."),
        may("at_least", BOUND, "another comparison", "The least it may be."),
        may("at_most", BOUND, "another comparison", "The most it may be."),
        may("equals", BOUND, "another comparison", "What it must be."),
    ]],
    choice: Some(Choice { of: &["at_least", "at_most", "equals"], required: true }),
};

const BOUND: Shape = Shape::Number { from: -1e300, to: 1e300, open: false };
