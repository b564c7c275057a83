//! Whether an option may be used, before anybody asks what it means.

use heapless::Vec;

use super::error::{ConfigError, Problem};
use super::lexer::{CONNECTION, CONNECTION_END, Directive, WORDS_MAX};
#[cfg(feature = "host")]
use super::table::{State, lookup, nearest};
use super::word::Word;

/// The most names that all `ignore-unknown-option` lines together can list.
const IGNORED_MAX: usize = if cfg!(feature = "host") { 64 } else { 8 };

/// What to do with a directive.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict<'a> {
    /// Apply it.
    Apply(Directive<'a>),
    /// It makes no difference; the reason.
    Harmless(Word<'a>, &'static str),
    /// It is wrong, and the configuration wants such errors passed over.
    Tolerated(ConfigError<'a>),
    /// It was about the check itself.
    Done,
}

/// Checks directives against the table of options, in order. Without the feature `host` there is no table: whether an
/// option exists is told by who applies it, and [`Checker::unknown`] says what to make of it.
///
/// It honours what a configuration says about unknown options: `ignore-unknown-option`,
/// `setenv opt`, `setenv FORWARD_COMPATIBLE 1`. An option that is not supported yet counts as
/// unknown to them.
#[derive(Clone, Debug, Default)]
pub struct Checker<'a> {
    ignored: Vec<Word<'a>, IGNORED_MAX>,
    forward_compatible: bool,
    /// The latest directive may be wrong.
    tolerant: bool,
    /// The directives are those of a `<connection>` block.
    in_connection: bool,
}

impl<'a> Checker<'a> {
    /// A checker that tolerates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Judges the next directive.
    ///
    /// # Errors
    /// The option is unknown, not supported, or has a wrong number of arguments.
    pub fn check(&mut self, directive: Directive<'a>) -> Result<Verdict<'a>, ConfigError<'a>> {
        if directive.name == "setenv" && directive.arg(0).is_some_and(|name| name == "FORWARD_COMPATIBLE") {
            self.forward_compatible = directive.arg(1).and_then(|value| value.parse_number()).is_some_and(|n| n > 0);
            return Ok(Verdict::Done);
        }
        if self.in_connection && directive.name == CONNECTION_END {
            self.in_connection = false;
            return Ok(Verdict::Apply(directive));
        }
        let (directive, soft) = match optional(&directive) {
            Some(inner) => (inner, true),
            None => (directive, false),
        };
        self.tolerant = soft || self.forward_compatible || self.ignored.contains(&directive.name);
        match check(&directive, self.in_connection) {
            Ok(_) if directive.name == CONNECTION => {
                self.in_connection = directive.inline.is_some();
                Ok(Verdict::Apply(directive))
            }
            Ok(_) if directive.name == "ignore-unknown-option" => self.ignore(&directive),
            Ok(Some(why)) => Ok(Verdict::Harmless(directive.name, why)),
            Ok(None) => Ok(Verdict::Apply(directive)),
            Err(error) if self.tolerant => Ok(Verdict::Tolerated(error)),
            Err(error) => Err(error),
        }
    }

    /// The latest directive was to be applied, but nobody knows its option: the error, if it is tolerated.
    ///
    /// # Errors
    /// It is not.
    pub fn unknown(&self, directive: &Directive<'a>) -> Result<ConfigError<'a>, ConfigError<'a>> {
        let error = ConfigError::new(directive.name, 0, Problem::UnknownOption { nearest: None });
        if self.tolerant { Ok(error) } else { Err(error) }
    }

    fn ignore(&mut self, directive: &Directive<'a>) -> Result<Verdict<'a>, ConfigError<'a>> {
        let full = ConfigError::new(directive.name, 0, Problem::TooMany { limit: IGNORED_MAX });
        self.ignored.extend_from_slice(&directive.args).map_err(|_| full)?;
        Ok(Verdict::Done)
    }
}

/// The option in `setenv opt NAME args...`.
fn optional<'a>(directive: &Directive<'a>) -> Option<Directive<'a>> {
    let [opt, name, args @ ..] = directive.args.as_slice() else { return None };
    (directive.name == "setenv" && *opt == "opt").then(|| Directive {
        line: directive.line,
        name: *name,
        args: args.iter().copied().collect::<Vec<_, { WORDS_MAX - 1 }>>(),
        inline: None,
    })
}

#[cfg(not(feature = "host"))]
fn check<'a>(_: &Directive<'a>, _in_connection: bool) -> Result<Option<&'static str>, ConfigError<'a>> {
    Ok(None)
}

/// Whether the option exists, is supported, may stand there, and has as many arguments as it takes; why it makes no
/// difference, if so.
#[cfg(feature = "host")]
fn check<'a>(directive: &Directive<'a>, in_connection: bool) -> Result<Option<&'static str>, ConfigError<'a>> {
    let error = |word, problem| Err(ConfigError::new(directive.name, word, problem));
    let name = directive.name.as_str().unwrap_or_default();
    let Some(option) = lookup(name) else {
        return error(0, Problem::UnknownOption { nearest: nearest(name) });
    };
    let harmless = match option.state {
        State::Removed(instead) => return error(0, Problem::Removed { instead }),
        State::NotYet => return error(0, Problem::NotYet),
        State::Works => None,
        State::Harmless(why) => Some(why),
    };
    if in_connection && !option.context.connection {
        return error(0, Problem::NotInConnection);
    }
    if directive.inline.is_some() {
        return if option.context.inline { Ok(harmless) } else { error(0, Problem::NoInline) };
    }
    let given = directive.args.len();
    let (min, max) = (usize::from(option.min_args), usize::from(option.max_args));
    if (min..=max).contains(&given) {
        return Ok(harmless);
    }
    let first_too_many = if given > max { max.saturating_add(1) } else { 0 };
    error(first_too_many, Problem::WrongArgumentCount { given, usage: option.usage })
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::*;
    use crate::options::Lexer;

    fn verdicts(text: &str) -> Vec<String> {
        let mut checker = Checker::new();
        let directives = Lexer::new(text.as_bytes()).map(Result::unwrap);
        directives
            .map(|directive| match checker.check(directive) {
                Ok(Verdict::Apply(directive)) => std::format!("{} {:?}", directive.name, directive.args),
                Ok(Verdict::Harmless(name, why)) => std::format!("{name} harmless: {why}"),
                Ok(Verdict::Tolerated(error)) => std::format!("tolerated: {error}"),
                Ok(Verdict::Done) => "done".to_string(),
                Err(error) => std::format!("word {}: {error}", error.word),
            })
            .collect()
    }

    fn verdict(text: &str) -> String {
        verdicts(text).pop().unwrap()
    }

    #[test]
    fn each_state_has_its_verdict() {
        assert_eq!(verdict("ping 10"), r#"ping ["10"]"#);
        assert_eq!(verdict("tun-ipv6"), "tun-ipv6 harmless: the tunnel always carries IPv6");
        assert_eq!(verdict("pign 10"), "word 0: there is no option 'pign'; did you mean 'ping'?");
        assert_eq!(verdict("xyzzy"), "word 0: there is no option 'xyzzy'; --help lists all options");
        assert!(verdict("no-iv").starts_with("word 0: option 'no-iv' was removed from openvpn: leave it out"));
        assert!(verdict("client").starts_with("word 0: option 'client' is not supported yet"));
        assert!(verdict("pull").contains("write 'tls-client' and 'ifconfig'"));
        assert_eq!(
            verdict("ifconfig 1.1.1.1"),
            "word 0: 'ifconfig' with 1 argument; write 'ifconfig local remote|netmask'"
        );
        assert_eq!(verdict("ping 1 2"), "word 2: 'ping' with 2 arguments; write 'ping n'");
        assert_eq!(verdict("persist-tun x y"), "word 1: option 'persist-tun' takes no argument, not 2");
        assert_eq!(verdict("<secret>\n</secret>"), "secret []");
        assert_eq!(verdict("<ping>\n</ping>"), "word 0: option 'ping' cannot be an inline block; write it on one line");
        assert_eq!(verdict("</secret>"), "word 0: there is no option '</secret>'; --help lists all options");
    }

    #[test]
    fn a_connection_has_options_of_its_own() {
        let within = |line: &str| verdicts(&std::format!("<connection>\n{line}\n</connection>\nping 1"));
        for line in ["remote a", "float", "setenv opt rport 5"] {
            assert_eq!(within(line).len(), 4);
            assert!(within(line).iter().all(|verdict| !verdict.starts_with("word")), "{line}: {:?}", within(line));
        }
        assert_eq!(within("setenv opt foo")[1], "tolerated: there is no option 'foo'; --help lists all options");
        assert_eq!(within("foo")[1], "word 0: there is no option 'foo'; --help lists all options");
        for line in ["ping 3", "<connection>", "ignore-unknown-option foo", "<ca>\nx\n</ca>"] {
            assert!(within(line)[1].contains("cannot stand in a <connection> block"), "{line}: {:?}", within(line));
        }
        assert_eq!(verdict("</connection>"), "word 0: there is no option '</connection>'; did you mean 'connection'?");
    }

    #[test]
    fn a_configuration_may_tolerate_what_is_unknown() {
        assert_eq!(
            verdicts("ignore-unknown-option foo client\nfoo 1\nclient\n<foo>\nx\n</foo>\nbar")[4],
            verdict("bar")
        );
        assert!(verdict("ignore-unknown-option client\nclient").starts_with("tolerated: "));
        assert!(verdict("ignore-unknown-option foo\n<foo>\n</foo>").starts_with("tolerated: "));
        assert!(verdict("ignore-unknown-option ping\nping").starts_with("tolerated: 'ping' with 0 arguments"));
        assert_eq!(verdict("ignore-unknown-option ping\nping 5"), r#"ping ["5"]"#);
        assert!(verdict("setenv opt foo 1 2").starts_with("tolerated: "));
        assert_eq!(verdict("setenv opt ping 5"), r#"ping ["5"]"#);
        assert_eq!(verdict("setenv opt"), r#"setenv ["opt"]"#, "a variable of this name");
        assert!(verdict("setenv FORWARD_COMPATIBLE 1\nfoo").starts_with("tolerated: "));
        assert!(verdict("setenv FORWARD_COMPATIBLE 1\nsetenv FORWARD_COMPATIBLE 0\nfoo").starts_with("word 0"));
        assert_eq!(verdict("setenv NAME value"), r#"setenv ["NAME", "value"]"#);
        let many = std::format!("{}ping 1", "ignore-unknown-option a b c d e f g h i j k l m\n".repeat(5));
        assert_eq!(verdicts(&many)[4], "word 0: more than 64 times 'ignore-unknown-option'");
    }
}
