//! [`View`]: the addresses through which one client sees the cluster.
//!
//! Replies carry the world's addresses as [`Text`](model::Text), which is rendered through the view. Where a client
//! itself names a node (`REPLICAOF`, a hello message), the address is translated back; and in what goes into the
//! history, so that two runs in different address blocks read the same. What users store is never touched.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use model::plan::{Cluster, Host};
use model::{Addr, Command, NodeId, Reply};

/// The channel on which Sentinels find each other.
const HELLO: &[u8] = b"__sentinel__:hello";

/// A two-way map between the addresses of the world and those that one client dials. Where they are the same the maps are
/// empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    nodes: BTreeMap<NodeId, SocketAddr>,
    real: BTreeMap<Addr, Addr>,
    world: BTreeMap<Addr, Addr>,
    /// The ports of nodes that have names, in the world and outside. The names are the same.
    names: BTreeMap<String, (u16, u16)>,
    /// What the client dials in the place of an address that it is told.
    outer: BTreeMap<Addr, Addr>,
}

impl View {
    /// The view in which each node of the cluster has this address.
    pub(crate) fn new(cluster: &Cluster, nodes: BTreeMap<NodeId, SocketAddr>) -> Self {
        let pairs: Vec<(Addr, Addr)> = nodes
            .iter()
            .map(|(node, real)| (cluster.address(*node), addr_of(*real)))
            .filter(|(world, real)| world != real)
            .collect();
        let world = pairs.iter().map(|(world, real)| (real.clone(), world.clone())).collect();
        let port = |node: &NodeId| Some((cluster.address(*node).port, nodes.get(node)?.port()));
        let named = |(name, host): (&String, &Host)| match host {
            Host::Node(node) => Some((name.to_ascii_lowercase(), port(node)?)),
            Host::Ip(_) => None,
        };
        let names = cluster.hosts.iter().filter_map(named).collect();
        Self { nodes, real: pairs.into_iter().collect(), world, names, outer: BTreeMap::new() }
    }

    /// This view, with the node at another address, of the world and of the client. What is told of the old one still means
    /// where it was.
    pub(crate) fn moved(&self, node: NodeId, world: &Addr, real: SocketAddr) -> Self {
        let mut view = self.clone();
        view.nodes.insert(node, real);
        view.real.insert(world.clone(), addr_of(real));
        view.world.insert(addr_of(real), world.clone());
        view
    }

    /// This view, of a client outside, which is told these addresses of nodes.
    pub(crate) fn outside(&self, cluster: &Cluster, told: &BTreeMap<NodeId, SocketAddr>) -> Self {
        let mut view = self.clone();
        for (node, inner) in told {
            let (world, inner) = (cluster.address(*node), addr_of(*inner));
            if let Some(outer) = view.real.insert(world.clone(), inner.clone()) {
                view.outer.insert(inner.clone(), outer);
            }
            view.world.insert(inner, world);
        }
        view
    }

    /// What the client is to dial in the place of what it is told, if that is not the same.
    pub(crate) fn address_map(&self) -> Vec<((String, u16), (String, u16))> {
        let pair = |addr: &Addr| (addr.host.to_string(), addr.port);
        self.outer.iter().map(|(inner, outer)| (pair(inner), pair(outer))).collect()
    }

    /// The address of a node.
    pub(crate) fn node(&self, node: NodeId) -> Option<SocketAddr> {
        self.nodes.get(&node).copied()
    }

    /// How the client sees an address of the world. Another port of a node's machine is one of that machine; what is of no
    /// node stays what it is.
    pub(crate) fn real(&self, addr: &Addr) -> Addr {
        if let Some(real) = self.known(addr) {
            return real;
        }
        let machine = self.real.iter().find(|(world, _)| world.host == addr.host);
        machine.map_or_else(|| addr.clone(), |(_, real)| Addr { host: real.host.clone(), port: addr.port })
    }

    /// How the client sees the machine with this address of the world; `None` if it is no node's.
    pub(crate) fn machine(&self, host: &str) -> Option<IpAddr> {
        self.real.iter().find(|(world, _)| *world.host == *host).and_then(|(_, real)| real.host.parse().ok())
    }

    /// How the client sees the address or the name of a node; `None` if it is no node's.
    fn known(&self, addr: &Addr) -> Option<Addr> {
        let by_name = || {
            let (world, real) = self.names.get(&addr.host.to_ascii_lowercase())?;
            (addr.port == *world).then(|| Addr { host: addr.host.clone(), port: *real })
        };
        self.real.get(addr).cloned().or_else(by_name)
    }

    /// The address in the world of what the client dials as `host`, `port`; `None` if that is no node.
    fn world(&self, host: &[u8], port: &[u8]) -> Option<Addr> {
        let (host, port) = (std::str::from_utf8(host).ok()?, std::str::from_utf8(port).ok()?);
        let addr = Addr::new(host, port.parse().ok()?);
        let by_name = || {
            let (world, real) = self.names.get(&host.to_ascii_lowercase())?;
            (addr.port == *real).then(|| Addr { host: addr.host.clone(), port: *world })
        };
        self.world.get(&addr).cloned().or_else(by_name)
    }

    /// Translates the addresses in a client's command into those of the world.
    pub(crate) fn translate_command(&self, command: &mut Command) {
        if self.world.is_empty() {
            return;
        }
        let sub = command.get(1).map_or(&b""[..], |word| word).to_ascii_lowercase();
        match &command.name().to_ascii_lowercase()[..] {
            b"replicaof" | b"slaveof" => self.translate_pair(command, 1),
            b"sentinel" => match &sub[..] {
                b"is-master-down-by-addr" => self.translate_pair(command, 2),
                b"monitor" => self.translate_pair(command, 3),
                _ => {}
            },
            b"failover" if sub == b"to" => self.translate_pair(command, 2),
            b"publish" if sub == HELLO => {
                if let Some(payload) = command.0.get_mut(2)
                    && let Some(translated) = translate_hello(payload, |host, port| self.world(host, port))
                {
                    *payload = translated;
                }
            }
            b"client" if sub == b"kill" => {
                for word in command.0.iter_mut().skip(2) {
                    if let Some(colon) = word.iter().rposition(|&byte| byte == b':')
                        && let Some(addr) = self.world(&word[..colon], &word[colon + 1..])
                    {
                        *word = addr.to_string().into();
                    }
                }
            }
            _ => {}
        }
    }

    /// Translates the two words from `index` on, host and port.
    fn translate_pair(&self, command: &mut Command, index: usize) {
        if let Some([host, port]) = command.0.get_mut(index..index + 2)
            && let Some(addr) = self.world(host, port)
        {
            *host = Bytes::copy_from_slice(addr.host.as_bytes());
            *port = addr.port.to_string().into();
        }
    }

    /// The reply as the client shall see it, as far as that is not a matter of [`Text`](model::Text): in a hello
    /// message, which travels through the data nodes as bytes, the addresses are the client's.
    pub(crate) fn translate_reply<'a>(&self, reply: &'a Reply) -> Cow<'a, Reply> {
        if self.real.is_empty() {
            return Cow::Borrowed(reply);
        }
        let (Reply::Array(items) | Reply::Push(items)) = reply else { return Cow::Borrowed(reply) };
        let word = |index: usize| match items.get(index) {
            Some(Reply::Bulk(bytes)) => &bytes[..],
            _ => b"",
        };
        let index = match word(0) {
            b"message" if word(1) == HELLO => 2,
            b"pmessage" if word(2) == HELLO => 3,
            _ => return Cow::Borrowed(reply),
        };
        let real = |host: &[u8], port: &[u8]| {
            let (host, port) = (std::str::from_utf8(host).ok()?, std::str::from_utf8(port).ok()?);
            self.known(&Addr::new(host, port.parse().ok()?))
        };
        let Some(payload) = translate_hello(word(index), real) else { return Cow::Borrowed(reply) };
        let mut reply = reply.clone();
        if let Reply::Array(items) | Reply::Push(items) = &mut reply {
            items[index] = Reply::Bulk(payload);
        }
        Cow::Owned(reply)
    }

    /// `text`, an error message of the client, with the addresses of the world.
    pub(crate) fn translate_text(&self, mut text: String) -> String {
        // From the last to the first, so that 127.64.0.1 is not found in 127.64.0.11.
        for (real, world) in self.world.iter().rev() {
            if text.contains(&*real.host) {
                text = text.replace(&real.to_string(), &world.to_string());
                // On a system with one address for all, the host alone does not tell which node is meant.
                if self.world.keys().filter(|other| other.host == real.host).count() == 1 {
                    text = text.replace(&*real.host, &world.host);
                }
            }
        }
        for (name, (world, real)) in &self.names {
            text = translate_port(text, name, *real, *world);
        }
        text
    }
}

/// `text` with the port `to` wherever it has `from` after this name, which is in lower case.
fn translate_port(text: String, name: &str, from: u16, to: u16) -> String {
    let told = format!("{name}:{from}");
    let lower = text.to_ascii_lowercase();
    if !lower.contains(&told) {
        return text;
    }
    let mut translated = String::with_capacity(text.len());
    let mut done = 0;
    for (at, _) in lower.match_indices(&told) {
        translated.extend([&text[done..=at + name.len()], &to.to_string()]);
        done = at + told.len();
    }
    translated + &text[done..]
}

/// A socket's address as the world writes it.
pub(crate) fn addr_of(socket: SocketAddr) -> Addr {
    Addr::new(&socket.ip().to_string(), socket.port())
}

/// Maps the two addresses of a hello message, `ip,port,runid,epoch,master,master ip,master port,master epoch`. `None`
/// if it holds none that `map` knows.
fn translate_hello(payload: &[u8], map: impl Fn(&[u8], &[u8]) -> Option<Addr>) -> Option<Bytes> {
    let mut fields: Vec<Cow<'_, [u8]>> = payload.split(|&byte| byte == b',').map(Cow::Borrowed).collect();
    if fields.len() != 8 {
        return None;
    }
    let mut changed = false;
    for index in [0, 5] {
        if let Some(addr) = map(&fields[index], &fields[index + 1]) {
            fields[index] = Cow::Owned(addr.host.as_bytes().to_vec());
            fields[index + 1] = Cow::Owned(addr.port.to_string().into_bytes());
            changed = true;
        }
    }
    changed.then(|| fields.join(&b',').into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        let nodes = BTreeMap::from([
            (NodeId::data(1), "127.64.0.1:6379".parse().unwrap()),
            (NodeId::data(2), "127.64.0.11:7000".parse().unwrap()),
            (NodeId::sentinel(1), "127.64.0.3:26379".parse().unwrap()),
        ]);
        let mut cluster = Cluster::standard();
        cluster.hosts.insert("db".to_owned(), Host::Node(NodeId::data(2)));
        View::new(&cluster, nodes)
    }

    #[test]
    fn addresses_in_commands_are_translated() {
        let table = [
            ("REPLICAOF 127.64.0.1 6379", "REPLICAOF 10.0.0.1 6379"),
            ("slaveof 127.64.0.11 7000", "slaveof 10.0.0.2 6379"),
            ("SLAVEOF DB 7000", "SLAVEOF DB 6379"),
            ("SLAVEOF db 7001", "SLAVEOF db 7001"),
            ("SLAVEOF NO ONE", "SLAVEOF NO ONE"),
            ("REPLICAOF 127.64.0.1", "REPLICAOF 127.64.0.1"),
            (
                "SENTINEL is-master-down-by-addr 127.64.0.1 6379 0 *",
                "SENTINEL is-master-down-by-addr 10.0.0.1 6379 0 *",
            ),
            ("SENTINEL MONITOR m 127.64.0.11 7000 2", "SENTINEL MONITOR m 10.0.0.2 6379 2"),
            ("CLIENT KILL LADDR 127.64.0.1:6379", "CLIENT KILL LADDR 10.0.0.1:6379"),
            ("FAILOVER TO 127.64.0.11 7000", "FAILOVER TO 10.0.0.2 6379"),
            (
                "PUBLISH __sentinel__:hello 127.64.0.3,26379,id,1,m,127.64.0.1,6379,1",
                "PUBLISH __sentinel__:hello 10.128.0.1,26379,id,1,m,10.0.0.1,6379,1",
            ),
            (
                "PUBLISH news 127.64.0.3,26379,id,1,m,127.64.0.1,6379,1",
                "PUBLISH news 127.64.0.3,26379,id,1,m,127.64.0.1,6379,1",
            ),
            ("SET k 127.64.0.1:6379", "SET k 127.64.0.1:6379"),
        ];
        for (real, world) in table {
            let mut command = Command(real.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect());
            view().translate_command(&mut command);
            assert_eq!(format!("{command:?}"), world);
        }
    }

    #[test]
    fn addresses_in_hello_messages_are_translated() {
        let world = "10.128.0.1,26379,id,1,m,10.0.0.1,6379,1";
        let message = |payload: &'static str| {
            Reply::Push(vec![Reply::word("message"), Reply::word("__sentinel__:hello"), Reply::word(payload)])
        };
        let real = message("127.64.0.3,26379,id,1,m,127.64.0.1,6379,1");
        assert_eq!(view().translate_reply(&message(world)).into_owned(), real);
        let named = |port| message(if port == 6379 { "x,1,id,1,m,db,6379,1" } else { "x,1,id,1,m,db,7000,1" });
        assert_eq!(view().translate_reply(&named(6379)).into_owned(), named(7000));
        assert_eq!(view().real(&Addr::new("db", 6379)).to_string(), "db:7000");
        let stored = Reply::Array(vec![Reply::word("message"), Reply::word("news"), Reply::word(world)]);
        assert_eq!(*view().translate_reply(&stored), stored);
    }

    #[test]
    fn addresses_in_error_texts_are_translated() {
        let text = "refused by 127.64.0.11:7000, 127.64.0.1:6379 and 127.64.0.3".to_owned();
        assert_eq!(view().translate_text(text), "refused by 10.0.0.2:6379, 10.0.0.1:6379 and 10.128.0.1");
        let text = "refused by db:7000, by DB:7000, and not by db:6380".to_owned();
        assert_eq!(view().translate_text(text), "refused by db:6379, by DB:6379, and not by db:6380");
    }
}
