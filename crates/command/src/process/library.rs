//! The preload library in another process.

use std::ffi::CStr;

use options::env;

use crate::values::Values;

/// The values that the library sets in a process that was started with these entries of the
/// environment. It does not set values that cannot be used.
pub fn library_values(environment: &[u8]) -> Values<Option<u32>> {
    let getenv = |name: &CStr| {
        let mut entries = environment.split(|byte| *byte == 0);
        entries.find_map(|entry| entry.strip_prefix(name.to_bytes())?.strip_prefix(b"="))
    };
    env::settings(getenv).values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_name_wins_and_what_cannot_be_used_is_not_set() {
        let values =
            library_values(b"A=1\0KEEPIDLE=180\0TCP_KEEPIDLE=9\0KEEPCNT=\0TCP_KEEPCNT= 20 \0");
        assert_eq!((values.idle, values.count, values.interval), (Some(180), Some(20), None));
        assert_eq!(library_values(b"KEEPALIVE=off\0KEEPIDLE=180"), Values::default());
        assert_eq!(library_values(b"KEEPIDLE=5s\0XKEEPIDLE=1"), Values::default());
    }
}
