//! `sentinel-lab merge`: the results of several shards as one report.

use std::fmt::Write as _;
use std::fs::File;
use std::io::BufReader;

use chaos::campaign::{Finding, SYSTEMATIC, Summary};
use chaos::profile::Mix;
use chaos::results::{Joined, merge as join};
use serde_json::json;

use super::args::{MergeArgs, MergeFormat};
use super::campaigns::exit;
use super::show;
use crate::exit::Exit;
use crate::print;

pub(crate) fn merge(args: &MergeArgs) -> Exit {
    let mut files = Vec::new();
    for path in &args.files {
        match File::open(path) {
            Ok(file) => files.push((path.display().to_string(), BufReader::new(file))),
            Err(error) => {
                print::error(&format!("{}: {error}", path.display()));
                return Exit::Unusable;
            }
        }
    }
    let joined = match join(files) {
        Ok(joined) => joined,
        Err(error) => {
            print::error(&error.to_string());
            return Exit::Unusable;
        }
    };
    let mut worst = Exit::Pass;
    for (name, summary) in &joined.summaries {
        let mix = mix(name, &joined);
        worst = worst.max(exit(summary, mix.as_ref()));
        if args.format == MergeFormat::Text {
            print::out(&text(name, mix.as_ref(), summary));
        }
    }
    for shard in &joined.missing {
        print::error(&format!("shard {shard} is missing"));
    }
    for why in &joined.incomplete {
        print::error(why);
    }
    if !joined.missing.is_empty() || !joined.incomplete.is_empty() {
        worst = worst.max(Exit::Inconclusive);
    }
    if args.format == MergeFormat::Json {
        let missing: Vec<String> = joined.missing.iter().map(ToString::to_string).collect();
        let report = json!({
            "campaign": joined.header,
            "profiles": joined.summaries,
            "missing": missing,
            "incomplete": joined.incomplete,
        });
        print::out(&report.to_string());
    }
    worst
}

/// What the random schedules filed under `name` were drawn from; `None` if that is a scenario taken apart.
fn mix(name: &str, joined: &Joined) -> Option<Mix> {
    let header = joined.header.as_ref()?;
    let nemeses = header.nemeses.iter().filter_map(|name| name.parse().ok()).collect();
    Some(Mix { nemeses, intensity: header.intensity, ..Mix::of(name.parse().ok()?) })
}

fn text(name: &str, mix: Option<&Mix>, summary: &Summary) -> String {
    let title = match mix {
        Some(mix) => format!("chaos of profile {mix}"),
        None => format!("systematic chaos of {}", name.strip_prefix(SYSTEMATIC).unwrap_or(name)),
    };
    let mut text = format!("{title}\n  {} runs: {}\n", summary.runs(), show::endings(summary));
    text += &show::coverage(summary, mix);
    text += &show::missing(mix.is_none(), summary);
    for finding in &summary.findings {
        let Finding { signature, runs, driver, text: told, .. } = finding;
        let known = show::known(mix.is_none(), &finding.seeds);
        let _ = writeln!(text, "\n  {signature} in {runs} runs of {driver} ({known})\n    {told}");
    }
    text.trim_end().to_owned()
}
