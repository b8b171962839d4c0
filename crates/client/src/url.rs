//! Settings as one URL:
//! `redis-sentinel://user:password@s1:26379,s2:26379/mymaster/0?sentinel_password=other&connect_timeout=200ms`.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::address::Address;
use crate::credentials::Credentials;
use crate::retry::{Ambiguous, Retry};
use crate::settings::{Settings, SettingsError};
use crate::tls_url;

/// The port of a Sentinel that the URL names without one.
const SENTINEL_PORT: u16 = 26379;

const SCHEME: &str = "redis-sentinel";

/// The same, with TLS to Sentinels and data nodes.
const TLS_SCHEME: &str = "rediss-sentinel";

/// A part of a URL that cannot be used. Passwords are not repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The URL is of another kind.
    #[error("the url must begin with `redis-sentinel://` or `rediss-sentinel://`")]
    Scheme,
    /// The URL asks for TLS, and this build has none.
    #[error("the url asks for tls: build `sentinel-client` with the feature `tls`")]
    NoTls,
    /// A file that a parameter names cannot be read.
    #[error("`{name}={path}`: {reason}")]
    File {
        /// The parameter.
        name: String,
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A parameter of TLS in a URL without it.
    #[error(
        "`{0}` is of use only with tls: begin the url with `rediss-sentinel://`, or say `tls=sentinels` or `tls=data`"
    )]
    WithoutTls(String),
    /// The place of a Sentinel.
    #[error(
        "sentinel {number} of the url: {reason} (a password ends with `@`; in it write `,` as `%2C` and `@` as `%40`)"
    )]
    Sentinel {
        /// Its place in the list, from 1.
        number: usize,
        /// What is wrong. Its text is not repeated: it may be a part of a password.
        reason: &'static str,
    },
    /// There is an `@` where none can be, so a `/` or `?` before it belongs to a password. Nothing of it is repeated.
    #[error("the url has an `@` after its first `/`: in a user or password write `/` as `%2F` and `?` as `%3F`")]
    UnescapedLogin,
    /// There is a `#` after the Sentinels.
    #[error("the url has a `#` in its path or parameters: write it as `%23`")]
    Fragment,
    /// The path names no master.
    #[error("the url has no master name: `/name` is expected after the sentinels")]
    NoMasterName,
    /// The path goes on after the database.
    #[error("the url's path has more than a master name and a database")]
    LongPath,
    /// The database is no number.
    #[error("the url's path has something after the master name that is not the number of a database")]
    Database,
    /// There is a user but no password.
    #[error("`{0}` has a user but no password")]
    UserWithoutPassword(&'static str),
    /// Percent-encoded text that is not UTF-8.
    #[error("the {0} is not utf-8 once percent-decoded")]
    NotText(&'static str),
    /// A parameter that there is not, by its place, from 1. Its text is not repeated: it may be a part of a password.
    #[error("parameter {0} of the url has a name that is not known (in a value write `&` as `%26`)")]
    UnknownParameter(usize),
    /// A parameter that was there before, by its place, from 1.
    #[error("parameter {0} of the url has a name that was there before")]
    RepeatedParameter(usize),
    /// The value of a parameter.
    #[error("`{name}={value}`: {expected} is expected")]
    Value {
        /// The parameter.
        name: String,
        /// Its value.
        value: String,
        /// What it should have been.
        expected: &'static str,
    },
    /// The parts are well, the whole is not.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl FromStr for Settings {
    type Err = UrlError;

    /// Reads `redis-sentinel://[[user]:password@]host[:port][,host[:port]..]/master[/db][?parameter=value&..]`.
    ///
    /// User, password, master name and values are percent-decoded; a port that is missing is 26379. The parameters:
    /// `sentinel_user`, `sentinel_password`; durations with a unit (`200ms`, `2s`) `connect_timeout`,
    /// `response_timeout`, `check_interval`, `keep_alive`, `budget`, `attempt_timeout`; `attempts`, a number from 1;
    /// `retry_ambiguous`, one of `never`, `if_repeatable`, `always`; `seed`, a number.
    ///
    /// With the feature `tls`: the scheme `rediss-sentinel` encrypts the connections to Sentinels and data nodes, `tls`
    /// (`sentinels`, `data`, `all`, `none`) chooses; `tls_ca`, `tls_cert` and `tls_key` are files in PEM form, read here;
    /// `tls_server_name` is the name to expect in certificates; `tls_insecure=true` takes any certificate.
    fn from_str(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let all_tls = scheme.eq_ignore_ascii_case(TLS_SCHEME);
        if !all_tls && !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(UrlError::Scheme);
        }
        let whole = rest;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').ok_or(UrlError::NoMasterName)?;
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };

        // What stands before it would be told as a bad address otherwise, and it is a secret.
        if path.contains('@') || login.is_none() && hosts.contains(':') && whole.contains('@') && !sentinels_only(hosts)
        {
            return Err(UrlError::UnescapedLogin);
        }
        if path.contains('#') || query.contains('#') {
            return Err(UrlError::Fragment);
        }
        let mut sentinels = Vec::new();
        for (index, host) in hosts.split(',').enumerate() {
            let address = Address::parse(host, Some(SENTINEL_PORT));
            sentinels.push(address.map_err(|error| UrlError::Sentinel { number: index + 1, reason: error.reason() })?);
        }
        let (master, db) = match path.split_once('/') {
            Some((master, db)) => (master, db),
            None => (path, ""),
        };
        if master.is_empty() {
            return Err(UrlError::NoMasterName);
        }
        let mut settings = Self::new(sentinels, decode(master, "master name")?);
        if db.contains('/') {
            return Err(UrlError::LongPath);
        }
        if !db.is_empty() {
            settings.db = db.parse().map_err(|_| UrlError::Database)?;
        }
        if let Some(login) = login {
            let (user, password) = login.split_once(':').ok_or(UrlError::UserWithoutPassword("the url"))?;
            let user = Some(decode(user, "user")?).filter(|user| !user.is_empty());
            settings.data_auth = Some(credentials(user, decode(password, "password")?));
        }
        parameters(&mut settings, query, all_tls)?;
        settings.check()?;
        Ok(settings)
    }
}

/// True if these are addresses and nothing else.
fn sentinels_only(hosts: &str) -> bool {
    hosts.split(',').all(|host| Address::parse(host, Some(SENTINEL_PORT)).is_ok())
}

fn parameters(settings: &mut Settings, query: &str, all_tls: bool) -> Result<(), UrlError> {
    let mut seen: Vec<&str> = Vec::new();
    let (mut user, mut password) = (None, None);
    let mut tls = tls_url::Parameters::new(all_tls);
    for (index, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if seen.contains(&name) {
            return Err(UrlError::RepeatedParameter(index + 1));
        }
        seen.push(name);
        let value = decode(value, "value of a parameter")?;
        match name {
            "sentinel_user" => user = Some(value),
            "sentinel_password" => password = Some(value),
            "connect_timeout" => settings.connect_timeout = duration(name, &value)?,
            "response_timeout" => settings.response_timeout = duration(name, &value)?,
            "check_interval" => settings.check_interval = duration(name, &value)?,
            "keep_alive" => settings.keep_alive = duration(name, &value)?,
            "budget" => settings.retry.budget = duration(name, &value)?,
            "attempt_timeout" => settings.retry.attempt_timeout = Some(duration(name, &value)?),
            "attempts" => retry(settings).attempts = Some(number::<NonZeroU32>(name, &value, "a number from 1")?),
            "seed" => settings.seed = number(name, &value, "a number")?,
            "retry_ambiguous" => {
                retry(settings).ambiguous = match value.as_str() {
                    "never" => Ambiguous::Never,
                    "if_repeatable" => Ambiguous::IfRepeatable,
                    "always" => Ambiguous::Always,
                    _ => return Err(bad(name, &value, "`never`, `if_repeatable` or `always`")),
                }
            }
            _ if tls.take(name, &value)? => {}
            _ => return Err(UrlError::UnknownParameter(index + 1)),
        }
    }
    settings.sentinel_auth = match (user, password) {
        (user, Some(password)) => Some(credentials(user, password)),
        (Some(_), None) => return Err(UrlError::UserWithoutPassword("sentinel_user")),
        (None, None) => None,
    };
    tls.apply(settings)
}

fn retry(settings: &mut Settings) -> &mut Retry {
    &mut settings.retry
}

fn credentials(user: Option<String>, password: String) -> Credentials {
    match user {
        Some(user) => Credentials::user(user, password),
        None => Credentials::password(password),
    }
}

fn decode(text: &str, what: &'static str) -> Result<String, UrlError> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| UrlError::NotText(what))?;
    Ok(decoded.into_owned())
}

pub(crate) fn bad(name: &str, value: &str, expected: &'static str) -> UrlError {
    UrlError::Value { name: name.to_owned(), value: value.to_owned(), expected }
}

fn duration(name: &str, value: &str) -> Result<Duration, UrlError> {
    let parsed = humantime::parse_duration(value).ok().filter(|duration| !duration.is_zero());
    parsed.ok_or_else(|| bad(name, value, "a duration with a unit, as in `200ms`, longer than zero"))
}

fn number<T: FromStr>(name: &str, value: &str, expected: &'static str) -> Result<T, UrlError> {
    value.parse().map_err(|_| bad(name, value, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Settings, UrlError> {
        url.parse()
    }

    #[test]
    fn every_part_is_read() {
        let settings = read(
            "redis-sentinel://app:p%40ss@s1:1,[::1]:2,s3/my%20master/7?sentinel_user=watch&sentinel_password=w&\
             connect_timeout=150ms&response_timeout=1s&check_interval=2s&keep_alive=4s&budget=30s&attempts=5&\
             attempt_timeout=700ms&retry_ambiguous=always&seed=9",
        )
        .expect("a url");
        let sentinels: Vec<String> = settings.sentinels.iter().map(ToString::to_string).collect();
        assert_eq!(sentinels, ["s1:1", "[::1]:2", "s3:26379"]);
        assert_eq!((settings.master.as_str(), settings.db), ("my master", 7));
        assert_eq!(settings.data_auth, Some(Credentials::user("app", "p@ss")));
        assert_eq!(settings.sentinel_auth, Some(Credentials::user("watch", "w")));
        assert_eq!(settings.connect_timeout, Duration::from_millis(150));
        assert_eq!(settings.response_timeout, Duration::from_secs(1));
        assert_eq!(settings.check_interval, Duration::from_secs(2));
        assert_eq!(settings.keep_alive, Duration::from_secs(4));
        assert_eq!(settings.retry.budget, Duration::from_secs(30));
        assert_eq!(settings.retry.attempts, NonZeroU32::new(5));
        assert_eq!(settings.retry.attempt_timeout, Some(Duration::from_millis(700)));
        assert_eq!(settings.retry.ambiguous, Ambiguous::Always);
        assert_eq!(settings.seed, 9);
    }

    #[test]
    fn logins() {
        let login = |url| read(url).expect("a url").data_auth;
        assert_eq!(login("redis-sentinel://s1/m"), None);
        assert_eq!(login("redis-sentinel://:p@s1/m"), Some(Credentials::password("p")));
        assert_eq!(login("redis-sentinel://u:a:b@s1/m"), Some(Credentials::user("u", "a:b")));
    }

    #[test]
    fn each_bad_part_is_named() {
        let table = [
            ("redis://s1/m", "the url must begin with `redis-sentinel://` or `rediss-sentinel://`"),
            ("s1/m", "the url must begin with `redis-sentinel://` or `rediss-sentinel://`"),
            ("redis-sentinel://s1", "the url has no master name: `/name` is expected after the sentinels"),
            ("redis-sentinel://s1/", "the url has no master name: `/name` is expected after the sentinels"),
            (
                "redis-sentinel:///m",
                "sentinel 1 of the url: the host is missing (a password ends with `@`; in it write `,` as `%2C` and `@` as `%40`)",
            ),
            (
                "redis-sentinel://s1,s2:x/m",
                "sentinel 2 of the url: the port is not a number from 1 to 65535 (a password ends with `@`; in it write `,` as `%2C` and `@` as `%40`)",
            ),
            (
                "redis-sentinel://s1,/m",
                "sentinel 2 of the url: the host is missing (a password ends with `@`; in it write `,` as `%2C` and `@` as `%40`)",
            ),
            (
                "redis-sentinel://s1/m/x",
                "the url's path has something after the master name that is not the number of a database",
            ),
            (
                "redis-sentinel://s1/m/-1",
                "the url's path has something after the master name that is not the number of a database",
            ),
            (
                "redis-sentinel://s1;s2/m",
                "sentinel 1 of the url: the host is neither an IP address nor a name (a password ends with `@`; in it write `,` as `%2C` and `@` as `%40`)",
            ),
            ("redis-sentinel://s1/m?budget=584542046090years", "`retry.budget` must not be longer than 365 days"),
            ("redis-sentinel://s1/m/0/y", "the url's path has more than a master name and a database"),
            ("redis-sentinel://s1/m#0", "the url has a `#` in its path or parameters: write it as `%23`"),
            ("redis-sentinel://s1/m/0?budget=40s#x", "the url has a `#` in its path or parameters: write it as `%23`"),
            ("redis-sentinel://u@s1/m", "`the url` has a user but no password"),
            ("redis-sentinel://:%ff@s1/m", "the password is not utf-8 once percent-decoded"),
            ("redis-sentinel://s1/m?sentinel_user=u", "`sentinel_user` has a user but no password"),
            (
                "redis-sentinel://s1/m?timeout=1s",
                "parameter 1 of the url has a name that is not known (in a value write `&` as `%26`)",
            ),
            ("redis-sentinel://s1/m?seed=1&seed=2", "parameter 2 of the url has a name that was there before"),
            ("redis-sentinel://s1/m?seed=x", "`seed=x`: a number is expected"),
            ("redis-sentinel://s1/m?attempts=0", "`attempts=0`: a number from 1 is expected"),
            (
                "redis-sentinel://s1/m?connect_timeout=200",
                "`connect_timeout=200`: a duration with a unit, as in `200ms`, longer than zero is expected",
            ),
            (
                "redis-sentinel://s1/m?budget=0s",
                "`budget=0s`: a duration with a unit, as in `200ms`, longer than zero is expected",
            ),
            (
                "redis-sentinel://s1/m?retry_ambiguous=yes",
                "`retry_ambiguous=yes`: `never`, `if_repeatable` or `always` is expected",
            ),
        ];
        for (url, text) in table {
            assert_eq!(read(url).map(|_| ()).map_err(|error| error.to_string()), Err(text.to_owned()), "{url}");
        }
    }

    #[test]
    fn no_error_repeats_a_password() {
        let urls = [
            "redis-sentinel://u:s3cret@s1:x/m",
            "redis-sentinel://u:s3cret@s1/m?sentinel_password=s3cret&x=1",
            "redis-sentinel://u:s3cret/x@s1/m",
            "redis-sentinel://u:1/s3cret@s1/m",
            "redis-sentinel://u:1/x/s3cret@s1",
            "redis-sentinel://:s3cret?x@s1/m",
            "redis-sentinel://:s3cret/x?y@s1/m",
            "redis-sentinel://:s3cret:s1:26379/m",
            "redis-sentinel://app:s3cret/m",
            "redis-sentinel://app:1/s3cret/m",
            "redis-sentinel://s1/m?sentinel_password=a&s3cret",
            "redis-sentinel://s1/m?s3cret&s3cret",
            "redis-sentinel://u:1/x?s3cret@s1/m",
        ];
        for url in urls {
            let error = read(url).expect_err("a bad url");
            for text in [format!("{error:?}"), error.to_string()] {
                assert!(!text.contains("s3cret"), "{text}");
            }
        }
    }
}
