"""An endpoint on loopback that answers by a script, and misbehaves where the script says so."""

import json
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from agents.llm.http_engine import HttpEngine


class ScriptedServer:
    """Each request takes the next of ``script``, a function of (handler, body); the last one stays.

    ``seen`` has what was asked: path, headers, body, seconds since the first request.
    """

    def __init__(self, *script):
        self.script, self.seen = list(script), []
        self.release = threading.Event()  # ends hanging answers
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer in one packet: two would wait for each other

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer._lock:
                    outer.seen.append((self.path, dict(self.headers), body))
                    act = outer.script[0] if len(outer.script) == 1 else outer.script.pop(0)
                act(self, body)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


def send(handler, status, content, headers=(), length=None):
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    handler.send_response(status)
    for name, value in headers:
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(payload) if length is None else length))
    handler.end_headers()
    handler.wfile.write(payload)


def completion(text, prompt_tokens=7, completion_tokens=3):
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    return {"choices": [{"index": 0, "text": text}], "usage": usage}


def chat_completion(text):
    message = {"role": "assistant", "content": text}
    return {"choices": [{"index": 0, "message": message}], "usage": {"prompt_tokens": 70, "completion_tokens": 4}}


def says(text):
    return lambda handler, body: send(handler, 200, completion(text))


def echo(handler, body):
    """Repeats the prompt."""
    send(handler, 200, completion(body["prompt"]))


def fails(status, content=b"{}", headers=()):
    return lambda handler, body: send(handler, status, content, headers)


def gives(content):
    return lambda handler, body: send(handler, 200, content)


def cuts_off(handler, body):
    """Promises more than it sends, and resets the connection."""
    send(handler, 200, b'{"choices": [{"te', length=500)
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


def engine_for(server, **changes):
    """An engine that asks a server (or an address), with little patience."""
    given = {"chat": False, "key_variable": "", "timeout": 5.0, "retries": 3}
    given |= {"requests_per_minute": 0, "requests_in_flight": 4, "url": getattr(server, "url", server)}
    return HttpEngine(**{**given, "model": "small", **changes})
