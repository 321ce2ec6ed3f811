//! `power.csv`: a row a second and data center, in order of time and then of the scenario's data centers. It exists
//! only if the scenario says what power its machines draw.
//!
//! | column | meaning |
//! |---|---|
//! | `second` | whole seconds since the start of the run |
//! | `data_center` | id of the data center |
//! | `nodes_awake` | its machines whose process runs at the end of the second |
//! | `nodes_booting` | those that boot |
//! | `nodes_asleep` | those that sleep, or shut down for it |
//! | `nodes_down` | those whose process, or whose site, is dead |
//! | `load` | mean processor share, in the second, of the time that its machines were awake; empty if none was |
//! | `power_w` | its mean power in the second in watts, with its PUE |
//! | `power_ideal_w` | the same if the watts of each machine followed its load exactly |
//! | `power_all_awake_w` | the same if machines that slept, booted or shut down had been idle |

use std::io::{self, Write};

use super::timeseries::cell;
use crate::metrics::energy::SiteSecond;
use crate::run::PowerSeries;

/// The first line of the file.
pub const HEADER: &str = "second,data_center,nodes_awake,nodes_booting,nodes_asleep,nodes_down,load,power_w,\
power_ideal_w,power_all_awake_w";

/// Writes the header and a row for each second and data center.
pub(super) fn write_csv(series: &PowerSeries, file: &mut dyn Write) -> io::Result<()> {
    writeln!(file, "{HEADER}")?;
    for (second, sites) in series.seconds.iter().enumerate() {
        for (name, row) in series.data_centers.iter().zip(sites) {
            let SiteSecond { nodes_awake, nodes_booting, nodes_asleep, nodes_down, .. } = row;
            let SiteSecond { watts, ideal_watts, all_awake_watts, .. } = row;
            let load = cell(row.load);
            write!(file, "{second},{name},{nodes_awake},{nodes_booting},{nodes_asleep},{nodes_down},{load},")?;
            writeln!(file, "{watts},{ideal_watts},{all_awake_watts}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_as_documented() {
        let row = SiteSecond { nodes_awake: 3, nodes_asleep: 1, watts: 812.5, ..SiteSecond::default() };
        let loaded = SiteSecond { load: Some(0.25), ideal_watts: 100.0, all_awake_watts: 900.0, ..row };
        let series =
            PowerSeries { data_centers: vec!["tokyo".into(), "paris".into()], seconds: vec![vec![row, loaded]] };
        let mut bytes = Vec::new();
        write_csv(&series, &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines, [HEADER, "0,tokyo,3,0,1,0,,812.5,0,0", "0,paris,3,0,1,0,0.25,812.5,100,900"]);
    }
}
