//! `notify-keyspace-events`: subscribers hear what happens to keys.

use bytes::Bytes;
use model::Output;

use crate::node::Node;

/// What happened to a key.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) db: usize,
    pub(crate) name: &'static str,
    pub(crate) key: Bytes,
}

impl Event {
    /// The letter of its class in the parameter.
    fn class(&self) -> char {
        match self.name {
            "pfadd" | "set" | "setbit" | "setrange" | "append" | "incrby" | "incrbyfloat" => '$',
            "sortstore" | "lpush" | "rpush" | "lpop" | "rpop" | "linsert" | "lset" | "lrem" | "ltrim" => 'l',
            "georadiusstore" | "geosearchstore" => 'z',
            "expired" => 'x',
            name if name.starts_with('h') => 'h',
            name if name.starts_with('s') => 's',
            name if name.starts_with('z') => 'z',
            name if name.starts_with('x') => 't',
            _ => 'g',
        }
    }
}

impl Node {
    /// True if somebody may want to hear of what is done to keys.
    pub(crate) fn notifies(&self) -> bool {
        self.config.others.get("notify-keyspace-events").is_some_and(|classes| !classes.is_empty())
    }

    /// Tells the subscribers what happened, by the key and by the event, as the parameter says.
    pub(crate) fn tell_events(&mut self, out: &mut Vec<Output>) {
        for event in std::mem::take(&mut self.events) {
            let classes = self.config.other("notify-keyspace-events");
            if !classes.contains('A') && !classes.contains(event.class()) {
                continue;
            }
            let (by_key, by_event) = (classes.contains('K'), classes.contains('E'));
            let Event { db, name, key } = event;
            let name = Bytes::from_static(name.as_bytes());
            let channel = |kind: &str, about: &[u8]| [format!("__{kind}@{db}__:").as_bytes(), about].concat().into();
            if by_key {
                self.deliver(&channel("keyspace", &key), &name, out);
            }
            if by_event {
                self.deliver(&channel("keyevent", &name), &key, out);
            }
        }
    }
}
