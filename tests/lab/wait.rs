//! Waiting for a condition instead of for a time.

use std::{fmt::Display, future::Future, time::Duration};

use anyhow::{Result, bail};
use tokio::time::Instant;

/// Asks `condition` again and again until it gives a value. `Ok(None)` and errors mean "not yet"; the last error is
/// told when the deadline passes.
pub async fn wait_for<T, F, Fut>(what: impl Display, deadline: Duration, mut condition: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let end = Instant::now() + deadline;
    let mut last = None;
    loop {
        match tokio::time::timeout_at(end, condition()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => last = None,
            Ok(Err(error)) => last = Some(format!("{error:#}")),
            Err(_) => {
                last.get_or_insert_with(|| "the last check did not come back".to_owned());
            }
        }
        if Instant::now() >= end {
            match last {
                Some(error) => bail!("waited {deadline:?} in vain until {what}: {error}"),
                None => bail!("waited {deadline:?} in vain until {what}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(50).min(end - Instant::now())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gives_the_value_or_says_what_it_waited_for() {
        let mut left = 2;
        let got = wait_for("it counts", Duration::from_secs(5), || {
            left -= 1;
            let now = left;
            async move { Ok((now == 0).then_some("done")) }
        });
        assert_eq!(got.await.unwrap(), "done");
        let never = wait_for::<(), _, _>("pigs fly", Duration::from_millis(60), || async { anyhow::bail!("no wings") });
        let error = never.await.unwrap_err().to_string();
        assert!(error.contains("pigs fly") && error.contains("no wings"), "{error}");
    }
}
