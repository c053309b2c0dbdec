# As target.c.
import socket, sys

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
accepted = []
print("ready", listener.getsockname()[1], flush=True)
for line in sys.stdin:
    if line == "accept\n":
        accepted.append(listener.accept())
        print("accept ok", flush=True)
    else:
        client.sendall(b"x")
        server.sendall(server.recv(1))
        assert client.recv(1) == b"x"
        print("echo ok", flush=True)
