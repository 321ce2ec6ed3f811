//! Fields of `topology`.

use super::{
    ANY, Choice, DATA_CENTER, Field, Grade, PROBABILITY, Record, SITE, Shape, TIME, TIME_OR_ZERO, derived, graded,
    implied, may, need, plain,
};

pub static TOPOLOGY: Record = Record {
    name: "topology",
    says: "Sites, links and machines.",
    parts: &[&[
        need(
            "data_centers",
            Shape::List { of: &Shape::Object(&DATA_CENTER_RECORD), from: 1, to: 1_000 },
            "Sites, in an order that other defaults follow.",
        ),
        plain("network", Shape::Object(&NETWORK), "{}", "Every link that `links` does not name."),
        plain(
            "links",
            Shape::List { of: &Shape::Object(&LINK), from: 0, to: ANY },
            "[]",
            "Links that differ from `network`.",
        ),
        plain("node", Shape::Object(&NODE), "{}", "Every machine, except where its class or a node says otherwise."),
        may(
            "node_classes",
            Shape::List { of: &Shape::Object(&CLASS), from: 0, to: 1_000 },
            "all machines are like `node`",
            "Kinds of machines that `nodes` of data centers may name.",
        ),
    ]],
    choice: None,
};

static DATA_CENTER_RECORD: Record = Record {
    name: "data-center",
    says: "A site, and the place of the users near it.",
    parts: &[&[
        need("id", Shape::Name("data center"), "Its name. Its machines are `id/0`, `id/1` and so on."),
        may(
            "region",
            Shape::Known("region"),
            "`location` is given",
            "A cloud region, such as `azure:japaneast`: gives the location and the measured latency.",
        ),
        may("location", Shape::Object(&LOCATION), "`region` is given", "Where it is."),
        derived("zone", Shape::Name("zone"), "the id of the data center", "Disaster zone: what may fail together."),
        need(
            "nodes",
            Shape::Either(&[
                Shape::Whole { from: 1, to: 10_000 },
                Shape::List { of: &Shape::Object(&NODE_ITEM), from: 1, to: 10_000 },
            ]),
            "How many machines, or a list with what is special about each, or about several.",
        ),
        implied(
            "pue",
            Shape::Number { from: 1.0, to: 10.0, open: false },
            "1.15",
            "Power usage effectiveness: watts that the site draws for each watt of its machines.",
            Grade::A,
            "hyperscale: AWS 2024 median 1.185, Google 1.095, Azure 2023 1.16; industry mean 1.58",
        ),
        may(
            "carbon",
            Shape::Number { from: 0.0, to: 10_000.0, open: true },
            "a watt counts alike everywhere",
            "Grams of CO2 a kWh causes here. If all data centers have it, reorganisation weighs watts by it, relative \
             to the mean.",
        ),
    ]],
    choice: Some(Choice { of: &["region", "location"], required: true }),
};

static LOCATION: Record = Record {
    name: "location",
    says: "A point on the globe.",
    parts: &[&[
        need("lat", Shape::Number { from: -90.0, to: 90.0, open: false }, "Degrees, north positive."),
        need("lon", Shape::Number { from: -180.0, to: 180.0, open: false }, "Degrees, east positive."),
    ]],
    choice: None,
};

const AS_ALL: &str = "as in the class, or else as in `topology.node`";

/// What may differ from machine to machine.
const SPECIAL: &[Field] = &[
    may("capacity", Shape::Rate, AS_ALL, "Client operations that it executes."),
    may("queue", QUEUE, AS_ALL, "Requests that may wait; one more is refused."),
    may("fsync", TIME_OR_ZERO, AS_ALL, "Time until a write is durable."),
    may("boot", TIME_OR_ZERO, AS_ALL, "Time from power on until the process runs."),
    may("shutdown", TIME_OR_ZERO, AS_ALL, "Time from being told to sleep until it sleeps."),
    may("power", POWER, AS_ALL, "Model of electric power."),
];

static NODE_ITEM: Record = Record {
    name: "node-item",
    says: "One machine of a data center, or several that are alike.",
    parts: &[
        &[
            implied(
                "count",
                Shape::Whole { from: 1, to: 10_000 },
                "1",
                "How many machines are like this.",
                Grade::None,
                CHOICE,
            ),
            may("class", Shape::Known("node class"), "no class", "The entry of `topology.node_classes` it is like."),
            may("rack", Shape::Name("rack"), "no rack", "Machines of one rack may fail together."),
        ],
        SPECIAL,
    ],
    choice: None,
};

const CHOICE: &str = "choice of this format";

static CLASS: Record = Record {
    name: "node-class",
    says: "A kind of machine.",
    parts: &[&[need("id", Shape::Name("node class"), "Its name.")], SPECIAL],
    choice: None,
};

const POWER: Shape = Shape::Either(&[
    Shape::OneOf(&[("two-socket-2017", "idle 62 W, full 419 W, piecewise linear over SPECpower deciles")]),
    Shape::Tagged { tag: "shape", variants: &[&MEASURED, &LINEAR, &FAN, &DECILES] },
]);

const WATTS: Shape = Shape::Number { from: 0.0, to: 1e6, open: false };

const ENDS: &[Field] = &[
    graded("idle", WATTS, "62", "Watts at no load.", Grade::A, TWO_SOCKETS),
    graded("full", WATTS, "419", "Watts at full load.", Grade::A, TWO_SOCKETS),
];

const TWO_SOCKETS: &str = "SPECpower_ssj2008: median of 98 two-socket servers of 2017-2021";

const ASIDE: &[Field] = &[
    graded("boot", WATTS, "200", "Watts while it boots.", Grade::A, "Gandhi et al. 2012"),
    may("shutdown", WATTS, "as at no load", "Watts while it shuts down."),
    graded("sleep", WATTS, "5", "Watts asleep: its management controller listens.", Grade::J, "judgement"),
];

static MEASURED: Record = Record {
    name: "measured",
    says: "Piecewise linear between tenths of the load, as two two-socket servers measured in SPECpower_ssj2008.",
    parts: &[ENDS, ASIDE],
    choice: None,
};

static LINEAR: Record =
    Record { name: "linear", says: "Linear between no load and full load.", parts: &[ENDS, ASIDE], choice: None };

static FAN: Record = Record {
    name: "fan-2007",
    says: "2u - u^1.4 of the way from no load to full load (Fan et al. 2007), linear between tenths.",
    parts: &[ENDS, ASIDE],
    choice: None,
};

static DECILES: Record = Record {
    name: "deciles",
    says: "Measurements of your own, linear between them.",
    parts: &[
        &[need("watts", Shape::List { of: &WATTS, from: 11, to: 11 }, "Watts at a load of 0, 0.1 and so on up to 1.")],
        ASIDE,
    ],
    choice: None,
};

const QUEUE: Shape = Shape::Whole { from: 0, to: u32::MAX as u64 };

static NODE: Record = Record {
    name: "node",
    says: "What machines are like.",
    parts: &[&[
        graded(
            "capacity",
            Shape::Rate,
            "\"2000/s\"",
            "Client operations that the replica that serves them executes.",
            Grade::J,
            "judgement",
        ),
        graded("queue", QUEUE, "10000", "Requests that may wait; one more is refused at once.", Grade::J, "judgement"),
        graded(
            "fsync",
            TIME_OR_ZERO,
            "\"1ms\"",
            "Time until a write is durable.",
            Grade::M,
            "commonly stated of data-center SSDs",
        ),
        graded(
            "boot",
            TIME_OR_ZERO,
            "\"260s\"",
            "Time from power on until the process runs, for machines that are powered on.",
            Grade::A,
            "Gandhi et al. 2012",
        ),
        implied(
            "shutdown",
            TIME_OR_ZERO,
            "\"30s\"",
            "Time from being told to sleep until it sleeps.",
            Grade::J,
            "judgement",
        ),
        graded(
            "power",
            POWER,
            "\"two-socket-2017\"",
            "Model of electric power. Energy is measured in scenarios that have `reorganise`.",
            Grade::A,
            TWO_SOCKETS,
        ),
        plain(
            "service_time",
            Shape::OneOf(&[("deterministic", "always 1 / capacity"), ("exponential", "with mean 1 / capacity")]),
            "\"deterministic\"",
            "Time to execute an operation.",
        ),
        graded(
            "message_cost",
            TIME_OR_ZERO,
            "\"0s\"",
            "Processor time of each protocol message received.",
            Grade::J,
            "judgement: small beside client operations",
        ),
    ]],
    choice: None,
};

const JITTER: Shape = Shape::Number { from: 0.0, to: 1_000.0, open: false };

static NETWORK: Record = Record {
    name: "network",
    says: "What links are like.",
    parts: &[&[
        graded(
            "latency",
            Shape::Either(&[
                Shape::OneOf(&[
                    ("measured", "between known regions as measured, else by distance"),
                    ("distance", "by great circle: 19.9 ms + 0.01613 ms/km, and shorter below 1,000 km"),
                ]),
                Shape::Object(&LATENCY_TABLE),
            ]),
            "\"measured\"",
            "Round trips between data centers. Inside one: 0.1 ms; two data centers of one region: 0.77 ms.",
            Grade::A,
            "Azure network round-trip latency, 2026-03; fit over 2,346 inter-cloud pairs; IBM 2026 inside a region",
        ),
        graded(
            "jitter",
            JITTER,
            "0.003",
            "Mean of the exponential X in delay = base x (1 + X).",
            Grade::A,
            "mean deviation of measured round trips between clouds",
        ),
        graded("loss", PROBABILITY, "0.00001", "Probability that a message is lost.", Grade::J, "judgement"),
        graded(
            "bandwidth",
            Shape::Bandwidth,
            "\"3.6Gbps\"",
            "Between two machines.",
            Grade::A,
            "median between virtual machines, 2022",
        ),
    ]],
    choice: None,
};

static LATENCY_TABLE: Record = Record {
    name: "latency-table",
    says: "Round trips of your own; pairs that are not in it are `measured`.",
    parts: &[&[
        may(
            "csv",
            Shape::Text,
            "`rows` is given",
            "A file with the header from,to,round_trip; relative to the scenario, kept in the result as `rows`.",
        ),
        may(
            "rows",
            Shape::List { of: &Shape::Object(&LATENCY_ROW), from: 0, to: ANY },
            "`csv` is given",
            "The table itself. A pair given in both directions has the mean of the two.",
        ),
    ]],
    choice: Some(Choice { of: &["csv", "rows"], required: true }),
};

static LATENCY_ROW: Record = Record {
    name: "latency-row",
    says: "A round trip between two data centers.",
    parts: &[&[
        need("from", DATA_CENTER, "A data center."),
        need("to", DATA_CENTER, "Another."),
        need("round_trip", TIME, "There and back."),
    ]],
    choice: None,
};

const AS_NETWORK: &str = "as without this entry";

static LINK: Record = Record {
    name: "link",
    says: "What is special about one link, both ways. Links of nodes go before links of data centers.",
    parts: &[&[
        need(
            "between",
            Shape::List { of: &SITE, from: 2, to: 2 },
            "Two data centers or nodes. A data center twice: the links between its own machines.",
        ),
        may("round_trip", TIME, AS_NETWORK, "There and back."),
        may("jitter", JITTER, AS_NETWORK, "Mean of the exponential X in delay = base x (1 + X)."),
        may("loss", PROBABILITY, AS_NETWORK, "Probability that a message is lost."),
        may("bandwidth", Shape::Bandwidth, AS_NETWORK, "Between two machines."),
    ]],
    choice: None,
};
