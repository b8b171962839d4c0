//! Sequences of random commands, drawn from `tests/data/random.grammar`: a live redis-server and the node answer them alike,
//! and tell their replicas the same. A sequence in which they differ is made as short as it can be.

use std::cell::RefCell;
use std::iter::Peekable;

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::Union;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use super::live::{Both, server, sorted, words};

const GRAMMAR: &str = include_str!("../../tests/data/random.grammar");

/// Sequences in each version of the protocol, unless `RANDOM_COMMANDS` names another number. They follow from `RANDOM_SEED`.
const SEQUENCES: u32 = 100;
/// Commands of a sequence, at the most.
const LENGTH: usize = 40;

type Words = Vec<Vec<u8>>;

/// A command, and whether its reply has an order.
#[derive(Clone)]
struct Drawn {
    words: Words,
    ordered: bool,
}

/// How its quoted form would be typed.
impl std::fmt::Debug for Drawn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let quoted = |word: &Vec<u8>| format!("\"{}\"", word.escape_ascii());
        f.write_str(&self.words.iter().map(quoted).collect::<Vec<_>>().join(" "))
    }
}

/// What is done to the arguments of a command.
#[derive(Clone, Debug)]
enum Spoil {
    Nothing,
    LeaveOut(Index),
    Add(Vec<u8>),
    Replace(Index, Vec<u8>),
}

impl Spoil {
    fn done_to(self, mut words: Words) -> Words {
        let arguments = words.len() - 1;
        match self {
            Self::LeaveOut(at) if arguments > 0 => drop(words.remove(1 + at.index(arguments))),
            Self::Replace(at, word) if arguments > 0 => words[1 + at.index(arguments)] = word,
            Self::Add(word) => words.push(word),
            _ => {}
        }
        words
    }
}

/// The classes and the commands of the grammar.
#[derive(Default)]
struct Grammar {
    classes: Vec<(String, Words)>,
    commands: Vec<BoxedStrategy<Drawn>>,
}

impl Grammar {
    fn read(text: &str) -> Self {
        let mut grammar = Self::default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some((name, members)) = line.strip_prefix('@').and_then(|line| line.split_once(" = ")) {
                grammar.classes.push((name.to_owned(), words(members)));
                continue;
            }
            let (ordered, rest) = line.strip_prefix("~ ").map_or((true, line), |rest| (false, rest));
            let (spoil, rest) =
                rest.strip_prefix("! ").map_or((grammar.spoil(), rest), |rest| (Just(Spoil::Nothing).boxed(), rest));
            let tokens = tokens(rest);
            let mut tokens = tokens.iter().map(String::as_str).peekable();
            let command = grammar.sequence(&mut tokens);
            assert_eq!(tokens.next(), None, "what closes nothing: {line}");
            let drawn = (command, spoil).prop_map(move |(words, spoil)| Drawn { words: spoil.done_to(words), ordered });
            grammar.commands.push(drawn.boxed());
        }
        grammar
    }

    /// What stands before the next token that closes something, or before the end.
    fn sequence<'a>(&self, tokens: &mut Peekable<impl Iterator<Item = &'a str>>) -> BoxedStrategy<Words> {
        let mut parts = Vec::new();
        while let Some(token) = tokens.next_if(|token| !matches!(*token, "]" | ")" | "}" | "|")) {
            parts.push(self.item(token, tokens));
        }
        parts.prop_map(|parts| parts.concat()).boxed()
    }

    fn item<'a>(&self, token: &str, tokens: &mut Peekable<impl Iterator<Item = &'a str>>) -> BoxedStrategy<Words> {
        match token {
            "[" => {
                let inner = self.sequence(tokens);
                assert_eq!(tokens.next(), Some("]"));
                weighted(0.25, inner).prop_map(Option::unwrap_or_default).boxed()
            }
            "{" => {
                let inner = self.sequence(tokens);
                assert_eq!(tokens.next(), Some("}"));
                vec(inner, 1..=3).prop_map(|parts| parts.concat()).boxed()
            }
            "(" => {
                let mut choices = vec![self.sequence(tokens)];
                while tokens.next_if_eq(&"|").is_some() {
                    choices.push(self.sequence(tokens));
                }
                assert_eq!(tokens.next(), Some(")"));
                Union::new(choices).boxed()
            }
            _ => match token.strip_prefix('@') {
                Some(class) => select(self.class(class).clone()).prop_map(|word| vec![word]).boxed(),
                None => Just(words(token)).boxed(),
            },
        }
    }

    fn class(&self, name: &str) -> &Words {
        let found = self.classes.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("a class that there is not: @{name}")).1
    }

    fn spoil(&self) -> BoxedStrategy<Spoil> {
        let odd = || select(self.class("odd").clone());
        prop_oneof![
            90 => Just(Spoil::Nothing),
            3 => any::<Index>().prop_map(Spoil::LeaveOut),
            3 => odd().prop_map(Spoil::Add),
            4 => (any::<Index>(), odd()).prop_map(|(at, word)| Spoil::Replace(at, word)),
        ]
        .boxed()
    }
}

/// Words, classes, and what groups them; what is quoted is one word, with its quotes.
fn tokens(line: &str) -> Vec<String> {
    let mut tokens = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        let last = tokens.last_mut().expect("there is always one");
        match c {
            '"' => {
                quoted = !quoted;
                last.push(c);
            }
            _ if quoted => last.push(c),
            ' ' => tokens.push(String::new()),
            '[' | ']' | '(' | ')' | '{' | '}' | '|' => tokens.extend([c.to_string(), String::new()]),
            _ => last.push(c),
        }
    }
    tokens.retain(|token| !token.is_empty());
    tokens
}

/// The words of a reply in order, whatever groups them.
fn words_of(reply: &str) -> String {
    sorted(&reply.replace(['[', ']', '{', '}', '~'], ""))
}

/// Times in milliseconds since 1970 are not compared.
fn timeless(stream: &str) -> String {
    let is_time = |word: &str| word.len() == 13 && word.bytes().all(|byte| byte.is_ascii_digit());
    stream.split('"').map(|word| if is_time(word) { "TIME" } else { word }).collect::<Vec<_>>().join("\"")
}

/// Both carry the commands out, on a new connection and an empty data set; the first difference.
fn play(both: &mut Both, commands: &[Drawn]) -> Result<(), TestCaseError> {
    both.reopen(0);
    let plain = |text| Drawn { words: words(text), ordered: true };
    // What is told to replicas begins and ends outside of transactions.
    let commands = [plain("FLUSHALL"), plain("SCRIPT FLUSH")]
        .into_iter()
        .chain(commands.iter().cloned())
        .chain([plain("DISCARD")]);
    for command in commands {
        both.send(0, &command.words);
        let (mut fake, mut real) = both.read(0);
        if !command.ordered {
            (fake, real) = (words_of(&fake), words_of(&real));
        }
        if fake != real {
            // What was told so far is not of the next sequence.
            both.reopen(0);
            both.streamed();
            return Err(TestCaseError::fail(format!("{command:?}\n  real {real}\n  fake {fake}")));
        }
    }
    let (fake, real) = both.streamed();
    let (fake, real) = (timeless(&fake), timeless(&real));
    if fake == real { Ok(()) } else { Err(TestCaseError::fail(format!("the stream\n  real {real}\n  fake {fake}"))) }
}

#[test]
fn random_commands_are_answered_as_redis_does() {
    let Some((process, _block)) = server("random commands held against redis-server") else { return };
    let number = std::env::var("RANDOM_COMMANDS").ok();
    let cases = number.map_or(SEQUENCES, |number| number.parse().expect("RANDOM_COMMANDS is a number of sequences"));
    let seed = std::env::var("RANDOM_SEED").ok();
    let seed = seed.map_or(7, |seed| seed.parse().expect("RANDOM_SEED is a number below 256"));
    let sequence = vec(Union::new(Grammar::read(GRAMMAR).commands), 1..=LENGTH);
    for resp3 in [false, true] {
        let mut both = Both::open(process.addr(), resp3);
        both.connect(0);
        // The follower here says nothing.
        both.send(0, &words("CONFIG SET repl-timeout 100000"));
        both.read(0);
        both.follow();
        let both = RefCell::new(both);
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]));
        let outcome = runner.run(&sequence, |commands| play(&mut both.borrow_mut(), &commands));
        if let Err(error) = outcome {
            panic!("in RESP{}: {error}", if resp3 { 3 } else { 2 });
        }
    }
}
