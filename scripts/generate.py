"""Generates the clients and docs/api.md from `proto/`, or proves that the committed ones are what would be generated."""

import filecmp
import shutil
import tempfile
from pathlib import Path

import reference
from stage import DEV, ROOT, Failed

# Folders that hold generated code only.
GENERATED = ["clients/go/tidings", "clients/typescript/gen"]


def regenerate(log):
    """Replaces the committed generated code. Returns how many files there are."""
    for folder in GENERATED:
        shutil.rmtree(ROOT / folder, ignore_errors=True)
    log.run("buf", "generate")
    (ROOT / reference.DOCUMENT).write_text(reference.render(reference.image(log)), encoding="utf-8")
    return sum(len(files_of(ROOT / folder)) for folder in GENERATED) + 1


def check_current(log):
    """Generates into a temporary folder and compares. Returns the number of checks, one."""
    with tempfile.TemporaryDirectory(dir=DEV) as temporary:
        log.run("buf", "generate", "--output", temporary)
        differing = [
            f"{folder}/{name}"
            for folder in GENERATED
            for name in compare(Path(temporary) / folder, ROOT / folder)
        ]
    if not is_current(ROOT / reference.DOCUMENT, reference.render(reference.image(log))):
        differing.append(reference.DOCUMENT)
    if differing:
        log.write("\n".join(differing) + "\n")
        raise Failed("generated code is not current: run `make proto` and commit what it changes")
    return 1


def is_current(document, text):
    """Whether a committed document is `text`."""
    return document.is_file() and document.read_text(encoding="utf-8") == text


def compare(expected, committed):
    """Names of files that only one of two folders has, or whose bytes differ."""
    expected_files, committed_files = files_of(expected), files_of(committed)
    if not expected_files:
        raise Failed(f"nothing was generated for {committed}")
    differing = sorted(expected_files ^ committed_files)
    for name in sorted(expected_files & committed_files):
        if not filecmp.cmp(expected / name, committed / name, shallow=False):
            differing.append(name)
    return differing


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def renew_baseline(log):
    """Makes the protocol as it is now the one that later changes are compared with. Returns the number of files."""
    log.run("buf", "build", "--exclude-source-info", "--output", "proto/baseline.binpb")
    return 1
