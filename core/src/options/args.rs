//! Arguments as values: what every typed configuration asks of a directive.

use super::error::{ConfigError, Problem, on_a_host};
use super::lexer::Directive;
#[cfg(feature = "host")]
use super::table::lookup;
use super::word::Word;

impl<'a> Directive<'a> {
    /// Argument `index`, counted from 0, which must be there.
    ///
    /// # Errors
    /// It is missing.
    pub fn required(&self, index: usize) -> Result<Word<'a>, ConfigError<'a>> {
        self.arg(index).ok_or_else(|| self.too_few())
    }

    /// Argument `index` as a number; `valid` says what is valid, as in "a time in seconds".
    ///
    /// # Errors
    /// It is missing or no such number.
    #[inline(never)]
    pub fn number<T: TryFrom<u64>>(&self, index: usize, valid: &'static str) -> Result<T, ConfigError<'a>> {
        self.parsed(index, valid, |word| T::try_from(word.parse_number()?).ok())
    }

    /// Argument `index` as a number if it is there.
    ///
    /// # Errors
    /// It is there and no such number.
    #[inline(never)]
    pub fn number_if_any<T: TryFrom<u64>>(
        &self,
        index: usize,
        valid: &'static str,
    ) -> Result<Option<T>, ConfigError<'a>> {
        self.parsed_if_any(index, valid, |word| T::try_from(word.parse_number()?).ok())
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
        self.parsed(index, valid, |word| chosen(word, choices))
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
        self.arg(index).and_then(parse).ok_or_else(|| self.missing_or_bad(index, valid))
    }

    /// Argument `index` as whatever `parse` makes of it, if it is there.
    ///
    /// # Errors
    /// It is there, and `parse` makes nothing of it.
    pub fn parsed_if_any<T>(
        &self,
        index: usize,
        valid: &'static str,
        parse: impl FnOnce(Word<'a>) -> Option<T>,
    ) -> Result<Option<T>, ConfigError<'a>> {
        let Some(word) = self.arg(index) else { return Ok(None) };
        let parsed = parse(word);
        if parsed.is_some() { Ok(parsed) } else { Err(self.bad_value(index, valid)) }
    }

    /// Argument `index` as one of these words, if it is there; `valid` names them.
    ///
    /// # Errors
    /// It is there and none of them.
    pub fn choice_if_any<T: Copy>(
        &self,
        index: usize,
        choices: &[(&str, T)],
        valid: &'static str,
    ) -> Result<Option<T>, ConfigError<'a>> {
        self.parsed_if_any(index, valid, |word| chosen(word, choices))
    }

    #[cold]
    #[inline(never)]
    fn too_few(&self) -> ConfigError<'a> {
        #[cfg(feature = "host")]
        let usage = self.name.as_str().and_then(lookup).map_or("...", |option| option.usage);
        #[cfg(not(feature = "host"))]
        let usage = "...";
        ConfigError::new(self.name, 0, Problem::WrongArgumentCount { given: self.args.len(), usage })
    }

    #[cold]
    #[inline(never)]
    fn missing_or_bad(&self, index: usize, valid: &'static str) -> ConfigError<'a> {
        if self.arg(index).is_none() { self.too_few() } else { self.bad_value(index, valid) }
    }

    /// The error that argument `index` is not valid.
    #[cold]
    #[inline(never)]
    pub fn bad_value(&self, index: usize, valid: &'static str) -> ConfigError<'a> {
        let valid = on_a_host(valid);
        match self.arg(index) {
            Some(value) => self.problem_at(index, Problem::BadValue { value, valid }),
            None => self.problem_at(index, Problem::Missing { remedy: valid }),
        }
    }

    /// The error that argument `index` is valid but not supported yet.
    pub fn not_yet(&self, index: usize, supported: &'static str) -> ConfigError<'a> {
        match self.arg(index) {
            Some(value) => self.problem_at(index, Problem::ValueNotYet { value, supported: on_a_host(supported) }),
            None => ConfigError::new(self.name, 0, Problem::NotYet),
        }
    }

    fn problem_at(&self, index: usize, problem: Problem<'a>) -> ConfigError<'a> {
        ConfigError::new(self.name, index.saturating_add(1), problem)
    }
}

fn chosen<T: Copy>(word: Word<'_>, choices: &[(&str, T)]) -> Option<T> {
    choices.iter().find(|(name, _)| word == *name).map(|(_, value)| *value)
}
