//! `firedrill check`.

use std::path::PathBuf;

use super::Status;
use super::load::{self, Loaded};
use super::options::{self, Format};
use super::screen::{self, and_list, count};
use crate::scenario::Scenario;

/// Check scenarios without running them; every mistake is told at once.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Scenario files.
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    /// Change a value of every scenario before it is checked; may be repeated.
    #[arg(long, value_name = "PATH=VALUE", value_parser = options::set)]
    set: Vec<(String, String)>,
    /// Print sentences, or a JSON array of mistakes.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Say nothing about scenarios that are well.
    #[arg(long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  firedrill check scenarios/*.json
  firedrill check mine.json --set duration=2h
  firedrill check mine.json --format json";

/// Loads every scenario and tells what is wrong.
pub fn check(args: &Args) -> Status {
    let mut status = Status::Held;
    let mut mistakes = Vec::new();
    for path in load::scenarios_among(&args.scenarios) {
        match load::load(path, &args.set) {
            Ok(Loaded { scenario, .. }) if args.format == Format::Human && !args.quiet => {
                let line = format!("{}: ok: {}\n", path.display(), outline(&scenario));
                status = status.max(screen::product(&line).err().unwrap_or(Status::Held));
            }
            Ok(_) => {}
            Err(wrong) => {
                status = status.max(Status::Refused);
                match (args.format, wrong.to_json()) {
                    (Format::Json, serde_json::Value::Array(list)) => mistakes.extend(list),
                    _ => _ = load::refuse(&[wrong]),
                }
            }
        }
    }
    if args.format == Format::Json {
        status = status.max(screen::json(&mistakes.into()).err().unwrap_or(Status::Held));
    }
    status
}

/// What a scenario holds, in one line.
fn outline(scenario: &Scenario) -> String {
    let labels: Vec<&str> = scenario.protocols.iter().map(|protocol| protocol.label.as_str()).collect();
    format!(
        "{}, {} in {}, {}, {}",
        scenario.name,
        count(scenario.topology.nodes.len() as u64, "node"),
        count(scenario.topology.data_centers.len() as u64, "data center"),
        count(scenario.services.len() as u64, "service"),
        and_list(&labels),
    )
}
