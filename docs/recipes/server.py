#!/usr/bin/env python3
"""server.py [PORT]: answers HTTP; /after/12 only after 12 seconds, as a model that thinks does."""
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        before, _, seconds = self.path.rpartition("/")
        time.sleep(int(seconds) if before.endswith("after") else 0)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("", int(sys.argv[1]) if sys.argv[1:] else 8000), Handler).serve_forever()
