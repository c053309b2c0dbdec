//! Exit statuses.

/// How the command ends. The others could be those of the program of `run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    Success = 0,
    Failure = 1,
    /// A mistake in the arguments.
    Mistake = 2,
    /// `show --check` found something.
    Findings = 3,
    /// `run` itself has failed, not the program: as env(1).
    RunFailed = 125,
    /// The program is there but cannot be started: as env(1).
    CannotStart = 126,
    /// The program is not there: as env(1).
    NotFound = 127,
}

impl Status {
    /// Success if everything was done.
    pub fn from_complete(is_complete: bool) -> Self {
        if is_complete { Self::Success } else { Self::Failure }
    }
}
