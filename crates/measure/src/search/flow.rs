//! One connection, as the search knows it. Times are in seconds.

use crate::timing::MANY_UNASKED;

/// Where a connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Not tried yet.
    #[default]
    Planned,
    /// connect(2) is under way.
    Opening,
    /// Established at this end.
    Open,
    /// The path has forgotten it: the server may still have it.
    Forgotten,
    /// The other end, or the path, has ended it; or we have.
    Ended,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Probed all the time: while it is answered, the server and the path to it work.
    Control,
    /// Left idle, and probed once its time has come.
    #[default]
    Idle,
    /// Opened to see whether the server can be reached at all.
    Trial,
}

/// One probe without an answer yet.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    pub at: f64,
    /// Whether the control connection was answered at about that time.
    pub counts: bool,
}

/// A connection.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    pub role: Role,
    pub state: State,
    /// Since when it is in this state, while it is being opened; later, when it was established.
    pub since: f64,
    /// When the last packet came.
    pub idle_since: f64,
    /// When the last data came, or since when it is established.
    pub data_since: f64,
    /// After which idle time it is to be probed.
    pub target: Option<f64>,
    /// The probes since the last answer.
    pub probes: Vec<Probe>,
    /// Whether it was ever probed.
    pub was_probed: bool,
    /// Whether its handshake has been looked at.
    pub is_settled: bool,
    /// How often something without data came unasked after its handshake.
    pub disturbed: usize,
    /// How many connections were opened in its place before it.
    pub generation: u8,
    /// When packets came that nobody had asked for.
    pub heard: Vec<f64>,
}

impl Flow {
    /// One that is to be opened.
    pub fn new(role: Role) -> Self {
        Self { role, ..Self::default() }
    }

    /// Whether it is idle and can be probed.
    pub fn is_idle(&self) -> bool {
        self.role == Role::Idle && self.state == State::Open && self.is_settled && !self.is_probed()
    }

    /// Whether it is being probed.
    pub fn is_probed(&self) -> bool {
        self.role == Role::Idle && !self.probes.is_empty()
    }

    /// Whether its handshake has not been looked at yet.
    pub fn is_young(&self) -> bool {
        self.role == Role::Idle
            && match self.state {
                State::Planned | State::Opening => true,
                State::Open => !self.is_settled,
                State::Forgotten | State::Ended => false,
            }
    }

    /// Whether it is to be probed later.
    pub fn is_planned(&self) -> bool {
        self.target.is_some() && (self.is_idle() || self.is_young())
    }

    /// How long it has been idle.
    pub fn idle(&self, now: f64) -> f64 {
        now - self.idle_since
    }

    /// It was probed and answered.
    pub fn answered(&mut self, now: f64) {
        self.probes.clear();
        (self.target, self.was_probed, self.idle_since) = (None, true, now);
        self.heard.clear();
    }

    /// Something came unasked. The time between such packets, where it is the same again, or they
    /// do not end: the server sends keepalives or data of its own.
    pub fn heard(&mut self, now: f64) -> Option<f64> {
        self.idle_since = now;
        self.heard.push(now);
        if let [.., first, second, third] = self.heard[..] {
            let (before, gap) = (second - first, third - second);
            if (gap - before).abs() < (gap * 0.1).max(0.3) {
                return Some(gap);
            }
        }
        let gaps = self.heard.len() - 1;
        (gaps >= MANY_UNASKED).then(|| (now - self.heard[0]) / gaps as f64)
    }
}
