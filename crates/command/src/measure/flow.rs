//! One connection of the measurement, as the search knows it. Times are in seconds.

/// The pauses of a server that sends its part of the handshake again are fewer
/// (net.ipv4.tcp_synack_retries is 5), and each is longer than the one before.
const MANY: usize = 8;

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not tried yet.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Asked all the time: while it is answered, the server and the path to it work.
    Control,
    /// Left idle, and asked once its time has come.
    Idle,
    /// Opened to see whether the server can be reached at all.
    Trial,
}

/// One ask without an answer yet.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub at: f64,
    /// Whether the control connection was answered at about that time.
    pub counts: bool,
}

/// A connection.
#[derive(Clone, Debug)]
pub struct Flow {
    pub role: Role,
    pub state: State,
    /// Since when it is in this state, while it is being opened; later, when it was established.
    pub since: f64,
    /// When the last packet came.
    pub idle_since: f64,
    /// When the last data came, or since when it is established.
    pub data_since: f64,
    /// After which idle time it is to be asked.
    pub target: Option<f64>,
    /// The asks of the question that is under way.
    pub asks: Vec<Ask>,
    /// Whether it has ever been asked.
    pub was_asked: bool,
    /// Whether its beginning has been looked at.
    pub is_settled: bool,
    /// How often something without data came unasked in its beginning.
    pub disturbed: usize,
    /// How many connections were opened in its place before it.
    pub generation: u8,
    /// When packets came that nobody had asked for.
    heard: Vec<f64>,
}

impl Flow {
    /// One that is to be opened.
    pub fn new(role: Role, target: Option<f64>, generation: u8) -> Self {
        Self {
            role,
            state: State::Planned,
            since: 0.0,
            idle_since: 0.0,
            data_since: 0.0,
            target,
            asks: Vec::new(),
            was_asked: false,
            is_settled: false,
            disturbed: 0,
            generation,
            heard: Vec::new(),
        }
    }

    /// Whether it is idle and can be asked.
    pub fn is_idle(&self) -> bool {
        self.role == Role::Idle && self.state == State::Open && self.is_settled && !self.is_asking()
    }

    /// Whether a question is under way.
    pub fn is_asking(&self) -> bool {
        self.role == Role::Idle && !self.asks.is_empty()
    }

    /// Whether its beginning has not been looked at yet.
    pub fn is_young(&self) -> bool {
        self.role == Role::Idle
            && match self.state {
                State::Planned | State::Opening => true,
                State::Open => !self.is_settled,
                State::Forgotten | State::Ended => false,
            }
    }

    /// Whether it is to be asked later.
    pub fn is_planned(&self) -> bool {
        self.target.is_some() && (self.is_idle() || self.is_young())
    }

    /// How long it has been idle.
    pub fn idle(&self, now: f64) -> f64 {
        now - self.idle_since
    }

    /// It was asked and answered.
    pub fn answered(&mut self, now: f64) {
        self.asks.clear();
        (self.target, self.was_asked, self.idle_since) = (None, true, now);
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
        (gaps >= MANY).then(|| (now - self.heard[0]) / gaps as f64)
    }
}
