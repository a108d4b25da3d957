"""Runs stages one after the other, and tells of each its name, its time and how many checks it made.

A stage's commands write to a log of its own under `.dev/logs`; what is shown of it is one line, or the log's tail if
the stage fails. The first failing stage is the last that runs.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEV = ROOT / ".dev"
LOGS = DEV / "logs"
# Longer than the slowest command takes on two cores from nothing; a command that hangs ends here.
COMMAND_SECS_MAX = 1200
# Enough for the reason of a failure, little enough to be read.
TAIL_LINES = 80


class Failed(Exception):
    """A stage failed; the text says why. `passed` and `failed` count its checks, where it counted them itself.

    `excerpt` is what of the log tells the reason, where that is known; otherwise its tail is shown.
    """

    def __init__(self, text, passed=0, failed=1, excerpt=""):
        super().__init__(text)
        self.passed = passed
        self.failed = failed
        self.excerpt = excerpt


class Log:
    """A stage's log, and the way to run commands that write to it."""

    def __init__(self, path):
        self.path = path
        self.file = open(path, "wb")
        # What is to be shown of the stage although it passed.
        self.notes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, text):
        self.file.write(text.encode())
        self.file.flush()

    def run(self, *command, cwd=ROOT, env=None):
        """Runs a command without standard input, with its output in the log. Raises Failed unless it exits 0."""
        status = self.status_of(*command, cwd=cwd, env=env)
        if status != 0:
            raise Failed(f"`{' '.join(map(str, command))}` ended with status {status}")

    def status_of(self, *command, cwd=ROOT, env=None):
        """As `run`, but returns the exit status."""
        self.write(f"$ {' '.join(map(str, command))}\n")
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=self.file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(timeout=COMMAND_SECS_MAX)
        except subprocess.TimeoutExpired:
            raise Failed(f"`{' '.join(map(str, command))}` took more than {COMMAND_SECS_MAX} s") from None
        finally:
            # Whatever ends us, an interrupt too, ends the command and what it started.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def text(self):
        self.file.flush()
        return self.path.read_text(encoding="utf-8", errors="replace")

    def tail(self):
        return "\n".join(self.text().splitlines()[-TAIL_LINES:])


def run_stages(stages):
    """Runs `stages`, pairs of a name and a function from a Log to a count of checks. Returns the exit status.

    The last line printed is `N passed, M failed`.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    passed = failed = 0
    began = time.monotonic()
    for number, (name, function) in enumerate(stages, start=1):
        print(f"[{number:2}/{len(stages)}] {name:<22}", end=" ", flush=True)
        stage_began = time.monotonic()
        with Log(LOGS / f"{number:02}-{name.replace(' ', '-')}.log") as log:
            try:
                count = function(log)
            except (Failed, OSError, subprocess.SubprocessError) as error:
                passed += getattr(error, "passed", 0)
                failed += getattr(error, "failed", 1)
                print(f"FAILED  {time.monotonic() - stage_began:6.1f} s\n")
                excerpt = getattr(error, "excerpt", "") or log.tail()
                print(f"{excerpt}\n\n{name}: {error}\nThe whole log: {log.path.relative_to(ROOT)}")
                break
        passed += count
        result = f"  {count:5} passed" if count else ""
        print(f"ok      {time.monotonic() - stage_began:6.1f} s{result}", flush=True)
        for note in log.notes:
            print(f"        {note}", flush=True)
    print(f"\nAll in {time.monotonic() - began:.1f} s.")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


def interrupted(*_):
    """Turns SIGTERM into the exception of Ctrl-C, so that commands and servers are ended on the way out."""
    raise KeyboardInterrupt


def main_of(stages):
    """Runs the stages named on the command line, or all; set-up comes always. Returns the exit status."""
    signal.signal(signal.SIGTERM, interrupted)
    wanted = sys.argv[1:]
    names = [name for name, _ in stages]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        print(f"no such stage: {', '.join(unknown)}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    always = names[0]
    try:
        return run_stages([stage for stage in stages if not wanted or stage[0] in wanted or stage[0] == always])
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
