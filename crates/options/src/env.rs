//! What the variables of an environment say: the one rule for everybody who reads them.
//!
//! The short name of an option wins over the kernel's. A variable that is empty, or nothing but
//! blanks, counts as unset: compose files write `${NAME:-}`. Blanks around a value are ignored. A
//! value that cannot be used is reported, and the default stays, even if the other name of the
//! option has a good one.
//!
//! Each function asks `getenv` for the value of a variable, as getenv(3) finds it.

use core::ffi::CStr;

use crate::{Mode, Settings, TcpOption, Values};

/// The variable that says who has the last word: one of the words of [`Mode`].
pub const KEEPALIVE: &CStr = c"KEEPALIVE";
/// The variable that has each socket reported: `1` or `0`.
pub const KEEPALIVE_DEBUG: &CStr = c"KEEPALIVE_DEBUG";

/// A value that cannot be used. [`Line::unusable`](crate::Line::unusable) reports it.
#[derive(Clone, Copy, Debug)]
pub struct Unusable<'text> {
    /// The variable.
    pub variable: &'static CStr,
    /// Its value, without the blanks around it.
    pub value: &'text [u8],
    /// What it should have been.
    pub(crate) expected: Expected,
}

/// What a variable accepts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    Mode,
    Number(&'static TcpOption),
    Switch,
}

/// Who has the last word, if [`KEEPALIVE`] says so.
pub fn mode<'text>(
    getenv: impl Fn(&'static CStr) -> Option<&'text [u8]>,
) -> Result<Option<Mode>, Unusable<'text>> {
    let Some(value) = variable(KEEPALIVE, &getenv) else { return Ok(None) };
    let mode = Mode::parse(value);
    mode.map(Some).ok_or(Unusable { variable: KEEPALIVE, value, expected: Expected::Mode })
}

/// Whether each socket is reported, if [`KEEPALIVE_DEBUG`] says so.
pub fn debug<'text>(
    getenv: impl Fn(&'static CStr) -> Option<&'text [u8]>,
) -> Result<Option<bool>, Unusable<'text>> {
    match variable(KEEPALIVE_DEBUG, &getenv) {
        None => Ok(None),
        Some(b"1") => Ok(Some(true)),
        Some(b"0") => Ok(Some(false)),
        Some(value) => {
            Err(Unusable { variable: KEEPALIVE_DEBUG, value, expected: Expected::Switch })
        }
    }
}

/// The value of an option, if a variable sets it.
pub fn value<'text>(
    option: &'static TcpOption,
    getenv: impl Fn(&'static CStr) -> Option<&'text [u8]>,
) -> Result<Option<u32>, Unusable<'text>> {
    let Some((variable, value)) = source(option, getenv) else { return Ok(None) };
    let number = option.parse(value);
    number.map(Some).ok_or(Unusable { variable, value, expected: Expected::Number(option) })
}

/// The variable that sets an option, and what it says, be that usable or not.
pub fn source<'text>(
    option: &TcpOption,
    getenv: impl Fn(&'static CStr) -> Option<&'text [u8]>,
) -> Option<(&'static CStr, &'text [u8])> {
    let mut name = option.short_name.unwrap_or(option.name);
    let mut value = variable(name, &getenv);
    if value.is_none() {
        name = option.name;
        value = variable(name, &getenv);
    }
    Some((name, value?))
}

/// What the library sets in a program with these variables: nothing at all under
/// [`Mode::Off`]. Values that cannot be used are left out.
pub fn settings<'text>(getenv: impl Fn(&'static CStr) -> Option<&'text [u8]>) -> Settings {
    let mode = mode(&getenv).ok().flatten().unwrap_or(Mode::On);
    let values = Values::new(|option| match mode {
        Mode::Off => None,
        _ => value(option, &getenv).ok().flatten(),
    });
    Settings { values, mode }
}

/// What a variable says, without the blanks around it (space, tab, carriage return, line feed);
/// None if that is nothing.
fn variable<'text>(
    name: &'static CStr,
    getenv: impl Fn(&'static CStr) -> Option<&'text [u8]>,
) -> Option<&'text [u8]> {
    let mut value = getenv(name)?;
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..]
    | [rest @ .., b' ' | b'\t' | b'\r' | b'\n'] = value
    {
        value = rest;
    }
    (!value.is_empty()).then_some(value)
}
