//! What a pack will cost, found out while it arrives and before the Git library sees it.
//!
//! The library inflates whatever it is sent: a megabyte can become four gigabytes of zeros, or a delta that asks for them.
//! A pack says of each object how large it will be, but not how long it is compressed, so this reads along and inflates
//! into nothing. Pure: bytes in, verdict out.

use flate2::{Decompress, FlushDecompress, Status};

/// Most that objects may be worth unpacked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// One object.
    pub(super) object: u64,
    /// All objects of a pack.
    pub(super) total: u64,
    /// Number of objects of a pack.
    pub(super) objects: usize,
}

/// Why a pack is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Too large: which bound.
    TooLarge(String),
    /// Not a pack, or not what a Git server says.
    Broken(&'static str),
}

/// Reads the answer of `git-upload-pack`: lines in packets, of which those on side band 1 are the pack.
pub(super) struct Answer {
    pack: Pack,
    state: Packets,
}

enum Packets {
    /// Collecting the four digits that say how long the packet is.
    Length(Vec<u8>),
    /// The first byte says what the packet is.
    Kind(usize),
    /// A packet of the pack: so many bytes to go.
    Band(usize),
    /// A packet of something else.
    Other(usize),
    /// The pack comes as it is, without packets.
    Plain,
}

impl Answer {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { pack: Pack::new(bounds), state: Packets::Length(Vec::with_capacity(4)) }
    }

    /// The next bytes, however they are cut.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Result<(), Refused> {
        while !bytes.is_empty() {
            match &mut self.state {
                Packets::Length(digits) => {
                    let (take, rest) = bytes.split_at(bytes.len().min(4 - digits.len()));
                    digits.extend_from_slice(take);
                    bytes = rest;
                    if digits.len() == 4 {
                        self.state = length(digits)?;
                        if matches!(self.state, Packets::Plain) {
                            self.pack.read(b"PACK")?;
                        }
                    }
                }
                Packets::Kind(left) => {
                    let left = *left;
                    let band = bytes.first() == Some(&1);
                    bytes = bytes.get(1..).unwrap_or_default();
                    self.state = if band { Packets::Band(left - 1) } else { Packets::Other(left - 1) };
                }
                Packets::Band(left) | Packets::Other(left) if *left == 0 => {
                    self.state = Packets::Length(Vec::with_capacity(4));
                }
                Packets::Band(left) => {
                    let (take, rest) = bytes.split_at(bytes.len().min(*left));
                    *left -= take.len();
                    bytes = rest;
                    self.pack.read(take)?;
                }
                Packets::Other(left) => {
                    let skip = bytes.len().min(*left);
                    *left -= skip;
                    bytes = bytes.get(skip..).unwrap_or_default();
                }
                Packets::Plain => {
                    self.pack.read(bytes)?;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// What the objects seen so far are worth, unpacked.
    #[cfg(test)]
    fn total(&self) -> u64 {
        self.pack.total
    }
}

fn length(digits: &[u8]) -> Result<Packets, Refused> {
    if digits == b"PACK" {
        return Ok(Packets::Plain);
    }
    let number = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    match number.and_then(|digits| usize::from_str_radix(digits, 16).ok()) {
        // Flush and the delimiters of newer protocols.
        Some(0..=4) => Ok(Packets::Length(Vec::with_capacity(4))),
        Some(length) => Ok(Packets::Kind(length - 4)),
        None => Err(Refused::Broken("the server's answer is not in packets")),
    }
}

/// A pack, object by object.
struct Pack {
    bounds: Bounds,
    state: State,
    /// Bytes of a header that is not whole yet.
    head: Vec<u8>,
    /// Objects to go.
    left: u64,
    total: u64,
    inflate: Decompress,
}

#[derive(Clone, Copy)]
enum State {
    /// `PACK`, version, number of objects.
    Start,
    /// Kind and size of an object.
    Entry,
    /// What a delta builds on, by distance.
    Offset { size: u64 },
    /// What a delta builds on, by ID: so many bytes to go.
    Base { size: u64, left: usize },
    /// The compressed bytes.
    Data { size: u64, delta: bool },
    /// The checksum and whatever comes after it.
    End,
}

/// No number in a header is longer.
const LONGEST_NUMBER: usize = 10;

impl Pack {
    fn new(bounds: Bounds) -> Self {
        let inflate = Decompress::new(true);
        Self { bounds, state: State::Start, head: Vec::new(), left: 0, total: 0, inflate }
    }

    fn read(&mut self, mut bytes: &[u8]) -> Result<(), Refused> {
        while let Some((first, rest)) = bytes.split_first() {
            match self.state {
                State::Start => {
                    self.head.push(*first);
                    bytes = rest;
                    if self.head.len() == 12 {
                        self.start()?;
                    }
                }
                State::Entry => {
                    self.head.push(*first);
                    bytes = rest;
                    if first & 0x80 == 0 {
                        self.entry()?;
                    } else if self.head.len() >= LONGEST_NUMBER {
                        return Err(Refused::Broken("an object's size in the pack has no end"));
                    }
                }
                State::Offset { size } => {
                    self.head.push(*first);
                    bytes = rest;
                    if first & 0x80 == 0 {
                        self.data(size, true);
                    } else if self.head.len() >= LONGEST_NUMBER {
                        return Err(Refused::Broken("an offset in the pack has no end"));
                    }
                }
                State::Base { size, left } => {
                    bytes = rest;
                    if left == 1 {
                        self.data(size, true);
                    } else {
                        self.state = State::Base { size, left: left - 1 };
                    }
                }
                State::Data { size, delta } => {
                    let used = self.inflate(bytes, size, delta)?;
                    bytes = bytes.get(used..).unwrap_or_default();
                }
                State::End => return Ok(()),
            }
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), Refused> {
        let number = |at: usize| {
            self.head
                .get(at..at + 4)
                .unwrap_or_default()
                .iter()
                .fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let (version, objects) = (number(4), number(8));
        if !self.head.starts_with(b"PACK") || !matches!(version, 2 | 3) {
            return Err(Refused::Broken("what was sent is no pack"));
        }
        if objects > self.bounds.objects as u64 {
            let most = self.bounds.objects;
            return Err(Refused::TooLarge(format!("{objects} objects, at most {most} are taken")));
        }
        self.left = objects;
        self.next();
        Ok(())
    }

    fn next(&mut self) {
        self.head.clear();
        self.state = if self.left == 0 { State::End } else { State::Entry };
    }

    fn entry(&mut self) -> Result<(), Refused> {
        let Some((first, rest)) = self.head.split_first() else { return Ok(()) };
        let mut size = u64::from(first & 0x0f);
        for (at, byte) in rest.iter().enumerate() {
            size |= u64::from(byte & 0x7f).checked_shl(4 + 7 * at as u32).unwrap_or(u64::MAX);
        }
        let kind = first >> 4 & 7;
        self.weigh(size)?;
        self.head.clear();
        match kind {
            1..=4 => {
                self.count(size)?;
                self.data(size, false);
            }
            6 => self.state = State::Offset { size },
            7 => self.state = State::Base { size, left: 20 },
            _ => return Err(Refused::Broken("the pack has an object of no known kind")),
        }
        Ok(())
    }

    fn data(&mut self, size: u64, delta: bool) {
        self.head.clear();
        self.inflate.reset(true);
        self.state = State::Data { size, delta };
    }

    fn weigh(&self, size: u64) -> Result<(), Refused> {
        if size > self.bounds.object {
            let most = super::error::size(self.bounds.object);
            return Err(Refused::TooLarge(format!(
                "an object of {} unpacked, at most {most}",
                super::error::size(size)
            )));
        }
        Ok(())
    }

    fn count(&mut self, size: u64) -> Result<(), Refused> {
        self.total = self.total.saturating_add(size);
        if self.total > self.bounds.total {
            let most = super::error::size(self.bounds.total);
            return Err(Refused::TooLarge(format!("more than {most} unpacked")));
        }
        Ok(())
    }

    /// Inflates some bytes into nothing. Gives back how many were used.
    fn inflate(&mut self, bytes: &[u8], size: u64, delta: bool) -> Result<usize, Refused> {
        let mut nothing = [0; 16 << 10];
        let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(bytes, &mut nothing, FlushDecompress::None)
            .map_err(|_| Refused::Broken("an object in the pack cannot be inflated"))?;
        let used = usize::try_from(self.inflate.total_in() - before_in).unwrap_or(bytes.len());
        let made = usize::try_from(self.inflate.total_out() - before_out).unwrap_or_default();
        if self.inflate.total_out() > size {
            return Err(Refused::Broken("an object in the pack is larger than it says"));
        }
        // The first bytes of a delta say how large the result will be.
        if delta && self.head.len() < 2 * LONGEST_NUMBER {
            let wanted = 2 * LONGEST_NUMBER - self.head.len();
            self.head.extend(nothing.iter().take(made.min(wanted)));
        }
        if status == Status::StreamEnd {
            if self.inflate.total_out() != size {
                return Err(Refused::Broken("an object in the pack is smaller than it says"));
            }
            if delta {
                let result = delta_result(&self.head).ok_or(Refused::Broken("a delta in the pack has no sizes"))?;
                self.weigh(result)?;
                self.count(result)?;
            }
            self.left -= 1;
            self.next();
        } else if used == 0 && made == 0 {
            return Err(Refused::Broken("an object in the pack cannot be inflated"));
        }
        Ok(used)
    }
}

/// The second number of a delta.
fn delta_result(head: &[u8]) -> Option<u64> {
    let end = head.iter().position(|byte| byte & 0x80 == 0)?;
    let rest = head.get(end + 1..)?;
    let end = rest.iter().position(|byte| byte & 0x80 == 0)?;
    let digits = rest.get(..=end)?.iter().enumerate();
    Some(
        digits.fold(0, |size, (at, byte)| size | u64::from(byte & 0x7f).checked_shl(7 * at as u32).unwrap_or(u64::MAX)),
    )
}

#[cfg(test)]
mod tests;
