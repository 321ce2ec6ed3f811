//! Differences between two protocols, paired by seed.
//!
//! Under one seed every protocol meets the same disaster and the same arrivals, so the difference of two runs
//! is that of the protocols: what the seed did to both cancels out. A seed is a pair if both runs measured the
//! metric; where a run did not get there (a null metric) the pair is left out, and counted.

use std::collections::BTreeMap;

use serde::Serialize;

use super::distinct;
use crate::run::Record;

/// How a metric of one protocol differs from that of another, over all seeds that both ran.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    pub protocol: String,
    /// The protocol that is subtracted: the first of the runs.
    pub against: String,
    pub metric: String,
    /// Seeds of which both runs measured it.
    pub pairs: usize,
    /// Seeds that both ran, but that one did not measure.
    pub left_out: usize,
    pub mean: f64,
    pub median: f64,
    pub lowest: f64,
    pub highest: f64,
}

/// Differences of these metrics (of all services together) between the first protocol and each other one.
/// Metrics of which there is no pair are left out.
pub fn differences(records: &[Record], metrics: &[impl AsRef<str>]) -> Vec<Difference> {
    let labels = distinct(records.iter().map(|record| record.protocol.as_str()));
    let Some((&first, others)) = labels.split_first() else { return Vec::new() };
    let bases: BTreeMap<u64, &Record> =
        records.iter().filter(|record| record.protocol == first).map(|record| (record.seed, record)).collect();
    let mut found = Vec::new();
    for &other in others {
        let pairs: Vec<(&Record, &Record)> = records
            .iter()
            .filter(|record| record.protocol == other)
            .filter_map(|record| Some((record, *bases.get(&record.seed)?)))
            .collect();
        found.extend(metrics.iter().filter_map(|metric| difference(&pairs, metric.as_ref())));
    }
    found
}

fn difference(pairs: &[(&Record, &Record)], metric: &str) -> Option<Difference> {
    let (first, base) = pairs.first()?;
    let (mut values, mut left_out) = (Vec::new(), 0);
    for (record, base) in pairs {
        match (record.metrics.all.get(metric), base.metrics.all.get(metric)) {
            (Some(value), Some(base)) => values.push(value - base),
            (None, None) => {}
            _ => left_out += 1,
        }
    }
    values.sort_by(f64::total_cmp);
    let median = super::numbers::median(&values)?;
    Some(Difference {
        protocol: first.protocol.clone(),
        against: base.protocol.clone(),
        metric: metric.to_owned(),
        pairs: values.len(),
        left_out,
        mean: values.iter().sum::<f64>() / values.len() as f64,
        median,
        lowest: values[0],
        highest: values[values.len() - 1],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixture;

    fn with_availability(protocol: &str, seed: u64, availability: Option<f64>) -> Record {
        let mut record = fixture::record(protocol, seed);
        record.metrics.all.availability = availability;
        record
    }

    #[test]
    fn what_a_seed_does_to_both_cancels_out() {
        let mut records = Vec::new();
        for (seed, luck) in [(1, 0.5), (2, 0.0), (3, 0.25)] {
            records.push(with_availability("optimistic", seed, Some(luck + 0.25)));
            records.push(with_availability("raft", seed, Some(luck)));
        }
        let found = differences(&records, &["availability", "writes_lost"]);
        let one = found.iter().find(|one| one.metric == "availability").expect("it was measured");
        assert_eq!((one.protocol.as_str(), one.against.as_str(), one.pairs), ("raft", "optimistic", 3));
        assert_eq!([one.mean, one.median, one.lowest, one.highest], [-0.25; 4], "although seeds differ by 0.5");
        assert!(found.iter().all(|one| one.protocol == "raft"));
    }

    #[test]
    fn seeds_without_a_partner_or_a_value_are_no_pairs() {
        let records = [
            with_availability("a", 1, Some(0.5)),
            with_availability("b", 1, Some(0.75)),
            with_availability("b", 2, Some(0.0)),
            with_availability("a", 3, Some(0.5)),
            with_availability("b", 3, None),
        ];
        let found = differences(&records, &["availability", "writes_lost"]);
        let one = found.iter().find(|one| one.metric == "availability").expect("one pair");
        assert_eq!((one.pairs, one.left_out, one.median), (1, 1, 0.25));
        assert!(
            differences(&records[..1], &["availability"]).is_empty() && differences(&[], &["availability"]).is_empty()
        );
    }
}
