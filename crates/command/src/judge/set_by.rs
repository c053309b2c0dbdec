//! Who set the options of a socket, as far as that can be told.

use crate::process::Options;
use crate::settings::Settings;
use crate::values::Values;

/// Who set the options of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetBy {
    /// Nobody: they are the kernel's defaults.
    Kernel,
    /// The preload library, which is loaded in the process: they are those of its variables.
    Library,
    /// A cover of the process's cgroup: they are those of its settings.
    Cover,
    /// The program itself or `keepalive attach`: these two cannot be told apart.
    Program,
}

impl SetBy {
    /// From a socket's options, the kernel's defaults, the values that the library sets, and the
    /// covers of the process. Each option that is not the kernel's default must have the value of
    /// the library or of a cover.
    pub fn new(
        options: &Options,
        defaults: &Values<u32>,
        library: &Values<Option<u32>>,
        covers: &[Settings],
    ) -> Self {
        let mut set_by = Self::Kernel;
        for (option, (value, (default, library))) in
            options.values.zip(defaults.zip(*library)).iter()
        {
            // TCP_SYNCNT concerns the handshake only.
            if option.name == options::SYNCNT.name || value.is_none_or(|value| value == default) {
                continue;
            }
            let is_covers = |cover: &Settings| cover.values.get(option) == Some(value);
            if value == library {
                set_by = if set_by == Self::Kernel { Self::Library } else { set_by };
            } else if covers.iter().any(is_covers) {
                set_by = Self::Cover;
            } else {
                return Self::Program;
            }
        }
        set_by
    }

    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Library => "library",
            Self::Cover => "cover",
            Self::Program => "program",
        }
    }
}

#[cfg(test)]
mod tests {
    use ::options::Mode;

    use super::*;
    use crate::sys::kernel::Kernel;

    #[test]
    fn options_belong_to_whoever_gives_these_values() {
        let defaults = Kernel::default().assumed_defaults();
        let library = Values { idle: Some(180), count: Some(20), ..Values::default() };
        let cover =
            Values { idle: Some(56), interval: Some(10), count: Some(5), ..Values::default() };
        let cover = Settings { values: cover, mode: Mode::On };
        let set_by = |values: Values<u32>, covers: &[Settings]| {
            let values = values.map(|_, value| Some(value));
            SetBy::new(&Options { keepalive: true, values }, &defaults, &library, covers)
        };
        for (values, alone, covered) in [
            (defaults, SetBy::Kernel, SetBy::Kernel),
            (Values { syn_count: 66, ..defaults }, SetBy::Kernel, SetBy::Kernel),
            (Values { idle: 180, ..defaults }, SetBy::Library, SetBy::Library),
            (Values { idle: 180, count: 20, ..defaults }, SetBy::Library, SetBy::Library),
            (Values { idle: 180, count: 3, ..defaults }, SetBy::Program, SetBy::Program),
            (Values { idle: 60, ..defaults }, SetBy::Program, SetBy::Program),
            (Values { idle: 56, interval: 10, count: 5, ..defaults }, SetBy::Program, SetBy::Cover),
            // The library sets its values first, a cover the others.
            (
                Values { idle: 180, interval: 10, count: 20, ..defaults },
                SetBy::Program,
                SetBy::Cover,
            ),
            (Values { idle: 56, interval: 11, ..defaults }, SetBy::Program, SetBy::Program),
        ] {
            assert_eq!(set_by(values, &[]), alone, "{values:?}");
            assert_eq!(set_by(values, &[cover]), covered, "{values:?}");
        }
        // Multipath TCP has no such option.
        let lacking = Values { rto_max: None, ..defaults.map(|_, value| Some(value)) };
        let lacking = Options { keepalive: true, values: lacking };
        assert_eq!(SetBy::new(&lacking, &defaults, &library, &[]), SetBy::Kernel);
    }
}
