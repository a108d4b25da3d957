"""Processes that the stages need beside what they test: a Tidings server, and a receiver that accepts everything."""

import contextlib
import http.server
import os
import queue
import re
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

from stage import DEV, ROOT, Failed

TIDINGS = Path(ROOT, os.environ.get("CARGO_TARGET_DIR", "target"), "release", "tidings")
START_SECS_MAX = 20
STOP_SECS_MAX = 20
# What lets a server deliver to plain HTTP receivers on loopback.
# What the servers of the stages are given as their operator's key, and what their clients call with.
ADMIN_KEY = f"tdk_{'stages'.rjust(26, '0')}_{'0' * 52}"
LOOPBACK = ["--allow-http", "--allow-cidr", "127.0.0.0/8", "--allow-cidr", "::1/128", "--allow-port", "1-65535"]


@contextlib.contextmanager
def tidings_serve(log):
    """A server with a database of its own, on a port of its own: yields `127.0.0.1:PORT`.

    It is stopped with SIGTERM at the end, and has to exit 0. What runs meanwhile finds its key in TIDINGS_API_KEY.
    """
    os.environ["TIDINGS_API_KEY"] = ADMIN_KEY
    with tempfile.TemporaryDirectory(dir=DEV) as folder:
        command = [str(TIDINGS), "serve", "--listen", "127.0.0.1:0", "--database", f"{folder}/tidings.db", *LOOPBACK]
        log.write(f"$ {' '.join(command)}\n")
        process = subprocess.Popen(
            command,
            env={**os.environ, "TIDINGS_ADMIN_KEY": ADMIN_KEY},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log.file,
            start_new_session=True,
        )
        found = queue.Queue()
        copier = threading.Thread(target=copy_output, args=(process, log, found), daemon=True)
        copier.start()
        try:
            yield listening_address(process, found)
            # A server that died meanwhile is a failure, whatever the client saw.
            if process.poll() is not None:
                raise Failed(f"the server ended by itself with status {process.returncode}")
            process.send_signal(signal.SIGTERM)
            if process.wait(timeout=STOP_SECS_MAX) != 0:
                raise Failed(f"the server ended with status {process.returncode} after SIGTERM")
        except subprocess.TimeoutExpired:
            raise Failed(f"the server did not end within {STOP_SECS_MAX} s of SIGTERM") from None
        finally:
            del os.environ["TIDINGS_API_KEY"]
            kill_group(process)
            copier.join(timeout=STOP_SECS_MAX)


def copy_output(process, log, found):
    """Copies a server's output into the log; puts the address of its line `listening on …` into `found`, then None."""
    with process.stdout as output:
        for line in output:
            log.write(line.decode(errors="replace"))
            match = re.search(rb"listening on (127\.0\.0\.1:\d+)", line)
            if match:
                found.put(match[1].decode())
    found.put(None)


def listening_address(process, found):
    """The address that `copy_output` finds. Raises Failed if there is none in time."""
    try:
        address = found.get(timeout=START_SECS_MAX)
    except queue.Empty:
        raise Failed(f"the server did not say `listening on …` within {START_SECS_MAX} s") from None
    if address is None:
        raise Failed(f"the server ended before it listened, with status {process.wait()}")
    return address


@contextlib.contextmanager
def accepting_receiver():
    """An HTTP server that answers every POST with 204: yields its URL."""

    class Accept(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Accept)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


def kill_group(process):
    """Ends a process started in its own session, and whatever it started, if it still runs."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
