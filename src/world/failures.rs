//! Failures at random: one renewal process for each thing that may break, each with a stream of its own.

use crate::id::{DcId, NodeId};
use crate::machine::Machine;
use crate::rng::Stream;
use crate::time::Duration;

use super::engine::World;
use super::event::Event;
use super::fault::{Action, Disk, Distribution, Endpoint, Failure, FailureKind, Targets};
use super::faults::FaultKey;
use super::front::Front;
use super::topology::Topology;

/// One thing that breaks and is repaired, again and again.
pub(super) struct Process {
    between: Distribution,
    repair: Distribution,
    stream: Stream,
    pub action: Action,
    pub label: String,
}

impl Process {
    /// The processes of all failures, in the order of the scenario and then of the things.
    pub fn all(topology: &Topology, failures: &[Failure], seed: u64) -> Vec<Self> {
        let mut processes = Vec::new();
        for (number, failure) in failures.iter().enumerate() {
            for (thing, (label, action)) in things(topology, failure).into_iter().enumerate() {
                let stream = Stream::new(seed, "failure", &[number as u64, thing as u64]);
                let &Failure { between, repair, .. } = failure;
                processes.push(Self { between, repair, stream, action, label });
            }
        }
        processes
    }
}

/// What a failure may hit, with the name of the event and what it does.
fn things(topology: &Topology, failure: &Failure) -> Vec<(String, Action)> {
    let crash = |nodes: Vec<NodeId>, silent: bool, disk: Disk| Action::Crash {
        targets: Targets::Nodes { nodes, silent },
        disk,
    };
    let sites = &topology.data_centers;
    match failure.kind {
        FailureKind::Node => (topology.nodes.iter().enumerate())
            .map(|(index, node)| {
                (format!("{} fails", node.name), crash(vec![NodeId::from(index)], false, failure.disk))
            })
            .collect(),
        FailureKind::DataCenter => (sites.iter())
            .map(|site| (format!("{} fails", site.name), crash(site.nodes.clone(), true, failure.disk)))
            .collect(),
        FailureKind::Link => {
            let ends = |index: usize| -> Vec<Endpoint> {
                let nodes = sites[index].nodes.iter().map(|&node| Endpoint::Node(node));
                nodes.chain([Endpoint::Place(DcId::from(index))]).collect()
            };
            let pairs = (0..sites.len()).flat_map(|a| (a + 1..sites.len()).map(move |b| (a, b)));
            pairs
                .map(|(a, b)| {
                    let cut = Action::Cut { from: ends(a), to: ends(b), one_way: false };
                    (format!("{} - {} fails", sites[a].name, sites[b].name), cut)
                })
                .collect()
        }
    }
}

impl<M: Machine, F: Front<M>> World<M, F> {
    /// Draws when a process fails next.
    pub(super) fn await_failure(&mut self, process: usize) {
        let Process { between, stream, .. } = &mut self.processes[process];
        let at = self.now + sample(*between, stream);
        if at <= self.end {
            let key = FaultKey((self.timeline.len() + process) as u32);
            self.queue.schedule(at, Event::FaultBegins(key));
        }
    }

    /// Draws how long a repair takes.
    pub(super) fn repair_time(&mut self, process: usize) -> Duration {
        let Process { repair, stream, .. } = &mut self.processes[process];
        sample(*repair, stream)
    }
}

/// Draws a duration by inversion.
fn sample(distribution: Distribution, stream: &mut Stream) -> Duration {
    let scaled = |unit: Duration, by: f64| Duration::from_nanos((unit.as_nanos() as f64 * by) as u64);
    match distribution {
        Distribution::Constant(duration) => duration,
        Distribution::Exponential { mean } => scaled(mean, stream.exponential()),
        Distribution::Weibull { shape, scale } => scaled(scale, libm::pow(stream.exponential(), 1.0 / shape)),
        Distribution::Lognormal { median, sigma } => {
            scaled(median, libm::exp(sigma * normal_quantile(stream.open01())))
        }
    }
}

/// The standard normal quantile of `p`, by bisection: failures are too rare to need a faster way.
fn normal_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-10.0, 10.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        let below = 0.5 * libm::erfc(-middle * std::f64::consts::FRAC_1_SQRT_2);
        if below < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(distribution: Distribution) -> Vec<f64> {
        let mut stream = Stream::new(5, "test", &[]);
        let mut all: Vec<f64> = (0..20_000).map(|_| sample(distribution, &mut stream).as_secs_f64()).collect();
        all.sort_by(f64::total_cmp);
        all
    }

    #[test]
    fn the_normal_quantile_is_right_at_known_points() {
        for (p, z) in [(0.5, 0.0), (0.975, 1.959_963_984_540_054), (0.01, -2.326_347_874_040_841)] {
            assert!((normal_quantile(p) - z).abs() < 1e-12, "{p}");
        }
    }

    #[test]
    fn samples_have_the_moments_of_their_distributions() {
        let second = Duration::from_secs(1);
        let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
        let exponential = draws(Distribution::Exponential { mean: second });
        assert!((mean(&exponential) - 1.0).abs() < 0.03);
        // A Weibull of shape 0.7 and scale 1 has mean gamma(1 + 1/0.7) = 1.2658 and median ln(2)^(1/0.7).
        let weibull = draws(Distribution::Weibull { shape: 0.7, scale: second });
        assert!((mean(&weibull) - 1.2658).abs() < 0.06, "{}", mean(&weibull));
        assert!((weibull[10_000] - 0.5924).abs() < 0.03, "{}", weibull[10_000]);
        let lognormal = draws(Distribution::Lognormal { median: second, sigma: 1.41 });
        assert!((lognormal[10_000] - 1.0).abs() < 0.05, "{}", lognormal[10_000]);
        // One sigma above the median: the quantile 0.8413.
        assert!((lognormal[16_827] / libm::exp(1.41) - 1.0).abs() < 0.07, "{}", lognormal[16_827]);
    }
}
