//! What keeps a forge from doing what was asked, as one message and a hint.

use super::Place;
use super::http::ApiError;
use crate::error::CommandError;

/// The error of a call; `doing` says what for: `open the pull request`.
pub(crate) fn explain(place: &Place, doing: &str, error: ApiError) -> CommandError {
    let about = place.kind.about();
    let host = place.host();
    let failed = format!("cannot {doing} on {} ({host})", about.name);
    let token = || format!("check the token in {}; it needs {}", about.tokens.join(" or "), about.scope);
    match error {
        ApiError::Connect(why) => CommandError::unreachable(format!("{failed}: no connection"))
            .because(why)
            .hinted("behind a proxy, set HTTPS_PROXY; for a certificate of your own, SSL_CERT_FILE"),
        ApiError::Timeout(after) => {
            CommandError::unreachable(format!("{failed}: no answer within {} s", after.as_secs_f32()))
                .hinted("run the command again, or wait longer with --request-timeout 2m")
        }
        ApiError::Redirect(to) => CommandError::unreachable(format!("{failed}: it sends us elsewhere"))
            .because(format!("to {to}; the token was not sent there"))
            .hinted("if that is where the repository is now: git remote set-url NAME URL, or --forge-url URL"),
        ApiError::Unreadable(why) => CommandError::unreachable(format!("{failed}: the answer makes no sense"))
            .because(why)
            .hinted("is this the forge? say which kind it is with --forge, and where with --forge-url URL"),
        ApiError::Status { code, told, retry_after } => status(&failed, code, retry_after.as_deref(), &token())
            .because_if(!told.is_empty(), || format!("it says: {told}")),
    }
}

fn status(failed: &str, code: u16, retry_after: Option<&str>, token: &str) -> CommandError {
    match code {
        401 => CommandError::unreachable(format!("{failed}: it does not know us (401)")).hinted(token),
        403 => CommandError::unreachable(format!("{failed}: the token may not do that (403)")).hinted(token),
        404 => CommandError::unreachable(format!("{failed}: not found (404), or hidden from this token"))
            .hinted("look at the remote's address: git remote --verbose")
            .hinted(token),
        409 | 422 | 400 => CommandError::input(format!("{failed}: it refuses ({code})"))
            .hinted("mend what it says, and run the command again"),
        429 => {
            let wait = match retry_after {
                Some(time) if time.bytes().all(|byte| byte.is_ascii_digit()) => format!("in {time} s"),
                Some(time) => format!("after {time}"),
                None => "in some minutes".to_owned(),
            };
            CommandError::unreachable(format!("{failed}: too many requests (429)"))
                .hinted(format!("run the command again {wait}"))
        }
        _ => CommandError::unreachable(format!("{failed}: it has a problem of its own ({code})"))
            .hinted("run the command again later"),
    }
}

impl CommandError {
    fn because_if(self, told: bool, why: impl FnOnce() -> String) -> Self {
        if told { self.because(why()) } else { self }
    }
}
