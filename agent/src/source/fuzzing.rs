//! Doors for `fuzz/` into readers of what strangers send. Nothing else uses them.

use super::pack::{Answer, Bounds, Refused};
use super::signature;
use super::url::RemoteUrl;

/// Reads the answer of a Git server along, as a fetch does. Gives back why it is not taken.
pub fn pack(answer: &[u8]) -> Result<(), String> {
    let mut reader = Answer::new(Bounds { object: 1 << 20, total: 4 << 20, objects: 1_000 });
    // Cut where a network would cut it.
    answer.chunks(997).try_for_each(|piece| reader.read(piece)).map_err(|refused| match refused {
        Refused::TooLarge(which) => which,
        Refused::Broken(why) => why.to_owned(),
    })
}

/// Takes a commit or tag object apart and judges its signature by the keys of a Secret.
pub fn object(raw: &[u8], keys: &[u8]) -> Result<(), String> {
    signature::fuzz(raw)?;
    super::Keyring::read("signers", [("keys", keys)].into_iter()).map(drop)
}

/// The URL of a repository.
pub fn url(text: &str) -> Result<String, String> {
    RemoteUrl::parse(text).map(|url| url.to_string()).map_err(|error| error.to_string())
}
