//! [`Authority`]: who signs the certificates of nodes; [`Session`]: the TLS of one connection.
//!
//! rustls does no I/O of its own: bytes come and go through the connection's socket, as those of [`Wire`] do where nothing is
//! encrypted. So a handshake takes no virtual time. What the parties draw for it is not seeded, and nothing that is recorded
//! depends on it.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::mem::take;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::BytesMut;
use model::plan::Cluster;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};

use super::wire::Wire;

/// Bytes that are encrypted at a time: the most that one record holds. What is encrypted counts no more for the limits on
/// what waits.
const RECORD_MAX: usize = 16 * 1024;

/// Who signs the certificates of the nodes of a run.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    server_name: Option<String>,
    /// The names of the cluster, which all certificates have.
    hosts: Vec<String>,
    /// What speaks TLS at each address.
    servers: BTreeMap<IpAddr, Arc<ServerConfig>>,
}

impl Authority {
    pub(super) fn new(cluster: &Cluster) -> io::Result<Self> {
        let mut params = params(Vec::new(), "sentinel-lab authority")?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(io::Error::other)?);
        Ok(Self {
            issuer: issuer.map_err(io::Error::other)?,
            server_name: cluster.tls.server_name.clone(),
            hosts: cluster.hosts.keys().cloned().collect(),
            servers: BTreeMap::new(),
        })
    }

    /// Its own certificate.
    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The TLS of a connection that was accepted at this address.
    pub(super) fn session(&mut self, ip: IpAddr) -> io::Result<Session> {
        let config = match self.servers.get(&ip) {
            Some(config) => Arc::clone(config),
            None => Arc::new(self.server(ip)?),
        };
        self.servers.insert(ip, Arc::clone(&config));
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Session { connection, held: Vec::new(), output: Vec::new(), written: 0, ended: false, goodbye: false })
    }

    /// What a node at this address needs.
    fn server(&self, ip: IpAddr) -> io::Result<ServerConfig> {
        let names = match &self.server_name {
            Some(name) => vec![name.clone()],
            None => std::iter::once(ip.to_string()).chain(self.hosts.iter().cloned()).collect(),
        };
        let mut params = params(names, "sentinel-lab node")?;
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(io::Error::other)?;
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key))
            .map_err(io::Error::other)
    }
}

/// A certificate with these alternative names. Issuer and subject must differ, or some take it for one that signed itself.
fn params(names: Vec<String>, subject: &str) -> io::Result<CertificateParams> {
    let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
    params.distinguished_name.push(DnType::CommonName, subject);
    Ok(params)
}

/// The TLS of one connection.
pub(super) struct Session {
    connection: ServerConnection,
    /// What arrived and was not decrypted.
    held: Vec<u8>,
    /// What was encrypted, of which so much was `written`.
    output: Vec<u8>,
    written: usize,
    /// The client has said that nothing more comes.
    ended: bool,
    /// The client is to be told that nothing more comes.
    goodbye: bool,
}

impl Session {
    /// Keeps what has arrived.
    pub(super) fn hold(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// True if something has arrived that is not decrypted.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// True as long as the parties have not agreed, for which both processes must do their part.
    pub(super) fn is_shaking_hands(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// True once the client has said that nothing more comes.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Decrypts what has arrived. After an error nothing more can be understood; what the client is told of it is in the output.
    pub(super) fn decrypt(&mut self, plain: &mut BytesMut) -> Result<(), rustls::Error> {
        let held = take(&mut self.held);
        let mut arrived = held.as_slice();
        while !arrived.is_empty() && !self.ended {
            if self.connection.read_tls(&mut arrived).is_err() {
                return Err(rustls::Error::General("more waits than a record may have".to_owned()));
            }
            let state = match self.connection.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    // Redis has nothing to say to who speaks no TLS at all.
                    if matches!(error, rustls::Error::InvalidMessage(_)) {
                        while self.connection.wants_write() && self.connection.write_tls(&mut io::sink()).is_ok() {}
                    }
                    return Err(error);
                }
            };
            let start = plain.len();
            plain.resize(start + state.plaintext_bytes_to_read(), 0);
            // As many are there.
            let _ = self.connection.reader().read_exact(&mut plain[start..]);
            self.ended = state.peer_has_closed();
        }
        Ok(())
    }

    /// What is to be written to the socket: some of what waits in `wire`, if nothing else does.
    pub(super) fn output(&mut self, wire: &mut Wire) -> &[u8] {
        if self.written == self.output.len() {
            self.give_up();
            let record = &wire.output()[..wire.output().len().min(RECORD_MAX)];
            if !record.is_empty() {
                let taken = self.connection.writer().write(record).unwrap_or_default();
                wire.written(taken);
            }
            if wire.output().is_empty() && take(&mut self.goodbye) && !self.connection.is_handshaking() {
                self.connection.send_close_notify();
            }
            while self.connection.wants_write() && self.connection.write_tls(&mut self.output).is_ok() {}
        }
        &self.output[self.written..]
    }

    /// True if something of its own is to be said: of a handshake, or why it has failed.
    pub(super) fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// Has the client told, after all else, that nothing more comes.
    pub(super) fn say_goodbye(&mut self) {
        self.goodbye = true;
    }

    /// So much of the output was written.
    pub(super) fn written(&mut self, bytes: usize) {
        self.written += bytes;
    }

    /// Drops what waits.
    pub(super) fn give_up(&mut self) {
        self.output.clear();
        self.written = 0;
    }
}
