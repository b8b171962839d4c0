//! The clients under test.

use std::collections::BTreeSet;
use std::time::Duration;

use model::plan::{Client, EXEC, WRONG, Workload};
use model::{Target, words};

use super::TICK;
use super::names::{Aimed, Names};
use crate::collect::Collector;
use crate::form::{Field, Mistake, Node, Record, shortened};
use crate::leaf::{Flag, MasterName, Name, NodeName, Rate, Span, Text, Work};
use crate::parse::Options;
use crate::problems::Place;
use crate::raw;
use crate::suggest::{did_you_mean, listed};

/// The most clients of a run.
const MOST_CLIENTS: usize = 1_000;

pub(super) fn clients(
    field: Field<Vec<Node<Record<raw::Client>>>>,
    names: &Names<'_>,
    run_for: Duration,
    options: &Options<'_>,
    collector: &mut Collector,
) -> (Vec<Client>, Vec<Wait>) {
    let mut clients: Vec<Client> = Vec::new();
    let mut waits = Vec::new();
    let mut ids = BTreeSet::new();
    for node in collector.value(field).unwrap_or_default() {
        let Some((raw, place)) = collector.record(node) else { continue };
        let given = [
            (Waits::Deadline, raw.deadline.place()),
            (Waits::Budget, raw.budget.place()),
            (Waits::ReopenAfter, raw.reopen_after.place()),
        ];
        let first = clients.len();
        waits.extend(given.into_iter().filter_map(|(what, place)| Some(Wait { what, client: first, place: place? })));
        let (client, id_place, count) = client(raw, place, names, run_for, options, collector);
        let entries = match count {
            None => vec![client],
            Some(count) => (1..=count).map(|n| Client { id: format!("{}-{n}", client.id), ..client.clone() }).collect(),
        };
        if let Some(twice) = entries.iter().find(|client| !client.id.is_empty() && ids.contains(&client.id)) {
            collector.add(id_place, Mistake::new(format!("there are two clients called `{}`", twice.id)));
        }
        if clients.len() + entries.len() > MOST_CLIENTS {
            collector.add(place, Mistake::new("too many clients").help(format!("at most {MOST_CLIENTS} in a run")));
            break;
        }
        ids.extend(entries.iter().map(|client| client.id.clone()));
        clients.extend(entries);
    }
    (clients, waits)
}

/// A time of a client that the file gives.
pub(super) struct Wait {
    pub(super) what: Waits,
    /// The client, or the first of several alike.
    pub(super) client: usize,
    pub(super) place: Place,
}

/// What such a time is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Waits {
    Deadline,
    Budget,
    ReopenAfter,
}

/// One entry: the client, the place of its id, and how many of it there shall be.
fn client(
    raw: raw::Client,
    place: Place,
    names: &Names<'_>,
    run_for: Duration,
    options: &Options<'_>,
    collector: &mut Collector,
) -> (Client, Place, Option<u16>) {
    let (Name(id), id_place) =
        collector.required(raw.id, place, "id", "writer").unwrap_or((Name(String::new()), place));
    let workload = collector.required(raw.workload, place, "workload", "counter");
    let mut client = Client::new(&id, workload.map_or(Workload::Counter, |(Work(workload), _)| workload));

    if let Some((Text(mut driver), place)) = collector.field(raw.driver) {
        if let Some(command) = driver.strip_prefix(EXEC) {
            let command = command.trim();
            program(command).unwrap_or_else(|mistake| collector.add(place, mistake));
            driver = format!("{EXEC}{command}");
        } else {
            let besides = format!(", and `{EXEC}` with the command of a program");
            known_driver(&driver, &besides, options).unwrap_or_else(|mistake| collector.add(place, mistake));
        }
        client.driver = Some(driver);
    }
    if let Some((Name(zone), place)) = collector.field(raw.zone) {
        names.zone(&zone).unwrap_or_else(|mistake| collector.add(place, mistake));
        client.zone = zone;
    }
    names.first_master().clone_into(&mut client.master);
    if let Some((MasterName(master), place)) = collector.field(raw.master) {
        names.master(&master).unwrap_or_else(|mistake| collector.add(place, mistake));
        client.master = master;
    }

    for node in collector.value(raw.sentinels).unwrap_or_default() {
        let place = node.place;
        let Some(NodeName(node)) = collector.node(node) else { continue };
        if let Err(mistake) = names.target(&Target::Node(node), Aimed::Known) {
            collector.add(place, mistake);
        } else if client.sentinels.contains(&node) {
            collector.add(place, Mistake::new(format!("{node} stands here twice")));
        } else {
            client.sentinels.push(node);
        }
    }
    collector.number(raw.database, 0..=15, &mut client.database);
    if let Some((Flag(patterns), place)) = collector.field(raw.patterns) {
        if patterns && client.workload != Workload::PubSub {
            let help = "only the workload `pubsub` subscribes to anything";
            collector.add(place, Mistake::new("`patterns` without a subscriber").help(help));
        }
        client.patterns = patterns;
    }
    let callers = raw.callers.place();
    collector.number(raw.callers, 1..=MOST_CLIENTS as u64, &mut client.callers);
    if let Some(place) = callers
        && client.workload == Workload::Jobs
        && client.callers > Workload::MOST_PUSHING
    {
        let help = format!("the one that takes them keeps up with {}: have more clients", Workload::MOST_PUSHING);
        collector.add(place, Mistake::new("too many callers put jobs").help(help));
    }

    let every_is_given = raw.every.0.is_some();
    collector.duration(raw.every, TICK, &mut client.every);
    if let Some((Rate(every), place)) = collector.field(raw.rate) {
        if every_is_given {
            collector.add(place, Mistake::new("both `every` and `rate`").help("keep one of them"));
        } else if every < TICK {
            collector.add(place, Mistake::new("the rate is too high").help("at most `1000/s`"));
        }
        client.every = every;
    }
    if let Some((start, place)) = collector.field(raw.start) {
        if start.0 >= run_for {
            let message = format!("the client never starts: the run ends at {}", crate::duration::write(run_for));
            collector.add(place, Mistake::new(message).help("start it earlier, or raise `run_for`"));
        }
        client.start = start.0;
    }
    collector.duration(raw.deadline, TICK, &mut client.deadline);
    if let Some((Span(after), place)) = collector.field(raw.reopen_after) {
        if client.callers > 1 {
            let help = "with one caller the application knows when nothing succeeds";
            collector.add(place, Mistake::new("`reopen_after` with several callers").help(help));
        } else if after.is_zero() {
            collector
                .add(place, Mistake::new("the client would be set up anew after every failure").help("write `5s`"));
        }
        client.reopen_after = Some(after);
    }
    collector.duration(raw.budget, Duration::ZERO, &mut client.budget);
    if let Some(Flag(flag)) = collector.value(raw.retry_ambiguous) {
        client.retry_ambiguous = flag;
    }
    collector.number(raw.max_connects_per_second, 1..=u32::MAX.into(), &mut client.max_connects_per_second);
    collector.number(raw.max_open_connections, 1..=u32::MAX.into(), &mut client.max_open_connections);
    collector.number(raw.max_questions_per_second, 1..=u32::MAX.into(), &mut client.max_questions_per_second);

    let count = raw.count.0.is_some().then(|| {
        let mut count = 1;
        collector.number(raw.count, 1..=MOST_CLIENTS as u64, &mut count);
        count
    });
    (client, id_place, count)
}

/// A mistake unless there is a driver called `name`; `besides` says what else would be right.
pub(super) fn known_driver(name: &str, besides: &str, options: &Options<'_>) -> Result<(), Mistake> {
    let Some(drivers) = options.drivers.filter(|drivers| !drivers.contains(&name)) else { return Ok(()) };
    let known = || drivers.iter().copied();
    // Who leaves the prefix out of the name of a wrong client means that one.
    let wrong = known().find(|known| known.strip_prefix(WRONG) == Some(name));
    let near = || did_you_mean(name, known());
    let help = wrong.map(|known| format!("did you mean `{known}`?")).or_else(near).unwrap_or_else(|| {
        let right = listed(known().filter(|known| !known.starts_with(WRONG)));
        format!("there are {right}{besides}")
    });
    Err(Mistake::new(format!("there is no driver `{}`", shortened(name))).help(help))
}

/// Whether the words of a program's command can be told apart.
fn program(command: &str) -> Result<(), Mistake> {
    match words::split(command.as_bytes()) {
        Some(words) if words.is_empty() => {
            Err(Mistake::new(format!("`{EXEC}` without a command")).help(format!("write `{EXEC}python3 worker.py`")))
        }
        Some(_) => Ok(()),
        None => Err(Mistake::new(format!("a quote in `{command}` is not closed, or goes on behind its end"))
            .help(format!("quote a whole word, as in `{EXEC}python3 'my worker.py'`"))),
    }
}
