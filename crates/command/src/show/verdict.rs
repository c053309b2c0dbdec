//! Sockets in one line: how many, and how they are.

use crate::judge::{Finding, Judged};
use crate::text::time;

/// How many there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub all: usize,
    pub on: usize,
    pub off: usize,
    /// On, but a path forgets them before the first probe.
    pub late: usize,
    /// Those whose peer may be gone.
    pub unanswered: usize,
    /// Those that only the peer has closed.
    pub half_closed: usize,
    /// The shortest and the longest time before the first probe, in seconds.
    pub idle: Option<(u32, u32)>,
}

impl Verdict {
    /// Counts these sockets.
    pub fn new<'a>(sockets: impl Iterator<Item = &'a Judged<'a>>) -> Self {
        let mut verdict = Self::default();
        for socket in sockets {
            verdict.all += 1;
            match socket.options {
                Some(options) if options.keepalive => {
                    verdict.on += 1;
                    let idle = options.values.idle.map(|idle| (idle, idle));
                    verdict.idle = wider(verdict.idle, idle);
                }
                Some(_) => verdict.off += 1,
                None => {}
            }
            let has = |predicate: fn(&Finding) -> bool| socket.findings.iter().any(predicate);
            verdict.late += usize::from(has(|it| {
                matches!(it, Finding::Late { .. } | Finding::OldTimer { .. })
            }));
            verdict.half_closed += usize::from(has(|it| matches!(it, Finding::HalfClosed)));
            verdict.unanswered += usize::from(has(|it| {
                matches!(it, Finding::Unanswered { .. } | Finding::Unacknowledged { .. })
            }));
        }
        verdict
    }

    /// The time before the first probe: `56s`, `56s to 2h`.
    pub fn first_probe(&self) -> Option<String> {
        let (least, most) = self.idle?;
        Some(if least == most {
            time::format_seconds(least)
        } else {
            format!("{} to {}", time::format_seconds(least), time::format_seconds(most))
        })
    }

    /// In one line, after what was counted.
    pub fn describe(&self, counted: &str) -> String {
        let Self { all, on, off, late, unanswered, half_closed, .. } = *self;
        let number = |number: usize| {
            if number == all && all > 1 { "all".into() } else { number.to_string() }
        };
        let mut parts = Vec::new();
        if on > 0 {
            let first = self.first_probe();
            let first = first.map_or(String::new(), |it| format!(", first probe after {it}"));
            let late = match late {
                0 => String::new(),
                late if late == on => ", too late".into(),
                late => format!(", too late on {late}"),
            };
            parts.push(format!("{} on{first}{late}", number(on)));
        }
        for (many, what) in [
            (off, "off"),
            (all - on - off, "unknown"),
            (unanswered, "not answering"),
            (half_closed, "closed by the peer"),
        ] {
            if many > 0 {
                parts.push(format!("{} {what}", number(many)));
            }
        }
        if parts.is_empty() { counted.into() } else { format!("{counted}: {}", parts.join("; ")) }
    }
}

impl std::iter::Sum for Verdict {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            all: sum.all + one.all,
            on: sum.on + one.on,
            off: sum.off + one.off,
            late: sum.late + one.late,
            unanswered: sum.unanswered + one.unanswered,
            half_closed: sum.half_closed + one.half_closed,
            idle: wider(sum.idle, one.idle),
        })
    }
}

/// The least and the most of both.
fn wider(one: Option<(u32, u32)>, other: Option<(u32, u32)>) -> Option<(u32, u32)> {
    match (one, other) {
        (Some((least, most)), Some((less, more))) => Some((least.min(less), most.max(more))),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_in_one_line() {
        let verdict = |all, on, off, idle| Verdict { all, on, off, idle, ..Verdict::default() };
        for (verdict, text) in [
            (verdict(60, 58, 2, Some((56, 56))), "60 x: 58 on, first probe after 56s; 2 off"),
            (verdict(60, 60, 0, Some((56, 7200))), "60 x: all on, first probe after 56s to 2h"),
            (verdict(3, 0, 3, None), "60 x: all off"),
            (verdict(1, 0, 1, None), "60 x: 1 off"),
            (verdict(3, 0, 1, None), "60 x: 1 off; 2 unknown"),
            (verdict(0, 0, 0, None), "60 x"),
            (
                Verdict { late: 3, ..verdict(3, 3, 0, Some((7200, 7200))) },
                "60 x: all on, first probe after 2h, too late",
            ),
            (
                Verdict {
                    late: 1,
                    unanswered: 2,
                    half_closed: 1,
                    ..verdict(4, 3, 1, Some((56, 7200)))
                },
                "60 x: 3 on, first probe after 56s to 2h, too late on 1; 1 off; 2 not answering; \
                 1 closed by the peer",
            ),
        ] {
            assert_eq!(verdict.describe("60 x"), text);
        }
    }
}
