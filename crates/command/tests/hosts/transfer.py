"""One end of a connection that is told on stdin what to do.

    transfer.py listen PORT         accepts one connection, `accepted`
    transfer.py connect HOST PORT   connects: `connected`, or the error and the seconds it took

Then for each line on stdin:

    send N      sends N bytes: `sent`, or the error and the seconds it took
    receive N   receives N bytes: `received`, or how many came
    close       closes the connection: `closed`
"""

import errno
import socket
import sys
import time


def say(*words):
    print(*words, flush=True)


def timed(done, call):
    """Says what came of a call."""
    begin = time.monotonic()
    try:
        call()
        say(done)
    except OSError as error:
        say(errno.errorcode[error.errno], round(time.monotonic() - begin, 2))


def receive(connection, count):
    left = count
    while left > 0 and (piece := connection.recv(min(left, 1 << 16))):
        left -= len(piece)
    say("received" if left == 0 else f"{count - left} bytes came")


if sys.argv[1] == "listen":
    listener = socket.create_server(("", int(sys.argv[2])))
    say("listening")
    connection, _ = listener.accept()
    say("accepted")
else:
    connection = socket.socket()
    timed("connected", lambda: connection.connect((sys.argv[2], int(sys.argv[3]))))

for line in sys.stdin:
    verb, *count = line.split()
    if verb == "send":
        timed("sent", lambda: connection.sendall(bytes(int(count[0]))))
    elif verb == "receive":
        receive(connection, int(count[0]))
    else:
        connection.close()
        say("closed")
