//! The YAML of a scenario: how it is read, and what is told about YAML that is broken.

use serde::Deserialize;
use serde_yaml::granit_parser::ErrorKind;
use serde_yaml::localizer::ExternalMessageSource;
use serde_yaml::{Error, MessageFormatter as _, UserMessageFormatter};

use crate::form::Mistake;
use crate::problems::{Place, Problem};

/// The start of a file.
pub(crate) const START: Place = Place { offset: 0, len: 0, line: 1, column: 1 };

/// Reads a document. Broken YAML is one problem, and hides what comes after it.
pub(crate) fn read<'de, T: Deserialize<'de>>(source: &'de str) -> Result<T, Problem> {
    serde_yaml::from_str_with_options(source, options()).map_err(|error| broken(&error))
}

/// What is wrong with the YAML, in a reader's words, and where.
fn broken(error: &Error) -> Problem {
    let mistake = match error.without_snippet() {
        Error::Budget { .. } => Mistake::new("the file is too deep, has too many parts, or more than one document")
            .help("a scenario is one YAML document, some maps and lists deep"),
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().map_or_else(|| "a key".to_owned(), |key| format!("the key `{key}`"));
            Mistake::new(format!("{key} stands twice in one map"))
                .help("keep one of the two; what there can be several of is a list, with a `- ` before each")
        }
        Error::ExternalMessage { source, msg, .. } => {
            let kind = match source.as_ref() {
                ExternalMessageSource::Parser(error) => Some(error.kind()),
                _ => None,
            };
            Mistake::new(msg).help(kind.map_or(GENERAL, remedy))
        }
        error => Mistake::new(UserMessageFormatter.format_message(error)).help(GENERAL),
    };
    mistake.at(error.location().map_or(START, Place::from))
}

/// What helps against YAML of which no more is known.
const GENERAL: &str = "a scenario is YAML: `key: value` with a blank after the colon, keys of one map in one column, `- ` before each entry \
                       of a list, brackets and quotes in pairs";

/// What would be right.
fn remedy(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => "write blanks instead of the tab: two for each level",
        ErrorKind::UnclosedFlowCollection { open: '[' } => "close it with `]`",
        ErrorKind::UnclosedFlowCollection { .. } => "close it with `}`",
        ErrorKind::UnclosedQuotedScalar => "end the text with the quote that it begins with",
        ErrorKind::MismatchedFlowCollectionEnd { .. } | ErrorKind::MisplacedFlowCollectionEnd => {
            "close each `[` with `]` and each `{` with `}`, the inner ones first"
        }
        ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::InvalidColonPlacement => {
            "a bracket before it is not closed, or a comma is missing: `{at: 10s, kill: master}`"
        }
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::BlockSequenceEntryNotAllowed
        | ErrorKind::InvalidIndentation
        | ErrorKind::InvalidFlowScalarIndent => {
            "indent it as what it belongs to: keys of one map and entries of one list begin in one column"
        }
        ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey
        | ErrorKind::MappingValueNotAllowed
        | ErrorKind::MappingKeyNotAllowed => {
            "write a blank after the colon of a key, indent keys of one map alike, and quote text that has `: ` in it"
        }
        _ => GENERAL,
    }
}

/// YAML 1.2 with budgets that no honest scenario meets.
fn options() -> serde_yaml::Options {
    serde_yaml::options! {
        strict_booleans: true,
        with_snippet: false,
        budget: serde_yaml::budget! {
            max_depth: 16,
            flow_nesting_limit: 16,
            max_nodes: 100_000,
            max_events: 300_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_documents: 1,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 10_000,
            max_replay_stack_depth: 8,
            max_alias_expansions_per_anchor: 1_000,
        },
    }
}
