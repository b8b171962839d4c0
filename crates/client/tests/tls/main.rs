//! Encrypted connections, to Sentinels and data nodes apart, with certificates that are made here. Real time, because
//! certificates and handshakes are of it; nothing waits for a clock.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use redis::AsyncCommands as _;
use sentinel_client::{Client, DiscoveryError, OpenError, Retry, Settings, Tls};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// An authority, and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority"))
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `name`, and its key.
    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        (params.signed_by(&key, &self.0).expect("a certificate"), key)
    }

    /// What a server for `name` needs; with `ask` it wants certificates of its clients.
    fn server(&self, name: &str, ask: bool) -> TlsAcceptor {
        let (certificate, key) = self.sign(name);
        let builder = ServerConfig::builder();
        let builder = if ask {
            let mut roots = RootCertStore::empty();
            roots.add(self.0.der().clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().expect("a verifier");
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = builder.with_single_cert(vec![certificate.der().clone()], key).expect("a server");
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A server that answers each command as `answer` says, through TLS if `acceptor` is given. Returns its port.
async fn serve(acceptor: Option<TlsAcceptor>, answer: impl Fn(&str) -> String + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                match acceptor {
                    None => talk(stream, answer).await,
                    Some(acceptor) => match acceptor.accept(stream).await {
                        Ok(stream) => talk(stream, answer).await,
                        Err(_) => None,
                    },
                }
            });
        }
    });
    port
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, answer: impl Fn(&str) -> String) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut words = Vec::new();
        for _ in 0..header(&mut stream).await? {
            let mut word = vec![0; header(&mut stream).await? + 2];
            stream.read_exact(&mut word).await.ok()?;
            word.truncate(word.len() - 2);
            words.push(String::from_utf8(word).ok()?);
        }
        stream.write_all(answer(&words.join(" ").to_ascii_uppercase()).as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
    }
}

async fn header(stream: &mut (impl AsyncBufRead + Unpin)) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    line.trim_end().get(1..)?.parse().ok()
}

fn master(command: &str) -> String {
    match command {
        "ROLE" => "*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n",
        "GET KEY" => "$5\r\nvalue\r\n",
        _ => "+OK\r\n",
    }
    .to_owned()
}

/// The settings for a Sentinel and a master behind these acceptors.
async fn cluster(sentinel: Option<TlsAcceptor>, data: Option<TlsAcceptor>) -> Settings {
    let port = serve(data, master).await.to_string();
    let answer = move |command: &str| match command {
        "SENTINEL GET-MASTER-ADDR-BY-NAME MYMASTER" => {
            format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{port}\r\n", port.len())
        }
        "SENTINEL SENTINELS MYMASTER" => "*0\r\n".to_owned(),
        _ => "+OK\r\n".to_owned(),
    };
    let retry = Retry { attempts: std::num::NonZeroU32::new(1), ..Retry::default() };
    Settings::new([("127.0.0.1", serve(sentinel, answer).await)], "mymaster").retry(retry)
}

async fn read(settings: Settings) -> redis::RedisResult<String> {
    Client::new(settings).expect("settings").master().get("key").await
}

/// Why the master was not found.
async fn refused(settings: Settings) -> DiscoveryError {
    Client::new(settings).expect("settings").discover_master("mymaster").await.expect_err("no connection")
}

#[tokio::test]
async fn sentinels_and_data_nodes_each_with_their_own_authority() {
    let (watchers, stores) = (Authority::new(), Authority::new());
    let settings = cluster(Some(watchers.server("127.0.0.1", false)), Some(stores.server("127.0.0.1", false))).await;
    let (theirs, ours) = (Tls::new().ca_pem(watchers.pem()), Tls::new().ca_pem(stores.pem()));
    let right = settings.clone().sentinel_tls(theirs.clone()).data_tls(ours.clone());
    assert_eq!(read(right).await.as_deref(), Ok("value"));

    let error = refused(settings.clone().sentinel_tls(ours.clone()).data_tls(ours)).await;
    assert!(
        matches!(&error, DiscoveryError::Unreachable { sentinels } if matches!(sentinels[0].1, OpenError::Tls(_))),
        "{error}"
    );
    let error = refused(settings.sentinel_tls(theirs.clone()).data_tls(theirs)).await;
    assert!(matches!(&error, DiscoveryError::NodeUnreachable { error: OpenError::Tls(_), .. }), "{error}");
}

#[tokio::test]
async fn one_kind_of_node_alone_is_encrypted() {
    let authority = Authority::new();
    let tls = Tls::new().ca_pem(authority.pem());
    let settings = cluster(Some(authority.server("127.0.0.1", false)), None).await;
    assert_eq!(read(settings.sentinel_tls(tls.clone())).await.as_deref(), Ok("value"));
    let settings = cluster(None, Some(authority.server("127.0.0.1", false))).await;
    assert_eq!(read(settings.data_tls(tls)).await.as_deref(), Ok("value"));
}

#[tokio::test]
async fn a_certificate_for_a_name_needs_that_name_in_the_settings() {
    let authority = Authority::new();
    let settings = cluster(None, Some(authority.server("redis.internal", false))).await;
    let tls = Tls::new().ca_pem(authority.pem());
    let error = refused(settings.clone().data_tls(tls.clone())).await.to_string();
    assert!(error.contains("tls: ") && error.contains("redis.internal"), "{error}");
    assert_eq!(read(settings.clone().data_tls(tls.server_name("redis.internal"))).await.as_deref(), Ok("value"));
    assert_eq!(read(settings.data_tls(Tls::new().insecure())).await.as_deref(), Ok("value"));
}

#[tokio::test]
async fn a_node_that_asks_for_a_certificate_gets_it() {
    let authority = Authority::new();
    let settings = cluster(None, Some(authority.server("127.0.0.1", true))).await;
    let tls = Tls::new().ca_pem(authority.pem());
    refused(settings.clone().data_tls(tls.clone())).await;
    let (certificate, key) = authority.sign("client");
    let tls = tls.identity_pem(certificate.pem(), key.serialize_pem());
    assert_eq!(read(settings.data_tls(tls)).await.as_deref(), Ok("value"));
}

#[tokio::test]
async fn a_url_says_all_of_it() {
    let authority = Authority::new();
    let file = std::env::temp_dir().join(format!("sentinel-client-ca-{}.pem", std::process::id()));
    std::fs::write(&file, authority.pem()).expect("a file");
    let port = serve(Some(authority.server("redis", false)), master).await.to_string();
    let answer = move |command: &str| match command {
        "SENTINEL GET-MASTER-ADDR-BY-NAME MYMASTER" => {
            format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{port}\r\n", port.len())
        }
        _ => "*0\r\n".to_owned(),
    };
    let sentinel = serve(Some(authority.server("redis", false)), answer).await;
    let url =
        format!("rediss-sentinel://127.0.0.1:{sentinel}/mymaster?tls_ca={}&tls_server_name=redis", file.display());
    let client = Client::open(&url);
    std::fs::remove_file(&file).expect("the file");
    assert_eq!(client.expect("a url").master().get::<_, String>("key").await.as_deref(), Ok("value"));
    let told = |url: &str| Client::open(url).map(|_| ()).map_err(|error| error.to_string());
    let missing = told(&url).unwrap_err();
    assert!(missing.starts_with("`tls_ca=/"), "{missing}");
    let table = [
        ("redis-sentinel://s1/m?tls=perhaps", "`tls=perhaps`: `sentinels`, `data`, `all` or `none` is expected"),
        (
            "redis-sentinel://s1/m?tls_insecure=true",
            "`tls_insecure` is of use only with tls: begin the url with `rediss-sentinel://`, or say `tls=sentinels` or \
             `tls=data`",
        ),
    ];
    for (url, text) in table {
        assert_eq!(told(url), Err(text.to_owned()));
    }
}
