//! What a child sends to its parent: messages, each with its length before it, in JSON. (Which has no
//! `Some(None)`.)

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// One message.
#[derive(Serialize, Deserialize)]
pub(super) enum Packet<M> {
    /// What was found or done.
    Message(M),
    /// The last one: all is done, in this much processor time, but for these processes, given with
    /// their users.
    Done(Duration, BTreeSet<(u32, i32)>),
    /// The last one: the child has panicked.
    Panicked(String),
}

/// The length of a packet.
type Length = u32;

/// A child's end.
pub struct Sender<M> {
    pub(super) stream: Arc<UnixStream>,
    message: PhantomData<fn(M)>,
}

impl<M: Serialize> Sender<M> {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream: Arc::new(stream), message: PhantomData }
    }

    /// Sends a message. Ends this process if the parent has ended.
    pub fn send(&self, message: &M) {
        write(&self.stream, &Packet::Message(message));
    }
}

/// Sends a packet.
pub(super) fn write<M: Serialize>(mut stream: &UnixStream, packet: &Packet<M>) {
    let mut bytes = vec![0; size_of::<Length>()];
    serde_json::to_writer(&mut bytes, packet).expect("no map with keys other than text");
    let length = (bytes.len() - size_of::<Length>()) as Length;
    bytes[..size_of::<Length>()].copy_from_slice(&length.to_ne_bytes());
    if stream.write_all(&bytes).is_err() {
        std::process::exit(1);
    }
}

/// The parent's end.
pub(super) struct Receiver {
    stream: UnixStream,
    /// What has come; the first `taken` bytes of it are done with.
    bytes: Vec<u8>,
    taken: usize,
}

impl Receiver {
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, bytes: Vec::new(), taken: 0 })
    }

    /// The next packet that has come. `WouldBlock` if none has come, `UnexpectedEof` if none will.
    pub fn receive<M: DeserializeOwned>(&mut self) -> io::Result<Packet<M>> {
        loop {
            let rest = &self.bytes[self.taken..];
            if let Some((length, rest)) = rest.split_first_chunk() {
                let length = Length::from_ne_bytes(*length) as usize;
                if let Some(packet) = rest.get(..length) {
                    self.taken += size_of::<Length>() + length;
                    return Ok(serde_json::from_slice(packet)?);
                }
            }
            self.bytes.drain(..std::mem::take(&mut self.taken));
            let mut buffer = [0; 1 << 16];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.bytes.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_whole_and_in_order_however_they_are_cut() {
        let (theirs, ours) = UnixStream::pair().expect("a pair");
        let mut receiver = Receiver::new(ours).expect("a descriptor");
        let mut next = || receiver.receive::<String>();
        assert_eq!(next().err().map(|it| it.kind()), Some(io::ErrorKind::WouldBlock));
        // Longer than a read, empty, and one whose second half comes later.
        let long = "x".repeat(100_000);
        let (sender, texts) = (Sender::new(theirs), [&*long, "", "é\n"]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                texts.iter().for_each(|text| sender.send(&(*text).to_owned()));
                let mut stream = &*sender.stream;
                stream.write_all(&[13, 0]).expect("it is read");
                std::thread::sleep(Duration::from_millis(20));
                stream.write_all(b"\0\0{\"Message\":").expect("it is read");
                stream.write_all(b"1}").expect("it is read");
            });
            let mut all = Vec::new();
            while all.len() < texts.len() {
                match next() {
                    Ok(Packet::Message(text)) => all.push(text),
                    Ok(_) => panic!("a message"),
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
            }
            assert_eq!(all, texts);
        });
        // Not a text, but whole.
        assert_eq!(next().err().map(|it| it.kind()), Some(io::ErrorKind::InvalidData));
        drop(sender);
        assert_eq!(next().err().map(|it| it.kind()), Some(io::ErrorKind::UnexpectedEof));
    }
}
