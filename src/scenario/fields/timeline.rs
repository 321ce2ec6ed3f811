//! Fields of `timeline` and `failures`.

use super::{ANY, Choice, DATA_CENTER, Field, Grade, NODE, POSITIVE, PROBABILITY, Record, SERVICE, SITE, Shape};
use super::{TIME, TIME_OR_ZERO, derived, graded, may, need, plain};

pub const TIMELINE: Shape = Shape::List {
    of: &Shape::Tagged {
        tag: "do",
        variants: &[&CRASH, &RESTART, &PAUSE, &SLOW, &CLOCK, &CORRUPT, &PARTITION, &CUT, &FLAP, &DEGRADE, &HEAL, &LOAD],
    },
    from: 0,
    to: ANY,
};
pub const FAILURES: Shape = Shape::List {
    of: &Shape::Tagged { tag: "kind", variants: &[&NODE_FAILURE, &DATA_CENTER_FAILURE, &LINK_FAILURE] },
    from: 0,
    to: ANY,
};

/// The actions that a timeline knows, for catalogues.
pub fn actions() -> &'static [&'static Record] {
    match TIMELINE {
        Shape::List { of: Shape::Tagged { variants, .. }, .. } => variants,
        _ => &[],
    }
}

const AT: &[Field] = &[need("at", TIME_OR_ZERO, "When.")];
const FOR: &[Field] = &[may(
    "for",
    TIME,
    "until `heal` or `restart`, or for good",
    "The whole time that it lasts; it may pass the end of the run.",
)];

const NAMES: Shape = Shape::List { of: &SITE, from: 1, to: ANY };
const NODES: Shape = Shape::List { of: &NODE, from: 1, to: ANY };
/// One name, or a list of names.
const SIDE: Shape = Shape::Either(&[SITE, NAMES]);
const PAIR: Shape = Shape::List { of: &SIDE, from: 2, to: 2 };
const OTHERS: &str = "another target is given";

const TARGET_NAMES: &[&str] = &["nodes", "data_centers", "zones", "random", "majority_of", "primary_of"];
const TARGET: Option<Choice> = Some(Choice { of: TARGET_NAMES, required: true });

const TARGETS: &[Field] = &[
    may("nodes", NODES, OTHERS, "Names of nodes; `*` stands for any characters, as in `sendai/*`."),
    may(
        "data_centers",
        Shape::List { of: &DATA_CENTER, from: 1, to: ANY },
        OTHERS,
        "Every node of these; a dead data center is silent.",
    ),
    may(
        "zones",
        Shape::List { of: &Shape::Known("zone"), from: 1, to: ANY },
        OTHERS,
        "Every node of these disaster zones.",
    ),
    may("random", Shape::Object(&RANDOM), OTHERS, "Nodes drawn by seed and event, the same for every protocol."),
    may(
        "majority_of",
        SERVICE,
        OTHERS,
        "More than half of the replicas of a service, drawn by seed and event, the same for every protocol.",
    ),
    may("count", Shape::Whole { from: 1, to: 1_000 }, "floor(n/2) + 1", "How many replicas; only with `majority_of`."),
    may(
        "primary_of",
        SERVICE,
        OTHERS,
        "Every node that accepts writes as primary at that instant, else the first by placement.",
    ),
];

static RANDOM: Record = Record {
    name: "random",
    says: "Nodes drawn by seed and event.",
    parts: &[&[
        may(
            "fraction",
            Shape::Number { from: 0.0, to: 1.0, open: true },
            "`count` is given",
            "Share of the nodes, rounded, at least one.",
        ),
        may("count", Shape::Whole { from: 1, to: 1_000_000 }, "`fraction` is given", "How many nodes."),
        may("of", NAMES, "every node", "Nodes (with `*`) and data centers to draw from."),
    ]],
    choice: Some(Choice { of: &["fraction", "count"], required: true }),
};

const DISK: Shape = Shape::OneOf(&[("kept", "what was synced is still there"), ("lost", "the disk comes back empty")]);

static CRASH: Record = Record {
    name: "crash",
    says: "Processes stop. By data center or zone they fall silent; otherwise the machine still refuses.",
    parts: &[AT, FOR, TARGETS, &[plain("disk", DISK, "\"kept\"", "What becomes of the disk.")]],
    choice: TARGET,
};
static RESTART: Record = Record {
    name: "restart",
    says: "Ends crashes and pauses.",
    parts: &[AT, TARGETS, &[plain("cold", Shape::Flag, "false", "The machine boots first.")]],
    choice: TARGET,
};
static PAUSE: Record = Record {
    name: "pause",
    says: "Processes stand still and lose nothing.",
    parts: &[AT, FOR, TARGETS],
    choice: TARGET,
};
static SLOW: Record = Record {
    name: "slow",
    says: "Service, message and fsync times grow.",
    parts: &[AT, FOR, TARGETS, &[need("factor", POSITIVE, "How many times as long.")]],
    choice: TARGET,
};
static CLOCK: Record = Record {
    name: "clock",
    says: "Clocks jump or drift.",
    parts: &[
        AT,
        TARGETS,
        &[
            plain("jump", Shape::Jump, "\"0s\"", "Of the wall clock, once; negative is back."),
            plain(
                "drift_ppm",
                Shape::Number { from: -500_000.0, to: 500_000.0, open: false },
                "0",
                "Parts per million that the clock gains from now on; replaces an earlier drift.",
            ),
        ],
    ],
    choice: TARGET,
};
static CORRUPT: Record = Record {
    name: "corrupt",
    says: "State is overwritten with arbitrary values.",
    parts: &[
        AT,
        TARGETS,
        &[plain(
            "what",
            Shape::OneOf(&[
                ("volatile", "variables in memory"),
                ("log", "the log on the disk"),
                ("messages", "messages in flight to these nodes"),
                ("all", "all of these"),
            ]),
            "\"all\"",
            "What is overwritten.",
        )],
    ],
    choice: TARGET,
};
static PARTITION: Record = Record {
    name: "partition",
    says: "Nothing passes between different groups.",
    parts: &[
        AT,
        FOR,
        &[need(
            "groups",
            Shape::List { of: &NAMES, from: 2, to: 1_000 },
            "Groups of data centers and nodes; `*` is the rest. Each data center is in exactly one.",
        )],
    ],
    choice: None,
};
static CUT: Record = Record {
    name: "cut",
    says: "Nothing passes between two sides.",
    parts: &[
        AT,
        FOR,
        &[
            need("from", SIDE, "One side: data centers, nodes, or `*`, the rest."),
            need("to", SIDE, "The other side."),
            plain("one_way", Shape::Flag, "false", "Only messages from `from` to `to` are cut."),
        ],
    ],
    choice: None,
};
const BETWEEN: Field =
    need("between", PAIR, "Two sides: each a data center, a node, a list of them, or `*`, the rest.");
static FLAP: Record = Record {
    name: "flap",
    says: "A cut both ways that comes and goes, beginning with `down`.",
    parts: &[AT, FOR, &[BETWEEN, need("up", TIME, "How long it passes."), need("down", TIME, "How long it is cut.")]],
    choice: None,
};
static DEGRADE: Record = Record {
    name: "degrade",
    says: "Links get worse, both ways.",
    parts: &[
        AT,
        FOR,
        &[
            BETWEEN,
            plain("add_delay", TIME_OR_ZERO, "\"0s\"", "One way, added to the link's own."),
            plain("loss", PROBABILITY, "0", "Probability that a message is lost, beside the link's own."),
            plain("duplicate", PROBABILITY, "0", "Probability that a message arrives twice."),
            plain("reorder", PROBABILITY, "0", "Probability that a message is overtaken."),
        ],
    ],
    choice: None,
};
static HEAL: Record = Record {
    name: "heal",
    says: "Ends conditions of the network.",
    parts: &[AT, &[may("between", PAIR, "everywhere", "Only on the links between two sides.")]],
    choice: None,
};
static LOAD: Record = Record {
    name: "load",
    says: "More, or fewer, requests for a while.",
    parts: &[
        AT,
        FOR,
        &[
            need(
                "service",
                SERVICE,
                "The service that is asked; with `*` for any letters, each service that is like it.",
            ),
            derived(
                "from",
                Shape::List { of: &DATA_CENTER, from: 1, to: 1_000 },
                "every place that sends it requests",
                "Places whose rate changes.",
            ),
            need("factor", POSITIVE, "Times the rate."),
            plain("ramp", TIME_OR_ZERO, "\"0s\"", "Linear change to the factor, and back at the end."),
        ],
    ],
    choice: None,
};

const DISTRIBUTION: Shape = Shape::Either(&[TIME, Shape::Object(&LAW)]);

static LAW: Record = Record {
    name: "law",
    says: "A distribution of lengths of time. A text such as `1h` is constant.",
    parts: &[&[
        may("exponential", Shape::Object(&EXPONENTIAL), "another law", "Without memory."),
        may("weibull", Shape::Object(&WEIBULL), "another law", "Bursts for a shape below 1."),
        may("lognormal", Shape::Object(&LOGNORMAL), "another law", "A heavy tail."),
    ]],
    choice: Some(Choice { of: &["exponential", "weibull", "lognormal"], required: true }),
};
static EXPONENTIAL: Record =
    Record { name: "exponential", says: "", parts: &[&[need("mean", TIME, "Mean.")]], choice: None };
static WEIBULL: Record = Record {
    name: "weibull",
    says: "",
    parts: &[&[
        need("shape", Shape::Number { from: 0.05, to: 100.0, open: false }, "Shape."),
        need("scale", TIME, "Scale."),
    ]],
    choice: None,
};
static LOGNORMAL: Record = Record {
    name: "lognormal",
    says: "",
    parts: &[&[
        need("median", TIME, "Median."),
        need("sigma", Shape::Number { from: 0.0, to: 10.0, open: false }, "Deviation of the logarithm."),
    ]],
    choice: None,
};

const FAIL_DISK: &[Field] = &[plain("disk", DISK, "\"kept\"", "What becomes of the disks.")];

static NODE_FAILURE: Record = Record {
    name: "node",
    says: "Each machine fails by itself.",
    parts: &[
        &[
            graded(
                "between",
                DISTRIBUTION,
                "{\"weibull\": {\"shape\": 0.7, \"scale\": \"3300h\"}}",
                "From a repair, or the start, to the next failure.",
                Grade::A,
                "LANL, LA-UR-05-7318",
            ),
            graded(
                "repair",
                DISTRIBUTION,
                "{\"lognormal\": {\"median\": \"1.05h\", \"sigma\": 1.41}}",
                "From a failure to its repair.",
                Grade::A,
                "LANL, LA-UR-05-7318: mu 0.05 in ln h",
            ),
        ],
        FAIL_DISK,
    ],
    choice: None,
};
static DATA_CENTER_FAILURE: Record = Record {
    name: "data-center",
    says: "All machines of a data center fail together, and are silent.",
    parts: &[
        &[
            graded(
                "between",
                DISTRIBUTION,
                "{\"exponential\": {\"mean\": \"3650d\"}}",
                "From a repair, or the start, to the next failure.",
                Grade::J,
                "judgement: 10 years; no published rate was found",
            ),
            need("repair", DISTRIBUTION, "From a failure to its repair."),
        ],
        FAIL_DISK,
    ],
    choice: None,
};
static LINK_FAILURE: Record = Record {
    name: "link",
    says: "The links between two data centers are cut both ways; one process for each pair.",
    parts: &[&[
        need("between", DISTRIBUTION, "From a repair, or the start, to the next failure."),
        need("repair", DISTRIBUTION, "From a failure to its repair."),
    ]],
    choice: None,
};
