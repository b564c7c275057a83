//! Arguments as values: what every typed configuration asks of a directive.

use core::cell::Cell;
use core::ops::Deref;

use super::error::{ConfigError, Problem, on_a_host};
use super::lexer::Directive;
#[cfg(feature = "host")]
use super::table::lookup;
use super::word::Word;

/// A directive whose arguments are being read. It notes what is wrong with one, so that what reads them hands on a
/// [`Refused`] that takes no room: on a microcontroller the errors of all options together would be much of the code.
#[derive(Debug)]
pub struct Args<'d, 'a> {
    directive: &'d Directive<'a>,
    wrong: Cell<ConfigError<'a>>,
}

/// A directive cannot be used; its [`Args`] have noted why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(());

impl<'a> Directive<'a> {
    /// Lets `apply` read the arguments.
    ///
    /// # Errors
    /// What was noted when `apply` refused the directive.
    pub fn read<T>(&self, apply: impl FnOnce(&Args<'_, 'a>) -> Result<T, Refused>) -> Result<T, ConfigError<'a>> {
        let args = Args { directive: self, wrong: Cell::new(ConfigError::new(self.name, 0, Problem::NotYet)) };
        apply(&args).map_err(|Refused(())| args.wrong.get())
    }
}

impl<'a> Deref for Args<'_, 'a> {
    type Target = Directive<'a>;

    fn deref(&self) -> &Directive<'a> {
        self.directive
    }
}

impl<'a> Args<'_, 'a> {
    /// Argument `index`, counted from 0, which must be there.
    ///
    /// # Errors
    /// It is missing.
    pub fn required(&self, index: usize) -> Result<Word<'a>, Refused> {
        self.arg(index).ok_or_else(|| self.too_few())
    }

    /// Argument `index` as a number; `valid` says what is valid, as in "a time in seconds".
    ///
    /// # Errors
    /// It is missing or no such number.
    #[inline(never)]
    pub fn number<T: TryFrom<u64>>(&self, index: usize, valid: &'static str) -> Result<T, Refused> {
        self.parsed(index, valid, |word| T::try_from(word.parse_number()?).ok())
    }

    /// Argument `index` as a number if it is there.
    ///
    /// # Errors
    /// It is there and no such number.
    #[inline(never)]
    pub fn number_if_any<T: TryFrom<u64>>(&self, index: usize, valid: &'static str) -> Result<Option<T>, Refused> {
        self.parsed_if_any(index, valid, |word| T::try_from(word.parse_number()?).ok())
    }

    /// Argument `index` as one of these words; `valid` names them.
    ///
    /// # Errors
    /// It is missing or none of them.
    pub fn choice<T: Copy>(&self, index: usize, choices: &[(&str, T)], valid: &'static str) -> Result<T, Refused> {
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
    ) -> Result<T, Refused> {
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
    ) -> Result<Option<T>, Refused> {
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
    ) -> Result<Option<T>, Refused> {
        self.parsed_if_any(index, valid, |word| chosen(word, choices))
    }

    #[cold]
    #[inline(never)]
    fn too_few(&self) -> Refused {
        #[cfg(feature = "host")]
        let usage = self.name.as_str().and_then(lookup).map_or("...", |option| option.usage);
        #[cfg(not(feature = "host"))]
        let usage = "...";
        self.refuse(0, Problem::WrongArgumentCount { given: self.args.len(), usage })
    }

    #[cold]
    #[inline(never)]
    fn missing_or_bad(&self, index: usize, valid: &'static str) -> Refused {
        if self.arg(index).is_none() { self.too_few() } else { self.bad_value(index, valid) }
    }

    /// Refuses argument `index`, which is not valid.
    #[cold]
    #[inline(never)]
    pub fn bad_value(&self, index: usize, valid: &'static str) -> Refused {
        let valid = on_a_host(valid);
        match self.arg(index) {
            Some(value) => self.refuse(index.saturating_add(1), Problem::BadValue { value, valid }),
            None => self.refuse(index.saturating_add(1), Problem::Missing { remedy: valid }),
        }
    }

    /// Refuses argument `index`, which is valid but not supported yet.
    #[cold]
    #[inline(never)]
    pub fn not_yet(&self, index: usize, supported: &'static str) -> Refused {
        match self.arg(index) {
            Some(value) => {
                let problem = Problem::ValueNotYet { value, supported: on_a_host(supported) };
                self.refuse(index.saturating_add(1), problem)
            }
            None => self.refuse(0, Problem::NotYet),
        }
    }

    /// Refuses the directive because of this word, where 0 is its name and 1 the first argument.
    #[cold]
    #[inline(never)]
    pub fn refuse(&self, word: usize, problem: Problem<'a>) -> Refused {
        self.refuse_for(ConfigError::new(self.name, word, problem))
    }

    /// Refuses the directive because of what may be another option's fault.
    pub(super) fn refuse_for(&self, error: ConfigError<'a>) -> Refused {
        self.wrong.set(error);
        Refused(())
    }
}

fn chosen<T: Copy>(word: Word<'_>, choices: &[(&str, T)]) -> Option<T> {
    choices.iter().find(|(name, _)| word == *name).map(|(_, value)| *value)
}
