#!/usr/bin/env python3
"""ask.py HOST[:PORT] PATH [SECONDS]...: asks over one connection, and again after each pause."""
import http.client
import sys
import time

host, path, *pauses = sys.argv[1:]
# Most programs wait for ever. This one has to end.
connection = http.client.HTTPConnection(host, timeout=10)
for pause in [0, *map(int, pauses)]:
    time.sleep(pause)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        print(f"answered: {answer.status} {answer.reason}", flush=True)
    except OSError as error:
        sys.exit(f"no answer: {error}")
