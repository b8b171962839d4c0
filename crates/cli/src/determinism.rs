//! Whether two runs of one seed were the same run.

use model::History;

/// What differs first between two histories of one seed, in words; `None` if they are equal.
pub(crate) fn first_difference(first: &History, second: &History) -> Option<String> {
    if first.header != second.header {
        return Some("the runs are described differently".to_owned());
    }
    let shorter = first.records.len().min(second.records.len());
    let differs = (0..shorter).find(|index| first.records[*index] != second.records[*index]);
    let index = match differs {
        Some(index) => index,
        None if first.records.len() == second.records.len() => return None,
        None => shorter,
    };
    let show = |history: &History| {
        let record = history.records.get(index);
        record.map_or_else(|| "the run has ended".to_owned(), |record| format!("{} {:?}", record.at, record.what))
    };
    Some(format!("record {} differs\n  first run:  {}\n  second run: {}", index + 1, show(first), show(second)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::history::{Header, NodeState, What};
    use model::{NodeId, Time};

    fn history(states: &[NodeState]) -> History {
        let mut history = History { header: Header::default(), records: Vec::new() };
        for state in states {
            history.push(Time::from_millis(1), What::State { node: NodeId::data(1), state: *state });
        }
        history
    }

    #[test]
    fn the_first_record_that_differs_is_named() {
        let (up, down) = (NodeState::Up, NodeState::Down);
        assert_eq!(first_difference(&history(&[up, down]), &history(&[up, down])), None);
        let text = first_difference(&history(&[up, down]), &history(&[up, up])).unwrap();
        assert!(text.starts_with("record 2 differs"), "{text}");
        let text = first_difference(&history(&[up, down]), &history(&[up])).unwrap();
        assert!(text.contains("second run: the run has ended"), "{text}");
    }
}
