//! Electric energy and load of machines, from what the world shows each second.
//!
//! Between two samples a machine draws what its power says for the time it spent in each state, at the mean load of
//! the time that it was awake; a machine whose site is dead draws nothing, and one whose process is dead draws as
//! if it were idle. Its site draws that times its PUE. A service's energy is its share of the processor time of all
//! services in each interval; without any, all have equal shares.

use super::Metrics;
use super::window::Window;
use crate::id::DcId;
use crate::power::Power;
use crate::time::{Duration, SimTime};
use crate::world::{PowerState, PowerTimes};

const JOULES_PER_KWH: f64 = 3.6e6;

/// A machine as it is metered.
#[derive(Clone, Debug)]
pub struct Metered {
    pub site: DcId,
    pub power: Power,
    /// Of its site.
    pub pue: f64,
}

/// What the world shows of a machine: times are since the start of the run.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub state: PowerState,
    pub times: PowerTimes,
    /// Of its processor.
    pub busy: Duration,
}

/// A second of one data center, in the order of `power.csv`. Machines are counted at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SiteSecond {
    pub nodes_awake: u32,
    pub nodes_booting: u32,
    pub nodes_asleep: u32,
    /// Their process, or their site, is dead.
    pub nodes_down: u32,
    /// Mean processor share of the time that its machines were awake.
    pub load: Option<f64>,
    /// The data center's power, its PUE included, in watts.
    pub watts: f64,
    /// If watts followed load exactly.
    pub ideal_watts: f64,
    /// If those that slept had been idle.
    pub all_awake_watts: f64,
}

/// A second of all machines.
#[derive(Clone, Debug, Default)]
pub struct PowerSecond {
    pub sites: Vec<SiteSecond>,
    /// Watts that each service accounts for.
    pub services: Vec<f64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Energy {
    drawn: f64,
    ideal: f64,
    all_awake: f64,
}

/// A machine or a site so far, in a window or a second.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    joules: Energy,
    busy: Duration,
    awake: Duration,
}

impl Use {
    fn add(&mut self, other: &Self) {
        self.joules.drawn += other.joules.drawn;
        self.joules.ideal += other.joules.ideal;
        self.joules.all_awake += other.joules.all_awake;
        self.busy += other.busy;
        self.awake += other.awake;
    }

    fn load(&self) -> Option<f64> {
        (!self.awake.is_zero()).then(|| share(self.busy, self.awake))
    }
}

fn share(part: Duration, whole: Duration) -> f64 {
    part.as_nanos() as f64 / whole.as_nanos() as f64
}

#[derive(Clone, Debug)]
struct Sum {
    window: Window,
    span: Duration,
    machines: Vec<Use>,
    services: Vec<f64>,
}

/// The meters of all machines.
#[derive(Debug)]
pub struct Meter {
    machines: Vec<Metered>,
    readings: Vec<Reading>,
    /// Processor time of each service so far.
    services: Vec<Duration>,
    last: SimTime,
    sums: Vec<Sum>,
    sites: Vec<Use>,
    service_joules: Vec<f64>,
    seconds: Vec<PowerSecond>,
}

impl Meter {
    pub fn new(machines: Vec<Metered>, services: usize, windows: &[Window]) -> Self {
        let start = Reading { state: PowerState::Awake, times: PowerTimes::default(), busy: Duration::ZERO };
        let sum = |&window: &Window| Sum {
            window,
            span: Duration::ZERO,
            machines: vec![Use::default(); machines.len()],
            services: vec![0.0; services],
        };
        let sites = machines.iter().map(|machine| machine.site.index() + 1).max().unwrap_or(0);
        Self {
            readings: vec![start; machines.len()],
            services: vec![Duration::ZERO; services],
            last: SimTime::ZERO,
            sums: windows.iter().map(sum).collect(),
            sites: vec![Use::default(); sites],
            service_joules: vec![0.0; services],
            seconds: Vec::new(),
            machines,
        }
    }

    /// Takes in what happened since the last sample. There must be one at each edge of a window.
    pub fn sample(&mut self, now: SimTime, readings: &[Reading], services: &[Duration]) {
        let span = now.since(self.last);
        if span.is_zero() {
            return;
        }
        let mut windows: Vec<&mut Sum> =
            (self.sums.iter_mut()).filter(|sum| sum.window.from <= self.last && now <= sum.window.to).collect();
        let mut drawn = 0.0;
        for (at, (machine, reading)) in self.machines.iter().zip(readings).enumerate() {
            let one = machine.drawn(&self.readings[at], reading);
            drawn += one.joules.drawn;
            self.sites[machine.site.index()].add(&one);
            windows.iter_mut().for_each(|sum| sum.machines[at].add(&one));
        }
        let busy = |at: usize| services[at].saturating_sub(self.services[at]).as_nanos() as f64;
        let all: f64 = (0..services.len()).map(busy).sum();
        for at in 0..services.len() {
            let part = if all > 0.0 { busy(at) / all } else { 1.0 / services.len() as f64 };
            self.service_joules[at] += drawn * part;
            windows.iter_mut().for_each(|sum| sum.services[at] += drawn * part);
        }
        windows.iter_mut().for_each(|sum| sum.span += span);
        self.readings.copy_from_slice(readings);
        self.services.copy_from_slice(services);
        self.last = now;
    }

    /// A whole second is over, and was just sampled.
    pub fn second_ended(&mut self) {
        let site = |used: &Use| SiteSecond {
            load: used.load(),
            watts: used.joules.drawn,
            ideal_watts: used.joules.ideal,
            all_awake_watts: used.joules.all_awake,
            ..SiteSecond::default()
        };
        let mut sites: Vec<SiteSecond> = self.sites.iter().map(site).collect();
        for (machine, reading) in self.machines.iter().zip(&self.readings) {
            let row = &mut sites[machine.site.index()];
            *match reading.state {
                PowerState::Awake => &mut row.nodes_awake,
                PowerState::Booting => &mut row.nodes_booting,
                PowerState::ShuttingDown | PowerState::Asleep => &mut row.nodes_asleep,
                PowerState::Idle | PowerState::Dead => &mut row.nodes_down,
            } += 1;
        }
        self.sites.fill(Use::default());
        let services = std::mem::replace(&mut self.service_joules, vec![0.0; self.services.len()]);
        self.seconds.push(PowerSecond { sites, services });
    }

    /// The seconds so far.
    pub fn seconds(&self) -> &[PowerSecond] {
        &self.seconds
    }

    /// Puts a window's energy and load where results tell them.
    pub fn fill(&self, window: usize, metrics: &mut Metrics) {
        let sum = &self.sums[window];
        if sum.span.is_zero() {
            return;
        }
        let seconds = sum.span.as_secs_f64();
        let mut all = Use::default();
        sum.machines.iter().for_each(|one| all.add(one));
        let loads: Vec<f64> = sum.machines.iter().filter_map(Use::load).collect();
        metrics.energy_kwh = Some(all.joules.drawn / JOULES_PER_KWH);
        metrics.energy_ideal_kwh = Some(all.joules.ideal / JOULES_PER_KWH);
        metrics.energy_all_awake_kwh = Some(all.joules.all_awake / JOULES_PER_KWH);
        metrics.power_mean_w = Some(all.joules.drawn / seconds);
        metrics.nodes_awake_mean = Some(all.awake.as_secs_f64() / seconds);
        metrics.load_jain = jain(&loads);
        metrics.load_max_over_mean = max_over_mean(&loads);
    }

    /// As [`Meter::fill`], of a service.
    pub fn fill_service(&self, window: usize, service: usize, metrics: &mut Metrics) {
        let sum = &self.sums[window];
        if !sum.span.is_zero() {
            metrics.energy_kwh = Some(sum.services[service] / JOULES_PER_KWH);
            metrics.power_mean_w = Some(sum.services[service] / sum.span.as_secs_f64());
        }
    }

    /// Energy in kWh, its share of its site's overhead included, and mean load of a machine in a window.
    pub fn machine(&self, window: usize, machine: usize) -> (f64, Option<f64>) {
        let used = &self.sums[window].machines[machine];
        (used.joules.drawn / JOULES_PER_KWH, used.load())
    }
}

impl Metered {
    fn drawn(&self, before: &Reading, now: &Reading) -> Use {
        let times = now.times.since(&before.times);
        let busy = now.busy.saturating_sub(before.busy);
        let Self { power, pue, .. } = self;
        let load = if times.awake.is_zero() { 0.0 } else { share(busy, times.awake) };
        let joules = |watts: f64, time: Duration| watts * time.as_secs_f64() * pue;
        let awake = joules(power.at(load), times.awake);
        let idle = joules(power.at(0.0), times.idle);
        let resting = [(power.boot, times.booting), (power.shutdown, times.shutting_down), (power.sleep, times.asleep)];
        let rested: Duration = resting.iter().map(|(_, time)| *time).fold(Duration::ZERO, |sum, time| sum + time);
        Use {
            joules: Energy {
                drawn: awake + idle + resting.iter().map(|&(watts, time)| joules(watts, time)).sum::<f64>(),
                ideal: joules(power.proportional(load), times.awake),
                all_awake: awake + idle + joules(power.at(0.0), rested),
            },
            busy,
            awake: times.awake,
        }
    }
}

/// Jain's index of fairness: 1 if all are equal, 1/n if one has all.
fn jain(loads: &[f64]) -> Option<f64> {
    let (sum, squares) = loads.iter().fold((0.0, 0.0), |(sum, squares), load| (sum + load, squares + load * load));
    (squares > 0.0).then(|| sum * sum / (loads.len() as f64 * squares))
}

fn max_over_mean(loads: &[f64]) -> Option<f64> {
    let (sum, most) = loads.iter().fold((0.0, 0.0_f64), |(sum, most), &load| (sum + load, most.max(load)));
    (sum > 0.0).then(|| most * loads.len() as f64 / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SimTime {
        SimTime::ZERO + Duration::from_secs(seconds)
    }

    fn reading(state: PowerState, busy: u64, times: PowerTimes) -> Reading {
        Reading { state, times, busy: Duration::from_millis(busy) }
    }

    /// Two machines of 100 W idle and 200 W full; one sleeps from the tenth second on, at 10 W.
    fn meter() -> Meter {
        let deciles = std::array::from_fn(|at| 100.0 + 10.0 * at as f64);
        let power = Power { deciles, boot: 150.0, shutdown: 100.0, sleep: 10.0 };
        let machines = vec![Metered { site: DcId(0), power, pue: 2.0 }; 2];
        let windows = [Window { from: at(0), to: at(20) }, Window { from: at(10), to: at(20) }];
        let mut meter = Meter::new(machines, 2, &windows);
        let awake = |seconds| PowerTimes { awake: Duration::from_secs(seconds), ..PowerTimes::default() };
        let slept = PowerTimes { asleep: Duration::from_secs(10), ..awake(10) };
        let half = [reading(PowerState::Awake, 5_000, awake(10)), reading(PowerState::Awake, 0, awake(10))];
        meter.sample(at(10), &half, &[Duration::from_secs(4), Duration::from_secs(1)]);
        let rest = [reading(PowerState::Awake, 7_000, awake(20)), reading(PowerState::Asleep, 0, slept)];
        meter.sample(at(20), &rest, &[Duration::from_secs(4), Duration::from_secs(3)]);
        meter
    }

    #[test]
    fn energy_follows_load_state_and_pue() {
        let meter = meter();
        let (mut whole, mut second) = (Metrics::default(), Metrics::default());
        meter.fill(0, &mut whole);
        meter.fill(1, &mut second);
        let joules = |kwh: Option<f64>| (kwh.expect("measured") * JOULES_PER_KWH).round();
        // 150 + 100 W, then 120 + 10 W, at a PUE of 2.
        assert_eq!(joules(second.energy_kwh), 2_600.0);
        assert_eq!(joules(whole.energy_kwh), 7_600.0);
        // 200 W times a load of 0.5 and 0.2; and all awake.
        assert_eq!(joules(whole.energy_ideal_kwh), 2_800.0);
        assert_eq!(joules(second.energy_all_awake_kwh), 4_400.0);
        assert!((whole.power_mean_w.expect("measured") - 380.0).abs() < 1e-9);
        assert_eq!((whole.nodes_awake_mean, second.nodes_awake_mean), (Some(1.5), Some(1.0)));
    }

    #[test]
    fn services_share_the_energy_by_their_processor_time() {
        let meter = meter();
        let mut services = [Metrics::default(), Metrics::default()];
        for (at, metrics) in services.iter_mut().enumerate() {
            meter.fill_service(0, at, metrics);
        }
        let joules = services.map(|metrics| (metrics.energy_kwh.expect("measured") * JOULES_PER_KWH).round());
        assert_eq!(joules, [4_000.0, 3_600.0]);
    }

    #[test]
    fn evenness_of_load() {
        assert_eq!((jain(&[0.2, 0.2]), max_over_mean(&[0.2, 0.2])), (Some(1.0), Some(1.0)));
        assert_eq!((jain(&[0.4, 0.0]), max_over_mean(&[0.4, 0.0])), (Some(0.5), Some(2.0)));
        assert_eq!((jain(&[0.0]), max_over_mean(&[])), (None, None));
    }
}
