"""A server that gives every request one answer: what stands before an MLflow server, or instead."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def answering_always(status: int, body: str, kind: str = "text/plain") -> Iterator[str]:
    """Answer everything so; give the server's address."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body.encode())))
        handler.end_headers()
        handler.wfile.write(body.encode())

    methods = {f"do_{name}": answer for name in ("GET", "POST", "PATCH", "PUT", "DELETE")}
    silent = {"log_message": lambda *_: None}
    handler = type("Handler", (BaseHTTPRequestHandler,), methods | silent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
