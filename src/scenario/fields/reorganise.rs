//! Fields of `reorganise`.

use super::{Default, Field, Grade, Record, Shape, TIME, derived, graded, may, need, plain};

/// Of the whole scenario.
pub const REORGANISE: Shape = Shape::Either(&[Shape::OneOf(OFF), Shape::Object(&WHOLE)]);

const OF_ONE: Shape = Shape::Either(&[Shape::OneOf(OFF), Shape::Object(&CHANGES)]);

/// Of one protocol.
pub const OWN: Field = may(
    "reorganise",
    OF_ONE,
    "as the scenario says",
    "`off`, or what is different under this label: to compare a protocol with and without in one scenario.",
);

const OFF: &[(&str, &str)] = &[("off", "services keep the replicas they are given, and machines stay awake")];

static WHOLE: Record = Record {
    name: "reorganise",
    says: "Agents on machines, which repair services, balance load and let machines sleep.",
    parts: &[&[LEVEL], CHOICES, &[CONSTRAINTS], CONSTANTS, &[POOL]],
    choice: None,
};

static CHANGES: Record = Record {
    name: "reorganise-changes",
    says: "What is different from the scenario's `reorganise`.",
    parts: &[&[left_out(LEVEL)], &all_left_out(*CHOICES), &[CHANGED_CONSTRAINTS], &all_left_out(*CONSTANTS)],
    choice: None,
};

const AS_SCENARIO: Default = Default::Absent("as in the scenario's `reorganise`");

/// A field of the scenario's `reorganise` as it stands under a label: it has no default of its own.
const fn left_out(field: Field) -> Field {
    Field { default: AS_SCENARIO, source: "", grade: Grade::None, ..field }
}

const fn all_left_out<const N: usize>(fields: [Field; N]) -> [Field; N] {
    let mut out = fields;
    let mut at = 0;
    while at < N {
        out[at] = left_out(fields[at]);
        at += 1;
    }
    out
}

const LEVEL: Field = need(
    "policy",
    Shape::OneOf(&[
        ("repair", "recruit replicas in place of those that failed"),
        ("balance", "repair, and move primaries and replicas by load"),
        ("save", "balance, and at low load consolidate and let empty machines sleep"),
    ]),
    "What is done.",
);

const CHOICES: &[Field; 3] = &[
    derived("repair", Shape::Flag, "by `policy`", "Recruit replicas in place of those that failed."),
    derived("balance", Shape::Flag, "by `policy`", "Move primaries and replicas by load."),
    derived("save", Shape::Flag, "by `policy`", "Consolidate at low load, and let empty machines sleep."),
];

const CONSTRAINTS: Field =
    plain("constraints", Shape::Object(&OBSERVED), "{}", "Which are observed: switching one off shows its worth.");

const CHANGED_CONSTRAINTS: Field =
    may("constraints", Shape::Object(&CHANGED), "as in the scenario's `reorganise`", "Those that are different here.");

static OBSERVED: Record =
    Record { name: "constraints", says: "What no move may break.", parts: &[OF_PLACEMENT], choice: None };

static CHANGED: Record = Record {
    name: "changed-constraints",
    says: "Constraints that are different under a label.",
    parts: &[&all_left_out(*OF_PLACEMENT)],
    choice: None,
};

const OF_PLACEMENT: &[Field; 5] = &[
    constraint("spread", "C1: each service is in as many data centers and zones as its `spread` says."),
    constraint(
        "share",
        "C2: no data center holds more than its share of a service, replicas / data centers, rounded up.",
    ),
    constraint("next_disaster", "C3: after the loss of any one data center enough replicas and capacity are left."),
    constraint("last_copies", "C4: no machine sleeps that holds one of a service's last synchronised copies."),
    constraint("suspend", "C5: nothing is consolidated while a partition or a lone survivor is seen."),
];

const fn constraint(name: &'static str, says: &'static str) -> Field {
    plain(name, Shape::Flag, "true", says)
}

const TUNED: &str = "starting constant of this project, to be tuned by experiment";

const fn time(name: &'static str, json: &'static str, says: &'static str) -> Field {
    graded(name, TIME, json, says, Grade::J, TUNED)
}

const fn number(name: &'static str, shape: Shape, json: &'static str, says: &'static str) -> Field {
    graded(name, shape, json, says, Grade::J, TUNED)
}

/// A share of a machine's capacity.
const LOAD: Shape = Shape::Number { from: 0.0, to: 1.0, open: true };
const WATTS: Shape = Shape::Number { from: 0.0, to: 1e9, open: false };
const DEGREE: Shape = Shape::Whole { from: 1, to: 1_000 };

const CONSTANTS: &[Field; 17] = &[
    time("advertise", "\"1s\"", "Between two adverts of an agent, and between two rounds of a manager."),
    time("silent_after", "\"4s\"", "A machine that says nothing for so long is silent; above 2 adverts."),
    time("repair_after", "\"30s\"", "A silent machine whose data center is alive is replaced after this (T_repair)."),
    time("disaster_after", "\"5m\"", "A suspected partition that lasts longer is taken for a disaster (T_disaster)."),
    time("lease", "\"15s\"", "What was promised, lent or claimed is void after this, unless renewed; above 2 adverts."),
    number("high", LOAD, "0.7", "A machine is hot whose load is above this share of its capacity (u_high)..."),
    time("high_for", "\"30s\"", "... for so long (T_up)."),
    number("low", LOAD, "0.3", "A machine may be emptied whose load is below this share of its capacity (u_low)..."),
    time("low_for", "\"5m\"", "... for so long (T_down)."),
    number(
        "headroom",
        Shape::Number { from: 1.0, to: 100.0, open: false },
        "1.25",
        "Capacity that is kept awake, or within reach, for each unit of load.",
    ),
    derived(
        "next_degree",
        DEGREE,
        "of the service with fewest replicas one less, at least 1 and at most 2",
        "Replicas that each service keeps after the loss of any one data center (r_next).",
    ),
    derived(
        "reserve_degree",
        DEGREE,
        "of the service with most replicas half, rounded up, at least 2",
        "Recruiting stops at this degree while a partition is suspected.",
    ),
    graded(
        "wake_within",
        TIME,
        "\"5m\"",
        "Sleeping machines that boot within this count as capacity for the next disaster (T_wake).",
        Grade::J,
        "judgement: above the measured time to boot, 260 s",
    ),
    number(
        "overload_weight",
        WATTS,
        "1000",
        "Watts that a unit of overload squared counts for; 1 is a machine's whole capacity above `high`.",
    ),
    number(
        "violation_weight",
        WATTS,
        "10000",
        "Watts that a violated constraint counts for; above any saving of a service.",
    ),
    number("move_weight", WATTS, "1", "Watts that a gigabyte moved counts for."),
    number("epsilon", WATTS, "5", "Watts that a move must gain, so that moves end."),
];

const POOL: Field = derived(
    "pool",
    Shape::Whole { from: 1, to: 10_000 },
    "all machines of the largest data center if there are at most 64 machines, else 2",
    "Machines of each data center that may hold a given service: drawn by rendezvous hashing of the names of service \
     and machine (shuffle sharding), so that a bad service meets few others. Placed replicas always belong.",
);
