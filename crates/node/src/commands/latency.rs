//! `LATENCY`. Every command takes one microsecond here, and nothing else takes any time worth an event.

use model::Reply;

use crate::args::{is, text};
use crate::dispatch::{Call, Outcome};
use crate::node::Node;
use crate::table;

pub(crate) fn latest(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    Ok(Reply::Array(Vec::new()).into())
}

pub(crate) fn history(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    Ok(Reply::Array(Vec::new()).into())
}

pub(crate) fn reset(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    Ok(Reply::Int(0).into())
}

pub(crate) fn graph(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    Err(format!("ERR No samples available for event '{}'", text(&call.args()[2])).into())
}

pub(crate) fn doctor(node: &mut Node, _: &mut Call<'_>) -> Outcome {
    let text = if node.config.other("latency-monitor-threshold") == "0" {
        "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis instance. You may use \"CONFIG SET \
         latency-monitor-threshold <milliseconds>.\" in order to enable it. If we weren't in a deep space mission I'd \
         suggest to take a look at https://redis.io/topics/latency-monitor.\n"
    } else {
        "Dave, no latency spike was observed during the lifetime of this Redis instance, not in the slightest bit. I \
         honestly think you ought to sit down calmly, take a stress pill, and think things over.\n"
    };
    Ok(Reply::Verbatim(text.into()).into())
}

/// Of the commands that were called: those asked for, with their subcommands, or all.
pub(crate) fn histogram(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let names = &call.args()[2..];
    let asked = |spec: &table::Spec| {
        let container = spec.name.split('|').next().unwrap_or(spec.name);
        names.is_empty() || names.iter().any(|name| is(name, spec.name) || is(name, container))
    };
    let called = table::all().iter().filter(|spec| asked(spec));
    let called = called.filter_map(|spec| Some((spec, node.stats.calls.get(spec.name)?.ran))).filter(|call| call.1 > 0);
    let describe = |(spec, calls): (&table::Spec, u64)| {
        let calls = Reply::Int(calls as i64);
        let histogram = Reply::Map(vec![(Reply::Int(1), calls.clone())]);
        let fields = vec![(Reply::word("calls"), calls), (Reply::word("histogram_usec"), histogram)];
        (Reply::word(spec.name), Reply::Map(fields))
    };
    Ok(Reply::Map(called.map(describe).collect()).into())
}
