//! Made-up results of services that move: a data center is lost and comes back, and some machines sleep meanwhile.

use serde_json::json;

use crate::metrics::energy::SiteSecond;
use crate::metrics::{NodeRecord, ReplicaEvent, Residency};
use crate::output::fixture::{self, Fake};
use crate::run::{PowerSeries, RunResult};

pub struct Moving {
    pub name: &'static str,
    pub sites: usize,
    /// At each site.
    pub machines: usize,
    pub services: usize,
    pub duration: u64,
}

/// When the second site is lost, and when it is back; when every third machine goes to sleep, and when it is awake.
const LOST: (f64, f64) = (0.3, 0.6);
const SLEEP: (f64, f64) = (0.15, 0.8);
const BOOT: f64 = 0.05;
/// Watts of a machine that is idle, and busy.
const IDLE: f64 = 60.0;
const FULL: f64 = 300.0;

impl Moving {
    fn at(&self, share: f64) -> f64 {
        (share * self.duration as f64).round()
    }

    fn machine(site: usize, index: usize) -> String {
        format!("site-{site:02}/{index}")
    }

    /// Three sites apart from each other, the first of them in turn.
    fn given(&self, service: usize) -> Vec<String> {
        let step = (self.sites / 3).max(1);
        (0..3)
            .map(|at| Self::machine((service + at * step) % self.sites, service / self.sites % self.machines))
            .collect()
    }

    fn sleeps(protocol: &str, index: usize) -> bool {
        protocol == "save" && index % 3 == 2
    }

    pub fn resolved(&self) -> serde_json::Value {
        let site = |at: usize| {
            let (lat, lon) = (at as f64, 2.0 * at as f64);
            let place = json!({"lat": lat, "lon": lon});
            json!({"id": format!("site-{at:02}"), "location": place, "zone": format!("zone-{}", at / 2), "nodes": self.machines})
        };
        let spread = json!({"data_centers": 3, "zones": 2});
        let service = |at: usize| json!({"id": format!("service-{at:03}"), "application": "kv", "replicas": 3, "spread": spread, "place": self.given(at)});
        let load = |at: usize| json!({"service": format!("service-{at:03}"), "rate": "1/s"});
        json!({
            "format": 1, "name": self.name, "duration": format!("{}s", self.duration), "warmup": "10s",
            "topology": {
                "data_centers": (0..self.sites).map(site).collect::<Vec<_>>(),
                "network": {"latency": "distance"},
                "node": {"power": "two-socket-2017"},
            },
            "services": (0..self.services).map(service).collect::<Vec<_>>(),
            "protocols": {
                "save": {"kind": "optimistic"},
                "repair": {"kind": "optimistic", "reorganise": {"policy": "repair"}},
                "off": {"kind": "optimistic", "reorganise": "off"},
            },
            "workload": (0..self.services).map(load).collect::<Vec<_>>(),
            "reorganise": {"policy": "save"},
        })
    }

    /// What happened to the replicas of a service.
    fn events(&self, service: usize) -> Vec<ReplicaEvent> {
        let event = |at: f64, machine: &str, what: &str| ReplicaEvent(at, machine.to_owned(), what.to_owned());
        let given = self.given(service);
        let mut events: Vec<ReplicaEvent> = given.iter().map(|machine| event(3.0, machine, "join")).collect();
        if let Some(lost) = given.iter().find(|machine| machine.starts_with("site-01/")) {
            let other = (0..self.sites).find(|site| {
                *site != 1 && !given.iter().any(|machine| machine.starts_with(&format!("site-{site:02}/")))
            });
            let heir = Self::machine(other.unwrap_or(0), self.machines - 1);
            events.push(event(self.at(LOST.0) + 4.0, lost, "leave"));
            events.push(event(self.at(LOST.0) + 9.5, &heir, "start"));
            events.push(event(self.at(LOST.0) + 15.0 + service as f64, &heir, "join"));
        }
        events
    }

    fn node(&self, protocol: &str, site: usize, index: usize) -> NodeRecord {
        let end = self.duration as f64;
        if site == 1 {
            let lost = (self.at(LOST.0), self.at(LOST.1));
            return NodeRecord { awake: vec![(0.0, lost.0), (lost.1, end)], down: vec![lost], ..NodeRecord::default() };
        }
        if Self::sleeps(protocol, index) {
            let (from, to) = (self.at(SLEEP.0), self.at(SLEEP.1));
            let woken = self.at(SLEEP.1 - BOOT);
            let awake = vec![(0.0, from), (to, end)];
            return NodeRecord {
                awake,
                asleep: vec![(from, woken)],
                booting: vec![(woken, to)],
                ..NodeRecord::default()
            };
        }
        NodeRecord { awake: vec![(0.0, end)], ..NodeRecord::default() }
    }

    fn power(&self, protocol: &str) -> PowerSeries {
        let second = |second: u64| {
            let share = second as f64 / self.duration as f64;
            let site = |site: usize| {
                let all = self.machines as u32;
                if site == 1 && (LOST.0..LOST.1).contains(&share) {
                    return SiteSecond { nodes_down: all, ..SiteSecond::default() };
                }
                let resting = (0..self.machines).filter(|&index| Self::sleeps(protocol, index)).count() as u32;
                let asleep = if (SLEEP.0..SLEEP.1).contains(&share) { resting } else { 0 };
                let busy = f64::from(all) * (0.1 + 0.1 * share);
                let awake = all - asleep;
                let watts = |awake: u32| IDLE * f64::from(awake) + (FULL - IDLE) * busy;
                SiteSecond {
                    nodes_awake: awake,
                    nodes_asleep: asleep,
                    load: Some(busy / f64::from(awake)),
                    watts: watts(awake),
                    ideal_watts: FULL * busy,
                    all_awake_watts: watts(all),
                    ..SiteSecond::default()
                }
            };
            (0..self.sites).map(site).collect()
        };
        let data_centers = (0..self.sites).map(|site| format!("site-{site:02}")).collect();
        PowerSeries { data_centers, seconds: (0..self.duration).map(second).collect() }
    }
}

/// A run of `save`, `repair` or `off`.
pub fn run(moving: &Moving, protocol: &str, seed: u64) -> RunResult {
    let cut = |share: f64, label| (moving.at(share) as u64, label);
    let fake = Fake {
        name: moving.name,
        duration: moving.duration,
        warmup: 10,
        cuts: vec![(10, "before"), cut(LOST.0, "crash site-01"), cut(LOST.1, "restart site-01")],
        services: vec!["service-000"],
        rate: 20,
        power: true,
    };
    let mut result = fixture::run(&fake, protocol, seed);
    let power = moving.power(protocol);
    let energy = |watts: fn(&SiteSecond) -> f64| power.seconds.iter().flatten().map(watts).sum::<f64>() / 3.6e6;
    let all = &mut result.record.metrics.all;
    all.energy_kwh = Some(energy(|site| site.watts) * (1.0 + 0.01 * seed as f64));
    all.energy_ideal_kwh = Some(energy(|site| site.ideal_watts));
    all.energy_all_awake_kwh = Some(energy(|site| site.all_awake_watts));
    let mut replicas = std::collections::BTreeMap::new();
    if protocol != "off" {
        all.reprovision_s = Some(if protocol == "save" { 42.0 } else { 16.0 } + seed as f64);
        all.moves = Some(moving.services as u64 / 2);
        replicas.extend((0..moving.services).map(|at| (format!("service-{at:03}"), moving.events(at))));
    }
    let each = (0..moving.sites).flat_map(|site| (0..moving.machines).map(move |index| (site, index)));
    let nodes = each.map(|(site, index)| (Moving::machine(site, index), moving.node(protocol, site, index))).collect();
    result.record.residency = Some(Residency { replicas, nodes });
    result.record.scenario.resolved = moving.resolved();
    result.power = Some(power);
    result
}
