//! Scenarios built in code: small services under one disaster each, and under seeded chaos.
#![allow(dead_code, reason = "each test file uses a part of this")]

pub mod chaos;
pub mod contest;
pub mod judge;
pub mod layer;
pub mod library;

use firedrill::id::{DcId, NodeId, ServiceId};
use firedrill::protocols::optimistic::{Ack, MergePolicy, Options, ReadLevel};
use firedrill::scenario::{Kind, Protocol, Scenario};
use firedrill::time::{Duration, SimTime};
use firedrill::workload::{Application, Load, Profile, Service};
use firedrill::world::fault::{Action, Disk, Endpoint, Fault, Targets};
use firedrill::world::topology::{DataCenter, Node, Path, Topology};

pub fn secs(secs: u64) -> SimTime {
    SimTime::ZERO + Duration::from_secs(secs)
}

pub fn millis(millis: u64) -> SimTime {
    SimTime::ZERO + Duration::from_millis(millis)
}

/// The constants of the specification.
pub fn options() -> Options {
    Options {
        heartbeat: Duration::from_millis(500),
        suspect_after: Duration::from_secs(3),
        stable_after: Duration::from_millis(600),
        view_deadline: Duration::from_millis(800),
        freeze: Duration::from_millis(2_500),
        hold_down_max: Duration::from_secs(30),
        ack: Ack::All,
        merge: MergePolicy::Replay,
        reads: ReadLevel::Session,
        epoch_max: 1 << 63,
        retain_entries: 100_000,
        retain_age: Duration::from_secs(86_400),
        sync_limit: 4_000,
        session_expiry: Duration::from_secs(86_400),
        clock_skew_max: Duration::from_secs(1),
        mutation: None,
    }
}

/// One service with a replica in each of `sites` data centers of one machine, 40 ms apart.
pub fn scenario(sites: usize, application: Application, duration: u64) -> Scenario {
    let name = |site: usize| format!("dc{site}");
    let path = |from: usize, to: usize| Path {
        one_way: Duration::from_micros(if from == to { 50 } else { 15_000 + 5_000 * (from.abs_diff(to) as u64) }),
        jitter: 0.003,
        loss: 0.00001,
        bandwidth: 3_600_000_000,
    };
    let topology = Topology {
        data_centers: (0..sites)
            .map(|site| DataCenter {
                name: name(site),
                zone: name(site),
                latitude: 0.0,
                longitude: 0.0,
                nodes: vec![NodeId::from(site)],
                pue: 1.0,
            })
            .collect(),
        nodes: (0..sites)
            .map(|site| Node {
                name: format!("{}/0", name(site)),
                data_center: DcId::from(site),
                rack: None,
                capacity: 2_000.0,
                queue: 10_000,
                fsync: Duration::from_millis(1),
                boot: Duration::from_secs(260),
                shutdown: Duration::from_secs(30),
                power: None,
                exponential_service: false,
                message_cost: Duration::ZERO,
            })
            .collect(),
        paths: (0..sites * sites).map(|at| path(at / sites, at % sites)).collect(),
        overrides: std::collections::BTreeMap::new(),
    };
    let all: Vec<DcId> = (0..sites).map(DcId::from).collect();
    Scenario {
        name: "test".into(),
        description: String::new(),
        sources: Vec::new(),
        seed: 1,
        duration: Duration::from_secs(duration),
        warmup: Duration::from_secs(10),
        drain: Duration::from_secs(60),
        topology,
        services: vec![Service { name: "board".into(), application, replicas: (0..sites).map(NodeId::from).collect() }],
        map: None,
        protocols: vec![Protocol { label: "optimistic".into(), kind: Kind::Optimistic(options()), policy: None }],
        loads: vec![Load {
            service: ServiceId(0),
            from: all,
            rate: 2.0,
            weights: vec![],
            reads_nearest: false,
            reads: 0.5,
            appends: if application == Application::Kv { 0.2 } else { 0.0 },
            swaps: if application == Application::Kv { 0.2 } else { 0.0 },
            keys: 20,
            skew: 0.99,
            value_bytes: 224,
            deadline: Duration::from_secs(2),
            clients: 4,
            attempt_timeout: Duration::from_millis(400),
            profile: Profile::Constant,
            surges: Vec::new(),
        }],
        timeline: Vec::new(),
        failures: Vec::new(),
        expectations: Vec::new(),
        checks: Vec::new(),
        as_written: serde_json::Value::Null,
        resolved: serde_json::Value::Null,
        hash: String::new(),
    }
}

pub fn fault(at: SimTime, lasts: Option<u64>, label: &str, action: Action) -> Fault {
    Fault { at, lasts: lasts.map(Duration::from_secs), action, label: label.to_owned() }
}

pub fn nodes(nodes: &[u32]) -> Targets {
    Targets::Nodes { nodes: nodes.iter().copied().map(NodeId).collect(), silent: false }
}

pub fn crash(at: u64, lasts: u64, who: &[u32]) -> Fault {
    fault(secs(at), Some(lasts), "crash", Action::Crash { targets: nodes(who), disk: Disk::Kept })
}

/// Ends of everything in some data centers, clients included.
pub fn sites(sites: &[u32]) -> Vec<Endpoint> {
    sites.iter().flat_map(|&site| [Endpoint::Node(NodeId(site)), Endpoint::Place(DcId(site))]).collect()
}

pub fn partition(at: u64, lasts: u64, groups: &[&[u32]]) -> Fault {
    let groups = groups.iter().map(|group| sites(group)).collect();
    fault(secs(at), Some(lasts), "partition", Action::Partition { groups })
}

/// B of the specification, section 6, for these options and the largest one-way delay.
pub fn bound(options: &Options, one_way: Duration) -> Duration {
    let p = options.heartbeat;
    let stable = p.saturating_mul(options.stable_after.as_nanos().div_ceil(p.as_nanos()));
    options.suspect_after + p + p + stable + options.view_deadline + one_way.saturating_mul(2) + one_way + one_way
}

/// B' of the specification, section 6, for one wrap of epochs, with its additions: a scrub cycle (2 s for a
/// short log), 3P after a restart, a member that dies inside a change, and one that an arbitrary state holds
/// down for as long as it may.
pub fn arbitrary_state_bound(options: &Options, one_way: Duration) -> Duration {
    let p = options.heartbeat;
    let stable = p.saturating_mul(options.stable_after.as_nanos().div_ceil(p.as_nanos()));
    let change = options.view_deadline + one_way.saturating_mul(2) + p;
    let base = options.suspect_after.max(options.freeze) + p.saturating_mul(2) + stable + change.saturating_mul(2);
    let held = options.hold_down_max.max(options.suspect_after) + stable + change;
    base + Duration::from_secs(2) + p.saturating_mul(3) + change.saturating_mul(2) + held
}
