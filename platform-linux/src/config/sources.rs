//! The texts that make up a configuration: the command line, config files and key files.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use longcable_core::options::{Directive, Lexer, WORDS_MAX, Word};
use zeroize::Zeroizing;

use super::diagnostic::Diagnostic;
use crate::log::Errno;

/// What diagnostics call the command line.
const COMMAND_LINE: &str = "command line";

/// How deep config files may include each other.
const DEPTH_MAX: usize = 10;

/// The most config files, so that files which include each other twice come to an end.
const FILES_MAX: usize = 100;

/// The most bytes in a config or key file, so that a device file comes to an end.
const SIZE_MAX: u64 = 1 << 20;

/// All texts of a configuration, in memory. A parsed configuration borrows from them.
#[derive(Debug)]
pub struct Sources {
    /// A file stands before the one that includes it; the command line is the last.
    list: Vec<Source>,
    /// The files that the options of [`KEY_OPTIONS`] name.
    keys: Vec<(&'static str, Zeroizing<String>)>,
    pub(super) warnings: Vec<String>,
    /// The directory that `cd` leads to, if there is such an option.
    pub(super) directory: Option<PathBuf>,
    /// The first config file, as it was named.
    pub(super) config_file: Option<String>,
}

/// One text.
#[derive(Debug)]
pub(super) struct Source {
    /// What the operator calls it.
    pub(super) name: String,
    pub(super) text: Text,
    /// The index of the source for each `config` option.
    included: Vec<usize>,
}

#[derive(Debug)]
pub(super) enum Text {
    CommandLine(Vec<String>),
    /// It may hold a key.
    File(Zeroizing<Vec<u8>>),
}

/// The options whose key files are read with the configuration, while their reader still has the rights to.
const KEY_OPTIONS: &[&str] = &["secret", "tls-auth", "tls-crypt", "tls-crypt-v2"];

/// An option that asks for a command instead of a link, for which no key has to be there.
const NEED_NO_KEY: [&str; 10] = [
    "genkey",
    "help",
    "version",
    "show-ciphers",
    "show-digests",
    "show-tls",
    "show-groups",
    "show-curves",
    "mktun",
    "rmtun",
];

impl Source {
    fn directives(&self) -> Box<dyn Iterator<Item = Result<Directive<'_>, Diagnostic>> + '_> {
        match &self.text {
            Text::CommandLine(words) => Box::new(CommandLine { words }),
            Text::File(text) => {
                let diagnose = |error| Diagnostic::of_syntax(&self.name, text, error);
                Box::new(Lexer::new(text).map(move |directive| directive.map_err(diagnose)))
            }
        }
    }
}

/// Iterates over the options of a command line: each is `--name` and what follows up to the next one.
struct CommandLine<'w> {
    words: &'w [String],
}

impl<'w> Iterator for CommandLine<'w> {
    type Item = Result<Directive<'w>, Diagnostic>;

    fn next(&mut self) -> Option<Self::Item> {
        let (first, rest) = self.words.split_first()?;
        let count = rest.iter().position(|word| word.starts_with("--")).unwrap_or(rest.len());
        let (args, rest) = rest.split_at(count);
        self.words = rest;
        Some(command_line_option(first, args))
    }
}

fn command_line_option<'w>(first: &'w str, args: &'w [String]) -> Result<Directive<'w>, Diagnostic> {
    let Some(name) = first.strip_prefix("--").filter(|name| !name.is_empty()) else {
        return Err(Diagnostic::in_file(
            COMMAND_LINE,
            format_args!("'{first}' is no option: options start with '--'; the commands are 'demo' and 'migrate'"),
        ));
    };
    if args.len() >= WORDS_MAX {
        return Err(Diagnostic::in_file(COMMAND_LINE, format_args!("too many arguments for '--{name}'")));
    }
    let args = args.iter().map(|word| Word::literal(word)).collect();
    Ok(Directive { line: 1, name: Word::literal(name), args, inline: None })
}

impl Sources {
    /// Reads the command line `args` (without the program's name) and every file that it leads to. Files are looked
    /// for in `start`, the process's directory, or where `cd` leads from there; the process's directory is not changed.
    ///
    /// # Errors
    /// If a file cannot be read or a text cannot be split into options.
    pub fn load(args: impl IntoIterator<Item = OsString>, start: &Path) -> Result<Self, Diagnostic> {
        Self::load_with(args, start, &mut io::stdin())
    }

    /// Reads one config file and what it includes, only to look at it: the keys that it names need not be there.
    ///
    /// # Errors
    /// If a config file cannot be read or split into options.
    pub fn without_keys(file: &Path) -> Result<Self, Diagnostic> {
        let words = ["--config".to_owned(), file.display().to_string()].to_vec();
        Self::load_words(words, Path::new(""), &mut io::stdin(), &[])
    }

    /// The names and texts of the config files; a file stands before the one that includes it.
    pub fn config_texts(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.list.iter().filter_map(|source| match &source.text {
            Text::File(text) => Some((source.name.as_str(), text.as_slice())),
            Text::CommandLine(_) => None,
        })
    }

    pub(super) fn load_with(
        args: impl IntoIterator<Item = OsString>,
        start: &Path,
        stdin: &mut dyn Read,
    ) -> Result<Self, Diagnostic> {
        let words = args.into_iter().map(OsString::into_string).collect::<Result<Vec<_>, _>>();
        let words = words.map_err(|word| Diagnostic::new(format_args!("the argument {word:?} is not UTF-8")))?;
        Self::load_words(expand(words), start, stdin, KEY_OPTIONS)
    }

    fn load_words(
        words: Vec<String>,
        start: &Path,
        stdin: &mut dyn Read,
        needed: &'static [&'static str],
    ) -> Result<Self, Diagnostic> {
        let mut loader = Loader {
            sources: Self {
                list: Vec::new(),
                keys: Vec::new(),
                warnings: Vec::new(),
                directory: None,
                config_file: None,
            },
            start,
            stdin,
            keys: Vec::new(),
            needed,
            files: 0,
        };
        loader.add(COMMAND_LINE, Text::CommandLine(words), 0)?;
        loader.read_keys()?;
        Ok(loader.sources)
    }

    /// The text of the key file that an option names, if it does.
    pub(super) fn key(&self, option: &str) -> Option<&str> {
        self.keys.iter().find(|(name, _)| *name == option).map(|(_, text)| text.as_str())
    }

    /// Calls `visit` with every directive in the order in which they count.
    pub(super) fn visit<'s>(
        &'s self,
        visit: &mut dyn FnMut(&'s Source, Directive<'s>) -> Result<(), Diagnostic>,
    ) -> Result<(), Diagnostic> {
        self.list.last().map_or(Ok(()), |command_line| self.visit_source(command_line, visit))
    }

    fn visit_source<'s>(
        &'s self,
        source: &'s Source,
        visit: &mut dyn FnMut(&'s Source, Directive<'s>) -> Result<(), Diagnostic>,
    ) -> Result<(), Diagnostic> {
        let mut included = source.included.iter();
        for directive in source.directives() {
            let directive = directive?;
            if is_include(&directive) {
                if let Some(file) = included.next().and_then(|index| self.list.get(*index)) {
                    self.visit_source(file, visit)?;
                }
            } else {
                visit(source, directive)?;
            }
        }
        Ok(())
    }
}

/// Reads what the options name, as they come.
struct Loader<'l> {
    sources: Sources,
    start: &'l Path,
    stdin: &'l mut dyn Read,
    /// The file that each of the key options names last, still unread.
    keys: Vec<KeyFile>,
    /// The key options whose files are needed.
    needed: &'static [&'static str],
    /// Config files opened so far.
    files: usize,
}

struct KeyFile {
    option: &'static str,
    name: String,
    /// What to say if it cannot be read; the reason is still missing.
    unread: Diagnostic,
}

/// Makes the diagnostic for the argument at hand.
type Fails<'f> = &'f dyn Fn(&dyn Display) -> Diagnostic;

impl Loader<'_> {
    /// Adds a text and all that it includes; returns its index.
    fn add(&mut self, name: &str, text: Text, depth: usize) -> Result<usize, Diagnostic> {
        let mut source = Source { name: name.to_owned(), text, included: Vec::new() };
        let mut included = Vec::new();
        for directive in source.directives() {
            let directive = directive?;
            let fails = |reason: &dyn Display| Diagnostic::at_word(&source, &directive, 1, reason);
            let argument = directive.arg(0).map(|word| word.to_string());
            match (directive.name.as_str().unwrap_or_default(), argument) {
                ("config", Some(file)) if is_include(&directive) => included.push(self.include(&file, depth, &fails)?),
                ("cd", Some(directory)) => self.change_directory(&directory, &fails)?,
                ("genkey", Some(kind)) if kind == "tls-crypt-v2-client" => self.needed = &["tls-crypt-v2"],
                (name, _) if NEED_NO_KEY.contains(&name) => self.needed = &[],
                (name, file) => {
                    if let Some(option) = KEY_OPTIONS.iter().find(|option| **option == name) {
                        self.name_key(option, file, &fails);
                    }
                }
            }
        }
        source.included = included;
        self.sources.list.push(source);
        Ok(self.sources.list.len() - 1)
    }

    fn include(&mut self, name: &str, depth: usize, fails: Fails<'_>) -> Result<usize, Diagnostic> {
        if depth >= DEPTH_MAX {
            let problem = "config files include each other more than";
            return Err(fails(&format_args!("{problem} {DEPTH_MAX} deep; does '{name}' include itself?")));
        }
        if self.files >= FILES_MAX {
            return Err(fails(&format_args!("more than {FILES_MAX} config files")));
        }
        self.files += 1;
        let content = match name {
            "stdin" => read(&mut *self.stdin),
            _ => File::open(self.resolve(name)).and_then(read),
        };
        let content = content
            .map_err(|error| fails(&format_args!("Error opening configuration file: {}", self.named(name, &error))))?;
        if self.sources.config_file.is_none() {
            self.sources.config_file = Some(name.to_owned());
        }
        self.add(name, Text::File(content), depth + 1)
    }

    fn change_directory(&mut self, directory: &str, fails: Fails<'_>) -> Result<(), Diagnostic> {
        let path = self.resolve(directory);
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                self.sources.directory = Some(path);
                Ok(())
            }
            Ok(_) => Err(fails(&format_args!("cd to '{directory}' failed: it is no directory"))),
            Err(error) => Err(fails(&format_args!("cd to '{directory}' failed: {}", Errno(&error)))),
        }
    }

    /// Remembers the key file of an option, or that it has an inline block instead.
    fn name_key(&mut self, option: &'static str, file: Option<String>, fails: Fails<'_>) {
        // It announces a block that comes later, or was there before.
        if file.as_deref() == Some("[inline]") {
            return;
        }
        self.keys.retain(|key| key.option != option);
        if let Some(name) = file {
            let unread = fails(&format_args!("option '{option}': cannot read the key file '{name}'"));
            self.keys.push(KeyFile { option, name, unread });
        }
    }

    fn read_keys(&mut self) -> Result<(), Diagnostic> {
        for KeyFile { option, name, unread } in std::mem::take(&mut self.keys) {
            if !self.needed.contains(&option) {
                continue;
            }
            let result = File::open(self.resolve(&name)).and_then(|file| {
                let accessible = file.metadata()?.mode() & 0o077 != 0;
                Ok((read(file)?, accessible))
            });
            let (content, accessible) =
                result.map_err(|error| unread.because(unreadable(&name, self.directory(), &error)))?;
            if accessible {
                self.sources.warnings.push(format!("WARNING: file '{name}' is group or others accessible"));
            }
            let text = std::str::from_utf8(&content).map_err(|_| unread.because("it is no text file"))?;
            self.sources.keys.push((option, Zeroizing::new(text.to_owned())));
        }
        Ok(())
    }

    fn named(&self, file: &str, error: &io::Error) -> String {
        format!("{file}: {}", unreadable(file, self.directory(), error))
    }

    fn directory(&self) -> &Path {
        self.sources.directory.as_deref().unwrap_or(self.start)
    }

    fn resolve(&self, file: &str) -> PathBuf {
        self.directory().join(file)
    }
}

/// A single word is a config file, and who asks for help gets nothing else.
fn expand(words: Vec<String>) -> Vec<String> {
    let asks = ["--help", "--version"].into_iter().find(|option| words.iter().any(|word| word == option));
    match (asks, words.as_slice()) {
        (Some(option), _) => vec![option.to_owned()],
        (None, []) => vec!["--help".to_owned()],
        (None, [file]) if !file.starts_with("--") => vec!["--config".to_owned(), file.clone()],
        (None, _) => words,
    }
}

/// Why a file cannot be read, and where it was looked for if it is not there.
pub(crate) fn unreadable(file: &str, directory: &Path, error: &io::Error) -> String {
    let error_text = Errno(error);
    let directory = directory.display();
    match error.kind() {
        io::ErrorKind::NotFound if Path::new(file).is_relative() => {
            format!("{error_text} (looked for in {directory}; start with --cd DIRECTORY)")
        }
        _ => error_text.to_string(),
    }
}

fn read(file: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::new());
    file.take(SIZE_MAX + 1).read_to_end(&mut text)?;
    match text.len() as u64 {
        0..=SIZE_MAX => Ok(text),
        _ => Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB")),
    }
}

fn is_include(directive: &Directive<'_>) -> bool {
    directive.name == "config" && directive.inline.is_none() && directive.args.len() == 1
}
