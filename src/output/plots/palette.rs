//! Colours that people with any colour vision can tell apart (Okabe and Ito 2008).

use super::scene::{Font, Ink};

/// By the protocol's place in the table. Vermillion is kept for what is wrong.
const PROTOCOLS: [(u8, u8, u8); 10] = [
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (90, 90, 90),
    (153, 112, 60),
    (93, 58, 155),
    (170, 185, 60),
    (20, 20, 20),
];

pub const BAD: Ink = Ink::solid((213, 94, 0));
pub const TEXT: Ink = Ink::solid((34, 34, 34));
pub const SOFT: Ink = Ink::solid((95, 95, 95));
pub const AXIS: Ink = Ink::solid((120, 120, 120));
pub const GRID: Ink = Ink::solid((226, 226, 226));
pub const BOUNDARY: Ink = Ink::solid((176, 176, 176));
pub const WARMUP: Ink = Ink::solid((232, 232, 232));
pub const SHADE: Ink = Ink::solid((250, 243, 226));
pub const CALM: Ink = Ink::solid((252, 252, 252));
pub const WHITE: Ink = Ink::solid((255, 255, 255));

pub fn protocol(index: usize) -> Ink {
    Ink::solid(PROTOCOLS[index % PROTOCOLS.len()])
}

pub const TITLE: Font = Font { size: 24.0, bold: true, ink: TEXT };
pub const SUBTITLE: Font = Font { size: 17.0, bold: false, ink: SOFT };
pub const NAME: Font = Font { size: 18.0, bold: true, ink: TEXT };
pub const NOTE: Font = Font { size: 16.5, bold: false, ink: SOFT };
pub const TICK: Font = Font { size: 16.0, bold: false, ink: TEXT };
pub const LABEL: Font = Font { size: 16.0, bold: false, ink: TEXT };
pub const NUMBER: Font = Font { size: 16.0, bold: true, ink: TEXT };

pub const GOOD_ROW: Ink = Ink::solid((140, 190, 220));
pub const PART_ROW: Ink = Ink::solid((240, 200, 60));
pub const MORE_ROW: Ink = Ink::solid((40, 95, 150));

/// States of machines that run nothing.
pub const BOOTING: Ink = Ink::solid((240, 200, 60));
pub const ASLEEP: Ink = Ink::solid((176, 176, 176));
pub const DOWN: Ink = Ink::solid((50, 50, 50));

/// What would be drawn, or be needed, in proportion to load.
pub const IDEAL: Ink = Ink::solid((93, 58, 155));

/// From none, nearly white, to as many as the most: the more, the darker.
pub fn amount(value: u32, most: u32) -> Ink {
    const EMPTY: (u8, u8, u8) = (229, 240, 248);
    const FEW: (f64, f64, f64) = (150.0, 200.0, 228.0);
    const MANY: (f64, f64, f64) = (8.0, 48.0, 107.0);
    if value == 0 {
        return Ink::solid(EMPTY);
    }
    let share = if most > 1 { f64::from(value.min(most) - 1) / f64::from(most - 1) } else { 0.4 };
    let mix = |few: f64, many: f64| (few + (many - few) * share).round() as u8;
    Ink::solid((mix(FEW.0, MANY.0), mix(FEW.1, MANY.1), mix(FEW.2, MANY.2)))
}
