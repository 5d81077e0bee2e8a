//! Colour, where somebody looks at a terminal and has not asked for none.

/// What a stretch of text means, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
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
pub struct Styler {
    /// Whether colours are wanted.
    pub on: bool,
}

impl Styler {
    /// `text` in the colour of its meaning.
    pub fn apply(self, hue: Style, text: &str) -> String {
        if !self.on || text.is_empty() {
            return text.to_owned();
        }
        // SGR parameters of ECMA-48; the sixteen colours that every terminal has, so that its owner's choice of them counts.
        let code = match hue {
            Style::Good => "32",
            Style::Warning => "33",
            Style::Bad => "31",
            Style::Strong => "1",
            Style::Faint => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_text_stays_as_it_is() {
        assert_eq!(Styler::default().apply(Style::Bad, "x"), "x");
        assert_eq!(
            Styler { on: true }.apply(Style::Good, "x"),
            "\u{1b}[32mx\u{1b}[0m"
        );
        assert_eq!(Styler { on: true }.apply(Style::Good, ""), "");
    }
}
