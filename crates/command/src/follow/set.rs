//! What a child of the follower does: it sets what is new, and says what came of it.

use std::collections::HashSet;

use options::Mode;

use super::known::{Knowledge, knowledge};
use crate::apply::{Applier, Outcome, Seen};
use crate::find::Selection;
use crate::process::{self, Process};
use crate::settings::RequestedSettings;
use crate::text::report_error;
use crate::worker::Sender;

/// What a child says.
pub mod word {
    /// The number of the process that comes next.
    pub const PROCESS: u8 = 0;
    /// The process may not be looked into.
    pub const REFUSED: u8 = 1;
    /// The inode of a socket that has been seen, with these bits.
    pub const SOCKET: u8 = 2;
    pub const SETTLED: u8 = 4;
    pub const CHANGED: u8 = 8;
    /// Its user timeout waits.
    pub const WAITS: u8 = 16;
}

/// Sets what is new. The refusal of those that are long refused is told.
pub fn set(
    work: &[(Process, Vec<(i32, u64)>)],
    long_refused: &HashSet<i32>,
    settings: &RequestedSettings,
    selection: &Selection,
    is_debug: bool,
    sender: &Sender,
) {
    let mut applier = Applier::new(settings, selection, false);
    for (process, sockets) in work {
        sender.send((process.pid as u64, word::PROCESS));
        let each = |seen: Seen, outcome: &Outcome| {
            if let (true, Some(said)) = (is_debug, outcome.describe()) {
                report_error(format!("{process}: fd {}: {said}", seen.fd));
            }
            if let Outcome::Failed(what) = outcome {
                report_error(format!("{process}: fd {}: {what}", seen.fd));
            }
            let mut kind = word::SOCKET;
            if knowledge(outcome, seen.state, settings.mode == Mode::Force) == Knowledge::Settled {
                kind |= word::SETTLED;
            }
            if let Outcome::Changed(change) = outcome {
                kind |= word::CHANGED;
                kind |= if change.silent.is_some() { word::WAITS } else { 0 };
            }
            sender.send((seen.inode, kind));
        };
        match process.with(|target| applier.process(target, sockets, &each)) {
            Ok(_) => {}
            Err(process::Error::Ended) => {}
            Err(error) => {
                if long_refused.contains(&process.pid) {
                    report_error(format!("{process}: {error}"));
                }
                sender.send((0, word::REFUSED));
            }
        }
    }
}
