"""Data in flight between two network namespaces, in the way that the argument names: what becomes of
it, on lines of "what: value". The end under test is in the cgroup, its peer is not.

    in_flight.py CASE NAMESPACE PEER_NAMESPACE CGROUP
"""

import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import termios
import time

case, here, there, cgroup = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
USER_TIMEOUT, RTO_MAX = 18, 44
ADDRESS = ("10.9.0.2", 7000)


def enter(namespace):
    with open(f"/run/netns/{namespace}") as file:
        assert libc.setns(file.fileno(), 0x40000000) == 0, ctypes.get_errno()


def move(cgroup):
    with open(f"{cgroup}/cgroup.procs", "w") as file:
        file.write("0")


def say(what, value):
    print(f"{what}: {value}", flush=True)


def nft(rules):
    """What the peer's network loses."""
    subprocess.run(["ip", "netns", "exec", there, "nft", "-f", "-"], input=rules, text=True, check=True)


def lose(hook="input"):
    nft(
        "add table inet loss\n"
        f"add chain inet loss {hook} {{ type filter hook {hook} priority 0; policy drop; }}\n"
    )


def lose_nothing():
    nft("delete table inet loss\n")


def option(tcp, name):
    try:
        return tcp.getsockopt(socket.IPPROTO_TCP, name)
    except OSError:
        return None


def options(tcp):
    return f"{option(tcp, USER_TIMEOUT)} {option(tcp, RTO_MAX)}"


def unacknowledged(tcp):
    return struct.unpack("i", fcntl.ioctl(tcp, termios.TIOCOUTQ, b"\0\0\0\0"))[0]


def acknowledged(tcp, patience):
    """After how long everything is acknowledged; None if it never is."""
    began = time.monotonic()
    while time.monotonic() - began < patience:
        if unacknowledged(tcp) == 0:
            return time.monotonic() - began
        time.sleep(0.02)


def error(tcp, patience):
    """How the connection ends, and after how long."""
    began = time.monotonic()
    poll = select.poll()
    poll.register(tcp, 0)
    if not poll.poll(patience * 1000):
        return "none"
    number = tcp.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return f"{errno.errorcode.get(number, number)} {time.monotonic() - began:.1f}"


def received(tcp, patience=60):
    """How many bytes arrive until the end."""
    tcp.settimeout(patience)
    total = 0
    try:
        while data := tcp.recv(1 << 20):
            total += len(data)
    except OSError as failure:
        return f"{total} {failure}"
    return total


def connect(buffer=None):
    """The end under test, and its peer."""
    is_accepted = case == "accepted"
    enter(there)
    listener = socket.create_server(ADDRESS) if not is_accepted else None
    enter(here)
    move(cgroup)
    tcp = socket.create_server(("10.9.0.1", 7000)) if is_accepted else socket.socket()
    if buffer:
        tcp.setsockopt(socket.SOL_SOCKET, 32, buffer)  # SO_SNDBUFFORCE
    if case == "own":
        tcp.setsockopt(socket.IPPROTO_TCP, USER_TIMEOUT, 60_000)
    if is_accepted:
        move(os.path.dirname(cgroup))
        enter(there)
        peer = socket.create_connection(("10.9.0.1", 7000))
        tcp = tcp.accept()[0]
    else:
        tcp.connect(ADDRESS)
        peer = listener.accept()[0]
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # The round trip is known.
    for _ in range(5):
        tcp.send(b"x")
        assert peer.recv(1) == b"x"
        peer.send(b"y")
        assert tcp.recv(1) == b"y"
    time.sleep(0.3)
    return tcp, peer


MANY = 4 << 20

if case in ["vanished", "accepted", "own", "off"]:
    tcp, peer = connect()
    if case == "off":
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
    lose()
    tcp.send(b"x" * 100)
    say("ended", error(tcp, 16))
    say("user timeout", option(tcp, USER_TIMEOUT))
elif case == "outage":
    tcp, peer = connect()
    say("before", options(tcp))
    lose()
    tcp.send(b"x" * 100)
    time.sleep(8)
    say("during", options(tcp))
    lose_nothing()
    say("answered", acknowledged(tcp, 3) is not None)
    time.sleep(0.1)
    say("after", options(tcp))
    tcp.send(b"x" * 100)
    time.sleep(0.3)
    say("later", options(tcp))
    tcp.close()
    say("received", received(peer))
elif case == "slow reader":
    # Open for as long as the peer does not read.
    tcp, peer = connect(2 * MANY)
    tcp.sendall(b"x" * MANY)
    say("ended", error(tcp, 30))
    tcp.shutdown(socket.SHUT_WR)
    say("received", received(peer))
elif case == "slow reader after close":
    tcp, peer = connect(2 * MANY)
    tcp.sendall(b"x" * MANY)
    tcp.close()
    time.sleep(30)
    say("received", received(peer))
elif case == "slow reader after outage":
    tcp, peer = connect(2 * MANY)
    lose()
    tcp.sendall(b"x" * MANY)
    time.sleep(8)
    say("during", options(tcp))
    lose_nothing()
    say("ended", error(tcp, 25))
    say("after", options(tcp))
    tcp.close()
    say("received", received(peer))
elif case == "shrunk window":
    tcp, peer = connect()
    tcp.send(b"x" * 30_000)
    time.sleep(0.5)
    lose()
    tcp.send(b"x" * 20_000)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    time.sleep(8)
    say("during", options(tcp))
    lose_nothing()
    time.sleep(3)
    say("unacknowledged", unacknowledged(tcp) > 0)
    say("after", options(tcp))
    # One answer or more is lost.
    lose("output")
    say("ended", error(tcp, 6))
    lose_nothing()
    say("ended later", error(tcp, 15))
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)
    tcp.shutdown(socket.SHUT_WR)
    say("received", received(peer, 120))
elif case == "closes":
    tcp, peer = connect()
    lose()
    tcp.send(b"x" * 100)
    time.sleep(8)
    say("during", options(tcp))
    tcp.close()
    time.sleep(8)
    lose_nothing()
    say("received", received(peer, 40))
elif case == "last words":
    # After the first retransmissions something comes from the peer, but no acknowledgement.
    tcp, peer = connect()
    lose()
    tcp.send(b"x" * 100)
    time.sleep(1)
    peer.send(b"y")
    lose("output")
    say("ended", error(tcp, 30))
elif case == "open already":
    tcp, peer = connect()
    say("connected", option(tcp, USER_TIMEOUT))
    sys.stdin.readline()
    # The peer gets the settings too, as a socket of this process: nobody hears its reset.
    lose()
    lose("output")
    tcp.send(b"x" * 100)
    say("ended", error(tcp, 16))
elif case == "removed":
    tcp, peer = connect()
    lose()
    tcp.send(b"x" * 100)
    time.sleep(8)
    say("during", options(tcp))
    sys.stdin.readline()
    say("after", options(tcp))
else:
    sys.exit(f"{case}: unknown")
