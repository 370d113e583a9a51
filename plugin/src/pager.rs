//! Long pages go through a pager, by the conventions of Git: KUBECTL_ASM_PAGER, PAGER, `less`.

use crate::context::Context;
use crate::error::CommandError;
use crate::signals;
use std::io::{self, IsTerminal as _};
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Shows a page for people: through the pager on a terminal, as it is otherwise.
pub(crate) fn show(context: &Context, page: &str) -> Result<(), CommandError> {
    let var = |name: &str| std::env::var(name).ok();
    let is_terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    let shown = match chosen(is_terminal && !context.globals.no_pager, var("KUBECTL_ASM_PAGER"), var("PAGER")) {
        Some(pager) => context.block_on(async { Ok(through(&pager, page).await.is_ok_and(|shown| shown)) })?,
        None => false,
    };
    if !shown {
        context.ui().data(page);
    }
    Ok(())
}

/// The pager, if there is to be one. Empty and `cat` mean none.
fn chosen(wanted: bool, own: Option<String>, common: Option<String>) -> Option<String> {
    let pager = own.or(common).unwrap_or_else(|| "less".to_owned());
    Some(pager.trim().to_owned()).filter(|pager| wanted && !matches!(pager.as_str(), "" | "cat"))
}

/// Writes the page to the pager and waits for it. `false` when there is no such program; one that is left before its end
/// has done its work.
async fn through(pager: &str, page: &str) -> io::Result<bool> {
    // Ctrl-C is the pager's affair as long as it runs: ending before it would leave two readers at one terminal.
    let _ignored = signals::interrupt()?;
    let mut command = Command::new("sh");
    command.arg("-c").arg(pager).stdin(Stdio::piped());
    // As Git: quit when it fits on one screen, colours as they are, nothing cleared at the end.
    for (name, value) in [("LESS", "FRX"), ("LV", "-c")] {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // The reader may go away before it has read everything.
        let _ = stdin.write_all(page.as_bytes()).await;
    }
    // 127: the shell did not find it.
    Ok(child.wait().await?.code() != Some(127))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_pager() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(chosen(true, None, None), some("less"));
        assert_eq!(chosen(true, None, some("more -f")), some("more -f"));
        assert_eq!(chosen(true, some("most"), some("more")), some("most"));
        assert_eq!(chosen(true, some(""), some("more")), None);
        assert_eq!(chosen(true, None, some("cat")), None);
        assert_eq!(chosen(false, some("most"), None), None, "not on a terminal, or --no-pager");
    }

    #[tokio::test]
    async fn a_pager_that_is_left_early_is_no_failure() {
        let page = "line\n".repeat(100_000);
        assert!(through("head -n 1 >/dev/null", &page).await.unwrap());
        assert!(through("exit 3", &page).await.unwrap());
        assert!(!through("no-such-pager-here 2>/dev/null", &page).await.unwrap(), "the page is shown without it");
    }
}
