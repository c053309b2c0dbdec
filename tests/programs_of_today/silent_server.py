"""Servers that take a request and answer it after $SILENCE seconds without a byte.

    silent_server.py http | grpc | mongo | kafka

They listen at port 7000. http answers every request with what the SDKs of language models expect.
mongo and kafka know as much of their protocols as a client needs to connect and to ask once.
"""

import asyncio
import json
import os
import struct
import sys

SILENCE = float(os.environ["SILENCE"])
PORT = 7000

OPENAI = {
    "id": "1",
    "object": "chat.completion",
    "created": 0,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "hello"},
        }
    ],
}
ANTHROPIC = {
    "id": "1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
GOOGLE = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}}],
}


async def http(reader, writer):
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split(" ")[1]
        fields = dict(
            line.lower().split(": ", 1) for line in head.splitlines()[1:] if ": " in line
        )
        await reader.readexactly(int(fields.get("content-length", 0)))
        answer = OPENAI
        if path.endswith("/messages"):
            answer = ANTHROPIC
        elif "generateContent" in path:
            answer = GOOGLE
        body = json.dumps(answer).encode()
        await asyncio.sleep(SILENCE)
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )


async def mongo(reader, writer):
    """OP_QUERY and OP_MSG of the wire protocol: the answer to `ping` is late."""
    import bson

    hello = {
        "ok": 1.0,
        "ismaster": True,
        "isWritablePrimary": True,
        "helloOk": True,
        "maxBsonObjectSize": 1 << 24,
        "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000,
        "minWireVersion": 0,
        "maxWireVersion": 21,
    }
    while True:
        length, number, _, kind = struct.unpack("<iiii", await reader.readexactly(16))
        message = await reader.readexactly(length - 16)
        if kind == 2004:  # OP_QUERY: flags, name, numbers, document; the answer is OP_REPLY
            document = bson.encode(hello)
            reply = struct.pack("<iqii", 8, 0, 0, 1) + document
            answer = 1
        else:  # OP_MSG: flags, kind of section, document
            command = bson.decode_all(message[5 : 5 + struct.unpack_from("<i", message, 5)[0]])[0]
            if "ping" in command:
                await asyncio.sleep(SILENCE)
            is_hello = next(iter(command)) in ("hello", "ismaster")
            reply = struct.pack("<iB", 0, 0) + bson.encode(hello if is_hello else {"ok": 1.0})
            answer = 2013
        writer.write(struct.pack("<iiii", 16 + len(reply), 1, number, answer) + reply)


async def kafka(reader, writer):
    """ApiVersions (18) and Metadata (3): the answer to the latter is late."""
    host = writer.get_extra_info("sockname")[0].encode()
    while True:
        request = await reader.readexactly(
            struct.unpack(">i", await reader.readexactly(4))[0]
        )
        key, version, number = struct.unpack_from(">hhi", request)
        if key == 18 and version > 2:
            # A version that it does not have: the client asks again with version 0.
            answer = struct.pack(">hi", 35, 1) + struct.pack(">hhh", 18, 0, 2)
        elif key == 18:
            answer = struct.pack(">hi", 0, 2) + struct.pack(">hhhhhh", 18, 0, 2, 3, 0, 1)
            if version > 0:
                answer += struct.pack(">i", 0)
        else:
            await asyncio.sleep(SILENCE)
            # One broker, this one, without a rack; the controller; no topic.
            broker = struct.pack(">iih", 1, 1, len(host)) + host + struct.pack(">i", PORT)
            answer = broker + (struct.pack(">hi", -1, 1) if version > 0 else b"")
            answer += struct.pack(">i", 0)
        answer = struct.pack(">i", number) + answer
        writer.write(struct.pack(">i", len(answer)) + answer)


def grpc():
    """A server by grpcio that answers every method with its request."""
    import time
    from concurrent import futures

    import grpc

    class EveryMethod(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(self.answer)

        def answer(self, request, context):
            time.sleep(SILENCE)
            return request

    server = grpc.server(futures.ThreadPoolExecutor(1), handlers=[EveryMethod()])
    server.add_insecure_port(f"0.0.0.0:{PORT}")
    server.start()
    server.wait_for_termination()


async def serve(protocol):
    async def connection(reader, writer):
        try:
            await protocol(reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    async with await asyncio.start_server(connection, "0.0.0.0", PORT) as server:
        await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "grpc":
        grpc()
    else:
        asyncio.run(serve({"http": http, "mongo": mongo, "kafka": kafka}[sys.argv[1]]))
