//! [`Collector`]: takes values out of the raw file and keeps every mistake that it meets, so that all are reported.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::form::{Field, Mistake, Node, Record, shortened};
use crate::leaf::{Count, NodeName, Span};
use crate::problems::{Place, Problem};
use crate::suggest::{did_you_mean, listed};

/// The problems so far.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    pub(crate) problems: Vec<Problem>,
    /// Records with a key that is none of theirs. What seems to be missing there is not reported as well.
    misspelt: BTreeSet<Place>,
}

impl Collector {
    /// Adds a problem.
    pub(crate) fn add(&mut self, place: Place, mistake: Mistake) {
        self.problems.push(mistake.at(place));
    }

    /// The value of a node; `None`, and a problem, if there is a mistake.
    pub(crate) fn node<T>(&mut self, node: Node<T>) -> Option<T> {
        node.value.map_err(|mistake| self.add(node.place, mistake)).ok()
    }

    /// The value of a key and its place; `None` if the key is missing or mistaken.
    pub(crate) fn field<T>(&mut self, field: Field<T>) -> Option<(T, Place)> {
        let node = field.0?;
        let place = node.place;
        self.node(node).map(|value| (value, place))
    }

    /// As [`Collector::field`], without the place.
    pub(crate) fn value<T>(&mut self, field: Field<T>) -> Option<T> {
        self.field(field).map(|(value, _)| value)
    }

    /// As [`Collector::field`], for a key that must be there: `owner` is where it belongs, `example` what it may hold.
    pub(crate) fn required<T>(
        &mut self,
        field: Field<T>,
        owner: Place,
        key: &str,
        example: &str,
    ) -> Option<(T, Place)> {
        if field.0.is_none() && !self.is_misspelt(owner) {
            self.add(owner, Mistake::new(format!("`{key}` is missing")).help(format!("add `{key}: {example}`")));
        }
        self.field(field)
    }

    /// True if the record there has a key that is none of its own.
    pub(crate) fn is_misspelt(&self, record: Place) -> bool {
        self.misspelt.contains(&record)
    }

    /// The fields of the record at `owner`. Its unknown keys are problems.
    pub(crate) fn fields<T>(&mut self, record: Record<T>, owner: Place) -> T {
        let known = || record.known.iter().copied();
        for (place, key) in record.unknown {
            self.misspelt.insert(owner);
            let cut = key.split_once(':').filter(|(before, _)| record.known.contains(before));
            let help = match cut {
                Some((before, after)) => format!("write `{before}: {after}`, with a blank after the colon"),
                None if NodeName::parse(&key).is_ok() => {
                    "one node stands behind a key: write a step for each, or a role such as `sentinels:minority`"
                        .to_owned()
                }
                None => did_you_mean(&key, known()).unwrap_or_else(|| format!("there are {}", listed(known()))),
            };
            self.add(place, Mistake::new(format!("unknown key `{}`", shortened(&key))).help(help));
        }
        record.fields
    }

    /// The fields of a record and its place.
    pub(crate) fn record<T>(&mut self, node: Node<Record<T>>) -> Option<(T, Place)> {
        let place = node.place;
        self.node(node).map(|record| (self.fields(record, place), place))
    }

    /// Sets `to` to a number within `range`, if the key is there.
    pub(crate) fn number<N: TryFrom<u64>>(&mut self, field: Field<Count>, range: RangeInclusive<u64>, to: &mut N) {
        if let Some((Count(number), place)) = self.field(field) {
            match N::try_from(number) {
                Ok(fitting) if range.contains(&number) => *to = fitting,
                _ => {
                    let (least, most) = range.into_inner();
                    let help = if most == u64::MAX {
                        format!("it must be at least {least}")
                    } else {
                        format!("it must be from {least} to {most}")
                    };
                    self.add(place, Mistake::new(format!("{number} is out of range")).help(help));
                }
            }
        }
    }

    /// Sets `to` to a duration of at least `least`, if the key is there.
    pub(crate) fn duration(&mut self, field: Field<Span>, least: Duration, to: &mut Duration) {
        if let Some((Span(duration), place)) = self.field(field) {
            if duration < least {
                self.add(place, too_short(least));
            } else {
                *to = duration;
            }
        }
    }
}

/// That a duration is less than `least`.
pub(crate) fn too_short(least: Duration) -> Mistake {
    Mistake::new("this is too short").help(format!("it must be at least {}", crate::duration::write(least)))
}
