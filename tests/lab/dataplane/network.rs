//! Addresses and links, by `ip`. Everything here is in the lab's own network namespace or in one below it.
//!
//! | address | is |
//! |---|---|
//! | 10.244.0.1 | the lab itself on the bridge; istiod serves xDS there |
//! | 10.244.0.0/16 | pods: as addresses of the bridge, or of a network namespace behind it |
//! | the cloud's | load balancers, on the loopback device |

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::Ipv4Addr,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::AsFd as _;

/// The lab's own address among the pods.
pub(super) const HOST: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
/// Where pods' addresses are.
pub(super) const BRIDGE: &str = "br0";
/// Where load balancers' addresses are.
pub(super) const LOOPBACK: &str = "lo";

/// Makes the bridge. Once per network namespace.
pub(super) fn set_up() -> Result<()> {
    // Without an address of its own a bridge takes the lowest of its ports', and a new pod would cut the others off for
    // seconds.
    let lines = format!(
        "link set lo up\nlink add {BRIDGE} type bridge\nlink set {BRIDGE} address 02:00:0a:f4:00:01\n\
         addr add {HOST}/16 dev {BRIDGE}\nlink set {BRIDGE} up\n"
    );
    batch(&mut Command::new("ip"), &lines)
}

/// An address of this network namespace, as long as the value lives.
pub(super) struct Address {
    ip: Ipv4Addr,
    device: &'static str,
}

impl Address {
    pub(super) fn add(ip: Ipv4Addr, device: &'static str) -> Result<Self> {
        batch(&mut Command::new("ip"), &format!("addr add {ip}/32 dev {device}\n"))?;
        Ok(Self { ip, device })
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        let line = format!("addr del {}/32 dev {}\n", self.ip, self.device);
        if let Err(error) = batch(&mut Command::new("ip"), &line) {
            tracing::debug!(ip = %self.ip, %error, "address");
        }
    }
}

/// A network namespace with one address on the bridge, as a pod has it. Gone with this value and its processes.
pub(super) struct PodNetwork {
    /// Keeps the namespace: `cat`, which ends when we do.
    holder: Child,
    namespace: File,
}

impl PodNetwork {
    pub(super) fn new(ip: Ipv4Addr) -> Result<Self> {
        let mut holder = Command::new("unshare")
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run unshare")?;
        // Its echo says that it is in the new namespace.
        let (input, output) = (holder.stdin.as_mut().context("a pipe")?, holder.stdout.as_mut().context("a pipe")?);
        input.write_all(b"\n")?;
        output.read_exact(&mut [0]).context("unshare --net ended")?;
        let pid = holder.id();
        let namespace = File::open(format!("/proc/{pid}/ns/net")).context("no network namespace")?;
        let this = Self { holder, namespace };
        let [_, _, c, d] = ip.octets();
        let link = format!("v{c}-{d}");
        let lines = format!(
            "link add {link} type veth peer name eth0 netns {pid}\nlink set {link} master {BRIDGE}\nlink set {link} up\n"
        );
        batch(&mut Command::new("ip"), &lines)?;
        let lines =
            format!("link set lo up\naddr add {ip}/16 dev eth0\nlink set eth0 up\nroute add default via {HOST}\n");
        batch(&mut this.command("ip"), &lines)?;
        Ok(this)
    }

    /// A command that runs in this namespace.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.holder.id())).arg("--").arg(program);
        command
    }

    /// Something that moves the thread which calls it into this namespace, for good.
    pub(super) fn door(&self) -> Result<impl FnOnce() -> Result<()> + Send + 'static> {
        let namespace = self.namespace.try_clone()?;
        Ok(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .context("cannot enter a pod's network namespace")
        })
    }
}

impl Drop for PodNetwork {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Several lines for one `ip`.
fn batch(command: &mut Command, lines: &str) -> Result<()> {
    let mut child = command
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run ip")?;
    child.stdin.take().context("a pipe")?.write_all(lines.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "ip: {}\n{lines}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
