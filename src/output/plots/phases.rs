//! The disaster's phases above the plots: labels beside their starts if they fit, and otherwise numbers
//! with a legend below.

use super::super::numbers;
use super::data::Mark;
use super::palette;
use super::scene::{Anchor, Scene, fit, text_width};

/// Height of a row of labels.
const LANE: f64 = 22.0;
const MOST_LANES: usize = 3;
const LONGEST_LABEL: f64 = 280.0;
/// Height of a row of the legend.
const LEGEND_ROW: f64 = 22.0;
const LEGEND_ENTRIES: usize = 24;
const LEGEND_GAP: f64 = 24.0;

/// Where the labels go.
pub enum Labels {
    /// By phase.
    Beside { places: Vec<Place>, lanes: usize },
    /// By phase: its number, if there is room for it. The legend explains the numbers.
    Numbered { spots: Vec<Option<Spot>>, columns: usize, width: f64 },
}

pub struct Place {
    spot: Spot,
    text: String,
}

/// Where a text stands: its lane, counted from the bottom, and its left end.
#[derive(Clone, Copy)]
pub struct Spot {
    lane: usize,
    left: f64,
}

/// For each text, the lowest lane in which it covers no other text, and in which the line from it down to
/// its `x` crosses none. From the right, so that most lines have nothing below them.
fn spots(xs: &[f64], widths: &[f64], right: f64, lanes: usize) -> Vec<Option<Spot>> {
    let mut texts: Vec<Vec<(f64, f64)>> = vec![Vec::new(); lanes];
    let mut lines: Vec<Vec<f64>> = vec![Vec::new(); lanes];
    let mut found = Vec::new();
    for (&x, &width) in xs.iter().zip(widths).rev() {
        let left = (x + 4.0).min(right - width);
        let (from, to) = (left - 2.0, left + width + 6.0);
        let fits = |lane: usize| {
            texts[lane].iter().all(|&(start, end)| to < start || end < from)
                && lines[lane].iter().all(|&line| line < from || to < line || line == x)
                && (left > x || lane == 0)
                && texts[..lane].iter().flatten().all(|&(start, end)| x < start || end < x)
        };
        let lane = (0..lanes).find(|&lane| fits(lane));
        found.push(lane.map(|lane| Spot { lane, left }));
        if let Some(lane) = lane {
            texts[lane].push((from, to));
            lines[..=lane].iter_mut().for_each(|line| line.push(x));
        }
    }
    found.reverse();
    found
}

impl Labels {
    /// Finds places for the labels of phases that start at `xs`, up to `right`.
    pub fn arrange(phases: &[Mark], xs: &[f64], left: f64, right: f64) -> Self {
        Self::beside(phases, xs, right).unwrap_or_else(|| Self::numbered(phases, xs, left, right))
    }

    fn beside(phases: &[Mark], xs: &[f64], right: f64) -> Option<Self> {
        let texts: Vec<_> = phases.iter().map(|phase| fit(&phase.label, palette::LABEL, LONGEST_LABEL)).collect();
        let widths: Vec<_> = texts.iter().map(|text| text_width(text, palette::LABEL)).collect();
        let spots: Option<Vec<Spot>> = spots(xs, &widths, right, MOST_LANES).into_iter().collect();
        let spots = spots?;
        let lanes = spots.iter().map(|spot| spot.lane + 1).max().unwrap_or(0);
        let places = spots.into_iter().zip(texts).map(|(spot, text)| Place { spot, text }).collect();
        Some(Self::Beside { places, lanes })
    }

    fn numbered(phases: &[Mark], xs: &[f64], left: f64, right: f64) -> Self {
        let told = if phases.len() > LEGEND_ENTRIES { LEGEND_ENTRIES - 1 } else { phases.len() };
        let width = |index: usize| text_width(&(index + 1).to_string(), palette::NUMBER);
        let widths: Vec<_> = (0..told).map(width).collect();
        let spots = spots(&xs[..told], &widths, right, 2);
        let longest = legend(phases).iter().map(|entry| text_width(entry, palette::LABEL)).fold(0.0, f64::max);
        let width = (longest + LEGEND_GAP).min((right - left) / 2.0);
        let columns = ((right - left + LEGEND_GAP) / width).floor().max(1.0) as usize;
        Self::Numbered { spots, columns, width: (right - left) / columns as f64 }
    }

    /// Height of the labels above the plots.
    pub fn height(&self) -> f64 {
        let lanes = match self {
            Self::Beside { lanes, .. } => *lanes,
            Self::Numbered { spots, .. } => spots.iter().flatten().map(|spot| spot.lane + 1).max().unwrap_or(0),
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
        let mut mark = |x: f64, spot: Spot, text: &str, font| {
            let top = lane_top(spot.lane);
            // A text that was moved to the left has its line below it.
            let from = if spot.left > x { top + 3.0 } else { top + LANE };
            scene.line(vec![(x, from.min(bottom)), (x, bottom)], 1.0, palette::BOUNDARY);
            scene.text((spot.left, top + 16.5), text, Anchor::Left, font);
        };
        match self {
            Self::Beside { places, .. } => {
                for (place, &x) in places.iter().zip(xs) {
                    mark(x, place.spot, &place.text, palette::LABEL);
                }
            }
            Self::Numbered { spots, .. } => {
                for (index, (spot, &x)) in spots.iter().zip(xs).enumerate() {
                    if let Some(spot) = spot {
                        mark(x, *spot, &(index + 1).to_string(), palette::NUMBER);
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
            let y = top + (index % rows) as f64 * LEGEND_ROW + 16.5;
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
