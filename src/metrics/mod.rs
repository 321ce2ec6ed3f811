//! What a run measured, and the recorder that measures it.

pub mod energy;
pub mod recorder;
pub mod window;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The metrics of a run, a service or a phase. Names carry units; null means that it does not apply, or
/// was not reached before the end, and never zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    pub requests_total: Option<u64>,
    pub requests_ok: Option<u64>,
    pub requests_failed: Option<u64>,
    pub availability: Option<f64>,
    pub availability_time: Option<f64>,
    pub outage_total_s: Option<f64>,
    pub outage_longest_s: Option<f64>,
    pub recovery_first_s: Option<f64>,
    pub recovery_s: Option<f64>,
    pub convergence_s: Option<f64>,
    pub divergence_s: Option<f64>,
    pub latency_p50_ms: Option<f64>,
    pub latency_p99_ms: Option<f64>,
    pub latency_p999_ms: Option<f64>,
    pub writes_acked: Option<u64>,
    pub writes_applied: Option<u64>,
    pub writes_revoked: Option<u64>,
    pub writes_stranded: Option<u64>,
    pub writes_lost: Option<u64>,
    pub writes_revoked_told: Option<u64>,
    pub writes_reapplied: Option<u64>,
    pub writes_duplicated: Option<u64>,
    pub reads_stale: Option<u64>,
    pub replies_degraded: Option<u64>,
    pub replies_regressed: Option<u64>,
    pub messages: Option<u64>,
    pub bytes_wan: Option<u64>,
    pub energy_kwh: Option<f64>,
    pub energy_ideal_kwh: Option<f64>,
    pub energy_all_awake_kwh: Option<f64>,
    pub power_mean_w: Option<f64>,
    pub nodes_awake_mean: Option<f64>,
    pub load_jain: Option<f64>,
    pub load_max_over_mean: Option<f64>,
    pub moves: Option<u64>,
    pub bytes_moved: Option<u64>,
    pub reprovision_s: Option<f64>,
}

impl Metrics {
    /// The names of all metrics, in the order of result files.
    pub const NAMES: [&'static str; 37] = [
        "requests_total",
        "requests_ok",
        "requests_failed",
        "availability",
        "availability_time",
        "outage_total_s",
        "outage_longest_s",
        "recovery_first_s",
        "recovery_s",
        "convergence_s",
        "divergence_s",
        "latency_p50_ms",
        "latency_p99_ms",
        "latency_p999_ms",
        "writes_acked",
        "writes_applied",
        "writes_revoked",
        "writes_stranded",
        "writes_lost",
        "writes_revoked_told",
        "writes_reapplied",
        "writes_duplicated",
        "reads_stale",
        "replies_degraded",
        "replies_regressed",
        "messages",
        "bytes_wan",
        "energy_kwh",
        "energy_ideal_kwh",
        "energy_all_awake_kwh",
        "power_mean_w",
        "nodes_awake_mean",
        "load_jain",
        "load_max_over_mean",
        "moves",
        "bytes_moved",
        "reprovision_s",
    ];

    /// A metric by name; `None` if there is no such name, or it is null.
    pub fn get(&self, name: &str) -> Option<f64> {
        match name {
            "requests_total" => self.requests_total.map(|count| count as f64),
            "requests_ok" => self.requests_ok.map(|count| count as f64),
            "requests_failed" => self.requests_failed.map(|count| count as f64),
            "availability" => self.availability,
            "availability_time" => self.availability_time,
            "outage_total_s" => self.outage_total_s,
            "outage_longest_s" => self.outage_longest_s,
            "recovery_first_s" => self.recovery_first_s,
            "recovery_s" => self.recovery_s,
            "convergence_s" => self.convergence_s,
            "divergence_s" => self.divergence_s,
            "latency_p50_ms" => self.latency_p50_ms,
            "latency_p99_ms" => self.latency_p99_ms,
            "latency_p999_ms" => self.latency_p999_ms,
            "writes_acked" => self.writes_acked.map(|count| count as f64),
            "writes_applied" => self.writes_applied.map(|count| count as f64),
            "writes_revoked" => self.writes_revoked.map(|count| count as f64),
            "writes_stranded" => self.writes_stranded.map(|count| count as f64),
            "writes_lost" => self.writes_lost.map(|count| count as f64),
            "writes_revoked_told" => self.writes_revoked_told.map(|count| count as f64),
            "writes_reapplied" => self.writes_reapplied.map(|count| count as f64),
            "writes_duplicated" => self.writes_duplicated.map(|count| count as f64),
            "reads_stale" => self.reads_stale.map(|count| count as f64),
            "replies_degraded" => self.replies_degraded.map(|count| count as f64),
            "replies_regressed" => self.replies_regressed.map(|count| count as f64),
            "messages" => self.messages.map(|count| count as f64),
            "bytes_wan" => self.bytes_wan.map(|count| count as f64),
            "energy_kwh" => self.energy_kwh,
            "energy_ideal_kwh" => self.energy_ideal_kwh,
            "energy_all_awake_kwh" => self.energy_all_awake_kwh,
            "power_mean_w" => self.power_mean_w,
            "nodes_awake_mean" => self.nodes_awake_mean,
            "load_jain" => self.load_jain,
            "load_max_over_mean" => self.load_max_over_mean,
            "moves" => self.moves.map(|count| count as f64),
            "bytes_moved" => self.bytes_moved.map(|count| count as f64),
            "reprovision_s" => self.reprovision_s,
            _ => None,
        }
    }
}

/// From one fault to the service's recovery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    pub service: String,
    /// The label of the fault.
    pub fault: String,
    pub at_s: f64,
    /// Seconds from the fault to the first success of a request that started after it.
    pub first_success_s: Option<f64>,
    /// Seconds from the fault to the start of 5 s in which 99 % of requests succeeded.
    pub sustained_s: Option<f64>,
    /// Seconds from the end of the fault to a legitimate state.
    pub converged_s: Option<f64>,
    /// The fault ended before the run did, so that convergence can be asked for.
    pub ended: bool,
    /// The run ended before all of these were reached.
    pub censored: bool,
}

/// A span of the run between two changes of the world. It counts the requests that started in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    pub from_s: f64,
    pub to_s: f64,
    pub label: String,
    pub metrics: MetricsTable,
}

/// Metrics over all services, and of each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricsTable {
    pub all: Metrics,
    pub services: BTreeMap<String, Metrics>,
}

/// A second of one service, in the order of `timeseries.csv`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Second {
    /// Whole seconds since the start of the run.
    pub second: u64,
    /// Requests that started in this second, by outcome. `failed` includes `unknown`.
    pub requests: u32,
    pub ok: u32,
    pub failed: u32,
    /// Of the failed: the deadline passed and it may have been executed.
    pub unknown: u32,
    pub degraded: u32,
    pub latency_p50_ms: Option<f64>,
    pub latency_p99_ms: Option<f64>,
    /// Replicas accepting writes as primary at the end of the second.
    pub primaries: u32,
    /// Members of the largest serving view at the end of the second; 0 if none serves.
    pub view_members: u32,
    /// Nodes of the service whose process runs at the end of the second.
    pub nodes_up: u32,
    /// Machines that hold a replica of it and are awake at the end of the second, and the mean power that it accounts
    /// for in the second; only if the scenario says what power its machines draw.
    pub nodes_awake: Option<u32>,
    pub watts: Option<f64>,
}

/// Where replicas were and when machines were awake, over a whole run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residency {
    /// By service, in order of time: agents started a replica, it joined the serving view, left it, or was stopped.
    /// Empty without agents.
    pub replicas: BTreeMap<String, Vec<ReplicaEvent>>,
    /// By machine.
    pub nodes: BTreeMap<String, NodeRecord>,
}

/// At what second, on which machine, and what: `start`, `join`, `leave` or `stop`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplicaEvent(pub f64, pub String, pub String);

/// What is known of one machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeRecord {
    /// Over the measured part of the run, its part of its site's overhead included.
    pub energy_kwh: Option<f64>,
    /// Processor share of the time that it was awake.
    pub load_mean: Option<f64>,
    /// Spans in seconds in which it was powered and neither booted nor shut down.
    pub awake: Vec<(f64, f64)>,
    /// Spans in which it booted, in which it slept or shut down for it, and in which its process or its site was
    /// dead; without any, they are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub booting: Vec<(f64, f64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asleep: Vec<(f64, f64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub down: Vec<(f64, f64)>,
}
