"""Packages of another suite, by apt with a configuration of its own: nothing on the machine changes.

The mirror, its keys, and how it is reached (proxies, say) are the machine's own.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

NEWEST = {"debian": "stable", "ubuntu": "devel"}
"""The suite that is meant where none is named, by the distribution's ID of os-release(5)."""

PATIENCE = 300.0
"""Seconds that apt may take for one thing."""

LIBRARIES = ("libs", "oldlibs")
"""The sections of an archive that what a program links to is in."""

Stanza = dict[str, str]


class FetchError(Exception):
    """Packages cannot be had. One line says why."""


@dataclass(frozen=True)
class Mirror:
    """Where a distribution's packages come from: a URI, and the archive's parts that are used of it."""

    uri: str
    components: tuple[str, ...]


def mirror_in(targets: str, codename: str) -> Mirror:
    """The mirror that a release comes from, by lines of a repository's URI, release and component.

    Raises FetchError where no line is about it.
    """
    lines = [line.split() for line in targets.splitlines()]
    ours = [(line[0], line[2]) for line in lines if len(line) == 3 and line[1] == codename]
    for uri, component in ours:
        if component == "main":
            return Mirror(uri, tuple(dict.fromkeys(found for of, found in ours if of == uri)))
    raise FetchError(f"apt's sources name no mirror of {codename}")


def configuration(folder: Path, acquire: str) -> str:
    """What apt is told (apt.conf(5)): all that it writes is below ``folder``.

    ``acquire`` are lines of the machine's own configuration about how packages are transported.
    """
    settings = {
        "Dir::State": f"{folder}/state",
        "Dir::State::status": f"{folder}/status",
        "Dir::Cache": f"{folder}/cache",
        "Dir::Log": f"{folder}/log",
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::parts": "/dev/null",
        "Dir::Etc::sourcelist": f"{folder}/sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Acquire::Languages": "none",
        "Acquire::http::Timeout": "10",
        "Acquire::https::Timeout": "10",
        "Acquire::Retries": "1",
        "APT::Update::Error-Mode": "any",
        # Without this, root hands downloads to a user who cannot write here.
        "APT::Sandbox::User": "root",
    }
    return "".join([acquire, *(f'{name} "{value}";\n' for name, value in settings.items())])


def stanzas(text: str) -> list[Stanza]:
    """The paragraphs of a control file (deb822(5)), the first line of each field."""
    return [
        dict(re.findall(r"^([\w-]+):[ \t]*(.*)$", paragraph, re.MULTILINE))
        for paragraph in text.split("\n\n")
        if paragraph.strip()
    ]


def source(stanza: Stanza) -> str:
    """The source package that a package is built from."""
    return stanza.get("Source", stanza["Package"]).split()[0]


def is_library(stanza: Stanza) -> bool:
    """Whether a package is one of libraries. Sections outside of main have their component in front."""
    return stanza.get("Section", "").rpartition("/")[2] in LIBRARIES


def upstream(version: str) -> str:
    """The version of a package without what its packagers add (deb-version(7))."""
    without_epoch = version.partition(":")[2] or version
    without_revision = without_epoch.rpartition("-")[0] or without_epoch
    return re.split(r"[+~]", without_revision)[0]


class Apt:
    """apt for one suite. ``folder`` is an empty one, for all that it keeps; ``keys`` holds key rings.

    ``sources`` says whether sources are wanted, too. All but the constructor raise FetchError.
    """

    def __init__(
        self,
        folder: Path,
        suite: str | None,
        keys: Path = Path("/usr/share/keyrings"),
        *,
        sources: bool = False,
    ) -> None:
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise FetchError("apt is not there; packages can be fetched on Debian and Ubuntu only")
        release = platform.freedesktop_os_release()
        distribution = release["ID"]
        self.suite = suite or NEWEST.get(distribution, release.get("VERSION_CODENAME", "stable"))
        self._folder = folder
        lines = self._run(
            "apt-get",
            *("indextargets", "--no-release-info", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"),
            "Created-By: Packages",
        )
        self.mirror = mirror_in(lines, release.get("VERSION_CODENAME", ""))
        self._kinds = ("deb", "deb-src") if sources else ("deb",)
        self._prepare(keys / f"{distribution}-archive-keyring.gpg")

    def _prepare(self, keyring: Path) -> None:
        for name in ("state/lists/partial", "cache/archives/partial", "log"):
            (self._folder / name).mkdir(parents=True)
        (self._folder / "status").touch()
        signed = f"[signed-by={keyring}] " if keyring.exists() else ""
        place = f"{signed}{self.mirror.uri} {self.suite} {' '.join(self.mirror.components)}"
        (self._folder / "sources.list").write_text("".join(f"{kind} {place}\n" for kind in self._kinds))
        dumped = self._run("apt-config", "dump").splitlines(keepends=True)
        # How to download, not what: lists of files, say, are of no use here.
        acquire = "".join(line for line in dumped if re.match("Acquire::(?!IndexTargets)", line))
        (self._folder / "apt.conf").write_text(configuration(self._folder, acquire))

    def update(self) -> None:
        """Learn what the suite has."""
        self._run("apt-get", "update")

    def needed(self, package: str) -> list[Stanza]:
        """A package, the others of its source that it needs, and the libraries that any of these needs."""
        plan = self._run("apt-get", "install", "--simulate", "--no-install-recommends", package)
        found = re.findall(r"^Inst (\S+) \((\S+) ", plan, re.MULTILINE)
        shown = stanzas(self._run("apt-cache", "show", *(f"{name}={version}" for name, version in found)))
        wanted = next((each for each in shown if each["Package"] == package), None)
        if wanted is None:
            raise FetchError(f"{self.suite} has no package {package}")
        return [each for each in shown if source(each) == source(wanted) or is_library(each)]

    def download(self, packages: Iterable[Stanza]) -> dict[str, Path]:
        """Packages' files, by the packages' names."""
        folder = self._folder / "cache" / "archives"
        wanted = [f"{each['Package']}={each['Version']}" for each in packages]
        self._run("apt-get", "download", *wanted, folder=folder)
        return {path.name.partition("_")[0]: path for path in folder.glob("*.deb")}

    def source(self, package: str) -> Path:
        """The archive of a package's source, as its authors published it."""
        folder = self._folder / "source"
        folder.mkdir()
        self._run("apt-get", "source", "--download-only", package, folder=folder)
        found = [path for path in folder.glob("*.orig.tar.*") if path.suffix != ".asc"]
        if len(found) != 1:
            raise FetchError(f"the source of {package} is not one archive")
        return found[0]

    def unpack(self, file: Path, root: Path) -> None:
        """Put what is in a package below a folder; none of its scripts is run."""
        self._run("dpkg-deb", "--extract", str(file), str(root))

    def _run(self, *command: str, folder: Path | None = None) -> str:
        own = self._folder / "apt.conf"
        environment = {**os.environ, "LC_ALL": "C", **({"APT_CONFIG": str(own)} if own.exists() else {})}
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise FetchError(f"{command[0]} did not end within {PATIENCE:.0f} s") from None
        if done.returncode:
            raise FetchError(_reason(command, done.stderr))
        return done.stdout


def _reason(command: Sequence[str], said: str) -> str:
    """The first thing that apt says was wrong."""
    found = re.search(r"^(?:E|W|dpkg-deb: error): (.*)$", said, re.MULTILINE)
    return found[1] if found else f"{' '.join(command[:2])} failed: {said.strip()[-200:]}"
