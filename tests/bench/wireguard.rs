//! A WireGuard program at one end of the cable.

use std::error::Error;
use std::fs;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use longcable::demo::lab::Namespace;
use longcable::net::InterfaceAddress;

use crate::contenders::WIREGUARD_MTU;
use crate::kind::End;
use crate::process::Process;

const PORT: u16 = 51820;

/// Where such programs wait for what `wg` tells them: one directory for all namespaces, so names differ.
const SOCKETS: &str = "/var/run/wireguard";

/// The keys of both ends, and how to tell them to a program.
#[derive(Debug)]
pub(crate) struct Keys {
    wg: PathBuf,
    /// Private and public, of A and of B.
    pairs: [[String; 2]; 2],
}

impl Keys {
    pub(crate) fn make(wg: &Path) -> Result<Self, Box<dyn Error>> {
        let pair = || -> Result<[String; 2], Box<dyn Error>> {
            let private = output(Command::new(wg).arg("genkey"), "")?;
            let public = output(Command::new(wg).arg("pubkey"), &private)?;
            Ok([private, public])
        };
        Ok(Self { wg: wg.to_owned(), pairs: [pair()?, pair()?] })
    }

    /// Starts a program at one end, and makes its device ready.
    pub(crate) fn start(
        &self,
        (namespace, end): (&Namespace, End),
        (daemon, arguments): (&Path, &[&str]),
        directory: &Path,
    ) -> Result<Process, Box<dyn Error>> {
        const PATIENCE: Duration = Duration::from_secs(5);
        let device = format!("lcb{}{}", std::process::id(), end.name());
        let socket = Path::new(SOCKETS).join(format!("{device}.sock"));
        // One that was killed leaves it behind.
        let _ = fs::remove_file(&socket);
        let mut command = Command::new(daemon);
        command.args(arguments).arg(&device).current_dir(directory);
        let mut process = Process::start(namespace, &mut command, directory.join(end.name()).with_extension("log"))?;

        let broken = |process: &Process, what: &str| format!("{what}\n    {}", process.last_lines());
        let (netlink, start) = (namespace.netlink()?, Instant::now());
        let link = loop {
            match netlink.link(&device) {
                // Before somebody listens `wg` would take the socket for a dead one and remove it.
                Ok(link) if UnixStream::connect(&socket).is_ok() => break link,
                _ if start.elapsed() > PATIENCE => return Err(broken(&process, "no device after five seconds").into()),
                _ if process.exited().is_some() => return Err(broken(&process, "it has ended at once").into()),
                _ => thread::sleep(Duration::from_millis(1)),
            }
        };
        let config = directory.join(end.name()).with_extension("wg");
        fs::write(&config, self.config(end))?;
        let mut wg = Command::new(&self.wg);
        wg.arg("setconf").arg(&device).arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let told = namespace.spawn(&mut wg)?.wait_with_output()?;
        if !told.status.success() {
            return Err(broken(&process, &format!("wg: {}", String::from_utf8_lossy(&told.stderr).trim())).into());
        }
        let address = InterfaceAddress::Subnet { local: IpAddr::V4(end.inner()), prefix: 24 };
        netlink.set_mtu(&link, WIREGUARD_MTU)?;
        netlink.add_address(&link, address)?;
        netlink.set_up(&link, true)?;
        Ok(process)
    }

    fn config(&self, end: End) -> String {
        let [a, b] = &self.pairs;
        let (own, peer) = if end == End::A { (a, b) } else { (b, a) };
        format!(
            "[Interface]\nPrivateKey = {}\nListenPort = {PORT}\n[Peer]\nPublicKey = {}\nEndpoint = {}:{PORT}\n\
             AllowedIPs = {}/32\n",
            own[0],
            peer[1],
            end.other().outer(),
            end.other().inner()
        )
    }
}

/// What a program answers, without the end of the line.
fn output(command: &mut Command, input: &str) -> Result<String, Box<dyn Error>> {
    use std::io::Write as _;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
