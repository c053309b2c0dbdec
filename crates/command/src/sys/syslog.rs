//! The system's log, for a process that has no stderr of its own. As syslog(3), but nothing is waited
//! for: what the log does not take at once is lost.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::OnceLock;

/// Where syslogd(8) and systemd-journald(8) listen.
const PATH: &str = "/dev/log";
/// LOG_DAEMON and LOG_WARNING of syslog(3).
const PRIORITY: u8 = (3 << 3) | 4;

/// Open from the start on: later there may be no descriptor left.
static SOCKET: OnceLock<UnixDatagram> = OnceLock::new();

/// From here on this process and its children say in the log what they would say on stderr.
pub fn open() -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    let _ = SOCKET.set(socket);
    Ok(())
}

/// Says a message in the log, if that is what this process does. It begins with the program's name
/// and a colon; the time is the receiver's to add (RFC 3164, section 4.3.2).
pub fn send(message: &str) -> bool {
    let Some(socket) = SOCKET.get() else { return false };
    // There may be no log.
    let _ = socket.send_to(format!("<{PRIORITY}>{}", message.trim_end()).as_bytes(), PATH);
    true
}
