//! The scripts of Sentinels, as events: who runs which, and with what.

use crate::common::{Lab, MASTER, plan};
use model::history::What;
use model::{EventName, Fault, NodeId, Reply, Target};

const NOTIFY: &str = "/etc/notify";
const RECONFIGURE: &str = "/etc/reconfigure";

/// Every script that ran: by whom, and its path and arguments.
fn runs(lab: &Lab, path: &str) -> Vec<(NodeId, Vec<String>)> {
    let found = |record: &model::Record| match &record.what {
        What::Script { node, argv } if argv[0] == path => Some((*node, argv[1..].to_vec())),
        _ => None,
    };
    lab.history().records.iter().filter_map(found).collect()
}

fn failed_over() -> Lab {
    let mut plan = plan();
    plan.cluster.groups[0].notification_script = Some(NOTIFY.into());
    plan.cluster.groups[0].client_reconfig_script = Some(RECONFIGURE.into());
    let mut lab = Lab::new(&plan);
    lab.run_to(4_000);
    lab.inject(&Fault::Kill(Target::Node(MASTER)));
    lab.run_to(40_000);
    lab
}

#[test]
fn the_leader_and_each_observer_tell_once_that_the_master_moved() {
    let lab = failed_over();
    let (_, leader) = lab.events(EventName::ElectedLeader)[0];
    let switches = |record: &model::Record| match &record.what {
        What::Event { event: EventName::SwitchMaster, payload, .. } => Some(payload.clone()),
        _ => None,
    };
    let payload = lab.history().records.iter().find_map(switches).expect("a failover");
    let addresses: Vec<&str> = payload.split(' ').skip(1).collect();
    let mut told: Vec<_> = runs(&lab, RECONFIGURE);
    told.sort();
    let expected: Vec<_> = (1..=3)
        .map(|number| {
            let sentinel = NodeId::sentinel(number);
            let teller = if sentinel == leader { "leader" } else { "observer" };
            let words = ["mymaster", teller, "start"].into_iter().chain(addresses.iter().copied());
            (sentinel, words.map(str::to_owned).collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn the_notification_script_is_told_of_every_warning_and_of_nothing_else() {
    let lab = failed_over();
    let mut seen = [Vec::new(), Vec::new()];
    for record in &lab.history().records {
        if let What::Event { node, event, payload } = &record.what {
            seen[usize::from(event.is_warning())].push((*node, vec![event.to_string(), payload.clone()]));
        }
    }
    let [others, mut warnings] = seen;
    let mut told = runs(&lab, NOTIFY);
    told.sort();
    warnings.sort();
    assert_eq!(told, warnings);
    assert!(warnings.len() > 20 && others.len() > 10, "there was something to tell apart");
}

#[test]
fn a_script_runs_from_the_pass_that_asked_for_it_to_the_next() {
    let mut plan = plan();
    plan.cluster.groups[0].notification_script = Some(NOTIFY.into());
    let mut lab = Lab::new(&plan);
    lab.run_to(4_000);
    let conn = lab.open(NodeId::sentinel(1));
    let scripts = |lab: &mut Lab| lab.ask(conn, "SENTINEL PENDING-SCRIPTS").expect("a reply");
    assert_eq!(scripts(&mut lab), Reply::Array(vec![]));
    lab.ask(conn, "SENTINEL SET mymaster quorum 2");
    let field = |reply: &Reply, name: &str| {
        let Reply::Array(jobs) = reply else { panic!("{reply:?}") };
        let [Reply::Map(job)] = &jobs[..] else { panic!("{jobs:?}") };
        job.iter().find(|(key, _)| key.as_text().as_deref() == Some(name)).map(|(_, value)| value.clone())
    };
    let waiting = scripts(&mut lab);
    assert_eq!(field(&waiting, "flags"), Some(Reply::word("scheduled")));
    assert_eq!(field(&waiting, "run-delay"), Some(Reply::bulk("0")));
    assert!(runs(&lab, NOTIFY).iter().all(|(_, argv)| argv[0] != "+set"));
    // Within two passes it has started and is forgotten.
    let before = lab.world.now().as_millis();
    let mut running = None;
    while scripts(&mut lab) != Reply::Array(vec![]) {
        let now = scripts(&mut lab);
        if field(&now, "flags") == Some(Reply::word("running")) && running.is_none() {
            running = Some(now);
        }
        lab.run_for(1);
    }
    let running = running.expect("it ran");
    assert_eq!(field(&running, "retry-num"), Some(Reply::bulk("1")));
    assert!(lab.world.now().as_millis() - before <= 200);
    let told: Vec<_> = runs(&lab, NOTIFY).into_iter().filter(|(_, argv)| argv[0] == "+set").collect();
    assert_eq!(told.len(), 1);
}
