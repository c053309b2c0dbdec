//! How long a cover lasts, and how to have it for good, in words.

use super::Covered;
use crate::request::{CoverTarget, Lifetime};
use crate::text::printable;

/// How long each cover lasts, and the lines that keep it, with the settings as arguments.
pub fn how_long(covered: &[Covered], settings: &str) -> String {
    let blank = if settings.is_empty() { "" } else { " " };
    let settings = format!("{blank}{settings}");
    covered.iter().map(|covered| about(covered.target, &settings)).collect()
}

/// About one target; `settings` begins with a blank, unless it is empty.
fn about(target: &CoverTarget, settings: &str) -> String {
    let name = target.argument().unwrap_or("-.slice");
    match target.lifetime() {
        Lifetime::Unit if !name.ends_with(".service") && !name.ends_with(".socket") => {
            format!("{target}: until it ends. For good: cover the slice that it is in\n")
        }
        Lifetime::Unit => format!(
            "{target}: until it is stopped or restarted. For good, in a drop-in (systemctl edit \
             {name}):\n  [{section}]\n  ExecStartPre=+-/usr/bin/keepalive cover{settings} %n\n",
            name = printable(name),
            section = if name.ends_with(".socket") { "Socket" } else { "Service" },
        ),
        Lifetime::Slice | Lifetime::System => format!(
            "{target}: until {end}. For good: systemctl enable keepalive-cover@{name}.service{with}\n",
            end = if target.lifetime() == Lifetime::System {
                "the next boot"
            } else {
                "the slice ends, the next boot at the latest"
            },
            name = printable(name),
            with = if settings.is_empty() {
                String::new()
            } else {
                format!(
                    ", after systemctl edit keepalive-cover@{}.service:\n  [Service]\n  \
                     Environment=\"OPTIONS={}\"",
                    printable(name),
                    settings.trim_start()
                )
            },
        ),
        Lifetime::Container => format!(
            "{target}: until it is stopped. For good: cover the slice of all containers, or have \
             `keepalive cover{settings} {target}` run after each start\n"
        ),
        Lifetime::Directory => format!(
            "{target}: until that cgroup is removed. For good: have `keepalive cover{settings} \
             {target}` run whenever it is made\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_can_be_copied() {
        let about = |target: &str, settings: &str| {
            about(&CoverTarget::parse(target).expect(target), settings)
        };
        assert_eq!(
            about("kafka.service", " --dead-after 2m"),
            "kafka.service: until it is stopped or restarted. For good, in a drop-in (systemctl \
             edit kafka.service):\n  [Service]\n  ExecStartPre=+-/usr/bin/keepalive cover \
             --dead-after 2m %n\n"
        );
        assert!(
            about("kafka.socket", "").contains("edit kafka.socket):\n  [Socket]\n  ExecStartPre=")
        );
        // These start nothing, so there is no ExecStartPre=.
        let scope = about("session-3.scope", "");
        assert_eq!(
            scope,
            "session-3.scope: until it ends. For good: cover the slice that it is in\n"
        );
        let slice = about("system.slice", "");
        assert!(slice.ends_with("enable keepalive-cover@system.slice.service\n"), "{slice}");
        let slice = about("system.slice", " --idle 60s --force");
        assert!(slice.ends_with("\n  Environment=\"OPTIONS=--idle 60s --force\"\n"), "{slice}");
        assert!(super::about(&CoverTarget::all(), "").contains("keepalive-cover@-.slice.service"));
        let container = about("0123456789ab", "");
        assert!(container.contains("`keepalive cover 0123456789ab` run"), "{container}");
    }
}
