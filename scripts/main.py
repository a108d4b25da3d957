"""`make test`: every check of the repository, in stages; CI runs the same.

`python3 scripts/main.py` runs all of them, `python3 scripts/main.py 'format' 'clippy'` those named.
"""

import re
import sys
import tempfile
from typing import NamedTuple

import cluster
import generate
import readme
import toolchain
from serving import accepting_receiver, tidings_serve
from stage import DEV, ROOT, Failed, main_of

# The test binary has the named crash points compiled in; one profile, so that dependencies compile once. What is compiled
# for the tests alone is optimised less: that halves the time, and its tests wait for other things than the processor.
TEST_BUILD = ["--release", "--locked", "--features", "faults", "--config", "profile.release.package.tidings.opt-level=0"]
TEST_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed", re.MULTILINE)
# What cargo test prints of a test that failed: its name and its output, up to the next or to the list of names.
TEST_FAILURE = re.compile(r"^---- (\S+) stdout ----\n(.*?)(?=^---- |^failures:$)", re.MULTILINE | re.DOTALL)
# Where a panic's output goes on to tell how it came there.
BACKTRACE = "stack backtrace:"
# Of the output of each, and in how many tests at most.
FAILURE_LINES, FAILURES_SHOWN = 40, 10
# More that fail at once are no accident.
REPEATED_MAX = 3
STYLE_FACT = re.compile(r"^ok \S", re.MULTILINE)
UNITTEST_RAN = re.compile(r"^Ran (\d+) tests? in", re.MULTILINE)


def format_check(log):
    log.run("cargo", "fmt", "--all", "--check")
    return 1


def clippy(log):
    log.run("cargo", "clippy", "--all-targets", *TEST_BUILD, "--", "-D", "warnings")
    return 1


def cargo_test(log):
    passed = failed = 0
    excerpts = []
    # Once more what runs the server as a whole, on Postgres. What fills a disk is SQLite's.
    whole = ["--test", "api", "--test", "faults"]
    with cluster.cluster(log) as url:
        for targets, environment, filters in [
            ([], {}, []),
            (whole, {cluster.CHOICE: "postgres"}, ["--skip", "storage::"]),
        ]:
            run = run_tests(log, targets, {cluster.VARIABLE: url, **environment}, filters)
            passed, failed = passed + run.passed, failed + run.failed
            excerpts.append(run.excerpt)
    if failed:
        raise Failed("cargo test failed", passed, failed, "\n\n".join(filter(None, excerpts)))
    if passed == 0:
        raise Failed("cargo test ran no test")
    return passed


class TestRun(NamedTuple):
    passed: int
    failed: int
    excerpt: str = ""


def run_tests(log, targets, environment, filters):
    """Runs cargo test. A few tests that fail are run once more by themselves: what fails again is broken, and what does
    not is named, for a test that fails now and then is to be mended as well."""

    def cargo(*filters):
        begin = len(log.text())
        command = ["cargo", "test", "--no-fail-fast", *TEST_BUILD, *targets, "--", *filters]
        status = log.status_of(*command, env=environment)
        text = log.text()[begin:]
        return status, *count_results(text), text

    status, passed, failed, text = cargo(*filters)
    if status == 0:
        return TestRun(passed, failed)
    excerpt, names = failures(text), failed_tests(text)
    if failed == len(names) <= REPEATED_MAX and failed:
        status, repeated, _, _ = cargo("--exact", *names)
        if status == 0 and repeated >= failed:
            log.notes += ["failed, and passed when repeated: " + ", ".join(names), *excerpt.splitlines()]
            return TestRun(passed + failed, 0)
    return TestRun(passed, max(failed, 1), excerpt)


def failed_tests(text):
    """The names of the tests that failed, in order."""
    return [name for name, _ in TEST_FAILURE.findall(text)]


def count_results(text):
    """(passed, failed) over all `test result:` lines of cargo test's output."""
    results = [(int(passed), int(failed)) for passed, failed in TEST_RESULT.findall(text)]
    return sum(passed for passed, _ in results), sum(failed for _, failed in results)


def failures(text):
    """What the tests that failed printed, first of each the beginning; empty if none did."""
    found = TEST_FAILURE.findall(text)
    reasons = [(name, output.split(BACKTRACE)[0].strip()) for name, output in found]
    shown = [f"{name}:\n" + "\n".join(reason.splitlines()[:FAILURE_LINES]) for name, reason in reasons]
    return "\n\n".join([*shown[:FAILURES_SHOWN], "failed: " + ", ".join(failed_tests(text))]) if found else ""


def scripts(log):
    log.run(toolchain.VENV / "bin" / "python", "-m", "unittest", "discover", "-s", "scripts/tests")
    ran = UNITTEST_RAN.search(log.text())
    if not ran or int(ran[1]) == 0:
        raise Failed("no test of the scripts ran")
    log.run("node", "--test", "tests/e2e/spans.test.mjs")
    log.run("node", "tests/e2e/stable.mjs", "--check")
    return int(ran[1]) + 2


def dependencies(log):
    log.run(toolchain.VENV / "bin" / "python", "scripts/deny.py")
    return 1


def protocol_lint(log):
    log.run("buf", "lint")
    log.run("buf", "format", "--diff", "--exit-code")
    return 2


def protocol_breaking(log):
    log.run("buf", "breaking", "--against", "proto/baseline.binpb")
    return 1


def build(log):
    # Without the crash points: from here on the binary is the one that is released.
    log.run("cargo", "build", "--release", "--locked")
    return 0


def go_client(log):
    folder = ROOT / "clients" / "go"
    log.run("go", "vet", "./...", cwd=folder)
    log.run("go", "build", "-buildvcs=false", "-o", toolchain.BIN / "smoke", "./smoke", cwd=folder)
    with tidings_serve(log) as address, accepting_receiver() as url:
        log.run(toolchain.BIN / "smoke", address, url)
    return 2


def build_typescript(log):
    log.run("tsc", "--project", "clients/typescript")


def typescript_client(log):
    build_typescript(log)
    with tidings_serve(log) as address, accepting_receiver() as url:
        log.run("node", "clients/typescript/dist/smoke.js", address, url)
    return 2


def official_libraries(log):
    build_typescript(log)
    with tempfile.TemporaryDirectory(dir=DEV) as records:
        with tidings_serve(log) as address:
            log.run("node", "tests/e2e/main.mjs", address, records)
        log.run(toolchain.VENV / "bin" / "python", "tests/e2e/verify.py", records)
    return 2


def styles(log):
    build_typescript(log)
    with tidings_serve(log) as address:
        status = log.status_of("node", "tests/e2e/styles.mjs", address)
    passed = len(STYLE_FACT.findall(log.text()))
    if status != 0 or passed == 0:
        raise Failed(f"styles.mjs ended with status {status}", passed)
    return passed


def demo(log):
    log.run("cargo", "run", "--release", "--locked", "--", "demo")
    return 1


STAGES = [
    ("set-up", toolchain.set_up),
    ("format", format_check),
    ("clippy", clippy),
    ("cargo test", cargo_test),
    ("scripts", scripts),
    ("dependencies", dependencies),
    ("protocol lint", protocol_lint),
    ("protocol breaking", protocol_breaking),
    ("generated code", generate.check_current),
    ("release build", build),
    ("go client", go_client),
    ("typescript client", typescript_client),
    ("official libraries", official_libraries),
    ("styles end to end", styles),
    ("documents", readme.run_documents),
    ("demo", demo),
]

# Not tests: what `make proto` and `make proto-baseline` do, with the same tools.
TASKS = {
    "--proto": ("generate from proto", generate.regenerate),
    "--proto-baseline": ("renew baseline", generate.renew_baseline),
}


if __name__ == "__main__":
    toolchain.put_tools_on_path()
    if len(sys.argv) == 2 and sys.argv[1] in TASKS:
        task = TASKS[sys.argv.pop()]
        sys.exit(main_of([STAGES[0], task]))
    sys.exit(main_of(STAGES))
