//! [`Tls`]: encrypted connections, to Sentinels and to data nodes apart. Without the feature `tls` there are none.

use std::time::Duration;

use crate::address::Address;
use crate::error::OpenError;
use crate::metrics::Peer;
use crate::settings::{Settings, SettingsError};
use crate::stream::Stream;

#[cfg(feature = "tls")]
pub(crate) use with::Connectors;
#[cfg(feature = "tls")]
pub use with::Tls;
#[cfg(not(feature = "tls"))]
pub(crate) use without::Connectors;

#[cfg(not(feature = "tls"))]
mod without {
    use super::{Address, Duration, OpenError, Peer, Settings, SettingsError, Stream};

    /// Nothing is encrypted.
    #[derive(Debug)]
    pub(crate) struct Connectors;

    #[allow(clippy::unused_self, clippy::unused_async, clippy::unnecessary_wraps)]
    impl Connectors {
        pub(crate) fn new(_: &Settings) -> Result<Self, SettingsError> {
            Ok(Self)
        }

        pub(crate) async fn apply(
            &self,
            _: Peer,
            _: &Address,
            stream: Stream,
            _: Duration,
        ) -> Result<Stream, OpenError> {
            Ok(stream)
        }
    }
}

#[cfg(feature = "tls")]
mod with {
    use std::fmt;
    use std::sync::Arc;

    use tokio::time::timeout;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
    use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

    use super::{Address, Duration, OpenError, Peer, Settings, SettingsError, Stream};

    /// How connections are encrypted. Needs the feature `tls`.
    ///
    /// Unless told otherwise, the certificate of a node must be signed by an authority that the system trusts, and name
    /// the host that was dialled. Sentinels name nodes by their IP address unless `announce-hostnames` is on, and then
    /// certificates that name hosts do not fit: [`Tls::server_name`] says which name to expect instead.
    ///
    /// ```
    /// # fn settings(pem: Vec<u8>) -> sentinel_client::Settings {
    /// use sentinel_client::{Settings, Tls};
    /// let tls = Tls::new().ca_pem(pem).server_name("redis.internal");
    /// Settings::new([("s1", 26379)], "mymaster").sentinel_tls(tls.clone()).data_tls(tls)
    /// # }
    /// ```
    #[derive(Clone, Default)]
    pub struct Tls {
        authority: Option<Vec<u8>>,
        identity: Option<(Vec<u8>, Vec<u8>)>,
        server_name: Option<String>,
        insecure: bool,
    }

    impl Tls {
        /// Encryption with the authorities that the system trusts.
        pub fn new() -> Self {
            Self::default()
        }

        /// Trusts these authorities, certificates in PEM form, instead of those of the system.
        #[must_use]
        pub fn ca_pem(mut self, certificates: impl Into<Vec<u8>>) -> Self {
            self.authority = Some(certificates.into());
            self
        }

        /// Shows this certificate, with its chain, to nodes that ask for one, as Redis does unless `tls-auth-clients` is
        /// off. Certificate and private key in PEM form.
        #[must_use]
        pub fn identity_pem(mut self, certificates: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
            self.identity = Some((certificates.into(), key.into()));
            self
        }

        /// Expects this name in every certificate, whatever host was dialled.
        #[must_use]
        pub fn server_name(mut self, name: impl Into<String>) -> Self {
            self.server_name = Some(name.into());
            self
        }

        /// Takes any certificate. What is sent is encrypted then, but anybody in between can read and change it: for
        /// tests.
        #[must_use]
        pub fn insecure(mut self) -> Self {
            self.insecure = true;
            self
        }

        fn config(&self) -> Result<ClientConfig, String> {
            let provider = Arc::new(ring::default_provider());
            let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?;
            let builder = if self.insecure {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            } else {
                builder.with_root_certificates(self.roots()?)
            };
            match &self.identity {
                None => Ok(builder.with_no_client_auth()),
                Some((chain, key)) => {
                    let key =
                        PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("the private key: {error}"))?;
                    let chain = certificates(chain).map_err(|error| format!("the client's certificate: {error}"))?;
                    builder.with_client_auth_cert(chain, key).map_err(|error| error.to_string())
                }
            }
        }

        fn roots(&self) -> Result<RootCertStore, String> {
            let mut roots = RootCertStore::empty();
            if let Some(pem) = &self.authority {
                for certificate in certificates(pem).map_err(|error| format!("the authority: {error}"))? {
                    roots.add(certificate).map_err(|error| format!("the authority: {error}"))?;
                }
            } else {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            if roots.is_empty() { Err("no authority is trusted".to_owned()) } else { Ok(roots) }
        }
    }

    fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        match read {
            Ok(certificates) if certificates.is_empty() => Err("no certificate in PEM form".to_owned()),
            Ok(certificates) => Ok(certificates),
            Err(error) => Err(error.to_string()),
        }
    }

    impl fmt::Debug for Tls {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Tls")
                .field("authority", &if self.authority.is_some() { "given" } else { "of the system" })
                .field("identity", &if self.identity.is_some() { "***" } else { "none" })
                .field("server_name", &self.server_name)
                .field("insecure", &self.insecure)
                .finish()
        }
    }

    /// What encrypts connections, for each kind of node.
    #[derive(Debug)]
    pub(crate) struct Connectors {
        sentinels: Option<Connector>,
        data: Option<Connector>,
    }

    struct Connector {
        connector: TlsConnector,
        server_name: Option<ServerName<'static>>,
    }

    impl fmt::Debug for Connector {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Connector").field("server_name", &self.server_name).finish_non_exhaustive()
        }
    }

    impl Connectors {
        pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
            let connector = |tls: &Option<Tls>| tls.as_ref().map(Connector::new).transpose();
            Ok(Self { sentinels: connector(&settings.sentinel_tls)?, data: connector(&settings.data_tls)? })
        }

        pub(crate) async fn apply(
            &self,
            peer: Peer,
            address: &Address,
            stream: Stream,
            within: Duration,
        ) -> Result<Stream, OpenError> {
            let connector = match peer {
                Peer::Sentinel => &self.sentinels,
                Peer::Data => &self.data,
            };
            let Some(Connector { connector, server_name }) = connector else { return Ok(stream) };
            let name = match server_name {
                Some(name) => name.clone(),
                None => ServerName::try_from(address.host().to_owned())
                    .map_err(|error| OpenError::Tls(format!("`{}`: {error}", address.host())))?,
            };
            match timeout(within, connector.connect(name, stream)).await {
                Ok(Ok(stream)) => Ok(Box::new(stream)),
                Ok(Err(error)) => Err(OpenError::Tls(error.to_string())),
                Err(_) => Err(OpenError::TimedOut(within)),
            }
        }
    }

    impl Connector {
        fn new(tls: &Tls) -> Result<Self, SettingsError> {
            let config = tls.config().map_err(SettingsError::Tls)?;
            let server_name = tls.server_name.as_ref().map(|name| {
                ServerName::try_from(name.clone())
                    .map_err(|_| SettingsError::Tls(format!("`{name}` is neither a host name nor an IP address")))
            });
            Ok(Self { connector: TlsConnector::from(Arc::new(config)), server_name: server_name.transpose()? })
        }
    }

    /// Takes any certificate, but holds the node to having its key.
    #[derive(Debug)]
    struct AnyCertificate(Arc<CryptoProvider>);

    impl ServerCertVerifier for AnyCertificate {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn keys_are_not_shown() {
            let shown = format!("{:?}", Tls::new().identity_pem("chain", "s3cret").server_name("redis"));
            assert!(shown.contains("redis") && !shown.contains("s3cret") && !shown.contains("115"), "{shown}");
        }

        #[test]
        fn what_cannot_be_used_is_named() {
            let told = |tls: Tls| Connector::new(&tls).map(|_| ()).map_err(|error| error.to_string());
            assert_eq!(told(Tls::new().insecure()), Ok(()));
            let table = [
                (Tls::new().ca_pem("nonsense"), "tls: the authority: no certificate in PEM form"),
                (
                    Tls::new().insecure().server_name("no name"),
                    "tls: `no name` is neither a host name nor an IP address",
                ),
            ];
            for (tls, text) in table {
                assert_eq!(told(tls), Err(text.to_owned()));
            }
            let key = told(Tls::new().insecure().identity_pem("nonsense", "nonsense")).unwrap_err();
            assert!(key.starts_with("tls: the private key: "), "{key}");
        }
    }
}
