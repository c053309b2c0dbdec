//! What to try where nothing has the name that an operator gave: the name that is most like it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::name::for_each_name;
use super::scan;
use crate::text::printable;

/// A name that is at least this similar (Jaro and Winkler, from 0 to 1) is offered.
const SIMILAR: f64 = 0.8;

/// The name of a process or unit that is most like the one that was given, if one is.
#[derive(Debug, Serialize, Deserialize)]
pub struct Suggestion {
    nearest: Option<String>,
}

impl Suggestion {
    /// For the name of a unit.
    pub fn for_unit(name: &str) -> Self {
        Self::new(name, false)
    }

    /// For the name of a process, or of a unit whose ending is misspelt.
    pub fn for_name(name: &str) -> Self {
        Self::new(name, true)
    }

    fn new(given: &str, with_processes: bool) -> Self {
        let mut nearest: Option<(f64, String)> = None;
        let mut compare = |name: &str| {
            let similarity = similarity(name, given);
            if similarity >= SIMILAR && nearest.as_ref().is_none_or(|(best, _)| similarity > *best)
            {
                nearest = Some((similarity, name.into()));
            }
        };
        // What cannot be read is not suggested.
        let _ = scan(|proc, stat| {
            proc.place().unwrap_or_default().unit.iter().for_each(|unit| compare(unit));
            if with_processes {
                let mut names = Vec::new();
                for_each_name(proc, stat, |name| names.push(name.to_owned()))?;
                // The kernel cuts a name after 15 bytes.
                let is_cut = |name: &String| {
                    let is_longer =
                        |other: &String| other.len() > name.len() && other.starts_with(name);
                    name.len() == 15 && names.iter().any(is_longer)
                };
                names.iter().filter(|name| !is_cut(name)).for_each(|name| compare(name));
            }
            Ok(false)
        });
        Self { nearest: nearest.map(|(_, name)| name) }
    }
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.nearest {
            write!(f, "; the nearest is {}", printable(name))?;
        }
        f.write_str(" (`keepalive show` alone shows what there is)")
    }
}

/// How similar two names are, from 0 to 1.
fn similarity(name: &str, given: &str) -> f64 {
    let (name, given) = (name.to_lowercase(), given.to_lowercase());
    // Two letters are in many names.
    let is_part = given.len() > 2 && name.contains(&given);
    let similarity = strsim::jaro_winkler(&name, &given);
    if is_part { similarity.max(SIMILAR) } else { similarity }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_similar_and_another_name_is_not() {
        for (name, given) in [
            ("nginx", "ngnix"),
            ("postgres", "postgresql"),
            ("broker.py", "broker"),
            ("Kafka", "kafka"),
        ] {
            assert!(similarity(name, given) >= SIMILAR, "{name} {given}");
        }
        for (name, given) in
            [("nginx", "postgres"), ("systemd", "nginx"), ("bash", "sh"), ("", "x")]
        {
            assert!(similarity(name, given) < SIMILAR, "{name} {given}");
        }
    }
}
