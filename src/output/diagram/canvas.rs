//! SVG text. Lines of any direction and titles under the pointer are what the pictures of plots lack.

use std::fmt::Write;

use crate::output::plots::scene::{FAMILY, Font, Ink, text_width};

/// A picture under construction.
pub struct Canvas {
    body: String,
}

/// How a line looks.
#[derive(Clone, Copy)]
pub struct Stroke {
    pub ink: Ink,
    pub width: f64,
    pub dashed: bool,
}

impl Canvas {
    pub fn new() -> Self {
        Self { body: String::new() }
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.body.write_fmt(text).expect("a string takes all");
        self.body.push('\n');
    }

    pub fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), ink: Ink, title: &str) {
        let (colour, alpha) = (hex(ink), ink.alpha);
        let width = width.max(0.0);
        self.put(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\" fill-opacity=\"{alpha:.2}\">{}</rect>",
            titled(title)
        ));
    }

    pub fn line(&mut self, (x0, y0): (f64, f64), (x1, y1): (f64, f64), stroke: Stroke, title: &str) {
        let dash = if stroke.dashed { " stroke-dasharray=\"4 3\"" } else { "" };
        let (colour, alpha, width) = (hex(stroke.ink), stroke.ink.alpha, stroke.width);
        self.put(format_args!(
            "<line x1=\"{x0:.1}\" y1=\"{y0:.1}\" x2=\"{x1:.1}\" y2=\"{y1:.1}\" stroke=\"{colour}\" stroke-opacity=\"{alpha:.2}\" stroke-width=\"{width:.1}\"{dash}>{}</line>",
            titled(title)
        ));
    }

    /// A filled polygon.
    pub fn shape(&mut self, points: &[(f64, f64)], ink: Ink, title: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let (colour, alpha) = (hex(ink), ink.alpha);
        self.put(format_args!(
            "<polygon points=\"{}\" fill=\"{colour}\" fill-opacity=\"{alpha:.2}\">{}</polygon>",
            points.join(" "),
            titled(title)
        ));
    }

    /// A text from its left end, on its baseline.
    pub fn text(&mut self, (x, y): (f64, f64), text: &str, font: Font) {
        if text.is_empty() {
            return;
        }
        let weight = if font.bold { " font-weight=\"bold\"" } else { "" };
        let (colour, size, width) = (hex(font.ink), font.size, text_width(text, font));
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size:.1}\" fill=\"{colour}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\"{weight}>{}</text>",
            escape(text)
        ));
    }

    pub fn finish(self, (width, height): (f64, f64), title: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" font-family=\"{FAMILY}\">\n<title>{}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
            escape(title),
            self.body
        )
    }
}

fn hex(ink: Ink) -> String {
    let (red, green, blue) = ink.rgb;
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn titled(title: &str) -> String {
    if title.is_empty() { String::new() } else { format!("<title>{}</title>", escape(title)) }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
