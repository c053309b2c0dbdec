//! Times as people write and read them.

use std::time::Duration;

/// `90` (seconds), `90s`, `5m`, `1h 30m`, `500ms`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = if is_number { &format!("{text}s") } else { text };
    if text.contains('M') {
        return Err(format!("M is months, minutes are written {}", text.replace('M', "m")));
    }
    humantime::parse_duration(text)
        .map_err(|error| format!("{error} (a time is written 90, 90s, 5m or 1h)"))
}

/// `2h`, `75s`, `1m 30s`: as [`parse`] reads it. Up to 99 s it is in seconds, as in ss(8) and in
/// configuration files; milliseconds are shown below ten seconds only.
pub fn show(time: Duration) -> String {
    let milliseconds = time.subsec_millis();
    let seconds = time.as_secs();
    match seconds {
        0 if milliseconds > 0 => format!("{milliseconds}ms"),
        0..10 if milliseconds >= 100 => format!("{seconds}.{}s", milliseconds / 100),
        0..100 => format!("{seconds}s"),
        _ => humantime::format_duration(Duration::from_secs(seconds)).to_string(),
    }
}

/// Seconds, as [`show`].
pub fn show_seconds(seconds: u32) -> String {
    show(Duration::from_secs(seconds.into()))
}

/// Milliseconds, as [`show`].
pub fn show_milliseconds(milliseconds: impl Into<u64>) -> String {
    show(Duration::from_millis(milliseconds.into()))
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
        for text in ["", "-5", "5x", "m", "5 5", "99999999999999999999"] {
            let error = parse(text).expect_err(text);
            assert!(error.contains("90s"), "{text}: {error}");
        }
        assert_eq!(parse("2M"), Err("M is months, minutes are written 2m".into()));
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
            assert_eq!(show(Duration::from_millis(milliseconds)), text);
        }
    }
}
