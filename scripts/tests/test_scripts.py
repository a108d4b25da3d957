"""The rules by which the stages judge: each has a case that holds and a case that does not."""

import re
import socket
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cluster
import deny
import generate
import main as stages
import readme
from stage import DEV, ROOT, Failed, Log

ALLOWED = {"MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"}
CONFIG = {
    "graph": {"targets": [], "all-features": True},
    "licenses": {"allow": sorted(ALLOWED)},
    "bans": {
        "multiple-versions": "allow",
        "wildcards": "deny",
        "deny": [{"crate": "openssl-sys", "reason": "TLS is rustls alone"}],
    },
    "sources": {
        "unknown-registry": "deny",
        "unknown-git": "deny",
        "allow-registry": ["https://registry.test/index"],
        "allow-git": [],
    },
}


def setUpModule():
    DEV.mkdir(exist_ok=True)


def package(**changes):
    found = {
        "name": "good",
        "version": "1.0.0",
        "license": "MIT",
        "source": "registry+https://registry.test/index",
        "dependencies": [],
    }
    return {**found, **changes}


class ClusterTest(unittest.TestCase):
    def test_versions_from_14_are_used(self):
        self.assertTrue(cluster.new_enough("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"))
        self.assertTrue(cluster.new_enough("postgres (PostgreSQL) 14beta1\n"))
        self.assertFalse(cluster.new_enough("postgres (PostgreSQL) 13.21\n"))
        self.assertFalse(cluster.new_enough("something else 18\n"))

    def test_server_is_ended_when_what_used_it_failed(self):
        with tempfile.TemporaryDirectory(dir=DEV) as folder, Log(Path(folder) / "log") as log:
            with self.assertRaises(KeyError), cluster.cluster(log) as url:
                port = int(url.rsplit(":", 1)[1].split("/")[0])
                socket.create_connection(("127.0.0.1", port)).close()
                raise KeyError
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))


class DenyTest(unittest.TestCase):
    def test_licence_expressions_are_read_as_spdx_has_them(self):
        for expression, expected in {
            "MIT": True,
            "GPL-3.0": False,
            "GPL-3.0 OR MIT": True,
            "GPL-3.0/MIT": True,
            "MIT AND GPL-3.0": False,
            "MIT OR Apache-2.0 AND GPL-3.0": True,
            "(MIT OR Apache-2.0) AND GPL-3.0": False,
            "Apache-2.0 WITH LLVM-exception": True,
            "MIT WITH LLVM-exception": False,
        }.items():
            self.assertEqual(deny.licence_allowed(expression, ALLOWED), expected, expression)

    def test_malformed_licence_expressions_are_errors(self):
        for expression in ["", "MIT OR", "(MIT", "MIT)", "AND MIT", "MIT Apache-2.0", "MIT WITH"]:
            with self.assertRaises(ValueError, msg=expression):
                deny.licence_allowed(expression, ALLOWED)

    def test_a_good_package_passes_and_each_violation_is_found(self):
        self.assertEqual(deny.check(CONFIG, [package()]), [])
        for changes, reason in [
            ({"license": "GPL-3.0"}, "licence GPL-3.0 is not allowed"),
            ({"license": None}, "it names no licence"),
            ({"name": "openssl-sys"}, "it is banned"),
            ({"source": "registry+https://other.test/index"}, "source registry https://other.test/index"),
            ({"source": "git+https://registry.test/index?rev=1#1"}, "source git https://registry.test/index"),
            ({"source": None, "dependencies": [{"req": "*", "name": "any"}]}, "any version of any"),
        ]:
            problems = deny.check(CONFIG, [package(**changes)])
            self.assertEqual(len(problems), 1, problems)
            self.assertIn(reason, problems[0])

    def test_rules_that_are_not_enforced_are_refused(self):
        for changes in [
            {"advisories": {}},
            {"licenses": {"allow": ["MIT"], "exceptions": []}},
            {"sources": {**CONFIG["sources"], "unknown-git": "warn"}},
            {"bans": {**CONFIG["bans"], "deny": [{"crate": "a", "wrappers": ["b"]}]}},
        ]:
            self.assertEqual(len(deny.unknown_rules({**CONFIG, **changes})), 1, changes)


class ReadmeTest(unittest.TestCase):
    def run_markdown(self, *blocks):
        markdown = "".join(f"```console\n{block}\n```\n" for block in blocks)
        with tempfile.NamedTemporaryFile() as file, Log(file.name) as log:
            return readme.run_commands(readme.commands_in(markdown), log)

    def test_output_is_compared_loosely(self):
        self.assertEqual(self.run_markdown("$ printf 'a\\nb 1 c\\nd\\n'\nb … c", "$ true"), 2)

    def test_failures_are_told_apart(self):
        for block, reason in [
            ("$ false", "status 1"),
            ("$ echo a\nb", "does not print (in this order): b"),
            ("$ printf 'a\\nb\\n'\nb\na", "does not print (in this order): a"),
            ("$ echo id_…", "no output before has shown `id_…`"),
            ("$ sleep 1 &", "has to show what it prints"),
            ("$ echo a &\na\nb", "does not print (in this order): b"),
            ("output first", "begin with a command"),
        ]:
            with self.assertRaises(Failed, msg=block) as caught:
                self.run_markdown(block)
            self.assertIn(reason, str(caught.exception))

    def test_placeholders_are_remembered_and_ports_are_replaced(self):
        self.assertEqual(
            self.run_markdown(
                '$ echo \'{ "id": "ep_a1-_" }\'\n{ "id": "ep_…" }',
                "$ test ep_… = ep_a1-_",
                "$ test 127.0.0.1:7070 != 127.0.0.1:$((7000 + 70))\n",
                "$ echo 127.0.0.1:7070\n127.0.0.1:7070",
            ),
            4,
        )

    def test_background_commands_run_on_and_are_awaited(self):
        waiting = "$ sh -c 'echo ready; until test -e file; do sleep 0.05; done; echo seen' &\nready\n…\nseen"
        self.assertEqual(self.run_markdown(waiting, "$ touch file"), 2)

    def test_jobs_are_ended_by_number_after_their_last_lines(self):
        waiting = "$ sh -c 'trap \"echo over; exit 0\" TERM; echo ready; until test -e file; do sleep 0.05; done; echo seen; {}' &"
        goes_on, fails = "while :; do sleep 0.05; done", "exit 3"
        lines = "\nready\n…\nseen"
        self.assertEqual(self.run_markdown(waiting.format(goes_on) + lines, "$ touch file", "$ kill %1"), 3)
        with self.assertRaisesRegex(Failed, "there is no job 1"):
            self.run_markdown(waiting.format(goes_on) + lines, "$ touch file", "$ kill %1", "$ kill %1")
        with self.assertRaisesRegex(Failed, "the job ended with status 3"):
            self.run_markdown(waiting.format(fails) + lines, "$ touch file; sleep 0.5", "$ kill %1")

    def test_what_a_command_sets_in_the_shell_is_there_for_the_next(self):
        blocks = [
            "$ thing=\"a 'b'\"; say() { echo \"$1: $thing\"; }",
            "$ say one\none: a 'b'",
            "$ sh -c 'echo \"$thing\"' &\na 'b'",
            "$ other=$(say two)",
            "$ echo \"$other\"\ntwo: a 'b'",
        ]
        self.assertEqual(self.run_markdown(*blocks), 5)
        with self.assertRaises(Failed):
            self.run_markdown("$ false; thing=set; test -z set", '$ test -z "$thing"')
        with self.assertRaisesRegex(Failed, "README.md:5: ended with status 1"):
            self.run_markdown("$ thing=set", '$ test -z "$thing"')

    def test_commands_may_span_lines(self):
        commands = readme.commands_in("```console\n$ echo a \\\n    b\nout\n$ cat 'x\n> y'\n```\n")
        self.assertEqual([command.text for command in commands], ["echo a \\\n    b", "cat 'x\ny'"])
        self.assertEqual(commands[0].expected, ["out"])


class StylesTest(unittest.TestCase):
    def test_the_receivers_that_are_shown_are_those_that_are_tested(self):
        shown = re.findall(r"^```js\n(.*?)^```$", (ROOT / "docs/styles.md").read_text(encoding="utf-8"), re.S | re.M)
        files = sorted((ROOT / "tests/e2e/styles").glob("*.mjs"))
        # All but the comment that each begins with, which the document says in its own words.
        tested = [file.read_text(encoding="utf-8").partition(" */\n\n")[2] for file in files]
        self.assertGreater(len(tested), 0)
        self.assertEqual(sorted(shown), sorted(tested))


class StagesTest(unittest.TestCase):
    def test_results_of_all_test_binaries_are_added_up(self):
        text = "test result: ok. 3 passed; 0 failed; 1 ignored\nx\ntest result: FAILED. 4 passed; 2 failed; 0 ignored\n"
        self.assertEqual(stages.count_results(text), (7, 2))

    def test_output_of_tests_that_failed_is_found(self):
        text = (
            "test a::b ... FAILED\ntest c ... ok\n\nfailures:\n\n---- a::b stdout ----\n\nthread panicked\nleft: 1\nstack backtrace:\n  0: x\n\n"
            "---- d stdout ----\nno\n\n\nfailures:\n    a::b\n    d\n\ntest result: FAILED. 1 passed; 2 failed;\n"
        )
        self.assertEqual(stages.failed_tests(text), ["a::b", "d"])
        self.assertEqual(stages.failures(text), "a::b:\nthread panicked\nleft: 1\n\nd:\nno\n\nfailed: a::b, d")
        self.assertEqual(stages.failures("test result: ok. 1 passed; 0 failed;\n"), "")

    def test_a_test_that_fails_once_is_named_and_one_that_fails_twice_is_broken(self):
        failing = "---- a stdout ----\nno\n\nfailures:\n    a\n\ntest result: FAILED. 4 passed; 1 failed;\n"
        for repeat, expected in [
            ("test result: ok. 1 passed; 0 failed;\n", (5, 0)),
            ("test result: ok. 0 passed; 0 failed;\n", (4, 1)),
            (failing, (4, 1)),
        ]:
            with tempfile.TemporaryDirectory() as folder, Log(Path(folder) / "log") as log:
                outputs = [failing, repeat]
                commands = []

                def status_of(*command, env):
                    commands.append(command)
                    text = outputs.pop(0)
                    log.write(text)
                    return 1 if "FAILED" in text else 0

                log.status_of = status_of
                run = stages.run_tests(log, ["--lib"], {}, ["--skip", "x"])
                self.assertEqual((run.passed, run.failed), expected)
                self.assertEqual(bool(log.notes), run.failed == 0)
                self.assertEqual(commands[0][-4:], ("--lib", "--", "--skip", "x"))
                self.assertEqual(commands[1][-3:], ("--", "--exact", "a"))

    def test_generated_code_that_differs_is_named(self):
        with tempfile.TemporaryDirectory() as expected, tempfile.TemporaryDirectory() as committed:
            for folder, name, text in [
                (expected, "same", "1"),
                (committed, "same", "1"),
                (expected, "changed", "1"),
                (committed, "changed", "2"),
                (expected, "new", ""),
                (committed, "stale", ""),
            ]:
                (Path(folder) / name).write_text(text)
            self.assertEqual(
                sorted(generate.compare(Path(expected), Path(committed))), ["changed", "new", "stale"]
            )
