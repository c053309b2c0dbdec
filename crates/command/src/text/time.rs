//! Times as people write and read them.

use std::ops::RangeInclusive;
use std::time::Duration;

use humantime::DurationError;

/// `90` (seconds), `90s`, `5m`, `1h 30m`, `500ms`. One that is too long for a [`Duration`] is the
/// longest that there is.
pub fn parse(text: &str) -> Result<Duration, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = if is_number { &format!("{text}s") } else { text };
    if text.contains('M') {
        return Err(format!("M is months, minutes are written {}", text.replace('M', "m")));
    }
    match humantime::parse_duration(text) {
        Err(DurationError::NumberOverflow) => Ok(Duration::MAX),
        time => time.map_err(|_| "not a time, which is written 90, 90s, 5m or 1h30m".into()),
    }
}

/// A time in this range, as [`parse`] reads it.
pub fn parse_in_range(text: &str, range: RangeInclusive<Duration>) -> Result<Duration, String> {
    let time = parse(text)?;
    if range.contains(&time) {
        return Ok(time);
    }
    Err(format!("not a time from {} to {}", exact(*range.start()), exact(*range.end())))
}

/// In one word, without loss down to milliseconds: `90s`, `2m`, `32767s`, `24h`, `1500ms`.
pub fn exact(time: Duration) -> String {
    let seconds = time.as_secs();
    match time.subsec_nanos() {
        0 if seconds >= 3600 && seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        0 if seconds >= 100 && seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        0 => format!("{seconds}s"),
        _ => format!("{}ms", time.as_millis()),
    }
}

/// `2h`, `75s`, `1m 30s`: as [`parse`] reads it. Up to 99 s it is in seconds, as in ss(8) and in
/// configuration files; milliseconds are shown below ten seconds only.
pub fn format(time: Duration) -> String {
    let milliseconds = time.subsec_millis();
    let seconds = time.as_secs();
    match seconds {
        0 if milliseconds > 0 => format!("{milliseconds}ms"),
        0..10 if milliseconds >= 100 => format!("{seconds}.{}s", milliseconds / 100),
        0..100 => format!("{seconds}s"),
        _ => humantime::format_duration(Duration::from_secs(seconds)).to_string(),
    }
}

/// Seconds, as [`format`]. The kernel's numbers are signed, and a sysctl may be -1.
pub fn format_seconds(seconds: u32) -> String {
    match seconds.cast_signed() {
        negative @ ..0 => format!("{negative}s"),
        _ => format(Duration::from_secs(seconds.into())),
    }
}

/// Milliseconds, as [`format`].
pub fn format_milliseconds(milliseconds: impl Into<u64>) -> String {
    format(Duration::from_millis(milliseconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_seconds_and_units_are_taken() {
        for (text, seconds) in
            [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600), ("1h 30m", 5400), ("2min", 120)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for text in ["", "-5", "5x", "m", "5 5", "1h30"] {
            let error = parse(text).expect_err(text);
            assert!(error.contains("90s"), "{text}: {error}");
        }
        let range = Duration::from_secs(5)..=Duration::from_secs(24 * 3600);
        for text in ["0", "4999ms", "86400001ms", "99999999999999999999", "99999999999999999h"] {
            let error = Err("not a time from 5s to 24h".into());
            assert_eq!(parse_in_range(text, range.clone()), error, "{text}");
        }
        assert_eq!(parse_in_range("24h", range), Ok(Duration::from_secs(86_400)));
        assert_eq!(parse("2M"), Err("M is months, minutes are written 2m".into()));
    }

    #[test]
    fn an_exact_time_is_one_word_that_means_the_same() {
        for (milliseconds, text) in [
            (0, "0s"),
            (1_500, "1500ms"),
            (60_000, "60s"),
            (120_000, "2m"),
            (150_000, "150s"),
            (32_767_000, "32767s"),
            (72_000_000, "20h"),
            (2_147_483_647, "2147483647ms"),
        ] {
            let time = Duration::from_millis(milliseconds);
            assert_eq!((exact(time), parse(text)), (text.into(), Ok(time)));
        }
    }

    #[test]
    fn times_are_shown_as_short_as_they_are_exact() {
        for (milliseconds, text) in [
            (0, "0s"),
            (450, "450ms"),
            (1_500, "1.5s"),
            (2_000, "2s"),
            (59_900, "59s"),
            (75_000, "75s"),
            (120_000, "2m"),
            (7_200_000, "2h"),
            (7_199_999, "1h 59m 59s"),
        ] {
            assert_eq!(format(Duration::from_millis(milliseconds)), text);
        }
    }
}
