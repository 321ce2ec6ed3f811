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
use std::path::Path;

use super::timeseries::{self, cell, number, optional};
use super::{OutputError, Written, record};
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

/// Reads the `power.csv` of a result back from its directory; `None`: nothing was known of power.
///
/// # Errors
/// The file cannot be read, is not the one of which the result has the digest, or a line (which is named) is not
/// what [`HEADER`] says.
pub fn read_series(written: &Written, dir: &Path) -> Result<Option<PowerSeries>, OutputError> {
    let name = record::BESIDE[3];
    if !written.files.contains_key(name) {
        return Ok(None);
    }
    let text = written.read_beside(dir, name)?;
    parse(&text).map(Some).map_err(|problem| OutputError::content(&dir.join(name), problem))
}

fn parse(text: &str) -> Result<PowerSeries, String> {
    let mut series = PowerSeries::default();
    for (index, line) in timeseries::rows(text, HEADER)?.enumerate() {
        let (second, site, row) = parse_row(line).map_err(|problem| format!("line {}: {problem}", index + 2))?;
        if second == 0 {
            series.data_centers.push(site.to_owned());
        }
        let sites = series.data_centers.len();
        let expected = series.data_centers.get(index % sites.max(1)).map(|name| ((index / sites.max(1)) as u64, name));
        if second > 0 && expected.is_none_or(|(at, name)| at != second || name != site) {
            return Err(format!("line {}: second {second} of `{site}` was not expected here", index + 2));
        }
        match series.seconds.last_mut().filter(|rows| second == 0 || rows.len() < sites) {
            Some(rows) => rows.push(row),
            None => series.seconds.push(vec![row]),
        }
    }
    Ok(series)
}

fn parse_row(line: &str) -> Result<(u64, &str, SiteSecond), String> {
    let mut cells = timeseries::cells(line, HEADER)?;
    let mut next = || cells.next().unwrap_or_default();
    let (second, site) = (number(next())?, next().0);
    let row = SiteSecond {
        nodes_awake: number(next())?,
        nodes_booting: number(next())?,
        nodes_asleep: number(next())?,
        nodes_down: number(next())?,
        load: optional(next())?,
        watts: number(next())?,
        ideal_watts: number(next())?,
        all_awake_watts: number(next())?,
    };
    Ok((second, site, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> PowerSeries {
        let row = SiteSecond { nodes_awake: 3, nodes_asleep: 1, watts: 812.5, ..SiteSecond::default() };
        let loaded = SiteSecond { load: Some(0.25), ideal_watts: 100.0, all_awake_watts: 900.0, ..row };
        let data_centers = vec!["tokyo".into(), "paris".into()];
        PowerSeries { data_centers, seconds: vec![vec![row, loaded], vec![loaded, row]] }
    }

    fn csv() -> String {
        let mut bytes = Vec::new();
        write_csv(&series(), &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn rows_are_as_documented() {
        let text = csv();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..3], [HEADER, "0,tokyo,3,0,1,0,,812.5,0,0", "0,paris,3,0,1,0,0.25,812.5,100,900"]);
        assert_eq!(lines[3..], ["1,tokyo,3,0,1,0,0.25,812.5,100,900", "1,paris,3,0,1,0,,812.5,0,0"]);
    }

    #[test]
    fn what_was_written_is_read_back_and_damage_is_refused_with_its_line() {
        let text = csv();
        assert_eq!(parse(&text).unwrap(), series());
        assert_eq!(parse(&format!("{HEADER}\n")).unwrap(), PowerSeries::default());
        for (damaged, reason) in [
            (text.replacen("second", "time", 1), "line 1: the header"),
            (text[..text.len() - 3].to_owned(), "the file is not whole"),
            (text.replacen("0,tokyo,3", "0,tokyo,-3", 1), "line 2: `nodes_awake`: `-3` is not a number"),
            (text.replacen("0,paris,3,", "0,paris,", 1), "line 3: 9 cells, and 10 were expected"),
            (text.replacen("1,tokyo,", "1,paris,", 1), "line 4: second 1 of `paris` was not expected here"),
            (text.replacen("1,paris,", "2,paris,", 1), "line 5: second 2 of `paris` was not expected here"),
        ] {
            let problem = parse(&damaged).unwrap_err();
            assert!(problem.contains(reason), "{problem}");
        }
    }
}
