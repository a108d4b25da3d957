"""Runs every command in the ```console blocks of README.md and docs/, in order, and compares what they print.

In a block a line `$ command` is run by bash, in one temporary folder for all blocks of a document, in which `examples`
is the repository's; lines beginning with `> ` continue it, as does a line after a backslash. The variables and functions
that it sets are there for the commands after it, as if all were typed into one shell. The other lines have to appear in the output, in this order, with others between
them or not; a comma at a line's end does not count. `…` stands for anything; after a prefix, as in `ep_…`, it is
remembered, and later commands mean the same by `ep_…`. A command that ends in `&` runs on in the background: its lines
are awaited before the next command is run, those after a line `…` at the end. `kill %1` ends the first of those that run,
after its last lines; it has to end well. Every `127.0.0.1:PORT` is replaced by a
free port, the same wherever it stands.
"""

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from serving import TIDINGS, kill_group
from stage import DEV, ROOT, Failed

DOCUMENTS = ["README.md", "docs/styles.md", "docs/grpcurl.md", "docs/security.md"]
COMMAND_SECS_MAX = 60
BACKGROUND_SECS_MAX = 30
JOB = re.compile(r"kill %(\d+)")
PLACEHOLDER = re.compile(r"\b([a-z]+_)…")
ADDRESS = re.compile(r"\b127\.0\.0\.1:(\d+)\b")


class Command:
    """One `$ ` line of a block and the lines that it should print."""

    def __init__(self, document, line_number, text):
        self.place = f"{document}:{line_number}"
        self.text = text
        self.expected = []
        # How many of the expected lines a command in the background prints before the next command is run.
        self.awaited = None

    @property
    def in_background(self):
        return self.text.endswith(" &")


def commands_in(markdown, document="README.md"):
    """The commands of all ```console blocks. Raises Failed for a block that is not closed or begins with output."""
    commands, inside = [], False
    continued = False
    for number, line in enumerate(markdown.splitlines(), start=1):
        if not inside:
            inside = line.strip() == "```console"
            first = True
        elif line.strip() == "```":
            inside = False
        elif line.startswith("$ "):
            commands.append(Command(document, number, line[2:].strip()))
            first, continued = False, line.endswith("\\")
        elif first:
            raise Failed(f"{document}:{number}: a console block has to begin with a command")
        elif continued or line.startswith("> "):
            commands[-1].text += "\n" + line.removeprefix("> ")
            continued = line.endswith("\\")
        elif line.strip() == "…":
            if commands[-1].awaited is None:
                commands[-1].awaited = len(commands[-1].expected)
        elif line.strip():
            commands[-1].expected.append(line)
    if inside:
        raise Failed(f"{document}: a console block is not closed")
    return commands


def normal(line):
    """The line with single spaces, and without the comma at its end: whether one follows is up to the next field."""
    return " ".join(line.split()).removesuffix(",")


def pattern_of(expected):
    """The expected line as a regular expression, whose groups are the remembered placeholders."""
    parts = PLACEHOLDER.split(normal(expected))
    # `split` alternates between the text around the placeholders and their prefixes.
    pattern = ""
    for index, part in enumerate(parts):
        if index % 2 == 0:
            pattern += ".*".join(map(re.escape, part.split("…")))
        else:
            pattern += f"({re.escape(part)}[A-Za-z0-9_+/=.-]+)"
    return re.compile(pattern)


def match_lines(expected, lines):
    """Finds the expected lines among `lines`, in order: (how many were found, what the placeholders stood for)."""
    found, remembered = 0, {}
    for line in lines:
        if found == len(expected):
            break
        match = pattern_of(expected[found]).fullmatch(normal(line))
        if match:
            for prefix, value in zip(PLACEHOLDER.findall(expected[found]), match.groups()):
                remembered[prefix] = value
            found += 1
    return found, remembered


class Session:
    """What commands share: the folder, the ports, what placeholders stand for, and what runs in the background."""

    def __init__(self, folder, log):
        self.folder = folder
        self.log = log
        self.ports = {}
        self.remembered = {}
        self.background = []
        # Where a command leaves its shell's variables and functions for the next one.
        self.shell = os.path.join(folder, ".shell")
        Path(self.shell).touch()
        self.env = {**os.environ, "PATH": os.pathsep.join([str(TIDINGS.parent), os.environ["PATH"]])}

    def on_free_ports(self, text):
        """`text` with each port of 127.0.0.1 replaced by a free one."""

        def replace(match):
            if match[1] not in self.ports:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", 0))
                    self.ports[match[1]] = probe.getsockname()[1]
            return f"127.0.0.1:{self.ports[match[1]]}"

        return ADDRESS.sub(replace, text)

    def filled_in(self, command):
        """The command's text with ports and placeholders replaced. Raises Failed for an unknown placeholder."""

        def replace(match):
            if match[1] not in self.remembered:
                raise Failed(f"{command.place}: no output before has shown `{match[0]}`")
            return self.remembered[match[1]]

        return self.on_free_ports(PLACEHOLDER.sub(replace, command.text))

    def in_the_shell(self, text):
        """`text` as a script that begins with what earlier scripts have set, and leaves what it sets to later ones."""
        shell = shlex.quote(self.shell)
        leave = shlex.quote(f"{{ export -p; declare -f; }} > {shell}")
        return f"trap {leave} EXIT\nset -a\n. {shell}\n{text}"

    def run(self, command):
        text = self.filled_in(command)
        expected = [self.on_free_ports(line) for line in command.expected]
        self.log.write(f"$ {text}\n")
        job = JOB.fullmatch(text)
        if job:
            self.end_job(command.place, int(job[1]))
            return
        if command.in_background:
            if not expected:
                raise Failed(f"{command.place}: a command in the background has to show what it prints")
            process = Background(text.removesuffix(" &"), self, command.place, expected)
            self.background.append(process)
            process.wait_for(len(expected) if command.awaited is None else command.awaited)
            return
        try:
            done = subprocess.run(
                ["bash", "-c", self.in_the_shell(text)],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=COMMAND_SECS_MAX,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"{command.place}: took more than {COMMAND_SECS_MAX} s") from None
        output = done.stdout.decode(errors="replace")
        self.log.write(output)
        if done.returncode != 0:
            raise Failed(f"{command.place}: ended with status {done.returncode}")
        found, remembered = match_lines(expected, output.splitlines())
        if found < len(expected):
            raise Failed(f"{command.place}: does not print (in this order): {expected[found]}")
        self.remembered.update(remembered)


    def end_job(self, place, number):
        """Ends what runs in the background under this number, as a shell counts that has no other jobs."""
        if not 0 < number <= len(self.background):
            raise Failed(f"{place}: there is no job {number}")
        process = self.background.pop(number - 1)
        try:
            process.wait_for(len(process.expected))
        finally:
            process.stop()
        if process.process.returncode not in (0, -signal.SIGTERM):
            raise Failed(f"{place}: the job ended with status {process.process.returncode}")


class Background:
    """A command that runs on while the next ones run."""

    def __init__(self, text, session, place, expected):
        self.session = session
        self.place = place
        self.expected = expected
        self.lines = []
        self.ended = False
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            ["bash", "-c", f". {shlex.quote(session.shell)}\nexec {text}"],
            cwd=session.folder,
            env=session.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        with self.process.stdout as output:
            for raw in output:
                line = raw.decode(errors="replace")
                self.session.log.write(f"[{self.place}] {line}")
                with self.changed:
                    self.lines.append(line)
                    self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait_for(self, count):
        """Waits until the first `count` expected lines were printed. Raises Failed if they are not in time."""
        deadline = time.monotonic() + BACKGROUND_SECS_MAX
        with self.changed:
            while True:
                found, remembered = match_lines(self.expected[:count], self.lines)
                if found == count:
                    self.session.remembered.update(remembered)
                    return
                left = deadline - time.monotonic()
                if left <= 0 or self.ended:
                    missing = self.expected[found]
                    raise Failed(f"{self.place}: does not print (in this order): {missing}")
                self.changed.wait(left)

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)
        kill_group(self.process)
        self.reader.join(timeout=10)


def run_commands(commands, log):
    """Runs the commands of one document. Returns how many there are."""
    with tempfile.TemporaryDirectory(dir=DEV) as folder:
        session = Session(folder, log)
        os.symlink(ROOT / "examples", os.path.join(folder, "examples"))
        try:
            for command in commands:
                session.run(command)
            for process in session.background:
                process.wait_for(len(process.expected))
        finally:
            # The server, started first, is stopped last.
            for process in reversed(session.background):
                process.stop()
    return len(commands)


def run_documents(log):
    """Runs all documents. Returns the number of their commands."""
    ran = 0
    for document in DOCUMENTS:
        commands = commands_in((ROOT / document).read_text(encoding="utf-8"), document)
        if not commands:
            raise Failed(f"{document} has no commands", ran)
        ran += run_commands(commands, log)
    return ran
