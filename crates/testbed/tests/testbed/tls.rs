//! Nodes that speak TLS, as clients meet them: with the right authority and name, with wrong ones, and plainly.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use model::plan::{Host, Tls};
use model::{Fault, NodeId, Target, Time};
use sentinel_lab_testbed::{Listen, Server, Testbed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const SECOND: Duration = Duration::from_secs(1);
const REDIS_1: NodeId = NodeId::data(1);
const SENTINEL_1: NodeId = NodeId::sentinel(1);

async fn bed(tls: Tls) -> Testbed {
    let host = |plan: &mut model::Plan| {
        plan.cluster.tls = tls;
        plan.cluster.hosts.insert("db.lab".to_owned(), Host::Node(REDIS_1));
    };
    Testbed::builder().plan(host).seed(7).start().await.unwrap()
}

fn both() -> Tls {
    Tls { data: true, sentinels: true, server_name: None }
}

/// Connects with TLS; `name` is what the certificate must have, or the address.
async fn connect(authority: &str, addr: SocketAddr, name: Option<&str>) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.map_or_else(|| addr.ip().to_string(), str::to_owned)).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(addr).await?).await
}

async fn connect_to(bed: &Testbed, node: NodeId, name: Option<&str>) -> io::Result<TlsStream<TcpStream>> {
    connect(&bed.tls().unwrap().authority, bed.node_addr(node).unwrap(), name).await
}

async fn ping(stream: &mut TlsStream<TcpStream>) -> io::Result<[u8; 7]> {
    stream.write_all(b"PING\r\n").await?;
    let mut reply = [0; 7];
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}

#[tokio::test(start_paused = true)]
async fn nodes_show_their_address_and_the_names_and_take_no_virtual_time() {
    let bed = bed(both()).await;
    for node in [REDIS_1, NodeId::data(2), SENTINEL_1] {
        for name in [None, Some("db.lab")] {
            let mut stream = connect_to(&bed, node, name).await.unwrap();
            assert_eq!(&ping(&mut stream).await.unwrap(), b"+PONG\r\n", "{node} {name:?}");
        }
        let error = connect_to(&bed, node, Some("other.lab")).await.unwrap_err().to_string();
        assert!(error.contains("certificate not valid for name \"other.lab\""), "{error}");
    }
    assert_eq!(bed.now(), Time::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_server_name_is_the_only_name() {
    let bed = bed(Tls { server_name: Some("redis.lab".to_owned()), ..both() }).await;
    assert_eq!(bed.tls().unwrap().server_name.as_deref(), Some("redis.lab"));
    assert!(connect_to(&bed, REDIS_1, Some("redis.lab")).await.is_ok());
    for name in [None, Some("db.lab")] {
        let error = connect_to(&bed, REDIS_1, name).await.unwrap_err().to_string();
        assert!(error.contains("certificate not valid for name"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_authority_is_not_taken() {
    let (bed, other) = (bed(both()).await, bed(both()).await);
    let (theirs, addr) = (other.tls().unwrap().authority, bed.node_addr(REDIS_1).unwrap());
    let error = connect(&theirs, addr, None).await.unwrap_err().to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn one_kind_of_node_alone_speaks_it() {
    for (data, sentinels) in [(true, false), (false, true)] {
        let bed = bed(Tls { data, sentinels, server_name: None }).await;
        for (node, encrypted) in [(REDIS_1, data), (SENTINEL_1, sentinels)] {
            // Who greets a plain node with TLS is never answered, as by Redis.
            let greeted = timeout(SECOND, connect_to(&bed, node, None)).await;
            assert_eq!(greeted.is_ok_and(|greeted| greeted.is_ok()), encrypted, "{node}");
            let mut plain = TcpStream::connect(bed.node_addr(node).unwrap()).await.unwrap();
            plain.write_all(b"*1\r\n$4\r\nPING\r\n").await.unwrap();
            let mut reply = Vec::new();
            // Redis hangs up on who does not, without a word.
            let ended = timeout(SECOND, plain.read_to_end(&mut reply)).await.is_ok();
            assert_eq!((ended, &reply[..]), (encrypted, if encrypted { &b""[..] } else { b"+PONG\r\n" }), "{node}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_frozen_node_shakes_hands_when_it_thaws() {
    let bed = bed(both()).await;
    let mut before = connect_to(&bed, REDIS_1, None).await.unwrap();
    bed.inject_lasting(Fault::Freeze(Target::Node(REDIS_1)), 3 * SECOND).await.unwrap();
    let given_up = timeout(SECOND, connect_to(&bed, REDIS_1, None)).await;
    assert!(given_up.is_err(), "nobody is there to answer");
    let mut during = connect_to(&bed, REDIS_1, None).await.unwrap();
    assert_eq!(bed.now(), Time::from_millis(3_000));
    for stream in [&mut before, &mut during] {
        assert_eq!(&ping(stream).await.unwrap(), b"+PONG\r\n");
    }
}

#[tokio::test(start_paused = true)]
async fn much_goes_through_it_both_ways() {
    const LEN: usize = 5_000_000;
    let bed = bed(both()).await;
    let mut stream = connect_to(&bed, REDIS_1, None).await.unwrap();
    let value: Vec<u8> = (0..LEN).map(|index| b'a' + (index % 23) as u8).collect();
    let command = [format!("*2\r\n$4\r\nECHO\r\n${LEN}\r\n").as_bytes(), &value, b"\r\n"].concat();
    stream.write_all(&command).await.unwrap();
    stream.flush().await.unwrap();
    let mut reply = vec![0; LEN + format!("${LEN}\r\n\r\n").len()];
    stream.read_exact(&mut reply).await.unwrap();
    assert!(reply == [format!("${LEN}\r\n").as_bytes(), &value, b"\r\n"].concat());
}

/// As Redis does: who is sent away is told so, who loses a node is not.
#[tokio::test(start_paused = true)]
async fn a_node_that_closes_says_goodbye_and_one_that_dies_does_not() {
    let bed = bed(both()).await;
    let mut stream = connect_to(&bed, REDIS_1, None).await.unwrap();
    stream.write_all(b"QUIT\r\n").await.unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.unwrap();
    assert_eq!(reply, b"+OK\r\n");
    let mut stream = connect_to(&bed, REDIS_1, None).await.unwrap();
    ping(&mut stream).await.unwrap();
    bed.inject(Fault::Kill(Target::Node(REDIS_1))).await.unwrap();
    let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
}

#[tokio::test]
async fn a_served_cluster_speaks_it_too() {
    let server = Server::start(bed_plan(), model::Seed(1), &Listen::default()).unwrap();
    let authority = server.tls().unwrap().authority;
    for node in [REDIS_1, SENTINEL_1] {
        let mut stream = connect(&authority, server.addr(node).unwrap(), None).await.unwrap();
        assert_eq!(&ping(&mut stream).await.unwrap(), b"+PONG\r\n", "{node}");
    }
}

fn bed_plan() -> model::Plan {
    let mut plan = model::Plan {
        title: String::new(),
        cluster: model::plan::Cluster::standard(),
        clients: Vec::new(),
        timeline: Vec::new(),
        run_for: SECOND,
        expect: model::plan::Expect::default(),
    };
    plan.cluster.tls = both();
    plan
}
