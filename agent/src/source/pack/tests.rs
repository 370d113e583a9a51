use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;

use super::{Answer, Bounds, Refused};

const BOUNDS: Bounds = Bounds { object: 1 << 20, total: 4 << 20, objects: 100 };

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn entry(kind: u8, size: u64, between: &[u8], content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind << 4 | (size & 0x0f) as u8];
    let mut rest = size >> 4;
    while rest > 0 {
        *bytes.last_mut().unwrap() |= 0x80;
        bytes.push((rest & 0x7f) as u8);
        rest >>= 7;
    }
    bytes.extend(between);
    bytes.extend(deflated(content));
    bytes
}

fn blob(content: &[u8]) -> Vec<u8> {
    entry(3, content.len() as u64, &[], content)
}

fn pack(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"PACK\0\0\0\x02".to_vec();
    bytes.extend(u32::try_from(entries.len()).unwrap().to_be_bytes());
    bytes.extend(entries.concat());
    bytes.extend([7; 20]);
    bytes
}

/// As a server sends it: an acknowledgement, then packets on side band 1 and a word for people in between.
fn answer(pack: &[u8]) -> Vec<u8> {
    let mut bytes = b"0008NAK\n".to_vec();
    for piece in pack.chunks(1000) {
        bytes.extend(format!("{:04x}\x01", piece.len() + 5).as_bytes());
        bytes.extend(piece);
        bytes.extend(b"000a\x02hello");
    }
    bytes.extend(b"0000");
    bytes
}

fn read(bytes: &[u8], cut: usize) -> Result<u64, Refused> {
    let mut answer = Answer::new(BOUNDS);
    for piece in bytes.chunks(cut) {
        answer.read(piece)?;
    }
    Ok(answer.total())
}

fn too_large(bytes: &[u8]) -> bool {
    matches!(read(bytes, 4096), Err(Refused::TooLarge(_)))
}

#[test]
fn ordinary_packs_pass_however_they_are_cut() {
    let delta = [&[100, 0x80 | 44, 1][..], &[0; 20]].concat();
    let pack = pack(&[
        blob(b"a: 1\n"),
        blob(&vec![b'x'; 300_000]),
        entry(6, delta.len() as u64, &[0x81, 5], &delta),
        entry(7, delta.len() as u64, &[9; 20], &delta),
    ]);
    for cut in [1, 7, 999, 100_000] {
        assert_eq!(read(&answer(&pack), cut), Ok(5 + 300_000 + 172 + 172), "in packets, pieces of {cut}");
        assert_eq!(read(&[b"0008NAK\n", pack.as_slice()].concat(), cut), Ok(300_349), "as it is, pieces of {cut}");
    }
}

#[test]
fn attack_pack_bombs_are_refused_before_they_are_unpacked() {
    // What it says of itself, what a delta asks for, what many make together, how many there are.
    assert!(too_large(&answer(&pack(&[blob(&vec![0; 2 << 20])]))));
    let delta = [0x05, 0x80, 0x80, 0x80, 0x80, 0x10, 0, 0];
    assert!(too_large(&answer(&pack(&[entry(6, 8, &[5], &delta)]))), "a delta that makes 4 GiB");
    let million = blob(&vec![0; 1 << 20]);
    assert!(too_large(&answer(&pack(&vec![million; 5]))));
    assert!(too_large(&answer(&pack(&vec![blob(b""); 101]))));
    // One that says little and is much.
    let lie = answer(&pack(&[entry(3, 10, &[], &vec![0; 1 << 20])]));
    assert_eq!(read(&lie, 4096), Err(Refused::Broken("an object in the pack is larger than it says")));
    let size_without_end = answer(&pack(&[[vec![0xb0], vec![0xff; 30]].concat()]));
    assert!(matches!(read(&size_without_end, 4096), Err(Refused::Broken(_) | Refused::TooLarge(_))));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), cut in 1..50_usize) {
        let _ = read(&bytes, cut);
        let _ = read(&answer(&[b"PACK\0\0\0\x02\0\0\0\x05", bytes.as_slice()].concat()), cut);
    }

    #[test]
    fn broken_packs_say_the_same_however_they_are_cut(at in 0..400_usize, byte in any::<u8>(), cut in 1..50_usize) {
        let mut bytes = answer(&pack(&[blob(b"a: 1"), blob(&[3; 500]), entry(6, 4, &[9], &[4, 4, 0x90, 4])]));
        let at = at % bytes.len();
        bytes[at] = byte;
        prop_assert_eq!(read(&bytes, cut).is_ok(), read(&bytes, usize::MAX).is_ok());
    }
}
