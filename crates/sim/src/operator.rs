//! The operator: commands to a node that come from nobody's client, on a connection of their own.

use std::time::Duration;

use model::machine::{Conn, Input};
use model::plan::Credentials;
use model::{Addr, Command, Frame, Reply};

use crate::link::{End, Link, Party};
use crate::world::World;

/// The command that logs in.
pub(crate) fn auth(credentials: &Credentials) -> Command {
    let command = Command::of(&["AUTH"]);
    let command = match &credentials.user {
        Some(user) => command.arg(user.clone()),
        None => command,
    };
    command.arg(credentials.password.clone())
}

/// `REPLICAOF addr`, or `REPLICAOF NO ONE`.
pub(crate) fn replica_of(addr: Option<&Addr>) -> Command {
    match addr {
        Some(addr) => Command::of(&["REPLICAOF"]).arg(addr.host.to_string()).arg(addr.port.to_string()),
        None => Command::of(&["REPLICAOF", "NO", "ONE"]),
    }
}

impl World {
    /// Sends a command and gives what is answered at once; a frozen node will find the command when it goes on.
    pub(crate) fn operate(&mut self, node: usize, command: Command) -> Option<Reply> {
        self.operate_on(node, command).1
    }

    /// As [`World::operate`], with the link on which the operator has logged in.
    pub(crate) fn operate_on(&mut self, node: usize, command: Command) -> (usize, Option<Reply>) {
        let link = self.links.len();
        let conn = Conn::inbound(link as u64);
        self.links.push(Link::new(Party::Operator, Party::Node(node, conn)));
        self.send(link, End::Acceptor, crate::link::Parcel::Syn(None), Duration::ZERO);
        if let Some(login) = self.credentials(node).map(auth) {
            self.operate_again(node, link, login);
        }
        let reply = self.operate_again(node, link, command);
        (link, reply)
    }

    /// Sends a command on a link of the operator's. Nothing happens if the node has closed it.
    pub(crate) fn operate_again(&mut self, node: usize, link: usize, command: Command) -> Option<Reply> {
        let Party::Node(_, conn) = self.links[link].parties[End::Acceptor as usize] else { return None };
        self.operator_reply = None;
        self.input(node, Some((link, End::Acceptor)), Input::Received(conn, Frame::Command(command)));
        self.operator_reply.take()
    }

    /// Sends what takes a command back on the link of that command, if that is open, else on another; and on yet another if
    /// the node closes that one before it answers. A process that has ended has forgotten what it was told.
    pub(crate) fn take_back(&mut self, node: usize, link: Option<usize>, undo: Command) {
        if !self.nodes[node].listens() {
            return;
        }
        let (link, reply) = match link.filter(|link| self.links[*link].open[End::Acceptor as usize]) {
            Some(link) => (link, self.operate_again(node, link, undo.clone())),
            None => self.operate_on(node, undo.clone()),
        };
        if reply.is_none() {
            self.undoing.insert(link, (node, undo));
        }
    }

    /// What a node asks of its clients.
    pub(crate) fn credentials(&self, node: usize) -> Option<&Credentials> {
        match self.nodes[node].group {
            Some(group) => self.cluster.groups[group].auth.as_ref(),
            None => self.cluster.sentinel_auth.as_ref(),
        }
    }
}
