//! One round of finding a master or a replica: ask the Sentinels, connect, check the role.

use redis::{Cmd, Pipeline, Value, cmd};

use crate::address::Address;
use crate::ballot::{self, Place, Told, Vote};
use crate::cache::Known;
use crate::core::Core;
use crate::error::{DiscoveryError, OpenError};
use crate::link::Link;
use crate::reply;
use crate::role::Role;
use crate::settings::ReplicaFallback;
use crate::survey::{self, Answer};

/// What the Sentinel said that answered first.
pub(crate) struct Named {
    /// Where the master is, and since which epoch.
    pub(crate) place: Place,
    /// The Sentinel.
    pub(crate) by: Address,
}

/// What one Sentinel says of a name, and the other Sentinels that it knows.
type Answered = (Told, Option<Others>);

/// Sentinels and their run ids.
type Others = Vec<(Address, Option<String>)>;

/// A connection to the master called `name`, which says that it is one.
pub(crate) async fn master(core: &Core, name: &str) -> Result<Link, DiscoveryError> {
    let mut named = named(core, name).await?;
    master_named(core, name, &mut named).await
}

/// Where the first Sentinel that names it says that the master called `name` is.
pub(crate) async fn named(core: &Core, name: &str) -> Result<Named, DiscoveryError> {
    let mut questions = ballot::questions(name);
    questions.add_command(question("SENTINELS", name));
    let read = |replies: &[Value]| match replies {
        [told @ .., others] => Ok((ballot::read(told)?, reply::sentinels(others))),
        [] => Err(OpenError::Answer("each question needs an answer".to_owned())),
    };
    let named = |answers: &[Answer<Answered>], _| {
        answers.last().and_then(|last| last.result.as_ref().ok()).is_some_and(|(told, _)| told.vote.is_some())
    };
    let answers = survey::ask(core, &questions, read, named).await;
    let (by, vote, id, others) = first_vote(name, answers)?;
    core.sentinels().promote(&by);
    if let Some(id) = id {
        core.sentinels().identify(&by, id);
    }
    if let Some(others) = others {
        core.learn(&by, others);
    }
    Ok(Named { place: Place::from(ballot::mapped(core, vote)), by })
}

/// A connection to the master called `name` where it was named, if it says that it is one. `named` becomes the place that
/// the other Sentinels name, if that was the wrong one.
pub(crate) async fn master_named(core: &Core, name: &str, named: &mut Named) -> Result<Link, DiscoveryError> {
    let mut found = master_at(core, &named.place.master).await;
    // A refusal ends the calls that wait, so it must not come from a node that only one Sentinel takes for the master.
    if found.as_ref().is_err_and(DiscoveryError::is_refusal)
        && let Some(moved) = ballot::has_moved(core, name, &mut named.place, Some(&named.by)).await
    {
        named.place = moved;
        found = master_at(core, &named.place.master).await;
    }
    found.inspect_err(|_| core.sentinels().demote(&named.by))
}

/// A connection to the node at `address`, if it says that it is a master.
pub(crate) async fn master_at(core: &Core, address: &Address) -> Result<Link, DiscoveryError> {
    core.turn().await;
    master_of_its_own(core, address, None).await
}

/// The same without waiting for a turn: there is one for each [`Dedicated`](crate::Dedicated), and however many they are,
/// they must not keep the client from its search. `known` hears when something changes that was read on the connection.
pub(crate) async fn master_of_its_own(
    core: &Core,
    address: &Address,
    known: Option<Known>,
) -> Result<Link, DiscoveryError> {
    let (link, role) = data_node(core, address, known).await?;
    match role {
        Role::Master => Ok(link),
        role => Err(DiscoveryError::NotMaster { address: address.clone(), role }),
    }
}

/// A connection to a replica of `name` that is in sync, or else to what the settings allow instead: the master, or a
/// replica that has lost its master. The one at `lost`, which was just of no more use, is tried last.
pub(crate) async fn replica(core: &Core, name: &str, lost: Option<&Address>) -> Result<Link, DiscoveryError> {
    let Replicas { synced, stale, none } = replicas(core, name, true, lost).await?;
    if let Some(link) = synced.into_iter().next() {
        return Ok(link);
    }
    let master = match core.settings.replica_fallback {
        ReplicaFallback::Master => master(core, name).await,
        ReplicaFallback::Fail => Err(none.clone()),
    };
    master.or_else(|error| stale.into_iter().next().ok_or(if error.is_refusal() { error } else { none }))
}

/// Connections to replicas.
struct Replicas {
    synced: Vec<Link>,
    /// Those that are not in sync.
    stale: Vec<Link>,
    /// Why there is none, if there is none.
    none: DiscoveryError,
}

/// A connection to a replica of `name` that is in sync.
pub(crate) async fn synced_replica(core: &Core, name: &str) -> Option<Link> {
    replicas(core, name, true, None).await.ok()?.synced.into_iter().next()
}

/// Connections to the replicas of `name`, in random order, but the one at `lost` last; with `one`, no more are tried once one
/// in sync is found.
async fn replicas(core: &Core, name: &str, one: bool, lost: Option<&Address>) -> Result<Replicas, DiscoveryError> {
    let mut addresses = replica_addresses(core, name).await?;
    core.shuffle(&mut addresses);
    addresses.sort_by_key(|address| Some(address) == lost);
    let (mut synced, mut stale, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
    for address in &addresses {
        core.turn().await;
        match data_node(core, address, None).await {
            // ROLE is answered while the data set is being loaded; other commands are not.
            Ok((link, Role::Replica { connected: true })) => {
                match link.ask(&cmd("PING"), core.settings.response_timeout).await {
                    Ok(_) => synced.push(link),
                    Err(error) => tracing::debug!(%address, %error, "a replica does not serve"),
                }
            }
            Ok((link, Role::Replica { connected: false })) => stale.push(link),
            Ok((_, role)) => tracing::debug!(%address, %role, "not a replica"),
            Err(error) => {
                tracing::debug!(%error, "a replica cannot be used");
                refusals.extend(Some(error).filter(DiscoveryError::is_refusal));
            }
        }
        if one && !synced.is_empty() {
            break;
        }
    }
    let known = addresses.len();
    // What all of them say is more to the point.
    let none = match refusals.pop() {
        Some(refusal) if refusals.len() + 1 == known => refusal,
        _ => DiscoveryError::NoReplica { name: name.to_owned(), known },
    };
    Ok(Replicas { synced, stale, none })
}

/// Where the replicas of `name` are that say that they are in sync.
pub(crate) async fn synced_addresses(core: &Core, name: &str) -> Result<Vec<Address>, DiscoveryError> {
    let Replicas { synced, none, .. } = replicas(core, name, false, None).await?;
    let mut addresses: Vec<Address> = synced.iter().map(|link| link.address().clone()).collect();
    addresses.sort();
    if addresses.is_empty() { Err(none) } else { Ok(addresses) }
}

/// False if the Sentinels list replicas of `name` as healthy, and the one at `address` is not among them.
pub(crate) async fn is_listed(core: &Core, name: &str, address: &Address) -> bool {
    let listed = replica_addresses(core, name).await;
    listed.map_or(true, |addresses| addresses.is_empty() || addresses.contains(address))
}

async fn replica_addresses(core: &Core, name: &str) -> Result<Vec<Address>, DiscoveryError> {
    let mut questions = Pipeline::new();
    questions.add_command(question("SLAVES", name));
    let read = |replies: &[Value]| reply::only_answer(replies, reply::replicas);
    let one = |answers: &[Answer<Vec<Address>>], _| answers.last().is_some_and(|last| last.result.is_ok());
    let mut answers = survey::ask(core, &questions, read, one).await;
    match answers.pop() {
        Some(Answer { sentinel, result: Ok(addresses) }) => {
            core.sentinels().promote(&sentinel);
            Ok(addresses.into_iter().map(|address| core.settings.address_map.apply(address)).collect())
        }
        last => {
            answers.extend(last);
            Err(no_answer(name, answers))
        }
    }
}

/// The Sentinel whose answer names an address, which is the last one, if there is one; its vote, its run id, and the
/// Sentinels that it names.
fn first_vote(
    name: &str,
    mut answers: Vec<Answer<Answered>>,
) -> Result<(Address, Vote, Option<String>, Option<Others>), DiscoveryError> {
    match answers.pop() {
        Some(Answer { sentinel, result: Ok((Told { vote: Some(vote), id }, others)) }) => {
            Ok((sentinel, vote, id, others))
        }
        last => {
            answers.extend(last);
            Err(no_answer(name, answers))
        }
    }
}

/// Why `answers` name no node: nobody knows the name, or nobody gave one that can be used.
fn no_answer<T>(name: &str, answers: Vec<Answer<T>>) -> DiscoveryError {
    let asked = answers.len();
    let mut silent = Vec::new();
    for answer in answers {
        match answer.result {
            // This is how a Sentinel says to some questions that it does not know the name.
            Err(OpenError::Answer(text)) if text.contains("No such master") => {}
            Err(error) => silent.push((answer.sentinel, error)),
            Ok(_) => {}
        }
    }
    if silent.len() == asked {
        DiscoveryError::Unreachable { sentinels: silent }
    } else {
        DiscoveryError::UnknownMaster { name: name.to_owned(), answered: asked - silent.len(), silent }
    }
}

async fn data_node(core: &Core, address: &Address, known: Option<Known>) -> Result<(Link, Role), DiscoveryError> {
    let unreachable = |error| DiscoveryError::NodeUnreachable { address: address.clone(), error };
    let link = match known {
        Some(known) => Link::to_data_tracked(address, core, known).await,
        None => Link::to_data(address, core).await,
    };
    let link = link.map_err(unreachable)?;
    let role = link.role(core.settings.response_timeout).await.map_err(unreachable)?;
    Ok((link, role))
}

pub(crate) fn question(subcommand: &str, name: &str) -> Cmd {
    let mut command = cmd("SENTINEL");
    command.arg(subcommand).arg(name);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent<T>(host: &str) -> Answer<T> {
        Answer { sentinel: Address::new(host, 1), result: Err(OpenError::Connect("refused".into())) }
    }

    fn ignorant<T>(host: &str) -> Answer<T> {
        let error = OpenError::Answer("ERR: No such master with that name".into());
        Answer { sentinel: Address::new(host, 1), result: Err(error) }
    }

    #[test]
    fn unknown_and_unreachable_are_told_apart() {
        let all_silent = no_answer::<()>("m", vec![silent("a"), silent("b")]);
        assert!(matches!(all_silent, DiscoveryError::Unreachable { sentinels } if sentinels.len() == 2));
        let mixed = no_answer::<()>("m", vec![silent("a"), ignorant("b")]);
        assert!(matches!(mixed, DiscoveryError::UnknownMaster { answered: 1, silent, .. } if silent.len() == 1));
    }
}
