//! What the Sentinels answer for each group, and who was the master before.

use model::history::What;

use crate::world::World;

/// Per Sentinel and group the node whose address it gives. Nodes are indices of the world.
pub(crate) struct Answers {
    groups: usize,
    table: Vec<Option<usize>>,
    /// Per group what most Sentinels say, and what they said before.
    now: Vec<Option<usize>>,
    before: Vec<Option<usize>>,
}

impl Answers {
    pub(crate) fn new(nodes: usize, groups: usize) -> Self {
        Self { groups, table: vec![None; nodes * groups], now: vec![None; groups], before: vec![None; groups] }
    }

    /// What the Sentinel `node` answers for a group.
    pub(crate) fn of(&self, node: usize, group: usize) -> Option<usize> {
        self.table[node * self.groups + group]
    }

    /// The master of a group before its last switch.
    pub(crate) fn before(&self, group: usize) -> Option<usize> {
        self.before[group]
    }
}

/// The value that stands most often; of several the one that comes first.
fn most_frequent(values: &[usize]) -> Option<usize> {
    let count = |value: usize| values.iter().filter(|other| **other == value).count();
    values.iter().copied().rev().max_by_key(|value| count(*value))
}

impl World {
    /// A Sentinel answers so from now on.
    pub(crate) fn set_answer(&mut self, sentinel: usize, group: usize, master: usize) {
        self.answers.table[sentinel * self.answers.groups + group] = Some(master);
        let now = self.master_of(group);
        if now != self.answers.now[group] {
            self.answers.before[group] = std::mem::replace(&mut self.answers.now[group], now);
        }
    }

    /// The node to which the answer of a Sentinel leads: that of the name that it tells, as whoever is told looks it up now, or
    /// where nobody knows that, the one that the Sentinel means.
    pub(crate) fn leads_to(&self, sentinel: usize, group: usize) -> Option<usize> {
        let name = &self.cluster.groups[group].name;
        let sentinel = self.nodes[sentinel].machine.as_ref()?.sentinel()?;
        let told = sentinel.told_addr(name).and_then(|addr| self.node_at(&addr));
        told.or_else(|| self.node_at(&sentinel.master_addr(name)?))
    }

    /// Asks a Sentinel that has just started.
    pub(crate) fn learn_answers(&mut self, node: usize) {
        for group in 0..self.cluster.groups.len() {
            if let Some(master) = self.leads_to(node, group) {
                self.set_answer(node, group, master);
            }
        }
    }

    /// Names have come to stand for others: records which answers lead to another node from now on.
    pub(crate) fn follow_names(&mut self) {
        for node in self.sentinels() {
            for group in 0..self.cluster.groups.len() {
                let Some(master) = self.leads_to(node, group) else { continue };
                if self.answers.of(node, group) != Some(master) {
                    let name = self.cluster.groups[group].name.clone();
                    let what = What::Answer { node: self.nodes[node].id, master: name, addr: self.nodes[master].id };
                    self.history.push(self.now, what);
                    self.set_answer(node, group, master);
                }
            }
        }
    }

    /// The master of a group as most Sentinels that run see it; as most saw it last, if none runs.
    pub(crate) fn master_of(&self, group: usize) -> Option<usize> {
        let answers = |running: bool| -> Vec<usize> {
            let sentinels = (0..self.nodes.len()).filter(|node| self.nodes[*node].listens() || !running);
            sentinels.filter_map(|node| self.answers.of(node, group)).collect()
        };
        most_frequent(&answers(true)).or_else(|| most_frequent(&answers(false)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_wins_and_the_first_of_a_tie() {
        for (values, expected) in
            [(&[][..], None), (&[4], Some(4)), (&[1, 2, 2], Some(2)), (&[1, 2], Some(1)), (&[2, 1, 1, 2, 3], Some(2))]
        {
            assert_eq!(most_frequent(values), expected, "{values:?}");
        }
    }
}
