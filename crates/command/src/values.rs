//! Values of options, and numbers as people write them.

use std::ops::RangeInclusive;

pub use options::Values;

/// A whole number in this range, of decimal digits and nothing else.
pub fn number(text: &str, range: RangeInclusive<u32>) -> Result<u32, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_number && range.contains(number));
    number.ok_or_else(|| format!("not a whole number from {} to {}", range.start(), range.end()))
}
/// [`Values`] in messages of this command's processes: a list, in the order of the options. (A serde
/// feature of crates/options would bring std into the library, wherever both are built together.)
pub mod as_list {
    use serde::de::{DeserializeOwned, Error};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Values;

    /// Writes the list.
    pub fn serialize<T: Serialize + Copy, S: Serializer>(
        values: &Values<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|(_, value)| value))
    }

    /// Reads the list.
    pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Values<T>, D::Error> {
        let mut list = Vec::<T>::deserialize(deserializer)?.into_iter();
        Values::try_new(|_| list.next().ok_or_else(|| D::Error::custom("a value is missing")))
    }
}
