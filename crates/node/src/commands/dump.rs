//! `DUMP` and `RESTORE`: a value out of one data set and into another.

use bytes::Bytes;
use model::{Command, Reply};

use crate::access::{Access, DataResult, Failure};
use crate::args::{SYNTAX, int, is, number};
use crate::rdb;

pub(crate) fn dump(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(access.get(&args[1]).map_or(Reply::Null, |value| Reply::Bulk(rdb::dump(value))))
}

struct Options {
    replace: bool,
    /// The time to live is a moment.
    absolute: bool,
    /// Seconds.
    idle: Option<i64>,
}

/// How often the key was used is checked and forgotten: nothing is evicted here.
fn options(words: &[Bytes]) -> Result<Options, Failure> {
    let mut options = Options { replace: false, absolute: false, idle: None };
    let mut used = false;
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match () {
            () if is(word, "REPLACE") => options.replace = true,
            () if is(word, "ABSTTL") => options.absolute = true,
            () if is(word, "IDLETIME") && !used => {
                let seconds = int(rest.next().ok_or(SYNTAX)?)?;
                if seconds < 0 {
                    return Err("ERR Invalid IDLETIME value, must be >= 0".into());
                }
                options.idle = Some(seconds);
            }
            () if is(word, "FREQ") && options.idle.is_none() => {
                if !(0..=255).contains(&int(rest.next().ok_or(SYNTAX)?)?) {
                    return Err("ERR Invalid FREQ value, must be >= 0 and <= 255".into());
                }
                used = true;
            }
            () => return Err(SYNTAX),
        }
    }
    Ok(options)
}

pub(crate) fn restore(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let options = options(&args[4..])?;
    let key = &args[1];
    access.counts = true;
    if !options.replace && access.get(key).is_some() {
        return Err("BUSYKEY Target key name already exists.".into());
    }
    access.counts = false;
    let lives = int(&args[2])?;
    if lives < 0 {
        return Err("ERR Invalid TTL value, must be >= 0".into());
    }
    let value = rdb::restore(&args[3]).map_err(|error| match error {
        rdb::ReadError::Checksum => "ERR DUMP payload version or checksum are wrong",
        _ => "ERR Bad data format",
    })?;
    let base = if options.absolute { 0 } else { access.now };
    let expires_at = (lives > 0).then(|| base.saturating_add(lives.unsigned_abs()));
    if expires_at.is_some_and(|at| at <= access.now) {
        if access.delete(key) {
            access.propagate_instead(Command::of(&["DEL"]).arg(key.clone()));
        }
        return Ok(Reply::OK);
    }
    access.store("restore", key, value, expires_at);
    if let Some(seconds) = options.idle {
        access.set_idle(key, seconds);
    }
    access.effects.ready.push((access.db, key.clone()));
    if let Some(at) = expires_at.filter(|_| !options.absolute) {
        let mut words = args.to_vec();
        words[2] = number(at);
        access.propagate_instead(Command(words).arg("ABSTTL"));
    }
    Ok(Reply::OK)
}
