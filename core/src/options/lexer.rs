//! Text to words (protocol section 7.1).
//!
//! The same grammar serves config files, options pushed by a server and commands of the management
//! interface. Nothing is copied: words borrow the text and resolve their escapes when they are read.

use core::fmt;

use heapless::Vec;

use super::word::{Quoting, Word};

/// The most words on a line, the option's name included.
pub const WORDS_MAX: usize = 16;

/// The most bytes on a line, without its end. Lines of inline blocks may be longer.
pub const LINE_MAX: usize = 255;

/// The block of a remote with its own options.
pub(super) const CONNECTION: &str = "connection";

/// What ends it.
pub(super) const CONNECTION_END: &str = "</connection>";

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Position {
    /// Line, counted from 1.
    pub line: u32,
    /// Byte in the line, counted from 1.
    pub column: u16,
}

/// One option with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Directive<'a> {
    /// The line it starts on, counted from 1.
    pub line: u32,
    /// The option's name, without `--` and without the angle brackets of an inline block.
    pub name: Word<'a>,
    /// What follows on the same line.
    pub args: Vec<Word<'a>, { WORDS_MAX - 1 }>,
    /// The lines between `<name>` and `</name>`, verbatim.
    pub inline: Option<&'a str>,
}

impl<'a> Directive<'a> {
    /// Argument `index`, counted from 0.
    pub fn arg(&self, index: usize) -> Option<Word<'a>> {
        self.args.get(index).copied()
    }

    /// Word `index`, where 0 is the name and 1 the first argument.
    pub fn word(&self, index: usize) -> Option<Word<'a>> {
        match index.checked_sub(1) {
            None => Some(self.name),
            Some(index) => self.arg(index),
        }
    }
}

/// What is wrong with a text, whatever its options mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SyntaxError {
    /// Where it is wrong.
    pub position: Position,
    /// What is wrong there.
    pub problem: SyntaxProblem,
}

/// The ways in which a text can be malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SyntaxProblem {
    /// A backslash before something that needs no escape.
    BadBackslash,
    /// A quote (the character is given) that is not closed on its line.
    UnclosedQuote(char),
    /// An inline block without its closing tag.
    UnclosedBlock,
    /// More than [`LINE_MAX`] bytes on a line.
    LineTooLong,
    /// More than [`WORDS_MAX`] words on a line.
    TooManyWords,
    /// A NUL byte: this is no text file.
    Nul,
    /// Bytes that are not UTF-8, outside a comment.
    NotUtf8,
}

impl fmt::Display for SyntaxProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadBackslash => f.write_str(
                "Bad backslash: only \\\\, \\\" and backslash-space are escapes; write \\\\ for a backslash",
            ),
            Self::UnclosedQuote(quote) => write!(f, "No closing quotation ({quote}) on this line"),
            Self::UnclosedBlock => f.write_str("this inline block has no end: its closing tag </...> is missing"),
            Self::LineTooLong => write!(f, "Maximum option line length ({LINE_MAX}) exceeded"),
            Self::TooManyWords => write!(f, "more than {WORDS_MAX} words on a line"),
            Self::Nul => f.write_str("a NUL byte: this is no text file"),
            Self::NotUtf8 => f.write_str("this is not UTF-8 text; save the file as UTF-8"),
        }
    }
}

/// Iterates over the options of a text; ends after the first error.
///
/// The lines of an inline block are no options, except in a block `<connection>`: its options follow it one by one, and
/// then the option `</connection>`.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    rest: &'a [u8],
    /// Lines taken so far.
    line: u32,
}

impl<'a> Lexer<'a> {
    /// Reads a whole text. Only comments may be something else than UTF-8.
    pub fn new(text: &'a [u8]) -> Self {
        Self { rest: text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text), line: 0 }
    }

    fn next_line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(1..).unwrap_or_default();
        self.line = self.line.saturating_add(1);
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// `Ok(None)` for a line without words.
    fn directive(&mut self, line: &'a [u8]) -> Result<Option<Directive<'a>>, SyntaxError> {
        let start = self.line;
        let words = split(line, start)?;
        let Some((first, args)) = words.split_first() else { return Ok(None) };
        let name = first.without_dashes();
        let tag = name.as_str().and_then(|text| text.strip_prefix('<')?.strip_suffix('>'));
        Ok(Some(match tag {
            Some(tag) if args.is_empty() && !tag.is_empty() && !tag.starts_with('/') => {
                let missing = error(start, name.column(), SyntaxProblem::UnclosedBlock);
                let content = self.clone();
                let inline = Some(self.block(tag).ok_or(missing)??);
                if tag == CONNECTION {
                    *self = content;
                }
                Directive { line: start, name: name.within_brackets(tag), args: Vec::new(), inline }
            }
            _ => Directive { line: start, name, args: args.iter().copied().collect(), inline: None },
        }))
    }

    /// The text up to the closing tag; `None` if there is no such tag.
    fn block(&mut self, tag: &str) -> Option<Result<&'a str, SyntaxError>> {
        let (content, first_line) = (self.rest, self.line);
        loop {
            let before = self.rest.len();
            let line = self.next_line()?.trim_ascii_start();
            let closes = line.strip_prefix(b"</").and_then(|line| line.strip_prefix(tag.as_bytes()));
            if closes.is_some_and(|line| line.starts_with(b">")) {
                let block = content.get(..content.len().saturating_sub(before))?;
                return Some(block_text(block, first_line));
            }
        }
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Result<Directive<'a>, SyntaxError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(line) = self.next_line() {
            match self.directive(line) {
                Ok(None) => {}
                Ok(Some(directive)) => return Some(Ok(directive)),
                Err(error) => {
                    self.rest = &[];
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// Splits one line into words, as a script's command line is split.
///
/// # Errors
/// The line breaks the quoting rules.
pub fn words(line: &str) -> Result<Vec<Word<'_>, WORDS_MAX>, SyntaxError> {
    split(line.as_bytes(), 1)
}

fn split(line: &[u8], number: u32) -> Result<Vec<Word<'_>, WORDS_MAX>, SyntaxError> {
    let column =
        |rest: &[u8]| u16::try_from(line.len().saturating_sub(rest.len())).unwrap_or(u16::MAX).saturating_add(1);
    if let Some(nul) = line.iter().position(|byte| *byte == 0) {
        return Err(error(number, column(line.get(nul..).unwrap_or_default()), SyntaxProblem::Nul));
    }
    if let Some(excess) = line.get(LINE_MAX..).filter(|excess| !excess.is_empty()) {
        return Err(error(number, column(excess), SyntaxProblem::LineTooLong));
    }
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = skip_spaces(rest);
        let (quoting, body) = match rest.split_first() {
            None | Some((b'#' | b';', _)) => return Ok(words),
            Some((b'"', body)) => (Quoting::Double, body),
            Some((b'\'', body)) => (Quoting::Single, body),
            Some(_) => (Quoting::Bare, rest),
        };
        let start = column(rest);
        let end = match end_of_word(body, quoting) {
            Ok(end) => end,
            Err(Malformed::Unclosed(quote)) => return Err(error(number, start, SyntaxProblem::UnclosedQuote(quote))),
            Err(Malformed::Backslash(at)) => {
                return Err(error(number, column(body.get(at..).unwrap_or_default()), SyntaxProblem::BadBackslash));
            }
        };
        let (raw, after) = body.split_at_checked(end).unwrap_or((body, &[]));
        let not_utf8 = |bad: core::str::Utf8Error| {
            error(number, column(body.get(bad.valid_up_to()..).unwrap_or_default()), SyntaxProblem::NotUtf8)
        };
        let word = Word::new(core::str::from_utf8(raw).map_err(not_utf8)?, quoting, start);
        words.push(word).map_err(|_| error(number, start, SyntaxProblem::TooManyWords))?;
        rest = if quoting == Quoting::Bare { after } else { after.get(1..).unwrap_or_default() };
    }
}

enum Malformed {
    Unclosed(char),
    /// Offset of the backslash.
    Backslash(usize),
}

/// Length of the word at the start of `body`, from which an opening quote has been taken.
fn end_of_word(body: &[u8], quoting: Quoting) -> Result<usize, Malformed> {
    let mut rest = body;
    while let Some((byte, mut after)) = rest.split_first() {
        let at = body.len().saturating_sub(rest.len());
        match (quoting, byte) {
            (Quoting::Double, b'"') | (Quoting::Single, b'\'') => return Ok(at),
            (Quoting::Bare, byte) if is_space(*byte) => return Ok(at),
            (Quoting::Bare | Quoting::Double, b'\\') => match after {
                [b'\\' | b'"' | b' ' | b'\t', others @ ..] => after = others,
                _ => return Err(Malformed::Backslash(at)),
            },
            _ => {}
        }
        rest = after;
    }
    match quoting {
        Quoting::Double => Err(Malformed::Unclosed('"')),
        Quoting::Single => Err(Malformed::Unclosed('\'')),
        _ => Ok(body.len()),
    }
}

fn block_text(block: &[u8], line_before: u32) -> Result<&str, SyntaxError> {
    let at = |offset: usize, problem| {
        let before = block.get(..offset).unwrap_or_default();
        let newlines = before.iter().filter(|byte| **byte == b'\n');
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline.saturating_add(1));
        let line = newlines.fold(line_before.saturating_add(1), |line, _| line.saturating_add(1));
        let column = u16::try_from(offset.saturating_sub(line_start)).unwrap_or(u16::MAX).saturating_add(1);
        error(line, column, problem)
    };
    if let Some(nul) = block.iter().position(|byte| *byte == 0) {
        return Err(at(nul, SyntaxProblem::Nul));
    }
    core::str::from_utf8(block).map_err(|bad| at(bad.valid_up_to(), SyntaxProblem::NotUtf8))
}

fn skip_spaces(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !is_space(*byte)).unwrap_or(text.len());
    text.get(end..).unwrap_or_default()
}

/// The white space of C, which has one character more than Rust's ASCII white space.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn error(line: u32, column: u16, problem: SyntaxProblem) -> SyntaxError {
    SyntaxError { position: Position { line, column }, problem }
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec::Vec;
    use std::{format, vec};

    use proptest::prelude::*;

    use super::*;

    fn lines(text: &str) -> Vec<Vec<String>> {
        let words = |directive: Directive<'_>| {
            let args = directive.args.iter().map(ToString::to_string);
            [directive.name.to_string()].into_iter().chain(args).collect()
        };
        Lexer::new(text.as_bytes()).map(|directive| words(directive.unwrap())).collect()
    }

    fn problem(text: &[u8]) -> (u32, u16, SyntaxProblem) {
        let SyntaxError { position, problem } = Lexer::new(text).find_map(Result::err).unwrap();
        (position.line, position.column, problem)
    }

    #[test]
    fn words_are_split_as_openvpn_splits_them() {
        for (text, value) in [
            (r#""a b""#, "a b"),
            (r"a\ b", "a b"),
            ("a\\\tb", "a\tb"),
            ("x#y;z", "x#y;z"),
            ("x # comment", "x"),
            ("x ; comment", "x"),
            (r#"'a\b "q"'"#, r#"a\b "q""#),
            (r#"a"b"c"#, r#"a"b"c"#),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            (r#"a\"b"#, r#"a"b"#),
            ("a'b", "a'b"),
            (r#"x""#, r#"x""#),
            (r"ab\\cd", r"ab\cd"),
            (r#""""#, ""),
            (r##""a"#c"##, "a"),
            (r#""a";c"#, "a"),
        ] {
            assert_eq!(lines(&format!("setenv X {text}\n")), [["setenv", "X", value]], "{text}");
        }
        for (text, values) in [(r#""a"b"#, ["a", "b"]), (r#"a"b c"d"#, [r#"a"b"#, r#"c"d"#]), ("'a'\"b\"", ["a", "b"])]
        {
            assert_eq!(lines(text), [values], "{text}");
        }
    }

    #[test]
    fn lines_may_be_dressed_in_many_ways() {
        let expected = [vec!["dev", "tun"], vec!["verb", "3"], vec!["float"]];
        for text in [
            "dev tun\nverb 3\nfloat\n",
            "dev tun\nverb 3\nfloat",
            "dev tun\r\nverb 3\r\nfloat\r\n",
            "\u{feff}dev tun\nverb 3\nfloat",
            " \t dev\t tun \n\n# verb 4\n;verb 5\n  # verb 6\n--verb 3\nfloat",
            "dev\x0btun\x0c\nverb 3 # \u{e9}\nfloat;\n",
        ] {
            let expected = if text.contains("float;") {
                vec![vec!["dev", "tun"], vec!["verb", "3"], vec!["float;"]]
            } else {
                expected.to_vec()
            };
            assert_eq!(lines(text), expected, "{text:?}");
        }
        assert!(lines("").is_empty());
        assert!(lines("\n\n   \n#").is_empty());
        assert_eq!(lines("--"), [["--"]]);
    }

    #[test]
    fn inline_blocks_are_kept_verbatim() {
        let text = "dev tun\n  <secret> # key\n# not a comment\r\n \"x\n\n  </secret> tail\nverb 3";
        let directives: Vec<_> = Lexer::new(text.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(directives[1].name, "secret");
        assert_eq!(directives[1].inline, Some("# not a comment\r\n \"x\n\n"));
        assert_eq!((directives[1].line, directives[1].name.column()), (2, 4));
        assert_eq!((directives[2].line, directives[2].name.to_string()), (7, "verb".to_string()));
        let empty = Lexer::new(b"<ca>\n</ca>").next().unwrap().unwrap();
        assert_eq!(empty.inline, Some(""));
        let long = format!("<ca>\n{}\n</ca>\n", "a".repeat(9000));
        assert_eq!(Lexer::new(long.as_bytes()).next().unwrap().unwrap().inline.map(str::len), Some(9001));
    }

    #[test]
    fn the_options_of_a_connection_follow_it() {
        let text = "\n<connection>\nremote a 1\n\n rport 2\n<tls-auth>\nkey\n</tls-auth>\n </connection> tail\nverb 3";
        let directives: Vec<_> = Lexer::new(text.as_bytes()).map(Result::unwrap).collect();
        let found: Vec<_> = directives.iter().map(|directive| (directive.line, directive.name.to_string())).collect();
        let expected =
            [(2, CONNECTION), (3, "remote"), (5, "rport"), (6, "tls-auth"), (9, CONNECTION_END), (10, "verb")];
        assert_eq!(found, expected.map(|(line, name)| (line, name.to_string())));
        assert_eq!(
            directives[0].inline,
            text.split("<connection>\n").nth(1).and_then(|rest| rest.split(" </conn").next())
        );
        assert_eq!(directives[3].inline, Some("key\n"));
        assert_eq!(problem(b"<connection>\nremote \"b\n</connection>"), (2, 8, SyntaxProblem::UnclosedQuote('"')));
        assert_eq!(problem(b"<connection>\nremote a"), (1, 1, SyntaxProblem::UnclosedBlock));
    }

    #[test]
    fn words_know_their_columns() {
        let text = br#"  --setenv "a b" c\ d e"#;
        let directive = Lexer::new(text).next().unwrap().unwrap();
        let columns: Vec<_> =
            (0..4).filter_map(|i| directive.word(i)).map(|word| (word.column(), word.width())).collect();
        assert_eq!(columns, [(5, 6), (12, 5), (18, 4), (23, 1)]);
    }

    #[test]
    fn malformed_text_is_an_error_with_its_place() {
        use SyntaxProblem::*;
        assert_eq!(problem(b"verb 3\nsetenv X a\\nb"), (2, 11, BadBackslash));
        assert_eq!(problem(b"up c:\\tmp"), (1, 6, BadBackslash));
        assert_eq!(problem(b"writepid abc\\\r\n"), (1, 13, BadBackslash));
        assert_eq!(problem(b"setenv X \"abc\nverb 3"), (1, 10, UnclosedQuote('"')));
        assert_eq!(problem(b"setenv X 'abc"), (1, 10, UnclosedQuote('\'')));
        assert_eq!(problem(b"dev tun\n <secret>\nabc\n</ca>"), (2, 2, UnclosedBlock));
        assert_eq!(problem(b"<secret>"), (1, 1, UnclosedBlock));
        assert_eq!(problem(b"<secret>\n</secretx>"), (1, 1, UnclosedBlock));
        assert_eq!(problem(b"dev t\0un"), (1, 6, Nul));
        assert_eq!(problem(b"# \0"), (1, 3, Nul));
        assert_eq!(problem(b"dev tun\n<secret>\nab\ncd\0\n</secret>"), (4, 3, Nul));
        assert_eq!(problem(b"dev tun\nsetenv X \"\xe4\""), (2, 11, NotUtf8));
        assert_eq!(problem(b"<secret>\na\xffb\n</secret>"), (2, 2, NotUtf8));
        assert_eq!(problem(b"r 2 3 4 5 6 7 8 9 a b c d e f g h"), (1, 33, TooManyWords));
        assert_eq!(problem(format!("\n#{}", "a".repeat(255)).as_bytes()), (2, 256, LineTooLong));
        assert_eq!(lines(&format!("#{}\r\nverb 3", "a".repeat(254))), [["verb", "3"]]);
        assert_eq!(Lexer::new(b"# na\xefve\nverb 3").count(), 1);
    }

    #[test]
    fn nothing_follows_an_error() {
        let mut lexer = Lexer::new(b"a \"\nverb 3\n");
        assert!(lexer.next().unwrap().is_err());
        assert!(lexer.next().is_none());
    }

    #[test]
    fn a_command_line_is_split_like_a_config_line() {
        let split: Vec<_> = words(r#"/bin/sh -c "echo hi""#).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(split, ["/bin/sh", "-c", "echo hi"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_options_or_an_error(text in proptest::collection::vec(any::<u8>(), 0..600)) {
            for directive in Lexer::new(&text).flatten() {
                let _ = (directive.name.to_string(), directive.args.iter().map(ToString::to_string).count());
            }
        }

        #[test]
        fn any_mix_of_the_grammar_is_options_or_an_error(text in "[ab<>/\\\\\"'#; \t\r\n-]{0,200}") {
            let lines = text.matches('\n').count() + 1;
            for directive in Lexer::new(text.as_bytes()).flatten() {
                prop_assert!(directive.line as usize <= lines);
                prop_assert_eq!(directive.name.chars().count(), directive.name.to_string().chars().count());
            }
        }

        #[test]
        fn a_quoted_word_reads_back(value in "[^\0\r\n]{0,100}") {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            prop_assume!(escaped.len() < 240);
            let text = format!("x \"{escaped}\"");
            let directive = Lexer::new(text.as_bytes()).next().unwrap().unwrap();
            prop_assert_eq!(directive.args[0].to_string(), value);
        }
    }
}
