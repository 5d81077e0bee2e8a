//! Colours of the output.

/// Meaning of a text, which determines its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Addition, or success.
    Good,
    /// Change, or warning.
    Warning,
    /// Removal, or problem.
    Bad,
    /// Heading.
    Strong,
    /// Secondary information.
    Faint,
}

/// Applies colours if they are enabled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Styler {
    /// Whether colours are enabled.
    pub on: bool,
}

impl Styler {
    /// `text` in the colour of `style`.
    pub fn apply(self, style: Style, text: &str) -> String {
        if !self.on || text.is_empty() {
            return text.to_owned();
        }
        // SGR parameters of ECMA-48, from the 16 colours that users can configure in every
        // terminal.
        let code = match style {
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
