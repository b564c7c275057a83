//! Arguments as values: what every typed configuration asks of a directive.

use super::error::{ConfigError, Problem};
use super::lexer::Directive;
use super::table::lookup;
use super::word::Word;

impl<'a> Directive<'a> {
    /// Argument `index`, counted from 0, which must be there.
    ///
    /// # Errors
    /// It is missing.
    pub fn required(&self, index: usize) -> Result<Word<'a>, ConfigError<'a>> {
        self.arg(index).ok_or_else(|| {
            let usage = self.name.as_str().and_then(lookup).map_or("...", |option| option.usage_or_unknown());
            ConfigError::new(self.name, 0, Problem::WrongArgumentCount { given: self.args.len(), usage })
        })
    }

    /// Argument `index` as a number; `valid` says what is valid, as in "a time in seconds".
    ///
    /// # Errors
    /// It is missing or no such number.
    pub fn number<T: TryFrom<u64>>(&self, index: usize, valid: &'static str) -> Result<T, ConfigError<'a>> {
        self.parsed(index, valid, |word| T::try_from(word.parse_number()?).ok())
    }

    /// Argument `index` as a number if it is there.
    ///
    /// # Errors
    /// It is there and no such number.
    pub fn number_if_any<T: TryFrom<u64>>(
        &self,
        index: usize,
        valid: &'static str,
    ) -> Result<Option<T>, ConfigError<'a>> {
        self.arg(index).map(|_| self.number(index, valid)).transpose()
    }

    /// Argument `index` as one of these words; `valid` names them.
    ///
    /// # Errors
    /// It is missing or none of them.
    pub fn choice<T: Copy>(
        &self,
        index: usize,
        choices: &[(&str, T)],
        valid: &'static str,
    ) -> Result<T, ConfigError<'a>> {
        self.parsed(index, valid, |word| choices.iter().find(|(name, _)| word == *name).map(|(_, value)| *value))
    }

    /// Argument `index` as whatever `parse` makes of it; `valid` says what is valid.
    ///
    /// # Errors
    /// It is missing, or `parse` makes nothing of it.
    pub fn parsed<T>(
        &self,
        index: usize,
        valid: &'static str,
        parse: impl FnOnce(Word<'a>) -> Option<T>,
    ) -> Result<T, ConfigError<'a>> {
        let word = self.required(index)?;
        parse(word).ok_or_else(|| self.bad_value(index, valid))
    }

    /// The error that argument `index` is not valid.
    pub fn bad_value(&self, index: usize, valid: &'static str) -> ConfigError<'a> {
        match self.arg(index) {
            Some(value) => self.problem_at(index, Problem::BadValue { value, valid }),
            None => self.problem_at(index, Problem::Missing { remedy: valid }),
        }
    }

    /// The error that argument `index` is valid but not supported yet.
    pub fn not_yet(&self, index: usize, supported: &'static str) -> ConfigError<'a> {
        match self.arg(index) {
            Some(value) => self.problem_at(index, Problem::ValueNotYet { value, supported }),
            None => ConfigError::new(self.name, 0, Problem::NotYet),
        }
    }

    fn problem_at(&self, index: usize, problem: Problem<'a>) -> ConfigError<'a> {
        ConfigError::new(self.name, index.saturating_add(1), problem)
    }
}
