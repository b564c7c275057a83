//! The keys and the config files of both gateways.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use longcable_core::tls::Role;

use super::super::Options;
use super::super::topology::{HOME, OFFICE, Site};
use super::super::trouble::Trouble;
use crate::credentials::Credentials;

/// After this time a TLS key is replaced: when the transfer is over.
pub(super) const KEY_AGE: Duration = Duration::from_secs(4);

/// Writes all of them into `directory`.
pub(super) fn write(options: &Options, directory: &Path) -> Result<(), Trouble> {
    match options.tls {
        true => write_tls(options, directory),
        false => write_static(options, directory),
    }
}

fn write_static(options: &Options, directory: &Path) -> Result<(), Trouble> {
    let program = options.home.display();
    let Output { status, stdout, stderr } = Command::new(&options.home)
        .args(["--genkey", "secret", "static.key"])
        .current_dir(directory)
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("Cannot run {program}: {error}")))?;
    if !status.success() || !directory.join("static.key").exists() {
        let said =
            String::from_utf8_lossy(&[stdout, stderr].concat()).lines().map(|line| format!("    {line}")).collect();
        return Err(Trouble::with_log(format!("{program} --genkey secret FILE has made no key"), said));
    }
    let key = |site: &Site| format!("secret static.key {}\ncipher AES-256-CBC\nauth SHA256\n", site.direction);
    fs::write(directory.join("home.conf"), config(options, &HOME, &OFFICE, &key(&HOME)))?;
    fs::write(directory.join("office.conf"), config(options, &OFFICE, &HOME, &key(&OFFICE)))?;
    Ok(())
}

fn write_tls(options: &Options, directory: &Path) -> Result<(), Trouble> {
    let credentials = Credentials::generate("home", "office").map_err(io::Error::other)?;
    let renegotiating = format!("reneg-sec {}\n{}", KEY_AGE.as_secs(), &*credentials.options(Role::Client));
    fs::write(directory.join("home.conf"), config(options, &HOME, &OFFICE, &renegotiating))?;
    fs::write(directory.join("office.conf"), config(options, &OFFICE, &HOME, &credentials.options(Role::Server)))?;
    Ok(())
}

/// A config as either program has read it for twenty years, and what is particular to the keys.
fn config(options: &Options, here: &Site, there: &Site, keys: &str) -> String {
    format!(
        "dev tun\n\
         proto udp\n\
         remote {}\n\
         float\n\
         ifconfig {} {}\n\
         route {} 255.255.255.255\n\
         keepalive {}\n\
         persist-tun\n\
         verb 3\n\
         {keys}",
        there.host, here.tunnel, there.tunnel, there.lan, options.keepalive
    )
}
