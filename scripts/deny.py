"""Enforces deny.toml on the dependency tree: licences, bans and sources.

A light stand-in for cargo-deny, which takes minutes to build: it reads the same file, and `cargo metadata` for every
platform that the file names. It knows the keys that the file uses; any other key is an error, so that no rule is
written there and not enforced. Advisories are cargo-deny's alone (`make audit`).
"""

import json
import re
import subprocess
import sys
from pathlib import Path

try:
    import tomllib
except ImportError:  # Python before 3.11
    import tomli as tomllib

KNOWN_KEYS = {
    "graph": {"targets", "all-features"},
    "licenses": {"allow"},
    "bans": {"multiple-versions", "wildcards", "deny"},
    "sources": {"unknown-registry", "unknown-git", "allow-registry", "allow-git"},
}
# Values that are enforced as they stand; another value would need code here.
FIXED_VALUES = {
    ("bans", "multiple-versions"): "allow",
    ("bans", "wildcards"): "deny",
    ("sources", "unknown-registry"): "deny",
    ("sources", "unknown-git"): "deny",
    ("graph", "all-features"): True,
}


def unknown_rules(config):
    """Tables, keys and values of deny.toml that this script does not enforce."""
    problems = []
    for table, keys in config.items():
        if table not in KNOWN_KEYS:
            problems.append(f"deny.toml: [{table}] is not enforced by scripts/deny.py")
            continue
        for key in keys:
            if key not in KNOWN_KEYS[table]:
                problems.append(f"deny.toml: {table}.{key} is not enforced by scripts/deny.py")
    for (table, key), value in FIXED_VALUES.items():
        if config.get(table, {}).get(key) != value:
            problems.append(f"deny.toml: {table}.{key} must be {json.dumps(value)} for scripts/deny.py")
    for rule in config.get("bans", {}).get("deny", []):
        if not set(rule) <= {"crate", "reason"}:
            problems.append(f"deny.toml: a ban has keys that scripts/deny.py does not know: {sorted(rule)}")
    return problems


def licence_allowed(expression, allowed):
    """Whether an SPDX expression can be satisfied with `allowed`. AND binds tighter than OR; `/` is an old OR.

    Raises ValueError if the expression cannot be parsed.
    """
    tokens = re.findall(r"[()]|[A-Za-z0-9.+-]+", expression.replace("/", " OR "))
    position = 0

    def peek():
        return tokens[position] if position < len(tokens) else None

    def take():
        nonlocal position
        position += 1
        return tokens[position - 1]

    def alternatives():
        result = conjunction()
        while peek() == "OR":
            take()
            result = conjunction() or result
        return result

    def conjunction():
        result = licence()
        while peek() == "AND":
            take()
            result = licence() and result
        return result

    def licence():
        if peek() in (None, ")", "AND", "OR", "WITH"):
            raise ValueError(f"not an SPDX expression: {expression!r}")
        name = take()
        if name == "(":
            result = alternatives()
            if peek() != ")":
                raise ValueError(f"not an SPDX expression: {expression!r}")
            take()
            return result
        if peek() == "WITH":
            take()
            if peek() is None:
                raise ValueError(f"not an SPDX expression: {expression!r}")
            name = f"{name} WITH {take()}"
        return name in allowed

    result = alternatives()
    if peek() is not None:
        raise ValueError(f"not an SPDX expression: {expression!r}")
    return result


def licence_problems(package, allowed):
    """Why a package's licence is refused; empty if it is not."""
    expression = package["license"]
    if not expression:
        return ["it names no licence"]
    try:
        return [] if licence_allowed(expression, allowed) else [f"licence {expression} is not allowed"]
    except ValueError as error:
        return [str(error)]


def source_problems(package, sources):
    """Why a package's source is refused; empty if it is not."""
    source = package["source"]
    if source is None:
        return []
    kind, _, url = source.partition("+")
    url = re.sub(r"[?#].*", "", url)
    allowed = sources["allow-git"] if kind == "git" else sources["allow-registry"]
    return [] if url in allowed else [f"source {kind} {url} is not allowed"]


def ban_problems(package, banned):
    """Why a package, or one of its requirements, is banned; empty if neither is."""
    problems = []
    if package["name"] in banned:
        problems.append(f"it is banned: {banned[package['name']]}")
    if package["source"] is None:
        for dependency in package["dependencies"]:
            if dependency["req"] == "*" and not dependency.get("path"):
                problems.append(f"it requires any version of {dependency['name']}")
    return problems


def check(config, packages):
    """All violations of `config` in `packages` (as `cargo metadata` has them), one line each."""
    allowed = set(config["licenses"]["allow"])
    banned = {rule["crate"]: rule.get("reason", "") for rule in config["bans"]["deny"]}
    problems = unknown_rules(config)
    for package in packages:
        found = licence_problems(package, allowed)
        found += source_problems(package, config["sources"])
        found += ban_problems(package, banned)
        problems += [f"{package['name']} {package['version']}: {problem}" for problem in found]
    return problems


def packages_of(targets):
    """The packages of the dependency tree on any of the targets."""
    packages = {}
    for target in targets:
        command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
        output = subprocess.run(command + ["--filter-platform", target], stdout=subprocess.PIPE, check=True).stdout
        metadata = json.loads(output)
        used = {node["id"] for node in metadata["resolve"]["nodes"]}
        packages.update({package["id"]: package for package in metadata["packages"] if package["id"] in used})
    return [packages[key] for key in sorted(packages)]


def main():
    config = tomllib.loads(Path("deny.toml").read_text(encoding="utf-8"))
    packages = packages_of(config["graph"]["targets"])
    problems = check(config, packages)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(packages)} packages, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
