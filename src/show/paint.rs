//! Colour, where somebody looks at a terminal and has not asked for none.

/// What a stretch of text means, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hue {
    /// Something comes, or is as it should be.
    Good,
    /// Something changes, or wants a look.
    Warning,
    /// Something goes, or is wrong.
    Bad,
    /// A heading.
    Strong,
    /// What may be passed over.
    Faint,
}

/// Colours text, or leaves it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    /// Whether colours are wanted.
    pub on: bool,
}

impl Paint {
    /// `text` in the colour of its meaning.
    pub fn with(self, hue: Hue, text: &str) -> String {
        if !self.on || text.is_empty() {
            return text.to_owned();
        }
        // SGR parameters of ECMA-48; the sixteen colours that every terminal has, so that its owner's choice of them counts.
        let code = match hue {
            Hue::Good => "32",
            Hue::Warning => "33",
            Hue::Bad => "31",
            Hue::Strong => "1",
            Hue::Faint => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_text_stays_as_it_is() {
        assert_eq!(Paint::default().with(Hue::Bad, "x"), "x");
        assert_eq!(
            Paint { on: true }.with(Hue::Good, "x"),
            "\u{1b}[32mx\u{1b}[0m"
        );
        assert_eq!(Paint { on: true }.with(Hue::Good, ""), "");
    }
}
