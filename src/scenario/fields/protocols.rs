//! Fields of `protocols`, by kind.

use super::reorganise::OWN;
use super::{Field, Grade, Record, Shape, TIME, derived, graded, may, need};
use crate::protocols::{dynamic_voting, lazy_consensus, omnipaxos, optimistic, raft, viewstamped};

pub const KINDS: &[&Record] =
    &[&OPTIMISTIC, &RAFT, &OMNIPAXOS, &VIEWSTAMPED, &STATIC_PRIMARY, &LAZY_CONSENSUS, &DYNAMIC_VOTING];

/// Where a kind comes from.
pub fn source(kind: &str) -> &'static str {
    match kind {
        "optimistic" => {
            "Hasebe, Nishita and Kato 2014, doi 10.1109/IC2E.2014.71 (abstract); the rest is this project's"
        }
        "raft" => "Ongaro and Ousterhout 2014; the raft crate of TiKV",
        "omnipaxos" => "Ng, Haridi and Carbone 2023, doi 10.1145/3552326.3587441; the omnipaxos crate",
        "viewstamped" => "Liskov and Cowling 2012; Mazieres 2007",
        "lazy-consensus" => "Defago and Schiper 2004, doi 10.1016/j.jpdc.2004.08.007",
        "dynamic-voting" => "Jajodia and Mutchler 1990, doi 10.1145/78922.78926",
        _ => "textbook",
    }
}

/// The option that gives a protocol a deliberate defect.
pub const BREAK: &str = "break";

/// Deliberate defects: (name, what it does).
pub type Defects = &'static [(&'static str, &'static str)];

/// Those that a kind of protocol may be given.
pub fn defects(kind: &str) -> Defects {
    let record = KINDS.iter().find(|record| record.name == kind);
    let shape = record.and_then(|record| record.fields().find(|field| field.name == BREAK)).map(|field| &field.shape);
    match shape {
        Some(Shape::OneOf(defects)) => defects,
        _ => &[],
    }
}

const fn breakable(defects: Defects) -> Field {
    may(
        BREAK,
        Shape::OneOf(defects),
        "the protocol as it is meant",
        "A deliberate defect, for tests of the judges and for demonstrations.",
    )
}

const TUNED: &str = "starting constant of this project, to be tuned by experiment";

static COPIES: Record = Record {
    name: "copies",
    says: "So many durable copies in so many data centers, or on all members if the view has fewer.",
    parts: &[&[
        need("copies", Shape::Whole { from: 1, to: 1_000 }, "Replicas that hold the write."),
        super::plain("data_centers", Shape::Whole { from: 1, to: 1_000 }, "1", "Data centers they are in."),
    ]],
    choice: None,
};

const ACK: Shape = Shape::Either(&[
    Shape::OneOf(&[("all", "durable on every member of the view"), ("none", "at once, before it is durable")]),
    Shape::Object(&COPIES),
]);

/// Names of merge policies, as scenarios write them.
pub const MERGE: Shape = Shape::OneOf(&[
    ("rank-wins", "the operations of losing branches are journaled"),
    ("replay", "executed again in one order; those that no longer hold are journaled"),
    ("last-writer-wins", "the later timestamp wins, key by key"),
    ("crdt", "states are joined; only for applications that only grow"),
    ("siblings", "conflicting values are all kept"),
]);

const READS: Shape = Shape::OneOf(&[
    ("session", "a session sees its own writes"),
    ("latest", "every member confirms the view first: linearizable while views form one chain"),
    ("any", "whatever the replica holds"),
]);

const fn constant(name: &'static str, json: &'static str, says: &'static str) -> Field {
    graded(name, TIME, json, says, Grade::J, TUNED)
}

const OPTIMISTIC_TIMES: &[Field] = &[
    constant("heartbeat", "\"500ms\"", "Between two heartbeats (P)."),
    constant("suspect_after", "\"3s\"", "Silence after which a node is suspected (T_suspect); above 2 heartbeats."),
    constant(
        "stable_after",
        "\"600ms\"",
        "How long a wish for another view must last before it is proposed (T_stable).",
    ),
    constant("view_deadline", "\"800ms\"", "For a view change, plus the largest round trip (D_view)."),
    constant("freeze", "\"2500ms\"", "How long a member waits for the view it agreed to (D_freeze)."),
    constant("hold_down_max", "\"30s\"", "Longest time that a failing member is kept out of views (T_hold)."),
];

const OPTIMISTIC_POLICIES: &[Field] = &[
    graded("ack", ACK, "\"all\"", "When a write is acknowledged.", Grade::J, TUNED),
    graded("merge", MERGE, "\"replay\"", "What happens to the branch that loses.", Grade::J, TUNED),
    graded("reads", READS, "\"session\"", "Which reads are answered.", Grade::J, TUNED),
];

const OPTIMISTIC_LIMITS: &[Field] = &[
    graded(
        "epoch_max",
        Shape::Wide { from: 8, to: u64::MAX },
        "\"9223372036854775808\"",
        "Epochs wrap here (E_MAX).",
        Grade::J,
        "2^63: practically infinite",
    ),
    graded(
        "retain_entries",
        Shape::Whole { from: 1, to: 1 << 53 },
        "100000",
        "Entries kept for absent members before the most lagging one is evicted.",
        Grade::J,
        TUNED,
    ),
    constant("retain_age", "\"24h\"", "Age of the oldest entry kept for absent members."),
    graded(
        "sync_limit",
        Shape::Whole { from: 1, to: 1 << 53 },
        "4000",
        "Entries that a node may lack when it joins a view; more are brought in the background first.",
        Grade::J,
        TUNED,
    ),
    constant("session_expiry", "\"24h\"", "Sessions silent for so long, by logged time, expire."),
    constant("clock_skew_max", "\"1s\"", "Timestamps further ahead of the wall clock are clamped."),
];

static OPTIMISTIC: Record = Record {
    name: "optimistic",
    says: "Optimistic primary-backup: serves with whoever is there, and merges afterwards.",
    parts: &[OPTIMISTIC_TIMES, OPTIMISTIC_POLICIES, OPTIMISTIC_LIMITS, &[breakable(optimistic::Mutation::NAMES), OWN]],
    choice: None,
};

const SUITED: &str = "suited to the default suspicion of the optimistic mechanism, so that detection is alike";
const PAPER: &str = "the papers' safe default";

const ELECTION_RANGE: Shape = Shape::Either(&[TIME, Shape::List { of: &TIME, from: 2, to: 2 }]);

const TICK: Field = derived(
    "tick",
    TIME,
    "the largest of 1 to 50 ms that divides all its times",
    "Step of the protocol's own clock; must divide all its times.",
);

const fn suited(name: &'static str, json: &'static str, says: &'static str) -> Field {
    graded(name, TIME, json, says, Grade::J, SUITED)
}

const SNAPSHOT: Field = graded(
    "snapshot_entries",
    Shape::Whole { from: 1, to: 1 << 53 },
    "10000",
    "Entries after which a snapshot replaces the log.",
    Grade::J,
    "judgement",
);

const AFTER_DISK_LOSS: Field = graded(
    "after_disk_loss",
    Shape::OneOf(&[
        ("stay-out", "out of the group until a membership change adds the node under a new identity"),
        ("rejoin-empty", "back empty under its old identity, to show the danger"),
    ]),
    "\"stay-out\"",
    "What a node does whose disk was lost.",
    Grade::J,
    "the protocol assumes that disks keep what they were told",
);

static RAFT: Record = Record {
    name: "raft",
    says: "Raft: a majority elects a leader and commits.",
    parts: &[
        &[
            graded(
                "election_timeout",
                ELECTION_RANGE,
                "\"3s\"",
                "Silence after which a follower stands for election: uniform in [this, twice this), or in [lowest, highest).",
                Grade::J,
                SUITED,
            ),
            suited("heartbeat", "\"300ms\"", "Between two heartbeats of a leader."),
            TICK,
            graded("pre_vote", Shape::Flag, "true", "Ask before raising the term.", Grade::J, PAPER),
            graded("check_quorum", Shape::Flag, "true", "A leader that hears no majority steps down.", Grade::J, PAPER),
            graded(
                "reads",
                Shape::OneOf(&[
                    ("read-index", "the leader asks a majority whether it still leads: linearizable"),
                    (
                        "lease",
                        "the leader trusts that it is heard, as it last checked for a quorum: may be stale after a cut",
                    ),
                ]),
                "\"read-index\"",
                "How reads are answered.",
                Grade::J,
                PAPER,
            ),
            AFTER_DISK_LOSS,
            SNAPSHOT,
            breakable(raft::Mutation::NAMES),
        ],
        &[OWN],
    ],
    choice: None,
};
static OMNIPAXOS: Record = Record {
    name: "omnipaxos",
    says: "Omni-Paxos: a majority, with a leader chosen by who is connected to a quorum.",
    parts: &[
        &[
            suited(
                "election_timeout",
                "\"3s\"",
                "Length of a round of heartbeats; who is silent for one is taken for dead.",
            ),
            TICK,
            graded(
                "reads",
                Shape::OneOf(&[
                    ("log", "ordered in the log like writes: linearizable"),
                    ("leader", "from whoever believes to lead: may be stale"),
                ]),
                "\"log\"",
                "How reads are answered.",
                Grade::J,
                PAPER,
            ),
            AFTER_DISK_LOSS,
            SNAPSHOT,
            breakable(omnipaxos::Mutation::NAMES),
        ],
        &[OWN],
    ],
    choice: None,
};
static VIEWSTAMPED: Record = Record {
    name: "viewstamped",
    says: "Viewstamped Replication: a majority, with a primary that rotates by view number.",
    parts: &[
        &[
            suited("election_timeout", "\"3s\"", "Silence of the primary after which a backup starts a view change."),
            suited("heartbeat", "\"300ms\"", "An idle primary sends its commit number this often."),
            SNAPSHOT,
            breakable(viewstamped::Mutation::NAMES),
        ],
        &[OWN],
    ],
    choice: None,
};
static STATIC_PRIMARY: Record = Record {
    name: "static-primary",
    says: "The first replica by placement is primary for ever; a write waits for every replica.",
    parts: &[
        &[suited("heartbeat", "\"300ms\"", "The primary repeats what is not acknowledged this often."), SNAPSHOT],
        &[OWN],
    ],
    choice: None,
};
static LAZY_CONSENSUS: Record = Record {
    name: "lazy-consensus",
    says: "Semi-passive replication: a rotating coordinator computes an update only when it proposes it; a majority decides.",
    parts: &[
        &[
            suited("heartbeat", "\"500ms\"", "Between two heartbeats of the failure detector."),
            suited("suspect_after", "\"3s\"", "Silence after which a process is suspected."),
            SNAPSHOT,
            breakable(lazy_consensus::Mutation::NAMES),
        ],
        &[OWN],
    ],
    choice: None,
};
static DYNAMIC_VOTING: Record = Record {
    name: "dynamic-voting",
    says: "A majority of the last view that had one; of an even split, the side of the distinguished site.",
    parts: &[
        &[
            suited("heartbeat", "\"500ms\"", "Between two heartbeats."),
            suited("suspect_after", "\"3s\"", "Silence after which a member is suspected."),
            suited("stable_after", "\"600ms\"", "How long a wish for another view must last before it is proposed."),
            suited("view_deadline", "\"800ms\"", "For a view change, plus the largest round trip."),
            SNAPSHOT,
            breakable(dynamic_voting::Mutation::NAMES),
        ],
        &[OWN],
    ],
    choice: None,
};
