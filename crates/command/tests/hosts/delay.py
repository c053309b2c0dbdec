"""Delays every packet between two network namespaces, CLIENT and FIREWALL, by SECONDS each way, on
two tun(4) devices, named `slow` in both."""

import ctypes
import fcntl
import heapq
import os
import selectors
import struct
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)


def tun(namespace):
    target = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if libc.setns(target, 0x40000000):  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "setns(2)")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, 0x400454CA, struct.pack("16sH", b"slow", 0x1001))  # IFF_TUN, IFF_NO_PI
    return device


devices = [tun(sys.argv[1]), tun(sys.argv[2])]
delay = float(sys.argv[3])
selector = selectors.DefaultSelector()
for place, device in enumerate(devices):
    selector.register(device, selectors.EVENT_READ, devices[1 - place])
print("ready", flush=True)
queue = []
number = 0
while True:
    left = max(queue[0][0] - time.monotonic(), 0) if queue else None
    for key, _ in selector.select(left):
        number += 1
        packet = os.read(key.fd, 65536)
        heapq.heappush(queue, (time.monotonic() + delay, number, key.data, packet))
    while queue and queue[0][0] <= time.monotonic():
        _, _, device, packet = heapq.heappop(queue)
        try:
            os.write(device, packet)
        except OSError:
            pass  # It is not up yet.
