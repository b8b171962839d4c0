//! Every mistake is reported with its place and with what would be right, and all mistakes of a file at once.

use insta::assert_snapshot;
use model::plan::Workload;
use sentinel_lab_scenario::{Options, parse};

/// The plain form of the errors.
fn errors(source: &str) -> String {
    let options = Options { drivers: Some(&["redis-rs", "fred", "wrong-hasty"]), ..Options::default() };
    parse(source, "s.yaml", &options).expect_err("the scenario is wrong").to_string()
}

/// The errors of a scenario with this timeline.
fn timeline(entries: &str) -> String {
    errors(&format!("title: t\nclients: [{{id: w, workload: counter}}]\ntimeline:\n{entries}"))
}

/// The errors of a scenario with this cluster.
fn cluster(text: &str) -> String {
    errors(&format!("title: t\ncluster: {text}"))
}

#[test]
fn all_mistakes_of_a_file_are_reported_at_once() {
    assert_snapshot!(errors(
        "\
titel: the master is killed
cluster: {master: mymaster, replicas: two, sentinels: 3, quorum: 5, down_after: 5}
clients:
  - {id: writer, workload: conter, every: 100ms, driver: redisrs, bugdet: 3s}
timeline:
- {at: 10s, kil: master}
  - {on: +swich-master, after: 2s, restart: old-mastr}
expect: {recovered_within: 12}
"
    ));
}

#[test]
fn snippets_show_the_source_with_a_caret() {
    let source = "title: t\ntimeline:\n  - {at: 10s, kill: redis-9}\n";
    let errors = parse(source, "s.yaml", &Options::default()).unwrap_err();
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor()).with_width(100);
    assert_snapshot!(errors.snippets(&handler));
}

#[test]
fn durations() {
    assert_snapshot!(cluster(
        "{down_after: 5, failover_timeout: 3 fortnights, replication_lag: -1s, node_latency: [1s]}"
    ));
    assert_snapshot!(cluster("{down_after: 0s, failover_timeout: 2days, replication_lag: 10ns}"));
}

#[test]
fn a_sleep_says_how_long() {
    assert_snapshot!(timeline("  - {at: 10s, debug_sleep: master}\n  - {at: 10s, debug_sleep: sentinel-1, for: 3s}"));
    assert_snapshot!(timeline("  - {at: 10s, replicaof: {of: redis-2}}\n  - {at: 10s, replicaof: master}"));
}

#[test]
fn masters_and_sentinels() {
    assert_snapshot!(cluster("{sentinels: 2, quorum: 3, replicas: 5000, min_replicas_to_write: 7}"));
    assert_snapshot!(cluster("{master: a, masters: [{name: b}, {name: b, quorum: 9}, {replicas: 1}]}"));
    assert_snapshot!(cluster("{masters: []}"));
    assert_snapshot!(cluster("{user: app, sentinel_password: 12345, sentinels: 0}"));
}

#[test]
fn zones_and_priorities() {
    assert_snapshot!(cluster("{zones: {a: [redis-1, redis-9], b: [redis-1, master], 'c d': []}}"));
    assert_snapshot!(cluster("{priorities: {redis-4: 0, sentinel-1: 10, redis-2: high}}"));
}

#[test]
fn clients() {
    assert_snapshot!(errors(
        "\
title: t
run_for: 10s
clients:
  - {id: a:b, workload: counter}
  - {id: w, workload: counter, every: 100ms, rate: 10/s, start: 10s}
  - {id: w, zone: z, master: cache, workload: queue}
  - {id: x, count: 3, workload: pubsub, max_open_connections: 0}
  - {id: x-2, workload: register, rate: fast, patterns: true}
  - {count: 5000}
"
    ));
}

#[test]
fn when_a_step_fires() {
    assert_snapshot!(timeline(
        "\
- {at: 10m, kill: master}
- {on: switch-master, kill: master}
- {at: 1s, on: +odown, kill: master}
- {at: 1s, after: 2s, kill: master}
- {kill: master}
"
    ));
}

#[test]
fn one_fault_in_each_step() {
    assert_snapshot!(timeline(
        "\
- {at: 1s}
- {at: 1s, kill: master, restart: master}
- {at: 1s, cut: master, for: 2s}
- {at: 1s, loading: master, for: 0s}
"
    ));
}

#[test]
fn targets() {
    assert_snapshot!(timeline(
        "\
- {at: 1s, kill: slave}
- {at: 1s, kill: redis-4}
- {at: 1s, kill: master:cache}
- {at: 1s, freeze: zone:a}
- {at: 1s, cut: client:w}
- {at: 1s, partition: [client:v, zone:default]}
- {at: 1s, loading: sentinel-1}
- {at: 1s, clock_jump: {of: master, by: 3s}}
- {at: 1s, kill: [redis-1, redis-2]}
"
    ));
}

#[test]
fn forms_of_faults() {
    assert_snapshot!(timeline(
        "\
- {at: 1s, partition: [master]}
- {at: 1s, partition: {from: [], to: master, oneway: true}}
- {at: 1s, latency: {between: master, and: all}}
- {at: 1s, cut_reply: {of: master, command: INCR key, times: 0}}
- {at: 1s, failover: {master: cache, via: master}}
- {at: 1s, clock_jump: {of: sentinel-1, by: 0s}}
- {at: 1s, override: {of: sentinel-1, answer: stael}}
- {at: 1s, override: {of: sentinel-1, answer: {error: ERR, slow: 1s}}}
- {at: 1s, override: {of: sentinel-1, answer: {wrong_address: sentinel-2}}}
"
    ));
}

#[test]
fn names_of_hosts() {
    assert_snapshot!(cluster(
        "{announce_hostnames: true, hosts: {db-1: redis-9, 'a b': redis-1, 10.0.0.1: redis-1, x: y, up: redis-1, UP: redis-2}}"
    ));
    assert_snapshot!(timeline(
        "  - {at: 1s, resolve: {to: redis-1}}\n  - {at: 1s, resolve: {name: db, to: redis-9}}\n  - {at: 1s, resolve: db}"
    ));
    assert_snapshot!(timeline(
        "  - {at: 1s, move: {node: redis-1}}\n  - {at: 1s, move: {node: redis-1, to: redis-2}}\n  - {at: 1s, move: {node: redis-1, to: 10.0.0.2}, for: 1s}"
    ));
}

#[test]
fn encryption() {
    assert_snapshot!(cluster("{tls: {server_name: 10.0.0.1, sentinel: true}}"));
    assert_snapshot!(cluster("{tls: true}"));
}

#[test]
fn expectations() {
    assert_snapshot!(errors(
        "title: t\nexpect: {catches: {fred: I0, fredd: I1, hasty: recovered, strange: I1, redis-rs: 1, wrong-hasty: i1}}"
    ));
    let catches = |catches: &str| errors(&format!("title: t\nexpect: {catches}"));
    assert_snapshot!(catches("{waive: {I1: it may, I4: it may}, catches: {fred: I2, wrong-hasty: I1}}"));
    assert_snapshot!(
        [
            "{}",
            "[wrong-hasty]",
            "wrong-hasty",
            "",
            "{wrong-hasty: [I1, I2]}",
            "{wrong-hasty: failed_at_most}",
            "{wrong-hasty: astray}"
        ]
        .map(|wrong| catches(&format!("{{catches: {wrong}}}")))
        .join("\n")
    );
    let at = |client: &str, catches: &str| {
        errors(&format!("title: t\nclients: [{{id: w, {client}}}]\nexpect: {{catches: {{{catches}}}}}"))
    };
    assert_snapshot!(
        [
            at("workload: counter, driver: fred", "wrong-hasty: I1"),
            at("workload: replica_reads", "wrong-hasty: I2"),
            at("workload: counter", "wrong-hasty: longest_gap"),
            at("workload: counter", "wrong-hasty: back_to_replica_within"),
            at("workload: replica_reads", "wrong-hasty: back_to_replica_within"),
            at("workload: counter, sentinels: [redis-1]", "wrong-hasty: I1"),
        ]
        .join("\n")
    );
    let options = Options { wrong_at: Some(|_| Some(Workload::CachedReads)), ..Options::default() };
    let wrong = "title: t\nclients: [{id: w, workload: counter}]\nexpect: {catches: {wrong-keeps-cache: I2}}";
    assert_snapshot!(parse(wrong, "s.yaml", &options).expect_err("nothing wrong there").to_string());
    assert_snapshot!(errors("title: t\nexpect: {failovers: -1, waive: {I4: '', I0: because, I1: [x]}}"));
}

#[test]
fn steps_that_undo_nothing() {
    assert_snapshot!(timeline(
        "\
- {at: 1s, kill: redis-2}
- {at: 2s, heal: redis-3}
- {at: 3s, cut: master}
- {at: 4s, heal: sentinels}
- {at: 5s, freeze: sentinel-1, for: 2s}
- {at: 8s, thaw: sentinel-1}
- {on: +switch-master, restart: sentinel-2}
- {at: 9s, heal: client:w}
- {at: 10s, heal: all}
"
    ));
}

/// The errors of a scenario with this step, in a cluster with two Sentinels of which one has a name, and with two clients.
fn of_step(step: &str) -> String {
    let text = format!(
        "title: t\n\
         cluster: {{sentinels: 2, hosts: {{db-1.lab: redis-1, s-1.lab: sentinel-1}}, zones: {{empty: []}}}}\n\
         clients: [{{id: w, workload: counter}}, {{id: r, workload: replica_reads, start: 4s}}]\n\
         timeline: [{{{step}}}]"
    );
    parse(&text, "s.yaml", &Options::default()).map_or_else(|errors| errors.to_string(), |_| String::new())
}

#[test]
fn steps_that_can_do_nothing() {
    let wrong = [
        "at: 5s, partition: [master, master]",
        "at: 5s, partition: {from: client:w, to: [client:r, client:w]}",
        "at: 5s, partition: [sentinels:majority, sentinel-1]",
        "at: 5s, latency: {between: redis-2, and: redis-2, delay: 50ms}",
        "at: 5s, latency: {between: master, and: all, delay: 0s}",
        "at: 5s, latency: {between: master, and: zone:empty, delay: 50ms}",
        "at: 5s, override: {of: sentinel-1, answer: {slow: 0s}}",
        "at: 5s, override: {of: sentinel-1, answer: {late_switch_event: 0ms}}",
        "at: 5s, replicaof: {node: redis-2, of: redis-2}",
        "at: 5s, replicaof: {node: master, of: master}",
        "at: 5s, kill: sentinels:minority",
        "at: 5s, freeze: zone:empty",
        "at: 5s, resolve: {name: db-1.lab}",
        "at: 5s, resolve: {name: s-l.lab, to: redis-2}",
        "at: 5s, resolve: {name: elsewhere, to: redis-2}",
        "at: 2s, cut: master",
        "at: 2999ms, silence: all",
        "at: 5s, heal: all",
        "at: 5s, restart: redis-3",
        "on: +switch-master, thaw: all",
    ];
    assert_snapshot!(wrong.map(of_step).join("\n"));
    for right in [
        "at: 5s, partition: [master, redis-1]",
        "at: 5s, partition: [replicas, replicas]",
        "at: 5s, partition: {from: client:w, to: [client:r, master]}",
        "at: 5s, latency: {between: all, and: all, delay: 0s, jitter: 1ms}",
        "at: 5s, override: {of: sentinel-1, answer: {slow: 1ms}}",
        "at: 5s, replicaof: {node: replicas, of: redis-2}",
        "at: 5s, resolve: {name: S-1.lab}",
        "at: 3s, cut: master",
        "on: +sdown, cut: master",
        "at: 2s, cut_reply: master",
    ] {
        assert_eq!(of_step(right), "", "{right}");
    }
    let given =
        "at: 5s, send: {to: redis-2, command: REPLICAOF db-9 6379}}, {at: 6s, resolve: {name: db-9, to: redis-1}";
    assert_eq!(of_step(given), "", "an operator has told a node this name");
    assert_eq!(of_step("at: 5s, cut: master}, {at: 6s, heal: all"), "", "a heal of all may find nothing");
}

#[test]
fn times_of_clients_that_outlast_the_run() {
    let of = |client: &str, timeline: &str| {
        let text = format!(
            "title: t\nclients: [{{id: w, workload: counter, {client}}}]\ntimeline: [{timeline}]\nrun_for: 20s\n"
        );
        parse(&text, "s.yaml", &Options::default()).map_or_else(|errors| errors.to_string(), |_| String::new())
    };
    let kill = "{at: 10s, kill: master}";
    assert_snapshot!(
        [
            of("reopen_after: 500s, count: 2", kill),
            of("deadline: 17s", kill),
            of("deadline: 16s, start: 4s", kill),
            of("budget: 10s", kill),
            of("budget: 17s", ""),
        ]
        .join("\n")
    );
    for right in ["reopen_after: 16s, deadline: 16999ms, budget: 9999ms", "start: 11s"] {
        assert_eq!(of(right, kill), "", "{right}");
    }
}

#[test]
fn what_never_ends() {
    assert_snapshot!(timeline(
        "\
- {at: 10s, send: {to: master, command: CLIENT PAUSE 5000, undo: CLIENT UNPAUSE}}
- {at: 11s, send: {to: redis-2, command: CLIENT PAUSE 5000, undo: CLIENT UNPAUSE}, for: 5s}
- {at: 12s, freeze: redis-2, for: 33s}
- {on: +switch-master, after: 20s, hang: redis-2, for: 20s}
- {on: +switch-master, after: 10s, hang: redis-2, for: 1s}
"
    ));
}

#[test]
fn expectations_that_nobody_can_miss() {
    let of = |workload: &str, expect: &str| {
        errors(&format!(
            "title: t\nclients: [{{id: w, workload: {workload}}}]\ntimeline: [{{at: 10s, kill: master}}]\nexpect: {{{expect}}}"
        ))
    };
    assert_snapshot!(
        [
            of("counter", "back_to_replica_within: 5s"),
            of("replica_reads", "recovered_within: 5s, acknowledged_writes_lost: 0, failed_at_most: 1"),
            of("pubsub", "recovered_within: 5s"),
            of("counter", "longest_gap: 42s"),
            of("counter", "recovered_within: 36s"),
            of("replica_reads", "back_to_replica_within: 36s, longest_gap: 50s"),
            errors("title: t\nclients: [{id: w, workload: counter}]\nexpect: {recovered_within: 5s, most_connects: {count: 3, within: 1s}}"),
        ]
        .join("\n")
    );
    assert!(of("counter", "most_connects: {count: 3, within: 0s}").contains("too short"));
    assert_snapshot!(
        [
            of("counter", "failed_at_most: 100000"),
            of("counter, callers: 2", "failed_at_most: 842"),
            of("counter, count: 2", "failed_at_most: 421"),
            of("queue", "acknowledged_writes_lost: 842"),
            of("counter, every: 1s}, {id: r, workload: replica_reads", "acknowledged_writes_lost: 43"),
            of("counter", "most_connects: {count: 40, within: 10ms}"),
            of("counter, count: 2, max_connects_per_second: 10", "most_connects: {count: 40, within: 1001ms}"),
            of("counter", "most_connects: {count: 1400, within: 24h}"),
        ]
        .join("\n")
    );
    for (client, expect) in [
        ("counter", "longest_gap: 41s, recovered_within: 35s"),
        ("counter", "failed_at_most: 420, acknowledged_writes_lost: 420"),
        ("counter, count: 2", "failed_at_most: 420, acknowledged_writes_lost: 841"),
        ("counter", "most_connects: {count: 39, within: 1s}"),
        ("counter", "most_connects: {count: 40, within: 1s}, waive: {I6: it may}"),
    ] {
        let text = format!(
            "title: t\nclients: [{{id: w, workload: {client}}}]\ntimeline: [{{at: 10s, kill: master}}]\nexpect: {{{expect}}}"
        );
        let read = parse(&text, "s.yaml", &Options::default());
        assert!(read.is_ok(), "{expect} can be missed: {read:?}");
    }
}

#[test]
fn values_of_another_kind() {
    assert_snapshot!(errors(
        "\
title: 5
cluster: {replicas: 2.5, sentinels: -1, zones: [a], priorities: {redis-2: high}, nat: yes, hosts: {db: 7}}
clients:
  id: w
timeline:
  - {at: , kill: 5}
expect: {failed_at_most: 1s, failovers: -1, longest_gap: -1, waive: all}
"
    ));
    assert_snapshot!(timeline(
        "\
- {at: 1s, kill: {node: redis-1}}
- {at: 1s, kill: {master: mymaster}}
- {at: 1s, kill: {zone: default}}
- {at: 1s, kill: {master: }}
- {at: 1s, kill: {what: ever}}
- {at: 1s, kill: [redis-1]}
- {at: 1s, partition: {from: {zone: a}, to: master}}
- {at: 1s, latency: 50ms}
- kill
"
    ));
}

#[test]
fn keys_of_other_tools_and_slips() {
    assert_snapshot!(timeline(
        "\
- {at: 1s, drop: master}
- {at: 1s, delay: master}
- {at: 1s, disconnect: master}
- {at: 1s, pause: master}
- {at: 1s, stop: master}
- {at: 1s, crash: master}
- {at: 1s, explode: master}
- {at: 1s, kill: slave}
- {at: 1s, kill: slaves}
- {at: 1s, kill: primary}
- {at: 1s, kill:master}
- {at:1s, kill: master}
"
    ));
}

#[test]
fn broken_yaml_is_one_error_with_its_place() {
    assert_snapshot!(errors("title: t\ncluster: {master: [\n"));
    assert_snapshot!(errors("title: t\ncluster:\n   master: m\n  replicas: 2\n"));
    assert_snapshot!(errors("title: t\ncluster:\n\tmaster: m\n"));
    assert_snapshot!(errors("title: t\ncluster: {master: \"m}\n"));
    assert_snapshot!(errors("title: t\nclients: [a, b\nrun_for: 3s\n"));
    assert_snapshot!(errors("title: t\ntitle: u\n"));
    assert_snapshot!(errors("title: t\ntimeline:\n  - {at: 1s, kill: master\n  - {at: 2s, heal: all}\n"));
    assert_snapshot!(errors("title: t\ntimeline:\n  - at: 1s\n     kill: master\n"));
    assert_snapshot!(errors("title: t\ntimeline:\n  - at: 1s\n    kill:master\n"));
    assert_snapshot!(errors("title: t\nclients: [{id: w]}\n"));
    assert_snapshot!(errors("title: t: u\n"));
    assert_snapshot!(errors("title: t\n---\ntitle: u\n"));
    assert_snapshot!(errors(""));
    assert_snapshot!(errors("- title: t"));
}

#[test]
fn broken_yaml_is_shown_where_it_breaks() {
    let table = [
        ("title: \u{e4}\ncluster:\n   master: m\n  replicas: 2\n", "replicas: 2"),
        ("title: \u{e4}\ncluster:\n\tmaster: m\n", "master: m"),
        ("title: \u{e4}\ncluster: {master: \"m}\n", "\"m}"),
        ("title: \u{e4}\nclients: [\u{e4}, b\nrun_for: 3s\n", ": 3s"),
    ];
    for (source, there) in table {
        let errors = parse(source, "s.yaml", &Options::default()).expect_err("the YAML is broken");
        let offset = errors.problems()[0].place.offset;
        assert!(source[offset..].starts_with(there), "{source:?}: {:?}", &source[offset..]);
    }
}

#[test]
fn more_jobs_than_one_consumer_takes() {
    let of = |callers: u16| format!("title: t\nclients: [{{id: w, workload: jobs, callers: {callers}}}]\n");
    assert_snapshot!(errors(&of(4)));
    assert!(parse(&of(3), "s.yaml", &Options::default()).is_ok());
}

#[test]
fn drivers_that_are_programs() {
    let named = |driver: &str| format!("title: t\nclients: [{{id: w, workload: counter, driver: {driver}}}]\n");
    assert_snapshot!(
        [named("\"exec: \""), named("\"exec:python3 'a b.py\""), named("exe")].map(|text| errors(&text)).join("\n")
    );
    let options = Options { drivers: Some(&["fred"]), ..Options::default() };
    let plan = parse(&named("\"exec: python3 'a b.py' \""), "s.yaml", &options).expect("a plan");
    assert_eq!(plan.clients[0].driver.as_deref(), Some("exec:python3 'a b.py'"));
}
