//! The fault of a step.

use model::fault::{Answer, Fault, Target};
use model::plan::Host;

use super::names::{Aimed, Names};
use crate::collect::Collector;
use crate::form::{Either, Field, Form as _, Mistake, Node, Record};
use crate::leaf::{Aim, Flag, HostName, HostOf, Jump, MasterName, Span, Text, Word};
use crate::problems::Place;
use crate::raw::{self, AnswerWord};
use crate::suggest::listed;

/// Every key of a step that is a fault, in the order of the documentation.
pub(crate) const FAULTS: [&str; 25] = [
    "kill",
    "restart",
    "shutdown",
    "freeze",
    "thaw",
    "debug_sleep",
    "hang",
    "unreachable",
    "latency",
    "cut",
    "silence",
    "partition",
    "cut_reply",
    "failover",
    "loading",
    "demote",
    "replicaof",
    "client_kill",
    "keep_clients",
    "send",
    "clock_jump",
    "resolve",
    "move",
    "override",
    "heal",
];

/// An address that no node has, unless a scenario moves one there.
const FREE: &str = "10.0.1.1";

/// The one fault of a step, `None` if it is mistaken, and where it stands; else a problem.
pub(super) fn fault(
    raw: raw::Step,
    owner: Place,
    names: &Names<'_>,
    collector: &mut Collector,
) -> Option<(Place, Option<Fault>)> {
    let mut reader = Reader { names, collector };
    let mut found = Vec::new();
    reader.simple(&mut found, raw.kill, Aimed::Nodes, Fault::Kill);
    reader.simple(&mut found, raw.restart, Aimed::Nodes, Fault::Restart);
    reader.simple(&mut found, raw.shutdown, Aimed::Nodes, Fault::Shutdown);
    reader.simple(&mut found, raw.freeze, Aimed::Nodes, Fault::Freeze);
    reader.simple(&mut found, raw.thaw, Aimed::Nodes, Fault::Thaw);
    reader.simple(&mut found, raw.debug_sleep, Aimed::DataNodes, Fault::DebugSleep);
    reader.simple(&mut found, raw.hang, Aimed::Nodes, Fault::Hang);
    reader.simple(&mut found, raw.unreachable, Aimed::Nodes, Fault::Unreachable);
    reader.simple(&mut found, raw.cut, Aimed::Nodes, Fault::Cut);
    reader.simple(&mut found, raw.silence, Aimed::Nodes, Fault::Silence);
    reader.simple(&mut found, raw.loading, Aimed::DataNodes, Fault::Loading);
    reader.simple(&mut found, raw.demote, Aimed::DataNodes, Fault::Demote);
    reader.simple(&mut found, raw.client_kill, Aimed::DataNodes, Fault::ClientKill);
    reader.simple(&mut found, raw.keep_clients, Aimed::DataNodes, Fault::KeepClients);
    reader.simple(&mut found, raw.heal, Aimed::Links, Fault::Heal);
    reader.with(&mut found, raw.latency, |reader, record, place| {
        let raw = reader.collector.fields(record, place);
        let between = reader.required_target(raw.between, place, "between", Aimed::Links);
        let and = reader.required_target(raw.and, place, "and", Aimed::Links);
        let delay = reader.collector.required(raw.delay, place, "delay", "50ms");
        let jitter = reader.collector.value(raw.jitter).map_or_else(Default::default, |Span(jitter)| jitter);
        Some(Fault::Latency { between: between?, and: and?, delay: delay?.0.0, jitter })
    });
    reader.with(&mut found, raw.partition, Reader::partition);
    reader.with(&mut found, raw.cut_reply, Reader::cut_reply);
    reader.with(&mut found, raw.failover, Reader::failover);
    reader.with(&mut found, raw.replicaof, |reader, record, place| {
        let raw = reader.collector.fields(record, place);
        let target = reader.required_target(raw.node, place, "node", Aimed::DataNodes);
        let of = reader.collector.field(raw.of);
        let of = of.map(|(Aim(of), place)| reader.checked(of, place, Aimed::DataNodes));
        Some(Fault::ReplicaOf { target: target?, of: of.map_or(Some(None), |of| of.map(Some))? })
    });
    reader.with(&mut found, raw.send, |reader, record, place| {
        let raw = reader.collector.fields(record, place);
        let target = reader.required_target(raw.to, place, "to", Aimed::Nodes);
        let command = reader.collector.required(raw.command, place, "command", "SENTINEL RESET mymaster");
        let command = command.and_then(|(words, place)| reader.words(words, place));
        let undo = match reader.collector.field(raw.undo) {
            Some((words, place)) => Some(reader.words(words, place)?),
            None => None,
        };
        Some(Fault::Send { target: target?, command: command?, undo })
    });
    reader.with(&mut found, raw.clock_jump, |reader, record, place| {
        let raw = reader.collector.fields(record, place);
        let target = reader.required_target(raw.of, place, "of", Aimed::Sentinels);
        let (Jump(by_ms), by_place) = reader.collector.required(raw.by, place, "by", "-3s")?;
        if by_ms == 0 {
            reader
                .collector
                .add(by_place, Mistake::new("the clock does not jump").help("write by how much, such as `by: -3s`"));
        }
        Some(Fault::ClockJump { target: target?, by_ms })
    });
    reader.with(&mut found, raw.resolve, |reader, record, place| {
        let raw = reader.collector.fields(record, place);
        let name = reader.collector.required(raw.name, place, "name", "db-1");
        let to = match reader.collector.field(raw.to) {
            None => None,
            Some((HostOf(host), place)) => {
                if let Host::Node(node) = host {
                    reader.checked(Target::Node(node), place, Aimed::Nodes)?;
                }
                Some(host)
            }
        };
        let (HostName(name), _) = name?;
        Some(Fault::Resolve { name, to })
    });
    reader.with(&mut found, raw.moving, |reader, record, place| {
        let raw = reader.collector.fields(record, place);
        let target = reader.required_target(raw.node, place, "node", Aimed::Nodes);
        let (HostOf(host), place) = reader.collector.required(raw.to, place, "to", FREE)?;
        let Host::Ip(to) = host else {
            let help = format!("the machine gets an address of its own, such as {FREE}");
            reader.collector.add(place, Mistake::new(format!("`{host}` is a node, no IP address")).help(help));
            return None;
        };
        let cluster = reader.names.cluster();
        if let Some(node) = cluster.nodes().into_iter().find(|node| *cluster.address(*node).host == *to.to_string()) {
            reader.collector.add(
                place,
                Mistake::new(format!("`{to}` is the address of {node}"))
                    .help(format!("choose one that no node has, such as {FREE}")),
            );
            return None;
        }
        Some(Fault::Move { target: target?, to })
    });
    reader.with(&mut found, raw.overriding, |reader, record, place| {
        let raw = reader.collector.fields(record, place);
        let target = reader.required_target(raw.of, place, "of", Aimed::Sentinels);
        let (answer, place) = reader.collector.required(raw.answer, place, "answer", "stale")?;
        let answer = reader.answer(answer, place);
        Some(Fault::Override { target: target?, answer: answer? })
    });

    // Fields are read by kind, problems are reported in the order of the file.
    found.sort_by_key(|(place, _)| *place);
    match found.len() {
        0 if collector.is_misspelt(owner) => {}
        0 => {
            let help = format!("add one of {}", FAULTS.join(", "));
            collector.add(owner, Mistake::new("the step has no fault").help(help));
        }
        1 => {}
        _ => {
            let help = "write a step for each; steps may have the same time";
            collector.add(found[1].0, Mistake::new("a second fault in one step").help(help));
        }
    }
    found.into_iter().next()
}

/// Faults that a step names, each `None` if it is mistaken.
type Found = Vec<(Place, Option<Fault>)>;

struct Reader<'a, 'b> {
    names: &'a Names<'a>,
    collector: &'b mut Collector,
}

impl Reader<'_, '_> {
    /// A fault that has a target only.
    fn simple(&mut self, found: &mut Found, field: Field<Aim>, aimed: Aimed, fault: fn(Target) -> Fault) {
        let Some(node) = field.0 else { return };
        found.push((node.place, self.target(node, aimed).map(fault)));
    }

    /// A fault of a form of its own.
    fn with<T>(&mut self, found: &mut Found, field: Field<T>, read: impl FnOnce(&mut Self, T, Place) -> Option<Fault>) {
        let Some(node) = field.0 else { return };
        let place = node.place;
        let fault = self.collector.node(node).and_then(|value| read(self, value, place));
        found.push((place, fault));
    }

    fn target(&mut self, node: Node<Aim>, aimed: Aimed) -> Option<Target> {
        let place = node.place;
        let Aim(target) = self.collector.node(node)?;
        self.checked(target, place, aimed)
    }

    fn checked(&mut self, target: Target, place: Place, aimed: Aimed) -> Option<Target> {
        self.names.target(&target, aimed).map_err(|mistake| self.collector.add(place, mistake)).ok()?;
        Some(target)
    }

    fn required_target(&mut self, field: Field<Aim>, owner: Place, key: &str, aimed: Aimed) -> Option<Target> {
        let example = if aimed == Aimed::Sentinels { "sentinel-1" } else { "master" };
        let (Aim(target), place) = self.collector.required(field, owner, key, example)?;
        self.checked(target, place, aimed)
    }

    /// The words of a command.
    fn words(&mut self, words: raw::Words, place: Place) -> Option<Vec<String>> {
        let words: Vec<String> = match words {
            raw::Words::Line(Text(line)) => {
                if line.contains(['"', '\'']) {
                    let help = "write the words as a list: `[CONFIG, SET, requirepass, \"\"]`";
                    self.collector.add(place, Mistake::new("quotes in a command").help(help));
                    return None;
                }
                line.split_ascii_whitespace().map(str::to_owned).collect()
            }
            raw::Words::List(nodes) => {
                let count = nodes.len();
                let words: Vec<String> =
                    nodes.into_iter().filter_map(|node| self.collector.node(node)).map(|Word(word)| word).collect();
                if words.len() < count {
                    return None;
                }
                words
            }
        };
        if words.first().is_none_or(String::is_empty) {
            let help = "write a command of Redis, such as `SENTINEL RESET mymaster`";
            self.collector.add(place, Mistake::new("there is no command").help(help));
            return None;
        }
        Some(words)
    }

    fn targets(&mut self, nodes: Vec<Node<Aim>>) -> Option<Vec<Target>> {
        let count = nodes.len();
        let targets: Vec<_> = nodes.into_iter().filter_map(|node| self.target(node, Aimed::Links)).collect();
        (targets.len() == count).then_some(targets)
    }

    fn partition(&mut self, raw: Either<Vec<Node<Aim>>, Record<raw::Partition>>, place: Place) -> Option<Fault> {
        match raw {
            Either::Short(nodes) => {
                let count = nodes.len();
                let mut sides = self.targets(nodes)?;
                if count != 2 {
                    let help = "write two targets, `[zone:a, zone:b]`, or `{from: [..], to: [..]}`";
                    self.collector.add(place, Mistake::new(format!("a partition of {count} sides")).help(help));
                    return None;
                }
                let to = vec![sides.pop()?];
                Some(Fault::Partition { from: sides, to, one_way: false })
            }
            Either::Long(record) => {
                let raw = self.collector.fields(record, place);
                let from = self.collector.required(raw.from, place, "from", "zone:a");
                let from = from.and_then(|(aims, place)| self.side(aims, place));
                let to = self.collector.required(raw.to, place, "to", "zone:b");
                let to = to.and_then(|(aims, place)| self.side(aims, place));
                let one_way = self.collector.value(raw.one_way).is_some_and(|Flag(one_way)| one_way);
                Some(Fault::Partition { from: from?, to: to?, one_way })
            }
        }
    }

    fn side(&mut self, aims: raw::Aims, place: Place) -> Option<Vec<Target>> {
        match aims {
            raw::Aims::One(Aim(target)) => self.checked(target, place, Aimed::Links).map(|target| vec![target]),
            raw::Aims::Many(nodes) if nodes.is_empty() => {
                self.collector.add(place, Mistake::new("this side of the partition is empty").help(raw::Aims::right()));
                None
            }
            raw::Aims::Many(nodes) => self.targets(nodes),
        }
    }

    fn cut_reply(&mut self, raw: Either<Aim, Record<raw::CutReply>>, place: Place) -> Option<Fault> {
        match raw {
            Either::Short(Aim(target)) => {
                let target = self.checked(target, place, Aimed::DataNodes)?;
                Some(Fault::CutReply { target, command: None, times: 1 })
            }
            Either::Long(record) => {
                let raw = self.collector.fields(record, place);
                let target = self.required_target(raw.of, place, "of", Aimed::DataNodes);
                let command = self.collector.field(raw.command).and_then(|(Text(command), place)| {
                    let named = !command.is_empty() && command.bytes().all(|b| b.is_ascii_alphanumeric());
                    if !named {
                        let mistake = Mistake::new("this is not the name of a command").help("write `INCR`");
                        self.collector.add(place, mistake);
                    }
                    named.then(|| command.to_ascii_uppercase())
                });
                let mut times = 1;
                self.collector.number(raw.times, 1..=u32::MAX.into(), &mut times);
                Some(Fault::CutReply { target: target?, command, times })
            }
        }
    }

    fn failover(&mut self, raw: Either<MasterName, Record<raw::Failover>>, place: Place) -> Option<Fault> {
        let (master, via) = match raw {
            Either::Short(name) => (Some((name, place)), None),
            Either::Long(record) => {
                let raw = self.collector.fields(record, place);
                let via = self.collector.field(raw.via);
                let via = via.and_then(|(Aim(target), place)| self.checked(target, place, Aimed::Sentinels));
                (self.collector.field(raw.master), via)
            }
        };
        let master = match master {
            Some((MasterName(name), place)) => {
                self.names.master(&name).map_err(|mistake| self.collector.add(place, mistake)).ok()?;
                Some(name)
            }
            None => None,
        };
        Some(Fault::Failover { via, master })
    }

    fn answer(&mut self, raw: Either<AnswerWord, Record<raw::Answer>>, place: Place) -> Option<Answer> {
        let record = match raw {
            Either::Short(word) => {
                return Some(match word {
                    AnswerWord::Stale => Answer::Stale,
                    AnswerWord::Null => Answer::Null,
                    AnswerWord::Hang => Answer::Hang,
                    AnswerWord::NoSwitchEvent => Answer::NoSwitchEvent,
                });
            }
            Either::Long(record) => record,
        };
        let known = record.known;
        let raw = self.collector.fields(record, place);
        let given = [
            raw.error.0.is_some(),
            raw.slow.0.is_some(),
            raw.wrong_address.0.is_some(),
            raw.late_switch_event.0.is_some(),
        ];
        if given.into_iter().filter(|given| *given).count() != 1 {
            let help = format!("write one of {}", listed(known.iter().copied()));
            self.collector.add(place, Mistake::new("the answer is not one thing").help(help));
            return None;
        }
        if let Some((Text(error), place)) = self.collector.field(raw.error) {
            if error.is_empty() || error.contains(['\r', '\n']) {
                self.collector
                    .add(place, Mistake::new("the error is not one line of text").help("write one such as `ERR busy`"));
            }
            return Some(Answer::Error(error));
        }
        if let Some(Span(delay)) = self.collector.value(raw.slow) {
            return Some(Answer::Slow(delay));
        }
        if let Some(Span(delay)) = self.collector.value(raw.late_switch_event) {
            return Some(Answer::LateSwitchEvent(delay));
        }
        let (Aim(target), place) = self.collector.field(raw.wrong_address)?;
        self.checked(target, place, Aimed::DataNodes).map(Answer::WrongAddress)
    }
}
