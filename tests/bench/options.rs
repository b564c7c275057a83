//! What is asked for.

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use crate::kind::{Kind, Protection};

pub(crate) const USAGE: &str = "\
Usage: tests/bench/run [OPTION]...

  --quick             three minutes: two rounds, only what the targets need
  --full              forty minutes: eight rounds, and the memory after 10 GB
  --static            only links with a static key
  --tls               only links with TLS
  --main              only openvpn and longcable with default settings, and the bare forwarder
  --only TEXT         only openvpn and those with TEXT in their name
  --rounds N          how often each pair has its turn (default: 4, quick: 2, full: 8; recovery: 20, quick: 5)
  --readme            write the result into the README, and its raw figures to results/readme.json (recovery.json)
  --instructions      only count the instructions that a packet costs
  --no-instructions   do not count them
  --keep-instructions count them, and compare with these from now on
  --recovery          how long links need to come back when addresses change, in the place of all else; with TLS
                      when nothing else is said; quick: under four minutes, with keepalive 2 8 and not 10 60
  --longcable PATH    the program to measure (default: the one built beside this)
  --openvpn PATH      what to measure it against (default: openvpn)
  --cipher NAME       with a static key (default: AES-256-CBC)
  --auth NAME         with a static key (default: SHA1)
  --data-cipher NAME  with TLS (default: AES-256-GCM)
  --config LINE       one more config line for all; may be repeated
  --longcable-config LINE
                      one more config line for longcable, not for openvpn; may be repeated
";

/// How thorough a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Quick,
    Usual,
    Full,
}

pub(crate) struct Options {
    pub(crate) length: Length,
    rounds: Option<u32>,
    pub(crate) openvpn: PathBuf,
    pub(crate) longcable: PathBuf,
    pub(crate) longcable_config: String,
    /// One at least.
    pub(crate) kinds: Vec<Kind>,
    pub(crate) main_only: bool,
    pub(crate) only: Option<String>,
    pub(crate) recovery: bool,
    pub(crate) readme: bool,
    pub(crate) instructions: bool,
    pub(crate) only_instructions: bool,
    pub(crate) keep_instructions: bool,
}

impl Options {
    /// None when help is wanted.
    pub(crate) fn parse(arguments: &[String]) -> Result<Option<Self>, Box<dyn Error>> {
        let beside = env::current_exe()?.with_file_name("longcable");
        let mut options = Self {
            length: Length::Usual,
            rounds: None,
            openvpn: PathBuf::from("openvpn"),
            longcable: beside,
            longcable_config: String::new(),
            kinds: Vec::new(),
            main_only: false,
            only: None,
            recovery: false,
            readme: false,
            instructions: true,
            only_instructions: false,
            keep_instructions: false,
        };
        let mut wanted = [Protection::Tls, Protection::Static].to_vec();
        let (mut cipher, mut auth) = ("AES-256-CBC".to_owned(), "SHA1".to_owned());
        let (mut data_cipher, mut config) = ("AES-256-GCM".to_owned(), String::new());
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--quick" => options.length = Length::Quick,
                "--full" => options.length = Length::Full,
                "--static" => wanted.retain(|protection| *protection == Protection::Static),
                "--tls" => wanted.retain(|protection| *protection == Protection::Tls),
                "--main" => options.main_only = true,
                "--only" => options.only = Some(value()?.clone()),
                "--rounds" => options.rounds = Some(value()?.parse()?),
                "--readme" => options.readme = true,
                "--instructions" => options.only_instructions = true,
                "--no-instructions" => options.instructions = false,
                "--keep-instructions" => options.keep_instructions = true,
                "--recovery" => options.recovery = true,
                "--longcable" => options.longcable = value()?.into(),
                "--openvpn" => options.openvpn = value()?.into(),
                "--cipher" => cipher = value()?.clone(),
                "--auth" => auth = value()?.clone(),
                "--data-cipher" => data_cipher = value()?.clone(),
                "--config" => config = format!("{config}{}\n", value()?),
                "--longcable-config" => {
                    options.longcable_config.push_str(value()?);
                    options.longcable_config.push('\n');
                }
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("{argument} is no option\n\n{USAGE}").into()),
            }
        }
        if wanted.is_empty() {
            return Err("--static and --tls exclude each other".into());
        }
        let kind = |protection| {
            let lines = match protection {
                Protection::Static => format!("cipher {cipher}\nauth {auth}\n{config}"),
                Protection::Tls => format!("data-ciphers {data_cipher}\n{config}"),
            };
            Kind { protection, config: lines }
        };
        options.kinds = wanted.into_iter().map(kind).collect();
        Ok(Some(options))
    }

    /// How often each pair has its turn.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(match (self.recovery, self.length) {
            (false, Length::Quick) => 2,
            (false, Length::Usual) => 4,
            (false, Length::Full) => 8,
            (true, Length::Quick) => 5,
            (true, Length::Usual | Length::Full) => 20,
        })
    }

    /// How long one TCP measurement takes.
    pub(crate) fn seconds(&self) -> Duration {
        Duration::from_secs(if self.length == Length::Quick { 1 } else { 2 })
    }
}
