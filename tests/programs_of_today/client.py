"""One request by one of Python's clients to $HOST at port 7000: client.py NAME

It prints "asks" before the request, then "answered" or "failed: " and why; and first, where the
client tells them, "limits: ", its own limits.
"""

import os
import sys

HOST = os.environ["HOST"]
PORT = 7000
ADDRESS = f"http://{HOST}:{PORT}"
# What the database is asked to sleep; the other servers know it themselves.
SILENCE = int(os.environ["SILENCE"])


def limits(text):
    print("limits:", text, flush=True)


def asks():
    print("asks", flush=True)


def requests():
    import requests

    asks()
    requests.get(ADDRESS)


def httpx():
    import httpx

    client = httpx.Client(timeout=None)
    limits(f"read {httpx.Client().timeout.read:g} s (none in this test)")
    asks()
    client.get(ADDRESS)


def aiohttp():
    import asyncio

    import aiohttp

    async def get():
        async with aiohttp.ClientSession() as session:
            limits(f"total {session.timeout.total:g} s")
            asks()
            async with session.get(ADDRESS) as answer:
                await answer.read()

    asyncio.run(get())


def openai():
    from openai import OpenAI

    client = OpenAI(api_key="none", base_url=f"{ADDRESS}/v1")
    limits(f"read {client.timeout.read:g} s, {client.max_retries} retries")
    asks()
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}])


def anthropic():
    from anthropic import Anthropic

    client = Anthropic(api_key="none", base_url=ADDRESS)
    limits(f"read {client.timeout.read:g} s, {client.max_retries} retries")
    asks()
    client.messages.create(
        model="m", max_tokens=9, messages=[{"role": "user", "content": "?"}]
    )


def google_genai():
    from google import genai

    client = genai.Client(
        api_key="none", http_options=genai.types.HttpOptions(base_url=ADDRESS)
    )
    asks()
    client.models.generate_content(model="m", contents="?")


def grpcio():
    import grpc

    with grpc.insecure_channel(f"{HOST}:{PORT}") as channel:
        asks()
        channel.unary_unary("/any/method")(b"?", wait_for_ready=True)


def psycopg():
    import psycopg

    with psycopg.connect(f"host={HOST} port={PORT} user=postgres dbname=postgres") as connection:
        asks()
        connection.execute(f"select pg_sleep({SILENCE})")


def mysqlclient():
    import MySQLdb

    with MySQLdb.connect(host=HOST, port=PORT, user="root") as connection:
        asks()
        connection.cursor().execute(f"select sleep({SILENCE})")


def pymongo():
    import pymongo

    client = pymongo.MongoClient(HOST, PORT)
    asks()
    client.admin.command("ping")


def pika():
    import pika

    connection = pika.BlockingConnection(pika.ConnectionParameters(HOST, PORT))
    channel = connection.channel()
    # What is published to one queue is delivered from the other when it has grown old there.
    channel.queue_declare("late", exclusive=True)
    channel.queue_declare(
        "first",
        exclusive=True,
        arguments={
            "x-message-ttl": SILENCE * 1000,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": "late",
        },
    )
    limits(f"heartbeat {connection._impl.params.heartbeat} s")
    asks()
    channel.basic_publish("", "first", b"?")
    next(channel.consume("late"))


def redis_py():
    import redis

    own = redis.Redis().connection_pool.connection_kwargs["socket_timeout"]
    limits(f"read {own} s (none in this test)")
    client = redis.Redis(HOST, PORT, socket_timeout=None)
    asks()
    client.blpop("nothing", SILENCE)


def confluent_kafka():
    from confluent_kafka.admin import AdminClient

    client = AdminClient({"bootstrap.servers": f"{HOST}:{PORT}"})
    asks()
    client.list_topics(timeout=3600)


def dotnet():
    """The runtime that Microsoft put on PyPI, by pythonnet."""
    import json
    import pathlib

    import dotnetcore2
    import pythonnet
    from clr_loader import get_coreclr

    options = {
        "framework": {"name": "Microsoft.NETCore.App", "version": "3.1.23"},
        "configProperties": {"System.Globalization.Invariant": True},
    }
    settings = pathlib.Path("runtimeconfig.json")
    settings.write_text(json.dumps({"runtimeOptions": options}))
    root = pathlib.Path(dotnetcore2.__file__).parent / "bin"
    pythonnet.load(get_coreclr(runtime_config=str(settings.absolute()), dotnet_root=str(root)))
    import clr

    clr.AddReference("System.Net.Http")
    from System.Net.Http import HttpClient

    client = HttpClient()
    limits(f"Timeout {client.Timeout.TotalSeconds:g} s")
    asks()
    client.GetStringAsync(ADDRESS).Result


if __name__ == "__main__":
    try:
        globals()[sys.argv[1].replace("-", "_")]()
        print("answered", flush=True)
    except Exception as error:
        text = " ".join(str(error).split())
        print(f"failed: {type(error).__name__}{text and ': ' + text}", flush=True)
