//! Many runs of both sides: distributions, and every difference named.
//!
//! A phase agrees if the lab's median is within 10 % or 120 ms of the real median, whichever is larger. Whether phases and
//! events occur, and in which order any two events, varies from run to run in reality too; so their shares are compared, and
//! a difference is one if chance would bring it about more rarely than is asked for, over all comparisons of an episode.
//! Chance is Fisher's exact test of the runs: the Sentinels of one run see the same faults and the same votes, so they are not
//! independent, and a run counts once. What is compared is in how many runs something held at all Sentinels of a post, and
//! in how many at any; the less likely of the two, at twice its chance, decides.

use std::collections::{BTreeMap, BTreeSet};

use model::History;
use serde::Serialize;

use crate::episode::{Episode, Phase, Post, episodes};
use crate::statistics::{Share, Spread, by_chance};

/// The part of the real median by which the lab's may differ.
pub const PART: f64 = 0.10;
/// The milliseconds by which it may differ in any case.
pub const MS: f64 = 120.0;
/// How often chance may name a difference that is none, over all comparisons of an episode.
pub const BY_CHANCE: f64 = 0.05;

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
    /// Every phase whose medians are too far apart, in words.
    pub times_differ: Vec<String>,
    /// Everything else that differs, in words: what happens, and in which order.
    pub events_differ: Vec<String>,
}

impl Comparison {
    /// Every difference, in words. None is parity.
    pub fn differences(&self) -> impl Iterator<Item = &String> {
        self.times_differ.iter().chain(&self.events_differ)
    }
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

/// Compares the runs of both sides. `chance` is how often a difference of events may be named that is none, such as
/// [`BY_CHANCE`]: with few real runs a smaller one finds only what happens always and never.
pub fn compare(name: &str, real: &[History], lab: &[History], chance: f64) -> Comparison {
    let [real_episodes, lab_episodes] = [real, lab].map(|runs| runs.iter().map(episodes).collect::<Vec<_>>());
    let longest = |runs: &[Vec<Episode>]| runs.iter().map(Vec::len).max().unwrap_or(0);
    let mut comparison = Comparison {
        name: name.to_owned(),
        real_runs: real.len(),
        lab_runs: lab.len(),
        episodes: Vec::new(),
        times_differ: Vec::new(),
        events_differ: Vec::new(),
    };
    for number in 0..longest(&real_episodes).max(longest(&lab_episodes)) {
        let [real, lab] = [&real_episodes, &lab_episodes]
            .map(|runs| runs.iter().filter_map(|run| run.get(number)).collect::<Vec<_>>());
        let began = [(&real, real_episodes.len()), (&lab, lab_episodes.len())]
            .map(|(episodes, of)| Share { yes: episodes.len(), of });
        let place = if number == 0 { String::new() } else { format!("failover {}: ", number + 1) };
        one(&real, &lab, began, chance, &place, &mut comparison);
    }
    if comparison.episodes.is_empty() {
        comparison.events_differ.push("no fault hit anybody: there is nothing to compare".to_owned());
    }
    comparison
}

fn of(share: Share, side: &str) -> String {
    format!("{} of {} {side}", share.yes, share.of)
}

/// One failover; its differences are told with `place` before them.
fn one(real: &[&Episode], lab: &[&Episode], began: [Share; 2], chance: f64, place: &str, to: &mut Comparison) {
    let fault = real.iter().chain(lab).next().map_or_else(String::new, |episode| episode.fault.clone());
    let mut tests = vec![Test::new(began[0], began[1], |real, lab| format!("began in {real}, {lab}"))];
    let mut phases: Vec<PhaseRow> =
        Phase::ALL.iter().filter_map(|phase| phase_row(*phase, real, lab, &mut tests)).collect();
    let mut events = Vec::new();
    for post in [Post::Leader, Post::Follower, Post::Sentinel] {
        let [real, lab] = [real, lab].map(|episodes| sequences(episodes, post));
        events.extend(event_rows(post, &real, &lab, &mut tests));
        order_tests(post, &real, &lab, &mut tests);
    }
    for row in phases.iter().filter(|row| !row.agrees) {
        let (name, allowed) = (row.phase.name(), row.allowed);
        let [real, lab] = [row.real, row.lab].map(|side| side.map_or(0.0, |spread| spread.median));
        let words = format!("phase `{name}` takes {real:.0} ms, in the lab {lab:.0} ms; {allowed:.0} ms are allowed");
        to.times_differ.push(format!("{place}{words}"));
    }
    let bound = chance / tests.len() as f64;
    for test in tests.into_iter().filter(|test| test.chance < bound) {
        if let Some(row) = phases.iter_mut().find(|row| Some(row.phase) == test.phase) {
            row.agrees = false;
        }
        to.events_differ.push(format!("{place}{}", test.words));
    }
    to.episodes.push(Compared { fault, phases, events, real_orders_seen_in_the_lab: orders(real, lab) });
}

fn phase_row(phase: Phase, real: &[&Episode], lab: &[&Episode], tests: &mut Vec<Test>) -> Option<PhaseRow> {
    let [real_values, lab_values] = [real, lab]
        .map(|episodes| episodes.iter().filter_map(|episode| episode.phases.get(&phase).copied()).collect::<Vec<_>>());
    if real_values.is_empty() && lab_values.is_empty() {
        return None;
    }
    let [happened, in_lab] =
        [(&real_values, real.len()), (&lab_values, lab.len())].map(|(values, of)| Share { yes: values.len(), of });
    let words = |real: String, lab: String| format!("phase `{}` happened in {real}, {lab}", phase.name());
    tests.push(Test { phase: Some(phase), ..Test::new(happened, in_lab, words) });
    let (real, lab) = (Spread::of(real_values), Spread::of(lab_values));
    let allowed = real.map_or(MS, |real| allowed(real.median));
    // If one side has never seen it, its share tells whether the other may have seen it by chance.
    let agrees = real.zip(lab).is_none_or(|(real, lab)| (real.median - lab.median).abs() <= allowed);
    Some(PhaseRow { phase, real, lab, allowed, agrees })
}

/// By how many milliseconds the lab's median may differ from this real one.
pub fn allowed(real_median: f64) -> f64 {
    (real_median * PART).max(MS)
}

/// A comparison of two shares, with how likely it is by chance and how it would be told.
struct Test {
    chance: f64,
    words: String,
    /// The phase whose occurrence is compared, if it is one.
    phase: Option<Phase>,
}

impl Test {
    /// Of shares of runs.
    fn new(real: Share, lab: Share, words: impl Fn(String, String) -> String) -> Self {
        Self { chance: by_chance(real, lab), words: words(of(real, "real"), of(lab, "lab")), phase: None }
    }

    /// Of what held or not at the Sentinels of each run. It is told in Sentinels.
    fn of_sentinels(real: &[Vec<bool>], lab: &[Vec<bool>], words: impl Fn(String, String) -> String) -> Self {
        let sentinels = |side: &[Vec<bool>]| share(side.iter().flatten().copied());
        let seen = |side: &[Vec<bool>]| side.iter().filter(|run| !run.is_empty()).cloned().collect::<Vec<_>>();
        let (real_runs, lab_runs) = (seen(real), seen(lab));
        let all = [&real_runs, &lab_runs].map(|side| share(side.iter().map(|run| run.iter().all(|held| *held))));
        let any = [&real_runs, &lab_runs].map(|side| share(side.iter().map(|run| run.iter().any(|held| *held))));
        let [of_all, of_any] = [all, any].map(|[real, lab]| by_chance(real, lab));
        let chance = if all == any { of_all } else { (2.0 * of_all.min(of_any)).min(1.0) };
        Self { chance, ..Self::new(sentinels(real), sentinels(lab), words) }
    }
}

fn share(held: impl Iterator<Item = bool>) -> Share {
    held.fold(Share { yes: 0, of: 0 }, |share, held| Share { yes: share.yes + usize::from(held), of: share.of + 1 })
}

type Sequence = BTreeMap<String, (usize, f64)>;
/// Those of the Sentinels of a post, in one run.
type Sequences = Vec<Sequence>;

/// The events at each Sentinel of this post in each run, by name, with their place in the order and their time.
fn sequences(episodes: &[&Episode], post: Post) -> Vec<Sequences> {
    let by_name = |(_, events): &(Post, Vec<(String, f64)>)| {
        events.iter().enumerate().map(|(place, (name, ms))| (name.clone(), (place, *ms))).collect()
    };
    let of_run = |episode: &&Episode| episode.events.iter().filter(|(at, _)| *at == post).map(by_name).collect();
    episodes.iter().map(of_run).collect()
}

fn names(real: &[Sequences], lab: &[Sequences]) -> BTreeSet<String> {
    real.iter().chain(lab).flatten().flat_map(|sequence| sequence.keys().cloned()).collect()
}

fn event_rows(post: Post, real: &[Sequences], lab: &[Sequences], tests: &mut Vec<Test>) -> Vec<EventRow> {
    let mut rows = Vec::new();
    for event in names(real, lab) {
        let times = |side: &[Sequences]| -> Vec<f64> {
            side.iter().flatten().filter_map(|sequence| sequence.get(&event).map(|(_, ms)| *ms)).collect()
        };
        let happened = |side: &[Sequences]| -> Vec<Vec<bool>> {
            side.iter().map(|run| run.iter().map(|sequence| sequence.contains_key(&event)).collect()).collect()
        };
        let (real_times, lab_times) = (times(real), times(lab));
        let [in_real, in_lab] = [happened(real), happened(lab)];
        let [real_share, lab_share] = [&in_real, &in_lab].map(|side| share(side.iter().flatten().copied()));
        let words = |real, lab| format!("{}: {event} at {real}, {lab}", post.name());
        tests.push(Test::of_sentinels(&in_real, &in_lab, words));
        let (real_at, lab_at) = (Spread::of(real_times), Spread::of(lab_times));
        rows.push(EventRow { post, event, real: real_share, lab: lab_share, real_at, lab_at });
    }
    let when = |row: &EventRow| row.real_at.or(row.lab_at).map_or(f64::MAX, |spread| spread.median);
    rows.sort_by(|a, b| when(a).total_cmp(&when(b)));
    rows
}

/// Of any two events at one Sentinel, which comes first.
fn order_tests(post: Post, real: &[Sequences], lab: &[Sequences], tests: &mut Vec<Test>) {
    let names: Vec<String> = names(real, lab).into_iter().collect();
    for (index, first) in names.iter().enumerate() {
        for second in &names[index + 1..] {
            let in_order = |sequence: &Sequence| Some(sequence.get(first)?.0 < sequence.get(second)?.0);
            let of_side = |side: &[Sequences]| -> Vec<Vec<bool>> {
                side.iter().map(|run| run.iter().filter_map(in_order).collect()).collect()
            };
            let [in_real, in_lab] = [of_side(real), of_side(lab)];
            let [real, lab] = [&in_real, &in_lab].map(|side| share(side.iter().flatten().copied()));
            if real.of > 0 && lab.of > 0 && (0 < real.yes + lab.yes) && (real.yes + lab.yes < real.of + lab.of) {
                let name = post.name();
                let words = |real, lab| format!("{name}: {first} before {second} at {real}, {lab}");
                tests.push(Test::of_sentinels(&in_real, &in_lab, words));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn chance(real: &[Vec<bool>], lab: &[Vec<bool>]) -> f64 {
        Test::of_sentinels(real, lab, |real, lab| format!("{real}, {lab}")).chance
    }

    #[test]
    fn the_sentinels_of_a_run_are_one_observation() {
        let mut real = vec![vec![true, true]; 4];
        real.push(vec![false, false]);
        let lab = vec![vec![true, true]; 200];
        let by_sentinels = by_chance(Share { yes: 8, of: 10 }, Share { yes: 400, of: 400 });
        assert!(by_sentinels < 0.001, "{by_sentinels}");
        let by_runs = by_chance(Share { yes: 4, of: 5 }, Share { yes: 200, of: 200 });
        assert!((chance(&real, &lab) - by_runs).abs() < 1e-12 && by_runs > 0.02, "{by_runs}");
    }

    #[test]
    fn what_is_always_and_never_differs_and_so_does_what_is_only_at_all() {
        let (always, never) = (vec![vec![true, true]; 5], vec![vec![false, false]; 200]);
        assert!(chance(&always, &never) < 1e-8);
        // At one of two Sentinels in each real run, at both in the lab.
        let (half, both) = (vec![vec![true, false]; 5], vec![vec![true, true]; 200]);
        assert!(chance(&half, &both) < 1e-8);
        assert!(chance(&[vec![true], vec![]], &[vec![true]]) > 0.99, "a run without such Sentinels says nothing");
    }
}
