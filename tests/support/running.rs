//! A program that runs beside the test: it is talked to line by line, and ends with its guard.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// A running program, killed when this goes out of scope.
pub struct Running {
    child: Child,
    /// What it wrote to stdout or stderr, a line each.
    lines: Receiver<String>,
}

impl Running {
    /// Starts it.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let mut child = super::allow_inspection(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, lines) = channel();
        forward(child.stdout.take().expect("a pipe"), sender.clone());
        forward(child.stderr.take().expect("a pipe"), sender);
        Self { child, lines }
    }

    /// Its process ID. (`ip netns exec` becomes the program.)
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its stdin.
    pub fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("a pipe");
        // Whether it is still there to read is seen elsewhere.
        let _ = writeln!(stdin, "{line}");
    }

    /// The next line that it writes, if one comes in time.
    pub fn hear(&self, patience: Duration) -> Option<String> {
        self.lines.recv_timeout(patience).ok()
    }

    /// Waits for a line that contains `text`.
    #[track_caller]
    pub fn hear_text(&self, text: &str, patience: Duration) -> String {
        let until = Instant::now() + patience;
        let mut others = String::new();
        while let Some(line) = self.hear(until.saturating_duration_since(Instant::now())) {
            if line.contains(text) {
                return line;
            }
            others.push_str(&line);
            others.push('\n');
        }
        panic!("no line with {text:?} came within {patience:?}, but:\n{others}");
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward(from: impl Read + Send + 'static, to: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                return;
            }
        }
    });
}

/// Looks ten times a second until something is so; whether it came to be in time.
pub fn wait_until(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        if is_so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    is_so()
}
