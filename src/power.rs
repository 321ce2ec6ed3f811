//! Electric power of machines.

/// Electric power that a machine draws, in watts at its own plug. What its site draws on top of it for cooling and
/// losses is the site's PUE.
#[derive(Clone, Debug, PartialEq)]
pub struct Power {
    /// Awake, at a load of 0, 0.1, ... 1; linear between them.
    pub deciles: [f64; 11],
    /// From being powered on until its processes start.
    pub boot: f64,
    /// While it shuts down.
    pub shutdown: f64,
    /// Asleep: only its management controller listens.
    pub sleep: f64,
}

impl Power {
    /// Watts while awake at a load between 0 and 1.
    pub fn at(&self, load: f64) -> f64 {
        let place = load.clamp(0.0, 1.0) * 10.0;
        let below = (place as usize).min(9);
        let rest = place - below as f64;
        self.deciles[below] + (self.deciles[below + 1] - self.deciles[below]) * rest
    }
    /// Watts at a load if power followed load exactly: nothing when idle, full power at full load.
    pub fn proportional(&self, load: f64) -> f64 {
        self.deciles[10] * load.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_linear_between_deciles() {
        let mut deciles = [0.0; 11];
        for (at, watts) in deciles.iter_mut().enumerate() {
            *watts = 60.0 + (at * at) as f64;
        }
        let power = Power { deciles, boot: 200.0, shutdown: 60.0, sleep: 5.0 };
        assert_eq!(power.at(0.0), 60.0);
        assert_eq!(power.at(1.0), 160.0);
        assert_eq!(power.at(7.0), 160.0);
        assert!((power.at(0.25) - 66.5).abs() < 1e-9);
        assert_eq!(power.proportional(0.5), 80.0);
    }
}
