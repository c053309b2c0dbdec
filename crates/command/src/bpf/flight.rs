//! The part of a cover's program that bounds data in flight while the peer is silent.
//!
//! While data is unacknowledged the kernel sends no probe. It sends the data again, after pauses that
//! double, for about 15 min. No option bounds that for a connection's whole life without harm: a
//! user timeout ends a living peer that does not read, and short pauses lose what was sent before
//! close(2). So both are set only while the peer is silent, by the last timer that expires before
//! the time is over, and taken back at the first sign of life and when the program closes.

use libc::{IPPROTO_TCP, TCP_USER_TIMEOUT};
use options::RTO_MAX;

use super::assembler::Register::{R0, R1, R2, R3, R4, R5, Stack};
use super::assembler::Size::{Double, Word};
use super::assembler::{Assembler, If, Instruction, Label, Register};
use super::fields::{Fields, SilenceFields};
use super::programs::{
    CONTEXT, EVENT, RECORD, SOCKET, SYNCHRONIZED, call_with_option, event, function, set_option,
    skip_unless_default, sock_ops, sockopt,
};
use super::record::Counter;
use crate::settings::late;

/// A user timeout of a cover's leaves [`MARK`] when it is divided by this. Programs set round
/// numbers, or one less.
const MODULUS: u32 = 64;
const MARK: u32 = 21;

/// How often a silent peer is asked, as `TCP_RTO_MAX_MS`: hardly anybody else's value.
const PACE: u32 = 1004;

/// How much a recovery may be older than the silence, in milliseconds. The kernel counts the user
/// timeout from the recovery's begin.
const LONGEST_RECOVERY: i32 = 15 * 60 * 1000;

/// The kernel gives up by itself after about so long, in milliseconds.
const KERNEL: u64 = 15 * 60 * 1000;

/// Flags that ask for more events (include/uapi/linux/bpf.h, `BPF_SOCK_OPS_*_CB_FLAG`).
mod flag {
    /// The retransmission timer has expired.
    pub const TIMER: i32 = 1;
    /// The connection changes its state.
    pub const STATE: i32 = 4;
    /// An acknowledgement has shown the round trip.
    pub const ROUND_TRIP: i32 = 8;
    /// A segment was received, unless it is one that the kernel expects.
    pub const RECEIVED: i32 = 16;
    /// Adds nothing to `RECEIVED`.
    pub const RECEIVED_UNKNOWN: i32 = 32;
    /// A segment is to be sent.
    pub const SENDING: i32 = 64;

    /// What shows that the peer lives, or that the program closes.
    pub const BOUNDED: i32 = STATE | ROUND_TRIP | RECEIVED | SENDING;
    /// Somebody else has asked for events of this socket, and none of these flags is taken back.
    pub const SHARED: i32 = RECEIVED_UNKNOWN;
}

/// An option that the kernel does not know. setsockopt(2) of it takes an open connection over,
/// while [`Flight::taking_over`] is attached.
pub const TAKE_OVER: i32 = 0x6b65_6570;

/// Whether a user timeout, in milliseconds, is a cover's.
pub fn is_user_timeout(milliseconds: u32) -> bool {
    milliseconds > MODULUS && milliseconds % MODULUS == MARK
}

/// Whether a bound on the pauses between retransmissions, in milliseconds and rounded up to jiffies,
/// is a cover's.
pub fn is_pace(milliseconds: u32) -> bool {
    (PACE..=PACE + 10).contains(&milliseconds)
}

/// How data in flight is bounded.
#[derive(Clone, Copy)]
pub struct Flight {
    fields: Fields,
    /// The silence that ends a connection, in milliseconds.
    limit: u32,
    /// Jiffies of the kernel in a second.
    hz: u32,
}

impl Flight {
    /// For peers that are given up within this time, in milliseconds; None where the kernel gives up
    /// earlier. The silence counts from the first retransmission, and a timer may be late.
    pub fn new(fields: Fields, dead_after: u32, hz: u32) -> Option<Self> {
        let limit = late::time_within(dead_after.into());
        (limit < KERNEL).then_some(Self { fields, limit: limit as u32, hz })
    }

    /// Asks for the event of the retransmission timer, for a new connection.
    pub fn begin(&self, code: &mut Assembler) {
        code.load(Word, R2, CONTEXT, sock_ops::FLAGS);
        code.or(R2, flag::TIMER);
        set_flags(code);
    }

    /// The program for setsockopt(2) that does the same for connections that are open already; None
    /// if the kernel has no way.
    pub fn taking_over(&self) -> Option<Vec<Instruction>> {
        let option = self.fields.callbacks? as i32;
        let mut code = Assembler::default();
        let end = code.label();
        code.copy(CONTEXT, R1);
        code.load(Word, R1, CONTEXT, sockopt::LEVEL);
        code.jump_if(R1, If::NotEqual, IPPROTO_TCP, end);
        code.load(Word, R1, CONTEXT, sockopt::NAME);
        code.jump_if(R1, If::NotEqual, TAKE_OVER, end);
        code.load(Double, CONTEXT, CONTEXT, sockopt::SOCKET);
        code.store(Stack, -4, 0);
        call_with_option(&mut code, function::GETSOCKOPT, IPPROTO_TCP, option);
        code.jump_if(R0, If::NotEqual, 0, end);
        code.load(Word, R1, Stack, -4);
        code.or(R1, flag::TIMER);
        code.store_register(Stack, -4, R1);
        call_with_option(&mut code, function::SETSOCKOPT, IPPROTO_TCP, option);
        code.place(end);
        code.exit(1);
        Some(code.finish())
    }

    /// What is done at any other event than those of a new connection.
    pub fn event(&self, code: &mut Assembler, end: Label) {
        let [known, bounded, answered, take_back] = std::array::from_fn(|_| code.label());
        let SilenceFields { retransmits, .. } = self.fields.silence;
        for event in [event::TIMER, event::ROUND_TRIP, event::RECEIVED, event::SENDING] {
            code.jump_if(EVENT, If::Equal, event, known);
        }
        code.jump_if(EVENT, If::NotEqual, event::STATE, end);
        code.load(Word, R1, CONTEXT, sock_ops::ARGUMENTS[1]);
        for state in SYNCHRONIZED {
            code.jump_if(R1, If::Equal, state, end);
        }
        code.place(known);
        code.load(Double, R1, CONTEXT, sock_ops::SOCKET);
        code.jump_if(R1, If::Equal, 0, end);
        code.call(function::SKC_TO_TCP_SOCK);
        code.jump_if(R0, If::Equal, 0, end);
        code.copy(SOCKET, R0);
        let Some(user_timeout) = self.fields.values.user_timeout else { return code.jump(end) };
        code.load(user_timeout.size, R1, SOCKET, user_timeout.offset);
        code.copy(R2, R1);
        code.and(R2, MODULUS as i32 - 1);
        code.jump_if(R2, If::Equal, MARK as i32, bounded);
        code.jump_if(EVENT, If::NotEqual, event::TIMER, end);
        // The program's own.
        code.jump_if(R1, If::NotEqual, 0, end);
        self.judge(code, end);
        code.jump(end);

        code.place(bounded);
        code.jump_if(EVENT, If::Equal, event::STATE, take_back);
        code.jump_if(EVENT, If::Equal, event::ROUND_TRIP, answered);
        code.jump_if(EVENT, If::Equal, event::RECEIVED, answered);
        let living = code.label();
        code.jump_if(EVENT, If::NotEqual, event::TIMER, living);
        code.load(Word, R1, CONTEXT, sock_ops::ARGUMENTS[2]);
        code.jump_if(R1, If::Equal, 0, living);
        code.increment(RECORD, Counter::Ended as i16);
        code.jump(end);
        // Not every answer makes an event: has there been one?
        code.place(living);
        code.load(retransmits.size, R1, SOCKET, retransmits.offset);
        code.jump_if(R1, If::Equal, 0, answered);
        self.heard(code);
        code.jump_if(R3, If::Above, PACE as i32, end);
        code.place(answered);
        code.increment(RECORD, Counter::Answered as i16);
        code.place(take_back);
        self.take_back(code, end);
    }

    /// At the retransmission timer: bounds the connection if no other timer would expire before the
    /// time is over.
    fn judge(&self, code: &mut Assembler, end: Label) {
        /// Where the stack has the age of the recovery and of this series of retransmissions.
        const RECOVERY: i16 = -8;
        const SERIES: i16 = -12;
        let [open, first, silent, bound, old, late] = std::array::from_fn(|_| code.label());
        let SilenceFields { series, recovery, .. } = self.fields.silence;
        code.load(Word, R1, CONTEXT, sock_ops::STATE);
        for state in SYNCHRONIZED {
            code.jump_if(R1, If::Equal, state, open);
        }
        code.jump(end);
        code.place(open);
        // The kernel gives up now.
        code.load(Word, R1, CONTEXT, sock_ops::ARGUMENTS[2]);
        code.jump_if(R1, If::NotEqual, 0, end);
        let is_on = code.label();
        code.load(self.fields.flags.size, R1, SOCKET, self.fields.flags.offset);
        code.jump_if(R1, If::Set, 1 << self.fields.keepalive, is_on);
        code.jump(end);
        code.place(is_on);

        // For how long has the kernel sent again?
        code.call(function::KTIME_GET_NS);
        code.divide(R0, 1_000_000);
        code.set(R2, 0);
        code.load(recovery.size, R1, SOCKET, recovery.offset);
        let no_recovery = code.label();
        code.jump_if(R1, If::Equal, 0, no_recovery);
        code.copy(R2, R0);
        code.subtract_32(R2, R1);
        code.place(no_recovery);
        code.store_register(Stack, RECOVERY, R2);
        code.set(R3, 0);
        code.load(Word, R1, CONTEXT, sock_ops::ARGUMENTS[0]);
        code.jump_if(R1, If::Equal, 0, first);
        code.copy(R3, R2);
        if let Some(series) = series {
            code.load(series.size, R1, SOCKET, series.offset);
            code.copy(R3, R0);
            code.subtract_32(R3, R1);
        }
        code.place(first);
        code.store_register(Stack, SERIES, R3);

        // For how long has the peer been silent (R5), although it was asked?
        self.heard(code);
        code.load(Word, R4, CONTEXT, sock_ops::ARGUMENTS[1]);
        self.milliseconds(code, R4);
        code.load(Word, R5, Stack, SERIES);
        code.jump_if_register(R3, If::Above, R5, silent);
        // It was heard since, without progress: the first question after that counts. The last one
        // was a pause ago, those before half a pause earlier, a quarter, and so on.
        code.jump_if_register(R4, If::Above, R3, end);
        code.copy(R5, R4);
        code.copy(R1, R4);
        for _ in 0..3 {
            code.divide(R1, 2);
            code.copy(R2, R5);
            code.add_register(R2, R1);
            code.jump_if_register(R2, If::Above, R3, silent);
            code.copy(R5, R2);
        }
        code.place(silent);
        code.multiply(R4, 2);
        code.add_register(R4, R5);
        code.jump_if(R4, If::Below, self.limit as i32, end);

        // The kernel counts from the recovery's begin.
        code.load(Word, R2, Stack, RECOVERY);
        code.jump_if_register(R2, If::Above, R5, old);
        code.set(R2, 0);
        code.jump(late);
        code.place(old);
        code.subtract(R2, R5);
        code.jump_if(R2, If::Above, LONGEST_RECOVERY, end);
        code.place(late);
        code.add(R2, self.limit as i32);
        code.or(R2, MODULUS as i32 - 1);
        code.add(R2, MARK as i32 - (MODULUS as i32 - 1));
        code.store_register(Stack, -4, R2);
        call_with_option(code, function::SETSOCKOPT, IPPROTO_TCP, TCP_USER_TIMEOUT);
        code.jump_if(R0, If::Equal, 0, bound);
        code.increment(RECORD, Counter::Failed as i16);
        code.jump(end);
        code.place(bound);
        code.increment(RECORD, Counter::Bounded as i16);
        if let Some(fields) = self.fields.bound {
            let own = code.label();
            skip_unless_default(code, fields, own);
            set_option(code, IPPROTO_TCP, RTO_MAX.number, PACE);
            code.place(own);
        }
        let alone = code.label();
        code.load(Word, R2, CONTEXT, sock_ops::FLAGS);
        code.copy(R3, R2);
        code.or(R2, flag::BOUNDED);
        code.and(R3, !flag::TIMER);
        code.jump_if(R3, If::Equal, 0, alone);
        code.or(R2, flag::SHARED);
        code.place(alone);
        set_flags(code);
    }

    /// Everything as it was before the silence.
    fn take_back(&self, code: &mut Assembler, end: Label) {
        set_option(code, IPPROTO_TCP, TCP_USER_TIMEOUT, 0);
        if let (Some(fields), Some(rto_max)) = (self.fields.bound, self.fields.silence.rto_max) {
            let own = code.label();
            code.load(rto_max.size, R1, SOCKET, rto_max.offset);
            code.jump_if(R1, If::NotEqual, (PACE * self.hz).div_ceil(1000) as i32, own);
            code.load(fields.network.size, R1, SOCKET, fields.network.offset);
            code.load(fields.default.size, R2, R1, fields.default.offset);
            code.store_register(Stack, -4, R2);
            call_with_option(code, function::SETSOCKOPT, IPPROTO_TCP, RTO_MAX.number);
            code.place(own);
        }
        code.load(Word, R2, CONTEXT, sock_ops::FLAGS);
        code.jump_if(R2, If::Set, flag::SHARED, end);
        code.and(R2, !flag::BOUNDED);
        set_flags(code);
    }

    /// R3: how long ago the peer was last heard, in milliseconds. R0 to R5 are lost.
    fn heard(&self, code: &mut Assembler) {
        let [acknowledged, sent] = self.fields.silence.heard;
        let earlier = code.label();
        code.call(function::JIFFIES64);
        code.load(acknowledged.size, R1, SOCKET, acknowledged.offset);
        code.load(sent.size, R2, SOCKET, sent.offset);
        code.copy(R3, R0);
        code.subtract_32(R3, R1);
        code.copy(R4, R0);
        code.subtract_32(R4, R2);
        code.jump_if_register(R4, If::Above, R3, earlier);
        code.copy(R3, R4);
        code.place(earlier);
        self.milliseconds(code, R3);
    }

    /// Jiffies into milliseconds.
    fn milliseconds(&self, code: &mut Assembler, time: Register) {
        code.multiply(time, 1000);
        code.divide(time, self.hz as i32);
    }
}

/// Asks for the events whose flags are in R2.
fn set_flags(code: &mut Assembler) {
    code.copy(R1, CONTEXT);
    code.call(function::SOCK_OPS_CB_FLAGS_SET);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_set_is_not_taken_for_a_cover_s() {
        for seconds in 0..100_000_u32 {
            for difference in [0, 1, 10, 100, 500, 999] {
                assert!(!is_user_timeout(seconds * 1000 + difference), "{seconds} {difference}");
            }
        }
        assert!(is_user_timeout(MODULUS + MARK) && !is_user_timeout(MARK));
        assert!(is_pace(PACE) && is_pace(1010) && !is_pace(1000) && !is_pace(120_000));
    }
}
