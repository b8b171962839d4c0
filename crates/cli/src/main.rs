//! `sentinel-lab`: takes Redis Sentinel clients through failovers in virtual time.
//!
//! Arguments are in `args`, one file a command executes it, `print` alone writes to the terminal, and `exit` says
//! how the process ends.

mod args;
mod chaos;
mod check;
mod clients;
mod determinism;
mod exit;
mod files;
mod jobs;
mod matrix;
mod parity_command;
mod print;
mod run;
mod schema;
mod serve;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Command};

/// Runs allocate much, each on a thread of its own, which is where this allocator is good.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    let exit = match args.command {
        Command::Run(args) => run::run(&args),
        Command::Serve(args) => serve::serve(&args),
        Command::Check(args) => check::check(&args),
        Command::Parity(args) => parity_command::parity(&args),
        Command::Chaos(args) => chaos::chaos(&args),
        Command::Merge(args) => chaos::merge(&args),
        Command::ChaosWorker => chaos::work(),
        Command::Matrix(args) => matrix::matrix(&args),
        Command::Drivers(args) => {
            if args.zoo {
                print::drivers(&zoo::all().into_iter().chain(zoo::havoc()).collect::<Vec<_>>(), &[]);
            } else {
                print::drivers(
                    &drivers::all().into_iter().chain(drivers::others()).collect::<Vec<_>>(),
                    &[("exec:COMMAND", "a program in any language (real time): docs/writing-a-driver.md")],
                );
            }
            exit::Exit::Pass
        }
        Command::Schema(args) => schema::schema(&args),
    };
    exit.into()
}
