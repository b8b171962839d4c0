//! Faults of a process and of its conversation with clients, one test each.

use std::time::Duration;

use crate::common::{Lab, MASTER, node};
use model::history::{ClosedBy, NodeState, What};
use model::plan::Credentials;
use model::{EventName, Fault, NodeId, Reply, Target, Time};
use sentinel_lab_sim::Door;

fn closed_by(lab: &Lab, wanted: u64) -> Option<ClosedBy> {
    lab.history().records.iter().find_map(|record| match &record.what {
        What::Closed { conn, by, .. } if *conn == wanted => Some(*by),
        _ => None,
    })
}

/// What a data node became last: `master`, or the name of the node that it follows.
fn last_role(lab: &Lab, wanted: NodeId) -> String {
    let role = lab.history().records.iter().rev().find_map(|record| match &record.what {
        What::Role { node, of } if *node == wanted => Some(of.map_or("master".to_owned(), |of| of.to_string())),
        _ => None,
    });
    role.expect("a role")
}

fn master() -> Target {
    Target::Master(None)
}

#[test]
fn kill_resets_connections_and_restart_comes_back_empty() {
    let mut lab = Lab::ready();
    let replica = NodeId::data(2);
    let conn = lab.open(replica);
    assert_eq!(lab.ask(conn, "PING"), Some(Reply::PONG));
    assert_eq!(lab.inject(&Fault::Kill(node("redis-2"))), [replica]);
    assert_eq!(lab.closed_at(conn), Some(Time::from_millis(4_000)));
    assert_eq!(closed_by(&lab, conn), Some(ClosedBy::Fault));
    assert_eq!(lab.world.door(&Lab::client(), replica), Door::Refused);
    assert!(lab.inject(&Fault::Kill(node("redis-2"))).is_empty(), "it is dead already");
    lab.run_to(6_000);
    assert_eq!(lab.inject(&Fault::Restart(node("redis-2"))), [replica]);
    assert_eq!(lab.states(replica), [(4_000, NodeState::Down), (6_000, NodeState::Up)]);
    assert_eq!(lab.doors(replica), [Door::Refused, Door::Open]);
    assert_eq!(lab.healed(), [(6_000, "kill redis-2".to_owned())]);
    lab.run_to(9_000);
    let links: Vec<bool> = lab
        .history()
        .records
        .iter()
        .filter_map(|record| match &record.what {
            What::ReplicaLink { node, up, .. } if *node == replica && record.at > Time::from_millis(6_000) => Some(*up),
            _ => None,
        })
        .collect();
    assert_eq!(links, [true], "it follows its master again");
}

#[test]
fn a_kill_may_last() {
    let mut lab = Lab::ready();
    lab.inject_for(&Fault::Kill(node("sentinel-3")), 2_000);
    lab.run_to(8_000);
    let sentinel = NodeId::sentinel(3);
    assert_eq!(lab.states(sentinel), [(4_000, NodeState::Down), (6_000, NodeState::Up)]);
    // Its file still has the other Sentinels, so it finds nobody new.
    let discovered = lab.events(EventName::Sentinel);
    assert!(discovered.iter().all(|(at, _)| *at < Time::from_millis(4_000)), "{discovered:?}");
}

#[test]
fn what_was_done_to_the_replicas_is_undone_at_the_replicas() {
    let mut lab = Lab::ready();
    let replicas = [NodeId::data(2), NodeId::data(3)];
    let those = || Target::Replicas(None);
    for (fault, undo) in [
        (Fault::Kill(those()), Fault::Restart(those())),
        (Fault::Freeze(those()), Fault::Thaw(those())),
        (Fault::Kill(those()), Fault::Heal(those())),
    ] {
        assert_eq!(lab.inject(&fault), replicas);
        lab.run_for(100);
        assert_eq!(lab.inject(&undo), replicas, "{undo}");
        lab.run_for(2_000);
    }
}

#[test]
fn a_killed_first_master_restarts_as_a_master() {
    let mut lab = Lab::ready();
    let conn = lab.open(MASTER);
    lab.ask(conn, "SET k v");
    lab.inject(&Fault::Kill(master()));
    lab.inject(&Fault::Restart(node("redis-1")));
    let conn = lab.open(MASTER);
    assert_eq!(lab.ask(conn, "GET k"), Some(Reply::Null));
    assert_eq!(lab.ask(conn, "SET k v"), Some(Reply::OK));
}

#[test]
fn a_restarted_node_is_what_its_configuration_file_says() {
    let mut lab = Lab::ready();
    let conn = lab.open(MASTER);
    let restarted = |lab: &mut Lab| {
        lab.inject(&Fault::Kill(node("redis-1")));
        lab.inject(&Fault::Restart(node("redis-1")));
        let conn = lab.open(MASTER);
        let Some(Reply::Map(told)) = lab.ask(conn, "CONFIG GET replica-priority") else { panic!("a map") };
        (last_role(lab, MASTER), told[0].1.as_text().expect("a text").into_owned(), conn)
    };
    lab.ask(conn, "CONFIG SET replica-priority 80");
    lab.inject(&Fault::ReplicaOf { target: node("redis-1"), of: Some(node("redis-2")) });
    let (role, priority, conn) = restarted(&mut lab);
    assert_eq!((role.as_str(), priority.as_str()), ("master", "100"), "nothing was written");
    lab.ask(conn, "CONFIG SET replica-priority 80");
    lab.inject(&Fault::ReplicaOf { target: node("redis-1"), of: Some(node("redis-2")) });
    lab.ask(conn, "CONFIG REWRITE");
    let (role, priority, _) = restarted(&mut lab);
    assert_eq!((role.as_str(), priority.as_str()), ("redis-2", "80"));
}

#[test]
fn shutdown_ends_the_process() {
    let mut lab = Lab::ready();
    let conn = lab.open(MASTER);
    assert_eq!(lab.inject(&Fault::Shutdown(master())), [MASTER]);
    assert_eq!(lab.inject(&Fault::Shutdown(node("sentinel-1"))), [NodeId::sentinel(1)]);
    lab.run_for(1_000);
    assert_eq!(lab.world.door(&Lab::client(), MASTER), Door::Refused);
    assert_eq!(lab.world.door(&Lab::client(), NodeId::sentinel(1)), Door::Refused);
    assert!(lab.closed_at(conn).is_some());
    assert_eq!(lab.inject(&Fault::Restart(node("redis-1"))), [MASTER]);
    assert_eq!(lab.states(MASTER).last(), Some(&(5_000, NodeState::Up)));
}

#[test]
fn a_shutdown_that_waits_for_replicas_is_called_off_by_the_heal() {
    let mut lab = Lab::ready();
    let conn = lab.open(MASTER);
    assert_eq!(lab.inject(&Fault::Freeze(Target::Replicas(None))).len(), 2);
    assert_eq!(lab.ask(conn, "INCR c#1"), Some(Reply::Int(1)));
    assert_eq!(lab.inject(&Fault::Shutdown(master())), [MASTER]);
    lab.run_for(2_000);
    assert_eq!(lab.states(MASTER), [], "it waits for ten seconds");
    lab.inject(&Fault::Heal(Target::All));
    lab.run_for(20_000);
    assert_eq!(lab.states(MASTER), []);
    assert_eq!(lab.ask(conn, "INCR c#2"), Some(Reply::Int(1)));
}

#[test]
fn a_frozen_node_that_was_to_end_is_killed_by_whoever_starts_it_again() {
    let mut lab = Lab::ready();
    assert_eq!(lab.inject(&Fault::Freeze(master())), [MASTER]);
    lab.inject_for(&Fault::Shutdown(master()), 2_000);
    lab.run_for(1_999);
    assert_eq!(lab.states(MASTER), [(4_000, NodeState::Frozen)]);
    lab.run_for(1);
    lab.inject(&Fault::Heal(Target::All));
    lab.run_for(20_000);
    let states = [(4_000, NodeState::Frozen), (6_000, NodeState::Down), (6_000, NodeState::Up)];
    assert_eq!(lab.states(MASTER), states);
}

#[test]
fn a_frozen_node_does_what_it_was_told_when_it_thaws() {
    let mut lab = Lab::ready();
    let gone = lab.open(MASTER);
    assert_eq!(lab.inject(&Fault::Freeze(master())), [MASTER]);
    assert_eq!(lab.world.door(&Lab::client(), MASTER), Door::Open, "its kernel accepts");
    assert_eq!(lab.ask(gone, "INCR c#1"), None);
    lab.close(gone);
    let waits = lab.open(MASTER);
    assert_eq!(lab.ask(waits, "INCR c#1"), None);
    lab.run_to(6_000);
    assert!(lab.executions().is_empty());
    assert_eq!(lab.inject(&Fault::Thaw(master())), [MASTER]);
    assert_eq!(lab.replies(waits), [Reply::Int(2)], "the command of the client that has gone ran first");
    assert_eq!(lab.replies(gone), [Reply::Int(1)], "for whoever has closed only the half that speaks");
    let executed: Vec<u64> = lab.executions().iter().map(|execution| execution.conn).collect();
    assert_eq!(executed, [gone, waits]);
    let sent = lab.executions().iter().map(|execution| execution.sent).collect::<Vec<_>>();
    assert_eq!(sent, [Some(Time::from_millis(4_000)); 2], "they were sent while it was frozen");
    assert_eq!(lab.states(MASTER), [(4_000, NodeState::Frozen), (6_000, NodeState::Up)]);
    assert_eq!(lab.healed(), [(6_000, "freeze master".to_owned())]);
}

#[test]
fn a_frozen_master_is_replaced() {
    let mut lab = Lab::ready();
    lab.inject(&Fault::Freeze(master()));
    lab.run_to(20_000);
    assert_eq!(lab.events(EventName::SwitchMaster).len(), 3);
    assert_eq!(lab.inject(&Fault::Thaw(Target::OldMaster(None))), [MASTER]);
}

#[test]
fn hang_keeps_clients_waiting_and_the_cluster_content() {
    let mut lab = Lab::ready();
    let idle = lab.open(MASTER);
    let asked = lab.open(MASTER);
    assert_eq!(lab.inject_for(&Fault::Hang(master()), 20_000), [MASTER]);
    let late = lab.open(MASTER);
    assert_eq!(lab.ask(asked, "INCR c#1"), None);
    assert_eq!(lab.ask(late, "PING"), None);
    lab.run_to(24_000);
    assert!(lab.events(EventName::SubjectivelyDown).is_empty());
    assert!(lab.executions().is_empty(), "nothing was executed");
    let end = Some(Time::from_millis(24_000));
    assert_eq!([asked, late, idle].map(|conn| lab.closed_at(conn)), [end, end, None]);
    assert_eq!(lab.ask(idle, "PING"), Some(Reply::PONG));
}

#[test]
fn cut_closes_the_connections_of_clients() {
    let mut lab = Lab::ready();
    let conn = lab.open(MASTER);
    let other = lab.open(NodeId::data(2));
    assert_eq!(lab.inject(&Fault::Cut(master())), [MASTER]);
    assert_eq!(closed_by(&lab, conn), Some(ClosedBy::Fault));
    assert_eq!(lab.closed_at(other), None);
    lab.run_for(20_000);
    assert!(lab.events(EventName::SubjectivelyDown).is_empty());
}

#[test]
fn silence_loses_whatever_is_said_on_the_connections_of_the_moment() {
    let mut lab = Lab::ready();
    let conn = lab.open(MASTER);
    assert_eq!(lab.ask(conn, "SET k 1"), Some(Reply::OK));
    assert_eq!(lab.inject(&Fault::Silence(master())), [MASTER]);
    assert_eq!(lab.ask(conn, "SET k 2"), None);
    let new = lab.open(MASTER);
    assert_eq!(lab.ask(new, "GET k"), Some(Reply::word("1")), "a new connection works");
    lab.run_for(20_000);
    assert_eq!(lab.ask(conn, "PING"), None, "for ever");
    assert_eq!(lab.closed_at(conn), None, "and nobody is told");
    assert!(lab.events(EventName::SubjectivelyDown).is_empty(), "the cluster sees nothing");
    lab.inject(&Fault::Kill(master()));
    assert_eq!(lab.closed_at(conn), None, "not even that the process has ended");
    lab.close(conn);
    assert_eq!(closed_by(&lab, conn), Some(ClosedBy::Client));
}

fn send(target: &str, command: &[&str], undo: Option<&[&str]>) -> Fault {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Fault::Send { target: node(target), command: words(command), undo: undo.map(words) }
}

#[test]
fn an_operator_sends_what_the_scenario_says() {
    let mut lab = Lab::ready();
    let all = lab.inject(&send("sentinels", &["SENTINEL", "RESET", "mymaster"], None));
    assert_eq!(all, [1, 2, 3].map(NodeId::sentinel));
    assert_eq!(lab.events(EventName::ResetMaster).len(), 3);
    assert_eq!(lab.inject(&send("master", &["NOSUCH"], None)), [], "what is refused hits nobody");
    assert_eq!(lab.faults().last().map(|(fault, _)| fault.as_str()), Some("send master NOSUCH"));
}

#[test]
fn what_an_operator_does_is_taken_back_on_the_connection_that_has_logged_in() {
    let mut lab = Lab::ready();
    let set = send("master", &["CONFIG", "SET", "requirepass", "new"], Some(&["CONFIG", "SET", "requirepass", ""]));
    assert_eq!(lab.inject_for(&set, 5_000), [MASTER]);
    let conn = lab.open(MASTER);
    let refused = lab.ask(conn, "GET k");
    assert_eq!(refused.as_ref().and_then(Reply::error_code), Some("NOAUTH"));
    lab.run_for(5_000);
    let later = lab.open(MASTER);
    assert_eq!(lab.ask(later, "GET k"), Some(Reply::Null));
    assert_eq!(lab.healed().last().map(|(_, fault)| fault.as_str()), Some("send master CONFIG SET requirepass new"));
}

/// The master takes 70 clients, and 80 when that is taken back.
fn limit_until_undone() -> Fault {
    send("master", &["CONFIG", "SET", "maxclients", "70"], Some(&["CONFIG", "SET", "maxclients", "80"]))
}

fn takes_80_clients(lab: &mut Lab) {
    let conn = lab.open(MASTER);
    let limit = lab.ask(conn, "CONFIG GET maxclients");
    assert_eq!(limit, Some(Reply::Map(vec![(Reply::word("maxclients"), Reply::word("80"))])));
}

#[test]
fn what_an_operator_does_is_taken_back_on_another_connection_if_the_first_was_killed() {
    let mut lab = Lab::ready();
    assert_eq!(lab.inject_for(&limit_until_undone(), 5_000), [MASTER]);
    lab.inject(&Fault::ClientKill(master()));
    lab.run_for(5_000);
    takes_80_clients(&mut lab);
}

#[test]
fn what_an_operator_does_is_taken_back_also_if_that_is_killed_while_it_waits() {
    let mut lab = Lab::ready();
    assert_eq!(lab.inject_for(&limit_until_undone(), 5_000), [MASTER]);
    lab.run_for(4_900);
    lab.inject(&send("master", &["CLIENT", "PAUSE", "2000", "ALL"], None));
    lab.run_for(200);
    lab.inject(&Fault::ClientKill(master()));
    lab.run_for(5_000);
    takes_80_clients(&mut lab);
}

#[test]
fn what_an_operator_does_ends_with_the_process() {
    let mut lab = Lab::ready();
    let pause = send("master", &["CLIENT", "PAUSE", "60000"], Some(&["CLIENT", "UNPAUSE"]));
    lab.inject(&pause);
    lab.inject(&Fault::Kill(master()));
    assert_eq!(lab.healed().len(), 1);
    lab.inject(&Fault::Restart(Target::Node(MASTER)));
    let conn = lab.open(MASTER);
    assert_eq!(lab.ask(conn, "SET k 1"), Some(Reply::OK));
}

#[test]
fn executions_name_their_database() {
    let mut lab = Lab::ready();
    let conn = lab.open(MASTER);
    lab.ask(conn, "SELECT 3");
    lab.ask(conn, "INCR c#1");
    lab.ask(conn, "EVAL return(redis.call('INCR',KEYS[1])) 1 c#2");
    let executed: Vec<_> = lab.executions().into_iter().filter(|execution| execution.op.is_some()).collect();
    assert_eq!(
        executed.iter().map(|e| (e.command.as_str(), e.database, e.write)).collect::<Vec<_>>(),
        [("INCR", 3, true), ("EVAL", 3, true)]
    );
}

#[test]
fn cut_reply_executes_and_does_not_answer() {
    let mut lab = Lab::ready();
    let cut = Fault::CutReply { target: master(), command: Some("INCR".into()), times: 1 };
    assert_eq!(lab.inject(&cut), [MASTER]);
    let conn = lab.open(MASTER);
    assert_eq!(lab.ask(conn, "GET c#1"), Some(Reply::Null), "another command");
    assert_eq!(lab.ask(conn, "incr c#1"), None);
    assert_eq!(closed_by(&lab, conn), Some(ClosedBy::Fault));
    let executed = lab.executions();
    let last = executed.last().expect("an execution");
    assert!(last.reply_cut && last.error.is_none() && last.write && last.master, "{last:?}");
    assert_eq!(last.op.as_ref().map(ToString::to_string).as_deref(), Some("c#1"));
    assert!(last.position.is_some());
    let again = lab.open(MASTER);
    assert_eq!(lab.ask(again, "INCR c#1"), Some(Reply::Int(2)), "only as often as asked");
}

#[test]
fn cut_reply_of_any_write_spares_reads_and_refusals() {
    let mut lab = Lab::ready();
    let cut = |target| Fault::CutReply { target, command: None, times: 1 };
    lab.inject(&cut(Target::Replicas(None)));
    lab.inject(&cut(master()));
    let replica = lab.open(NodeId::data(2));
    let refused = lab.ask(replica, "SET k v").expect("an answer");
    assert_eq!(refused.error_code(), Some("READONLY"));
    let conn = lab.open(MASTER);
    assert_eq!(lab.ask(conn, "GET k"), Some(Reply::Null));
    assert_eq!(lab.ask(conn, "SET k v"), None);
    assert!(lab.closed_at(conn).is_some());
}

#[test]
fn failover_is_asked_of_a_sentinel() {
    let mut lab = Lab::ready();
    lab.run_to(12_000); // Sentinels have had INFO of the replicas.
    let asked = lab.inject(&Fault::Failover { via: None, master: None });
    assert_eq!(asked, [NodeId::sentinel(1)]);
    lab.run_to(20_000);
    assert_eq!(lab.events(EventName::SwitchMaster).len(), 3);
    let unknown = Fault::Failover { via: Some(node("sentinel-2")), master: Some("none".into()) };
    assert!(lab.inject(&unknown).is_empty(), "it was refused");
    assert_eq!(lab.faults().len(), 2);
}

/// As with Redis 7.0.15, where the file changes some 50 ms after the answer to `SENTINEL FAILOVER`.
#[test]
fn a_sentinel_writes_the_epoch_of_an_attempt_to_its_file_with_its_vote() {
    let mut lab = Lab::ready();
    let leader = NodeId::sentinel(1);
    lab.inject(&Fault::Failover { via: Some(Target::Node(leader)), master: None });
    let epoch = |lab: &Lab| {
        let (_, file) = lab.world.sentinel_file(leader, 0).expect("it has written its file");
        file.lines().find_map(|line| line.strip_prefix("sentinel current-epoch ").map(str::to_owned))
    };
    assert_eq!(lab.events(EventName::NewEpoch).len(), 1);
    assert_eq!(epoch(&lab).as_deref(), Some("0"));
    while lab.events(EventName::VoteForLeader).is_empty() {
        lab.run_for(1);
    }
    assert_eq!(epoch(&lab).as_deref(), Some("1"));
}

#[test]
fn commands_of_the_operator_log_in() {
    let mut plan = crate::common::plan();
    let password = Credentials { user: None, password: "secret".into() };
    plan.cluster.sentinel_auth = Some(password.clone());
    plan.cluster.groups[0].auth = Some(password);
    let mut lab = Lab::new(&plan);
    lab.run_to(12_000);
    assert_eq!(lab.inject(&Fault::Failover { via: None, master: None }).len(), 1);
    lab.run_to(20_000);
    assert_eq!(lab.events(EventName::SwitchMaster).len(), 3);
    lab.inject(&Fault::Shutdown(node("redis-3")));
    lab.run_to(22_000);
    assert_eq!(lab.states(NodeId::data(3)).len(), 1);
}

#[test]
fn loading_is_answered_until_it_ends() {
    let mut lab = Lab::ready();
    assert_eq!(lab.inject_for(&Fault::Loading(master()), 3_000), [MASTER]);
    let conn = lab.open(MASTER);
    let refused = lab.ask(conn, "GET k").expect("an answer");
    assert_eq!(refused.error_code(), Some("LOADING"));
    assert_eq!(lab.executions()[0].error.as_deref(), Some("LOADING"));
    lab.run_to(7_000);
    assert_eq!(lab.ask(conn, "GET k"), Some(Reply::Null));
}

#[test]
fn demote_happens_behind_sentinels_back() {
    let mut lab = Lab::ready();
    let conn = lab.open(MASTER);
    assert_eq!(lab.inject(&Fault::Demote(master())), [MASTER]);
    let refused = lab.ask(conn, "SET k v").expect("an answer");
    assert_eq!(refused.error_code(), Some("READONLY"), "the connection stands");
    let roles: Vec<(NodeId, Option<NodeId>)> = lab
        .history()
        .records
        .iter()
        .filter_map(|record| match &record.what {
            What::Role { node, of } if record.at == Time::from_millis(4_000) => Some((*node, *of)),
            _ => None,
        })
        .collect();
    let promoted = roles[0].0;
    assert_eq!(roles, [(promoted, None), (MASTER, Some(promoted))]);
    assert_eq!(lab.world.master("mymaster"), Some(MASTER), "Sentinel has not noticed");
}

#[test]
fn keep_clients_survives_the_kill_of_a_reconfiguration() {
    let connected_after_failover = |keep: bool| {
        let mut lab = Lab::ready();
        lab.run_to(12_000);
        if keep {
            assert_eq!(lab.inject(&Fault::KeepClients(master())), [MASTER]);
        }
        let conn = lab.open(MASTER);
        lab.inject(&Fault::Failover { via: None, master: None });
        lab.run_to(30_000);
        assert_eq!(lab.events(EventName::SwitchMaster).len(), 3);
        lab.closed_at(conn).is_none()
    };
    assert!(connected_after_failover(true));
    assert!(!connected_after_failover(false));
}

#[test]
fn a_sleeping_node_goes_on_by_itself() {
    let mut lab = Lab::ready();
    assert!(lab.inject(&Fault::DebugSleep(node("sentinel-1"))).is_empty(), "a Sentinel has no DEBUG SLEEP");
    let slept = lab.world.now().as_millis();
    assert_eq!(lab.inject_for(&Fault::DebugSleep(master()), 1_500), [MASTER]);
    // SIGCONT does not wake it.
    lab.inject(&Fault::Thaw(node("redis-1")));
    lab.run_for(3_000);
    assert_eq!(lab.states(MASTER), [(slept, NodeState::Frozen), (slept + 1_500, NodeState::Up)]);
}

#[test]
fn replicaof_goes_to_the_node_itself() {
    let mut lab = Lab::ready();
    let follow = |of: Option<Target>| Fault::ReplicaOf { target: node("redis-3"), of };
    assert_eq!(lab.inject(&follow(Some(node("redis-2")))), [NodeId::data(3)]);
    lab.run_for(100);
    assert_eq!(last_role(&lab, NodeId::data(3)), "redis-2");
    assert_eq!(lab.inject(&follow(None)), [NodeId::data(3)]);
    lab.run_for(100);
    assert_eq!(last_role(&lab, NodeId::data(3)), "master");
}

#[test]
fn nobody_is_told_to_follow_itself() {
    let mut lab = Lab::ready();
    let follow = |target: &str| Fault::ReplicaOf { target: node(target), of: Some(node("redis-2")) };
    assert_eq!(lab.inject(&follow("replicas")), [NodeId::data(3)]);
    assert_eq!(lab.inject(&follow("redis-2")), []);
    lab.run_for(100);
    assert_eq!([2, 3].map(|number| last_role(&lab, NodeId::data(number))), ["redis-1", "redis-2"]);
}

#[test]
fn client_kill_drops_the_clients_and_the_node_goes_on() {
    let mut lab = Lab::ready();
    let conn = lab.open(MASTER);
    assert_eq!(lab.inject(&Fault::ClientKill(master())), [MASTER]);
    lab.run_for(100);
    assert!(lab.closed_at(conn).is_some());
    lab.run_for(20_000);
    assert!(lab.events(EventName::SubjectivelyDown).is_empty());
}

#[test]
fn a_jump_of_the_clock_makes_tilt() {
    let mut lab = Lab::ready();
    let jump = Fault::ClockJump { target: node("sentinel-2"), by_ms: -3_000 };
    assert_eq!(lab.inject(&jump), [NodeId::sentinel(2)]);
    lab.run_for(200);
    let tilted: Vec<NodeId> = lab.events(EventName::Tilt).into_iter().map(|(_, sentinel)| sentinel).collect();
    assert_eq!(tilted, [NodeId::sentinel(2)]);
}

#[test]
fn heal_undoes_whatever_stands() {
    let mut lab = Lab::ready();
    lab.inject(&Fault::Kill(node("redis-2")));
    lab.inject(&Fault::Freeze(node("redis-3")));
    lab.inject(&Fault::Hang(node("redis-1")));
    lab.inject(&Fault::Unreachable(node("sentinels:minority")));
    lab.run_for(100);
    assert_eq!(lab.inject(&Fault::Heal(node("redis-3"))), [NodeId::data(3)]);
    assert_eq!(lab.inject(&Fault::Heal(node("redis-3"))), [], "nothing is left to undo");
    lab.inject(&Fault::CutReply { target: node("redis-3"), command: None, times: 1 });
    assert_eq!(lab.inject(&Fault::Heal(node("redis-3"))), [NodeId::data(3)], "a reply that was to be cut");
    assert_eq!(lab.healed().len(), 1);
    lab.inject(&Fault::Heal(Target::All));
    assert_eq!(lab.healed().len(), 4);
    for node in [1, 2, 3].map(NodeId::data).into_iter().chain([NodeId::sentinel(1)]) {
        let conn = lab.open(node);
        assert_eq!(lab.ask(conn, "PING"), Some(Reply::PONG), "{node}");
    }
}

#[test]
fn a_kill_ends_what_stood_at_the_process() {
    let mut lab = Lab::ready();
    lab.inject(&Fault::Freeze(node("redis-2")));
    lab.inject(&Fault::Kill(node("redis-2")));
    assert_eq!(lab.healed(), [(4_000, "freeze redis-2".to_owned())]);
    lab.inject(&Fault::Restart(node("redis-2")));
    let states: Vec<NodeState> = lab.states(NodeId::data(2)).into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, [NodeState::Frozen, NodeState::Down, NodeState::Up]);
}

#[test]
fn a_group_that_lags_acknowledges_what_its_replicas_lack() {
    let mut plan = crate::common::plan();
    plan.cluster.groups[0].replication_lag = Duration::from_millis(500);
    let mut lab = Lab::new(&plan);
    lab.run_to(6_000);
    let conn = lab.open(MASTER);
    let replica = lab.open(NodeId::data(2));
    lab.ask(conn, "SET k v");
    lab.run_for(400);
    assert_eq!(lab.ask(replica, "GET k"), Some(Reply::Null));
    lab.run_for(200);
    assert_eq!(lab.ask(replica, "GET k"), Some(Reply::word("v")));
}
