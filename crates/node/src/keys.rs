//! Where the keys of a command are, and what it does to them.
//!
//! `data/commands.txt`, recorded from Redis 7.0.15, says so for every command: `name | tips | places`, each place
//! `flags begin_search find_keys notes`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use model::Command;

use crate::args::{is, parse_int};
use crate::table::Spec;

/// What is known of a command besides its row in the table.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Hints for proxies, with spaces between them.
    pub(crate) tips: &'static str,
    pub(crate) places: Vec<Place>,
}

/// One place of keys: `RW,access index:1 range:0:1:0 notes`.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) flags: &'static str,
    pub(crate) begin: &'static str,
    pub(crate) find: &'static str,
    pub(crate) notes: Option<&'static str>,
}

impl Place {
    fn parse(text: &'static str) -> Option<Self> {
        let mut words = text.trim().splitn(4, ' ');
        let (flags, begin, find) = (words.next()?, words.next()?, words.next()?);
        Some(Self { flags, begin, find, notes: words.next() })
    }

    /// The indices of its keys among the words; `None` if the words are not as this place has them.
    fn find(&self, words: &[Bytes]) -> Option<Vec<usize>> {
        let count = words.len() as i64;
        let (kind, begin) = self.begin.split_once(':').unwrap_or((self.begin, ""));
        let first = match kind {
            "index" => begin.parse().ok()?,
            "keyword" => {
                let (keyword, from) = begin.split_once(':')?;
                let from: usize = from.parse().ok()?;
                let Some(at) = (from..words.len()).find(|at| is(&words[*at], keyword)) else { return Some(Vec::new()) };
                at as i64 + 1
            }
            // Of SORT: what is read depends on the data, and where the result goes may be said anywhere.
            _ if self.flags.starts_with("OW") => match words.iter().rposition(|word| is(word, "STORE")) {
                Some(at) if at as i64 + 1 < count => at as i64 + 1,
                _ => return Some(Vec::new()),
            },
            _ => return Some(Vec::new()),
        };
        let mut numbers = self.find.split(':');
        let how = numbers.next()?;
        let numbers: Vec<i64> = numbers.filter_map(|number| number.parse().ok()).collect();
        let (first, last, step) = match (how, &numbers[..]) {
            ("range", &[last, step, _]) if last >= 0 => (first, first + last, step),
            ("range", &[last, step, limit]) => {
                (first, if limit <= 1 { count } else { first + (count - first) / limit } + last, step)
            }
            ("keynum", &[at, after, step]) => {
                let keys = parse_int(words.get(usize::try_from(first + at).ok()?)?).filter(|keys| *keys < count)?;
                (first + after, first + after + keys - 1, step)
            }
            _ => (first, first, 1),
        };
        if first >= count || last >= count || last < first {
            return None;
        }
        Some((first as usize..=last as usize).step_by(step.max(1) as usize).collect())
    }
}

static NOTES: LazyLock<BTreeMap<&'static str, Notes>> = LazyLock::new(|| {
    let line = |line: &'static str| {
        let (name, rest) = line.split_once(" | ")?;
        let (tips, places) = rest.split_once('|')?;
        Some((name, Notes { tips: tips.trim(), places: places.split(" ; ").filter_map(Place::parse).collect() }))
    };
    include_str!("../data/commands.txt").lines().filter_map(line).collect()
});

/// What is known of a command besides its row in the table; `None` if that is all.
pub(crate) fn notes(spec: &Spec) -> Option<&'static Notes> {
    NOTES.get(spec.name)
}

/// What a command does to a key, as `COMMAND GETKEYSANDFLAGS` says it: `RW,access,update`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need(pub(crate) &'static str);

impl Need {
    /// It tells what is there.
    pub(crate) fn read(self) -> bool {
        self.0.contains("access")
    }

    /// It changes what is there.
    pub(crate) fn write(self) -> bool {
        ["insert", "update", "delete"].iter().any(|word| self.0.contains(word))
    }
}

/// What those commands do whose words say what they do.
fn variable(words: &[Bytes]) -> &'static str {
    let told = |from: usize| words.iter().skip(from).any(|word| is(word, "GET"));
    match () {
        () if is(&words[0], "SET") && told(3) => "RW,access,update",
        () if is(&words[0], "SET") => "OW,update",
        () if told(2) && !words.iter().skip(2).any(|word| is(word, "SET") || is(word, "INCRBY")) => "RO,access",
        () => "RW,access,update",
    }
}

/// True if a command of this kind may have keys. Sharded channels stand where keys do, and are none.
pub(crate) fn has_any(spec: &Spec) -> bool {
    notes(spec).is_some_and(|notes| notes.places.iter().any(|place| place.flags != "not_key"))
}

/// The keys of a command that has the right number of words; none if they are not where they should be.
pub(crate) fn of<'a>(spec: &Spec, command: &'a Command) -> Vec<(&'a Bytes, Need)> {
    let words = &command.0;
    let mut keys = Vec::new();
    for place in notes(spec).map_or(&[][..], |notes| &notes.places).iter().filter(|place| place.flags != "not_key") {
        let Some(indices) = place.find(words) else { return Vec::new() };
        let flags = if place.flags.ends_with(",variable_flags") { variable(words) } else { place.flags };
        keys.extend(indices.into_iter().map(|index| (&words[index], Need(flags))));
    }
    keys
}
