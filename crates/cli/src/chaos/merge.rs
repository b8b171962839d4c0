//! `sentinel-lab merge`: the results of several shards as one report.

use std::fmt::Write as _;
use std::fs::File;
use std::io::BufReader;

use chaos::profile::Mix;
use chaos::results::{Joined, merge as join};
use serde_json::json;

use super::args::MergeArgs;
use super::random::exit;
use super::show;
use crate::args::{Color, Format};
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
    for (mix, summary) in mixes(&joined) {
        worst = worst.max(exit(summary, &mix, true));
        if args.format == Format::Text {
            print::out(&text(&mix, summary));
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
    if args.format == Format::Json {
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

/// What was run, with what came of it. Only names that this binary knows can come out of a campaign.
fn mixes(joined: &Joined) -> Vec<(Mix, &chaos::campaign::Summary)> {
    let mut mixes = Vec::new();
    for (profile, summary) in &joined.summaries {
        let (Ok(profile), Some(header)) = (profile.parse(), &joined.header) else { continue };
        let nemeses = header.nemeses.iter().filter_map(|name| name.parse().ok()).collect();
        mixes.push((Mix { profile, nemeses, intensity: header.intensity }, summary));
    }
    mixes
}

fn text(mix: &Mix, summary: &chaos::campaign::Summary) -> String {
    let mut text = format!("chaos of profile {mix}\n  {} runs: {}\n", summary.runs(), show::endings(summary));
    text += &show::coverage(&summary.coverage, mix, print::style(Color::Auto));
    text += &show::missing(summary);
    for finding in &summary.findings {
        let seeds: Vec<String> = finding.seeds.iter().map(ToString::to_string).collect();
        let _ = writeln!(
            text,
            "\n  {} in {} runs of {} (seeds {})\n    {}",
            finding.signature,
            finding.runs,
            finding.driver,
            seeds.join(", "),
            finding.text
        );
    }
    text.trim_end().to_owned()
}
