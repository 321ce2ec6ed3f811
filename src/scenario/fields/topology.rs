//! Fields of `topology`.

use super::{
    ANY, Choice, DATA_CENTER, Grade, PROBABILITY, Record, SITE, Shape, TIME, TIME_OR_ZERO, derived, graded, may, need,
    plain,
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
        plain("node", Shape::Object(&NODE), "{}", "Every machine, except where a node says otherwise."),
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
            "How many machines, or a list with what is special about each.",
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

const AS_ALL: &str = "as in `topology.node`";

static NODE_ITEM: Record = Record {
    name: "node-item",
    says: "One machine of a data center.",
    parts: &[&[
        may("rack", Shape::Name("rack"), "no rack", "Machines of one rack may fail together."),
        may("capacity", Shape::Rate, AS_ALL, "Client operations that it executes."),
        may("queue", QUEUE, AS_ALL, "Requests that may wait; one more is refused."),
        may("fsync", TIME_OR_ZERO, AS_ALL, "Time until a write is durable."),
        may("boot", TIME_OR_ZERO, AS_ALL, "Time from power on until the process runs."),
    ]],
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
        graded(
            "power",
            Shape::OneOf(&[("two-socket-2017", "idle 62 W, full 419 W, piecewise linear over SPECpower deciles")]),
            "\"two-socket-2017\"",
            "Model of electric power.",
            Grade::A,
            "SPECpower_ssj2008: median of 98 two-socket servers of 2017-2021",
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
