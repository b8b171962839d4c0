//! What a URL says about TLS.

use crate::settings::Settings;
use crate::url::{UrlError, bad};

/// The parameters of TLS, as far as they have been read.
#[derive(Default)]
pub(crate) struct Parameters {
    sentinels: bool,
    data: bool,
    files: [Option<Vec<u8>>; 3],
    server_name: Option<String>,
    insecure: bool,
    /// The last parameter that is of use only with TLS.
    detail: Option<String>,
}

const FILES: [&str; 3] = ["tls_ca", "tls_cert", "tls_key"];

impl Parameters {
    /// With TLS to all nodes, if the scheme says so.
    pub(crate) fn new(all: bool) -> Self {
        Self { sentinels: all, data: all, ..Self::default() }
    }

    /// Takes a parameter; false if it is none of TLS.
    pub(crate) fn take(&mut self, name: &str, value: &str) -> Result<bool, UrlError> {
        if let Some(index) = FILES.iter().position(|file| *file == name) {
            let read = std::fs::read(value).map_err(|error| UrlError::File {
                name: name.to_owned(),
                path: value.to_owned(),
                reason: error.to_string(),
            });
            self.files[index] = Some(read?);
        } else if name == "tls_server_name" {
            self.server_name = Some(value.to_owned());
        } else if name == "tls_insecure" {
            self.insecure = value.parse().map_err(|_| bad(name, value, "`true` or `false`"))?;
        } else if name == "tls" {
            (self.sentinels, self.data) = match value {
                "sentinels" => (true, false),
                "data" => (false, true),
                "all" => (true, true),
                "none" => (false, false),
                _ => return Err(bad(name, value, "`sentinels`, `data`, `all` or `none`")),
            };
            return Ok(true);
        } else {
            return Ok(false);
        }
        self.detail = Some(name.to_owned());
        Ok(true)
    }

    /// Puts into the settings what was read.
    pub(crate) fn apply(self, settings: &mut Settings) -> Result<(), UrlError> {
        match (self.sentinels || self.data, self.detail.clone()) {
            (false, Some(detail)) => Err(UrlError::WithoutTls(detail)),
            (false, None) => Ok(()),
            (true, _) => self.encrypt(settings),
        }
    }

    #[cfg(not(feature = "tls"))]
    #[allow(clippy::unused_self)]
    fn encrypt(self, _: &mut Settings) -> Result<(), UrlError> {
        Err(UrlError::NoTls)
    }

    #[cfg(feature = "tls")]
    fn encrypt(self, settings: &mut Settings) -> Result<(), UrlError> {
        let mut tls = crate::tls::Tls::new();
        let [authority, certificate, key] = self.files;
        if let Some(authority) = authority {
            tls = tls.ca_pem(authority);
        }
        tls = match (certificate, key) {
            (Some(certificate), Some(key)) => tls.identity_pem(certificate, key),
            (None, None) => tls,
            (Some(_), None) => return Err(bad("tls_key", "", "the file of the key of `tls_cert`")),
            (None, Some(_)) => return Err(bad("tls_cert", "", "the file of the certificate of `tls_key`")),
        };
        if let Some(name) = self.server_name {
            tls = tls.server_name(name);
        }
        if self.insecure {
            tls = tls.insecure();
        }
        settings.sentinel_tls = self.sentinels.then(|| tls.clone());
        settings.data_tls = self.data.then_some(tls);
        Ok(())
    }
}
