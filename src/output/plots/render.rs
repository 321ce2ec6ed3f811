//! From a [`Scene`] to SVG and PNG, by plotters.

use ab_glyph::Font as _;
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, RGBAColor, RGBColor, ShapeStyle, TextStyle};

use super::scene::{Anchor, FAMILY, Font, Ink, Scene, Shape, set, text_width};

/// plotters places things at whole units; in SVG a unit is a tenth of a pixel.
const SVG_UNITS: f64 = 10.0;
/// A PNG is drawn this much larger and averaged, which smooths text and edges.
const OVERSAMPLING: usize = 3;
/// plotters takes a font's size for this many ems in SVG.
const SVG_SIZE_OF_EM: f64 = 1.24;
/// plotters puts the baseline of SVG text this many ems below its top.
const SVG_BASELINE: f64 = 0.76;

fn colour(ink: Ink) -> RGBAColor {
    let (red, green, blue) = ink.rgb;
    RGBColor(red, green, blue).mix(ink.alpha)
}

fn filled(ink: Ink) -> ShapeStyle {
    ShapeStyle { color: colour(ink), filled: true, stroke_width: 0 }
}

/// The picture as SVG text.
pub fn svg(scene: &Scene) -> Result<String, String> {
    let size = (scene.width * SVG_UNITS as u32, scene.height * SVG_UNITS as u32);
    let mut text = String::new();
    {
        let mut backend = SVGBackend::with_string(&mut text, size);
        for shape in &scene.shapes {
            svg_shape(&mut backend, shape)?;
        }
        backend.present().map_err(|error| error.to_string())?;
    }
    Ok(finish(scene, &text, size))
}

/// Sets the size in pixels, the title, and the width of each text, so that any font of the viewer fits.
fn finish(scene: &Scene, text: &str, size: (u32, u32)) -> String {
    let units = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
    let pixels = format!("width=\"{}\" height=\"{}\" role=\"img\"", scene.width, scene.height);
    let text = text.replacen(&units, &pixels, 1);
    let title = scene.title.replace('&', "&amp;").replace('<', "&lt;");
    let (head, body) = text.split_at(text.find('>').map_or(0, |end| end + 1));
    let mut finished = format!("{head}\n<title>{title}</title>");
    let widths = scene.shapes.iter().filter_map(|shape| match shape {
        Shape::Text { text, font, .. } => Some((text_width(text, *font) * SVG_UNITS).round()),
        _ => None,
    });
    let mut parts = body.split("<text ");
    finished.push_str(parts.next().unwrap_or_default());
    for (part, width) in parts.zip(widths) {
        finished.push_str(&format!("<text textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\" {part}"));
    }
    finished
}

fn unit((x, y): (f64, f64)) -> (i32, i32) {
    ((x * SVG_UNITS).round() as i32, (y * SVG_UNITS).round() as i32)
}

fn svg_shape(backend: &mut SVGBackend<'_>, shape: &Shape) -> Result<(), String> {
    let drawn = match shape {
        Shape::Rect { from, to, ink } => backend.draw_rect(unit(*from), unit(*to), &filled(*ink), true),
        Shape::Line { points, width, ink } => {
            let stroke_width = (width * SVG_UNITS).round() as u32;
            let style = ShapeStyle { color: colour(*ink), filled: false, stroke_width };
            backend.draw_path(points.iter().map(|&point| unit(point)), &style)
        }
        Shape::Columns { columns, ink } => {
            let top = columns.iter().flat_map(|&(left, right, top, _)| [(left, top), (right, top)]);
            let bottom = columns.iter().rev().flat_map(|&(left, right, _, bottom)| [(right, bottom), (left, bottom)]);
            backend.fill_polygon(top.chain(bottom).map(unit), &filled(*ink))
        }
        Shape::Text { at, text, anchor, font } => {
            let top = (at.0, at.1 - SVG_BASELINE * font.size);
            let style = text_style(*font, font.size * SVG_SIZE_OF_EM * SVG_UNITS, *anchor);
            backend.draw_text(text, &style, unit(top))
        }
    };
    drawn.map_err(|error| error.to_string())
}

fn text_style(font: Font, size: f64, anchor: Anchor) -> TextStyle<'static> {
    let horizontal = match anchor {
        Anchor::Left => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::Right => HPos::Right,
    };
    let weight = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
    let description = FontDesc::new(FontFamily::Name(FAMILY), size, weight);
    let mut style = TextStyle::from(description).pos(Pos::new(horizontal, VPos::Top));
    style.color = colour(font.ink).to_backend_color();
    style
}

/// The picture as the bytes of a PNG file.
pub fn png(scene: &Scene) -> Result<Vec<u8>, String> {
    let (width, height) = (scene.width as usize, scene.height as usize);
    let large = ((width * OVERSAMPLING) as u32, (height * OVERSAMPLING) as u32);
    let mut pixels = vec![255; width * height * OVERSAMPLING * OVERSAMPLING * 3];
    {
        let mut backend = BitMapBackend::with_buffer(&mut pixels, large);
        for shape in &scene.shapes {
            bitmap_shape(&mut backend, shape)?;
        }
        backend.present().map_err(|error| error.to_string())?;
    }
    encode(&shrink(&pixels, width, height), scene.width, scene.height).map_err(|error| error.to_string())
}

fn large(value: f64) -> i32 {
    (value * OVERSAMPLING as f64).round() as i32
}

/// Fills a half-open rectangle, so that neighbours touch and do not overlap; never thinner than one dot.
fn block(backend: &mut BitMapBackend<'_>, from: (f64, f64), to: (f64, f64), ink: Ink) -> Result<(), String> {
    let (left, top) = (large(from.0.min(to.0)), large(from.1.min(to.1)));
    let (right, bottom) = (large(from.0.max(to.0)), large(from.1.max(to.1)));
    let end = (right.max(left + 1), bottom.max(top + 1));
    backend.draw_rect((left, top), end, &filled(ink), true).map_err(|error| error.to_string())
}

fn bitmap_shape(backend: &mut BitMapBackend<'_>, shape: &Shape) -> Result<(), String> {
    match shape {
        Shape::Rect { from, to, ink } => block(backend, *from, *to, *ink),
        Shape::Line { points, width, ink } => {
            let half = width / 2.0;
            for pair in points.windows(2) {
                let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
                let from = (x0.min(x1) - half, y0.min(y1) - half);
                block(backend, from, (x0.max(x1) + half, y0.max(y1) + half), *ink)?;
            }
            Ok(())
        }
        Shape::Columns { columns, ink } => {
            for &(left, right, top, bottom) in columns {
                // A column of no height is nothing, though a block is never thinner than a dot.
                if large(left) < large(right) && large(top) < large(bottom) {
                    block(backend, (left, top), (right, bottom), *ink)?;
                }
            }
            Ok(())
        }
        Shape::Text { at, text, anchor, font } => {
            let shift = match anchor {
                Anchor::Left => 0.0,
                Anchor::Middle => text_width(text, *font) / 2.0,
                Anchor::Right => text_width(text, *font),
            };
            draw_text(backend, (large(at.0 - shift), large(at.1)), text, *font)
        }
    }
}

/// Draws the outlines of a text's glyphs; plotters would leave out the space before each.
fn draw_text(backend: &mut BitMapBackend<'_>, at: (i32, i32), text: &str, font: Font) -> Result<(), String> {
    let mut drawn = Ok(());
    set(text, font, OVERSAMPLING as f64, |face, glyph| {
        let Some(outline) = face.outline_glyph(glyph) else { return };
        let corner = outline.px_bounds().min;
        outline.draw(|x, y, cover| {
            let dot = (at.0 + corner.x as i32 + x as i32, at.1 + corner.y as i32 + y as i32);
            let colour = colour(font.ink.alpha(font.ink.alpha * f64::from(cover).min(1.0)));
            if let Err(error) = backend.draw_pixel(dot, colour.to_backend_color()) {
                drawn = Err(error.to_string());
            }
        });
    });
    drawn
}

/// Averages squares of dots.
fn shrink(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    let row = width * OVERSAMPLING * 3;
    let mut small = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        let rows = &pixels[y * OVERSAMPLING * row..(y + 1) * OVERSAMPLING * row];
        for x in 0..width {
            let mut sums = [0_u32; 3];
            for line in rows.chunks_exact(row) {
                let dots = &line[x * OVERSAMPLING * 3..(x + 1) * OVERSAMPLING * 3];
                for dot in dots.chunks_exact(3) {
                    for (sum, channel) in sums.iter_mut().zip(dot) {
                        *sum += u32::from(*channel);
                    }
                }
            }
            let dots = (OVERSAMPLING * OVERSAMPLING) as u32;
            small.extend(sums.map(|sum| ((sum + dots / 2) / dots) as u8));
        }
    }
    small
}

fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_adaptive_filter(png::AdaptiveFilterType::Adaptive);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}
