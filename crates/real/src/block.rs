//! Loopback address blocks: each client's view of the cluster has a /24 of 127.0.0.0/8 to itself, so that every node
//! has an address of its own with the standard port, and runs in parallel, in one process or many, never collide.
//!
//! A block is claimed by binding a UDP socket in it, which the kernel gives to one process at a time and takes back
//! when that ends, however it ends. Each claim takes the block after the last one, so an address mostly rests before it is
//! used again. That matters because connections linger in TIME-WAIT for a minute: see `testbed`'s gates.

use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Most nodes that a block has addresses for.
pub const NODES_MAX: usize = 250;

/// The second bytes of the blocks' addresses; the third runs through all values. Out of the way of 127.0.0.1, of the
/// 127.0.0.53 of resolvers and of the 127.0.1.1 of Debian.
const SECOND: std::ops::RangeInclusive<u8> = 16..=239;
/// The last byte of the address that the lock is bound to, above those of the nodes.
const LOCK_HOST: u8 = 254;
/// How many blocks further on it is to elsewhere: so far, again and again, comes near no place twice for long.
const FAR: u32 = 35_441;
/// Above the ports that Linux and the BSDs give out by themselves.
const LOCK_PORT: u16 = 61_379;

/// A claimed block. Free again when dropped.
#[derive(Debug)]
pub struct Block(Kind);

#[derive(Debug)]
enum Kind {
    /// The /24 with these second and third bytes.
    Own { second: u8, third: u8, _lock: UdpSocket },
    /// The system has no loopback address but 127.0.0.1: nodes are told apart by their port alone.
    Shared,
}

impl Block {
    /// Claims the next free block.
    pub fn claim() -> io::Result<Self> {
        let blocks = (u32::from(*SECOND.end()) - u32::from(*SECOND.start()) + 1) * 256;
        for _ in 0..blocks {
            let number = next_number() % blocks;
            let (second, third) = (SECOND.start() + (number / 256) as u8, (number % 256) as u8);
            match UdpSocket::bind((Ipv4Addr::new(127, second, third, LOCK_HOST), LOCK_PORT)) {
                Ok(lock) => return Ok(Self(Kind::Own { second, third, _lock: lock })),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => return Ok(Self(Kind::Shared)),
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "every loopback address block is taken"))
    }

    /// Has the next claim, and those after it, take blocks far from the last one.
    pub fn go_elsewhere() {
        next().fetch_add(FAR, Ordering::Relaxed);
    }

    /// An address of the block that no node has; `None` where nodes have no addresses of their own.
    pub fn spare(&self) -> Option<Ipv4Addr> {
        match self.0 {
            Kind::Own { second, third, .. } => Some(Ipv4Addr::new(127, second, third, LOCK_HOST)),
            Kind::Shared => None,
        }
    }

    /// The address of node `index`, counted from 0 through all nodes of the cluster and below [`NODES_MAX`], and the
    /// port to try: `standard`, or 0 where a port of its own is all that a node can have.
    pub fn addr(&self, index: usize, standard: u16) -> (IpAddr, u16) {
        debug_assert!(index < NODES_MAX);
        match &self.0 {
            Kind::Own { second, third, .. } => (Ipv4Addr::new(127, *second, *third, index as u8 + 1).into(), standard),
            Kind::Shared => (Ipv4Addr::LOCALHOST.into(), 0),
        }
    }
}

/// Counts blocks, from another one in each process, so that processes one after the other do not share addresses.
fn next_number() -> u32 {
    next().fetch_add(1, Ordering::Relaxed)
}

fn next() -> &'static AtomicU32 {
    static NEXT: OnceLock<AtomicU32> = OnceLock::new();
    NEXT.get_or_init(|| AtomicU32::new(std::process::id().wrapping_mul(0x9e37_79b1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn blocks_held_at_the_same_time_differ() {
        let claim_many = || (0..20).map(|_| Block::claim().unwrap()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(claim_many)).collect();
        let blocks: Vec<Block> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let mut addrs: Vec<_> = blocks.iter().map(|block| block.addr(0, 6379)).collect();
        addrs.sort_unstable();
        addrs.dedup();
        assert_eq!(addrs.len(), 80);
    }

    #[test]
    fn nodes_of_a_block_differ() {
        let block = Block::claim().unwrap();
        if matches!(block.0, Kind::Own { .. }) {
            assert_ne!(block.addr(0, 6379), block.addr(1, 6379));
            assert!(block.addr(NODES_MAX - 1, 6379).0 < IpAddr::from([127, 255, 255, LOCK_HOST]));
        }
    }
}
