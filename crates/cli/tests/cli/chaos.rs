//! `chaos` and `merge` as processes: what ends a campaign and how it then ends, what a client does to the process that runs
//! it, and that the results do not depend on how many run at a time.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const LAB: &str = env!("CARGO_BIN_EXE_sentinel-lab");
const KILL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/kill.yaml");

fn chaos(arguments: &str) -> Command {
    let mut command = Command::new(LAB);
    command.arg("chaos").args(arguments.split(' ')).args(["--no-shrink"]);
    command
}

fn output(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code().expect("it ends by itself"), text(stdout), text(stderr))
}

/// Writes the results of a campaign to a file in `folder`, and gives its path.
fn results(folder: &Path, name: &str, arguments: &str) -> PathBuf {
    let path = folder.join(name);
    let (code, _, errors) = output(chaos(arguments).arg("--results").arg(&path));
    assert!(code == 0 || code == 3, "{arguments} ended with {code}: {errors}");
    path
}

fn merge(files: &[&PathBuf]) -> (i32, String, String) {
    output(Command::new(LAB).arg("merge").args(files))
}

/// A small version of `just determinism`.
#[test]
fn results_are_the_same_in_other_processes_and_however_many_run_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let one = results(folder.path(), "1", "--profile all --seeds 1..4 --jobs 1");
    let three = results(folder.path(), "3", "--profile all --seeds 1..4 --jobs 3");
    let read = |path| std::fs::read_to_string(path).expect("results");
    assert_eq!(read(one), read(three));
}

#[test]
fn schedules_are_written_as_scenario_files_and_not_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let lab = |arguments: &[&str]| output(Command::new(LAB).args(arguments));
    let schedules = folder.path().to_str().expect("a path");
    let (code, written, errors) = lab(&["chaos", "--profile", "gentle", "--seeds", "7..9", "--schedules", schedules]);
    assert_eq!(code, 0, "{errors}");
    let files: Vec<&str> = written.lines().collect();
    assert_eq!(files.len(), 2, "{written}");
    let (code, _, errors) = lab(&["check", schedules]);
    assert_eq!(code, 0, "{errors}");
    let text = std::fs::read_to_string(files[1]).expect("a schedule");
    assert!(text.contains("# seed: 8\n") && text.contains("title: chaos of profile gentle, seed 8"), "{text}");
}

#[test]
fn every_finding_is_saved_in_a_file_of_its_own_and_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let saved = || {
        let mut names: Vec<String> = std::fs::read_dir(folder.path())
            .expect("the folder")
            .map(|entry| entry.expect("a file").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        names
    };
    let mut campaign = chaos("--driver wrong-never-rediscovers --seeds 10..11");
    let (code, report, errors) = output(campaign.arg("--save").arg(folder.path()));
    assert_eq!(code, 1, "{errors}");
    let name = "wrong-never-rediscovers-i1-converge-10";
    let stale = "wrong-never-rediscovers-i2-no-stale-node-10.yaml".to_owned();
    assert_eq!(
        saved(),
        [format!("{name}-2.yaml"), format!("{name}.yaml"), stale],
        "two kinds of one rule, and one of another"
    );
    assert!(report.contains(&format!("{name}-2.yaml --seed 10")) && report.contains("not shrunk"), "{report}");
    output(&mut campaign);
    assert_eq!(saved().len(), 3, "the same once more");
    let file = folder.path().join(format!("{name}.yaml"));
    let (code, _, errors) = output(chaos("--seeds 1..2").arg("--save").arg(file));
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("--save") && errors.contains(name), "{errors}");
}

#[test]
fn shards_of_other_settings_or_binaries_are_refused_and_missing_ones_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let shard = |name: &str, more: &str| {
        results(folder.path(), name, &format!("--profile gentle --seeds 1..5 --jobs 1 --partition {more}"))
    };
    let (first, second, third) = (shard("a", "1/3"), shard("b", "2/3 --intensity 2"), shard("c", "3/3"));
    let (code, report, errors) = merge(&[&first, &third]);
    assert_eq!(code, 3, "{errors}");
    assert!(errors.contains("shard 2/3 is missing"), "{errors}");
    assert!(report.contains("3 runs"), "{report}");

    let (code, _, errors) = merge(&[&first, &second]);
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("--intensity is 1 there and 2 here"), "{errors}");

    let text = std::fs::read_to_string(&third).expect("results");
    let key = "\"binary\":\"";
    let at = text.find(key).expect("the binary is named") + key.len();
    let other = folder.path().join("d");
    std::fs::write(&other, format!("{}0000{}", &text[..at], &text[at + 4..])).expect("a file");
    let (code, _, errors) = merge(&[&first, &other]);
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("the binary is"), "{errors}");
}

#[test]
fn what_a_time_limit_cut_short_is_inconclusive_unless_the_seeds_have_no_end() {
    let limited = |seeds: &str| {
        output(
            chaos(&format!("--profile gentle --seeds {seeds} --time-limit 1s --results /dev/stdout")).arg("--jobs=1"),
        )
    };
    let (code, report, errors) = limited("1..1000000");
    assert_eq!(code, 3, "{errors}");
    assert!(errors.contains("the time limit was reached before all was run"), "{errors}");
    assert!(report.contains("\"stopped\":\"the time limit"), "{report}");
    let (code, report, errors) = limited("1..");
    assert!(!errors.contains("stopped") && !report.contains("\"stopped\""), "{errors}");
    assert!(code == 0 || errors.is_empty() && report.contains("inconclusive: no "), "{code}: {report}");

    let (code, _, errors) = output(&mut chaos("--seeds 1.."));
    assert_eq!(code, 2);
    assert!(errors.contains("need a --time-limit"), "{errors}");
}

#[test]
fn a_time_limit_that_is_reached_when_all_is_run_has_stopped_nothing() {
    let limited = |seeds: &str, profiles: &str| {
        let arguments = format!("--profile {profiles} --seeds {seeds} --time-limit 0s --jobs 1 --results /dev/stdout");
        output(&mut chaos(&arguments))
    };
    let (_, report, errors) = limited("1..2", "gentle");
    assert!(report.contains("\"runs\":1") && !report.contains("\"stopped\":\""), "{report}");
    assert!(!errors.contains("stopped"), "{errors}");
    // The second campaign is still to come.
    let (code, report, errors) = limited("1..2", "gentle,mean");
    assert_eq!(code, 3, "{errors}");
    assert!(report.contains("\"runs\":1,\"stopped\":\"the time limit"), "{report}");
    assert!(errors.contains("stopped after 1 runs: the time limit was reached before all was run"), "{errors}");
}

/// Sends SIGINT after so many lines of the results. Gives the exit code and what came after them.
fn interrupted(mut command: Command, lines: usize) -> (Option<i32>, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    let mut seen = String::new();
    for _ in 0..lines {
        assert!(output.read_line(&mut seen).expect("a line") > 0, "it ended: {seen}");
    }
    let signalled = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(signalled.expect("kill runs").success());
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("the rest");
    (child.wait().expect("it ends").code(), rest)
}

#[test]
fn an_interrupt_ends_it_with_what_there_is() {
    // The campaign, and three runs.
    let command = chaos("--profile gentle --seeds 1..1000000 --jobs 2 --results /dev/stdout");
    let (code, rest) = interrupted(command, 4);
    assert_eq!(code, Some(3));
    let end = rest.lines().find(|line| line.contains("\"kind\":\"end\"")).expect("an end");
    assert!(end.contains("\"stopped\":\"interrupted\""), "{end}");
    let runs = 3 + rest.lines().filter(|line| line.contains("\"kind\":\"run\"")).count();
    assert!(end.contains(&format!("\"runs\":{runs},")), "{runs} runs, {end}");
    assert!(rest.contains(&format!("  {runs} runs in ")), "{rest}");
}

/// What becomes of a campaign whose client does this to its process: the finding, in every run.
fn broken(driver: &str, more: &str, finding: &str) {
    let (code, report, errors) = output(&mut chaos(&format!("--driver {driver} --seeds 1..3 --jobs 2 {more}")));
    assert_eq!(code, 1, "{report}{errors}");
    assert!(report.contains("2 broke"), "{report}");
    assert!(report.contains(finding), "{report}");
    assert!(report.contains("in 2 runs (seeds 1, 2)"), "{report}");
}

#[test]
fn a_client_that_panics_is_a_finding() {
    broken("broken-panics", "--run-limit 60s", "panic: on purpose");
}

#[test]
fn a_client_that_ends_the_process_is_a_finding() {
    broken("broken-aborts", "--run-limit 60s", "crash: signal: 6");
}

#[test]
fn a_client_that_never_gives_the_processor_back_is_a_finding() {
    broken("broken-spins", "--run-limit 2s", "the run did not end within 2 s of real time");
}

#[test]
fn a_client_that_takes_memory_without_end_is_a_finding() {
    broken("broken-grows", "--memory-limit 200", "memory in 2 runs");
}

#[test]
fn a_scenario_is_taken_apart_in_processes_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = format!("--systematic {KILL} --limit 8 --jobs 2");
    let parts = ["1/2", "2/2"]
        .map(|part| results(folder.path(), &part.replace('/', "-"), &format!("{arguments} --partition {part}")));
    let (_, report, errors) = merge(&[&parts[0], &parts[1]]);
    assert!(report.starts_with("systematic chaos of kill\n  8 runs: 8 passed"), "{report}{errors}");
    let whole = results(folder.path(), "whole", &arguments);
    let lines = |path: &PathBuf| -> Vec<String> {
        let text = std::fs::read_to_string(path).expect("results");
        text.lines().filter(|line| line.contains("\"kind\":\"run\"")).map(str::to_owned).collect()
    };
    let mut joined: Vec<String> = parts.iter().flat_map(lines).collect();
    let mut whole = lines(&whole);
    joined.sort();
    whole.sort();
    assert_eq!(joined, whole);
}

#[test]
fn what_is_named_twice_is_run_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let twice = results(
        folder.path(),
        "twice",
        "--driver sentinel-client,sentinel-client --profile gentle,gentle --nemesis reaper,reaper --seeds 1..3",
    );
    let once = results(folder.path(), "once", "--profile gentle --nemesis reaper --seeds 1..3");
    let read = |path| std::fs::read_to_string(path).expect("results");
    assert_eq!(read(&twice), read(&once));
    let (code, report, errors) = merge(&[&twice]);
    assert!(code != 2 && report.contains("2 runs"), "{code}: {errors}");
}

/// A campaign that finds something with its one seed, and shrinks it unless it is told otherwise.
fn finds(more: &[&str]) -> Command {
    let mut command = Command::new(LAB);
    command.args(["chaos", "--driver", "wrong-never-rediscovers", "--seeds", "4..5"]).args(more);
    command
}

#[test]
fn shrinking_that_its_time_cut_short_is_not_told_as_finished() {
    let folder = tempfile::tempdir().expect("a folder");
    let save = folder.path().to_str().expect("a path");
    let (code, report, errors) = output(&mut finds(&["--shrink-time", "0s", "--save", save]));
    assert_eq!((code, errors.as_str()), (1, ""));
    assert!(report.contains("    not shrunk, cut short by --shrink-time\n"), "{report}");
    assert!(report.contains("; not shrunk, cut short by --shrink-time.\n"), "the file: {report}");
    let (_, json, _) = output(&mut finds(&["--shrink-time", "0s", "--save", save, "--format", "json"]));
    assert!(json.contains("\"shrink_cut_short\":\"cut short by --shrink-time\""), "{json}");
}

#[test]
fn an_interrupt_while_findings_are_shrunk_is_in_the_results() {
    // The campaign, and its only run.
    let (code, rest) = interrupted(finds(&["--results", "/dev/stdout"]), 2);
    assert_eq!(code, Some(1));
    let end = rest.lines().find(|line| line.contains("\"kind\":\"end\"")).expect("an end");
    assert!(end.contains("\"runs\":1,\"stopped\":\"interrupted\""), "{end}");
}

#[test]
fn a_reader_that_goes_away_is_no_pass() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = finds(&["--no-shrink"]).stdout(writer).status().expect("it runs");
    assert_eq!(status.code(), Some(141));
}

#[test]
fn an_empty_part_says_that_it_is_empty_and_nothing_else() {
    let (code, report, errors) = output(&mut chaos("--profile gentle --seeds 1..3 --partition 3/3"));
    let expected = "chaos of profile gentle, driver sentinel-client\n  part 3/3 of the seeds is empty\n";
    assert_eq!((code, report.as_str(), errors.as_str()), (3, expected, ""));
}

#[test]
fn what_was_chosen_is_told_from_what_was_run() {
    let (_, report, errors) = output(&mut chaos(&format!("--systematic {KILL} --limit 8 --partition 1/4")));
    assert!(report.contains("of which 8 are chosen"), "{report}{errors}");
    assert!(report.contains("  2 of the 8 chosen cases were run, part 1/4\n"), "{report}{errors}");
}

#[test]
fn refusals_name_the_option_and_what_is_meant() {
    let refused = |arguments: &str, expected: &str| {
        let (code, _, errors) = output(&mut chaos(arguments));
        assert!(code == 2 && errors.contains(expected), "{arguments}: {code}: {errors}");
    };
    refused("--seeds 1..2 --results /no/such/folder/file", "--results /no/such/folder/file: ");
    refused("--seeds 1..2 --results /dev/full", "--results /dev/full: ");
    refused(&format!("--systematic {KILL} {KILL}"), "kill.yaml have one name");
    refused("--driver Fred", "did you mean `fred`?");
    refused("--driver Never-Rediscovers", "did you mean `wrong-never-rediscovers`?");
    refused("--driver nothing-like-any", "sentinel-client-memory");
}

/// A process that can write no file of more than a few hundred bytes, as on a disk that is almost full.
fn cramped(arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    // Blocks are of 512 or of 1024 bytes. Whoever does not ignore the signal is ended by it.
    command.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"", LAB]).args(arguments);
    command
}

#[test]
fn what_cannot_be_saved_is_told_and_leaves_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let save = folder.path().to_str().expect("a path");
    let seed = ["chaos", "--driver", "wrong-never-rediscovers", "--seeds", "1..2", "--no-shrink", "--save", save];
    let count = || std::fs::read_dir(folder.path()).expect("the folder").count();
    let (code, report, errors) = output(&mut cramped(&seed));
    assert_eq!((code, count()), (2, 0), "{errors}");
    assert!(errors.contains(&format!("--save {save}: I1 converge")) && errors.contains("cannot be saved"), "{errors}");
    assert!(report.contains("# seed: 1\n") && report.contains("timeline:"), "{report}");
    let table = [&seed[..], &["--format", "markdown"]].concat();
    let (code, _, errors) = output(&mut cramped(&table));
    assert_eq!((code, count()), (2, 0), "{errors}");
    assert!(errors.contains("# seed: 1\n") && errors.contains("timeline:"), "{errors}");
    let (code, _, errors) = output(&mut cramped(&["chaos", "--seeds", "1..2", "--schedules", save]));
    assert_eq!((code, count()), (2, 0), "{errors}");
}

#[test]
fn results_that_can_no_longer_be_written_end_a_campaign_with_what_was_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("results");
    let name = path.to_str().expect("a path");
    let seeds = ["chaos", "--driver", "wrong-never-rediscovers", "--seeds", "1..999", "--jobs", "1", "--no-shrink"];
    let (code, report, errors) = output(&mut cramped(&[&seeds[..], &["--results", name]].concat()));
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains(&format!("--results {name}: it cannot be written: ")), "{errors}");
    assert!(errors.contains("stopped after "), "{errors}");
    assert!(report.contains("  I1 converge: "), "{report}");
    let (code, _, errors) = merge(&[&path]);
    assert!(code != 0 && errors.contains("breaks off after "), "what is there is usable: {code}: {errors}");
}

/// What each command says that has something to say, with its exit code when it can say it.
const SAYINGS: [(&str, i32); 8] = [
    ("run scenarios/kill.yaml", 0),
    ("run scenarios/kill.yaml --repeat 2 --format json", 0),
    ("matrix scenarios/kill.yaml --drivers sentinel-client", 0),
    ("check scenarios/kill.yaml", 0),
    ("chaos --seeds 1..2 --profile gentle", 3),
    ("chaos --seeds 1..2 --profile gentle --format markdown", 3),
    ("drivers", 0),
    ("schema", 0),
];
/// The same of complaints.
const COMPLAINTS: [(&str, i32); 7] = [
    ("run nowhere.yaml", 2),
    ("run scenarios/kill.yaml --driver nobody", 2),
    ("matrix nowhere", 2),
    ("check Cargo.toml", 2),
    ("merge nowhere", 2),
    ("chaos --seeds 1..100000 --jobs 1 --time-limit 100ms", 3),
    ("chaos --driver fred --seeds 1..2 --partition 3/3", 3),
];

#[test]
fn where_nothing_can_be_written_the_exit_code_tells() {
    let full = || std::fs::File::create("/dev/full").expect("it is there");
    let lab = |arguments: &str| {
        let mut command = Command::new(LAB);
        command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).args(arguments.split(' '));
        command
    };
    for (arguments, code) in SAYINGS {
        let Output { status, stdout, .. } = lab(arguments).output().expect("it runs");
        assert_eq!(status.code(), Some(code), "{arguments}");
        let said = String::from_utf8(stdout).expect("text");
        let Output { status, stderr, .. } = lab(arguments).stdout(full()).output().expect("it runs");
        let errors = String::from_utf8_lossy(&stderr);
        assert_eq!(status.code(), Some(2), "{arguments}: {errors}");
        let first = said.lines().next().expect("something");
        assert!(errors.contains("standard output cannot be written: "), "{arguments}: {errors}");
        assert!(arguments.contains("json") || errors.contains(first), "{arguments}: {first} is not in {errors}");
        let status = lab(arguments).stdout(full()).stderr(full()).status().expect("it runs");
        assert_eq!(status.code(), Some(2), "{arguments}");
    }
    for (arguments, code) in COMPLAINTS {
        let Output { status, stderr, .. } = lab(arguments).output().expect("it runs");
        assert!(status.code() == Some(code) && !stderr.is_empty(), "{arguments}: {status}");
        let status = lab(arguments).stdout(Stdio::null()).stderr(full()).status().expect("it runs");
        assert_eq!(status.code(), Some(code), "{arguments}");
    }
    let output =
        lab("matrix scenarios/kill.yaml --drivers sentinel-client --output /dev/full").output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("kill"), "the matrix is printed");
}

/// What was run until the process could print no more is in the history, whole.
#[test]
fn a_history_is_whole_where_nothing_can_be_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("history");
    let full = std::fs::File::create("/dev/full").expect("it is there");
    let status = Command::new(LAB).args(["run", KILL, "--history"]).arg(&path).stdout(full).status().expect("it runs");
    assert_eq!(status.code(), Some(2));
    let text = std::fs::read_to_string(&path).expect("a history");
    assert!(text.ends_with("}\n") && text.lines().count() > 100, "{} bytes", text.len());
}
