//! Who has the last word on a socket's settings.

/// The value of the variable `KEEPALIVE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// The settings are there when socket(2) returns; what the program then sets itself stands.
    On = 1,
    /// Nothing is done at all.
    Off = 2,
    /// The timers are set, `SO_KEEPALIVE` is left to the program.
    Skip = 3,
    /// The settings are put back whenever the program sets others.
    Force = 4,
}

impl Mode {
    /// The mode that `text` names, in upper or lower case.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if is(text, "on") {
            Some(Self::On)
        } else if is(text, "off") {
            Some(Self::Off)
        } else if is(text, "skip") {
            Some(Self::Skip)
        } else if is(text, "force") {
            Some(Self::Force)
        } else {
            None
        }
    }
}

/// `eq_ignore_ascii_case`, which since Rust 1.94 is unrolled into several hundred bytes.
#[inline(never)]
fn is(text: &[u8], name: &str) -> bool {
    text.len() == name.len()
        && text.iter().zip(name.bytes()).all(|(a, b)| a.to_ascii_lowercase() == b)
}
