//! Links that stand and bring nothing, and opinions that grow old: what a Sentinel gives up, and in which pass.

use crate::common::{Did, Lab, MASTER, NEVER, PEERS, REPLICAS};
use model::Reply;

/// The age from which a link may be closed for bringing nothing.
const MIN_AGE: u64 = 15_000;

fn ping() -> Did {
    Did::Sent("PING".into())
}

/// When the last hello went to somebody before `ms`.
fn last_hello(lab: &Lab, to: u16, before: u64) -> u64 {
    let hello = |did: &Did| matches!(did, Did::Sent(words) if words.starts_with("PUBLISH"));
    let times = lab.deeds.iter().filter(|(at, port, _, did)| *port == to && *at < before && hello(did));
    times.map(|(at, ..)| *at).next_back().expect("a hello")
}

#[test]
fn a_hello_channel_that_falls_silent_is_dialled_anew_after_three_periods() {
    let mut lab = Lab::new(30_000, 180_000, 1);
    lab.run_to(20_000);
    lab.party(MASTER).echoes = false;
    let heard = last_hello(&lab, MASTER, 20_000);
    lab.run_to(35_000);
    let conns = lab.conns(MASTER);
    let [commands, channel, next] = conns[..] else { panic!("{conns:?}") };
    let closed = lab.pass_after(heard + 3 * 2_000);
    assert_eq!(lab.times(channel, &Did::Closed), [closed]);
    assert_eq!(lab.times(next, &Did::Dialled), [lab.pass_after(closed)]);
    assert_eq!(lab.times(commands, &Did::Closed), NEVER, "the other link does as before");
    for replica in REPLICAS {
        assert_eq!(lab.conns(replica).len(), 2, "who speaks is left alone");
    }
    assert_eq!(lab.events("+sdown"), NEVER);
}

#[test]
fn a_hello_channel_is_not_given_up_while_it_is_new() {
    let mut lab = Lab::new(30_000, 180_000, 1);
    lab.party(MASTER).echoes = false;
    lab.run_to(40_000);
    let conns = lab.conns(MASTER);
    let dialled: Vec<u64> = conns[1..].iter().flat_map(|conn| lab.times(*conn, &Did::Dialled)).collect();
    let closed: Vec<u64> = conns[1..].iter().flat_map(|conn| lab.times(*conn, &Did::Closed)).collect();
    assert_eq!(closed.len(), 2, "{conns:?}");
    for (dialled, closed) in dialled.iter().zip(&closed) {
        assert_eq!(*closed, lab.pass_after(dialled + MIN_AGE));
    }
}

#[test]
fn a_command_link_that_falls_silent_is_dialled_anew_after_half_of_down_after() {
    for down_after in [3_000, 5_000, 20_000] {
        let mut lab = Lab::new(down_after, 180_000, 1);
        lab.run_to(20_000);
        lab.party(MASTER).answers = false;
        lab.run_to(20_000 + down_after + 2_500);
        let conns = lab.conns(MASTER);
        let commands = conns[0];
        let unanswered = *lab.times(commands, &ping()).iter().find(|at| **at > 20_000).expect("a ping");
        let closed = lab.pass_after(unanswered + down_after / 2);
        assert_eq!(lab.times(commands, &Did::Closed), [closed], "down-after {down_after}");
        let next = *conns.iter().find(|conn| lab.times(**conn, &Did::Dialled)[0] > closed).expect("the next one");
        assert_eq!(lab.times(next, &Did::Dialled), [lab.pass_after(closed)]);
        // The new link brings nothing either. The ping that waits is still the first one, and the link is too new.
        assert_eq!(lab.events("+sdown"), [lab.pass_after(unanswered + down_after)]);
        assert_eq!(lab.times(next, &Did::Closed), NEVER, "down-after {down_after}");
        lab.run_to(closed + MIN_AGE + 300);
        assert_eq!(lab.times(next, &Did::Closed), [lab.pass_after(lab.pass_after(closed) + MIN_AGE)]);
    }
}

#[test]
fn a_command_link_is_not_given_up_while_it_is_new() {
    let mut lab = Lab::new(5_000, 180_000, 1);
    lab.party(MASTER).answers = false;
    lab.run_to(20_000);
    let first = lab.conns(MASTER)[0];
    let [dialled] = lab.times(first, &Did::Dialled)[..] else { panic!("dialled once") };
    assert_eq!(lab.times(first, &Did::Closed), [lab.pass_after(dialled + MIN_AGE)]);
}

#[test]
fn a_command_link_on_which_pings_are_refused_stays() {
    let mut lab = Lab::new(5_000, 180_000, 1);
    lab.run_to(20_000);
    lab.party(MASTER).refuses_pings = Some("MISCONF as it is");
    lab.run_to(60_000);
    assert_eq!(lab.conns(MASTER).len(), 2, "it does bring something");
    assert_eq!(lab.events("+sdown").len(), 1, "though no sign that all is well");
}

#[test]
fn whoever_is_down_because_of_a_script_is_told_once_to_end_it() {
    let mut lab = Lab::new(5_000, 180_000, 3);
    lab.run_to(20_000);
    let kills = |lab: &Lab| lab.times(lab.conns(MASTER)[0], &Did::Sent("SCRIPT KILL".into()));
    for round in 1..=2 {
        lab.party(MASTER).refuses_pings = Some("BUSY Redis is busy");
        lab.run_to(20_000 * (2 * round));
        let [.., down] = lab.events("+sdown")[..] else { panic!("down") };
        let kills = kills(&lab);
        assert_eq!(kills.len() as u64, round, "{kills:?}");
        assert!(kills.last().is_some_and(|at| (down..down + 1_200).contains(at)), "{kills:?}, down at {down}");
        lab.party(MASTER).refuses_pings = None;
        lab.run_to(20_000 * (2 * round + 1));
    }
}

/// As measured at a real Sentinel: what was sent on a link that never came to stand is counted until the next attempt, but
/// for the name that nobody waits for.
#[test]
fn commands_to_whoever_cannot_be_reached_are_counted() {
    let mut lab = Lab::new(30_000, 180_000, 1);
    lab.party(MASTER).refuses = true;
    let pending = |lab: &mut Lab| {
        let Reply::Map(pairs) = lab.ask("SENTINEL MASTER mymaster") else { panic!("a map") };
        let pair = pairs.iter().find(|(name, _)| name.as_text().as_deref() == Some("link-pending-commands"));
        pair.and_then(|(_, value)| value.as_text()).expect("the field").into_owned()
    };
    lab.run_to(1_500);
    assert_eq!(pending(&mut lab), "2", "PING and INFO");
    lab.run_to(10_000);
    assert_eq!(pending(&mut lab), "3", "a hello is due too");
    lab.party(MASTER).refuses = false;
    lab.run_to(12_000);
    assert_eq!(pending(&mut lab), "0");
}

/// What `SENTINEL SENTINELS` says of a field of each of the others.
fn of_peers(lab: &mut Lab, field: &str) -> Vec<String> {
    let Reply::Array(peers) = lab.ask("SENTINEL SENTINELS mymaster") else { panic!("an array") };
    let value = |peer: &Reply| {
        let Reply::Map(pairs) = peer else { panic!("a map") };
        let pair = pairs.iter().find(|(name, _)| name.as_text().as_deref() == Some(field));
        pair.and_then(|(_, value)| value.as_text()).expect("the field").into_owned()
    };
    peers.iter().map(value).collect()
}

#[test]
fn an_opinion_is_forgotten_after_five_periods_without_a_reply() {
    let mut lab = Lab::new(5_000, 180_000, 1);
    lab.run_to(20_000);
    lab.party(MASTER).answers = false;
    lab.party(PEERS[0]).finds_down = true;
    // Somebody else is voted for, so that nobody is elected.
    lab.party(PEERS[0]).votes_for = Some(crate::common::id('d'));
    while lab.events("+odown").is_empty() {
        lab.pass();
    }
    lab.run_to(28_000);
    assert!(of_peers(&mut lab, "flags")[0].contains("master_down"));
    assert_eq!(of_peers(&mut lab, "voted-leader"), [crate::common::id('d').to_string(), "?".into()]);
    // It is there, but does not say what it finds.
    let asked = |did: &Did| matches!(did, Did::Sent(words) if words.starts_with("SENTINEL is-master"));
    let replies = lab.deeds.iter().filter(|(_, port, _, did)| *port == PEERS[0] && asked(did));
    let replied = replies.map(|(at, ..)| *at).next_back().expect("it was asked");
    lab.party(PEERS[0]).answers = false;
    lab.run_to(replied + 5_000);
    assert!(of_peers(&mut lab, "flags")[0].contains("master_down"), "not yet");
    assert_eq!(lab.events("-odown"), NEVER);
    lab.run_to(replied + 5_300);
    // In one pass it is forgotten, in the next one counted.
    let forgotten = lab.pass_after(replied + 5_000);
    assert_eq!(lab.events("-odown"), [lab.pass_after(forgotten)]);
    assert!(!of_peers(&mut lab, "flags")[0].contains("master_down"));
    assert_eq!(of_peers(&mut lab, "voted-leader"), ["?", "?"]);
}
