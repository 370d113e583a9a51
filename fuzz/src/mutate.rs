//! Mutations: of bytes, of lines, of words, and the ones that make bombs (repetition, nesting).

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

/// Longest input; longer ones are cut. The limits of the readers are tested by their units.
const LONGEST: usize = 64 << 10;
/// Numbers on which readers stumble.
const NUMBERS: [&str; 10] = [
    "0",
    "-1",
    "00",
    "1e999",
    "255",
    "65536",
    "4294967296",
    "9223372036854775808",
    "-9223372036854775809",
    "0x7fffffff",
];
/// Bytes that mean something to some reader.
const SIGNS: &[u8] = b"{}[]():,-#&*!|>'\"%@`\\/.~=+ \t\n\r\0\x01\x1b\x7f\x80\xff\xfe\xef\xbb\xbf?<";

/// Another input, made of one of the pool (and parts of another).
pub(crate) fn mutated(pool: &[Vec<u8>], words: &[&[u8]], random: &mut StdRng) -> Vec<u8> {
    let mut input = pool.choose(random).cloned().unwrap_or_default();
    for _ in 0..random.random_range(1..=6) {
        step(&mut input, pool, words, random);
        input.truncate(LONGEST);
    }
    input
}

fn step(input: &mut Vec<u8>, pool: &[Vec<u8>], words: &[&[u8]], random: &mut StdRng) {
    let at = random.random_range(0..=input.len());
    match random.random_range(0..12) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.random_range(0..8);
            }
        }
        1 => {
            if let (Some(byte), Some(sign)) = (input.get_mut(at), SIGNS.choose(random)) {
                *byte = *sign;
            }
        }
        2 => insert(input, at, &[random.random::<u8>()]),
        3 => {
            let sign = SIGNS.choose(random).copied().unwrap_or_default();
            insert(input, at, &[sign]);
        }
        4 => {
            let end = (at + random.random_range(0..=32)).min(input.len());
            input.drain(at..end);
        }
        5 => input.truncate(at),
        6 => {
            let word = words.choose(random).copied().unwrap_or_default();
            insert(input, at, word);
        }
        7 => {
            let number = NUMBERS.choose(random).copied().unwrap_or_default();
            replace_number(input, at, number.as_bytes());
        }
        8 => {
            // A piece of another one.
            let other = pool.choose(random).map(Vec::as_slice).unwrap_or_default();
            let from = random.random_range(0..=other.len());
            let to = (from + random.random_range(0..=200)).min(other.len());
            insert(input, at, other.get(from..to).unwrap_or_default());
        }
        9 => {
            // The same again and again.
            let end = (at + random.random_range(1..=40)).min(input.len());
            let piece = input.get(at..end).unwrap_or_default().repeat(random.random_range(2..=300));
            insert(input, at, &piece);
        }
        10 => swap_lines(input, random),
        _ => {
            let open = *b"[({".choose(random).unwrap_or(&b'[');
            insert(input, at, &vec![open; random.random_range(1..=2_000)]);
        }
    }
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    input.splice(at..at, piece.iter().copied());
}

/// Puts a number in place of the next one.
fn replace_number(input: &mut Vec<u8>, at: usize, number: &[u8]) {
    let tail = input.get(at..).unwrap_or_default();
    let Some(start) = tail.iter().position(u8::is_ascii_digit) else { return };
    let length = tail.iter().skip(start).take_while(|byte| byte.is_ascii_digit()).count();
    input.splice(at + start..at + start + length, number.iter().copied());
}

fn swap_lines(input: &mut Vec<u8>, random: &mut StdRng) {
    let mut lines: Vec<Vec<u8>> = input.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.len() > 1 {
        let (one, other) = (random.random_range(0..lines.len()), random.random_range(0..lines.len()));
        lines.swap(one, other);
        *input = lines.concat();
    }
}
