//! How long a machine has been in each state of power.

use crate::time::{Duration, SimTime};

/// What a machine draws power for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerState {
    /// Its process runs, or stands still.
    Awake,
    /// It is powered, but no process runs.
    Idle,
    Booting,
    ShuttingDown,
    Asleep,
    /// Its site is dead.
    Dead,
}

/// Time spent in each state of power since the start of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PowerTimes {
    pub awake: Duration,
    pub idle: Duration,
    pub booting: Duration,
    pub shutting_down: Duration,
    pub asleep: Duration,
    pub dead: Duration,
}

impl PowerTimes {
    /// What came on top of `earlier` times of the same machine.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            awake: self.awake.saturating_sub(earlier.awake),
            idle: self.idle.saturating_sub(earlier.idle),
            booting: self.booting.saturating_sub(earlier.booting),
            shutting_down: self.shutting_down.saturating_sub(earlier.shutting_down),
            asleep: self.asleep.saturating_sub(earlier.asleep),
            dead: self.dead.saturating_sub(earlier.dead),
        }
    }

    fn of(&mut self, state: PowerState) -> &mut Duration {
        match state {
            PowerState::Awake => &mut self.awake,
            PowerState::Idle => &mut self.idle,
            PowerState::Booting => &mut self.booting,
            PowerState::ShuttingDown => &mut self.shutting_down,
            PowerState::Asleep => &mut self.asleep,
            PowerState::Dead => &mut self.dead,
        }
    }
}

/// The states of one machine.
#[derive(Debug)]
pub(super) struct Ledger {
    pub state: PowerState,
    since: SimTime,
    times: PowerTimes,
}

impl Ledger {
    pub fn new() -> Self {
        Self { state: PowerState::Idle, since: SimTime::ZERO, times: PowerTimes::default() }
    }

    /// The machine is in `state` from now on.
    pub fn enter(&mut self, now: SimTime, state: PowerState) {
        self.times = self.by(now);
        (self.state, self.since) = (state, now);
    }

    pub fn by(&self, now: SimTime) -> PowerTimes {
        let mut times = self.times;
        *times.of(self.state) += now.since(self.since);
        times
    }
}
