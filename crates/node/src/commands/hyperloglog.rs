//! HyperLogLogs: strings that estimate how many different elements were added, byte for byte as Redis keeps them.

use bytes::Bytes;
use model::Reply;

use crate::access::{Access, DataResult, Expiry, Failure};
use crate::keyspace::{Form, Value};

/// How many registers there are, and how many bits of a hash choose one.
const REGISTERS: usize = 1 << INDEX_BITS;
const INDEX_BITS: u32 = 14;
/// Bits of a hash that are left.
const RUN_BITS: usize = 64 - INDEX_BITS as usize;
const REGISTER_BITS: usize = 6;
/// Magic, encoding, three bytes of nothing, and the last estimate, whose highest bit says that it is out of date.
const HEADER: usize = 16;
const DENSE_LENGTH: usize = HEADER + REGISTERS * REGISTER_BITS / 8;

const INVALID: Failure = std::borrow::Cow::Borrowed("WRONGTYPE Key is not a valid HyperLogLog string value.");
const CORRUPTED: Failure = std::borrow::Cow::Borrowed("INVALIDOBJ Corrupted HLL object detected");

/// `MurmurHash64A`
fn hash(bytes: &[u8]) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const SEED: u64 = 0xadc8_3b19;
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(M);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word).wrapping_mul(M);
        hash = (hash ^ (word ^ word >> 47).wrapping_mul(M)).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let rest = rest.iter().rev().fold(0, |rest, byte| rest << 8 | u64::from(*byte));
        hash = (hash ^ rest).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 47).wrapping_mul(M);
    hash ^ hash >> 47
}

/// The register of an element, and the length of the run of zeros in its hash.
fn place(element: &[u8]) -> (usize, u8) {
    let hash = hash(element);
    let run = (hash >> INDEX_BITS | 1 << RUN_BITS).trailing_zeros() + 1;
    (hash as usize % REGISTERS, run as u8)
}

/// A run of equal registers in the sparse encoding.
#[derive(Clone, Copy)]
struct Run {
    value: u8,
    length: usize,
    /// Bytes that it takes.
    bytes: usize,
}

impl Run {
    const VALUE_MAX: u8 = 32;
    const LENGTH_MAX: usize = 4;
    const ZEROS_SHORT_MAX: usize = 64;

    /// The run that begins here; a long one of zeros lacks its second byte if it is cut off.
    fn read(bytes: &[u8]) -> Option<Self> {
        let first = *bytes.first()?;
        Some(match first >> 6 {
            0 => Self { value: 0, length: usize::from(first & 0x3f) + 1, bytes: 1 },
            1 => {
                let length = usize::from(first & 0x3f) << 8 | usize::from(*bytes.get(1)?);
                Self { value: 0, length: length + 1, bytes: 2 }
            }
            _ => Self { value: (first >> 2 & 0x1f) + 1, length: usize::from(first & 3) + 1, bytes: 1 },
        })
    }

    fn write(out: &mut Vec<u8>, value: u8, length: usize) {
        match length.checked_sub(1) {
            None => {}
            Some(more) if value > 0 => out.push(0x80 | (value - 1) << 2 | more as u8),
            Some(more) if length <= Self::ZEROS_SHORT_MAX => out.push(more as u8),
            Some(more) => out.extend([0x40 | (more >> 8) as u8, more as u8]),
        }
    }
}

/// The bytes, and how many of them there may be in the sparse encoding, `hll-sparse-max-bytes`.
struct Hll(Vec<u8>, usize);

impl Hll {
    fn new(sparse_max: usize) -> Self {
        let mut bytes = b"HYLL\x01".to_vec();
        bytes.resize(HEADER, 0);
        Run::write(&mut bytes, 0, REGISTERS);
        Self(bytes, sparse_max)
    }

    fn parse(bytes: &[u8], sparse_max: usize) -> Result<Self, Failure> {
        let dense = bytes.get(4) == Some(&0);
        let known = bytes.len() >= HEADER && bytes.starts_with(b"HYLL") && bytes[4] <= 1;
        if known && (!dense || bytes.len() == DENSE_LENGTH) {
            Ok(Self(bytes.to_vec(), sparse_max))
        } else {
            Err(INVALID)
        }
    }

    fn is_dense(&self) -> bool {
        self.0[4] == 0
    }

    /// The last estimate, if nothing has changed since.
    fn cached(&self) -> Option<u64> {
        let card: [u8; 8] = self.0[8..HEADER].try_into().ok()?;
        Some(u64::from_le_bytes(card)).filter(|card| card >> 63 == 0)
    }

    fn cache(&mut self, card: u64) {
        self.0[8..HEADER].copy_from_slice(&card.to_le_bytes());
    }

    fn outdate(&mut self) {
        self.0[HEADER - 1] |= 0x80;
    }

    fn registers(&self) -> Result<Vec<u8>, Failure> {
        if self.is_dense() {
            return Ok((0..REGISTERS).map(|index| self.dense(index)).collect());
        }
        let (mut registers, mut rest) = (Vec::with_capacity(REGISTERS), &self.0[HEADER..]);
        while !rest.is_empty() {
            let run = Run::read(rest).filter(|run| registers.len() + run.length <= REGISTERS).ok_or(CORRUPTED)?;
            registers.resize(registers.len() + run.length, run.value);
            rest = &rest[run.bytes..];
        }
        if registers.len() == REGISTERS { Ok(registers) } else { Err(CORRUPTED) }
    }

    /// Two bytes hold a register, and the bits of its neighbours.
    fn dense(&self, index: usize) -> u8 {
        let (at, shift) = (HEADER + index * REGISTER_BITS / 8, index * REGISTER_BITS % 8);
        let pair = [self.0[at], self.0.get(at + 1).copied().unwrap_or(0)];
        (u16::from_le_bytes(pair) >> shift) as u8 & 0x3f
    }

    fn put_dense(&mut self, index: usize, value: u8) {
        let (at, shift) = (HEADER + index * REGISTER_BITS / 8, index * REGISTER_BITS % 8);
        let pair = u16::from_le_bytes([self.0[at], self.0.get(at + 1).copied().unwrap_or(0)]);
        let [low, high] = (pair & !(0x3f << shift) | u16::from(value) << shift).to_le_bytes();
        self.0[at] = low;
        if let Some(byte) = self.0.get_mut(at + 1) {
            *byte = high;
        }
    }

    fn make_dense(&mut self) -> Result<(), Failure> {
        if self.is_dense() {
            return Ok(());
        }
        let registers = self.registers()?;
        self.0.truncate(HEADER);
        self.0.resize(DENSE_LENGTH, 0);
        self.0[4] = 0;
        for (index, value) in registers.into_iter().enumerate().filter(|(_, value)| *value > 0) {
            self.put_dense(index, value);
        }
        Ok(())
    }

    /// Raises a register; false if it is as high already.
    fn raise(&mut self, index: usize, value: u8) -> Result<bool, Failure> {
        if !self.is_dense()
            && let Some(raised) = self.raise_sparse(index, value)?
        {
            return Ok(raised);
        }
        self.make_dense()?;
        let raises = self.dense(index) < value;
        if raises {
            self.put_dense(index, value);
        }
        Ok(raises)
    }

    /// The same in the sparse encoding; `None` if it has no room for that.
    fn raise_sparse(&mut self, index: usize, value: u8) -> Result<Option<bool>, Failure> {
        if value > Run::VALUE_MAX {
            return Ok(None);
        }
        let (mut at, mut first, mut before) = (HEADER, 0, HEADER);
        let run = loop {
            let run = Run::read(&self.0[at..]).ok_or(CORRUPTED)?;
            if index < first + run.length {
                break run;
            }
            before = at;
            at += run.bytes;
            first += run.length;
        };
        if run.value >= value {
            return Ok(Some(false));
        }
        let mut split = Vec::with_capacity(5);
        Run::write(&mut split, run.value, index - first);
        Run::write(&mut split, value, 1);
        Run::write(&mut split, run.value, first + run.length - 1 - index);
        if split.len() > run.bytes && self.0.len() + split.len() - run.bytes > self.1 {
            return Ok(None);
        }
        self.0.splice(at..at + run.bytes, split);
        self.merge(before);
        self.outdate();
        Ok(Some(true))
    }

    /// Joins equal neighbours among the runs from here on, as far as Redis looks.
    fn merge(&mut self, from: usize) {
        let mut at = from;
        for _ in 0..5 {
            let Some(run) = Run::read(&self.0[at..]) else { return };
            let next = Run::read(&self.0[at + run.bytes..]).filter(|next| run.value > 0 && next.value == run.value);
            match next.map(|next| run.length + next.length).filter(|length| *length <= Run::LENGTH_MAX) {
                Some(length) => {
                    let mut joined = Vec::new();
                    Run::write(&mut joined, run.value, length);
                    self.0.splice(at..at + 2, joined);
                }
                None => at += run.bytes,
            }
        }
    }
}

/// The estimate of Ertl, "New cardinality estimation algorithms for `HyperLogLog` sketches".
fn estimate(registers: &[u8]) -> u64 {
    const ALPHA: f64 = 0.721_347_520_444_481_7;
    let size = REGISTERS as f64;
    let mut counts = [0.0; 64];
    for value in registers {
        counts[usize::from(*value)] += 1.0;
    }
    let mut z = size * tau((size - counts[RUN_BITS + 1]) / size);
    for count in counts[1..=RUN_BITS].iter().rev() {
        z = (z + count) * 0.5;
    }
    z += size * sigma(counts[0] / size);
    (ALPHA * size * size / z).round() as u64
}

#[allow(clippy::float_cmp)] // Until nothing changes any more.
fn sigma(x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut x, mut y, mut z) = (x, 1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

#[allow(clippy::float_cmp)] // Until nothing changes any more.
fn tau(x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut x, mut y, mut z) = (x, 1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if before == z {
            return z / 3.0;
        }
    }
}

fn sparse_max(access: &Access<'_>) -> usize {
    access.parameter("hll-sparse-max-bytes")
}

fn read(access: &mut Access<'_>, key: &Bytes) -> Result<Option<Hll>, Failure> {
    let most = sparse_max(access);
    access.string(key)?.map(|text| Hll::parse(text, most)).transpose()
}

/// Keeps the expiry time.
fn write(access: &mut Access<'_>, event: &'static str, key: &Bytes, hll: Hll) {
    let expires_at = access.raw().expires_at(key);
    access.store_text(event, key, (hll.0.into(), Form::Loose), expires_at);
}

pub(crate) fn pfadd(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let found = read(access, &args[1])?;
    let mut updates = u64::from(found.is_none());
    let mut hll = found.unwrap_or_else(|| Hll::new(sparse_max(access)));
    for element in &args[2..] {
        let (index, run) = place(element);
        updates += u64::from(hll.raise(index, run)?);
    }
    if updates > 0 {
        hll.outdate();
        write(access, "pfadd", &args[1], hll);
        access.effects.dirty += updates - 1;
    }
    Ok(Reply::Int(i64::from(updates > 0)))
}

/// The highest of each register over all these keys, and whether one of them is dense.
fn highest(access: &mut Access<'_>, keys: &[Bytes]) -> Result<(Vec<u8>, bool), Failure> {
    let (mut highest, mut dense) = (vec![0; REGISTERS], false);
    for key in keys {
        let Some(hll) = read(access, key)? else { continue };
        dense |= hll.is_dense();
        for (so_far, value) in highest.iter_mut().zip(hll.registers()?) {
            *so_far = value.max(*so_far);
        }
    }
    Ok((highest, dense))
}

/// Of one key the estimate is kept in it, which replicas hear of.
pub(crate) fn pfcount(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    if args.len() > 2 {
        return Ok(Reply::Int(estimate(&highest(access, &args[1..])?.0) as i64));
    }
    let Some(mut hll) = read(access, &args[1])? else { return Ok(Reply::Int(0)) };
    if let Some(card) = hll.cached() {
        return Ok(Reply::Int(card as i64));
    }
    let card = estimate(&hll.registers()?);
    hll.cache(card);
    if access.expiry == Expiry::Hide {
        // A replica keeps it to itself.
        let expires_at = access.raw().expires_at(&args[1]);
        access.put(&args[1], Value::Str(hll.0.into()), expires_at);
        access.raw().set_form(&args[1], Form::Loose);
    } else {
        write(access, "", &args[1], hll);
    }
    Ok(Reply::Int(card as i64))
}

pub(crate) fn pfmerge(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    access.counts = true;
    let (registers, dense) = highest(access, &args[1..])?;
    access.counts = false;
    let mut hll = read(access, &args[1])?.unwrap_or_else(|| Hll::new(sparse_max(access)));
    if dense {
        hll.make_dense()?;
    }
    for (index, value) in registers.into_iter().enumerate().filter(|(_, value)| *value > 0) {
        hll.raise(index, value)?;
    }
    hll.outdate();
    write(access, "pfadd", &args[1], hll);
    Ok(Reply::OK)
}
