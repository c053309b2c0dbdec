use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{FromRawFd, IntoRawFd};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::*;

/// A socket of an answer: struct inet_diag_msg, but for what is not looked at.
#[derive(Clone, Debug)]
struct Sent {
    is_ipv6: bool,
    state: u8,
    timer: u8,
    retransmissions: u8,
    ports: [u16; 2],
    addresses: [[u8; 16]; 2],
    expires: u32,
    inode: u32,
    /// Attributes, which the kernel may add: what is in each.
    attributes: Vec<Vec<u8>>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let attributes = vec(vec(any::<u8>(), 0..12), 0..3);
    let address = prop_oneof![
        any::<[u8; 16]>(),
        any::<[u8; 4]>().prop_map(|address| Ipv4Addr::from(address).to_ipv6_mapped().octets()),
    ];
    (any::<bool>(), 0..13_u8, 0..6_u8, any::<u8>(), any::<[u16; 2]>(), [address.clone(), address])
        .prop_flat_map(move |(is_ipv6, state, timer, retransmissions, ports, addresses)| {
            (any::<u32>(), any::<u32>(), attributes.clone()).prop_map(
                move |(expires, inode, attributes)| Sent {
                    is_ipv6,
                    state,
                    timer,
                    retransmissions,
                    ports,
                    addresses,
                    expires,
                    inode,
                    attributes,
                },
            )
        })
}

const SEQUENCE: u32 = 7;

/// A message, padded as netlink(7) pads.
fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((16 + payload.len() as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    // NLM_F_MULTI.
    bytes.extend(2_u16.to_ne_bytes());
    bytes.extend(SEQUENCE.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// As include/uapi/linux/inet_diag.h lays it out.
fn encoded(sent: &Sent) -> Vec<u8> {
    let family = if sent.is_ipv6 { libc::AF_INET6 } else { libc::AF_INET } as u8;
    let mut bytes = vec![family, sent.state, sent.timer, sent.retransmissions];
    for port in sent.ports {
        bytes.extend(port.to_be_bytes());
    }
    bytes.extend(sent.addresses.as_flattened());
    // Interface, cookie.
    bytes.extend([0; 4 + 8]);
    bytes.extend(sent.expires.to_ne_bytes());
    // Queues, user.
    bytes.extend([0; 3 * 4]);
    bytes.extend(sent.inode.to_ne_bytes());
    for attribute in &sent.attributes {
        bytes.extend((4 + attribute.len() as u16).to_ne_bytes());
        // INET_DIAG_PAD, which nobody interprets.
        bytes.extend(16_u16.to_ne_bytes());
        bytes.extend(attribute);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    // SOCK_DIAG_BY_FAMILY.
    message(20, &bytes)
}

fn collect(answer: &[u8]) -> (io::Result<bool>, Vec<(u32, Entry)>) {
    let mut entries = Vec::new();
    let mut read = Answer { sequence: SEQUENCE, is_over: false, is_interrupted: false };
    let result = read.read(answer, |header| entries.push((header.inode, entry(header))));
    (result.map(|()| read.is_over), entries)
}

fn address(sent: &Sent, which: usize) -> SocketAddr {
    let bytes = sent.addresses[which];
    let ip = if sent.is_ipv6 {
        Ipv6Addr::from(bytes).to_canonical()
    } else {
        Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into()
    };
    SocketAddr::new(ip, sent.ports[which])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_socket_of_an_answer_is_read_as_the_kernel_writes_it(
        all in vec(sent(), 0..20),
        is_last: bool,
    ) {
        let mut answer: Vec<u8> = all.iter().flat_map(encoded).collect();
        if is_last {
            // NLMSG_DONE.
            answer.extend(message(3, &[0; 4]));
        }
        let (result, entries) = collect(&answer);
        prop_assert_eq!(result.expect("an answer"), is_last);
        prop_assert_eq!(entries.len(), all.len());
        for (sent, (inode, entry)) in all.iter().zip(entries) {
            prop_assert_eq!(inode, sent.inode);
            prop_assert_eq!(entry.state, State(sent.state));
            prop_assert_eq!(entry.local, address(sent, 0));
            prop_assert_eq!(entry.remote, (sent.ports[1] != 0).then(|| address(sent, 1)));
            let kind = match sent.timer {
                1 => Some(TimerKind::Retransmission),
                2 => Some(TimerKind::Keepalive),
                4 => Some(TimerKind::ZeroWindowProbe),
                _ => None,
            };
            prop_assert_eq!(entry.timer.map(|timer| timer.kind), kind);
            if let Some(timer) = entry.timer {
                prop_assert_eq!(timer.expires_in.as_millis(), sent.expires.into());
                let retransmissions = if sent.timer == 1 { sent.retransmissions } else { 0 };
                prop_assert_eq!(timer.retransmissions, retransmissions);
            }
        }
    }

    /// Whatever comes, it is read to an end, and no more sockets than it has room for.
    #[test]
    fn no_answer_is_too_strange(
        all in vec(sent(), 0..4),
        kind in 0..32_u16,
        payload in vec(any::<u8>(), 0..120),
        changes in vec((any::<Index>(), any::<u8>()), 0..9),
        cut in prop::option::of(any::<Index>()),
    ) {
        let mut answer: Vec<u8> = all.iter().flat_map(encoded).collect();
        let end = answer.len() + 16 + payload.len();
        answer.extend(message(kind, &payload));
        // Nothing needs to follow the last.
        answer.truncate(end);
        for (place, byte) in changes {
            let place = place.index(answer.len());
            answer[place] = byte;
        }
        if let Some(cut) = cut {
            answer.truncate(cut.index(answer.len()));
        }
        let (_, entries) = collect(&answer);
        prop_assert!(entries.len() <= answer.len() / 72);
    }
}

/// A question that the namespace asks.
struct Question {
    family: i32,
    sequence: u32,
    /// How many were asked before.
    number: u32,
}

/// A part of an answer. Sockets are given by their inodes.
enum Part {
    Socket(u32),
    /// The kernel says that the dump is not consistent.
    Interrupted(u32),
    /// The whole answer.
    Only(u32),
    /// With an errno.
    Done(i32),
}

impl Part {
    fn encode(&self, sequence: u32) -> Vec<u8> {
        let mut bytes = match self {
            Self::Socket(inode) | Self::Interrupted(inode) | Self::Only(inode) => encoded(&Sent {
                is_ipv6: false,
                state: 1,
                timer: 2,
                retransmissions: 0,
                ports: [80, 5000],
                addresses: [[127; 16]; 2],
                expires: 1000,
                inode: *inode,
                attributes: Vec::new(),
            }),
            // NLMSG_DONE.
            Self::Done(errno) => message(3, &errno.to_ne_bytes()),
        };
        let flags: u16 = match self {
            // NLM_F_MULTI and NLM_F_DUMP_INTR.
            Self::Interrupted(_) => 2 | 16,
            Self::Only(_) => 0,
            _ => 2,
        };
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        bytes
    }
}

/// Asks a kernel that gives these answers, each with its sequence number and in a datagram of its
/// own. Also how many questions were asked.
fn ask<T>(
    answers: impl Fn(&Question) -> Vec<(u32, Part)> + Send,
    ask: impl FnOnce(&SockDiag) -> T,
) -> (T, u32) {
    let flags = SocketFlags::CLOEXEC;
    let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
    let (kernel, netlink) = pair.expect("two sockets");
    let mut kernel = File::from(kernel);
    // SAFETY: nobody else has the descriptor.
    let netlink = unsafe { Netlink::from_raw_fd(netlink.into_raw_fd()) };
    let sock_diag = SockDiag { netlink, sequence: Cell::new(6) };
    let asked = AtomicU32::new(0);
    let asked_so_far = &asked;
    let outcome = std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut bytes = [0; 512];
            // Until the other end is closed.
            while kernel.read(&mut bytes).is_ok_and(|length| length > 16) {
                let sequence = u32::from_ne_bytes(bytes[8..12].try_into().expect("four bytes"));
                let number = asked_so_far.fetch_add(1, Relaxed);
                let question = Question { family: bytes[16].into(), sequence, number };
                for (sequence, part) in answers(&question) {
                    let _ = kernel.write(&part.encode(sequence));
                }
            }
        });
        let outcome = ask(&sock_diag);
        drop(sock_diag);
        outcome
    });
    (outcome, asked.into_inner())
}

fn inodes(sock_diag: &SockDiag) -> Result<Vec<u64>, String> {
    let sockets = sock_diag.sockets().map_err(|error| error.to_string())?;
    let mut inodes: Vec<_> = sockets.into_keys().collect();
    inodes.sort_unstable();
    Ok(inodes)
}

/// The answer to this question, after the end of that to an earlier one.
fn late(question: &Question, answer: Vec<Part>) -> Vec<(u32, Part)> {
    let earlier = [Part::Socket(99), Part::Only(99), Part::Done(0)];
    let earlier = earlier.into_iter().map(|part| (question.sequence.wrapping_sub(1), part));
    earlier.chain(answer.into_iter().map(|part| (question.sequence, part))).collect()
}

#[test]
fn the_answer_to_an_earlier_question_is_left_out() {
    let dump = |question: &Question| {
        let inode = question.family as u32;
        late(question, vec![Part::Socket(inode), Part::Done(0)])
    };
    let (found, _) = ask(dump, inodes);
    assert_eq!(found, Ok(vec![libc::AF_INET as u64, libc::AF_INET6 as u64]));
}

#[test]
fn a_timer_is_not_taken_from_the_answer_to_an_earlier_question() {
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let (timer, _) = ask(
        |question| late(question, vec![Part::Only(2)]),
        |sock_diag| sock_diag.timer(2, address(80), address(5000)),
    );
    assert!(timer.is_some_and(|timer| timer.kind == TimerKind::Keepalive), "{timer:?}");
}

#[test]
fn an_interrupted_dump_is_repeated() {
    let (found, asked) = ask(
        |question| {
            let part = match question.number {
                0 => Part::Interrupted(1),
                number => Part::Socket(number + 1),
            };
            vec![(question.sequence, part), (question.sequence, Part::Done(0))]
        },
        inodes,
    );
    // What was seen in the interrupted one may be gone.
    assert_eq!((found, asked), (Ok(vec![2, 3]), 3));
}

#[test]
fn a_dump_that_is_interrupted_again_and_again_is_not_believed() {
    let (found, asked) = ask(
        |question| {
            let part = Part::Interrupted(1);
            vec![(question.sequence, part), (question.sequence, Part::Done(0))]
        },
        inodes,
    );
    assert!(found.is_err(), "{found:?}");
    assert!((2..10).contains(&asked), "{asked}");
}

#[test]
fn a_dump_that_fails_at_its_end_is_a_failure() {
    let (found, _) = ask(
        |question| {
            let error = Part::Done(-libc::ENOMEM);
            vec![(question.sequence, Part::Socket(1)), (question.sequence, error)]
        },
        |sock_diag| sock_diag.sockets().map(drop).map_err(|error| error.raw_os_error()),
    );
    assert_eq!(found, Err(Some(libc::ENOMEM)));
}
