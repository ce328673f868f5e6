# SPDX-License-Identifier: MIT
"""Fetches packages of Debian sid into a directory, leaving the machine's own apt and dpkg alone.

An apt with its own source list, lists directory, cache and an empty dpkg status file resolves the full dependency
closure (down to libc), downloads it, and `dpkg -x` unpacks it. The archive's address is read from the machine's own
apt sources, so that a mirror stays a mirror.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SUITE = "sid"


@dataclass(frozen=True)
class Source:
    """One archive of the machine's apt sources: where it is and the options it is read with."""

    uri: str
    options: str  # as in a one-line source, without the brackets: "signed-by=... trusted=yes"


def _is_debian_main(suites: list[str], components: list[str]) -> bool:
    """The main archive, not security and not somebody else's repository."""
    return "main" in components and any("security" not in s and "/" not in s for s in suites)


def parse_one_line(text: str) -> list[Source]:
    """Sources of the form `deb [options] uri suite component...`."""
    found = []
    for line in text.splitlines():
        match = re.match(r"^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*?)\s*(?:#.*)?$", line)
        if match and _is_debian_main([match[3]], match[4].split()):
            options = [o for o in (match[1] or "").split() if not o.startswith(("arch=", "lang="))]
            found.append(Source(match[2], " ".join(options)))
    return found


def parse_deb822(text: str) -> list[Source]:
    """Sources of the form of stanzas with Types, URIs, Suites, Components."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t"):
                fields[name] = fields.get(name, "") + "\n" + line.strip()
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        if not _is_debian_main(fields.get("suites", "").split(), fields.get("components", "").split()):
            continue
        options = []
        signed_by = fields.get("signed-by", "")
        if signed_by and "BEGIN PGP" not in signed_by:
            options.append(f"signed-by={signed_by}")
        if fields.get("trusted", "").lower() == "yes":
            options.append("trusted=yes")
        found += [Source(uri, " ".join(options)) for uri in fields.get("uris", "").split()]
    return found


def machine_sources(etc_apt: Path = Path("/etc/apt")) -> list[Source]:
    """The archives this machine installs Debian's main component from, without duplicates."""
    found: list[Source] = []
    files = [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*"))]
    for file in files:
        if not file.is_file() or file.suffix not in (".list", ".sources"):
            continue
        text = file.read_text(encoding="utf-8")
        found += parse_deb822(text) if file.suffix == ".sources" else parse_one_line(text)
    return list(dict.fromkeys(found))


class SidArchive:
    """A private view of Debian sid under one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _options(self) -> list[str]:
        settings = {
            "Dir::Etc::sourcelist": self.root / "sources.list",
            "Dir::Etc::sourceparts": "-",
            "Dir::State::Lists": self.root / "lists",
            "Dir::State::status": self.root / "status",
            "Dir::Cache": self.root / "cache",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "APT::Keep-Downloaded-Packages": "true",
        }
        return [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]

    def _run(self, tool: str, *arguments: str) -> str:
        command = [tool, "-q", *self._options(), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise RuntimeError(f"{tool} {' '.join(arguments)} (Debian {_SUITE}) failed:\n{tail}")
        return done.stdout

    def update(self) -> None:
        """Reads the package lists; tries every archive of the machine until one has the suite."""
        for folder in ("lists/partial", "cache/archives/partial"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "status").write_text("", encoding="utf-8")
        sources = machine_sources()
        if not sources:
            raise RuntimeError("no Debian archive with component main found in /etc/apt sources")
        problems = []
        for source in sources:
            brackets = f"[{source.options}] " if source.options else ""
            (self.root / "sources.list").write_text(
                f"deb {brackets}{source.uri} {_SUITE} main\n", encoding="utf-8"
            )
            try:
                self._run("apt-get", "-o", "APT::Update::Error-Mode=any", "update")
                return
            except RuntimeError as problem:
                problems.append(str(problem))
        raise RuntimeError("\n".join(problems))

    def version(self, package: str) -> str:
        """The candidate version of a package; update() first."""
        match = re.search(r"Candidate: (\S+)", self._run("apt-cache", "policy", package))
        if not match or match[1] == "(none)":
            raise RuntimeError(f"Debian {_SUITE} has no package {package}")
        return match[1]

    def download(self, packages: list[str], with_dependencies: bool) -> list[Path]:
        """Downloads the packages (and all they depend on) and returns the .deb files."""
        archives = self.root / "cache" / "archives"
        if with_dependencies:
            for old in archives.glob("*.deb"):
                old.unlink()
            self._run(
                "apt-get", "-y", "install", "--download-only", "--no-install-recommends", *packages
            )
            return sorted(archives.glob("*.deb"))
        command = ["apt-get", "-q", *self._options(), "download", *packages]
        done = subprocess.run(command, cwd=archives, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"download of {' '.join(packages)} failed:\n{done.stderr.strip()}")
        return sorted(f for p in packages for f in archives.glob(f"{p}_*.deb"))


def unpack(debs: list[Path], prefix: Path) -> None:
    """Unpacks package files below a prefix; nothing is configured, no script of theirs runs."""
    prefix.mkdir(parents=True, exist_ok=True)
    for deb in debs:
        subprocess.run(["dpkg", "-x", str(deb), str(prefix)], check=True)
