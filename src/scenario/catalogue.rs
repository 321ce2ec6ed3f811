//! What there is, as tables for `firedrill list`.

use super::fields::{Default, Field, Record, SCENARIO, Shape, protocols, timeline};
use crate::metrics::Metrics;
use crate::world::regions;

/// A table of texts: each row has as many cells as there are columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub columns: &'static [&'static str],
    pub rows: Vec<Vec<String>>,
}

/// What `firedrill list` can show.
pub const TOPICS: &[&str] = &["regions", "protocols", "defects", "faults", "metrics", "defaults"];

/// The table of a topic.
pub fn list(topic: &str) -> Option<Table> {
    match topic {
        "regions" => Some(regions_table()),
        "protocols" => Some(protocols_table()),
        "defects" => Some(defects_table()),
        "faults" => Some(faults()),
        "metrics" => Some(metrics()),
        "defaults" => Some(defaults()),
        _ => None,
    }
}

fn texts<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// Regions that a data center may name.
pub fn regions_table() -> Table {
    let row = |region: &regions::Region| {
        let degrees = |angle: f64| format!("{angle:.4}");
        let measured = regions::all().iter().filter(|other| regions::measured(region.id, other.id).is_some()).count();
        let (latitude, longitude) = (degrees(region.latitude), degrees(region.longitude));
        let count = measured.to_string();
        texts([region.id, region.name, &latitude, &longitude, &count, "Azure documentation, 2026-03", "A"])
    };
    Table {
        columns: &["region", "name", "latitude_deg", "longitude_deg", "measured_round_trips", "source", "grade"],
        rows: regions::all().iter().map(row).collect(),
    }
}

/// Kinds of protocols.
pub fn protocols_table() -> Table {
    let row = |record: &&Record| {
        let options = record.fields().map(|field| field.name).collect::<Vec<_>>().join(" ");
        texts([record.name, record.says, &options, protocols::source(record.name)])
    };
    Table { columns: &["kind", "meaning", "options", "source"], rows: protocols::KINDS.iter().map(row).collect() }
}

/// The deliberate defects that a kind of protocol may be given: (name, what it does).
pub fn defects(kind: &str) -> protocols::Defects {
    protocols::defects(kind)
}

/// Deliberate defects, for `--break` and for the option `break` of a protocol.
pub fn defects_table() -> Table {
    let of = |record: &&Record| {
        let kind = record.name;
        protocols::defects(kind).iter().map(move |&(name, says)| texts([name, kind, says]))
    };
    Table { columns: &["defect", "kind", "meaning"], rows: protocols::KINDS.iter().flat_map(of).collect() }
}

/// What a timeline can do.
pub fn faults() -> Table {
    let row = |record: &&Record| {
        let fields = record.fields().map(|field| match field.default {
            Default::Required => format!("{}!", field.name),
            _ => field.name.to_owned(),
        });
        texts([record.name, record.says, &fields.collect::<Vec<_>>().join(" ")])
    };
    Table {
        columns: &["do", "meaning", "fields (! must be there)"],
        rows: timeline::actions().iter().map(row).collect(),
    }
}

/// The keys of [`Metrics`], in order.
pub fn metric_names() -> Vec<String> {
    match serde_json::to_value(Metrics::default()) {
        Ok(serde_json::Value::Object(fields)) => fields.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// Metrics of a run: (key, unit, meaning).
const METRICS: &[(&str, &str, &str)] = &[
    ("requests_total", "1", "requests that started between warm-up and duration"),
    ("requests_ok", "1", "of these: a final answer before the deadline, degraded ones included"),
    ("requests_failed", "1", "of these: everything else"),
    ("availability", "ratio", "requests_ok / requests_total"),
    ("availability_time", "ratio", "share of seconds with requests in which at least 99 % succeeded"),
    ("outage_total_s", "s", "seconds in which requests started and none succeeded"),
    ("outage_longest_s", "s", "the longest run of such seconds"),
    ("recovery_first_s", "s", "from a fault to the first success; the worst of the faults"),
    ("recovery_s", "s", "from a fault to 99 % success sustained for 5 s; the worst of the faults"),
    ("convergence_s", "s", "from the end of a fault to a legitimate state; the worst of the faults"),
    ("divergence_s", "s", "seconds in which two or more primaries of one service accept requests"),
    ("latency_p50_ms", "ms", "median latency of successes"),
    ("latency_p99_ms", "ms", "99th percentile of the latency of successes"),
    ("latency_p999_ms", "ms", "99.9th percentile of the latency of successes"),
    ("writes_acked", "1", "writes that were acknowledged: applied + revoked + stranded + lost"),
    ("writes_applied", "1", "acknowledged writes in the history of a serving group"),
    ("writes_revoked", "1", "acknowledged writes in its journal, not applied"),
    ("writes_stranded", "1", "acknowledged writes only on disks of nodes that do not serve"),
    ("writes_lost", "1", "acknowledged writes on no disk at all"),
    ("writes_revoked_told", "1", "revoked writes whose client was told"),
    ("writes_reapplied", "1", "writes that a merge executed again"),
    ("writes_duplicated", "1", "applications of a write that had been applied before"),
    ("reads_stale", "1", "reads that missed a write acknowledged before they began"),
    ("replies_degraded", "1", "successes acknowledged by fewer replicas than configured"),
    ("replies_regressed", "1", "attempts at a replica that did not cover what the session had seen"),
    ("messages", "1", "protocol messages sent"),
    ("bytes_wan", "B", "bytes sent between data centers"),
    ("energy_kwh", "kWh", "electric energy, with the PUE of each site; of a service: its share of processor time"),
    ("energy_ideal_kwh", "kWh", "the same if the watts of each machine followed its load exactly"),
    ("energy_all_awake_kwh", "kWh", "the same if machines that slept, booted or shut down had been idle"),
    ("power_mean_w", "W", "mean electric power"),
    ("nodes_awake_mean", "1", "mean number of machines whose process runs"),
    ("load_jain", "ratio", "Jain's index of the mean load of machines while awake; 1 is even"),
    ("load_max_over_mean", "ratio", "the highest mean load of a machine while awake, over the mean of all"),
    ("moves", "1", "replicas that agents started"),
    ("bytes_moved", "B", "bytes on the disks of these when they joined the serving view"),
    ("reprovision_s", "s", "from a fault until degree and readiness for the next are restored; the worst"),
];

/// Metrics, and whether an expectation may cut them by time.
pub fn metrics() -> Table {
    let row = |(name, unit, says): &(&str, &str, &str)| {
        let cut = if super::CUT_BY_TIME.contains(name) { "yes" } else { "no" };
        texts([name, unit, cut, says])
    };
    Table { columns: &["metric", "unit", "from/to", "meaning"], rows: METRICS.iter().map(row).collect() }
}

/// Every default, with its unit, source and grade.
pub fn defaults() -> Table {
    let mut rows = Vec::new();
    record(&SCENARIO, "", &mut rows);
    Table { columns: &["path", "default", "unit", "grade", "source", "meaning"], rows }
}

fn record(of: &'static Record, path: &str, rows: &mut Vec<Vec<String>>) {
    for field in of.fields() {
        let inner = if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
        row(field, &inner, rows);
        shape(&field.shape, &inner, rows);
    }
}

fn row(field: &Field, path: &str, rows: &mut Vec<Vec<String>>) {
    let (default, source) = match field.default {
        Default::Json("{}") | Default::Required | Default::Absent(_) => return,
        Default::Json("\"\"") => ("\"\"", field.source),
        Default::Json(text) | Default::Implied(text) => (text.trim_matches('"'), field.source),
        Default::Derived(from) => (from, "choice of this format"),
    };
    rows.push(texts([path, default, unit(&field.shape), field.grade.name(), source, field.says]));
}

fn shape(of: &'static Shape, path: &str, rows: &mut Vec<Vec<String>>) {
    match of {
        Shape::Object(inner) => record(inner, path, rows),
        Shape::List { of, .. } => shape(of, &format!("{path}[]"), rows),
        Shape::Tagged { variants, .. } | Shape::Labelled { variants, .. } => {
            let path = path.trim_end_matches("[]");
            for variant in *variants {
                record(variant, &format!("{path}[{}]", variant.name), rows);
            }
        }
        Shape::Either(shapes) => shapes.iter().for_each(|inner| shape(inner, path, rows)),
        _ => {}
    }
}

fn unit(shape: &Shape) -> &'static str {
    match shape {
        Shape::Time { .. } | Shape::Jump => "duration",
        Shape::Rate => "1/s",
        Shape::Bandwidth => "bit/s",
        Shape::Bytes { .. } => "B",
        Shape::Number { .. } | Shape::Whole { .. } | Shape::Wide { .. } => "1",
        _ => "-",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::fields::Grade;

    #[test]
    fn every_metric_is_explained_in_order() {
        let explained: Vec<_> = METRICS.iter().map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(explained, metric_names());
        assert!(super::super::CUT_BY_TIME.iter().all(|name| explained.iter().any(|known| known == name)));
    }

    #[test]
    fn every_table_is_rectangular_and_full() {
        for topic in TOPICS {
            let table = list(topic).expect("each topic has a table");
            assert!(table.rows.len() >= 7, "{topic}");
            for row in &table.rows {
                assert_eq!(row.len(), table.columns.len(), "{topic}: {row:?}");
                assert!(row[0].len() > 1 && row[1..2].iter().all(|cell| !cell.is_empty()), "{topic}: {row:?}");
            }
        }
        assert_eq!(list("nothing"), None);
    }

    #[test]
    fn every_default_has_a_source_and_a_measured_one_a_grade() {
        for row in defaults().rows {
            assert!(!row[4].is_empty(), "{row:?}");
            assert_eq!(row[3] == Grade::None.name(), row[4] == "choice of this format", "{row:?}");
        }
    }
}
