//! The configuration as Linux has it: command line, config files, included files, key file.
//!
//! ```no_run
//! use longcable::config::{Loaded, Mode, Sources};
//!
//! let sources = Sources::load(std::env::args_os().skip(1), &std::env::current_dir()?)?;
//! let Loaded { mode, link, host, .. } = sources.parse()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod diagnostic;
mod help;
mod host;
mod sources;

use std::path::PathBuf;

use longcable_core::options::{Applied, Checker, ConfigError, Directive, KeySource, LinkConfig, Verdict};

pub use diagnostic::Diagnostic;
pub use help::{options_markdown, print_help};
pub use host::{HostConfig, Mode, MtuDisc, Status};
pub use sources::Sources;

use sources::Source;

/// A configuration that is ready for use. The link borrows the texts it was read from.
#[derive(Debug)]
pub struct Loaded<'s> {
    /// What to do.
    pub mode: Mode,
    /// The link. A key file has been read: its text is in the place of its name.
    pub link: LinkConfig<'s>,
    /// The program around it.
    pub host: HostConfig,
    /// What the operator should know, for `verb 1`.
    pub warnings: Vec<String>,
    /// Options that make no difference and why, for `verb 3`.
    pub notes: Vec<String>,
}

impl Sources {
    /// Makes a configuration of the texts.
    ///
    /// # Errors
    /// The first option that is wrong, or what is missing.
    pub fn parse(&self) -> Result<Loaded<'_>, Diagnostic> {
        let mut checker = Checker::new();
        let mut loaded = Loaded {
            mode: Mode::Link,
            link: LinkConfig::default(),
            host: HostConfig::default(),
            warnings: self.warnings.clone(),
            notes: Vec::new(),
        };
        self.visit(&mut |source, directive| {
            let diagnose = |error: &ConfigError<'_>| Diagnostic::of_option(source, &directive, error);
            let place = || source.place(directive.line);
            match checker.check(directive.clone()).map_err(|error| diagnose(&error))? {
                Verdict::Apply(wanted) => loaded.apply(&wanted).map_err(|error| diagnose(&error))?,
                Verdict::Harmless(name, why) => {
                    loaded.notes.push(format!("{}: option '{name}' has no effect: {why}", place()));
                }
                Verdict::Tolerated(error) => loaded.warnings.push(format!("WARNING: {}: ignored: {error}", place())),
                Verdict::Done => {}
            }
            Ok(())
        })?;
        loaded.finish(self).map_err(|error| self.diagnose_whole(&error))?;
        Ok(loaded)
    }

    /// An error of the options together: the last one of its name is shown, if there is one.
    fn diagnose_whole(&self, error: &ConfigError<'_>) -> Diagnostic {
        let mut last = None;
        // What has been read once without an error is read again without one.
        let _ = self.visit(&mut |source, directive| {
            if directive.name == error.option {
                last = Some(Diagnostic::of_option(source, &directive, error));
            }
            Ok(())
        });
        last.unwrap_or_else(|| match &self.config_file {
            Some(file) => Diagnostic::in_file(file, error),
            None => Diagnostic::new(error),
        })
    }
}

impl<'s> Loaded<'s> {
    fn apply(&mut self, directive: &Directive<'s>) -> Result<(), ConfigError<'s>> {
        match self.link.apply(directive)? {
            Applied::Taken => Ok(()),
            Applied::NotMine => self.host.apply(directive).map(drop),
        }
    }

    fn finish(&mut self, sources: &'s Sources) -> Result<(), ConfigError<'s>> {
        self.host.finish();
        self.host.cd.clone_from(&sources.directory);
        self.host.config_file.clone_from(&sources.config_file);
        self.host.replay_persist = self.link.replay_persist.map(|file| PathBuf::from(file.to_string()));
        if let Some(KeySource::File(file)) = self.link.secret {
            self.host.secret_file = Some(PathBuf::from(file.to_string()));
            if let Some(text) = sources.key() {
                self.link.secret = Some(KeySource::Inline(text));
            }
        }
        self.mode = std::mem::take(&mut self.host.mode);
        match &mut self.mode {
            Mode::Link => {
                self.link.validate()?;
                self.warnings.extend(self.link.warnings().map(|warning| warning.to_string()));
            }
            Mode::TestCrypto => self.link.validate_keys()?,
            Mode::MakeTun | Mode::RemoveTun => self.link.validate_device()?,
            // The old spelling is `--genkey --secret FILE`.
            Mode::GenerateKey(file) => *file = file.take().or(self.host.secret_file.clone()),
            Mode::Help | Mode::Version | Mode::ShowCiphers | Mode::ShowDigests => {}
        }
        Ok(())
    }
}

impl Source {
    fn place(&self, line: u32) -> String {
        match &self.text {
            sources::Text::CommandLine(_) => self.name.clone(),
            sources::Text::File(_) => format!("{}:{line}", self.name),
        }
    }
}

#[cfg(test)]
mod tests;
