//! `CLIENT TRACKING`: clients that keep what they read are told when it changes.

use bytes::Bytes;
use model::{Conn, Frame, Output, Reply};

use crate::access::Failure;
use crate::args::{SYNTAX, int, is, text};
use crate::client::{Tracked, Tracking};
use crate::dispatch::{Answer, Call, OK, Outcome};
use crate::node::Node;

/// Where invalidations go on RESP2 connections.
const CHANNEL: &str = "__redis__:invalidate";

impl Node {
    /// Remembers which keys a connection has read.
    pub(crate) fn remember_reads<'a>(&mut self, conn: Conn, keys: impl Iterator<Item = &'a Bytes>) {
        let Some(tracking) = self.clients.get(&conn).and_then(|client| client.tracking.as_ref()) else { return };
        let wanted = match tracking.mode {
            Tracked::Broadcast => false,
            Tracked::Read => true,
            Tracked::OptIn => tracking.caching,
            Tracked::OptOut => !tracking.caching,
        };
        if !wanted {
            return;
        }
        for key in keys {
            self.tracked.entry(key.clone()).or_default().insert(conn);
        }
    }

    /// Notes that keys were changed by `writer`; those who read them are told by [`Node::send_invalidations`].
    pub(crate) fn invalidate<'a>(&mut self, keys: impl Iterator<Item = &'a Bytes>) {
        for key in keys {
            for conn in self.tracked.remove(key).unwrap_or_default() {
                self.invalid.push((conn, Some(key.clone())));
            }
            for (conn, client) in &self.clients {
                let Some(tracking) = &client.tracking else { continue };
                let watches = tracking.prefixes.iter().any(|prefix| key.starts_with(prefix));
                let sent = |told: &(Conn, Option<Bytes>)| told.0 == *conn && told.1.as_ref() == Some(key);
                if tracking.mode == Tracked::Broadcast && watches && !self.invalid.iter().any(sent) {
                    self.invalid.push((*conn, Some(key.clone())));
                }
            }
        }
    }

    /// Everything is gone, by `FLUSHALL` or a resynchronisation.
    pub(crate) fn invalidate_everything(&mut self) {
        self.tracked.clear();
        let tracking = self.clients.iter().filter(|(_, client)| client.tracking.is_some());
        self.invalid.extend(tracking.map(|(conn, _)| (*conn, None)));
    }

    /// Tells what became invalid, after the reply to the command that changed it. `writer` made the changes.
    pub(crate) fn send_invalidations(&mut self, writer: Option<Conn>, out: &mut Vec<Output>) {
        for (conn, key) in std::mem::take(&mut self.invalid) {
            let Some(client) = self.clients.get(&conn) else { continue };
            let Some(tracking) = &client.tracking else { continue };
            if tracking.no_loop && writer == Some(conn) && key.is_some() {
                continue;
            }
            let keys = key.map_or(Reply::Null, |key| Reply::Array(vec![Reply::Bulk(key)]));
            let target = match tracking.redirect {
                None => Some((conn, client)),
                Some(id) => self.clients.iter().find(|(_, other)| other.id == id).map(|(conn, other)| (*conn, other)),
            };
            let Some((to, receiver)) = target else {
                if client.resp == 3 {
                    let id = tracking.redirect.unwrap_or_default() as i64;
                    let broken = Reply::Push(vec![Reply::word("tracking-redir-broken"), Reply::Int(id)]);
                    out.push(Output::Send(conn, Frame::Reply(broken)));
                }
                continue;
            };
            let push = if receiver.resp == 3 {
                Reply::Push(vec![Reply::word("invalidate"), keys])
            } else if receiver.subscriptions() > 0 && to != conn {
                Reply::Push(vec![Reply::word("message"), Reply::word(CHANNEL), keys])
            } else {
                continue;
            };
            out.push(Output::Send(to, Frame::Reply(push)));
        }
    }

    pub(crate) fn stop_tracking(&mut self, conn: Conn) {
        if self.clients.get_mut(&conn).and_then(|client| client.tracking.take()).is_some() {
            self.tracking -= 1;
            self.tracked.retain(|_, readers| {
                readers.remove(&conn);
                !readers.is_empty()
            });
        }
    }
}

pub(crate) fn tracking(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let args = call.command.0.clone();
    let on = match () {
        () if is(&args[2], "on") => true,
        () if is(&args[2], "off") => false,
        () => return Err(SYNTAX),
    };
    let (mut broadcast, mut opt_in, mut opt_out, mut no_loop) = (false, false, false, false);
    let (mut redirect, mut prefixes) = (None, Vec::new());
    let mut rest = args[3..].iter();
    while let Some(option) = rest.next() {
        match () {
            () if is(option, "BCAST") => broadcast = true,
            () if is(option, "OPTIN") => opt_in = true,
            () if is(option, "OPTOUT") => opt_out = true,
            () if is(option, "NOLOOP") => no_loop = true,
            () if is(option, "REDIRECT") => {
                if redirect.is_some() {
                    return Err("ERR A client can only redirect to a single other client".into());
                }
                let id = int(rest.next().ok_or(SYNTAX)?)? as u64;
                if !node.clients.values().any(|client| client.id == id) {
                    return Err("ERR The client ID you want redirect to does not exist".into());
                }
                redirect = Some(id);
            }
            () if is(option, "PREFIX") => prefixes.push(rest.next().ok_or(SYNTAX)?.clone()),
            () => return Err(SYNTAX),
        }
    }
    if !on {
        node.stop_tracking(call.conn);
        return OK;
    }
    let Some(client) = node.clients.get_mut(&call.conn) else { return Ok(Answer::Silent) };
    if !broadcast && !prefixes.is_empty() {
        return Err("ERR PREFIX option requires BCAST mode to be enabled".into());
    }
    let before = client.tracking.as_ref();
    if before.is_some_and(|before| (before.mode == Tracked::Broadcast) != broadcast) {
        return Err(
            "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling \
                    it with a different mode."
                .into(),
        );
    }
    if broadcast && (opt_in || opt_out) {
        return Err("ERR OPTIN and OPTOUT are not compatible with BCAST".into());
    }
    if opt_in && opt_out {
        return Err("ERR You can't specify both OPTIN mode and OPTOUT mode".into());
    }
    if before.is_some_and(|b| (opt_in && b.mode == Tracked::OptOut) || (opt_out && b.mode == Tracked::OptIn)) {
        return Err(
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling \
                    it with a different mode."
                .into(),
        );
    }
    let mut all = before.map_or_else(Vec::new, |before| before.prefixes.clone());
    for (index, prefix) in prefixes.iter().enumerate() {
        let overlap =
            |others: &[Bytes]| others.iter().find(|o| o.starts_with(prefix) || prefix.starts_with(o)).cloned();
        let existing = overlap(&all).map(|other| ("an existing", other));
        let clash = existing.or_else(|| overlap(&prefixes[index + 1..]).map(|other| ("another provided", other)));
        if let Some((which, other)) = clash {
            let (prefix, other) = (text(prefix), text(&other));
            let text = format!("ERR Prefix '{prefix}' overlaps with {which} prefix '{other}'.");
            return Err(format!("{text} Prefixes for a single client must not overlap.").into());
        }
    }
    if broadcast && prefixes.is_empty() {
        prefixes.push(Bytes::new());
    }
    all.append(&mut prefixes);
    all.sort();
    all.dedup();
    let mode = match () {
        () if broadcast => Tracked::Broadcast,
        () if opt_in => Tracked::OptIn,
        () if opt_out => Tracked::OptOut,
        () => Tracked::Read,
    };
    node.tracking += usize::from(client.tracking.is_none());
    client.tracking = Some(Tracking { mode, redirect, prefixes: all, no_loop, caching: false });
    OK
}

pub(crate) fn caching(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let word = call.args()[2].clone();
    let yes = match () {
        () if is(&word, "yes") => true,
        () if is(&word, "no") => false,
        () => return Err(SYNTAX),
    };
    let tracking = node.clients.get_mut(&call.conn).and_then(|client| client.tracking.as_mut());
    let Some(tracking) = tracking else {
        let text = "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode \
                    enabled";
        return Err(text.into());
    };
    let fits = if yes { tracking.mode == Tracked::OptIn } else { tracking.mode == Tracked::OptOut };
    if !fits {
        let failure: Failure = if yes {
            "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.".into()
        } else {
            "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.".into()
        };
        return Err(failure);
    }
    tracking.caching = true;
    OK
}

pub(crate) fn getredir(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let tracking = node.clients.get(&call.conn).and_then(|client| client.tracking.as_ref());
    Ok(Reply::Int(tracking.map_or(-1, |tracking| tracking.redirect.map_or(0, |id| id as i64))).into())
}

pub(crate) fn trackinginfo(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let tracking = node.clients.get(&call.conn).and_then(|client| client.tracking.as_ref());
    let mut flags = Vec::new();
    match tracking {
        None => flags.push("off"),
        Some(tracking) => {
            flags.push("on");
            match tracking.mode {
                Tracked::Read => {}
                Tracked::Broadcast => flags.push("bcast"),
                Tracked::OptIn => flags.extend(["optin"].into_iter().chain(tracking.caching.then_some("caching-yes"))),
                Tracked::OptOut => flags.extend(["optout"].into_iter().chain(tracking.caching.then_some("caching-no"))),
            }
            if tracking.no_loop {
                flags.push("noloop");
            }
            let gone = |id: u64| !node.clients.values().any(|client| client.id == id);
            if tracking.redirect.is_some_and(gone) {
                flags.push("broken_redirect");
            }
        }
    }
    let redirect = tracking.map_or(-1, |tracking| tracking.redirect.map_or(0, |id| id as i64));
    let prefixes = tracking.map_or_else(Vec::new, |tracking| tracking.prefixes.clone());
    Ok(Reply::Map(vec![
        (Reply::word("flags"), Reply::Set(flags.into_iter().map(Reply::word).collect())),
        (Reply::word("redirect"), Reply::Int(redirect)),
        (Reply::word("prefixes"), Reply::Array(prefixes.into_iter().map(Reply::Bulk).collect())),
    ])
    .into())
}
