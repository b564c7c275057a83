//! The configuration language: text to words, words to options, options to a typed configuration.

mod lexer;
mod word;

pub use lexer::{Directive, LINE_MAX, Lexer, Position, SyntaxError, SyntaxProblem, WORDS_MAX, words};
pub use word::Word;
