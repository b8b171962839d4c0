//! `sentinel-lab serve`: a cluster in real time, for whoever connects.

use std::fs::File;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::history::Record;
use model::{Fault, History, NodeId, Plan, Seed, Time};
use serde::Serialize;
use testbed::{FileError, Listen, ServeError, Server};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::args::{Color, Format, ServeArgs};
use crate::check::{Scenario, read};
use crate::exit::Exit;
use crate::files::FilesError;
use crate::print;

/// How often it is looked whether a Sentinel has rewritten its configuration file, if nothing happens.
const SAVE_EVERY: Duration = Duration::from_millis(100);

/// The first line of `--format json`. Fields are only ever added.
#[derive(Serialize)]
struct Ready<'a> {
    format: u32,
    title: &'a str,
    seed: u64,
    /// Data nodes first.
    nodes: Vec<Listening<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Encrypted<'a>>,
}

/// Who speaks TLS, and what clients are to trust.
#[derive(Serialize)]
struct Encrypted<'a> {
    /// The file of the authority's certificate, in PEM form.
    authority: &'a Path,
    data: bool,
    sentinels: bool,
    /// The name that every certificate has; `null`: the address of its node, and the names of `hosts`.
    server_name: Option<&'a str>,
}

/// One node.
#[derive(Serialize)]
struct Listening<'a> {
    node: NodeId,
    host: String,
    port: u16,
    /// `master`, `replica` or `sentinel`, at the start.
    role: &'static str,
    /// The master name of a data node.
    #[serde(skip_serializing_if = "Option::is_none")]
    master: Option<&'a str>,
}

/// What is served.
enum Source {
    /// The cluster of a scenario.
    Scenario(Box<Scenario>),
    /// One Sentinel, from its configuration file.
    Sentinel(String),
}

pub(crate) fn serve(args: &ServeArgs) -> Exit {
    let Some(source) = source(args) else { return Exit::Unusable };
    let seed = Seed(args.seed.unwrap_or_else(any_seed));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(run(args, &source, seed))) {
        Ok(Ok(exit)) => exit,
        Ok(Err(problem)) => {
            print::error(&problem);
            Exit::Unusable
        }
        Err(error) => {
            print::error(&format!("the runtime cannot be started: {error}"));
            Exit::Unusable
        }
    }
}

/// Reads the file; `None` after complaining about it.
fn source(args: &ServeArgs) -> Option<Source> {
    let name = args.file.display();
    if args.file.extension().is_some_and(|extension| extension == "conf") {
        if args.timeline || args.port.is_some() {
            print::error(&format!("{name}: a Sentinel alone has no timeline and no data nodes"));
            return None;
        }
        let unreadable = |source| FilesError::Unreadable { path: args.file.clone(), source };
        let text = std::fs::read_to_string(&args.file).map_err(|error| print::error(&unreadable(error).to_string()));
        return text.ok().map(Source::Sentinel);
    }
    let Ok([mut scenario]) = <[Scenario; 1]>::try_from(read(std::slice::from_ref(&args.file))?) else {
        print::error(&format!("{name}: several scenarios; one is served at a time"));
        return None;
    };
    if !args.timeline {
        scenario.plan.timeline.clear();
    }
    Some(Source::Scenario(Box::new(scenario)))
}

/// Keeps a Sentinel's configuration file as Redis does: a new one is written beside it and takes its place.
struct Keeper<'a> {
    path: &'a Path,
    rewrites: u64,
}

impl Keeper<'_> {
    fn keep(&mut self, server: &Server) {
        let Some((rewrites, text)) = server.sentinel_file(NodeId::sentinel(1), self.rewrites) else { return };
        self.rewrites = rewrites;
        let mut beside = self.path.as_os_str().to_owned();
        beside.push(".new");
        let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, self.path));
        if let Err(error) = written {
            print::error(&format!("{}: the Sentinel's state cannot be kept: {error}", self.path.display()));
        }
    }
}

/// A seed that differs from one start to the next, so that two servers whose Sentinels meet do not have the same ids.
fn any_seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish()
}

async fn run(args: &ServeArgs, source: &Source, seed: Seed) -> Result<Exit, String> {
    let watch = |kind| signal(kind).map_err(|error| format!("signals cannot be received: {error}"));
    let mut ends = [watch(SignalKind::interrupt())?, watch(SignalKind::terminate())?];
    let listen = Listen { ip: args.bind, data_port: args.port, sentinel_port: args.sentinel_port };
    let (started, run_for) = match source {
        Source::Scenario(scenario) => (Server::start(scenario.plan.clone(), seed, &listen), scenario.plan.run_for),
        Source::Sentinel(text) => (Server::start_sentinel(text, seed, &listen), Duration::ZERO),
    };
    let server = started.map_err(|error| match error {
        ServeError::File(FileError { line, text, problem, help }) => {
            format!("{}:{line}: {problem}: `{text}`\nhelp: {help}", args.file.display())
        }
        error @ (ServeError::NotLoopback { .. } | ServeError::Tls(_)) => format!("{}: {error}", args.file.display()),
        error => format!("{error}\nhelp: choose other ports with --port and --sentinel-port"),
    })?;
    let mut keeper = matches!(source, Source::Sentinel(_)).then(|| Keeper { path: &args.file, rewrites: 0 });
    let mut save = tokio::time::interval(SAVE_EVERY);
    let authority = server.tls().map(|tls| Authority::write(args.tls_ca.as_deref(), &tls.authority)).transpose()?;
    announce(args, &server, seed, authority.as_ref());
    let mut faults = if args.stdin { faults_from_stdin(server.plan()) } else { mpsc::unbounded_channel().1 };
    let mut told = Told::new(args, &server);
    let over = async { if args.timeline { sleep(run_for).await } else { std::future::pending().await } };
    tokio::pin!(over);
    loop {
        tokio::select! {
            biased;
            () = any(&mut ends) => break,
            () = &mut over => break,
            Some((line, fault, lasting)) = faults.recv() => {
                if server.inject(&fault, lasting).is_empty() {
                    print::error(&format!("{line}: nothing to act on"));
                }
            }
            records = server.records() => told.take(records),
            _ = save.tick(), if keeper.is_some() => {}
        }
        if let Some(keeper) = &mut keeper {
            keeper.keep(&server);
        }
    }
    if let Some(keeper) = &mut keeper {
        keeper.keep(&server);
    }
    let plan = server.plan().clone();
    let rest = server.finish().map_err(|error| format!("a socket failed: {error}"))?;
    Ok(match source {
        Source::Scenario(scenario) => told.conclude(scenario, &plan, rest),
        Source::Sentinel(_) => Exit::Pass,
    })
}

/// The file of the certificate that clients are to trust.
struct Authority {
    path: PathBuf,
    /// Nobody has asked for it to stay.
    temporary: bool,
}

impl Authority {
    /// Writes it to `path`, or where files go that are removed at the end.
    fn write(path: Option<&Path>, pem: &str) -> Result<Self, String> {
        let guessed = || std::env::temp_dir().join(format!("sentinel-lab-{}-ca.pem", std::process::id()));
        let (path, temporary) = (path.map_or_else(guessed, Path::to_owned), path.is_none());
        // What others have put at a name that can be guessed is left alone.
        let opened = File::options().write(true).create(true).truncate(true).create_new(temporary).open(&path);
        match opened.and_then(|mut file| file.write_all(pem.as_bytes())) {
            Ok(()) => Ok(Self { path, temporary }),
            Err(error) => Err(format!("{}: {error}\nhelp: choose another file with --tls-ca", path.display())),
        }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        if self.temporary {
            // It may be gone.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Waits for the first of the signals.
async fn any(signals: &mut [Signal; 2]) {
    let [interrupt, terminate] = signals;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Says where the nodes are, and what is to be trusted.
fn announce(args: &ServeArgs, server: &Server, seed: Seed, authority: Option<&Authority>) {
    let cluster = &server.plan().cluster;
    let nodes: Vec<Listening<'_>> = server
        .nodes()
        .iter()
        .map(|(node, addr)| {
            let place = cluster.place(*node);
            Listening {
                node: *node,
                host: addr.ip().to_string(),
                port: addr.port(),
                role: match place {
                    Some((_, 0)) => "master",
                    Some(_) => "replica",
                    None => "sentinel",
                },
                master: place.map(|(group, _)| cluster.groups[group].name.as_str()),
            }
        })
        .collect();
    if args.format == Format::Json {
        let tls = authority.map(|authority| Encrypted {
            authority: &authority.path,
            data: cluster.tls.data,
            sentinels: cluster.tls.sentinels,
            server_name: cluster.tls.server_name.as_deref(),
        });
        let ready = Ready { format: 1, title: &server.plan().title, seed: seed.0, nodes, tls };
        print::out(&serde_json::to_string(&ready).expect("plain data can be written"));
        return;
    }
    for (Listening { node, role, master, .. }, (_, addr)) in nodes.iter().zip(server.nodes()) {
        let of = master.map_or_else(String::new, |master| format!(" of {master}"));
        let tls = if cluster.tls.covers(*node) { ", TLS" } else { "" };
        print::out(&format!("{:<12} {addr}  {role}{of}{tls}", node.to_string()));
    }
    if let Some(authority) = authority {
        let name = cluster.tls.server_name.as_ref();
        let name = name.map_or_else(String::new, |name| format!(", and expect the name {name}"));
        print::out(&format!("trust {}{name}", authority.path.display()));
    }
    print::out(&format!("seed {}; ends on Ctrl-C", seed.0));
}

/// Reads faults from standard input on a thread of its own; what is wrong with a line is said at once.
fn faults_from_stdin(plan: &Plan) -> mpsc::UnboundedReceiver<(String, Fault, Option<Duration>)> {
    let (send, receive) = mpsc::unbounded_channel();
    let cluster = plan.cluster.clone();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if line.trim().is_empty() {
                continue;
            }
            match scenario::parse_fault(&line, "standard input", &cluster) {
                Ok((fault, lasting)) => {
                    if send.send((line, fault, lasting)).is_err() {
                        return;
                    }
                }
                Err(errors) => print::diagnostics(&errors.snippets(&print::snippets())),
            }
        }
    });
    receive
}

/// What has happened: told as it comes, and kept if there is a timeline to be judged.
struct Told<'a> {
    args: &'a ServeArgs,
    header: model::history::Header,
    kept: Vec<Record>,
}

impl<'a> Told<'a> {
    fn new(args: &'a ServeArgs, server: &Server) -> Self {
        Self { args, header: server.header(), kept: Vec::new() }
    }

    fn take(&mut self, records: Vec<Record>) {
        if !self.args.quiet {
            if self.args.format == Format::Json {
                for record in &records {
                    print::out(&serde_json::to_string(record).expect("plain data can be written"));
                }
            } else {
                let history = History { header: self.header.clone(), records: records.clone() };
                let style = print::style(Color::Auto);
                print::out(&report::timeline(&history, Time::ZERO, Time::NEVER, style));
            }
        }
        if self.args.timeline {
            self.kept.extend(records);
        }
    }

    /// The verdict on the timeline, if it was run.
    fn conclude(mut self, scenario: &Scenario, plan: &Plan, rest: History) -> Exit {
        if !self.args.timeline {
            return Exit::Pass;
        }
        self.kept.extend(rest.records);
        let history = History { header: self.header, records: self.kept };
        let verdict = ::check::judge(plan, &history);
        let end = history.records.last().map_or(Time::ZERO, |record| record.at).elapsed();
        let replay = format!("cargo run --release -- serve {} --timeline", scenario.file);
        let run = report::Run {
            name: &scenario.name,
            file: Some(&scenario.file),
            seed: history.header.seed,
            driver: "none",
            plan,
            history: &history,
            verdict: &verdict,
            virtual_time: end,
            wall_time: end,
            replay: &replay,
        };
        let style = print::style(Color::Auto);
        print::out(&match self.args.format {
            Format::Json => report::json::json(&run),
            Format::Text => report::failure(&run, style),
        });
        Exit::of(verdict.outcome)
    }
}
