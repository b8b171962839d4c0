//! [`Credentials`]: a user and a password that never appear in `Debug` output, errors or logs.

use std::fmt;

/// A password, and the ACL user that it belongs to.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: Option<String>,
    password: String,
}

impl Credentials {
    /// The password of the default user, as `requirepass` sets it.
    pub fn password(password: impl Into<String>) -> Self {
        Self { user: None, password: password.into() }
    }

    /// An ACL user and its password.
    pub fn user(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: Some(user.into()), password: password.into() }
    }

    /// The command that logs in with these credentials.
    pub(crate) fn auth(&self) -> redis::Cmd {
        let mut command = redis::cmd("AUTH");
        command.arg(self.user.as_deref()).arg(&self.password);
        command
    }

    /// `info` with these credentials.
    pub(crate) fn apply(&self, info: redis::RedisConnectionInfo) -> redis::RedisConnectionInfo {
        let info = info.set_password(&self.password);
        match &self.user {
            Some(user) => info.set_username(user),
            None => info,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).field("password", &"***").finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_not_shown() {
        let shown = format!("{:?}", Credentials::user("app", "s3cret"));
        assert!(shown.contains("app") && !shown.contains("s3cret"), "{shown}");
    }
}
