//! Many runs of both sides: distributions, and every difference named.
//!
//! A phase agrees if the lab's median is within 10 % or 120 ms of the real median, whichever is larger. Whether events
//! occur, and in which order any two of them, varies from run to run in reality too; so their shares are compared, and a
//! difference is one if chance would bring it about less often than once in twenty comparisons of a whole episode.

use std::collections::{BTreeMap, BTreeSet};

use model::History;
use serde::Serialize;

use crate::episode::{Episode, Phase, Post, episodes};
use crate::statistics::{Share, Spread, by_chance};

/// The part of the real median by which the lab's may differ.
pub const PART: f64 = 0.10;
/// The milliseconds by which it may differ in any case.
pub const MS: f64 = 120.0;
/// How often chance may name a difference, over all comparisons of an episode.
const BY_CHANCE: f64 = 0.05;

/// A scenario, real and lab.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The name of the scenario.
    pub name: String,
    /// Real runs.
    pub real_runs: usize,
    /// Lab runs.
    pub lab_runs: usize,
    /// The failovers of the scenario, in order.
    pub episodes: Vec<Compared>,
    /// Every difference, in words. Empty is parity.
    pub differences: Vec<String>,
}

/// One failover of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The fault that began it.
    pub fault: String,
    /// Its phases.
    pub phases: Vec<PhaseRow>,
    /// Its events at leader and followers, in the order in which they mostly happen.
    pub events: Vec<EventRow>,
    /// How many whole orders of events (one a Sentinel and run) the real runs showed, and how many of them the lab showed
    /// too.
    pub real_orders_seen_in_the_lab: Share,
}

/// A phase, real and lab.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseRow {
    /// Which.
    pub phase: Phase,
    /// In the real runs in which it happened.
    pub real: Option<Spread>,
    /// In the lab's.
    pub lab: Option<Spread>,
    /// By how many milliseconds the medians may differ.
    pub allowed: f64,
    /// Whether they agree.
    pub agrees: bool,
}

/// An event at leader or followers, real and lab.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventRow {
    /// At whom.
    pub post: Post,
    /// The event: `+sdown master`.
    pub event: String,
    /// At how many of the real Sentinels of this post it happened.
    pub real: Share,
    /// And of the lab's.
    pub lab: Share,
    /// Milliseconds since the fault.
    pub real_at: Option<Spread>,
    /// And in the lab.
    pub lab_at: Option<Spread>,
}

/// Compares the runs of both sides.
pub fn compare(name: &str, real: &[History], lab: &[History]) -> Comparison {
    let [real_episodes, lab_episodes] = [real, lab].map(|runs| runs.iter().map(episodes).collect::<Vec<_>>());
    let mut differences = Vec::new();
    let longest = |runs: &[Vec<Episode>]| runs.iter().map(Vec::len).max().unwrap_or(0);
    let mut compared = Vec::new();
    for number in 0..longest(&real_episodes).max(longest(&lab_episodes)) {
        let [real, lab] = [&real_episodes, &lab_episodes]
            .map(|runs| runs.iter().filter_map(|run| run.get(number)).collect::<Vec<_>>());
        let mut named = Vec::new();
        let shares = [(&real, real_episodes.len()), (&lab, lab_episodes.len())]
            .map(|(episodes, of)| Share { yes: episodes.len(), of });
        if by_chance(shares[0], shares[1]) < BY_CHANCE {
            named.push(format!("began in {}, {}", of(shares[0], "real"), of(shares[1], "lab")));
        }
        compared.push(one(&real, &lab, &mut named));
        let place = if number == 0 { String::new() } else { format!("failover {}: ", number + 1) };
        differences.extend(named.into_iter().map(|difference| format!("{place}{difference}")));
    }
    if compared.is_empty() {
        differences.push("no fault hit anybody: there is nothing to compare".to_owned());
    }
    Comparison { name: name.to_owned(), real_runs: real.len(), lab_runs: lab.len(), episodes: compared, differences }
}

fn of(share: Share, side: &str) -> String {
    format!("{} of {} {side}", share.yes, share.of)
}

fn one(real: &[&Episode], lab: &[&Episode], differences: &mut Vec<String>) -> Compared {
    let fault = real.iter().chain(lab).next().map_or_else(String::new, |episode| episode.fault.clone());
    let phases = Phase::ALL.iter().filter_map(|phase| phase_row(*phase, real, lab, differences)).collect();
    let mut events = Vec::new();
    let mut tests = Vec::new();
    for post in [Post::Leader, Post::Follower, Post::Sentinel] {
        let [real, lab] = [real, lab].map(|episodes| sequences(episodes, post));
        events.extend(event_rows(post, &real, &lab, &mut tests));
        order_tests(post, &real, &lab, &mut tests);
    }
    let bound = BY_CHANCE / tests.len().max(1) as f64;
    differences.extend(tests.into_iter().filter(|test| test.chance < bound).map(|test| test.words));
    Compared { fault, phases, events, real_orders_seen_in_the_lab: orders(real, lab) }
}

fn phase_row(phase: Phase, real: &[&Episode], lab: &[&Episode], differences: &mut Vec<String>) -> Option<PhaseRow> {
    let [real_values, lab_values] = [real, lab]
        .map(|episodes| episodes.iter().filter_map(|episode| episode.phases.get(&phase).copied()).collect::<Vec<_>>());
    let [happened, in_lab] =
        [(&real_values, real.len()), (&lab_values, lab.len())].map(|(values, of)| Share { yes: values.len(), of });
    let (real, lab) = (Spread::of(real_values), Spread::of(lab_values));
    let allowed = real.map_or(MS, |real| (real.median * PART).max(MS));
    let agrees = match (real, lab) {
        (Some(real), Some(lab)) => (real.median - lab.median).abs() <= allowed,
        (None, None) => return None,
        _ => false,
    };
    let as_often = by_chance(happened, in_lab) >= BY_CHANCE;
    if !as_often {
        let name = phase.name();
        differences.push(format!("phase `{name}` happened in {}, {}", of(happened, "real"), of(in_lab, "lab")));
    } else if let (Some(real), Some(lab)) = (real, lab)
        && !agrees
    {
        differences.push(format!(
            "phase `{}` takes {:.0} ms, in the lab {:.0} ms; {allowed:.0} ms are allowed",
            phase.name(),
            real.median,
            lab.median
        ));
    }
    // One side has seen it so rarely that the other may have missed it by chance.
    let agrees = as_often && (agrees || real.is_none() || lab.is_none());
    Some(PhaseRow { phase, real, lab, allowed, agrees })
}

/// A comparison of two shares, with how likely it is by chance and how it would be told.
struct Test {
    chance: f64,
    words: String,
}

type Sequence = BTreeMap<String, (usize, f64)>;

/// The events at each Sentinel of this post, by name, with their place in the order and their time.
fn sequences(episodes: &[&Episode], post: Post) -> Vec<Sequence> {
    let of_post = episodes.iter().flat_map(|episode| &episode.events).filter(|(at, _)| *at == post);
    let by_name = |(_, events): &(Post, Vec<(String, f64)>)| {
        events.iter().enumerate().map(|(place, (name, ms))| (name.clone(), (place, *ms))).collect()
    };
    of_post.map(by_name).collect()
}

fn names(real: &[Sequence], lab: &[Sequence]) -> BTreeSet<String> {
    real.iter().chain(lab).flat_map(|sequence| sequence.keys().cloned()).collect()
}

fn event_rows(post: Post, real: &[Sequence], lab: &[Sequence], tests: &mut Vec<Test>) -> Vec<EventRow> {
    let mut rows = Vec::new();
    for event in names(real, lab) {
        let times = |side: &[Sequence]| -> Vec<f64> {
            side.iter().filter_map(|sequence| sequence.get(&event).map(|(_, ms)| *ms)).collect()
        };
        let (real_times, lab_times) = (times(real), times(lab));
        let real_share = Share { yes: real_times.len(), of: real.len() };
        let lab_share = Share { yes: lab_times.len(), of: lab.len() };
        tests.push(Test {
            chance: by_chance(real_share, lab_share),
            words: format!("{}: {event} at {}, {}", post.name(), of(real_share, "real"), of(lab_share, "lab")),
        });
        let (real_at, lab_at) = (Spread::of(real_times), Spread::of(lab_times));
        rows.push(EventRow { post, event, real: real_share, lab: lab_share, real_at, lab_at });
    }
    let when = |row: &EventRow| row.real_at.or(row.lab_at).map_or(f64::MAX, |spread| spread.median);
    rows.sort_by(|a, b| when(a).total_cmp(&when(b)));
    rows
}

/// Of any two events at one Sentinel, which comes first.
fn order_tests(post: Post, real: &[Sequence], lab: &[Sequence], tests: &mut Vec<Test>) {
    let names: Vec<String> = names(real, lab).into_iter().collect();
    for (index, first) in names.iter().enumerate() {
        for second in &names[index + 1..] {
            let share = |side: &[Sequence]| {
                let both = side.iter().filter_map(|sequence| Some((sequence.get(first)?.0, sequence.get(second)?.0)));
                let (mut yes, mut of) = (0, 0);
                for (first, second) in both {
                    yes += usize::from(first < second);
                    of += 1;
                }
                Share { yes, of }
            };
            let (real, lab) = (share(real), share(lab));
            if real.of > 0 && lab.of > 0 && (0 < real.yes + lab.yes) && (real.yes + lab.yes < real.of + lab.of) {
                let (real_words, lab_words) = (of(real, "real"), of(lab, "lab"));
                tests.push(Test {
                    chance: by_chance(real, lab),
                    words: format!("{}: {first} before {second} at {real_words}, {lab_words}", post.name()),
                });
            }
        }
    }
}

fn orders(real: &[&Episode], lab: &[&Episode]) -> Share {
    let whole = |episodes: &[&Episode]| -> Vec<(Post, Vec<String>)> {
        let events = episodes.iter().flat_map(|episode| &episode.events);
        events.map(|(post, events)| (*post, events.iter().map(|(name, _)| name.clone()).collect())).collect()
    };
    let lab: BTreeSet<_> = whole(lab).into_iter().collect();
    let real = whole(real);
    Share { yes: real.iter().filter(|order| lab.contains(order)).count(), of: real.len() }
}
