#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Opens the page of a trace in a headless browser and holds what it shows against the trace's own lines.

python3 tests/sim/trace_page_check.py --simulate build/release/bin/simulate
"""

from __future__ import annotations

import argparse
import html.parser
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_SCENARIO = "scenarios/smoke/smoke.textproto"
_QUORUM = "scenarios/smoke/quorum_smoke.textproto"
# Not shown to people: the page leaves them out.
_UNREADABLE = ("resume", "world", "draw", "work")


class Shown(html.parser.HTMLParser):
    """What a dumped document shows: lanes, marks with their titles, rows, the line of counts."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes: list[str] = []
        self.marks: list[str] = []
        self.faults = 0
        self.roles: list[str] = []
        self.messages = 0
        self.lsn_lines: set[str] = set()
        self.rows: list[str] = []
        self.text_of: dict[str, str] = {}
        self._into: str | None = None
        self._is_mark = False
        self._is_role = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what kind of element begins."""
        have = dict(attrs)
        classes = (have.get("class") or "").split()
        self._into = None
        if tag == "circle":
            self._is_mark = True
            self.faults += "fault" in classes
            self._is_role = "role" in classes
        elif tag == "title" and self._is_mark:
            self._into = "mark"
            self.marks.append("")
        elif "lane-name" in classes:
            self._into = "lane"
            self.lanes.append("")
        elif "message" in classes:
            self.messages += 1
        elif tag == "polyline" and "lsn" in classes:
            self.lsn_lines.add(classes[1])
            self._is_mark = False
        elif "row" in classes:
            self._into = "row"
            self.rows.append("")
        elif have.get("id") in ("shown", "title", "reason"):
            self._into = str(have["id"])

    def handle_endtag(self, tag: str) -> None:
        """Ends a text."""
        if tag == "circle":
            self._is_mark = False
        self._into = None

    def handle_data(self, data: str) -> None:
        """Adds to the text that is being read."""
        if self._into == "lane":
            self.lanes[-1] += data
        elif self._into == "mark":
            self.marks[-1] += data
            if self._is_role:
                self.roles.append(data)
        elif self._into == "row":
            self.rows[-1] += data
        elif self._into is not None:
            self.text_of[self._into] = self.text_of.get(self._into, "") + data


def show(page: Path, address_end: str, profile: Path) -> Shown:
    """The document after the page's script ran."""
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
        "--virtual-time-budget=5000", "--dump-dom", page.as_uri() + address_end,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"chromium ended with {done.returncode}: {done.stderr[-2000:]}")
    shown = Shown()
    shown.feed(done.stdout)
    return shown


def expect(what: str, have: object, want: object) -> None:
    """Raises AssertionError naming what differs."""
    if have != want:
        raise AssertionError(f"{what}: the page shows {have!r}, the trace has {want!r}")


def _tells_an_epoch(event: dict[str, object]) -> bool:
    return event["kind"] == "log" and re.search("epoch|promise|leader", str(event["text"]), re.IGNORECASE) is not None


def _kinds(events: list[dict[str, object]]) -> set[str]:
    return {str(event["kind"]) for event in events}


def _lsn_lines(events: list[dict[str, object]]) -> set[str]:
    lines = set()
    for event in events:
        if event["kind"] == "op" and event["text"] == "acknowledged LSN":
            lines.add("acknowledged")
        if event["kind"] == "op" and event["text"] == "applied and commit LSN":
            lines |= {"applied", "commit"}
    return lines


def _events(simulate: Path, trace: Path) -> list[dict[str, object]]:
    command = [str(simulate), "trace", str(trace), "--format", "jsonl"]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    events = [json.loads(line) for line in lines.splitlines()]
    return [event for event in events if event["kind"] not in _UNREADABLE]


def _role_changes(events: list[dict[str, object]]) -> list[dict[str, object]]:
    return [event for event in events if event["kind"] in ("START", "KILL", "PAUSE") or _tells_an_epoch(event)]


def _run_with_changes_of_roles(simulate: Path, directory: Path, trace: Path) -> tuple[str, list[dict[str, object]]]:
    """The output and the events of the first seed that fails soon after restarts and a writer's epoch."""
    for seed in range(1, 41):
        run = [str(simulate), "run", _SCENARIO, "--seed", str(seed), "--plant", "missing_dirsync"]
        run += ["--capsule-dir", str(directory), "--trace", str(trace)]
        ended = subprocess.run(run, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        events = _events(simulate, trace)
        if ended.returncode == 10 and _kinds(_role_changes(events)) >= {"START", "KILL", "log"}:
            return ended.stdout, events
    raise AssertionError("40 seeds of a planted bug, and none fails soon after restarts and a writer's epoch")


def check(simulate: Path, directory: Path) -> None:
    """Runs, makes the page, looks at it whole, searched and zoomed."""
    trace, page = directory / "run.trace", directory / "run.html"
    said, events = _run_with_changes_of_roles(simulate, directory, trace)
    command = [str(simulate), "trace", str(trace)]
    subprocess.run([*command, "--format", "html", "-o", str(page)], check=True)
    faults = [event for event in events if event["kind"] in ("FAULT", "FILEFAULT")]
    nodes = {event["node"] for event in events}
    if not faults or len(nodes) < 4:
        raise AssertionError(f"too little happened: {len(faults)} faults, nodes {sorted(nodes)}")

    whole = show(page, "", directory / "profile")
    expect("lanes", set(whole.lanes), nodes)
    expect("marks", len(whole.marks), len(events))
    expect("faults", whole.faults, len(faults))
    reason = said.split("SAFETY smoke: ")[1].splitlines()[0]
    expect("reason", whole.text_of.get("reason"), reason)
    sends = sum(event["kind"] in ("send", "close") for event in events)
    if not 0 < whole.messages <= sends:
        raise AssertionError(f"{whole.messages} messages from {sends} sends")
    expect("LSN lines", whole.lsn_lines, _lsn_lines(events))
    # Restarts, and who writes: the changes of roles.
    expect("marks of role changes", len(whole.roles), len(_role_changes(events)))

    word = "power"
    grepped = subprocess.run([*command, "--grep", word], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = show(page, f"#q={word}", directory / "profile")
    expect("marks of a search", sorted(found.marks), sorted(grepped.splitlines()))
    expect("rows of a search", found.rows, grepped.splitlines())
    if not 0 < len(found.rows) < len(events):
        raise AssertionError("the search word finds nothing, or everything")
    expect("rows of a search for nothing that is there", show(page, "#q=no-such-word", directory / "profile").rows, [])

    middle = (events[0]["time_ns"] + events[-1]["time_ns"]) / 2
    later = [event for event in events if event["time_ns"] >= middle]
    zoomed = show(page, f"#from={middle / 1e9:.9f}", directory / "profile")
    expect("marks of the later half", len(zoomed.marks), len(later))


def check_several_servers(simulate: Path, directory: Path) -> None:
    """A lane for each of three log servers, with what happened to each."""
    trace, page = directory / "quorum.trace", directory / "quorum.html"
    run = [str(simulate), "run", _QUORUM, "--seed", "1", "--capsule-dir", str(directory), "--trace", str(trace)]
    subprocess.run(run, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    command = [str(simulate), "trace", str(trace)]
    subprocess.run([*command, "--format", "html", "-o", str(page)], check=True)
    lines = subprocess.run([*command, "--format", "jsonl"], stdout=subprocess.PIPE, text=True, check=True).stdout
    events = [json.loads(line) for line in lines.splitlines()]
    events = [event for event in events if event["kind"] not in _UNREADABLE]
    whole = show(page, "", directory / "profile")
    expect("lanes of several servers", set(whole.lanes), {event["node"] for event in events})
    expect("the three log servers among them", {"log1", "log2", "log3"} <= set(whole.lanes), True)
    expect("marks of several servers", len(whole.marks), len(events))
    for server in ("log1", "log2", "log3"):
        found = show(page, f"#q={server}", directory / "profile")
        mine = subprocess.run([*command, "--grep", server], stdout=subprocess.PIPE, text=True, check=True).stdout
        expect(f"rows that name {server}", len(found.marks), len(mine.splitlines()))
        expect(f"something happened to {server}", len(found.marks) > 0, True)


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Check the page of a trace in a headless browser.")
    parser.add_argument("--simulate", type=Path, default=ROOT / "build" / "release" / "bin" / "simulate")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        check(options.simulate.resolve(), Path(directory))
        check_several_servers(options.simulate.resolve(), Path(directory))
    print("the page shows what the trace holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
