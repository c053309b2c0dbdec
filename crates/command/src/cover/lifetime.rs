//! How long a cover lasts, and how to make it permanent.

use super::Covered;
use crate::request::{CoverTarget, Lifetime};
use crate::text::printable;

/// How long each cover lasts, and how to make it permanent, with the settings as arguments.
pub fn describe_all(covered: &[Covered], settings: &str) -> String {
    let blank = if settings.is_empty() { "" } else { " " };
    let settings = format!("{blank}{settings}");
    covered.iter().map(|covered| describe(covered.target, &settings)).collect()
}

/// Of one target; `settings` begins with a blank, unless it is empty.
fn describe(target: &CoverTarget, settings: &str) -> String {
    let name = target.argument().unwrap_or("-.slice");
    match target.lifetime() {
        Lifetime::Unit if !name.ends_with(".service") && !name.ends_with(".socket") => {
            format!("{target}: until it ends. Permanently: cover its slice\n")
        }
        Lifetime::Unit => format!(
            "{target}: until it stops or restarts. Permanently, by a drop-in (systemctl edit \
             {name}):\n  [{section}]\n  ExecStartPre=+-/usr/bin/keepalive cover{settings} %n\n",
            name = printable(name),
            section = if name.ends_with(".socket") { "Socket" } else { "Service" },
        ),
        Lifetime::Slice | Lifetime::System => format!(
            "{target}: until {end}. Permanently: systemctl enable keepalive-cover@{name}.service{with}\n",
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
            "{target}: until it stops. Permanently: cover the slice of all containers, or run \
             `keepalive cover{settings} {target}` after each start\n"
        ),
        Lifetime::Directory => format!(
            "{target}: until that cgroup is removed. Permanently: run `keepalive cover{settings} \
             {target}` whenever it is created\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_can_be_copied() {
        let describe = |target: &str, settings: &str| {
            super::describe(&CoverTarget::parse(target).expect(target), settings)
        };
        assert_eq!(
            describe("kafka.service", " --dead-after 2m"),
            "kafka.service: until it stops or restarts. Permanently, by a drop-in (systemctl \
             edit kafka.service):\n  [Service]\n  ExecStartPre=+-/usr/bin/keepalive cover \
             --dead-after 2m %n\n"
        );
        assert!(
            describe("kafka.socket", "")
                .contains("edit kafka.socket):\n  [Socket]\n  ExecStartPre=")
        );
        // These start nothing, so there is no ExecStartPre=.
        let scope = describe("session-3.scope", "");
        assert_eq!(scope, "session-3.scope: until it ends. Permanently: cover its slice\n");
        let slice = describe("system.slice", "");
        assert!(slice.ends_with("enable keepalive-cover@system.slice.service\n"), "{slice}");
        let slice = describe("system.slice", " --idle 60s --force");
        assert!(slice.ends_with("\n  Environment=\"OPTIONS=--idle 60s --force\"\n"), "{slice}");
        assert!(
            super::describe(&CoverTarget::all(), "").contains("keepalive-cover@-.slice.service")
        );
        let container = describe("0123456789ab", "");
        assert!(container.contains("`keepalive cover 0123456789ab` after"), "{container}");
    }
}
