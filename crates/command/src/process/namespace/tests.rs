use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

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

/// A message, padded as netlink(7) pads.
fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((16 + payload.len() as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([0; 10]);
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
    let result = read(answer, |header| entries.push((header.inode, entry(header))));
    (result, entries)
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
