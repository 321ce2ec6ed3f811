//! A picture as a list of shapes, in units of a pixel at its nominal size, from the top left.
//!
//! Every line and area has horizontal and vertical edges only: all that is drawn are steps, bars and grids.

use std::sync::LazyLock;

use ab_glyph::{Font as _, FontRef, Glyph, PxScale, ScaleFont};

/// A colour and its opacity from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ink {
    pub rgb: (u8, u8, u8),
    pub alpha: f64,
}

impl Ink {
    pub const fn solid(rgb: (u8, u8, u8)) -> Self {
        Self { rgb, alpha: 1.0 }
    }
    pub const fn alpha(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Left,
    Middle,
    Right,
}

/// The look of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Font {
    /// Pixels to the em.
    pub size: f64,
    pub bold: bool,
    pub ink: Ink,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Rect {
        from: (f64, f64),
        to: (f64, f64),
        ink: Ink,
    },
    /// A connected line of horizontal and vertical pieces.
    Line {
        points: Vec<(f64, f64)>,
        width: f64,
        ink: Ink,
    },
    /// Columns (left, right, top, bottom) that touch each other, filled.
    Columns {
        columns: Vec<(f64, f64, f64, f64)>,
        ink: Ink,
    },
    /// `at` is on the baseline.
    Text {
        at: (f64, f64),
        text: String,
        anchor: Anchor,
        font: Font,
    },
}

/// What is to be drawn, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// What it shows, for readers who do not see it.
    pub title: String,
    pub width: u32,
    pub height: u32,
    pub shapes: Vec<Shape>,
}

impl Scene {
    pub fn rect(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink) {
        self.shapes.push(Shape::Rect { from, to, ink });
    }
    pub fn line(&mut self, points: Vec<(f64, f64)>, width: f64, ink: Ink) {
        self.shapes.push(Shape::Line { points, width, ink });
    }
    pub fn text(&mut self, at: (f64, f64), text: impl Into<String>, anchor: Anchor, font: Font) {
        let text = text.into();
        if !text.is_empty() {
            self.shapes.push(Shape::Text { at, text, anchor, font });
        }
    }
    pub fn columns(&mut self, columns: Vec<(f64, f64, f64, f64)>, ink: Ink) {
        if !columns.is_empty() {
            self.shapes.push(Shape::Columns { columns, ink });
        }
    }
}

/// The family that viewers of SVG look for; the first is the one that is built in and measured.
pub const FAMILY: &str = "Noto Sans, Open Sans, Segoe UI, Roboto, Helvetica, Arial, DejaVu Sans, sans-serif";

static FACES: LazyLock<[FontRef<'static>; 2]> = LazyLock::new(|| {
    [notosans::REGULAR_TTF, notosans::BOLD_TTF]
        .map(|bytes| FontRef::try_from_slice(bytes).expect("the built-in font is a valid font"))
});

/// Calls `place` with each glyph of a text, set from x = 0 on, `scale` times larger than nominal. Returns
/// where the text ends.
pub fn set(text: &str, font: Font, scale: f64, mut place: impl FnMut(&FontRef<'static>, Glyph)) -> f64 {
    let face = &FACES[usize::from(font.bold)];
    let em = (font.size * scale) as f32;
    let size = PxScale::from(em * face.height_unscaled() / face.units_per_em().unwrap_or(1_000.0));
    let scaled = face.as_scaled(size);
    let (mut x, mut before) = (0.0, None);
    for letter in text.chars() {
        let glyph = face.glyph_id(letter);
        if let Some(before) = before.replace(glyph) {
            x += scaled.kern(before, glyph);
        }
        place(face, glyph.with_scale_and_position(size, ab_glyph::point(x, 0.0)));
        x += scaled.h_advance(glyph);
    }
    f64::from(x)
}

/// The width of a text in pixels.
pub fn text_width(text: &str, font: Font) -> f64 {
    set(text, font, 1.0, |_, _| ())
}

/// The text, cut at the end until it fits.
pub fn fit(text: &str, font: Font, width: f64) -> String {
    if text_width(text, font) <= width {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    while kept.pop().is_some() {
        let short: String = kept.iter().collect::<String>().trim_end().to_owned() + "…";
        if text_width(&short, font) <= width {
            return short;
        }
    }
    String::new()
}
