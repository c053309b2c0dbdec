//! As target.c: `connect` is all that it does.

use std::io::BufRead;
use std::net::{TcpListener, TcpStream};

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let connect = || (TcpStream::connect(address).expect("connected"), listener.accept().expect("accepted"));
    let mut connections = vec![connect()];
    println!("ready {}", address.port());
    for line in std::io::stdin().lock().lines() {
        connections.push(connect());
        println!("{} ok", line.expect("text"));
    }
}
