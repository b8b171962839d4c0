//! Chaos from outside. One program, since each links everything.

mod audits;
mod campaigns;
mod schedules;
mod systematic;
mod zoo;
