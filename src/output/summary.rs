//! `summary.csv` and `summary.json`: the runs of one command, together.
//!
//! `summary.csv` has a row a protocol, seed and service, and one for the service `all`; its columns are
//! `scenario`, `protocol`, `seed`, `service` and the keys of [`Metrics`], whose names carry their units. An
//! empty cell means null: it does not apply, or was not reached.
//!
//! `summary.json` is one object:
//!
//! | key | content |
//! |---|---|
//! | `format` | 1 |
//! | `firedrill` | the version that wrote it |
//! | `scenario` | `name` and `hash` |
//! | `protocols` | labels, in the order of the runs |
//! | `seeds` | in the order of the runs |
//! | `paired` | differences between the first protocol and each other one, paired by seed: see [`super::paired::Difference`] |
//! | `runs` | a list of `protocol`, `seed`, `branches`, `result` (the path of its `result.json` from here), `fingerprint`, `events`, `simulated_s`, `metrics`, `recoveries`, `expectations`, `verdicts`, `notes` |
//! | `checksum` | over the rest, as in `result.json` |
//!
//! Phases are in each `result.json`.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::{distinct, sealed, timeseries};
use crate::metrics::Metrics;
use crate::run::Record;

/// Writes `summary.csv`.
pub(super) fn write_csv(records: &[Record], file: &mut dyn Write) -> io::Result<()> {
    writeln!(file, "scenario,protocol,seed,service,{}", metric_names().join(","))?;
    for record in records {
        let services = record.metrics.services.iter().map(|(name, metrics)| (name.as_str(), metrics));
        for (service, metrics) in std::iter::once(("all", &record.metrics.all)).chain(services) {
            write!(file, "{},{},{},{service}", record.scenario.name, record.protocol, record.seed)?;
            for value in metric_values(metrics).values() {
                write!(file, ",{}", timeseries::cell((!value.is_null()).then_some(value)))?;
            }
            writeln!(file)?;
        }
    }
    Ok(())
}

/// The keys of [`Metrics`], in its order.
pub fn metric_names() -> Vec<String> {
    metric_values(&Metrics::default()).into_iter().map(|(name, _)| name).collect()
}

fn metric_values(metrics: &Metrics) -> Map<String, Value> {
    match serde_json::to_value(metrics) {
        Ok(Value::Object(map)) => map,
        other => unreachable!("metrics are a JSON object, not {other:?}"),
    }
}

/// The content of `summary.json`, and of `--format json`, for the runs of one scenario in one command.
pub fn summary_json(records: &[Record]) -> Value {
    let scenario = records.first().map(|record| &record.scenario);
    sealed::seal(json!({
        "format": sealed::FORMAT,
        "firedrill": sealed::VERSION,
        "scenario": {"name": scenario.map(|it| &it.name), "hash": scenario.map(|it| &it.hash)},
        "protocols": distinct(records.iter().map(|record| record.protocol.as_str())),
        "seeds": distinct(records.iter().map(|record| record.seed)),
        "paired": super::paired::differences(records, &metric_names()),
        "runs": records.iter().map(run_json).collect::<Vec<_>>(),
    }))
}

fn run_json(record: &Record) -> Value {
    json!({
        "protocol": record.protocol,
        "seed": record.seed,
        "branches": record.branches,
        "result": format!("{}/seed-{}/result.json", record.protocol, record.seed),
        "fingerprint": record.fingerprint,
        "events": record.events,
        "simulated_s": record.simulated_s,
        "metrics": record.metrics,
        "recoveries": record.recoveries,
        "expectations": record.expectations,
        "verdicts": record.verdicts,
        "notes": record.notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixture;

    #[test]
    fn the_csv_has_a_row_for_each_service_and_for_all() {
        let records = [fixture::record("optimistic", 1), fixture::record("static-primary", 2)];
        let mut bytes = Vec::new();
        write_csv(&records, &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("scenario,protocol,seed,service,requests_total,"));
        assert_eq!(lines.len(), 5);
        assert!(lines[1].starts_with("tokyo-quake,optimistic,1,all,"));
        assert!(lines[4].starts_with("tokyo-quake,static-primary,2,board,"));
        let column = lines[0].split(',').position(|name| name == "recovery_s").unwrap();
        let cells: Vec<_> = lines[1..].iter().map(|line| line.split(',').nth(column).unwrap()).collect();
        assert_eq!(cells, ["7.5", "7.5", "", ""], "null is an empty cell");
        let widths = summary_widths(&lines);
        assert!(widths.iter().all(|&width| width == widths[0]), "{widths:?}");
    }

    fn summary_widths(lines: &[&str]) -> Vec<usize> {
        lines.iter().map(|line| line.split(',').count()).collect()
    }

    #[test]
    fn the_json_names_scenario_protocols_seeds_and_runs() {
        let records = [fixture::record("raft", 7), fixture::record("raft", 8), fixture::record("optimistic", 7)];
        let value = summary_json(&records);
        assert_eq!(value["scenario"]["name"], "tokyo-quake");
        assert_eq!(value["protocols"], json!(["raft", "optimistic"]));
        assert_eq!(value["seeds"], json!([7, 8]));
        assert_eq!(value["runs"][1]["result"], "raft/seed-8/result.json");
        assert_eq!(value["runs"][2]["metrics"]["all"]["writes_lost"], 0);
        assert_eq!(value["runs"][0]["metrics"]["all"]["convergence_s"], Value::Null);
    }
}
