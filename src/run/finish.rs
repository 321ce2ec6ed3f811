//! Writes up a run that is over.

use std::collections::BTreeMap;

use super::coverage::Coverage;
use super::stage::Stage;
use super::watch::Watch;
use super::{Examined, PowerSeries, Record, RunResult, ScenarioRecord, Verdict, expect, fates};
use crate::metrics::recorder::{Fates, Recorded, worst};
use crate::metrics::window::{Counted, Tally, Window};
use crate::metrics::{MetricsTable, Phase, Recovery};
use crate::scenario::Scenario;
use crate::time::SimTime;

/// A run that is over, to be written up.
pub struct Finished<'a> {
    pub scenario: &'a Scenario,
    pub label: &'a str,
    pub seed: u64,
    pub fingerprint: u64,
    pub events: u64,
    pub end: SimTime,
    pub phases: Vec<(Window, String)>,
    pub windows: Vec<Window>,
    pub fates: Vec<Fates>,
    pub verdicts: Vec<Verdict>,
}

/// Everything that was recorded, by service in scenario order.
struct Measured {
    services: Vec<(String, Recorded)>,
    watch: Watch,
}

impl Measured {
    /// Metrics of one window over all services, and of each.
    fn table(&self, window: usize) -> MetricsTable {
        let mut total: Option<Tally> = None;
        let mut counted: Vec<Counted> = Vec::new();
        let mut services = BTreeMap::new();
        for (name, recorded) in &self.services {
            let tally = &recorded.tallies[window];
            services.insert(name.clone(), tally.metrics(&recorded.counted));
            counted.resize(counted.len().max(recorded.counted.len()), Counted::default());
            for (sum, one) in counted.iter_mut().zip(&recorded.counted) {
                sum.requests += one.requests;
                sum.ok += one.ok;
            }
            match &mut total {
                Some(total) => total.add(tally),
                None => total = Some(tally.clone()),
            }
        }
        let mut table = MetricsTable { all: total.map(|tally| tally.metrics(&counted)).unwrap_or_default(), services };
        self.watch.fill(window, self.services.iter().map(|(name, _)| name.as_str()), &mut table);
        table
    }
}

impl Finished<'_> {
    pub fn result(self, stage: Stage) -> (RunResult, Examined) {
        let Stage { seats, kept, tape, lines, notes, watch, coverage, .. } = stage;
        let mut examined = kept.unwrap_or_default();
        examined.tape = tape;
        let mut measured = Measured { services: Vec::new(), watch };
        for (seat, service) in seats.into_iter().zip(&self.scenario.services) {
            examined.chain_broken.push(seat.invariants.chain_broken());
            let mut recorded = seat.recorder.finish(self.end, &service.name);
            let powered = measured.watch.seconds(measured.services.len());
            for (second, (awake, watts)) in recorded.seconds.iter_mut().zip(powered) {
                (second.nodes_awake, second.watts) = (Some(awake), Some(watts));
            }
            measured.services.push((service.name.clone(), recorded));
        }
        let rows = measured.services.iter().map(|(_, recorded)| recorded.seconds.len()).max().unwrap_or(0);
        let metrics = self.metrics(&measured);
        let phase = |(at, (window, label)): (usize, &(Window, String))| Phase {
            from_s: window.from.as_secs_f64(),
            to_s: window.to.as_secs_f64(),
            label: label.clone(),
            metrics: measured.table(1 + at),
        };
        let spans = self.windows.len() - self.scenario.expectations.len();
        let expectations = expect::judge(self.scenario, self.label, &metrics, |at| measured.table(spans + at));
        let recoveries = measured.services.iter().flat_map(|(_, one)| one.recoveries.iter().cloned()).collect();
        let record = Record {
            format: 1,
            firedrill: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: ScenarioRecord {
                name: self.scenario.name.clone(),
                as_written: self.scenario.as_written.clone(),
                resolved: self.scenario.resolved.clone(),
                hash: self.scenario.hash.clone(),
            },
            protocol: self.label.to_owned(),
            seed: self.seed,
            branches: Vec::new(),
            fingerprint: format!("{:016x}", self.fingerprint),
            events: self.events,
            simulated_s: self.end.as_secs_f64(),
            phases: self.phases.iter().enumerate().map(phase).collect(),
            metrics,
            recoveries,
            expectations,
            verdicts: self.verdicts,
            notes,
            residency: measured.watch.residency(self.scenario, self.end),
        };
        let power = measured.watch.meter().map(|meter| PowerSeries {
            data_centers: self.scenario.topology.data_centers.iter().map(|site| site.name.clone()).collect(),
            seconds: meter.seconds().iter().take(rows).map(|second| second.sites.clone()).collect(),
        });
        let seconds = measured.services.into_iter().map(|(name, recorded)| (name, recorded.seconds)).collect();
        let (history, trace) = lines.into_files();
        let features = coverage.map(Coverage::into_features).unwrap_or_default();
        (RunResult { record, seconds, power, history, trace, features }, examined)
    }

    /// The whole measured run: what its window tells, the recoveries, and the fates of writes.
    fn metrics(&self, measured: &Measured) -> MetricsTable {
        let mut table = measured.table(0);
        let recoveries: Vec<&Recovery> = measured.services.iter().flat_map(|(_, one)| &one.recoveries).collect();
        worst(recoveries.iter().copied(), &mut table.all);
        let mut sum = Fates::default();
        for ((name, recorded), fates) in measured.services.iter().zip(&self.fates) {
            let metrics = table.services.get_mut(name).expect("every service has a row");
            worst(recorded.recoveries.iter(), metrics);
            fates::set_fates(metrics, fates);
            sum = Fates {
                applied: sum.applied + fates.applied,
                revoked: sum.revoked + fates.revoked,
                stranded: sum.stranded + fates.stranded,
                lost: sum.lost + fates.lost,
                reapplied: sum.reapplied + fates.reapplied,
                duplicated: sum.duplicated + fates.duplicated,
                told: sum.told + fates.told,
            };
        }
        fates::set_fates(&mut table.all, &sum);
        table
    }
}
