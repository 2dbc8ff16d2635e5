#!/usr/bin/env python3
"""Sums up what scripts/test.sh ran: each failure and each skip with its reason, then `N passed, N failed, N skipped`.

    summarize.py RESULTS LAYER...

A test that began and never ended, one that was found and never run, and a layer that said nothing are failures: there
is no way for a test to disappear from the count. Exits with 1 when anything failed, or when a layer that this machine
can run did not run a single test.
"""

import json
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Test:
    """One test function, as the event stream tells its story."""

    name: str
    started: bool = False
    ended: bool = False
    skipped: str | None = None
    failures: list[str] = field(default_factory=list)
    known_issues: int = 0
    cancelled_cases: int = 0


@dataclass
class Layer:
    name: str
    passed: int = 0
    failed: list[tuple[str, list[str]]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def readable(identifier: str) -> str:
    """`UnitTests.Codec/passes()/u.swift:4:6` without the place."""
    return re.sub(r"/[^/]*\.swift:\d+:\d+$", "", identifier)


def texts(payload: dict, symbols: tuple[str, ...] | None = None) -> list[str]:
    messages = payload.get("messages", [])
    return [m["text"] for m in messages if symbols is None or m.get("symbol") in symbols]


def reason(text: str) -> str:
    """The part in quotes of `Test x() skipped: "no KVM"`."""
    quoted = re.search(r': "(.*)"$', text, re.DOTALL)
    return quoted.group(1) if quoted else "no reason given"


def record(payload: dict, test: Test) -> None:
    kind = payload["kind"]
    if kind == "testStarted":
        test.started = True
    elif kind == "testEnded":
        test.ended = True
        if test.skipped is not None:
            test.skipped = reason(" ".join(texts(payload, ("skip",))))
    elif kind == "testSkipped":
        test.skipped = reason(" ".join(texts(payload)))
        test.ended = True
    elif kind == "testCancelled":
        # Its reason comes with the test's end.
        test.skipped = "cancelled"
    elif kind == "testCaseCancelled":
        test.cancelled_cases += 1
    elif kind == "issueRecorded":
        issue = payload["issue"]
        if issue.get("isKnown"):
            test.known_issues += 1
        elif issue.get("isFailure", issue.get("severity") != "warning"):
            place = issue.get("sourceLocation", {})
            where = f"{place['fileID']}:{place['line']}: " if "fileID" in place else ""
            test.failures.append(where + " ".join(texts(payload)))


def read_events(path: Path, layer: Layer) -> dict[str, Test]:
    tests: dict[str, Test] = {}
    outside = Test("outside of any test")
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            payload = entry["payload"]
            if entry["kind"] == "test":
                if payload["kind"] == "function":
                    tests.setdefault(payload["id"], Test(readable(payload["id"])))
                continue
            identifier = payload.get("testID")
            if identifier in tests:
                record(payload, tests[identifier])
            elif payload["kind"] == "issueRecorded":
                record(payload, outside)
        except (ValueError, KeyError, TypeError):
            # The last line of a run that crashed in the middle of it.
            outside.failures.append(f"unreadable event: {line[:80]}")
    if outside.failures:
        layer.failed.append((outside.name, outside.failures))
    return tests


def judge(test: Test, layer: Layer) -> None:
    if test.failures:
        layer.failed.append((test.name, test.failures))
    elif not test.ended:
        layer.failed.append((test.name, ["did not end" if test.started else "never ran"]))
    elif test.skipped is not None:
        layer.skipped.append((test.name, test.skipped))
    else:
        layer.passed += 1
        if test.cancelled_cases:
            layer.skipped.append((test.name, f"{test.cancelled_cases} of its cases: cancelled by the test"))
        if test.known_issues:
            layer.notes.append(f"{test.name}: passed with {test.known_issues} known issue(s)")


def read_layer(results: Path, name: str) -> Layer:
    layer = Layer(name)
    log = os.path.relpath(results.parent / "logs" / f"test-{name}.log")
    status_file = results / f"{name}.status"
    status = status_file.read_text().strip() if status_file.exists() else "it was never started"
    if status.startswith("skip: "):
        layer.skipped.append(("the whole layer", status.removeprefix("skip: ")))
        return layer

    events = results / f"{name}.events"
    for test in (read_events(events, layer) if events.exists() else {}).values():
        judge(test, layer)
    if not layer.passed and not layer.failed:
        layer.failed.append(("the whole layer", [f"not one test ran here, and it could have (status: {status}; {log})"]))
    elif status != "0" and not layer.failed:
        layer.failed.append(("the whole layer", [f"status {status}, though no test failed ({log})"]))
    return layer


def main() -> int:
    if len(sys.argv) < 3:
        print("usage: summarize.py RESULTS LAYER...", file=sys.stderr)
        return 2
    layers = [read_layer(Path(sys.argv[1]), name) for name in sys.argv[2:]]

    print()
    for layer in layers:
        print(f"{layer.name}: {layer.passed} passed, {len(layer.failed)} failed, {len(layer.skipped)} skipped")
        for name, failures in layer.failed:
            print(f"  failed   {name}")
            for failure in failures:
                print("             " + failure.replace("\n", "\n             "))
        for name, why in layer.skipped:
            print(f"  skipped  {name}: {why}")
        for note in layer.notes:
            print(f"  note     {note}")
    print()
    passed = sum(layer.passed for layer in layers)
    failed = sum(len(layer.failed) for layer in layers)
    skipped = sum(len(layer.skipped) for layer in layers)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
