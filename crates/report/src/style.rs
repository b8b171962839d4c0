//! [`Style`]: how text looks: colours or not, how wide.

use model::Outcome;

/// How text looks. The caller knows the terminal; the default is that of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Use ANSI colours.
    pub color: bool,
    /// Characters in a line; sentences are wrapped there.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self { color: false, width: 110 }
    }
}

/// What a piece of text is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Good,
    Bad,
    Unsure,
    /// Of less interest.
    Faint,
    Strong,
}

impl Ink {
    pub(crate) fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass => Self::Good,
            Outcome::Fail => Self::Bad,
            Outcome::Inconclusive => Self::Unsure,
        }
    }
}

impl Style {
    /// `text` in its colour. Pad before: the codes take no width.
    pub(crate) fn paint(self, ink: Ink, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Good => "32",
            Ink::Bad => "31",
            Ink::Unsure => "33",
            Ink::Faint => "2",
            Ink::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// `text` wrapped into the width, its first line after `first`, the others after as many blanks.
    pub(crate) fn wrap(self, first: &str, text: &str) -> String {
        let indent = " ".repeat(first.chars().count());
        let options = textwrap::Options::new(self.width.max(40))
            .initial_indent(first)
            .subsequent_indent(&indent)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        textwrap::fill(text, options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_on_demand() {
        let plain = Style::default();
        assert_eq!(plain.paint(Ink::Bad, "fail"), "fail");
        assert_eq!(Style { color: true, ..plain }.paint(Ink::Bad, "fail"), "\x1b[31mfail\x1b[0m");
    }

    #[test]
    fn sentences_hang_behind_their_first_line() {
        let style = Style { width: 40, ..Style::default() };
        let text = style.wrap("  why: ", "the client clung to the old master for far too long");
        assert_eq!(text, "  why: the client clung to the old\n       master for far too long");
    }
}
