//! A history read: one [`Episode`] a failover, with its phases and the order of events at leader and followers.
//!
//! An episode begins with a fault at the master of that moment, or a failover by hand, and ends where the next one begins.
//! Without such a fault the first fault begins the only one.

use std::collections::BTreeMap;

use model::history::{History, NodeState, Record, What};
use model::{EventName, NodeId, Time};
use serde::Serialize;

use crate::live::switched_to;

/// What happened from one fault at the master to the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// The fault that began it: `kill master`.
    pub fault: String,
    /// How long each phase took, in milliseconds, in the order of [`Phase::ALL`]. What did not happen is missing.
    pub phases: BTreeMap<Phase, f64>,
    /// The events at each Sentinel that said anything, in order, with milliseconds since the fault.
    pub events: Vec<(Post, Vec<(String, f64)>)>,
}

/// What a Sentinel was in an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Post {
    /// It was elected.
    Leader,
    /// Another was.
    Follower,
    /// Nobody was.
    Sentinel,
}

impl Post {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Sentinel => "sentinel",
        }
    }
}

macro_rules! phases {
    ($($variant:ident $name:literal $doc:literal,)*) => {
        /// A part of a failover. Each is measured from the end of the one before that happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Phase {
            $(#[doc = $doc] $variant,)*
        }

        impl Phase {
            /// All of them, in their order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

phases! {
    Down "down" "From the fault to the first `+sdown` of the master.",
    Agreed "agreed" "To the first `+odown`.",
    Elected "elected" "To the first `+elected-leader`.",
    Told "told" "To `+failover-state-wait-promotion`: a replica was told to become the master.",
    Writable "writable" "Until that node calls itself a master.",
    Promoted "promoted" "To `+promoted-slave`: its leader knows.",
    Answered "answered" "Until the first Sentinel answers the new address.",
    Switched "switched" "To the first `+switch-master`.",
    AllSwitched "all switched" "To the last `+switch-master` of the same new master.",
    AllAnswered "all answered" "Until the last Sentinel that runs answers the new address.",
    Converted "converted" "From the last fault, or end of one, before it, until the old master is a replica.",
}

/// The episodes of a history. Empty if there was no fault.
pub fn episodes(history: &History) -> Vec<Episode> {
    let records = &history.records;
    let begins = beginnings(records);
    let ends = begins.iter().skip(1).map(|(index, _)| *index).chain([records.len()]);
    begins.iter().zip(ends).map(|((begin, master), end)| read(&records[*begin..end], *master)).collect()
}

/// Where episodes begin, and who was the master then.
fn beginnings(records: &[Record]) -> Vec<(usize, NodeId)> {
    let mut master = NodeId::data(1);
    let mut begins = Vec::new();
    let mut first = None;
    for (index, record) in records.iter().enumerate() {
        match &record.what {
            What::Event { event: EventName::SwitchMaster, payload, .. } => {
                master = switched_to(payload).unwrap_or(master);
            }
            What::Fault { fault, nodes, .. } => {
                first = first.or(Some((index, master)));
                let by_hand = fault.starts_with("failover") && !nodes.is_empty();
                let ends_something = ["restart", "thaw", "heal"].iter().any(|word| fault.starts_with(word));
                if by_hand || (nodes.contains(&master) && !ends_something) {
                    begins.push((index, master));
                }
            }
            _ => {}
        }
    }
    if begins.is_empty() { first.into_iter().collect() } else { begins }
}

fn ms(from: Time, to: Time) -> f64 {
    to.since(from).as_micros() as f64 / 1_000.0
}

fn read(records: &[Record], master: NodeId) -> Episode {
    let start = records[0].at;
    let fault = match &records[0].what {
        What::Fault { fault, .. } => fault.clone(),
        _ => String::new(),
    };
    let leader = records.iter().find_map(|record| match &record.what {
        What::Event { node, event: EventName::ElectedLeader, .. } => Some(*node),
        _ => None,
    });
    let mut by_sentinel: BTreeMap<NodeId, Vec<(String, f64)>> = BTreeMap::new();
    for record in records {
        if let What::Event { node, event, payload } = &record.what {
            let events = by_sentinel.entry(*node).or_default();
            let name = key(*event, payload, events);
            events.push((name, ms(start, record.at)));
        }
    }
    let post = |node: NodeId| match leader {
        Some(leader) if leader == node => Post::Leader,
        Some(_) => Post::Follower,
        None => Post::Sentinel,
    };
    let events = by_sentinel.into_iter().map(|(node, events)| (post(node), events)).collect();
    Episode { fault, phases: phases(records, master), events }
}

/// An event with what it is about and, from the second of its kind on, its number: `+sdown master`, `+slave slave #2`.
fn key(event: EventName, payload: &str, before: &[(String, f64)]) -> String {
    let about = payload.split(' ').next().filter(|word| ["master", "slave", "sentinel"].contains(word));
    let name = about.map_or_else(|| event.to_string(), |about| format!("{event} {about}"));
    let same = |(other, _): &&(String, f64)| {
        other.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(" #"))
    };
    match before.iter().filter(same).count() {
        0 => name,
        count => format!("{name} #{}", count + 1),
    }
}

fn phases(records: &[Record], master: NodeId) -> BTreeMap<Phase, f64> {
    let start = records[0].at;
    let event = |wanted: EventName, about: &str| {
        records.iter().find(|record| match &record.what {
            What::Event { event, payload, .. } => *event == wanted && payload.starts_with(about),
            _ => false,
        })
    };
    let at = |wanted: EventName, about: &str| event(wanted, about).map(|record| record.at);
    let told = at(EventName::WaitPromotion, "");
    let is_new_master = |record: &&Record| matches!(&record.what, What::Role { node, of: None } if *node != master);
    let writable = told.and_then(|told| records.iter().filter(is_new_master).find(|record| record.at >= told));
    let switch = event(EventName::SwitchMaster, "");
    let new_master = switch.and_then(|record| match &record.what {
        What::Event { payload, .. } => switched_to(payload),
        _ => None,
    });
    let same_switch = |record: &&Record| match &record.what {
        What::Event { event: EventName::SwitchMaster, payload, .. } => switched_to(payload) == new_master,
        _ => false,
    };
    let answers = |record: &&Record| matches!(&record.what, What::Answer { addr, .. } if Some(*addr) == new_master);
    // Who starts again answers the same again: each Sentinel's first answer counts.
    let mut first_answers: BTreeMap<NodeId, Time> = BTreeMap::new();
    for record in records.iter().filter(answers) {
        if let What::Answer { node, .. } = record.what {
            first_answers.entry(node).or_insert(record.at);
        }
    }
    let marks = [
        (Phase::Down, at(EventName::SubjectivelyDown, "master ")),
        (Phase::Agreed, at(EventName::ObjectivelyDown, "")),
        (Phase::Elected, at(EventName::ElectedLeader, "")),
        (Phase::Told, told),
        (Phase::Writable, writable.map(|record| record.at)),
        (Phase::Promoted, at(EventName::PromotedSlave, "")),
        (Phase::Answered, records.iter().find(answers).map(|record| record.at)),
        (Phase::Switched, switch.map(|record| record.at)),
        (Phase::AllSwitched, records.iter().rfind(same_switch).map(|record| record.at)),
        (Phase::AllAnswered, first_answers.into_values().max()),
    ];
    let mut phases = BTreeMap::new();
    let mut before = start;
    for (phase, at) in marks {
        if let Some(at) = at {
            // What is polled may be seen a moment after what follows it.
            phases.insert(phase, ms(before, at));
            before = before.max(at);
        }
    }
    let converted =
        records.iter().position(|record| matches!(&record.what, What::Role { node, of: Some(_) } if *node == master));
    if let Some(converted) = converted {
        let fault = |record: &&Record| match &record.what {
            What::Fault { .. } | What::Healed { .. } => true,
            What::State { state, .. } => *state == NodeState::Up,
            _ => false,
        };
        if let Some(last) = records[..converted].iter().rfind(fault) {
            phases.insert(Phase::Converted, ms(last.at, records[converted].at));
        }
    }
    phases
}

#[cfg(test)]
mod tests {
    use model::plan::Cluster;

    use super::*;

    fn event(node: u16, event: EventName, payload: &str) -> What {
        What::Event { node: NodeId::sentinel(node), event, payload: payload.into() }
    }

    fn history(records: Vec<(u64, What)>) -> History {
        let mut history = History::default();
        for (ms, what) in records {
            history.push(Time::from_millis(ms), what);
        }
        history
    }

    fn kill(node: u16) -> What {
        What::Fault { fault: format!("kill redis-{node}"), step: None, nodes: vec![NodeId::data(node)] }
    }

    fn switch(from: u16, to: u16) -> String {
        let (from, to) = (Cluster::addr(NodeId::data(from)), Cluster::addr(NodeId::data(to)));
        format!("mymaster {} {} {} {}", from.host, from.port, to.host, to.port)
    }

    #[test]
    fn each_fault_at_the_master_of_the_moment_begins_an_episode() {
        let history = history(vec![
            (1_000, kill(1)),
            (2_000, event(1, EventName::SubjectivelyDown, "master mymaster 10.0.0.1 6379")),
            (3_000, event(1, EventName::SwitchMaster, &switch(1, 2))),
            (4_000, kill(1)),
            (5_000, kill(2)),
            (6_500, event(2, EventName::SubjectivelyDown, "master mymaster 10.0.0.2 6379")),
        ]);
        let episodes = episodes(&history);
        assert_eq!(
            episodes.iter().map(|episode| episode.fault.as_str()).collect::<Vec<_>>(),
            ["kill redis-1", "kill redis-2"]
        );
        assert_eq!(
            episodes[0].phases,
            BTreeMap::from([(Phase::Down, 1_000.0), (Phase::Switched, 1_000.0), (Phase::AllSwitched, 0.0)])
        );
        assert_eq!(episodes[1].phases, BTreeMap::from([(Phase::Down, 1_500.0)]));
        assert_eq!(episodes[1].events, [(Post::Sentinel, vec![("+sdown master".to_owned(), 1_500.0)])]);
    }

    #[test]
    fn events_are_told_apart_by_what_they_are_about_and_counted() {
        let history = history(vec![
            (0, kill(1)),
            (1, event(1, EventName::ElectedLeader, "master mymaster 10.0.0.1 6379")),
            (2, event(1, EventName::Slave, "slave a")),
            (3, event(1, EventName::Slave, "slave b")),
            (4, event(1, EventName::SubjectivelyDown, "sentinel x")),
            (5, event(1, EventName::NewEpoch, "1")),
        ]);
        let episodes = episodes(&history);
        let (post, events) = &episodes[0].events[0];
        let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(*post, Post::Leader);
        assert_eq!(
            names,
            ["+elected-leader master", "+slave slave", "+slave slave #2", "+sdown sentinel", "+new-epoch"]
        );
    }
}
