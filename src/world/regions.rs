//! Cloud regions: where they are, the round trips measured between them, and a model by distance.
//!
//! The tables under `data/` name their source and licence. Round trips are exact nanoseconds; only the
//! model by distance passes through floats, with `libm`, so it is the same on every machine.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::time::Duration;

/// A region of a cloud provider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// `azure:` and the provider's own key.
    pub id: &'static str,
    pub name: &'static str,
    /// Degrees, north and east positive.
    pub latitude: f64,
    pub longitude: f64,
}

/// Between two machines of one data center (IBM 2026).
pub const SAME_SITE: Duration = Duration::from_micros(100);
/// Between two data centers of one region: the median (IBM 2026; p90 1.7 ms).
pub const SAME_REGION: Duration = Duration::from_micros(770);

static REGIONS: LazyLock<Vec<Region>> = LazyLock::new(|| {
    rows(include_str!("data/regions.csv"))
        .filter_map(|[id, name, latitude, longitude]| {
            Some(Region { id, name, latitude: latitude.parse().ok()?, longitude: longitude.parse().ok()? })
        })
        .collect()
});

static ROUND_TRIPS: LazyLock<BTreeMap<(&'static str, &'static str), Duration>> = LazyLock::new(|| {
    rows(include_str!("data/round-trips.csv"))
        .filter_map(|[a, b, millis, _]| Some(((a, b), exact_millis(millis)?)))
        .collect()
});

/// Rows behind the header of a table with four columns and no quotes.
fn rows(table: &'static str) -> impl Iterator<Item = [&'static str; 4]> {
    table.lines().skip(1).filter_map(|line| line.split(',').collect::<Vec<_>>().try_into().ok())
}

/// Reads `103.5` without a float.
fn exact_millis(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let micros = format!("{fraction:0<3}").parse::<u64>().ok().filter(|_| fraction.len() <= 3)?;
    Some(Duration::from_micros(whole.parse::<u64>().ok()? * 1_000 + micros))
}

/// Every known region, ordered by id.
pub fn all() -> &'static [Region] {
    &REGIONS
}

/// The region of an id.
pub fn find(id: &str) -> Option<&'static Region> {
    REGIONS.binary_search_by(|region| region.id.cmp(id)).ok().map(|at| &REGIONS[at])
}

/// The measured round trip between two regions: the mean of the directions that were measured. `None` if
/// neither was, and for a region with itself.
pub fn measured(a: &str, b: &str) -> Option<Duration> {
    let pair = if a <= b { (a, b) } else { (b, a) };
    ROUND_TRIPS.get(&pair).copied()
}

/// The radius of the Earth, in km (mean of IUGG).
const EARTH: f64 = 6_371.0;

/// Kilometres along the great circle, by the haversine formula.
pub fn kilometres(from: (f64, f64), to: (f64, f64)) -> f64 {
    let radians = |degrees: f64| degrees * (core::f64::consts::PI / 180.0);
    let half_sine = |degrees: f64| libm::sin(radians(degrees) / 2.0);
    let (rise, turn) = (half_sine(to.0 - from.0), half_sine(to.1 - from.1));
    let h = rise * rise + libm::cos(radians(from.0)) * libm::cos(radians(to.0)) * turn * turn;
    2.0 * EARTH * libm::asin(libm::sqrt(h.clamp(0.0, 1.0)))
}

/// A round trip where nothing was measured, in whole microseconds.
///
/// From 1,000 km on: 19.9 ms + 0.01613 ms/km, a fit over 2,346 pairs of clouds (R2 0.72). Below, by judgement:
/// 2 ms up to 50 km, and a line from there to the fit at 1,000 km.
pub fn by_distance(kilometres: f64) -> Duration {
    let fit = |km: f64| 19.9 + 0.01613 * km;
    let millis = match kilometres {
        km if km <= 50.0 => 2.0,
        km if km < 1_000.0 => 2.0 + (fit(1_000.0) - 2.0) * (km - 50.0) / 950.0,
        km => fit(km),
    };
    Duration::from_micros(libm::round(millis * 1_000.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_whole_and_in_order() {
        assert_eq!(all().len(), 56);
        assert!(all().windows(2).all(|pair| pair[0].id < pair[1].id));
        assert_eq!(ROUND_TRIPS.len(), 1_226);
        assert!(ROUND_TRIPS.keys().all(|(a, b)| a < b && find(a).is_some() && find(b).is_some()));
        assert_eq!(include_str!("data/regions.csv").lines().count(), 57);
        assert_eq!(include_str!("data/round-trips.csv").lines().count(), 1_227);
    }

    #[test]
    fn a_pair_has_the_mean_of_its_directions() {
        let millis = |a, b| measured(a, b).map(Duration::as_nanos);
        assert_eq!(millis("azure:japaneast", "azure:japanwest"), Some(12_000_000));
        assert_eq!(millis("azure:australiaeast", "azure:japaneast"), Some(103_500_000));
        assert_eq!(millis("azure:japaneast", "azure:australiaeast"), Some(103_500_000));
        assert_eq!(millis("azure:japaneast", "azure:japaneast"), None);
        assert_eq!(millis("azure:austriaeast", "azure:belgiumcentral"), None, "a gap in the measurements");
    }

    #[test]
    fn distances_are_those_of_the_globe() {
        let tokyo = find("azure:japaneast").map(|region| (region.latitude, region.longitude));
        let sydney = find("azure:australiaeast").map(|region| (region.latitude, region.longitude));
        let km = kilometres(tokyo.unwrap_or_default(), sydney.unwrap_or_default());
        assert!((7_700.0..7_900.0).contains(&km), "{km}");
        assert_eq!(kilometres((10.0, 20.0), (10.0, 20.0)), 0.0);
        assert!((kilometres((0.0, 0.0), (0.0, 180.0)) - 20_015.0).abs() < 1.0);
        assert!((kilometres((90.0, 0.0), (-90.0, 77.0)) - 20_015.0).abs() < 1.0);
    }

    #[test]
    fn the_model_by_distance_has_its_three_pieces() {
        for (km, micros) in [(0.0, 2_000), (50.0, 2_000), (525.0, 19_015), (1_000.0, 36_030), (10_000.0, 181_200)] {
            assert_eq!(by_distance(km), Duration::from_micros(micros), "{km} km");
        }
        let mut last = Duration::ZERO;
        for km in 0..20_000 {
            let now = by_distance(f64::from(km));
            assert!(now >= last, "{km} km");
            last = now;
        }
    }
}
