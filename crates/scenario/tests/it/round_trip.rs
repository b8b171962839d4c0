//! What is rendered is read back as the same plan, and fits the schema.

use crate::plans;
use model::plan::Plan;
use proptest::prelude::*;
use sentinel_lab_scenario::{Options, parse, render};

#[track_caller]
fn read_back(plan: &Plan) -> String {
    let text = render(plan);
    let read = parse(&text, "rendered.yaml", &Options { lenient: true, ..Options::default() })
        .unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    assert_eq!(&read, plan, "{text}");
    text
}

proptest! {
    #[test]
    fn a_rendered_plan_reads_back(plan in plans::plan()) {
        let text = read_back(&plan);
        let errors = plans::schema_errors(&text);
        prop_assert!(errors.is_empty(), "{errors:?}\n{text}");
    }
}

#[test]
fn short_forms_and_defaults() {
    let text = "\
title: two writers, one cut off
cluster: {master: mymaster, replicas: 2, quorum: 2, down_after: 5s, failover_timeout: 20s, sentinels: 3, hosts: {db-1: sentinel-1}}
clients:
  - {id: writer, count: 2, workload: counter}
  - {id: reader, workload: replica_reads, every: 50ms}
timeline:
  - {at: 10s, partition: [redis-1, client:writer-1], for: 8s}
  - {on: +switch-master, after: 2s, cut_reply: {of: master, command: INCR}}
  - {at: 20s, failover: mymaster}
  - {at: 30s, override: {of: sentinel-1, answer: {error: ERR busy}}}
  - {at: 32s, resolve: {name: db-1, to: redis-2}}
  - {at: 35s, heal: all}
run_for: 45s
expect: {recovered_within: 12s, waive: {I4: the minority acknowledges what it loses}}
";
    let plan = parse(text, "s.yaml", &Options::default()).unwrap();
    assert_eq!(render(&plan), text);
}

#[test]
fn zones_and_several_masters() {
    let text = "\
title: two masters in two zones
cluster:
  sentinels: 3
  masters:
    - {name: a, replicas: 1, quorum: 2, down_after: 5s, failover_timeout: 20s, password: \"007\"}
    - {name: b, replicas: 2, quorum: 2, down_after: 30s, failover_timeout: 3m}
  priorities: {redis-4: 0}
  zones:
    east: [redis-1, sentinel-1]
    west: []
  sentinel_password: secret
clients:
  - {id: writer, workload: register, zone: west}
run_for: 45s
";
    let plan = parse(text, "s.yaml", &Options::default()).unwrap();
    assert_eq!(render(&plan), text);
}
