//! The colors of charts: the palette of Okabe and Ito (<https://jfly.uni-koeln.de/color/>), which is distinguishable
//! with any kind of color blindness. Each color has a counterpart for dark pages.

/// A color by its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// The background.
    Paper,
    /// Titles and important numbers.
    Text,
    /// Tick labels and notes.
    Soft,
    /// Grid lines.
    Grid,
    /// Background curves.
    Faint,
    /// Training metrics in evaluation mode.
    Blue,
    /// Training metrics measured during training.
    Sky,
    /// Validation metrics.
    Vermilion,
    /// An additional trial.
    Green,
    /// An additional trial.
    Purple,
    /// An additional trial.
    Orange,
    /// A step of a color scale, from pale (0) to strong ([`Ink::HOTTEST`]).
    Heat(u8),
}

impl Ink {
    /// The last step of the color scale.
    pub const HOTTEST: u8 = 6;

    const NAMED: [Ink; 11] = [
        Ink::Paper,
        Ink::Text,
        Ink::Soft,
        Ink::Grid,
        Ink::Faint,
        Ink::Blue,
        Ink::Sky,
        Ink::Vermilion,
        Ink::Green,
        Ink::Purple,
        Ink::Orange,
    ];

    fn all() -> impl Iterator<Item = Ink> {
        Ink::NAMED.into_iter().chain((0..=Ink::HOTTEST).map(Ink::Heat))
    }

    /// A text color that is legible on this color.
    pub fn beside(self) -> Ink {
        if matches!(self, Ink::Heat(step) if step * 2 > Ink::HOTTEST) { Ink::Paper } else { Ink::Text }
    }

    /// Red, green and blue on a white page. Image files use these.
    pub fn light(self) -> [u8; 3] {
        match self {
            Ink::Paper => [0xff, 0xff, 0xff],
            Ink::Text => [0x1b, 0x1f, 0x24],
            Ink::Soft => [0x59, 0x63, 0x6e],
            Ink::Grid => [0xe4, 0xe7, 0xeb],
            Ink::Faint => [0xc3, 0xc9, 0xd0],
            Ink::Blue => [0x00, 0x72, 0xb2],
            Ink::Sky => [0x8c, 0xc4, 0xe8],
            Ink::Vermilion => [0xd5, 0x5e, 0x00],
            Ink::Green => [0x00, 0x9e, 0x73],
            Ink::Purple => [0xcc, 0x79, 0xa7],
            Ink::Orange => [0xe6, 0x9f, 0x00],
            Ink::Heat(step) => between([0xf0, 0xf5, 0xf9], [0x00, 0x5a, 0x94], step),
        }
    }

    /// Red, green and blue on a dark page.
    fn dark(self) -> [u8; 3] {
        match self {
            Ink::Paper => [0x16, 0x1a, 0x20],
            Ink::Text => [0xe6, 0xea, 0xef],
            Ink::Soft => [0x9a, 0xa5, 0xb1],
            Ink::Grid => [0x2a, 0x31, 0x3a],
            Ink::Faint => [0x47, 0x50, 0x5b],
            Ink::Blue => [0x4d, 0xa8, 0xe8],
            Ink::Sky => [0x2f, 0x62, 0x85],
            Ink::Vermilion => [0xff, 0x8c, 0x42],
            Ink::Green => [0x2f, 0xc4, 0x98],
            Ink::Purple => [0xe3, 0x9b, 0xc3],
            Ink::Orange => [0xf5, 0xbd, 0x3d],
            Ink::Heat(step) => between([0x1f, 0x2b, 0x38], [0x74, 0xc0, 0xf4], step),
        }
    }
}

fn between(pale: [u8; 3], strong: [u8; 3], step: u8) -> [u8; 3] {
    let share = f32::from(step.min(Ink::HOTTEST)) / f32::from(Ink::HOTTEST);
    [0, 1, 2].map(|at| (f32::from(pale[at]) + (f32::from(strong[at]) - f32::from(pale[at])) * share).round() as u8)
}

/// A style sheet that recolors charts within `scope` for a dark page. They are drawn for a white page.
pub fn dark_style(scope: &str) -> String {
    let hex = |[r, g, b]: [u8; 3]| format!("#{r:02X}{g:02X}{b:02X}");
    let rule = |ink: Ink| {
        let (light, dark) = (hex(ink.light()), hex(ink.dark()));
        format!("{scope} [fill=\"{light}\"]{{fill:{dark}}}{scope} [stroke=\"{light}\"]{{stroke:{dark}}}")
    };
    Ink::all().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ink_can_be_told_from_the_others_when_a_page_turns_dark() {
        for (number, ink) in Ink::all().enumerate() {
            for other in Ink::all().skip(number + 1) {
                assert_ne!(ink.light(), other.light(), "{ink:?} and {other:?}");
                assert_ne!(ink.dark(), other.dark(), "{ink:?} and {other:?}");
            }
        }
    }
}
