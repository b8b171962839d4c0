//! The state machine of a failover, of which a leader takes one step a pass.

use model::{Addr, EventName, Output, RunId, Text};
use rand::RngExt as _;

use crate::Ms;
use crate::election::{elects, leading, vote};
use crate::instance::{FailoverState, Master, Reconf, Replica, Role, Who};
use crate::link::{Lane, Pending};
use crate::machine::Sentinel;
use crate::scripts::Teller;
use crate::select::{Candidate, Circumstances, select_replica};

/// A simulated failure: the process ends at once. Redis writes when a pass is over, so that nobody hears what was said in this
/// one.
fn crash(out: &mut Vec<Output>) {
    out.retain(|output| !matches!(output, Output::Send(..)));
    out.push(Output::Exit);
}

/// Upper end of the random delay that keeps Sentinels from starting at the same moment.
const MAX_DESYNC: Ms = 1_000;

impl Sentinel {
    /// Starts a failover if the master is objectively down and none was tried too recently.
    pub(crate) fn start_failover_if_needed(&mut self, m: usize, now: Ms, out: &mut Vec<Output>) -> bool {
        let master = &self.masters[m];
        if !master.o_down || master.in_progress || now - master.failover_start < 2 * master.failover_timeout() {
            return false;
        }
        self.start_failover(m, now, out);
        true
    }

    /// Starts a failover in a new epoch.
    pub(crate) fn start_failover(&mut self, m: usize, now: Ms, out: &mut Vec<Output>) {
        self.current_epoch += 1;
        let desync = self.rng.random_range(0..MAX_DESYNC);
        let epoch = self.current_epoch;
        let master = &mut self.masters[m];
        master.state = FailoverState::WaitStart;
        master.in_progress = true;
        master.failover_epoch = epoch;
        master.failover_start = now + desync;
        master.state_since = now;
        let text = self.text_of(Who::Master(m));
        self.emit(m, (EventName::NewEpoch, Text::from(epoch.to_string())), out);
        self.emit(m, (EventName::TryFailover, text), out);
    }

    /// One step.
    pub(crate) fn failover_step(&mut self, m: usize, now: Ms, out: &mut Vec<Output>) {
        if !self.masters[m].in_progress {
            return;
        }
        match self.masters[m].state {
            FailoverState::WaitStart => self.wait_start(m, now, out),
            FailoverState::SelectSlave => self.select_slave(m, now, out),
            FailoverState::SendSlaveofNoone => self.send_slaveof_noone(m, now, out),
            FailoverState::WaitPromotion => {
                if self.stuck(m, now) {
                    self.abort(m, EventName::AbortSlaveTimeout, now, out);
                }
            }
            FailoverState::ReconfSlaves => self.reconf_next(m, now, out),
            FailoverState::None | FailoverState::UpdateConfig => {}
        }
    }

    fn enter(&mut self, m: usize, state: FailoverState, now: Ms) {
        self.masters[m].state = state;
        self.masters[m].state_since = now;
    }

    fn stuck(&self, m: usize, now: Ms) -> bool {
        now - self.masters[m].state_since > self.masters[m].failover_timeout()
    }

    fn wait_start(&mut self, m: usize, now: Ms, out: &mut Vec<Output>) {
        let epoch = self.masters[m].failover_epoch;
        let elected = self.leader(m, epoch, now, out).is_some_and(|leader| leader == self.id);
        let master = &self.masters[m];
        if !elected && !master.forced {
            let timeout = self.periods.election_timeout.min(master.failover_timeout());
            if now - master.failover_start > timeout {
                self.abort(m, EventName::AbortNotElected, now, out);
            }
            return;
        }
        let text = self.text_of(Who::Master(m));
        self.emit(m, (EventName::ElectedLeader, text.clone()), out);
        if self.crash_after_election {
            crash(out);
        }
        self.enter(m, FailoverState::SelectSlave, now);
        self.emit(m, (EventName::SelectSlave, text), out);
    }

    /// Counts the votes of an epoch, this Sentinel's own among them, which it gives now if it has not yet.
    fn leader(&mut self, m: usize, epoch: u64, now: Ms, out: &mut Vec<Output>) -> Option<RunId> {
        let current = self.current_epoch;
        let master = &self.masters[m];
        let votes =
            master.peers.iter().filter(|peer| peer.leader_epoch == current).filter_map(|peer| peer.leader.as_ref());
        let mut votes: Vec<RunId> = votes.cloned().collect();
        let (voters, quorum) = (master.peers.len() + 1, master.config.quorum);
        let favourite = leading(&votes).map_or_else(|| self.id.clone(), |(leader, _)| leader);
        self.vote(m, epoch, &favourite, now, out);
        let ballot = &self.masters[m].ballot;
        if let Some(own) = ballot.leader.as_ref().filter(|_| ballot.epoch == epoch) {
            votes.push(own.clone());
        }
        leading(&votes).filter(|(_, count)| elects(*count, voters, quorum)).map(|(leader, _)| leader)
    }

    /// Votes for `candidate` in `epoch`, unless it has voted in that epoch or knows a later one.
    pub(crate) fn vote(&mut self, m: usize, epoch: u64, candidate: &RunId, now: Ms, out: &mut Vec<Output>) {
        let outcome = vote(&mut self.masters[m].ballot, self.current_epoch, epoch, candidate);
        self.current_epoch = outcome.current_epoch;
        if outcome.new_epoch || outcome.given {
            self.flush();
        }
        if outcome.new_epoch {
            self.emit(m, (EventName::NewEpoch, Text::from(self.current_epoch.to_string())), out);
        }
        if outcome.given {
            self.emit(m, (EventName::VoteForLeader, Text::from(format!("{candidate} {}", self.current_epoch))), out);
            if *candidate != self.id {
                // Whoever voted for another waits before an attempt of its own.
                self.masters[m].failover_start = now + self.rng.random_range(0..MAX_DESYNC);
            }
        }
    }

    /// The replica that would be promoted now.
    pub(crate) fn best_replica(&self, m: usize, now: Ms) -> Option<usize> {
        let master = &self.masters[m];
        let circumstances = Circumstances {
            master_down_for: master.base.s_down.then(|| now - master.base.s_down_since),
            down_after: master.down_after(),
            ping_period: self.periods.ping,
            info_period: self.periods.info,
        };
        let candidate = |replica: &Replica| {
            let link = self.links.get(replica.base.link);
            Candidate {
                down: replica.base.s_down,
                disconnected: link.disconnected,
                available_age: now - link.last_available,
                priority: replica.priority,
                info_age: now - replica.report.at,
                master_link_down: replica.report.master_link_down,
                offset: replica.offset,
                run_id: replica.base.run_id.clone(),
            }
        };
        let candidates: Vec<Candidate> = master.replicas.iter().map(candidate).collect();
        select_replica(&candidates, circumstances)
    }

    fn select_slave(&mut self, m: usize, now: Ms, out: &mut Vec<Output>) {
        let Some(r) = self.best_replica(m, now) else {
            self.abort(m, EventName::AbortNoGoodSlave, now, out);
            return;
        };
        let text = self.text_of(Who::Replica(m, r));
        self.emit(m, (EventName::SelectedSlave, text.clone()), out);
        self.masters[m].replicas[r].promoted = true;
        self.enter(m, FailoverState::SendSlaveofNoone, now);
        self.emit(m, (EventName::SendSlaveofNoone, text), out);
    }

    fn send_slaveof_noone(&mut self, m: usize, now: Ms, out: &mut Vec<Output>) {
        let Some(r) = self.masters[m].promoted() else { return };
        if self.link(Who::Replica(m, r)).disconnected {
            if self.stuck(m, now) {
                self.abort(m, EventName::AbortSlaveTimeout, now, out);
            }
            return;
        }
        self.send_slaveof(Who::Replica(m, r), None, out);
        self.emit(m, (EventName::WaitPromotion, self.text_of(Who::Replica(m, r))), out);
        self.enter(m, FailoverState::WaitPromotion, now);
    }

    /// Reconfigures a data node in one transaction, and has it drop its clients so that they look for the master again.
    pub(crate) fn send_slaveof(&mut self, who: Who, of: Option<&Addr>, out: &mut Vec<Output>) {
        let command = |name| self.masters[who.master()].config.command(name);
        let slaveof = match of {
            Some(addr) => command("SLAVEOF").arg(addr.host.to_string()).arg(addr.port.to_string()),
            None => command("SLAVEOF").arg("NO").arg("ONE"),
        };
        let transaction = [
            command("MULTI"),
            slaveof,
            command("CONFIG").arg("REWRITE"),
            command("CLIENT").arg("KILL").arg("TYPE").arg("normal"),
            command("CLIENT").arg("KILL").arg("TYPE").arg("pubsub"),
            command("EXEC"),
        ];
        let link = self.link_mut(who);
        for command in transaction {
            link.send(command, Pending::Nothing, out);
        }
    }

    /// The promoted replica reports itself as a master.
    pub(crate) fn promotion_seen(&mut self, m: usize, r: usize, now: Ms, out: &mut Vec<Output>) {
        let text = self.text_of(Who::Replica(m, r));
        self.masters[m].config_epoch = self.masters[m].failover_epoch;
        self.flush();
        self.enter(m, FailoverState::ReconfSlaves, now);
        self.emit(m, (EventName::PromotedSlave, text), out);
        if self.crash_after_promotion {
            crash(out);
        }
        self.emit(m, (EventName::ReconfSlaves, self.text_of(Who::Master(m))), out);
        let master = &self.masters[m];
        let (from, to) = (self.shown(&master.base.place), self.shown(&master.replicas[r].base.place));
        self.reconfigure_clients(m, Teller::Leader, &from, &to);
        self.force_hello(m);
    }

    /// Has the new configuration told to everybody at the next pass.
    fn force_hello(&mut self, m: usize) {
        let by = self.periods.publish + 1;
        let master = &mut self.masters[m];
        master.base.last_publish -= by;
        master.replicas.iter_mut().for_each(|replica| replica.base.last_publish -= by);
        master.peers.iter_mut().for_each(|peer| peer.base.last_publish -= by);
    }

    fn reconf_next(&mut self, m: usize, now: Ms, out: &mut Vec<Output>) {
        let master = &self.masters[m];
        let Some(new_master) = master.promoted().map(|r| self.shown(&master.replicas[r].base.place)) else { return };
        let under_way = |replica: &&Replica| matches!(replica.reconf, Reconf::Sent(_) | Reconf::InProgress);
        let mut in_progress = master.replicas.iter().filter(under_way).count();
        for r in 0..master.replicas.len() {
            if in_progress >= self.masters[m].config.parallel_syncs as usize {
                break;
            }
            let replica = &self.masters[m].replicas[r];
            if replica.promoted {
                continue;
            }
            match replica.reconf {
                Reconf::Sent(at) if now - at > self.periods.slave_reconf_timeout => {
                    let text = self.text_of(Who::Replica(m, r));
                    self.emit(m, (EventName::SlaveReconfSentTimeout, text), out);
                    self.masters[m].replicas[r].reconf = Reconf::Done;
                }
                Reconf::None if !self.link(Who::Replica(m, r)).disconnected => {
                    self.send_slaveof(Who::Replica(m, r), Some(&new_master), out);
                    self.masters[m].replicas[r].reconf = Reconf::Sent(now);
                    self.emit(m, (EventName::SlaveReconfSent, self.text_of(Who::Replica(m, r))), out);
                    in_progress += 1;
                }
                _ => {}
            }
        }
        self.detect_end(m, &new_master, now, out);
    }

    fn detect_end(&mut self, m: usize, new_master: &Addr, now: Ms, out: &mut Vec<Output>) {
        let master = &self.masters[m];
        if master.promoted().is_none_or(|r| master.replicas[r].base.s_down) {
            return;
        }
        let missing = |replica: &Replica| !replica.promoted && replica.reconf != Reconf::Done && !replica.base.s_down;
        let done = !master.replicas.iter().any(missing);
        let timeout = self.stuck(m, now);
        let text = self.text_of(Who::Master(m));
        if timeout {
            self.emit(m, (EventName::FailoverEndForTimeout, text.clone()), out);
        }
        if done || timeout {
            self.emit(m, (EventName::FailoverEnd, text), out);
            self.enter(m, FailoverState::UpdateConfig, now);
        }
        if timeout {
            for r in 0..self.masters[m].replicas.len() {
                let replica = &self.masters[m].replicas[r];
                let told = replica.promoted || matches!(replica.reconf, Reconf::Done | Reconf::Sent(_));
                if told || self.link(Who::Replica(m, r)).disconnected {
                    continue;
                }
                self.send_slaveof(Who::Replica(m, r), Some(new_master), out);
                self.emit(m, (EventName::SlaveReconfSentBe, self.text_of(Who::Replica(m, r))), out);
                self.masters[m].replicas[r].reconf = Reconf::Sent(now);
            }
        }
    }

    fn abort(&mut self, m: usize, why: EventName, now: Ms, out: &mut Vec<Output>) {
        self.emit(m, (why, self.text_of(Who::Master(m))), out);
        self.enter(m, FailoverState::None, now);
        let master = &mut self.masters[m];
        master.in_progress = false;
        master.forced = false;
        master.replicas.iter_mut().for_each(|replica| replica.promoted = false);
    }

    /// The end of a failover at its leader: the promoted replica becomes the master.
    pub(crate) fn switch_to_promoted(&mut self, m: usize, now: Ms, out: &mut Vec<Output>) {
        let new = self.masters[m].current().clone();
        self.announce_switch(m, Text::default().spaced(&self.shown(&new)), out);
        self.change_address(m, &new.shown(true), now, out);
    }

    /// Publishes `+switch-master`.
    pub(crate) fn announce_switch(&mut self, m: usize, new: Text, out: &mut Vec<Output>) {
        let master = &self.masters[m];
        let old = self.shown(&master.base.place);
        let text = Text::from(master.name().to_owned()).str(" ").spaced(&old).str(" ").text(new);
        self.emit(m, (EventName::SwitchMaster, text), out);
    }

    /// Starts over with a new address, unless that is a name that cannot be resolved. The other Sentinels are kept, the replicas made anew, the old master among them.
    pub(crate) fn change_address(&mut self, m: usize, new: &Addr, now: Ms, out: &mut Vec<Output>) {
        let Some(new) = self.resolver().place(new) else { return };
        let old = &self.masters[m].base.place;
        let replicas = self.masters[m].replicas.iter().map(|replica| &replica.base.place).chain([old]);
        let replicas: Vec<Addr> = replicas.filter(|place| !place.is(&new)).map(|place| place.shown(true)).collect();
        self.reset(m, now, out);
        self.flush();
        let master = &mut self.masters[m];
        master.base.place = new;
        master.base.s_down_since = 0;
        master.o_down_since = 0;
        for addr in &replicas {
            self.add_replica(m, addr, now, out);
        }
    }

    /// Forgets the replicas and everything that was seen of the master.
    pub(crate) fn reset(&mut self, m: usize, now: Ms, out: &mut Vec<Output>) {
        for replica in std::mem::take(&mut self.masters[m].replicas) {
            self.links.release(replica.base.link, out);
        }
        let link = self.masters[m].base.link;
        self.links.close(link, Lane::Commands, out);
        self.links.close(link, Lane::PubSub, out);
        self.links.get_mut(link).reset_times(now);
        let master: &mut Master = &mut self.masters[m];
        master.base.s_down = false;
        master.base.script_kill_sent = false;
        master.base.run_id = None;
        master.o_down = false;
        master.rebooted_since = 0;
        master.in_progress = false;
        master.forced = false;
        master.ballot.leader = None;
        master.state = FailoverState::None;
        master.state_since = 0;
        // Another failover may follow at once.
        master.failover_start = 0;
        master.report.role = Role::Master;
        master.report.role_since = now;
    }

    /// Adds a replica, unless it is known or has a name where only addresses are taken.
    pub(crate) fn add_replica(&mut self, m: usize, addr: &Addr, now: Ms, out: &mut Vec<Output>) {
        let Some(place) = self.resolver().place_or_name(addr) else { return };
        let name = self.shown(&place);
        if self.masters[m].replicas.iter().any(|replica| replica.name == name) {
            return;
        }
        let link = self.links.create(now);
        self.flush();
        self.masters[m].replicas.push(Replica::new(name, place, link, now));
        let text = self.text_of(Who::Replica(m, self.masters[m].replicas.len() - 1));
        self.emit(m, (EventName::Slave, text), out);
    }
}
