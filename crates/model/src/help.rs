//! What `HELP` says: the texts of Redis 7.0.15, as `data/help.txt` has them, a heading `= CONTAINER` above each.

use crate::Reply;

const TEXTS: &str = include_str!("../data/help.txt");

/// The reply of `container HELP`, whatever the case of the name: a line each. Empty for a command that has no help.
pub fn help(container: &str) -> Reply {
    let heading = |line: &&str| line.strip_prefix("= ").is_some_and(|name| name.eq_ignore_ascii_case(container));
    let lines = TEXTS.lines().skip_while(|line| !heading(line)).skip(1);
    let lines = lines.take_while(|line| !line.starts_with("= "));
    Reply::Array(lines.map(|line| Reply::Simple(line.into())).collect())
}

#[test]
fn every_container_has_its_own_lines() {
    for container in TEXTS.lines().filter_map(|line| line.strip_prefix("= ")) {
        let Reply::Array(lines) = help(&container.to_lowercase()) else { panic!("lines") };
        let first = lines[0].as_text().expect("text").into_owned();
        assert!(first.starts_with(&format!("{container} <subcommand> [<arg> [value] [opt] ...].")), "{first}");
        assert_eq!(lines.last(), Some(&Reply::Simple("    Prints this help.".into())));
    }
    assert_eq!(help("nosuch"), Reply::Array(Vec::new()));
}
