//! `XGROUP`: groups and their consumers.

use bytes::Bytes;
use model::Reply;

use super::ids::id;
use crate::access::{Access, DataResult, Failure};
use crate::args::{int, is, text, wrong_subcommand, yes_no};
use crate::keyspace::stream::{Consumer, Group};

const NO_KEY: Failure = std::borrow::Cow::Borrowed(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to \
     create an empty stream automatically.",
);

/// The event of a consumer that was not there before.
pub(super) const NEW_CONSUMER: &str = "xgroup-createconsumer";

/// How many entries a group has read, -1 if it is not known.
fn entries_read(arg: &[u8]) -> Result<i64, Failure> {
    let read = int(arg)?;
    if read < -1 { Err("ERR value for ENTRIESREAD must be positive or -1".into()) } else { Ok(read) }
}

pub(crate) fn xgroup_create(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let (key, name) = (&args[2], &args[3]);
    let (mut make, mut read) = (false, -1);
    let syntax = || wrong_subcommand("XGROUP", &args[1]);
    let mut rest = args[5..].iter();
    while let Some(option) = rest.next() {
        match () {
            () if is(option, "MKSTREAM") => make = true,
            () if is(option, "ENTRIESREAD") => read = entries_read(rest.next().ok_or_else(syntax)?)?,
            () => return Err(syntax()),
        }
    }
    let top = access.stream(key)?.map(|stream| stream.last_id);
    if top.is_none() && !make {
        return Err(NO_KEY);
    }
    let last_id = if &args[4][..] == b"$" { top.unwrap_or_default() } else { id(&args[4], 0)? };
    let stream = access.stream_or_new(key)?;
    if stream.groups.contains_key(name) {
        return Err("BUSYGROUP Consumer Group name already exists".into());
    }
    stream.groups.insert(name.clone(), Group { last_id, read, ..Group::default() });
    access.changed("xgroup-create", key, 1);
    Ok(Reply::OK)
}

/// The group that an `XGROUP` command names.
fn named<'a>(access: &'a mut Access<'_>, args: &[Bytes]) -> Result<&'a mut Group, Failure> {
    let Some(stream) = access.stream(&args[2])? else {
        return Err(NO_KEY);
    };
    let missing = || format!("NOGROUP No such consumer group '{}' for key name '{}'", text(&args[3]), text(&args[2]));
    stream.groups.get_mut(&args[3]).ok_or_else(|| missing().into())
}

pub(crate) fn xgroup_setid(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let read = match &args[5..] {
        [] => -1,
        [word, read] if is(word, "ENTRIESREAD") => entries_read(read)?,
        _ => return Err(wrong_subcommand("XGROUP", &args[1])),
    };
    let last = access.stream(&args[2])?.map(|stream| stream.last_id).unwrap_or_default();
    let group = named(access, args)?;
    group.last_id = if &args[4][..] == b"$" { last } else { id(&args[4], 0)? };
    group.read = read;
    access.changed("xgroup-setid", &args[2], 1);
    Ok(Reply::OK)
}

pub(crate) fn xgroup_destroy(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let Some(stream) = access.stream(&args[2])? else { return Err(NO_KEY) };
    let gone = stream.groups.remove(&args[3]).is_some();
    if gone {
        access.changed("xgroup-destroy", &args[2], 1);
        access.effects.ready.push((access.db, args[2].clone()));
    }
    Ok(yes_no(gone))
}

pub(crate) fn xgroup_createconsumer(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let now = access.now;
    let group = named(access, args)?;
    let new = !group.consumers.contains_key(&args[4]);
    if new {
        group.consumers.insert(args[4].clone(), Consumer { seen: now });
        access.changed(NEW_CONSUMER, &args[2], 1);
    }
    Ok(yes_no(new))
}

pub(crate) fn xgroup_delconsumer(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let group = named(access, args)?;
    let before = group.pending.len();
    group.pending.retain(|_, pending| pending.consumer != args[4]);
    let dropped = before - group.pending.len();
    if group.consumers.remove(&args[4]).is_some() {
        access.changed("xgroup-delconsumer", &args[2], 1);
    }
    Ok(Reply::Int(dropped as i64))
}
