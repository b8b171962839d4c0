//! Places on the earth, kept as the scores of a sorted set: 52 bits, of longitude and latitude in turn.

use bytes::Bytes;
use model::{Command, Reply};

use super::combine::put;
use super::zsets;
use crate::access::{Access, DataResult, Failure};
use crate::args::{SYNTAX, int, is, number};

/// Bits of either coordinate.
const STEP: u32 = 26;
const LONGITUDES: Range = (-180.0, 180.0);
/// Of the projection that maps on the web use.
const LATITUDES: Range = (-85.051_128_78, 85.051_128_78);
/// In meters.
const EARTH_RADIUS: f64 = 6_372_797.560_856;
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

type Range = (f64, f64);

/// In degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    longitude: f64,
    latitude: f64,
}

/// Puts the bits of two numbers between each other, those of the second one higher.
fn interleave(even: u64, odd: u64) -> u64 {
    (0..u32::BITS).fold(0, |bits, at| bits | (even >> at & 1) << (2 * at) | (odd >> at & 1) << (2 * at + 1))
}

/// Every second bit.
fn half(bits: u64) -> u64 {
    (0..u32::BITS).fold(0, |half, at| half | (bits >> (2 * at) & 1) << at)
}

/// A score as an integer, as C has it on x86-64 where none fits.
fn signed(score: f64) -> i64 {
    if (-TWO_TO_63..TWO_TO_63).contains(&score) { score as i64 } else { i64::MIN }
}

fn unsigned(score: f64) -> u64 {
    if score < TWO_TO_63 { signed(score).cast_unsigned() } else { signed(score - TWO_TO_63).cast_unsigned() ^ 1 << 63 }
}

impl Point {
    fn parse(longitude: &[u8], latitude: &[u8]) -> Result<Self, Failure> {
        let coordinate = |text: &[u8]| zsets::score(text).ok_or("ERR value is not a valid float");
        let (longitude, latitude) = (coordinate(longitude)?, coordinate(latitude)?);
        let within = |value: f64, (low, high): Range| (low..=high).contains(&value);
        if within(longitude, LONGITUDES) && within(latitude, LATITUDES) {
            return Ok(Self { longitude, latitude });
        }
        Err(format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}").into())
    }

    fn encode(self, latitudes: Range) -> u64 {
        interleave(part(self.latitude, latitudes, STEP), part(self.longitude, LONGITUDES, STEP))
    }

    /// The middle of the cell that a score stands for.
    fn decode(score: f64) -> Self {
        let bits = unsigned(score);
        let cell = Cell { step: STEP, x: half(bits >> 1), y: half(bits) };
        let middle = |(from, to), (low, high): Range| f64::midpoint(from, to).clamp(low, high);
        Self { longitude: middle(cell.longitudes(), LONGITUDES), latitude: middle(cell.latitudes(), LATITUDES) }
    }

    /// In meters, as on a sphere.
    fn distance(self, to: Self) -> f64 {
        let v = ((to.longitude.to_radians() - self.longitude.to_radians()) / 2.0).sin();
        if v == 0.0 {
            return self.distance_north(to);
        }
        let (here, there) = (self.latitude.to_radians(), to.latitude.to_radians());
        let u = ((there - here) / 2.0).sin();
        2.0 * EARTH_RADIUS * (u * u + here.cos() * there.cos() * v * v).sqrt().asin()
    }

    fn distance_north(self, to: Self) -> f64 {
        EARTH_RADIUS * (to.latitude.to_radians() - self.latitude.to_radians()).abs()
    }

    /// Both coordinates as a reply.
    fn show(self) -> Reply {
        let show = |value: f64| {
            let digits = format!("{value:.17}");
            let short = digits.trim_end_matches('0').trim_end_matches('.');
            Reply::Decimal(short.to_owned())
        };
        Reply::Array(vec![show(self.longitude), show(self.latitude)])
    }
}

/// In which of the equal parts of a range a value is, if there are 2^`step`.
fn part(value: f64, (low, high): Range, step: u32) -> u64 {
    ((value - low) / (high - low) * f64::from(1 << step)) as u64
}

/// A cell of the grid that divides the earth into 2^`step` parts either way.
#[derive(Clone, Copy, PartialEq)]
struct Cell {
    step: u32,
    x: u64,
    y: u64,
}

impl Cell {
    fn around(point: Point, step: u32) -> Self {
        Self { step, x: part(point.longitude, LONGITUDES, step), y: part(point.latitude, LATITUDES, step) }
    }

    /// The cell so many to the east and to the north, once around the earth if there is none.
    fn beside(self, (east, north): (i64, i64)) -> Self {
        let moved = |at: u64, by: i64| if by == 0 { at } else { (at as i64 + by).rem_euclid(1 << self.step) as u64 };
        Self { step: self.step, x: moved(self.x, east), y: moved(self.y, north) }
    }

    fn edges(self, at: u64, (low, high): Range) -> Range {
        let edge = |at: u64| low + at as f64 / f64::from(1 << self.step) * (high - low);
        (edge(at), edge(at + 1))
    }

    fn longitudes(self) -> Range {
        self.edges(self.x, LONGITUDES)
    }

    fn latitudes(self) -> Range {
        self.edges(self.y, LATITUDES)
    }

    /// True if what has this score is in it.
    fn holds(self, score: f64) -> bool {
        let (bits, finer) = (interleave(self.y, self.x), 2 * (STEP - self.step));
        ((bits << finer) as f64..((bits + 1) << finer) as f64).contains(&score)
    }
}

/// A unit of length in meters.
fn unit(word: &[u8]) -> Result<f64, Failure> {
    match () {
        () if is(word, "m") => Ok(1.0),
        () if is(word, "km") => Ok(1_000.0),
        () if is(word, "ft") => Ok(0.3048),
        () if is(word, "mi") => Ok(1_609.34),
        () => Err("ERR unsupported unit provided. please use M, KM, FT, MI".into()),
    }
}

fn show_distance(meters: f64, unit: f64) -> Reply {
    Reply::bulk(format!("{:.4}", meters / unit))
}

pub(crate) fn geoadd(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let is_option = |word: &&Bytes| ["NX", "XX", "CH"].iter().any(|option| is(word, option));
    let first = 2 + args[2..].iter().take_while(is_option).count();
    let has = |option: &str| args[2..first].iter().any(|word| is(word, option));
    let triples = args[first..].chunks_exact(3);
    if !triples.remainder().is_empty() || has("NX") && has("XX") {
        return Err(SYNTAX);
    }
    let mut words = vec![Bytes::from_static(b"zadd")];
    words.extend_from_slice(&args[1..first]);
    for triple in triples {
        let score = Point::parse(&triple[0], &triple[1])?.encode(LATITUDES);
        words.extend([number(score), triple[2].clone()]);
    }
    let reply = zsets::zadd(access, &words)?;
    access.propagate_instead(Command(words));
    Ok(reply)
}

/// Shows the place of each member, or what stands for none.
fn each(access: &mut Access<'_>, args: &[Bytes], none: &Reply, show: impl Fn(Point) -> Reply) -> DataResult {
    let zset = access.zset(&args[1])?;
    let score = |member: &Bytes| zset.as_ref().and_then(|zset| zset.score(member));
    let place = |member: &Bytes| score(member).map_or_else(|| none.clone(), |score| show(Point::decode(score)));
    Ok(Reply::Array(args[2..].iter().map(place).collect()))
}

pub(crate) fn geopos(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    each(access, args, &Reply::NullArray, Point::show)
}

/// The usual text of ten letters, which counts latitudes from pole to pole, and a zero behind it.
pub(crate) fn geohash(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    const LETTERS: &[u8] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    each(access, args, &Reply::Null, |point| {
        let bits = point.encode((-90.0, 90.0));
        let letters = (1..=10).map(|place| LETTERS[(bits >> (2 * STEP - place * 5) & 0x1f) as usize]);
        Reply::Bulk(letters.chain([b'0']).collect())
    })
}

pub(crate) fn geodist(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let unit = match &args[4..] {
        [] => 1.0,
        [word] => unit(word)?,
        _ => return Err(SYNTAX),
    };
    let Some(zset) = access.zset(&args[1])? else { return Ok(Reply::Null) };
    let point = |member: &Bytes| zset.score(member).map(Point::decode);
    let meters = point(&args[2]).zip(point(&args[3])).map(|(from, to)| from.distance(to));
    Ok(meters.map_or(Reply::Null, |meters| show_distance(meters, unit)))
}

/// What is searched, around a point; in meters.
#[derive(Clone, Copy)]
enum Shape {
    Circle(f64),
    Box { width: f64, height: f64 },
}

impl Shape {
    /// Half the width and half the height.
    fn half(self) -> (f64, f64) {
        match self {
            Self::Circle(radius) => (radius, radius),
            Self::Box { width, height } => (width / 2.0, height / 2.0),
        }
    }

    /// From the westernmost to the easternmost point, from the southernmost to the northernmost.
    fn bounds(self, middle: Point) -> (Range, Range) {
        let (width, height) = self.half();
        let north = (height / EARTH_RADIUS).to_degrees();
        // Meridians are closest to each other on the side of the pole.
        let widest = middle.latitude + if middle.latitude < 0.0 { -north } else { north };
        let east = (width / EARTH_RADIUS / widest.to_radians().cos()).to_degrees();
        let around = |at: f64, by: f64| (at - by, at + by);
        (around(middle.longitude, east), around(middle.latitude, north))
    }

    /// The finest grid of which nine cells are likely to cover it.
    fn step(self, middle: Point) -> u32 {
        const MERCATOR_MAX: f64 = 20_037_726.37;
        let mut reach = match self {
            Self::Circle(radius) => radius,
            Self::Box { .. } => {
                let (width, height) = self.half();
                (width * width + height * height).sqrt()
            }
        };
        if reach == 0.0 {
            return STEP;
        }
        let mut step = -1;
        while reach < MERCATOR_MAX {
            reach *= 2.0;
            step += 1;
        }
        step -= i32::from(middle.latitude.abs() > 66.0) + i32::from(middle.latitude.abs() > 80.0);
        step.clamp(1, STEP as i32) as u32
    }

    /// The cells in which what it holds can be, in the order in which Redis looks at them.
    fn cells(self, middle: Point) -> Vec<Cell> {
        const AROUND: [(i64, i64); 9] = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let ((west, east), (south, north)) = self.bounds(middle);
        let mut cell = Cell::around(middle, self.step(middle));
        let beside = |by| cell.beside(by);
        let too_small = beside((0, 1)).latitudes().1 < north
            || beside((0, -1)).latitudes().0 > south
            || beside((1, 0)).longitudes().1 < east
            || beside((-1, 0)).longitudes().0 > west;
        if cell.step > 1 && too_small {
            cell = Cell::around(middle, cell.step - 1);
        }
        let (longitudes, latitudes) = (cell.longitudes(), cell.latitudes());
        let useless = |(x, y): (i64, i64)| {
            y < 0 && latitudes.0 < south
                || y > 0 && latitudes.1 > north
                || x < 0 && longitudes.0 < west
                || x > 0 && longitudes.1 > east
        };
        let useful = AROUND.into_iter().filter(|by| cell.step < 2 || !useless(*by));
        let mut cells: Vec<Cell> = useful.map(|by| cell.beside(by)).collect();
        // Around the earth one comes to the same ones.
        cells.dedup();
        cells
    }

    /// The distance from the middle, if `point` is within.
    fn holds(self, middle: Point, point: Point) -> Option<f64> {
        let distance = middle.distance(point);
        let within = match self {
            Self::Circle(radius) => distance <= radius,
            Self::Box { width, height } => {
                let beside = Point { longitude: middle.longitude, latitude: point.latitude };
                middle.distance_north(point) <= height / 2.0 && point.distance(beside) <= width / 2.0
            }
        };
        within.then_some(distance)
    }
}

/// Which command it is.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Search,
    Store,
    /// `GEORADIUS`, with its words for a result that is stored or without.
    Radius(bool),
    Member(bool),
}

/// What is searched, and what becomes of it.
#[derive(Default)]
struct Query {
    middle: Option<Point>,
    /// The middle is a member of something that is not there.
    nowhere: bool,
    shape: Option<Shape>,
    unit: f64,
    distance: bool,
    hash: bool,
    place: bool,
    count: Option<usize>,
    any: bool,
    /// `true` for the farthest first.
    order: Option<bool>,
    store: Option<Bytes>,
    store_distance: bool,
}

impl Query {
    fn around_member(&mut self, access: &mut Access<'_>, key: &Bytes, member: &Bytes) -> Result<(), Failure> {
        match access.zset(key)? {
            None => self.nowhere = true,
            Some(zset) => {
                let score = zset.score(member).ok_or("ERR could not decode requested zset member")?;
                self.middle = Some(Point::decode(score));
            }
        }
        Ok(())
    }

    fn circle(&mut self, radius: &[u8], word: &[u8]) -> Result<(), Failure> {
        let radius = zsets::score(radius).ok_or("ERR need numeric radius")?;
        if radius < 0.0 {
            return Err("ERR radius cannot be negative".into());
        }
        self.unit = unit(word)?;
        self.shape = Some(Shape::Circle(radius * self.unit));
        Ok(())
    }

    fn rectangle(&mut self, width: &[u8], height: &[u8], word: &[u8]) -> Result<(), Failure> {
        let width = zsets::score(width).ok_or("ERR need numeric width")?;
        let height = zsets::score(height).ok_or("ERR need numeric height")?;
        if width < 0.0 || height < 0.0 {
            return Err("ERR height or width cannot be negative".into());
        }
        self.unit = unit(word)?;
        self.shape = Some(Shape::Box { width: width * self.unit, height: height * self.unit });
        Ok(())
    }

    /// Reads one option and what belongs to it; how many words that was.
    fn option(
        &mut self,
        access: &mut Access<'_>,
        (kind, key): (Kind, &Bytes),
        words: &[Bytes],
    ) -> Result<usize, Failure> {
        let searches = matches!(kind, Kind::Search | Kind::Store);
        let may_store = matches!(kind, Kind::Radius(true) | Kind::Member(true));
        let around_member = self.nowhere || self.middle.is_some();
        match words {
            [word, ..] if is(word, "WITHDIST") => self.distance = true,
            [word, ..] if is(word, "WITHHASH") => self.hash = true,
            [word, ..] if is(word, "WITHCOORD") => self.place = true,
            [word, ..] if is(word, "ANY") => self.any = true,
            [word, ..] if is(word, "ASC") => self.order = Some(false),
            [word, ..] if is(word, "DESC") => self.order = Some(true),
            [word, count, ..] if is(word, "COUNT") => {
                let count = usize::try_from(int(count)?).ok().filter(|count| *count > 0);
                self.count = Some(count.ok_or("ERR COUNT must be > 0")?);
                return Ok(2);
            }
            [word, to, ..] if may_store && (is(word, "STORE") || is(word, "STOREDIST")) => {
                self.store = Some(to.clone());
                self.store_distance = is(word, "STOREDIST");
                return Ok(2);
            }
            [word, ..] if kind == Kind::Store && is(word, "STOREDIST") => self.store_distance = true,
            [word, member, ..] if searches && is(word, "FROMMEMBER") && !around_member => {
                self.around_member(access, key, member)?;
                return Ok(2);
            }
            [word, longitude, latitude, ..] if searches && is(word, "FROMLONLAT") && !around_member => {
                self.middle = Some(Point::parse(longitude, latitude)?);
                return Ok(3);
            }
            [word, radius, unit, ..] if searches && is(word, "BYRADIUS") && self.shape.is_none() => {
                self.circle(radius, unit)?;
                return Ok(3);
            }
            [word, width, height, unit, ..] if searches && is(word, "BYBOX") && self.shape.is_none() => {
                self.rectangle(width, height, unit)?;
                return Ok(4);
            }
            _ => return Err(SYNTAX),
        }
        Ok(1)
    }

    /// What does not go together.
    fn check(&self, kind: Kind, name: &Bytes) -> Result<(), Failure> {
        let name = crate::args::text(name);
        if self.store.is_some() && (self.distance || self.hash || self.place) {
            let what = if kind == Kind::Store { "GEOSEARCHSTORE" } else { "STORE option in GEORADIUS" };
            return Err(format!("ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options").into());
        }
        if self.middle.is_none() && !self.nowhere {
            return Err(format!("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}").into());
        }
        if self.shape.is_none() && matches!(kind, Kind::Search | Kind::Store) {
            return Err(format!("ERR exactly one of BYRADIUS and BYBOX can be specified for {name}").into());
        }
        if self.any && self.count.is_none() {
            return Err("ERR the ANY argument requires COUNT argument".into());
        }
        Ok(())
    }

    /// What is found, with scores and distances, in the order that was asked for, else in that of the cells and the scores.
    fn run(&self, access: &mut Access<'_>, key: &Bytes) -> Result<Vec<(Bytes, f64, f64)>, Failure> {
        let (Some(middle), Some(shape), Some(zset)) = (self.middle, self.shape, access.zset(key)?) else {
            return Ok(Vec::new());
        };
        let within = |cell: Cell| zset.iter().filter(move |(_, score)| cell.holds(*score));
        let found =
            shape.cells(middle).into_iter().flat_map(within).filter_map(|(member, score)| {
                Some((member.clone(), score, shape.holds(middle, Point::decode(score))?))
            });
        // The nearest ones, unless any will do.
        let order = self.order.or((self.count.is_some() && !self.any).then_some(false));
        let enough = self.count.filter(|_| self.any).unwrap_or(usize::MAX);
        let mut found: Vec<(Bytes, f64, f64)> = found.take(enough).collect();
        match order {
            Some(false) => found.sort_by(|(.., a), (.., b)| a.total_cmp(b)),
            Some(true) => found.sort_by(|(.., a), (.., b)| b.total_cmp(a)),
            None => {}
        }
        found.truncate(self.count.unwrap_or(usize::MAX));
        Ok(found)
    }
}

fn search(access: &mut Access<'_>, args: &[Bytes], kind: Kind) -> DataResult {
    let key = &args[if kind == Kind::Store { 2 } else { 1 }];
    access.counts = true;
    access.zset(key)?;
    access.counts = false;
    let mut query = Query::default();
    let mut rest = match kind {
        Kind::Search => &args[2..],
        Kind::Store => {
            query.store = Some(args[1].clone());
            &args[3..]
        }
        Kind::Radius(_) => {
            query.middle = Some(Point::parse(&args[2], &args[3])?);
            query.circle(&args[4], &args[5])?;
            &args[6..]
        }
        Kind::Member(_) => {
            query.around_member(access, key, &args[2])?;
            if !query.nowhere {
                query.circle(&args[3], &args[4])?;
            }
            &args[5..]
        }
    };
    while !rest.is_empty() {
        let read = query.option(access, (kind, key), rest)?;
        rest = &rest[read..];
    }
    query.check(kind, &args[0])?;
    let found = query.run(access, key)?;
    if let Some(to) = &query.store {
        let event = if kind == Kind::Store { "geosearchstore" } else { "georadiusstore" };
        let score =
            |(member, score, distance)| (member, if query.store_distance { distance / query.unit } else { score });
        let count = found.len() as u64;
        let reply = put(access, event, to, found.into_iter().map(score).collect());
        access.effects.dirty += count.saturating_sub(1);
        return Ok(reply);
    }
    let show = |(member, score, distance): (Bytes, f64, f64)| {
        let mut fields = vec![Reply::Bulk(member)];
        fields.extend(query.distance.then(|| show_distance(distance, query.unit)));
        fields.extend(query.hash.then_some(Reply::Int(signed(score))));
        fields.extend(query.place.then(|| Point::decode(score).show()));
        if fields.len() > 1 { Reply::Array(fields) } else { fields.remove(0) }
    };
    Ok(Reply::Array(found.into_iter().map(show).collect()))
}

pub(crate) fn geosearch(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    search(access, args, Kind::Search)
}

pub(crate) fn geosearchstore(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    search(access, args, Kind::Store)
}

pub(crate) fn georadius(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    search(access, args, Kind::Radius(true))
}

pub(crate) fn georadius_ro(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    search(access, args, Kind::Radius(false))
}

pub(crate) fn georadiusbymember(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    search(access, args, Kind::Member(true))
}

pub(crate) fn georadiusbymember_ro(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    search(access, args, Kind::Member(false))
}
