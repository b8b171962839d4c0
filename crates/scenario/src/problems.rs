//! What is wrong with a scenario file: every problem with its place and with what would be right.

use std::fmt;
use std::path::PathBuf;

use miette::{Diagnostic, GraphicalReportHandler, LabeledSpan, NamedSource, SourceCode};
use serde_yaml::Location;

/// A place in a scenario file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Byte offset in the file.
    pub offset: usize,
    /// Length in bytes; 0 if only the start is known.
    pub len: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        let number = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        Self {
            offset: number(location.span().byte_offset()),
            len: number(location.span().byte_len()),
            line: number(Some(location.line())).max(1),
            column: number(Some(location.column())).max(1),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, in one sentence.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// Where.
    pub place: Place,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a scenario file, in the order of the file; at least one problem.
///
/// `Display` gives the plain form, a line `file:line:column: message (help)` for each problem;
/// [`ScenarioErrors::snippets`] the form for terminals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioErrors {
    file: String,
    source: String,
    problems: Vec<Problem>,
}

impl ScenarioErrors {
    pub(crate) fn new(file: &str, source: &str, mut problems: Vec<Problem>) -> Self {
        // A report looks its spans up in the source, so they have to lie in it.
        for problem in &mut problems {
            let place = &mut problem.place;
            place.offset = offset(source, place.line, place.column);
            let end = boundary(source, place.offset.saturating_add(place.len));
            let first_line = source[place.offset..end].lines().next().unwrap_or_default();
            place.len = first_line.len();
        }
        problems.sort_by_key(|problem| problem.place);
        Self { file: file.to_owned(), source: source.to_owned(), problems }
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The problems, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The form for terminals: every problem with a snippet of the source, a caret, and what would be right.
    pub fn snippets(&self, handler: &GraphicalReportHandler) -> String {
        let source = NamedSource::new(&self.file, self.source.clone()).with_language("yaml");
        let mut text = String::new();
        for problem in &self.problems {
            // Writing to a string fails only if the handler finds no source, which is here.
            let _ = handler.render_report(&mut text, &Located { problem, source: &source });
        }
        text
    }
}

impl fmt::Display for ScenarioErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{}:{}: {}", self.file, problem.place.line, problem.place.column, problem.message)?;
            if let Some(help) = &problem.help {
                write!(f, " ({help})")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ScenarioErrors {}

/// Where a line and column lie in `text`, in bytes; its end if they lie behind that. Of what the parser of YAML stumbles over nothing
/// else is known.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let mut lines = text.split_inclusive('\n');
    let before: usize = lines.by_ref().take(line.saturating_sub(1)).map(str::len).sum();
    let inside =
        lines.next().unwrap_or_default().chars().take(column.saturating_sub(1)).map(char::len_utf8).sum::<usize>();
    before + inside
}

/// The last character boundary of `text` up to `index`.
fn boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0)
}

/// A problem together with the source to quote from.
#[derive(Debug)]
struct Located<'a> {
    problem: &'a Problem,
    source: &'a NamedSource<String>,
}

impl fmt::Display for Located<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for Located<'_> {}

impl Diagnostic for Located<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let Place { offset, len, .. } = self.problem.place;
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(None, (offset, len)))))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.source)
    }
}

/// Why [`load`](crate::load) failed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no scenario.
    #[error(transparent)]
    Invalid(#[from] ScenarioErrors),
}
