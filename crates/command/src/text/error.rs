//! Errors of the system as people read them.

use std::io;

/// What std puts in front of the words of getaddrinfo(3).
const LOOKUP: &str = "failed to lookup address information: ";

/// An error in the words of strerror(3) or getaddrinfo(3), without its number.
pub fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    let words = match error.raw_os_error() {
        Some(number) => text.strip_suffix(&format!(" (os error {number})")),
        None => text.strip_prefix(LOOKUP),
    };
    words.unwrap_or(&text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_without_numbers() {
        for (number, expected) in
            [(libc::ECONNREFUSED, "Connection refused"), (libc::EIO, "Input/output error")]
        {
            assert_eq!(describe(&io::Error::from_raw_os_error(number)), expected);
        }
        assert_eq!(describe(&io::Error::other("As it is (os error 2)")), "As it is (os error 2)");
        let unknown = io::Error::other(format!("{LOOKUP}Name or service not known"));
        assert_eq!(describe(&unknown), "Name or service not known");
    }
}
