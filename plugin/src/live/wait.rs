//! Waiting for what the agent says of a FleetSync.

use super::host::{Host, resource_name};
use crate::error::CommandError;
use asm_io::cluster::ClusterError;
use asm_shared::api::FleetSync;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::ResourceExt as _;
use kube::api::{WatchEvent, WatchParams};
use std::time::Duration;

/// Watches the FleetSync until it says what is waited for. `tell` sees every state before that.
pub async fn until(
    host: &Host,
    sync: &FleetSync,
    is_it: impl Fn(&FleetSync) -> bool,
    tell: impl Fn(&FleetSync),
) -> Result<FleetSync, CommandError> {
    let (api, name) = (host.api(sync), sync.name_any());
    let mut current = sync.clone();
    loop {
        if is_it(&current) {
            return Ok(current);
        }
        tell(&current);
        let parameters = WatchParams::default().fields(&format!("metadata.name={name}"));
        let version = current.resource_version().unwrap_or_default();
        let mut events = host.answer("watch the FleetSync", api.watch(&parameters, &version).await)?.boxed();
        // A watch ends when its time is over or its start is too old; both mean: read again, watch again.
        loop {
            match events.try_next().await {
                Ok(Some(WatchEvent::Added(sync) | WatchEvent::Modified(sync))) => {
                    if is_it(&sync) {
                        return Ok(sync);
                    }
                    tell(&sync);
                }
                Ok(Some(WatchEvent::Deleted(_))) => {
                    return Err(CommandError::input(format!("{} was deleted while waiting", resource_name(sync))));
                }
                Ok(Some(WatchEvent::Bookmark(_))) => {}
                Ok(Some(WatchEvent::Error(_)) | None) => break,
                Err(error) => {
                    let error = ClusterError::from(error);
                    if error.is_transient() {
                        break;
                    }
                    return Err(host.failed("watch the FleetSync", &error));
                }
            }
        }
        // An API server that ends every watch at once must not be asked without pause.
        tokio::time::sleep(Duration::from_millis(500)).await;
        current = host.answer("read the FleetSync", api.get(&name).await)?;
    }
}
