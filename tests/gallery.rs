//! The default client passes every scenario of the repository: a test for each file, over some seeds, since the first
//! second of each client's luck is another. `run scenarios/ --repeat 100` takes more.

use std::process::ExitCode;

fn main() -> ExitCode {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
    chaos::testing::scenarios(folder, drivers::SentinelClient, 1..4)
}
