//! Fields of `protocols`, by kind.

use super::{Field, Grade, Record, Shape, TIME, TIME_OR_ZERO, graded, may, need};

pub const KINDS: &[&Record] =
    &[&OPTIMISTIC, &RAFT, &OMNIPAXOS, &VIEWSTAMPED, &STATIC_PRIMARY, &LAZY_CONSENSUS, &DYNAMIC_VOTING];

/// Kinds that run already.
pub const BUILT: &[&str] = &["optimistic"];

/// Where a kind comes from.
pub fn source(kind: &str) -> &'static str {
    match kind {
        "optimistic" => {
            "Hasebe, Nishita and Kato 2014, doi 10.1109/IC2E.2014.71 (abstract); the rest is this project's"
        }
        "raft" => "Ongaro and Ousterhout 2014",
        "omnipaxos" => "Ng, Haridi and Carbone 2023",
        "viewstamped" => "Liskov and Cowling 2012",
        "lazy-consensus" => "this project, after Bayou (Terry et al. 1995)",
        "dynamic-voting" => "Jajodia and Mutchler 1990",
        _ => "textbook",
    }
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
    parts: &[OPTIMISTIC_TIMES, OPTIMISTIC_POLICIES, OPTIMISTIC_LIMITS],
    choice: None,
};

const OWN: &str = "the protocol's own";

const ELECTION: &[Field] = &[
    may(
        "election_timeout",
        Shape::Either(&[TIME, Shape::List { of: &TIME, from: 2, to: 2 }]),
        OWN,
        "Silence after which a follower stands for election; or [lowest, highest], drawn between them.",
    ),
    may("heartbeat", TIME, OWN, "Between two heartbeats of a leader."),
    may("tick", TIME, OWN, "Step of the protocol's own clock."),
];

const MAJORITY: &[Field] = &[
    may(
        "reads",
        Shape::OneOf(&[
            ("latest", "linearizable"),
            ("lease", "by a leader's lease"),
            ("session", "a session sees its own writes"),
            ("any", "whatever the replica holds"),
        ]),
        OWN,
        "Which reads are answered.",
    ),
    may(
        "after_disk_loss",
        Shape::OneOf(&[
            ("stay-out", "the node stays out until it is replaced"),
            ("rejoin", "the node comes back empty under its old name"),
        ]),
        OWN,
        "What a node does whose disk was lost.",
    ),
    may("sync_limit", Shape::Whole { from: 1, to: 1 << 53 }, OWN, "Entries sent to a follower at once."),
];

const RAFT_ONLY: &[Field] = &[
    may("pre_vote", Shape::Flag, OWN, "Ask before raising the term."),
    may("check_quorum", Shape::Flag, OWN, "A leader that hears no majority steps down."),
];

static RAFT: Record = Record {
    name: "raft",
    says: "Raft: a majority elects a leader and commits.",
    parts: &[ELECTION, RAFT_ONLY, MAJORITY],
    choice: None,
};
static OMNIPAXOS: Record = Record {
    name: "omnipaxos",
    says: "Omni-Paxos: a majority, with a leader chosen by who is connected to a quorum.",
    parts: &[ELECTION, MAJORITY],
    choice: None,
};
static VIEWSTAMPED: Record = Record {
    name: "viewstamped",
    says: "Viewstamped Replication: a majority, with a primary that rotates by view number.",
    parts: &[ELECTION, MAJORITY],
    choice: None,
};
static STATIC_PRIMARY: Record = Record {
    name: "static-primary",
    says: "The first replica by placement is primary for ever.",
    parts: &[&[
        may("ack", ACK, OWN, "When a write is acknowledged."),
        may("heartbeat", TIME, OWN, "Between two heartbeats."),
        may("reads", READS, OWN, "Which reads are answered."),
    ]],
    choice: None,
};
static LAZY_CONSENSUS: Record = Record {
    name: "lazy-consensus",
    says: "Answers at once and agrees by a majority afterwards.",
    parts: &[ELECTION, MAJORITY, &[may("merge", MERGE, OWN, "What happens to the branch that loses.")]],
    choice: None,
};
static DYNAMIC_VOTING: Record = Record {
    name: "dynamic-voting",
    says: "A majority of the last group that had one.",
    parts: &[ELECTION, MAJORITY, &[may("linger", TIME_OR_ZERO, OWN, "Wait before the group shrinks.")]],
    choice: None,
};
