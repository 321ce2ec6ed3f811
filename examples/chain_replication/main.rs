//! A protocol of one's own beside those of firedrill, in the same disaster and the same table.
//!
//!     cargo run --release --example chain_replication [SCENARIO [OUT]]

mod protocol;

use std::{error::Error, path::Path};

use firedrill::run::{Contest, Keep, Promises, run, run_machine};
use firedrill::{cli, output};
use protocol::Replica;

/// Runs every protocol of a scenario and this one, writes results and plots, and returns the table.
fn compare(scenario: &Path, out: &Path) -> Result<String, Box<dyn Error>> {
    let scenario = cli::open(scenario).map_err(|wrong| wrong.to_string())?;
    let (seed, keep) = (scenario.seed, Keep::default());
    let known = scenario.protocols.iter().map(|protocol| run(&scenario, protocol, seed, keep));
    let chain = Contest::new(|group| group, Promises { on_every_member: true, ..Promises::MAJORITY });
    let results: Vec<_> = known.chain([run_machine::<Replica>(&scenario, "chain", seed, keep, &chain)]).collect();
    Ok(output::publish(out, &results)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let argument = |at, default: &str| std::env::args().nth(at).unwrap_or(default.into());
    let (scenario, out) = (argument(1, "scenarios/majority-failure.json"), argument(2, "results"));
    println!("{}", compare(scenario.as_ref(), out.as_ref())?);
    Ok(())
}
