//! A process that does runs, one after the other, as it is told on standard input. A client that crashes, hangs or eats
//! memory takes down no more than this.

use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use chaos::case::{Case, carry_out};
use scenario::Options;
use serde::{Deserialize, Serialize};

use crate::exit::Exit;

/// Real time that the virtual clock may stand still, before a run is given up as hung.
const WATCHDOG: Duration = Duration::from_secs(20);

/// What a worker is told: a line of JSON. It answers with the result, a line of JSON too.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub seed: u64,
    pub number: Option<u64>,
    pub driver: String,
    /// The plan as a scenario file.
    pub scenario: String,
}

/// Does runs until standard input ends.
pub(crate) fn work() -> Exit {
    let drivers = crate::clients::registry();
    let stdin = std::io::stdin().lock();
    for line in stdin.lines() {
        let Ok(line) = line else { break };
        let Ok(order) = serde_json::from_str::<Order>(&line) else { return Exit::Unusable };
        let plan = scenario::parse(&order.scenario, "schedule", &Options { lenient: true, ..Options::default() });
        let answer = match plan {
            Ok(plan) => {
                let case = Case { seed: order.seed, number: order.number, driver: order.driver, plan };
                Ok(carry_out(&case, &drivers, WATCHDOG))
            }
            // A schedule that the language does not take is a mistake of the strategies.
            Err(errors) => Err(errors.to_string()),
        };
        let Ok(answer) = serde_json::to_string(&answer) else { return Exit::Unusable };
        let mut stdout = std::io::stdout().lock();
        if writeln!(stdout, "{answer}").and_then(|()| stdout.flush()).is_err() {
            break;
        }
    }
    Exit::Pass
}
