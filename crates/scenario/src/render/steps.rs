//! The steps of a plan as they are written.

use std::time::Duration;

use model::fault::{Answer, Fault, Target};
use model::plan::{Step, Trigger};

use super::yaml::{Map, Yaml};
use crate::duration::{write, write_signed_ms};

pub(super) fn step(step: &Step) -> Map {
    let mut map = Map::flow();
    match &step.when {
        Trigger::At(at) => map.put("at", write(*at)),
        Trigger::On { event, after } => {
            map.put("on", event.as_str());
            map.put_unless(&Duration::ZERO, "after", after, |after| write(*after).into());
        }
    }
    map.put(step.fault.name(), fault(&step.fault));
    if let Some(lasting) = step.lasting {
        map.put("for", write(lasting));
    }
    map
}

/// What stands behind the name of the fault.
fn fault(fault: &Fault) -> Yaml {
    match fault {
        Fault::Kill(target)
        | Fault::Restart(target)
        | Fault::Shutdown(target)
        | Fault::Freeze(target)
        | Fault::Thaw(target)
        | Fault::DebugSleep(target)
        | Fault::Hang(target)
        | Fault::Unreachable(target)
        | Fault::Cut(target)
        | Fault::Silence(target)
        | Fault::Loading(target)
        | Fault::Demote(target)
        | Fault::ClientKill(target)
        | Fault::KeepClients(target)
        | Fault::Heal(target)
        | Fault::CutReply { target, command: None, times: 1 } => name(target),
        Fault::Latency { between, and, delay, jitter } => {
            let mut map = Map::flow();
            map.put("between", name(between));
            map.put("and", name(and));
            map.put("delay", write(*delay));
            map.put_unless(&Duration::ZERO, "jitter", jitter, |jitter| write(*jitter).into());
            map.into()
        }
        Fault::Partition { from, to, one_way: false } if from.len() == 1 && to.len() == 1 => {
            Yaml::Row(from.iter().chain(to).map(name).collect())
        }
        Fault::Partition { from, to, one_way } => {
            let mut map = Map::flow();
            map.put("from", Yaml::Row(from.iter().map(name).collect()));
            map.put("to", Yaml::Row(to.iter().map(name).collect()));
            map.put_unless(&false, "one_way", one_way, |flag| (*flag).into());
            map.into()
        }
        Fault::CutReply { target, command, times } => {
            let mut map = Map::of("of", name(target));
            if let Some(command) = command {
                map.put("command", command.as_str());
            }
            map.put_unless(&1, "times", times, |times| u64::from(*times).into());
            map.into()
        }
        Fault::Failover { via: None, master: Some(master) } => master.as_str().into(),
        Fault::Failover { via, master } => {
            let mut map = Map::flow();
            if let Some(master) = master {
                map.put("master", master.as_str());
            }
            if let Some(via) = via {
                map.put("via", name(via));
            }
            map.into()
        }
        Fault::ReplicaOf { target, of } => {
            let mut map = Map::of("node", name(target));
            if let Some(of) = of {
                map.put("of", name(of));
            }
            map.into()
        }
        Fault::Send { target, command, undo } => {
            let mut map = Map::of("to", name(target));
            map.put("command", words(command));
            if let Some(undo) = undo {
                map.put("undo", words(undo));
            }
            map.into()
        }
        Fault::Resolve { name, to } => {
            let mut map = Map::of("name", name.as_str());
            if let Some(to) = to {
                map.put("to", to.to_string());
            }
            map.into()
        }
        Fault::Move { target, to } => {
            let mut map = Map::of("node", name(target));
            map.put("to", to.to_string());
            map.into()
        }
        Fault::ClockJump { target, by_ms } => {
            let mut map = Map::of("of", name(target));
            map.put("by", write_signed_ms(*by_ms));
            map.into()
        }
        Fault::Override { target, answer } => {
            let mut map = Map::of("of", name(target));
            map.put("answer", self::answer(answer));
            map.into()
        }
    }
}

fn answer(answer: &Answer) -> Yaml {
    match answer {
        Answer::Stale => "stale".into(),
        Answer::Null => Yaml::Null,
        Answer::Hang => "hang".into(),
        Answer::NoSwitchEvent => "no_switch_event".into(),
        Answer::Error(text) => Map::of("error", text.as_str()).into(),
        Answer::Slow(delay) => Map::of("slow", write(*delay)).into(),
        Answer::WrongAddress(target) => Map::of("wrong_address", name(target)).into(),
        Answer::LateSwitchEvent(delay) => Map::of("late_switch_event", write(*delay)).into(),
    }
}

/// In one line, if that reads back.
fn words(words: &[String]) -> Yaml {
    let plain =
        |word: &String| !word.is_empty() && !word.contains(|c: char| c.is_ascii_whitespace() || c == '"' || c == '\'');
    if words.iter().all(plain) {
        words.join(" ").into()
    } else {
        Yaml::Row(words.iter().map(|word| word.as_str().into()).collect())
    }
}

fn name(target: &Target) -> Yaml {
    target.to_string().into()
}
