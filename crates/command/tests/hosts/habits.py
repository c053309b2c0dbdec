"""A server on a port with one of the habits that `keepalive measure` meets, or a slow path:

    close SECONDS, reset SECONDS   ends connections that carry no data
    probe SECONDS                  sends keepalive probes of its own
    defer SECONDS                  takes connections once data came, or after this time
    full NUMBER                    never accepts, and has room for so many
    restart SECONDS                ends all after this time, and listens anew two seconds later
"""

import selectors
import socket
import struct
import sys
import time

port, habit, number = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


def bound():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", port))
    return listener


listener = bound()
if habit == "defer":
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, number)
if habit == "probe":
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL:
        listener.setsockopt(socket.IPPROTO_TCP, option, number)
listener.listen(number if habit == "full" else 128)
print("listening", flush=True)
if habit == "full":
    time.sleep(9999)

waiting = selectors.DefaultSelector()
waiting.register(listener, selectors.EVENT_READ)
opened = {}
has_restarted = False
while True:
    first = min(opened.values(), default=time.monotonic())
    if habit == "restart" and not has_restarted and time.monotonic() >= first + number:
        has_restarted = True
        for each in [listener, *opened]:
            waiting.unregister(each)
            each.close()
        opened.clear()
        time.sleep(2)
        listener = bound()
        listener.listen(128)
        waiting.register(listener, selectors.EVENT_READ)
    for key, _ in waiting.select(0.1):
        if key.fileobj is listener:
            connection = listener.accept()[0]
            opened[connection] = time.monotonic()
            waiting.register(connection, selectors.EVENT_READ)
            continue
        try:
            is_over = not key.fileobj.recv(4096)
        except OSError:
            is_over = True
        if is_over:
            waiting.unregister(key.fileobj)
            del opened[key.fileobj]
            key.fileobj.close()
    for connection, since in list(opened.items()):
        if habit in ("close", "reset") and time.monotonic() >= since + number:
            waiting.unregister(connection)
            del opened[connection]
            if habit == "reset":
                now = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
            connection.close()
