//! Colours. They repeat what the words say and never carry a meaning of their own.

/// What a piece of text is; the colour follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Something is wrong.
    Bad,
    /// Less important.
    Faint,
    /// All is well.
    Good,
    /// The head of a column.
    Heading,
    /// What to do next.
    Hint,
    /// Nothing special.
    Plain,
    /// Will be wrong before long.
    Warn,
}

/// Whether a stream gets colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Plain text.
    Off,
    /// ANSI colours.
    On,
}

impl Paint {
    /// The text in its colour.
    pub fn apply(self, style: Style, text: &str) -> String {
        let code = match (self, style) {
            (Paint::Off, _) | (_, Style::Plain) => return text.to_string(),
            (Paint::On, Style::Bad) => "1;31",
            (Paint::On, Style::Faint) => "2",
            (Paint::On, Style::Good) => "32",
            (Paint::On, Style::Heading) => "1",
            (Paint::On, Style::Hint) => "36",
            (Paint::On, Style::Warn) => "33",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
