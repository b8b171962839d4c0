//! Strategies for plans that use everything there is, and the schema as a check.

use std::time::Duration;

use model::event::EventName;
use model::fault::{Answer, Fault, Target};
use model::id::NodeId;
use model::plan::{Client, Cluster, Credentials, Expect, Group, Host, Plan, Step, Tls, Trigger, Workload};
use model::verdict::{Invariant, Rule};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// What the schema finds wrong with a scenario file.
pub(crate) fn schema_errors(yaml: &str) -> Vec<String> {
    // As YAML 1.2, which is what editors read: `on` is a word.
    let options = serde_yaml::options! { strict_booleans: true };
    let instance: serde_json::Value = serde_yaml::from_str_with_options(yaml, options).expect("valid YAML");
    let schema = serde_json::from_str(&sentinel_lab_scenario::schema()).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    validator.iter_errors(&instance).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Whole microseconds up to an hour, many of them round.
fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (1_u64..3_600).prop_map(Duration::from_secs),
        (1_u64..100_000).prop_map(Duration::from_millis),
        (1_000_u64..3_600_000_000).prop_map(Duration::from_micros),
    ]
}

/// One line, with whatever YAML finds special.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,20}[!-~]",
        "[a-zäß日🔑]{1,8}",
        select(vec!["null", "true", "~", "0123", "1e3", "- a", "a: b", "#x", "{a}", "on", "'", "\"", "a, b", ".inf"])
            .prop_map(str::to_owned),
    ]
}

fn credentials() -> impl Strategy<Value = Credentials> {
    (option::of(text()), text()).prop_map(|(user, password)| Credentials { user, password })
}

/// Sets the last element to something else than the default, so that the list has one form only.
fn trimmed<T: PartialEq>(mut list: Vec<T>, default: &T) -> Vec<T> {
    while list.last() == Some(default) {
        list.pop();
    }
    list
}

fn zones(most: usize) -> impl Strategy<Value = Vec<String>> {
    vec(select(vec!["default".to_owned(), "a".to_owned(), "b-2".to_owned()]), 0..=most)
        .prop_map(|zones| trimmed(zones, &"default".to_owned()))
}

// Boxed, since a strategy of strategies of this many parts does not fit the stack of a test.
fn group(name: &'static str) -> BoxedStrategy<Group> {
    (0_u16..4, 1_u16..=3)
        .prop_flat_map(move |(replicas, quorum)| {
            let size = usize::from(replicas) + 1;
            let nodes = (zones(size), vec(select(vec![0_u32, 50, 100]), 0..=size), 0..=replicas);
            let times = (duration(), duration(), duration(), duration(), duration());
            let scripts = (option::of(text()), option::of(text()));
            (nodes, times, option::of(credentials()), 1_u16..4, any::<bool>(), scripts).prop_map(
                move |((zones, priorities, least), times, auth, parallel_syncs, serve_stale_data, scripts)| Group {
                    name: name.to_owned(),
                    replicas,
                    quorum,
                    zones,
                    priorities: trimmed(priorities, &100),
                    down_after: times.0,
                    failover_timeout: times.1,
                    parallel_syncs,
                    auth,
                    replication_lag: times.2,
                    min_replicas_to_write: least,
                    min_replicas_max_lag: times.3,
                    serve_stale_data,
                    reboot_down_after: times.4,
                    notification_script: scripts.0,
                    client_reconfig_script: scripts.1,
                },
            )
        })
        .boxed()
}

fn cluster() -> impl Strategy<Value = Cluster> {
    let groups = prop_oneof![
        group("mymaster").prop_map(|group| vec![group]),
        (group("cache"), group("a.b")).prop_map(|(a, b)| vec![a, b]),
    ];
    let hosts = proptest::collection::btree_map("[a-z]{1,3}(-[0-9])?([.]lab)?", host(), 0..3);
    let tls = (any::<bool>(), any::<bool>(), option::of("[a-z]{1,3}([.]lab)?")).prop_map(|(data, sentinels, name)| {
        let server_name = name.filter(|_| data || sentinels);
        Tls { data, sentinels, server_name }
    });
    (groups, 3_u16..6, zones(3), option::of(credentials()), duration(), (hosts, 0_u8..3, tls)).prop_map(
        |(groups, sentinels, sentinel_zones, sentinel_auth, node_latency, (hosts, names, tls))| Cluster {
            tls,
            nat: hosts.is_empty() && names > 1,
            hosts,
            resolve_hostnames: names > 0,
            announce_hostnames: names > 1,
            groups,
            sentinels,
            sentinel_zones,
            sentinel_auth,
            node_latency,
            ..Cluster::standard()
        },
    )
}

fn client(id: &'static str, masters: Vec<String>) -> impl Strategy<Value = Client> {
    let who = (option::of(select(vec!["redis-rs".to_owned(), "7".to_owned()])), select(masters));
    let zone = select(vec!["default", "a", "far"]);
    let times = (duration(), 0_u64..60, duration(), duration());
    let caps = (any::<bool>(), 1_u32.., 1_u32.., 1_u32..);
    let sentinels = subsequence(vec![NodeId::sentinel(1), NodeId::sentinel(3), NodeId::sentinel(2)], 0..3);
    let kind = (sentinels, 0_u32..16, prop_oneof![1_u16..2, 2_u16..1_000], option::of(duration()));
    (who, zone, select(Workload::ALL.to_vec()), times, caps, kind).prop_map(
        move |((driver, master), zone, workload, times, caps, (sentinels, database, callers, reopen_after))| Client {
            id: id.to_owned(),
            driver,
            zone: zone.to_owned(),
            master,
            sentinels,
            database,
            workload,
            patterns: caps.0 && workload == Workload::PubSub,
            callers: if workload == Workload::Jobs { callers.min(Workload::MOST_PUSHING) } else { callers },
            reopen_after: reopen_after.filter(|_| callers == 1),
            every: times.0,
            start: Duration::from_secs(times.1),
            deadline: times.2,
            budget: times.3,
            retry_ambiguous: caps.0,
            max_connects_per_second: caps.1,
            max_open_connections: caps.2,
            max_questions_per_second: caps.3,
        },
    )
}

/// Clients of different kinds, of which some could have been made by `count`.
fn clients(masters: &[String]) -> impl Strategy<Value = Vec<Client>> + use<> {
    let alone = vec(client("x", masters.to_vec()), 0..3).prop_map(|clients| {
        let numbered = clients.into_iter().enumerate();
        numbered.map(|(index, client)| Client { id: format!("w-{}", index + 1), ..client }).collect::<Vec<_>>()
    });
    let alike = (client("x", masters.to_vec()), 0_usize..4).prop_map(|(client, count)| {
        (1..=count).map(|n| Client { id: format!("v-{n}"), ..client.clone() }).collect::<Vec<_>>()
    });
    (alone, alike).prop_map(|(mut alone, alike)| {
        alone.extend(alike);
        alone
    })
}

/// The names that targets may hold.
#[derive(Clone, Debug)]
struct Known {
    groups: Vec<Option<String>>,
    data: Vec<NodeId>,
    sentinels: Vec<NodeId>,
    clients: Vec<String>,
}

fn data_target(known: &Known) -> impl Strategy<Value = Target> + use<> {
    prop_oneof![
        select(known.data.clone()).prop_map(Target::Node),
        select(known.groups.clone()).prop_map(Target::Master),
        select(known.groups.clone()).prop_map(Target::OldMaster),
        select(known.groups.clone()).prop_map(Target::ReplicaBest),
        select(known.groups.clone()).prop_map(Target::ReplicaOther),
        select(known.groups.clone()).prop_map(Target::Replicas),
        select(vec![Target::All, Target::Zone("a".into()), Target::Zone("default".into())]),
    ]
}

fn sentinel_target(known: &Known) -> impl Strategy<Value = Target> + use<> {
    prop_oneof![
        select(known.sentinels.clone()).prop_map(Target::Node),
        select(vec![
            Target::SentinelLeader,
            Target::SentinelsMinority,
            Target::SentinelsMajority,
            Target::Sentinels,
            Target::All,
        ]),
    ]
}

fn any_target(known: &Known) -> impl Strategy<Value = Target> + use<> {
    let mut clients: Vec<_> = known.clients.iter().cloned().map(Target::Client).collect();
    clients.push(Target::All);
    prop_oneof![data_target(known), sentinel_target(known), select(clients)]
}

/// What a name stands for.
fn host() -> impl Strategy<Value = Host> {
    select(vec!["redis-1", "sentinel-3", "10.9.9.9", "::1"]).prop_map(|text| text.parse().expect("a host"))
}

fn fault(known: &Known) -> impl Strategy<Value = Fault> + use<> {
    let node = || prop_oneof![data_target(known), sentinel_target(known)];
    let simple = (
        node(),
        select(vec![
            Fault::Kill,
            Fault::Restart,
            Fault::Shutdown,
            Fault::Freeze,
            Fault::Thaw,
            Fault::Hang,
            Fault::Unreachable,
            Fault::Cut,
            Fault::Silence,
            Fault::Heal,
        ] as Vec<fn(Target) -> Fault>),
    );
    let data = (
        data_target(known),
        select(vec![Fault::Loading, Fault::Demote, Fault::KeepClients, Fault::ClientKill, Fault::DebugSleep]
            as Vec<fn(_) -> _>),
    );
    let answer = prop_oneof![
        select(vec![Answer::Stale, Answer::Null, Answer::Hang, Answer::NoSwitchEvent]),
        text().prop_map(Answer::Error),
        duration().prop_map(Answer::Slow),
        duration().prop_map(Answer::LateSwitchEvent),
        data_target(known).prop_map(Answer::WrongAddress),
    ];
    prop_oneof![
        simple.prop_map(|(target, fault)| fault(target)),
        data.prop_map(|(target, fault)| fault(target)),
        (any_target(known), any_target(known), duration(), duration())
            .prop_map(|(between, and, delay, jitter)| Fault::Latency { between, and, delay, jitter }),
        (vec(any_target(known), 1..3), vec(any_target(known), 1..3), any::<bool>())
            .prop_map(|(from, to, one_way)| Fault::Partition { from, to, one_way }),
        (data_target(known), option::of("[A-Z]{1,8}"), 1_u32..).prop_map(|(target, command, times)| Fault::CutReply {
            target,
            command,
            times
        }),
        (option::of(sentinel_target(known)), select(known.groups.clone()))
            .prop_map(|(via, master)| Fault::Failover { via, master }),
        (sentinel_target(known), (-3_600_000_i64..3_600_000).prop_filter("a jump", |by| *by != 0))
            .prop_map(|(target, by_ms)| Fault::ClockJump { target, by_ms }),
        (data_target(known), option::of(data_target(known))).prop_map(|(target, of)| Fault::ReplicaOf { target, of }),
        (node(), command(), option::of(command())).prop_map(|(target, command, undo)| Fault::Send {
            target,
            command,
            undo
        }),
        ("[a-z]{1,8}([.]lab)?", option::of(host())).prop_map(|(name, to)| Fault::Resolve { name, to }),
        (data_target(known), any::<std::net::IpAddr>()).prop_map(|(target, to)| Fault::Move { target, to }),
        (sentinel_target(known), answer).prop_map(|(target, answer)| Fault::Override { target, answer }),
    ]
}

fn command() -> impl Strategy<Value = Vec<String>> {
    ("[A-Z]{1,8}", vec("[ -~]{0,4}", 0..4)).prop_map(|(name, mut words)| {
        words.insert(0, name);
        words
    })
}

fn step(known: &Known) -> impl Strategy<Value = Step> + use<> {
    let when = prop_oneof![
        duration().prop_map(Trigger::At),
        (select(EventName::ALL), duration()).prop_map(|(event, after)| Trigger::On { event, after }),
    ];
    (when, fault(known), option::of(duration())).prop_map(|(when, fault, lasting)| {
        let lasting = match fault {
            Fault::DebugSleep(_) => Some(lasting.unwrap_or(Duration::from_secs(1))),
            _ => lasting.filter(|_| fault.lasts()),
        };
        Step { when, fault, lasting }
    })
}

fn expect() -> impl Strategy<Value = Expect> {
    let waive = subsequence(Invariant::ALL.to_vec(), 0..4)
        .prop_flat_map(|invariants| invariants.into_iter().map(|i| (Just(i), text())).collect::<Vec<_>>());
    let counts = (
        option::of(any::<u64>()),
        option::of((any::<u64>(), duration())),
        option::of(duration()),
        option::of(duration()),
    );
    let rules: Vec<Rule> = Rule::all().collect();
    let catches = btree_map("wrong-[a-z-]{1,8}", select(rules), 0..3);
    (option::of(duration()), option::of(any::<u32>()), option::of(any::<u64>()), counts, (waive, catches)).prop_map(
        |(
            recovered_within,
            failovers,
            acknowledged_writes_lost,
            (failed_at_most, most_connects, longest_gap, back_to_replica_within),
            (waive, catches),
        )| {
            let mut expect = Expect {
                recovered_within,
                failovers,
                acknowledged_writes_lost,
                failed_at_most,
                most_connects,
                longest_gap,
                back_to_replica_within,
                waive,
                catches,
            };
            let set = |rule: &Rule| match rule {
                Rule::Invariant(Invariant::I4) => true,
                Rule::Invariant(invariant) => expect.waive.iter().all(|(waived, _)| waived != invariant),
                rule => expect.sets(*rule),
            };
            let unset: Vec<String> =
                expect.catches.iter().filter(|(_, rule)| !set(rule)).map(|(driver, _)| driver.clone()).collect();
            expect.catches.retain(|driver, _| !unset.contains(driver));
            expect
        },
    )
}

/// Any valid plan.
pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    cluster()
        .prop_flat_map(|cluster| {
            let masters: Vec<_> = cluster.groups.iter().map(|group| group.name.clone()).collect();
            (Just(cluster), clients(&masters))
        })
        .prop_flat_map(|(cluster, clients)| {
            let names = cluster.groups.iter().map(|group| Some(group.name.clone()));
            let known = Known {
                groups: std::iter::once(None).chain(names).collect(),
                data: cluster.data_nodes().into_iter().map(|(node, _)| node).collect(),
                sentinels: cluster.sentinel_nodes(),
                clients: clients.iter().map(|client| client.id.clone()).collect(),
            };
            (text(), Just(cluster), Just(clients), vec(step(&known), 0..6), expect())
        })
        .prop_map(|(title, cluster, clients, timeline, mut expect)| {
            // Wrong clients take the place of all, and some rules are about what only some workloads do.
            if clients.is_empty() || clients.iter().any(|client| client.driver.is_some()) {
                expect.catches.clear();
            }
            expect.catches.retain(|_, rule| clients.iter().any(|client| rule.concerns(client.workload)));
            Plan { title, cluster, clients, timeline, run_for: Duration::from_secs(7_200), expect }
        })
}
