//! Plots over time: strips above each other under a shared axis, with the phases behind them.

use super::axis::{Scale, Tick, time_ticks};
use super::data::{Range, Runs};
use super::palette;
use super::phases::Labels;
use super::scene::{Anchor, Ink, Scene, fit, text_width};

pub const WIDTH: f64 = 1_200.0;
const LEFT: f64 = 118.0;
const RIGHT: f64 = WIDTH - 30.0;
const HEADER_HEIGHT: f64 = 31.0;
const STRIP_GAP: f64 = 13.0;
const AXIS_HEIGHT: f64 = 58.0;
const BOTTOM: f64 = 12.0;
/// The height that a picture aims at, and bounds of a strip's height.
const AIM: f64 = 700.0;
const LOWEST: f64 = 50.0;
const HIGHEST: f64 = 420.0;

/// What a strip shows, from the back to the front.
pub enum Layer {
    /// The range over runs, or over the seconds of a bin.
    Band {
        ranges: Vec<Option<Range>>,
        ink: Ink,
    },
    /// From each value to the base.
    Fill {
        values: Vec<Option<f64>>,
        base: f64,
        ink: Ink,
    },
    Step {
        values: Vec<Option<f64>>,
        width: f64,
        ink: Ink,
    },
    /// Thin rows of colour, each with a name: one by bin.
    Rows(Vec<(String, Vec<Option<Ink>>)>),
    /// Groups of rows of colour over the whole height of the strip, each with a name: one colour by bin.
    Grid(Vec<(String, Vec<Vec<Option<Ink>>>)>),
    /// A text at the right end, at the height of a value.
    EndLabel {
        value: f64,
        text: String,
        ink: Ink,
    },
}

/// One strip.
pub struct Strip {
    /// A swatch and a name above it, and a remark; `None`: it belongs to the strip above.
    pub header: Option<(Ink, String, String)>,
    /// Its height against that of others.
    pub weight: f64,
    pub scale: Scale,
    pub ticks: Vec<Tick>,
    pub layers: Vec<Layer>,
}

/// A picture of strips.
pub struct Picture<'a> {
    pub runs: &'a Runs,
    pub title: String,
    pub subtitle: String,
    /// Colours and what they mean, below the subtitle.
    pub legend: Vec<(Ink, String)>,
    pub strips: Vec<Strip>,
}

/// The place of the strips in the picture.
struct Frame<'a> {
    runs: &'a Runs,
    top: f64,
    bottom: f64,
}

impl Frame<'_> {
    fn x(&self, seconds: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (seconds / self.runs.end_s).clamp(0.0, 1.0)
    }
    fn bin(&self, index: usize) -> f64 {
        self.x(index as f64 * self.runs.bin_s as f64)
    }
}

impl Strip {
    fn header_height(&self) -> f64 {
        if self.header.is_some() { HEADER_HEIGHT } else { 0.0 }
    }
}

impl Picture<'_> {
    pub fn scene(&self) -> Scene {
        let runs = self.runs;
        let x_of = |seconds: f64| LEFT + (RIGHT - LEFT) * (seconds / runs.end_s).clamp(0.0, 1.0);
        let xs: Vec<f64> = runs.phases.iter().map(|phase| x_of(phase.from_s)).collect();
        let labels = Labels::arrange(&runs.phases, &xs, LEFT, RIGHT);
        let legend = heading_height(&self.subtitle);
        let top = legend + legend_height(&self.legend) + labels.height();
        let below = AXIS_HEIGHT + labels.legend_height(&runs.phases) + BOTTOM;
        let fixed: f64 = self.strips.iter().map(|strip| strip.header_height() + STRIP_GAP).sum();
        let weights: f64 = self.strips.iter().map(|strip| strip.weight).sum();
        let unit = ((AIM - top - below - fixed) / weights.max(0.1)).clamp(LOWEST, HIGHEST);
        let bottom = top + fixed + unit * weights;
        let frame = Frame { runs, top, bottom };
        let title = format!("{}: {}", runs.scenario, self.title);
        let mut scene = Scene {
            title: title.clone(),
            width: WIDTH as u32,
            height: (bottom + below).ceil() as u32,
            shapes: Vec::new(),
        };
        scene.rect((0.0, 0.0), (WIDTH, f64::from(scene.height)), palette::WHITE);
        heading(&mut scene, &title, &self.subtitle);
        draw_legend(&mut scene, &self.legend, legend);
        frame.background(&mut scene);
        let mut y = top;
        for strip in &self.strips {
            y += strip.header_height();
            frame.strip(&mut scene, strip, y, y + unit * strip.weight);
            y += unit * strip.weight + STRIP_GAP;
        }
        labels.draw(&mut scene, &xs, top);
        frame.time_axis(&mut scene);
        labels.draw_legend(&mut scene, &runs.phases, LEFT, bottom + AXIS_HEIGHT);
        scene
    }
}

const WIDER: f64 = 1.08;
const HEADING_WIDTH: f64 = WIDTH - 48.0;
const SUBTITLE_LINE: f64 = 22.0;
/// Of a legend, with the space after it.
const SWATCH: f64 = 23.0;

/// Title and subtitle at the top of a picture.
pub fn heading(scene: &mut Scene, title: &str, subtitle: &str) {
    scene.text((24.0, 35.0), fit(title, palette::TITLE, HEADING_WIDTH), Anchor::Left, palette::TITLE);
    for (index, line) in subtitle_lines(subtitle).iter().enumerate() {
        let at = (24.0, 62.0 + SUBTITLE_LINE * index as f64);
        scene.text(at, fit(line, palette::SUBTITLE, HEADING_WIDTH), Anchor::Left, palette::SUBTITLE);
    }
}

/// The height of title and subtitle.
pub fn heading_height(subtitle: &str) -> f64 {
    58.0 + SUBTITLE_LINE * subtitle_lines(subtitle).len() as f64
}

/// The places of a legend's entries: from the left, in as many lines as are needed.
fn legend_spots(legend: &[(Ink, String)]) -> Vec<(f64, f64)> {
    let (mut x, mut y) = (24.0, 0.0);
    let mut spots = Vec::new();
    for (_, text) in legend {
        let width = SWATCH + WIDER * text_width(text, palette::NOTE);
        if x > 24.0 && x + width > WIDTH - 24.0 {
            (x, y) = (24.0, y + SUBTITLE_LINE);
        }
        spots.push((x, y));
        x += width + 22.0;
    }
    spots
}

fn legend_height(legend: &[(Ink, String)]) -> f64 {
    legend_spots(legend).last().map_or(0.0, |spot| spot.1 + SUBTITLE_LINE + 6.0)
}

/// Swatches with texts, from `top` on.
fn draw_legend(scene: &mut Scene, legend: &[(Ink, String)], top: f64) {
    for ((ink, text), (x, y)) in legend.iter().zip(legend_spots(legend)) {
        let base = top + y + 4.0;
        scene.rect((x, base - 12.0), (x + 16.0, base + 2.0), *ink);
        let text = fit(text, palette::NOTE, WIDTH - 24.0 - x - SWATCH);
        scene.text((x + SWATCH, base), text, Anchor::Left, palette::NOTE);
    }
}

/// Breaks a subtitle after semicolons.
fn subtitle_lines(subtitle: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in subtitle.split_inclusive("; ") {
        match lines.last_mut() {
            Some(line) if text_width(&format!("{line}{part}"), palette::SUBTITLE) <= HEADING_WIDTH => {
                line.push_str(part);
            }
            _ => lines.push(part.to_owned()),
        }
    }
    lines
}

/// Swatch, name and remark, on a plate so that no boundary of a phase crosses them.
fn draw_header(scene: &mut Scene, (ink, name, note): &(Ink, String, String), base: f64) {
    let left = LEFT + 6.0;
    let name = fit(name, palette::NAME, (RIGHT - LEFT) * 0.45);
    // A viewer's own font may be wider than the one that is measured.
    let after = left + 23.0 + WIDER * text_width(&name, palette::NAME) + 12.0;
    let note = fit(note, palette::NOTE, RIGHT - after);
    let end = if note.is_empty() { after - 14.0 } else { after + WIDER * text_width(&note, palette::NOTE) };
    scene.rect((left - 3.0, base - 17.0), (end + 5.0, base + 7.0), palette::WHITE);
    scene.rect((left, base - 12.5), (left + 14.0, base + 1.5), *ink);
    scene.text((left + 23.0, base), name, Anchor::Left, palette::NAME);
    scene.text((after, base), note, Anchor::Left, palette::NOTE);
}

impl Frame<'_> {
    /// Shades every other phase, and the warm-up.
    fn background(&self, scene: &mut Scene) {
        let (top, bottom) = (self.top, self.bottom);
        scene.rect((LEFT, top), (RIGHT, bottom), palette::CALM);
        let warm = self.x(self.runs.warmup_s);
        if warm > LEFT {
            scene.rect((LEFT, top), (warm, bottom), palette::WARMUP);
        }
        for (index, phase) in self.runs.phases.iter().enumerate() {
            let (from, to) = (self.x(phase.from_s), self.x(phase.to_s));
            if index % 2 == 1 && to > from {
                scene.rect((from, top), (to, bottom), palette::SHADE);
            }
        }
        let ink = if self.runs.phases.len() > CROWDED { palette::GRID } else { palette::BOUNDARY };
        for phase in &self.runs.phases {
            let x = self.x(phase.from_s);
            scene.line(vec![(x, top), (x, bottom)], 1.0, ink);
        }
    }

    fn strip(&self, scene: &mut Scene, strip: &Strip, top: f64, bottom: f64) {
        if let Some(header) = &strip.header {
            draw_header(scene, header, top - 9.0);
        }
        let rows: usize = strip.layers.iter().map(Layer::rows).sum();
        let floor = if rows > 0 { bottom - rows as f64 * ROW_HEIGHT - ROWS_GAP } else { bottom };
        let y = |value: f64| floor - (floor - top) * strip.scale.share(value);
        for tick in &strip.ticks {
            scene.line(vec![(LEFT, y(tick.at)), (RIGHT, y(tick.at))], 1.0, palette::GRID);
            if !tick.text.is_empty() {
                scene.text((LEFT - 8.0, y(tick.at) + 5.5), tick.text.clone(), Anchor::Right, palette::TICK);
            }
        }
        for layer in &strip.layers {
            self.layer(scene, layer, &y, (top, floor));
        }
        scene.line(vec![(LEFT, top), (LEFT, floor)], 1.2, palette::AXIS);
    }

    fn layer(&self, scene: &mut Scene, layer: &Layer, y: &impl Fn(f64) -> f64, (top, floor): (f64, f64)) {
        match layer {
            Layer::Band { ranges, ink } => {
                let columns = |index: usize, range: Range| {
                    (self.bin(index), self.bin(index + 1), y(range.high) - 0.5, y(range.low) + 0.5)
                };
                self.runs_of(ranges, columns, |columns| scene.columns(columns, *ink));
            }
            Layer::Fill { values, base, ink } => {
                let columns = |index: usize, value: f64| {
                    let (one, other) = (y(value), y(*base));
                    (self.bin(index), self.bin(index + 1), one.min(other), one.max(other))
                };
                self.runs_of(values, columns, |columns| {
                    if columns.iter().any(|&(_, _, top, bottom)| bottom > top) {
                        scene.columns(columns, *ink);
                    }
                });
            }
            Layer::Step { values, width, ink } => {
                let ends = |index: usize, value: f64| (self.bin(index), self.bin(index + 1), y(value), y(value));
                self.runs_of(values, ends, |columns| {
                    let points = columns.iter().flat_map(|&(left, right, at, _)| [(left, at), (right, at)]);
                    scene.line(corners(points), *width, *ink);
                });
            }
            Layer::Grid(groups) => self.grid(scene, groups, top, floor),
            Layer::Rows(rows) => {
                for (index, (name, inks)) in rows.iter().enumerate() {
                    self.row(scene, name, inks, floor + ROWS_GAP + index as f64 * ROW_HEIGHT + 4.0);
                }
            }
            Layer::EndLabel { value, text, ink } => {
                let font = super::scene::Font { ink: *ink, ..palette::NUMBER };
                let at = (RIGHT - 5.0, y(*value) - 5.0);
                let width = text_width(text, font);
                scene.rect((at.0 - width - 3.0, at.1 - 13.5), (at.0 + 3.0, at.1 + 3.0), palette::WHITE.alpha(0.75));
                scene.text(at, text.clone(), Anchor::Right, font);
            }
        }
    }

    /// Hands over each run of bins that have a value, as columns.
    fn runs_of<T: Copy>(
        &self,
        values: &[Option<T>],
        column: impl Fn(usize, T) -> (f64, f64, f64, f64),
        mut draw: impl FnMut(Vec<(f64, f64, f64, f64)>),
    ) {
        let mut run = Vec::new();
        for (index, value) in values.iter().enumerate() {
            match value {
                Some(value) => run.push(column(index, *value)),
                None if !run.is_empty() => draw(std::mem::take(&mut run)),
                None => {}
            }
        }
        if !run.is_empty() {
            draw(run);
        }
    }

    /// A thin row of colour; equal neighbours are one piece.
    fn row(&self, scene: &mut Scene, name: &str, inks: &[Option<Ink>], top: f64) {
        scene.text((LEFT - 8.0, top + 11.5), fit(name, ROW_NAME, LEFT - 12.0), Anchor::Right, ROW_NAME);
        self.pieces(scene, inks, top, top + ROW_HEIGHT - 4.0);
    }

    fn pieces(&self, scene: &mut Scene, inks: &[Option<Ink>], top: f64, bottom: f64) {
        let mut start = 0;
        while start < inks.len() {
            let same = inks[start..].iter().take_while(|&&ink| ink == inks[start]).count();
            if let Some(ink) = inks[start] {
                scene.rect((self.bin(start), top), (self.bin(start + same), bottom), ink);
            }
            start += same;
        }
    }

    /// Rows without space between those of a group, and phases in front of them.
    fn grid(&self, scene: &mut Scene, groups: &[(String, Vec<Vec<Option<Ink>>>)], top: f64, bottom: f64) {
        let rows: usize = groups.iter().map(|(_, rows)| rows.len()).sum();
        let gap = if groups.len() > 1 { ((bottom - top) * 0.08 / (groups.len() - 1) as f64).min(3.0) } else { 0.0 };
        let height = (bottom - top - gap * (groups.len().max(1) - 1) as f64) / rows.max(1) as f64;
        let (mut y, mut named) = (top, f64::NEG_INFINITY);
        for (name, rows) in groups {
            let end = y + height * rows.len() as f64;
            let base = f64::midpoint(y, end) + 5.0;
            if base - named >= ROW_NAME.size {
                scene.text((LEFT - 8.0, base), fit(name, ROW_NAME, LEFT - 12.0), Anchor::Right, ROW_NAME);
                named = base;
            }
            for (index, inks) in rows.iter().enumerate() {
                let row = y + height * index as f64;
                // Thin rows leave no line between them.
                let space = if height >= 6.0 { 1.0 } else { 0.0 };
                self.pieces(scene, inks, row, row + height - space);
            }
            y = end + gap;
        }
        for phase in self.runs.phases.iter().filter(|phase| phase.from_s > self.runs.warmup_s) {
            let x = self.x(phase.from_s);
            scene.line(vec![(x, top), (x, bottom)], 1.2, palette::TEXT.alpha(0.6));
        }
    }

    fn time_axis(&self, scene: &mut Scene) {
        let (ticks, title) = time_ticks(self.runs.end_s);
        let y = self.bottom;
        scene.line(vec![(LEFT, y), (RIGHT, y)], 1.2, palette::AXIS);
        for tick in ticks {
            let x = self.x(tick.at);
            scene.line(vec![(x, y), (x, y + 6.0)], 1.2, palette::AXIS);
            scene.text((x, y + 23.0), tick.text, Anchor::Middle, palette::TICK);
        }
        scene.text(((LEFT + RIGHT) / 2.0, y + 46.0), title, Anchor::Middle, palette::TICK);
        let warm = self.x(self.runs.warmup_s);
        if warm - LEFT > 4.0 {
            scene.rect((LEFT, y + 34.0), (LEFT + 12.0, y + 46.0), palette::WARMUP);
            scene.text((LEFT + 18.0, y + 46.0), "warm-up, not counted", Anchor::Left, palette::NOTE);
        }
    }
}

/// Height of a thin row of colour, and the space above the first.
const ROW_HEIGHT: f64 = 17.0;
const ROWS_GAP: f64 = 6.0;
const ROW_NAME: super::scene::Font = super::scene::Font { size: 14.0, ..palette::LABEL };
/// With more phases than this their boundaries are faint.
const CROWDED: usize = 24;

impl Layer {
    fn rows(&self) -> usize {
        if let Self::Rows(rows) = self { rows.len() } else { 0 }
    }
}

/// Leaves out points in the middle of a straight piece.
fn corners(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut kept: Vec<(f64, f64)> = Vec::new();
    for point in points {
        if let [.., before, last] = kept[..]
            && ((before.1 == last.1 && last.1 == point.1)
                || (before.0 == last.0
                    && last.0 == point.0
                    && (last.1 - before.1).signum() == (point.1 - last.1).signum()))
        {
            kept.pop();
        }
        kept.push(point);
    }
    kept
}
