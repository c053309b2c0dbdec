//! What can be covered: systemd units, containers and other control groups.

use std::fmt;

use crate::find::Cgroup;
use crate::text::printable;

/// What is to be covered.
#[derive(Clone, Debug)]
pub struct CoverTarget {
    /// As it was written; None for the whole system.
    argument: Option<String>,
    cgroup: Option<Cgroup>,
}

/// How long a control group is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// As long as a service, or another unit with processes of its own, runs.
    Unit,
    /// As long as there is anything in the slice, which usually is always.
    Slice,
    /// As long as the container.
    Container,
    /// Until somebody removes it.
    Directory,
    /// Until the system ends.
    System,
}

impl CoverTarget {
    /// The target of this name, or path.
    pub fn parse(argument: &str) -> Result<Self, &'static str> {
        let cgroup = Cgroup::parse(argument).ok_or(
            "not a unit (kafka.service, system.slice), the id of a container (12 hexadecimal digits \
             or more) or the path of a cgroup; for processes by number or name there is `keepalive \
             attach --follow`",
        )?;
        Ok(Self { argument: Some(argument.into()), cgroup: Some(cgroup) })
    }

    /// The whole system.
    pub fn all() -> Self {
        Self { argument: None, cgroup: None }
    }

    /// The control group that it names; None for the whole system.
    pub fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref()
    }

    /// As it was written, if it is not the whole system.
    pub fn argument(&self) -> Option<&str> {
        self.argument.as_deref()
    }

    /// How long it is there.
    pub fn lifetime(&self) -> Lifetime {
        match &self.cgroup {
            None => Lifetime::System,
            Some(Cgroup::Unit(name)) if name == "-.slice" => Lifetime::System,
            Some(Cgroup::Unit(name)) if name.ends_with(".slice") => Lifetime::Slice,
            Some(Cgroup::Unit(_)) => Lifetime::Unit,
            Some(Cgroup::Container(_)) => Lifetime::Container,
            Some(Cgroup::Path(_)) => Lifetime::Directory,
        }
    }
}

impl fmt::Display for CoverTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.argument {
            Some(argument) => write!(f, "{}", printable(argument)),
            None => f.write_str("the whole system"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_no_target() {
        for argument in ["1234", "nginx", "", "4C01DB0B339C"] {
            let error = CoverTarget::parse(argument).expect_err(argument);
            assert!(error.contains("keepalive attach --follow"), "{error}");
        }
    }

    #[test]
    fn how_long_it_is_there() {
        for (argument, lifetime) in [
            ("a.service", Lifetime::Unit),
            ("session-3.scope", Lifetime::Unit),
            ("system.slice", Lifetime::Slice),
            ("-.slice", Lifetime::System),
            ("0123456789ab", Lifetime::Container),
            ("/sys/fs/cgroup/x", Lifetime::Directory),
        ] {
            assert_eq!(
                CoverTarget::parse(argument).map(|it| it.lifetime()),
                Ok(lifetime),
                "{argument}"
            );
        }
        assert_eq!(CoverTarget::all().lifetime(), Lifetime::System);
    }
}
