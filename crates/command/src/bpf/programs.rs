//! The two programs of a cover.

use libc::{AF_INET, AF_INET6, IPPROTO_MPTCP, IPPROTO_TCP, SO_KEEPALIVE, SOCK_STREAM, SOL_SOCKET};
use options::{Mode, RTO_MAX, SYNCNT, TcpOption};

use super::assembler::Register::{R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, Stack};
use super::assembler::Size::{Double, Word};
use super::assembler::{Assembler, If, Instruction, Label, Register};
use super::fields::{BoundFields, Field, Fields};
use super::flight::Flight;
use super::record::Counter;
use crate::settings::Settings;
use crate::values::Values;

/// Functions of the kernel's (include/uapi/linux/bpf.h).
pub mod function {
    pub const KTIME_GET_NS: i32 = 5;
    pub const SETSOCKOPT: i32 = 49;
    pub const GETSOCKOPT: i32 = 57;
    pub const SOCK_OPS_CB_FLAGS_SET: i32 = 59;
    pub const JIFFIES64: i32 = 118;
    pub const SKC_TO_TCP_SOCK: i32 = 137;
}

/// `op` of `struct bpf_sock_ops`.
pub mod event {
    /// connect(2), before the SYN is sent.
    pub const CONNECT: i32 = 3;
    /// connect(2) has succeeded.
    pub const CONNECTED: i32 = 4;
    /// A connection is there for accept(2).
    pub const ACCEPTED: i32 = 5;
    /// The retransmission timer has expired. Its arguments: how often before since the last
    /// progress, the timeout in jiffies, and whether the kernel gives up.
    pub const TIMER: i32 = 8;
    /// The connection changes its state. Its arguments: from which, to which.
    pub const STATE: i32 = 10;
    /// An acknowledgement has shown the round trip.
    pub const ROUND_TRIP: i32 = 12;
    /// A segment was received, and its header is valid.
    pub const RECEIVED: i32 = 13;
    /// A segment is to be sent.
    pub const SENDING: i32 = 14;
}

/// Offsets in `struct bpf_sock_ops`.
pub mod sock_ops {
    pub const EVENT: i16 = 0;
    pub const ARGUMENTS: [i16; 3] = [4, 8, 12];
    pub const FLAGS: i16 = 84;
    pub const STATE: i16 = 88;
    pub const SOCKET: i16 = 184;
}

/// Offsets in `struct bpf_sockopt`.
pub mod sockopt {
    pub const SOCKET: i16 = 0;
    pub const VALUE: i16 = 8;
    pub const VALUE_END: i16 = 16;
    pub const LEVEL: i16 = 24;
    pub const NAME: i16 = 28;
    pub const LENGTH: i16 = 32;
}

/// Offsets in `struct bpf_sock`.
mod bpf_sock {
    pub const FAMILY: i16 = 4;
    pub const TYPE: i16 = 8;
    pub const PROTOCOL: i16 = 12;
    pub const STATE: i16 = 72;
}

/// `BPF_TCP_ESTABLISHED` and `BPF_TCP_CLOSE_WAIT`: data can be in flight.
pub const SYNCHRONIZED: [i32; 2] = [1, 8];
/// What the kernel may add to a bound when it rounds it up to a jiffy, in milliseconds.
const ROUNDING: i32 = 9;

/// The length of an option's value.
const INT: i32 = 4;

/// What the registers hold.
pub const CONTEXT: Register = R6;
pub const RECORD: Register = R7;
pub const EVENT: Register = R8;
pub const SOCKET: Register = R9;

/// What the programs are made for.
pub struct Plan<'a> {
    pub settings: &'a Settings,
    /// How what the program chose is known; not needed under `--force`.
    pub fields: Option<&'a Fields>,
    /// How data in flight is bounded; None if that is the kernel's.
    pub flight: Option<Flight>,
    /// Jiffies of the kernel in a second.
    pub hz: u32,
    /// The descriptor of the map with the record.
    pub map: i32,
}

impl Plan<'_> {
    /// The program for new connections (BPF_PROG_TYPE_SOCK_OPS). It sets the options in connect(2),
    /// before the SYN is sent, and before accept(2) returns. The bound on the pauses between
    /// retransmissions would shorten connect(2), and is set once that has succeeded. Other events
    /// come only for data in flight.
    pub fn sock_ops(&self) -> Vec<Instruction> {
        let mut code = Assembler::default();
        let [new, look, set, bound, own, later, end] = std::array::from_fn(|_| code.label());
        let rto_max = self.settings.values.rto_max;
        code.copy(CONTEXT, R1);
        code.map_value(RECORD, self.map);
        code.load(Word, EVENT, CONTEXT, sock_ops::EVENT);
        code.jump_if(EVENT, If::Equal, event::CONNECT, new);
        code.jump_if(EVENT, If::Equal, event::ACCEPTED, new);
        if rto_max.is_some() {
            code.jump_if(EVENT, If::Equal, event::CONNECTED, look);
        }
        code.jump(later);

        code.place(new);
        if let Some(flight) = self.flight {
            flight.begin(&mut code);
        }
        code.place(look);
        if let Some(fields) = self.fields {
            self.look(&mut code, fields, [set, own, end]);
        }
        code.place(set);
        if rto_max.is_some() {
            code.jump_if(EVENT, If::Equal, event::CONNECTED, bound);
        }
        self.set_all(&mut code);
        let accepted = code.label();
        code.jump_if(EVENT, If::Equal, event::ACCEPTED, accepted);
        code.increment(RECORD, Counter::Opened as i16);
        code.jump(end);
        code.place(accepted);
        code.increment(RECORD, Counter::Accepted as i16);
        code.place(bound);
        if let Some(value) = rto_max {
            if let Some(fields) = self.fields.and_then(|fields| fields.bound) {
                skip_unless_default(&mut code, fields, end);
            }
            set_option(&mut code, IPPROTO_TCP, RTO_MAX.number, value);
        }
        if self.fields.is_some() {
            code.jump(end);
            code.place(own);
            code.jump_if(EVENT, If::Equal, event::CONNECTED, end);
            code.increment(RECORD, Counter::LeftAlone as i16);
        }
        code.jump(end);
        code.place(later);
        if let Some(flight) = self.flight {
            flight.event(&mut code, end);
        }
        code.place(end);
        code.exit(1);
        code.finish()
    }

    /// Goes to `own` if the program uses times of its own, and to `end` if there is no TCP socket.
    fn look(&self, code: &mut Assembler, fields: &Fields, [set, own, end]: [Label; 3]) {
        code.load(Double, R1, CONTEXT, sock_ops::SOCKET);
        code.jump_if(R1, If::Equal, 0, end);
        code.call(function::SKC_TO_TCP_SOCK);
        code.jump_if(R0, If::Equal, 0, end);
        code.copy(SOCKET, R0);
        if self.settings.mode == Mode::On {
            let in_use = code.label();
            code.load(fields.flags.size, R1, SOCKET, fields.flags.offset);
            code.jump_if(R1, If::Set, 1 << fields.keepalive, in_use);
            code.jump(set);
            code.place(in_use);
        }
        for (option, (value, field)) in self.settings.values.zip(fields.values).iter() {
            // How patient connect(2) is has nothing to do with keepalive.
            let Some(field) = field.filter(|_| option.number != SYNCNT.number) else { continue };
            let next = code.label();
            code.load(field.size, R1, SOCKET, field.offset);
            code.jump_if(R1, If::Equal, 0, next);
            if let Some(value) = value {
                code.jump_if(R1, If::Equal, self.kept(option, value), next);
            }
            code.jump(own);
            code.place(next);
        }
    }

    /// Sets everything but the bound. Keepalive and its idle time come last: from then on probes
    /// are sent.
    fn set_all(&self, code: &mut Assembler) {
        let fields = self.fields.map_or_else(Values::default, |fields| fields.values);
        let Values { count, idle, interval, user_timeout, syn_count, .. } = self
            .settings
            .values
            .zip(fields)
            .map(|option, (value, field)| Some((option, value?, field)));
        for it in [count, interval, user_timeout] {
            set_unless_own(code, it);
        }
        if syn_count.is_some() {
            let accepted = code.label();
            code.jump_if(EVENT, If::Equal, event::ACCEPTED, accepted);
            set_unless_own(code, syn_count);
            code.place(accepted);
        }
        if self.settings.mode != Mode::Skip {
            set_option(code, SOL_SOCKET, SO_KEEPALIVE, 1);
        }
        set_unless_own(code, idle);
    }

    /// How the kernel keeps a value: seconds in jiffies.
    fn kept(&self, option: &TcpOption, value: u32) -> i32 {
        let is_in_seconds = [options::KEEPIDLE.number, options::KEEPINTVL.number];
        let factor = if is_in_seconds.contains(&option.number) { self.hz } else { 1 };
        value.saturating_mul(factor) as i32
    }

    /// The program for setsockopt(2) under `--force` (BPF_PROG_TYPE_CGROUP_SOCKOPT): the operator's
    /// value in place of the program's. A value that the kernel does not take is left as it is, so
    /// that every error is the kernel's own.
    pub fn setsockopt(&self, page_size: i32) -> Vec<Instruction> {
        let mut code = Assembler::default();
        let [ip, tcp, is_tcp_option, write, end, small] = std::array::from_fn(|_| code.label());
        code.copy(CONTEXT, R1);
        code.map_value(RECORD, self.map);
        code.load(Double, R1, CONTEXT, sockopt::SOCKET);
        code.load(Word, R2, R1, bpf_sock::FAMILY);
        code.jump_if(R2, If::Equal, AF_INET, ip);
        code.jump_if(R2, If::NotEqual, AF_INET6, end);
        code.place(ip);
        code.load(Word, R2, R1, bpf_sock::TYPE);
        code.jump_if(R2, If::NotEqual, SOCK_STREAM, end);
        code.load(Word, R2, R1, bpf_sock::PROTOCOL);
        code.jump_if(R2, If::Equal, IPPROTO_TCP, tcp);
        code.jump_if(R2, If::NotEqual, IPPROTO_MPTCP, end);
        code.place(tcp);

        // R4: the program's value; R5: the operator's.
        code.load(Double, R2, CONTEXT, sockopt::VALUE);
        code.load(Double, R3, CONTEXT, sockopt::VALUE_END);
        code.copy(R5, R2);
        code.add(R5, INT);
        code.jump_if_register(R5, If::Above, R3, end);
        code.load(Word, R4, R2, 0);
        code.load(Word, R3, CONTEXT, sockopt::NAME);
        code.load(Word, R5, CONTEXT, sockopt::LEVEL);
        code.jump_if(R5, If::Equal, IPPROTO_TCP, is_tcp_option);
        code.jump_if(R5, If::NotEqual, SOL_SOCKET, end);
        code.jump_if(R3, If::NotEqual, SO_KEEPALIVE, end);
        code.jump_if(R4, If::NotEqual, 0, end);
        code.set(R5, 1);
        code.jump(write);
        code.place(is_tcp_option);
        for (option, value) in self.settings.values.iter() {
            let Some(value) = value else { continue };
            let next = code.label();
            code.jump_if(R3, If::NotEqual, option.number, next);
            code.jump_if(R4, If::Below, option.min as i32, end);
            code.jump_if(R4, If::Above, option.max as i32, end);
            code.jump_if(R4, If::Equal, value as i32, end);
            if option.number == RTO_MAX.number {
                // Before, it would shorten connect(2).
                let synchronized = code.label();
                code.load(Word, R5, R1, bpf_sock::STATE);
                for state in SYNCHRONIZED {
                    code.jump_if(R5, If::Equal, state, synchronized);
                }
                code.jump(end);
                code.place(synchronized);
            }
            code.set(R5, value as i32);
            code.jump(write);
            code.place(next);
        }
        code.jump(end);

        code.place(write);
        code.store_register(R2, 0, R5);
        code.set(R1, INT);
        code.store_register(CONTEXT, sockopt::LENGTH, R1);
        code.increment(RECORD, Counter::Replaced as i16);
        code.place(end);
        // Of a longer value only a page was copied for this program. Length 0 means that the
        // kernel takes the value from where the program has it.
        code.load(Word, R1, CONTEXT, sockopt::LENGTH);
        code.jump_if(R1, If::Below, page_size + 1, small);
        code.set(R1, 0);
        code.store_register(CONTEXT, sockopt::LENGTH, R1);
        code.place(small);
        code.exit(1);
        code.finish()
    }
}

/// Goes to `end` unless the socket's bound is the default of its network namespace.
pub fn skip_unless_default(code: &mut Assembler, fields: BoundFields, end: Label) {
    code.store(Stack, -4, 0);
    call_with_option(code, function::GETSOCKOPT, IPPROTO_TCP, RTO_MAX.number);
    code.jump_if(R0, If::NotEqual, 0, end);
    code.load(fields.network.size, R1, SOCKET, fields.network.offset);
    code.load(fields.default.size, R2, R1, fields.default.offset);
    code.load(Word, R1, Stack, -4);
    // What is below the default becomes a huge number.
    code.subtract(R1, R2);
    code.jump_if(R1, If::Above, ROUNDING, end);
}

/// Sets an option to a value, unless the program has: the kernel then has another number than 0.
fn set_unless_own(code: &mut Assembler, setting: Option<(&TcpOption, u32, Option<Field>)>) {
    let Some((option, value, field)) = setting else { return };
    let own = code.label();
    if let Some(field) = field {
        code.load(field.size, R1, SOCKET, field.offset);
        code.jump_if(R1, If::NotEqual, 0, own);
    }
    set_option(code, IPPROTO_TCP, option.number, value);
    code.place(own);
}

/// Sets an option, and counts if it is refused.
pub fn set_option(code: &mut Assembler, level: i32, name: i32, value: u32) {
    let done = code.label();
    code.store(Stack, -4, value as i32);
    call_with_option(code, function::SETSOCKOPT, level, name);
    code.jump_if(R0, If::Equal, 0, done);
    code.increment(RECORD, Counter::Failed as i16);
    code.place(done);
}

/// Calls bpf_setsockopt() or bpf_getsockopt(), whose value is on the stack.
pub fn call_with_option(code: &mut Assembler, called: i32, level: i32, name: i32) {
    code.copy(R1, CONTEXT);
    code.set(R2, level);
    code.set(R3, name);
    code.copy(R4, Stack);
    code.add(R4, -4);
    code.set(R5, INT);
    code.call(called);
}
