//! Errors of the system as people read them.

use std::io;

/// What std puts in front of the words of getaddrinfo(3).
const LOOKUP: &str = "failed to lookup address information: ";

/// An error in words, without its number. Those of strerror(3) and getaddrinfo(3) begin in lower
/// case, as those of the command do.
pub fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    let words = match error.raw_os_error() {
        Some(number) => text.strip_suffix(&format!(" (os error {number})")),
        None => text.strip_prefix(LOOKUP),
    };
    match words.and_then(|words| words.split_at_checked(1)) {
        // But for abbreviations: "RPC struct is bad".
        Some((first, rest)) if rest.starts_with(char::is_lowercase) => first.to_lowercase() + rest,
        Some(_) => words.unwrap_or_default().into(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_without_numbers() {
        for (number, expected) in [
            (libc::ECONNREFUSED, "connection refused"),
            (libc::EIO, "input/output error"),
            // Not a word of its own in lower case.
            (libc::EDOTDOT, "RFS specific error"),
        ] {
            assert_eq!(describe(&io::Error::from_raw_os_error(number)), expected);
        }
        assert_eq!(describe(&io::Error::other("As it is (os error 2)")), "As it is (os error 2)");
        let unknown = io::Error::other(format!("{LOOKUP}Name or service not known"));
        assert_eq!(describe(&unknown), "name or service not known");
    }
}
