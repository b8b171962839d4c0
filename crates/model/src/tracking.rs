//! [`Tracking`]: what `CLIENT TRACKING` and its kin keep of a connection. Sentinels keep it too, although they have no keys.

use std::borrow::Cow;
use std::collections::BTreeSet;

use bytes::Bytes;

use crate::raw::text;
use crate::{Reply, words};

/// The text of an error.
type Failure = Cow<'static, str>;

const SYNTAX: Failure = Cow::Borrowed("ERR syntax error");
const NO_REDIRECT: i64 = -1;

/// How a client that keeps what it reads hears of changes.
#[derive(Clone, Debug)]
pub struct Tracking {
    /// Which keys are tracked.
    pub mode: Tracked,
    /// The connection that is told, by its `CLIENT ID`; `None` for this one.
    pub redirect: Option<u64>,
    /// The connection that was to be told of a change was gone.
    pub broken: bool,
    /// Of a broadcast; the empty one for all keys.
    pub prefixes: BTreeSet<Bytes>,
    /// It is not told of its own changes.
    pub no_loop: bool,
    /// `CLIENT CACHING` was said for the next command.
    pub caching: bool,
}

/// Which keys are tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracked {
    /// Those that it reads.
    Read,
    /// Those with the prefixes.
    Broadcast,
    /// Those that it reads after `CLIENT CACHING YES`.
    OptIn,
    /// Those that it reads, but after `CLIENT CACHING NO`.
    OptOut,
}

/// The options of `CLIENT TRACKING`.
#[derive(Default)]
struct Options {
    broadcast: bool,
    opt_in: bool,
    opt_out: bool,
    no_loop: bool,
    redirect: Option<u64>,
    prefixes: Vec<Bytes>,
}

impl Options {
    fn parse(args: &[Bytes], is_client: impl Fn(u64) -> bool) -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut rest = args.iter();
        while let Some(option) = rest.next() {
            match option.to_ascii_lowercase().as_slice() {
                b"bcast" => options.broadcast = true,
                b"optin" => options.opt_in = true,
                b"optout" => options.opt_out = true,
                b"noloop" => options.no_loop = true,
                b"redirect" => {
                    let id = rest.next().ok_or(SYNTAX)?;
                    if options.redirect.is_some() {
                        return Err("ERR A client can only redirect to a single other client".into());
                    }
                    let id = words::integer(id).ok_or("ERR value is not an integer or out of range")?;
                    let id = u64::try_from(id).ok().filter(|id| is_client(*id));
                    options.redirect = Some(id.ok_or("ERR The client ID you want redirect to does not exist")?);
                }
                b"prefix" => options.prefixes.push(rest.next().ok_or(SYNTAX)?.clone()),
                _ => return Err(SYNTAX),
            }
        }
        Ok(options)
    }

    /// What is tracked from now on.
    fn apply(self, before: Option<&Tracking>) -> Result<Tracking, Failure> {
        let Self { broadcast, opt_in, opt_out, no_loop, redirect, prefixes } = self;
        if !broadcast && !prefixes.is_empty() {
            return Err("ERR PREFIX option requires BCAST mode to be enabled".into());
        }
        if before.is_some_and(|before| (before.mode == Tracked::Broadcast) != broadcast) {
            return Err("ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then \
                        re-enabling it with a different mode."
                .into());
        }
        if broadcast && (opt_in || opt_out) {
            return Err("ERR OPTIN and OPTOUT are not compatible with BCAST".into());
        }
        if opt_in && opt_out {
            return Err("ERR You can't specify both OPTIN mode and OPTOUT mode".into());
        }
        let other = |mode| before.is_some_and(|before| before.mode == mode);
        if (opt_in && other(Tracked::OptOut)) || (opt_out && other(Tracked::OptIn)) {
            return Err("ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then \
                        re-enabling it with a different mode."
                .into());
        }
        let mut all = before.map_or_else(BTreeSet::new, |before| before.prefixes.clone());
        for (index, prefix) in prefixes.iter().enumerate() {
            let overlaps = |other: &&Bytes| other.starts_with(prefix) || prefix.starts_with(other);
            let existing = all.iter().find(overlaps).map(|other| ("an existing", other));
            let provided = || prefixes[index + 1..].iter().find(overlaps).map(|other| ("another provided", other));
            if let Some((which, other)) = existing.or_else(provided) {
                let (prefix, other) = (text(prefix), text(other));
                let text = format!("ERR Prefix '{prefix}' overlaps with {which} prefix '{other}'.");
                return Err(format!("{text} Prefixes for a single client must not overlap.").into());
            }
        }
        if broadcast && prefixes.is_empty() {
            all.insert(Bytes::new());
        }
        all.extend(prefixes);
        let mode = match () {
            () if broadcast => Tracked::Broadcast,
            () if opt_in => Tracked::OptIn,
            () if opt_out => Tracked::OptOut,
            () => Tracked::Read,
        };
        let caching = before.is_some_and(|before| before.caching);
        Ok(Tracking { mode, redirect, broken: false, prefixes: all, no_loop, caching })
    }
}

/// `CLIENT TRACKING`: what is tracked after `args`, which are `ON` or `OFF` and the options. `is_client` says whether a
/// connection with this `CLIENT ID` is there.
///
/// # Errors
///
/// The text that Redis answers.
pub fn switch(
    before: Option<&Tracking>,
    args: &[Bytes],
    is_client: impl Fn(u64) -> bool,
) -> Result<Option<Tracking>, Failure> {
    let [switch, options @ ..] = args else { return Err(SYNTAX) };
    let options = Options::parse(options, is_client)?;
    match switch.to_ascii_lowercase().as_slice() {
        b"on" => options.apply(before).map(Some),
        b"off" => Ok(None),
        _ => Err(SYNTAX),
    }
}

/// `CLIENT CACHING`: the next command is an exception.
///
/// # Errors
///
/// The text that Redis answers.
pub fn caching(tracking: Option<&mut Tracking>, word: &[u8]) -> Result<(), Failure> {
    let Some(tracking) = tracking else {
        return Err(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode \
                    enabled"
                .into(),
        );
    };
    let (mode, failure) = match word.to_ascii_lowercase().as_slice() {
        b"yes" => (Tracked::OptIn, "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."),
        b"no" => (Tracked::OptOut, "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."),
        _ => return Err(SYNTAX),
    };
    if tracking.mode != mode {
        return Err(failure.into());
    }
    tracking.caching = true;
    Ok(())
}

/// `CLIENT GETREDIR`, and what `CLIENT LIST` shows as `redir`.
pub fn redirect(tracking: Option<&Tracking>) -> i64 {
    tracking.map_or(NO_REDIRECT, |tracking| tracking.redirect.map_or(0, |id| id as i64))
}

/// What `CLIENT LIST` shows of it among the flags.
pub fn flags(tracking: Option<&Tracking>) -> String {
    let Some(tracking) = tracking else { return String::new() };
    let shown = [(true, 't'), (tracking.broken, 'R'), (tracking.mode == Tracked::Broadcast, 'B')];
    shown.into_iter().filter_map(|(set, flag)| set.then_some(flag)).collect()
}

/// `CLIENT TRACKINGINFO`
pub fn info(tracking: Option<&Tracking>) -> Reply {
    let mut flags = Vec::new();
    match tracking {
        None => flags.push("off"),
        Some(tracking) => {
            flags.push("on");
            let caching = tracking.caching;
            match tracking.mode {
                Tracked::Read => {}
                Tracked::Broadcast => flags.push("bcast"),
                Tracked::OptIn => flags.extend(["optin"].into_iter().chain(caching.then_some("caching-yes"))),
                Tracked::OptOut => flags.extend(["optout"].into_iter().chain(caching.then_some("caching-no"))),
            }
            flags.extend(tracking.no_loop.then_some("noloop"));
            flags.extend(tracking.broken.then_some("broken_redirect"));
        }
    }
    let prefixes = tracking.into_iter().flat_map(|tracking| tracking.prefixes.iter().cloned().map(Reply::Bulk));
    Reply::Map(vec![
        (Reply::word("flags"), Reply::Set(flags.into_iter().map(Reply::word).collect())),
        (Reply::word("redirect"), Reply::Int(redirect(tracking))),
        (Reply::word("prefixes"), Reply::Array(prefixes.collect())),
    ])
}

/// What `INFO` shows of all connections: how many track, and `tracking_total_prefixes`.
pub fn totals<'a>(clients: impl Iterator<Item = Option<&'a Tracking>>) -> (usize, usize) {
    let tracking: Vec<&Tracking> = clients.flatten().collect();
    let prefixes: BTreeSet<&Bytes> = tracking.iter().flat_map(|tracking| &tracking.prefixes).collect();
    (tracking.len(), prefixes.len())
}
