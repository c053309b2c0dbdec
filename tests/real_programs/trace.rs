//! What a program sets itself, read from strace(1)'s account.

use crate::case::{End, Watched};

/// The times of a socket's life at which its options are set, in their order.
const TIMES: [&str; 4] = ["new", "listener", "connected", "accepted"];

/// The options in question that the program set on its connection, on the listener of it, or on
/// sockets that were not connected yet: in their order, each call once.
///
/// A line, with `--decode-fds=all`, is
/// `12 setsockopt(5<TCP:[10.0.0.1:80->10.0.0.2:4321]>, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0`;
/// a socket that has no address yet is `TCP:[12345]`, one that is bound `TCP:[10.0.0.1:80]`.
pub fn calls(trace: &str, watched: Watched) -> String {
    let mut found: Vec<(&str, String)> = Vec::new();
    for line in trace.lines() {
        let Some((_, call)) = line.split_once(" setsockopt(") else { continue };
        let Some((descriptor, rest)) = call.split_once(">, ") else { continue };
        let Some(when) = when(descriptor, watched) else { continue };
        let arguments: Vec<_> = rest.split(", ").collect();
        let [_level, option, value, ..] = arguments[..] else { continue };
        if !is_in_question(option) {
            continue;
        }
        let call = format!("{option}={}", value.trim_matches(['[', ']']));
        if !found.contains(&(when, call.clone())) {
            found.push((when, call));
        }
    }
    found.sort_by_key(|(when, _)| TIMES.iter().position(|time| time == when));
    let groups = found.chunk_by(|one, other| one.0 == other.0).map(|group| {
        let calls: Vec<_> = group.iter().map(|(_, call)| call.as_str()).collect();
        format!("{}: {}", group[0].0, calls.join(", "))
    });
    let text = groups.collect::<Vec<_>>().join("; ");
    if text.is_empty() { "nothing".into() } else { text }
}

fn is_in_question(option: &str) -> bool {
    option == "SO_KEEPALIVE" || option == "TCP_USER_TIMEOUT" || option.starts_with("TCP_KEEP")
}

/// At which time of its life the socket was, if it is one in question.
fn when(descriptor: &str, watched: Watched) -> Option<&'static str> {
    let (_, address) = descriptor.split_once("<TCP")?;
    let address = address.split_once(":[")?.1.trim_end_matches(']');
    let port = format!(":{}", watched.port);
    match (address.split_once("->"), watched.end) {
        (Some((local, _)), End::Accepts) => local.ends_with(&port).then_some("accepted"),
        (Some((_, remote)), End::Connects) => remote.ends_with(&port).then_some("connected"),
        (None, End::Accepts) => {
            (!address.contains(':') || address.ends_with(&port)).then_some("listener")
        }
        (None, End::Connects) => (!address.contains(':')).then_some("new"),
    }
}
