//! Who chose the values of a socket, as far as it can be told.

use options::{Mode, given};

use super::socket::Options;
use crate::values::Values;

/// Who chose the values of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetBy {
    /// Nobody: they are the kernel's own.
    Kernel,
    /// The preload library, which is loaded in the process: they are those of its variables.
    Library,
    /// The program itself, or somebody from outside of it (`attach`): that cannot be told.
    Program,
}

impl SetBy {
    /// From the values of a socket, the kernel's own, and those that the library sets.
    pub fn of(options: &Options, kernel: &Values<u32>, library: &Values<Option<u32>>) -> Self {
        let mut set_by = Self::Kernel;
        let all = options.values.zip(kernel.zip(*library));
        for (option, (has, (kernels, librarys))) in all.iter() {
            // That one is for the handshake only.
            if option.name == options::SYNCNT.name || has.is_none_or(|value| value == kernels) {
                continue;
            }
            if has != librarys {
                return Self::Program;
            }
            set_by = Self::Library;
        }
        set_by
    }

    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Library => "library",
            Self::Program => "program",
        }
    }
}

/// The values that the library sets in a process that was started with these entries of the
/// environment. Those that cannot be used it does not set.
pub fn values_of_library(environment: &[u8]) -> Values<Option<u32>> {
    let get = |name: &[u8]| {
        let mut entries = environment.split(|byte| *byte == 0);
        let value = entries.find_map(|entry| entry.strip_prefix(name)?.strip_prefix(b"="));
        value.and_then(given)
    };
    let is_off = get(b"KEEPALIVE").and_then(Mode::parse) == Some(Mode::Off);
    Values::<Option<u32>>::default().map(|option, _| {
        let mut names = option.short_name.into_iter().chain([option.name]);
        let text = names.find_map(|name| get(name.to_bytes()));
        text.and_then(|text| option.parse(text)).filter(|_| !is_off)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Kernel;

    #[test]
    fn values_belong_to_whoever_they_can_be_told_to_belong_to() {
        let kernel = Kernel::default().defaults;
        let library =
            values_of_library(b"A=1\0KEEPIDLE=180\0TCP_KEEPIDLE=9\0KEEPCNT=\0TCP_KEEPCNT= 20 \0");
        assert_eq!((library.idle, library.count, library.interval), (Some(180), Some(20), None));
        let set_by = |values: Values<u32>| {
            let values = values.map(|_, value| Some(value));
            SetBy::of(&Options { keepalive: true, values }, &kernel, &library)
        };
        assert_eq!(set_by(kernel), SetBy::Kernel);
        assert_eq!(set_by(Values { syn_count: 66, ..kernel }), SetBy::Kernel);
        assert_eq!(set_by(Values { idle: 180, ..kernel }), SetBy::Library);
        assert_eq!(set_by(Values { idle: 180, count: 20, ..kernel }), SetBy::Library);
        assert_eq!(set_by(Values { idle: 180, count: 3, ..kernel }), SetBy::Program);
        assert_eq!(set_by(Values { idle: 60, ..kernel }), SetBy::Program);
        assert_eq!(values_of_library(b"KEEPALIVE=off\0KEEPIDLE=180"), Values::default());
        assert_eq!(values_of_library(b"KEEPIDLE=5s\0XKEEPIDLE=1"), Values::default());
        // Multipath TCP has no such options.
        let lacking = Values { rto_max: None, ..kernel.map(|_, value| Some(value)) };
        let options = Options { keepalive: true, values: lacking };
        assert_eq!(SetBy::of(&options, &kernel, &library), SetBy::Kernel);
    }
}
