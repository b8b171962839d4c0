//! The reply parity harness: one script of commands, played to a real cluster and to a fake one, and what differs.
//!
//! | module | holds |
//! |---|---|
//! | [`script`] | the language of the scripts |
//! | [`value`] | replies as they come off the wire, and their text form |
//! | [`conversation`] | a script, played to the nodes of one cluster |
//! | [`normalise`] | what may differ from run to run: addresses, ids, times |
//!
//! A script is data, `tests/data/parity/*.script`; [`compare`] is all that a test calls.

pub(crate) mod conversation;
pub(crate) mod normalise;
pub(crate) mod script;
pub(crate) mod value;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use model::NodeId;
use model::plan::Cluster;
use real::{Binaries, RealCluster};
use testbed::Testbed;
use tokio::runtime::Builder;

use self::conversation::{Exchange, Side, play};
use self::script::{Mode, Script};

/// Where each node of a cluster listens.
pub(crate) type Addresses = BTreeMap<NodeId, SocketAddr>;

/// How long a reply may take: on a loaded machine too long is better than too short. In virtual time it costs nothing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Plays a script to both clusters in RESP2 and RESP3 and gives the differences, ready to be read.
///
/// # Panics
/// The script cannot be read, or a cluster does not start.
pub(crate) fn compare(binaries: &Binaries, name: &str, text: &str) -> Vec<String> {
    let script = script::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut plan = Cluster::standard();
    plan.sentinel_auth = script.sentinel_auth();
    plan.groups[0].auth = script.auth();
    let mut differences = Vec::new();
    let mut real = RealCluster::start(binaries, &plan).unwrap_or_else(|error| panic!("{name}: {error}"));
    let addresses: Addresses = real.nodes().map(|(node, process)| (node, process.addr())).collect();
    for resp in [2, 3] {
        // What the pass before has cut is there again.
        real.wait_discovered().unwrap_or_else(|error| panic!("{name}: {error}"));
        let clock = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let expected = clock.block_on(play(&script, Side::Real(&mut real), &addresses, resp));
        let got = on_the_fake(&script, &plan, resp);
        assert_eq!(expected.len(), got.len(), "{name}: both play the same script");
        differences.extend(expected.iter().zip(&got).filter_map(|(real, fake)| difference(name, resp, real, fake)));
    }
    differences
}

/// The same script, played to a fake cluster in virtual time.
fn on_the_fake(script: &Script, plan: &Cluster, resp: u8) -> Vec<Exchange> {
    let clock = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    clock.block_on(async {
        let bed = Testbed::builder().plan(|run| run.cluster = plan.clone()).start().await.expect("a fake cluster");
        // Until everybody knows everybody and has read one INFO.
        tokio::time::sleep(Duration::from_secs(13)).await;
        let addresses = plan.nodes().into_iter().filter_map(|node| Some((node, bed.node_addr(node)?))).collect();
        play(script, Side::Fake(&bed), &addresses, resp).await
    })
}

fn difference(name: &str, resp: u8, real: &Exchange, fake: &Exchange) -> Option<String> {
    let head = format!("{name}:{} (RESP{resp}) {}", real.line, real.command);
    let same = real.reply == fake.reply;
    match &real.mode {
        Mode::Differs(why) if same => {
            Some(format!("{head}\n  is listed as a difference ({why}) and is none: delete it"))
        }
        Mode::Differs(_) => None,
        _ if same => None,
        _ => Some(format!("{head}\n{}", diff(&real.reply, &fake.reply))),
    }
}

/// The lines that are the real one's only (`-`) and the fake one's only (`+`), with what stands around them.
fn diff(real: &[String], fake: &[String]) -> String {
    let mut common = vec![vec![0; fake.len() + 1]; real.len() + 1];
    for i in (0..real.len()).rev() {
        for j in (0..fake.len()).rev() {
            common[i][j] =
                if real[i] == fake[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let mut lines = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < real.len() || j < fake.len() {
        if i < real.len() && j < fake.len() && real[i] == fake[j] {
            lines.push((' ', &real[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == fake.len() || (i < real.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(('-', &real[i]));
            i += 1;
        } else {
            lines.push(('+', &fake[j]));
            j += 1;
        }
    }
    let near = |index: usize| lines.iter().skip(index.saturating_sub(2)).take(5).any(|(sign, _)| *sign != ' ');
    let shown = lines.iter().enumerate().filter(|(index, _)| near(*index));
    shown.map(|(_, (sign, line))| format!("  {sign} {line}")).collect::<Vec<_>>().join("\n")
}
