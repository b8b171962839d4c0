//! Programs as drivers: a worker in plain Python that keeps to the protocol, and what becomes of a run when it does not.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::history::What;
use model::plan::{Client, Cluster, Expect, Need, Plan, Workload};
use model::verdict::{Invariant, Rule};
use model::{Outcome, Seed};
use sentinel_lab_drivers::Program;
use testbed::driver::Driver;
use testbed::{Run, RunError, RunOutcome};

/// The command of the worker that does this wrong; `None`, and the test is skipped loudly or fails where CI is set, without
/// Python.
#[allow(clippy::print_stderr)]
fn worker(fault: &str) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder.join("python3").is_file()) {
        assert!(std::env::var_os("CI").is_none(), "there is no python3");
        eprintln!("SKIPPED: programs as drivers: there is no python3");
        return None;
    }
    Some(format!("python3 tests/program/worker.py {fault}"))
}

fn plan(clients: Vec<Client>, run_for: Duration) -> Plan {
    Plan {
        title: "a program".to_owned(),
        cluster: Cluster::standard(),
        clients,
        timeline: Vec::new(),
        run_for,
        expect: Expect::default(),
    }
}

fn client(workload: Workload) -> Client {
    Client { start: Duration::ZERO, ..Client::new(workload.name(), workload) }
}

fn run(driver: Program, plan: Plan) -> Result<RunOutcome, RunError> {
    Run::new(plan, Seed(1), vec![Arc::new(driver)]).run()
}

#[test]
fn a_program_does_every_workload_that_it_can_and_the_checks_judge_it() {
    let Some(command) = worker("nothing") else { return };
    let driver = Program::new(&command).unwrap();
    assert_eq!((driver.name(), driver.about()), (&*format!("exec:{command}"), "plain 0, no package (real time)"));
    assert!(driver.blocks() && !driver.repeats() && driver.speed() == 1);
    let can = |need| driver.can(need);
    assert!(can(Need::Workload(Workload::Script)) && can(Need::Callers));
    assert!(!can(Need::Workload(Workload::ReplicaReads)) && !can(Need::Database) && !can(Need::Names));
    let mut clients: Vec<Client> =
        Workload::ALL.into_iter().filter(|workload| can(Need::Workload(*workload))).map(client).collect();
    clients[0].callers = 8;
    for client in &mut clients {
        client.max_connects_per_second = 1_000;
    }
    let began = std::time::Instant::now();
    let outcome = run(driver, plan(clients, Duration::from_secs(4))).unwrap();
    assert!(began.elapsed() >= Duration::from_secs(4), "the clock is the real one");
    assert_eq!(outcome.verdict.outcome, Outcome::Pass, "{:#?}", outcome.verdict.findings);
    for client in &outcome.verdict.clients {
        assert!(client.ok > 5 && client.failed + client.ambiguous == 0, "{client:?}");
    }
    let delivered = outcome.history.records.iter().filter(|record| matches!(record.what, What::Delivered { .. }));
    assert!(delivered.count() > 5);
    let open = outcome.history.records.iter().find_map(|record| match &record.what {
        What::Residue { open, .. } => Some(*open),
        _ => None,
    });
    assert_eq!(open, Some(0));
}

#[test]
fn the_words_of_a_command_may_be_quoted() {
    let Some(command) = worker("counter-only") else { return };
    let quoted =
        command.replace("tests/program/worker.py counter-only", "'tests/program/worker.py' \"counter\\x2donly\"");
    let driver = Program::new(&quoted).unwrap();
    assert_eq!(driver.name(), format!("exec:{quoted}"));
    assert!(driver.can(Need::Workload(Workload::Counter)) && !driver.can(Need::Workload(Workload::Queue)));
}

#[test]
fn what_a_program_cannot_is_not_applicable() {
    let Some(command) = worker("counter-only") else { return };
    let driver = Program::new(&command).unwrap();
    let error = run(driver, plan(vec![client(Workload::Queue)], Duration::from_secs(1))).unwrap_err();
    assert!(matches!(error, RunError::NotApplicable { need: Need::Workload(Workload::Queue), .. }), "{error}");
}

/// Whether a process of this number does anything.
fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_and_what_it_started_are_stopped_with_the_run() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("program.pids");
    let Some(command) = worker(&format!("nothing {}", file.display())) else { return };
    let driver = Program::new(&command).unwrap();
    run(driver, plan(vec![client(Workload::Counter)], Duration::from_secs(1))).unwrap();
    let pids = std::fs::read_to_string(file).unwrap();
    let (process, child) = pids.split_once(' ').unwrap();
    assert!(!alive(process), "{pids}");
    // It has been killed, which takes the kernel a moment.
    let began = std::time::Instant::now();
    while alive(child) {
        assert!(began.elapsed() < Duration::from_secs(10), "{pids}");
        std::thread::yield_now();
    }
}

#[test]
fn a_client_that_never_answers_is_judged_and_no_error_of_the_program() {
    let Some(command) = worker("mute") else { return };
    let mut client = client(Workload::Counter);
    client.deadline = Duration::from_millis(500);
    let outcome = run(Program::new(&command).unwrap(), plan(vec![client], Duration::from_secs(2))).unwrap();
    let rules: Vec<String> = outcome.verdict.findings.iter().map(|finding| finding.rule.to_string()).collect();
    assert!(rules.iter().any(|rule| rule.starts_with("I5")), "{rules:?}");
}

#[test]
fn the_start_of_a_process_is_no_part_of_the_first_operation() {
    let Some(command) = worker("slow-start") else { return };
    let client = Client { deadline: Duration::from_millis(700), ..client(Workload::Counter) };
    let outcome = run(Program::new(&command).unwrap(), plan(vec![client], Duration::from_secs(2))).unwrap();
    assert_eq!(outcome.verdict.outcome, Outcome::Pass, "{:#?}", outcome.verdict.findings);
}

#[test]
fn what_a_program_does_wrong_ends_the_run_and_is_told() {
    let faults = [
        (
            "end",
            "ended (exit status: 1) after 3 lines of its standard output; a program says its hello first, then carries out what it is told \
             until its standard input ends; its standard error:\nout of ideas",
        ),
        (
            "garbage",
            "line 4 of its standard output, `DEBUG: the third order`: it is not JSON; only lines of the protocol",
        ),
        ("unknown", "line 4 of its standard output, `{\"id\": 99, \"value\": null}`: there was no operation 99"),
        ("again", "`: operation 1 has ended before; only lines"),
        ("message", "`: operation 3 is no subscription"),
        ("endless", "xxxxx`: it has no end within 1048576 bytes"),
        ("deaf", "has closed its standard input: Broken pipe (os error 32); nothing on its standard error"),
    ];
    std::thread::scope(|scope| {
        for (fault, expected) in faults {
            scope.spawn(move || {
                let Some(command) = worker(fault) else { return };
                let began = std::time::Instant::now();
                let plan = plan(vec![client(Workload::Counter)], Duration::from_secs(600));
                let error = run(Program::new(&command).unwrap(), plan).unwrap_err();
                assert!(matches!(error, RunError::Driver { .. }), "{fault}: {error}");
                let text = error.to_string();
                assert!(text.starts_with(&format!("client counter: `{command}`")), "{fault}: {text}");
                assert!(text.contains(expected), "{fault}: {text}");
                assert!(began.elapsed() < Duration::from_secs(60), "{fault}: the run went on");
            });
        }
    });
}

/// Nothing that such an answer says is believed, however like a success it looks.
#[test]
fn nonsense_for_an_answer_ends_the_run_with_the_line_and_what_was_expected() {
    // How many lines the program says before that one, its hello among them.
    let cases = [
        (Workload::Counter, "incr", r#""1"}`: the value of `incr` must be an integer; "#, 1),
        (Workload::Register, "set", "1}`: the value of `set` must be \"OK\" or true; ", 1),
        (
            Workload::Queue,
            "pop",
            "[1, 2]}`: the value of `pop` must be a list of key and item, both strings, or the item, or null; ",
            1,
        ),
        (Workload::PubSub, "publish", r#""1"}`: the value of `publish` must be an integer; "#, 1),
        (
            Workload::Transaction,
            "transaction",
            "[1]}`: the value of `transaction` must be a list of 2, one for each",
            1,
        ),
        (
            Workload::Pipeline,
            "pipeline",
            "`: the value of `pipeline` must be a list of 3, one for each command: an integer; ",
            1,
        ),
        (Workload::Lock, "acquire", "false}`: the value of `acquire` must be \"OK\", true or null; ", 1),
        (Workload::Lock, "renew", "true}`: the value of `renew` must be 1 or 0; ", 2),
        (Workload::Jobs, "unfinished", "false}`: the value of `unfinished` must be a string or null; ", 1),
    ];
    std::thread::scope(|scope| {
        for (workload, op, expected, before) in cases {
            scope.spawn(move || {
                let Some(command) = worker(op) else { return };
                let plan = plan(vec![client(workload)], Duration::from_secs(600));
                let error = run(Program::new(&command).unwrap(), plan).unwrap_err();
                assert!(matches!(error, RunError::Driver { .. }), "{op}: {error}");
                let text = error.to_string();
                assert!(text.contains(expected), "{op}: {text}");
                let line = format!(", line {} of its standard output, `{{\"id\": ", before + 1);
                assert!(text.contains(&line), "{op}: {text}");
            });
        }
    });
}

/// A program that has shown how its client's replies are to be passed on says what that client says, and the checks judge it.
#[test]
fn a_client_that_mixes_up_replies_of_several_forms_is_found_out() {
    let Some(command) = worker("mixes") else { return };
    let outcome = run(Program::new(&command).unwrap(), plan(vec![client(Workload::Register)], Duration::from_secs(3)));
    let findings = outcome.unwrap().verdict.findings;
    let [found] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!(found.rule, Rule::Invariant(Invariant::I9));
    assert!(found.text.starts_with("register#5 reported the value of register#3 at "), "{}", found.text);
    assert!(found.text.ends_with(", and redis-1 had answered its command with no value"), "{}", found.text);
    assert!(found.count > 5, "{}", found.count);
}

#[test]
fn a_program_that_does_not_begin_well_is_no_driver() {
    let told = |command: &str| Program::new(command).map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        told("python3 'a b"),
        "`python3 'a b`: a quote is not closed, or goes on behind its end; quote a whole word, as in \"my worker.py\""
    );
    assert_eq!(told(" "), "`exec:` without a command; write for instance `exec:python3 worker.py`");
    let text = told("no-such-program --fast");
    assert!(text.starts_with("`no-such-program --fast` cannot be started: No such file or directory"), "{text}");
    let text = told("true");
    assert!(
        text.starts_with("`true` ended (exit status: 0) before it had said anything on its standard output; "),
        "{text}"
    );
    let Some(command) = worker("hello-end") else { return };
    let text = told(&command);
    assert!(
        text.contains("ended (exit status: 1) before it had said anything") && text.contains("cannot load the client"),
        "{text}"
    );
    let text = told(&worker("hello-garbage").unwrap());
    assert!(
        text.contains("line 1 of its standard output, `Hello!`: it is not JSON; its hello is a line such as {"),
        "{text}"
    );
    let text = told(&worker("protocol").unwrap());
    assert!(text.contains("it speaks protocol 2, and this is protocol 1"), "{text}");
}
