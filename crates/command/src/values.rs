//! Values of options, and numbers as people write them.

use std::ops::RangeInclusive;

pub use options::Values;

/// A whole number in this range, of decimal digits and nothing else.
pub fn number(text: &str, range: RangeInclusive<u32>) -> Result<u32, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_number && range.contains(number));
    number.ok_or_else(|| format!("not a whole number from {} to {}", range.start(), range.end()))
}
