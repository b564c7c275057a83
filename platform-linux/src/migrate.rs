//! `longcable migrate`: from a static-key config to a pair of TLS configs for the same two gateways.

mod ends;
mod static_link;

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use longcable_core::tls::Role;

use crate::config::Sources;
use crate::credentials::Credentials;
use crate::failure::Fatal;

use static_link::StaticLink;

const USAGE: &str = "\
Usage: longcable migrate STATIC.conf [OUTPUT-DIR]

Reads the config of one end of a static-key link and writes two TLS configs
that link the same two gateways, one for each end, with certificates and keys
inside. Run it at one end only: it makes the files of both. longcable, and openvpn from 2.6 on, understand both. STATIC.conf stays
as it is, its key is not read, and no file is overwritten.

  OUTPUT-DIR   where to write them (default: NAME-tls for NAME.conf, made here)
";

/// Runs the command with the arguments that follow `migrate` on the command line.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<PathBuf> = arguments.into_iter().map(PathBuf::from).collect();
    if arguments.iter().any(|argument| argument == Path::new("--help") || argument == Path::new("-h")) {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let (config, directory) = match arguments.as_slice() {
        [config] => (config, None),
        [config, directory] => (config, Some(directory.as_path())),
        _ => {
            eprint!("longcable migrate: it takes one or two arguments, not {}\n\n{USAGE}", arguments.len());
            return ExitCode::FAILURE;
        }
    };
    match migrate(config, directory) {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(fatal) => {
            eprintln!("longcable migrate: {fatal}");
            ExitCode::FAILURE
        }
    }
}

/// Writes both files; what the operator is to do now.
fn migrate(config: &Path, directory: Option<&Path>) -> Result<String, Fatal> {
    // Without this a diagnostic would show a command line that nobody has typed.
    fs::File::open(config).map_err(|error| Fatal::new(format!("cannot read '{}': {error}", config.display())))?;
    let sources = Sources::without_keys(config).map_err(Fatal::new)?;
    let link = StaticLink::new(&sources, config)?;
    let directory = directory.map_or_else(|| PathBuf::from(format!("{}-tls", link.here)), Path::to_path_buf);
    let credentials = match link.role() {
        Role::Client => Credentials::generate(&link.here, &link.there),
        Role::Server => Credentials::generate(&link.there, &link.here),
    }?;
    let (here, there) = (ends::this_end(&link, &credentials), ends::other_end(&link, &credentials));
    let files = [&link.here, &link.there].map(|name| directory.join(name).with_extension("conf"));
    write_pair(&directory, [(&files[0], &here), (&files[1], there.as_bytes())])?;
    Ok(format!(
        "Written for both ends (do not run this at the other end too), with certificates and keys inside:\n    {}  for this end\n    {}  for the other end\n\n{}\n{}",
        files[0].display(),
        files[1].display(),
        link.roles(),
        link.steps()
    ))
}

/// Writes two private files, or none.
fn write_pair(directory: &Path, files: [(&PathBuf, &[u8]); 2]) -> Result<(), Fatal> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(Fatal::new(format!("cannot make the directory '{}': {error}", directory.display())));
        }
        _ => {}
    }
    let mut written: Vec<&Path> = Vec::new();
    for (path, content) in files {
        if let Err(fatal) = write_new(path, content) {
            for path in written {
                // The first trouble is the one to tell.
                let _ = fs::remove_file(path);
            }
            return Err(fatal);
        }
        written.push(path);
    }
    Ok(())
}

fn write_new(path: &Path, content: &[u8]) -> Result<(), Fatal> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
        let path = path.display();
        match error.kind() {
            ErrorKind::AlreadyExists => Fatal::new(format!(
                "'{path}' is there already and is not overwritten: remove it, or name another OUTPUT-DIR"
            )),
            _ => Fatal::new(format!("cannot write '{path}': {error}")),
        }
    })?;
    let write = |file: &mut fs::File| -> io::Result<()> {
        file.write_all(content)?;
        file.sync_all()
    };
    write(&mut file).map_err(|error| {
        // It is of no use in parts.
        let _ = fs::remove_file(path);
        Fatal::new(format!("cannot write '{}': {error}", path.display()))
    })
}

#[cfg(test)]
mod tests;
