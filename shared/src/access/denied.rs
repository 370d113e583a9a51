//! A refusal of RBAC, and what to do about it.

/// What is missing, out of an API server's own words, and the command that prints the Role: `User "u" cannot patch resource
/// "deployments" in API group "apps" in the namespace "shop"`. `None` for any other refusal (of a webhook, of a quota).
pub fn advice(message: &str, target: &str) -> Option<String> {
    const CANNOT: &str = " cannot ";
    // Whoever passes the words on may have said before what they cannot do.
    message.match_indices(CANNOT).find_map(|(at, _)| read(message.get(at + CANNOT.len()..)?, target))
}

/// `patch resource "deployments" in …`
fn read(denied: &str, target: &str) -> Option<String> {
    let (verb, denied) = denied.split_once(" resource \"")?;
    let (resource, denied) = denied.split_once('"')?;
    let quoted =
        |before: &str| denied.split_once(before).and_then(|(_, rest)| rest.split_once('"')).map(|(word, _)| word);
    let group = quoted("API group \"").unwrap_or_default();
    let full = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
    let place = match quoted("in the namespace \"") {
        Some(namespace) => format!("in namespace {namespace}"),
        None => "in the whole cluster".to_owned(),
    };
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !is_word(verb) || resource.is_empty() || full.contains(char::is_whitespace) {
        return None;
    }
    Some(format!(
        "its user lacks {verb} on {full} {place}; print the roles that the fleet needs with: kubectl asm rbac --target {target}"
    ))
}
