//! The one place that writes to the terminal: results on standard output, complaints and progress on standard error.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::IsTerminal as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use report::Style;
use testbed::driver::Driver;

use crate::args::Color;

/// What a shell reports of a process that SIGPIPE ended.
const READER_GONE: i32 = 141;

/// A line, or several, on standard output. A reader that has gone (`| head`) ends the process quietly, and not as if all had
/// been well; where nothing can be written for another reason, it goes to standard error and the process ends as unusable.
pub(crate) fn out(text: &str) {
    if let Err(why) = writeln!(std::io::stdout(), "{text}") {
        if why.kind() == std::io::ErrorKind::BrokenPipe {
            std::process::exit(READER_GONE);
        }
        error(&format!("standard output cannot be written: {why}; it was to be:\n{text}"));
        std::process::exit(2);
    }
}

/// A complaint on standard error.
pub(crate) fn error(text: &str) {
    diagnostics(&format!("error: {text}"));
}

/// Something on standard error that is already a whole message. Where nobody can be told, the exit code still tells.
pub(crate) fn diagnostics(text: &str) {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let _ = write!(std::io::stderr(), "{text}{end}");
}

/// The list of drivers, and of `others` with what they are.
pub(crate) fn drivers(drivers: &[Arc<dyn Driver>], others: &[(&str, &str)]) {
    let rows = drivers.iter().map(|driver| (driver.name(), driver.about())).chain(others.iter().copied());
    let width = rows.clone().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, about) in rows {
        let default = if name == drivers::DEFAULT { " (the default)" } else { "" };
        out(&format!("{name:width$}  {about}{default}"));
    }
}

/// How text looks on standard output.
pub(crate) fn style(color: Color) -> Style {
    let terminal = std::io::stdout().is_terminal();
    let color = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    };
    Style { color, ..Style::default() }
}

/// How scenario errors look on standard error.
pub(crate) fn snippets() -> miette::GraphicalReportHandler {
    let fancy = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let theme = if fancy { miette::GraphicalTheme::unicode() } else { miette::GraphicalTheme::unicode_nocolor() };
    miette::GraphicalReportHandler::new_themed(theme).with_width(110)
}

/// A progress bar on standard error, if that is a terminal and there is something to wait for.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// For so many runs; for no number of them if there is no end.
    pub(crate) fn new(runs: impl Into<Option<usize>>) -> Self {
        let runs = runs.into();
        let shown = std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(runs.map(|runs| runs as u64), target);
        let template = match runs {
            Some(_) => "{bar:40} {pos}/{len} runs, {per_sec}, {eta} to go {msg}",
            None => "{pos} runs, {per_sec} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if shown {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self(bar)
    }

    /// One run more is done.
    pub(crate) fn step(&self) {
        self.0.inc(1);
    }

    /// Runs that did not pass so far.
    pub(crate) fn trouble(&self, count: usize) {
        self.0.set_message(format!("({count} did not pass)"));
    }

    /// What else there is to say beside the bar.
    pub(crate) fn note(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }

    /// Prints above the bar.
    pub(crate) fn out(&self, text: &str) {
        self.0.suspend(|| out(text));
    }

    /// Complains above the bar.
    pub(crate) fn error(&self, text: &str) {
        self.0.suspend(|| error(text));
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
