//! `longcable demo`: a link between two gateways on this machine, alive for a few seconds, with a static key or TLS.
//!
//! Two gateways live in network namespaces of their own, an "internet" that routes between them in a third. All of it
//! belongs to this process and vanishes with it, as do the names by which they find each other; the machine's own network
//! is not touched.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

#[allow(unsafe_code, reason = "a child that dies with its parent, and a signal handler")]
pub mod lab;
mod names;
pub mod probe;
mod screen;
mod story;
mod topology;
mod trouble;

use screen::Screen;

const USAGE: &str = "\
Usage: longcable demo [--tls] [--peer PROGRAM] [--program PROGRAM] [--keep]
                      [--verbose]

Two gateways, a small internet between them and a static-key link, all inside
this process: pings, a TCP transfer, then changes that the link has to survive.
One gateway gets another address; both get other addresses at once, so that
only their names tell each where the other is; one is killed and restarted.
Takes about seven seconds, nine with --tls, and leaves nothing behind.

  --tls              a TLS link, with certificates made for it and a new key
                     while it is in use
  --peer PROGRAM     the program at the office end, for instance openvpn
  --program PROGRAM  the program at home, and at the office without --peer
                     (default: this one)
  --keep             keep the directory with the keys, the configs and the logs
  --verbose          show what the gateways log
";

/// Runs the demonstration with the arguments that follow `demo` on the command line. To be called while this process
/// has one thread, as it leaves the machine's network for good.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(Request::Help) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(Request::Wrong(what)) => {
            eprint!("longcable demo: {what}\n\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    let mut screen = Screen::new();
    match story::play(&options, &mut screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            screen.failed();
            screen.line(trouble);
            ExitCode::FAILURE
        }
    }
}

struct Options {
    home: PathBuf,
    office: PathBuf,
    /// Of both configs: interval and patience in seconds.
    keepalive: &'static str,
    tls: bool,
    keep: bool,
    verbose: bool,
}

enum Request {
    Help,
    Wrong(String),
}

impl Options {
    fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Request> {
        let (mut home, mut office) = (None, None);
        let (mut tls, mut keep, mut verbose) = (false, false, false);
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut program = || match arguments.next().map(PathBuf::from) {
                None => Err(Request::Wrong(format!("{} needs the name of a program", argument.display()))),
                Some(name) => lab::find_program(&name)
                    .map(Some)
                    .ok_or_else(|| Request::Wrong(format!("there is no program {} here", name.display()))),
            };
            match argument.to_str() {
                Some("--program") => home = program()?,
                Some("--peer") => office = program()?,
                Some("--tls") => tls = true,
                Some("--keep") => keep = true,
                Some("--verbose") => verbose = true,
                Some("--help" | "-h") => return Err(Request::Help),
                _ => return Err(Request::Wrong(format!("{} is no option", argument.display()))),
            }
        }
        let this = std::env::current_exe().map_err(|error| Request::Wrong(format!("cannot find myself: {error}")))?;
        let home = home.unwrap_or_else(|| this.clone());
        let office = office.unwrap_or_else(|| home.clone());
        // What other programs wait for, openvpn in particular, is the end of this patience: it is short for them.
        let keepalive = if [&home, &office] == [&this; 2] { "10 60" } else { "1 3" };
        Ok(Self { home, office, keepalive, tls, keep, verbose })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        Options::parse(arguments.iter().map(OsString::from)).map_err(|request| match request {
            Request::Help => "help".into(),
            Request::Wrong(what) => what,
        })
    }

    #[test]
    fn one_program_serves_both_ends_unless_there_is_a_peer() {
        let alone = parse(&[]).unwrap();
        assert_eq!((&alone.home, &alone.office), (&std::env::current_exe().unwrap(), &alone.home));
        let other = parse(&["--program", "sh"]).unwrap();
        assert_eq!((other.home.file_name(), &other.office), (Some("sh".as_ref()), &other.home));
        let mixed = parse(&["--keep", "--peer", "sh", "--tls"]).unwrap();
        assert!(
            mixed.keep
                && mixed.tls
                && !alone.tls
                && !mixed.verbose
                && mixed.home == alone.home
                && mixed.office == other.office
        );
        assert_eq!([alone, other, mixed].map(|options| options.keepalive), ["10 60", "1 3", "1 3"]);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert_eq!(parse(&["--quick"]).err().unwrap(), "--quick is no option");
        assert_eq!(parse(&["--peer"]).err().unwrap(), "--peer needs the name of a program");
        assert_eq!(parse(&["--peer", "/no/such"]).err().unwrap(), "there is no program /no/such here");
        assert_eq!(parse(&["-h"]).err().unwrap(), "help");
    }
}
