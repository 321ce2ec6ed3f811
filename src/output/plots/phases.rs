//! The disaster's phases above the plots: labels beside their starts if they fit, and otherwise numbers
//! with a legend below.

use super::super::numbers;
use super::data::Mark;
use super::palette;
use super::scene::{Anchor, Scene, fit, text_width};

/// Height of a row of labels.
const LANE: f64 = 20.0;
const MOST_LANES: usize = 3;
/// More phases than this are told by number.
const LONGEST_LABEL: f64 = 260.0;
/// Height of a row of the legend.
const LEGEND_ROW: f64 = 20.0;
const LEGEND_ENTRIES: usize = 24;
const LEGEND_GAP: f64 = 24.0;

/// Where the labels go.
pub enum Labels {
    /// By phase: lane from the bottom, and whether it ends at the right edge.
    Beside { places: Vec<Place>, lanes: usize },
    /// By phase: lane of its number, if there is room for it. The legend explains the numbers.
    Numbered { lanes: Vec<Option<usize>>, columns: usize, width: f64 },
}

pub struct Place {
    lane: usize,
    left: f64,
    text: String,
}

impl Labels {
    /// Finds places for the labels of phases that start at `xs`, up to `right`.
    pub fn arrange(phases: &[Mark], xs: &[f64], left: f64, right: f64) -> Self {
        Self::beside(phases, xs, right).unwrap_or_else(|| Self::numbered(phases, xs, left, right))
    }

    /// The lowest lane for each in which it covers no label and no start of another phase below it.
    fn beside(phases: &[Mark], xs: &[f64], right: f64) -> Option<Self> {
        let mut places: Vec<Place> = Vec::new();
        let mut taken: Vec<Vec<(f64, f64)>> = vec![Vec::new(); MOST_LANES];
        // From the right, so that the line down from a label crosses no label to its left.
        for (phase, &x) in phases.iter().zip(xs).rev() {
            let text = fit(&phase.label, palette::LABEL, LONGEST_LABEL);
            let width = text_width(&text, palette::LABEL);
            let from = (x + 4.0).min(right - width);
            let free = |lane: &Vec<(f64, f64)>| lane.iter().all(|&(start, end)| from + width + 8.0 < start || end < x);
            let lane = taken.iter().position(free)?;
            // Its own line runs down through the lanes below.
            for below in &mut taken[..lane] {
                below.push((x - 1.0, x + 2.0));
            }
            taken[lane].push((from.min(x) - 1.0, from + width));
            places.push(Place { lane, left: from, text });
        }
        places.reverse();
        let lanes = places.iter().map(|place| place.lane + 1).max().unwrap_or(0);
        Some(Self::Beside { places, lanes })
    }

    fn numbered(phases: &[Mark], xs: &[f64], left: f64, right: f64) -> Self {
        let mut ends = [f64::NEG_INFINITY; 2];
        let mut place = |(index, &x): (usize, &f64)| {
            let width = text_width(&(index + 1).to_string(), palette::NUMBER) + 6.0;
            let lane = ends.iter().position(|&end| end <= x && x + width <= right)?;
            ends[lane] = x + width;
            Some(lane)
        };
        let lanes = xs.iter().enumerate().map(&mut place).collect();
        let longest = legend(phases).iter().map(|entry| text_width(entry, palette::LABEL)).fold(0.0, f64::max);
        let width = (longest + LEGEND_GAP).min((right - left) / 2.0);
        let columns = ((right - left + LEGEND_GAP) / width).floor().max(1.0) as usize;
        Self::Numbered { lanes, columns, width: (right - left) / columns as f64 }
    }

    /// Height of the labels above the plots.
    pub fn height(&self) -> f64 {
        let lanes = match self {
            Self::Beside { lanes, .. } => *lanes,
            Self::Numbered { lanes, .. } => lanes.iter().flatten().max().map_or(0, |lane| lane + 1),
        };
        lanes as f64 * LANE
    }

    /// Height of the legend below the plots.
    pub fn legend_height(&self, phases: &[Mark]) -> f64 {
        match self {
            Self::Beside { .. } => 0.0,
            Self::Numbered { columns, .. } => legend(phases).len().div_ceil(*columns) as f64 * LEGEND_ROW + 10.0,
        }
    }

    /// Draws the labels so that they stand on `bottom`, with lines down to it.
    pub fn draw(&self, scene: &mut Scene, xs: &[f64], bottom: f64) {
        let lane_top = |lane: usize| bottom - (lane + 1) as f64 * LANE;
        let mut mark = |x: f64, lane: usize, left: f64, text: &str, font| {
            scene.line(vec![(x, lane_top(lane) + 3.0), (x, bottom)], 1.0, palette::BOUNDARY);
            scene.text((left, lane_top(lane) + 15.0), text, Anchor::Left, font);
        };
        match self {
            Self::Beside { places, .. } => {
                for (place, &x) in places.iter().zip(xs) {
                    mark(x, place.lane, place.left, &place.text, palette::LABEL);
                }
            }
            Self::Numbered { lanes, .. } => {
                for (index, (lane, &x)) in lanes.iter().zip(xs).enumerate() {
                    if let Some(lane) = lane {
                        mark(x, *lane, x + 3.0, &(index + 1).to_string(), palette::NUMBER);
                    }
                }
            }
        }
    }

    /// Draws the legend from `top` on, column by column.
    pub fn draw_legend(&self, scene: &mut Scene, phases: &[Mark], left: f64, top: f64) {
        let Self::Numbered { columns, width, .. } = self else { return };
        let entries = legend(phases);
        let rows = entries.len().div_ceil(*columns).max(1);
        for (index, entry) in entries.iter().enumerate() {
            let x = left + (index / rows) as f64 * width;
            let y = top + (index % rows) as f64 * LEGEND_ROW + 15.0;
            let text = fit(entry, palette::LABEL, width - LEGEND_GAP / 2.0);
            scene.text((x, y), text, Anchor::Left, palette::LABEL);
        }
    }
}

/// `1  0:20  crash tokyo`, for each phase; the last entry may stand for many.
fn legend(phases: &[Mark]) -> Vec<String> {
    let entry =
        |(index, phase): (usize, &Mark)| format!("{}  ({})  {}", index + 1, numbers::clock(phase.from_s), phase.label);
    let mut entries: Vec<_> = phases.iter().enumerate().map(entry).collect();
    if entries.len() > LEGEND_ENTRIES {
        let more = entries.len() - (LEGEND_ENTRIES - 1);
        entries.truncate(LEGEND_ENTRIES - 1);
        entries.push(format!("and {more} more, listed in result.json"));
    }
    entries
}
