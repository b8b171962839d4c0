//! What no client may do, whatever the scenario is.
//!
//! | it | breaks |
//! |---|---|
//! | sends request after request and lets no time pass in between: a hot loop | I6 |
//! | dials where nobody answers it, though it was told what to dial in the place of that address | `astray` |

use model::plan::Client;
use model::verdict::{Invariant, Rule};

use crate::facts::Facts;
use crate::findings::Findings;

/// Adds what `client` did against it.
pub(crate) fn check(facts: &Facts<'_>, client: &Client, findings: &mut Findings<'_>) {
    for (at, _, requests) in facts.spins.iter().filter(|(_, spins, _)| spins.as_str() == client.id) {
        let text = format!(
            "{} sent {requests} requests at {at}, one after the other without letting time pass: a hot loop",
            client.id
        );
        findings.violated(Invariant::I6, Some(&client.id), *at, text);
    }
    for (at, _, node) in facts.astray.iter().filter(|(_, astray, _)| astray.as_str() == client.id) {
        let text = format!(
            "{} dialled the address of {node} that only the inside reaches, at {at}; it was told what to dial instead",
            client.id
        );
        findings.unmet(Rule::Astray, Some(&client.id), *at, text);
    }
}

#[cfg(test)]
mod tests {
    use model::ClientId;
    use model::history::What;

    use super::*;
    use crate::story::{B, Story, plan};

    #[test]
    fn a_hot_loop_is_told_with_what_it_sent() {
        let mut story = Story::failover();
        assert!(story.against(&plan(), Invariant::I6).is_empty());
        story.tell(20_000, What::Spins { client: ClientId::new("writer"), requests: 20_000 });
        let text = "writer sent 20000 requests at 20.000s, one after the other without letting time pass: a hot loop";
        assert_eq!(story.against(&plan(), Invariant::I6), [text]);
    }

    #[test]
    fn a_dial_to_the_inside_is_told() {
        let mut story = Story::failover();
        assert!(story.under(&plan(), Rule::Astray).is_empty());
        story.tell(15_000, What::Astray { client: ClientId::new("writer"), node: B });
        let text = "writer dialled the address of redis-2 that only the inside reaches, at 15.000s; \
                    it was told what to dial instead";
        assert_eq!(story.under(&plan(), Rule::Astray)[0].text, text);
    }
}
