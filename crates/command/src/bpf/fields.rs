//! Where the kernel keeps what a program has set on a TCP socket.

use super::assembler::Size;
use super::btf::{Btf, BtfError, Member};
use crate::values::Values;

/// The members of `struct tcp_sock` that tell what a program has chosen. All of them are 0 unless
/// somebody has set them (include/linux/tcp.h, include/net/inet_connection_sock.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The flags of the socket.
    pub flags: Field,
    /// The number of that for `SO_KEEPALIVE`.
    pub keepalive: u32,
    /// Those of the options; None for `TCP_RTO_MAX_MS`, whose member is never 0.
    pub values: Values<Option<Field>>,
    /// None where the kernel has no `TCP_RTO_MAX_MS`.
    pub bound: Option<BoundFields>,
    /// The number of `TCP_BPF_SOCK_OPS_CB_FLAGS`, by which a connection that is open already gets
    /// callbacks; None before Linux 6.12.
    pub callbacks: Option<u32>,
    /// What tells how long a peer has been silent.
    pub silence: SilenceFields,
}

/// The members that tell for how long a peer has left data without an answer. Times are 32 bits
/// that wrap around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilenceFields {
    /// How often the timer has expired since the peer last acknowledged something new.
    pub retransmits: Field,
    /// When the first of these times was, in milliseconds (Linux 6.7).
    pub series: Option<Field>,
    /// From when on the kernel counts the user timeout, in milliseconds: the first retransmission
    /// of a recovery, which may have made progress since. In microseconds for the rare route with
    /// `features tcp_usec_ts`.
    pub recovery: Field,
    /// When the peer last acknowledged anything, and last sent data, in jiffies.
    pub heard: [Field; 2],
    /// `TCP_RTO_MAX_MS`, in jiffies; None where the kernel has none.
    pub rto_max: Option<Field>,
}

/// The default of `TCP_RTO_MAX_MS` in a socket's network namespace (include/net/netns/ipv4.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundFields {
    /// The address of the network namespace, in `struct tcp_sock`.
    pub network: Field,
    /// The default, in `struct net`.
    pub default: Field,
}

/// A member of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub offset: i16,
    pub size: Size,
}

impl Fields {
    /// From the kernel's BTF.
    pub fn find(btf: &Btf) -> Result<Self, BtfError> {
        let field = |structure, path| {
            let found = btf.member(structure, path).and_then(Field::new);
            found.ok_or(BtfError::NoMember { structure, path })
        };
        let tcp = |path| field("tcp_sock", path);
        let flag = btf.enumerator("SOCK_KEEPOPEN").filter(|flag| *flag < i32::BITS - 1);
        let silence = SilenceFields {
            retransmits: tcp("inet_conn.icsk_retransmits")?,
            series: tcp("rto_stamp").ok(),
            recovery: tcp("retrans_stamp")?,
            heard: [tcp("rcv_tstamp")?, tcp("inet_conn.icsk_ack.lrcvtime")?],
            rto_max: tcp("inet_conn.icsk_rto_max").ok(),
        };
        let network = tcp("inet_conn.icsk_inet.sk.__sk_common.skc_net.net");
        Ok(Self {
            flags: tcp("inet_conn.icsk_inet.sk.__sk_common.skc_flags")?,
            keepalive: flag.ok_or(BtfError::NoEnumerator("SOCK_KEEPOPEN"))?,
            values: Values {
                count: Some(tcp("keepalive_probes")?),
                idle: Some(tcp("keepalive_time")?),
                interval: Some(tcp("keepalive_intvl")?),
                user_timeout: Some(tcp("inet_conn.icsk_user_timeout")?),
                rto_max: None,
                syn_count: Some(tcp("inet_conn.icsk_syn_retries")?),
            },
            bound: match (network, field("net", "ipv4.sysctl_tcp_rto_max_ms")) {
                (Ok(network), Ok(default)) => Some(BoundFields { network, default }),
                _ => None,
            },
            callbacks: btf.enumerator("TCP_BPF_SOCK_OPS_CB_FLAGS"),
            silence,
        })
    }
}

impl Field {
    /// None for what one instruction cannot load.
    fn new(Member { offset, size }: Member) -> Option<Self> {
        let size = match size {
            1 => Size::Byte,
            2 => Size::Half,
            4 => Size::Word,
            8 => Size::Double,
            _ => return None,
        };
        Some(Self { offset: offset.try_into().ok()?, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_own_have_them() {
        // Not every test machine has it.
        let Ok(bytes) = std::fs::read(super::super::BTF) else { return };
        let fields = Fields::find(&Btf::read(&bytes).expect("BTF")).expect("all members");
        assert_eq!(fields.keepalive, 3);
        assert_eq!(fields.values.idle.map(|it| it.size), Some(Size::Word));
        assert_eq!(fields.values.user_timeout.map(|it| it.size), Some(Size::Word));
        assert_eq!(fields.flags.size, Size::Double);
        assert_eq!(fields.silence.recovery.size, Size::Word);
        assert_eq!(fields.silence.heard.map(|it| it.size), [Size::Word; 2]);
        assert_eq!(fields.silence.rto_max.is_some(), fields.bound.is_some());
    }

    #[test]
    fn what_is_not_there_is_named() {
        let empty = [0x0001_eb9f_u32, 24, 0, 0, 0, 0].map(u32::to_ne_bytes).concat();
        let error = Fields::find(&Btf::read(&empty).expect("BTF")).expect_err("nothing is there");
        let error = error.to_string();
        assert!(error.contains("tcp_sock") || error.contains("SOCK_KEEPOPEN"), "{error}");
    }
}
