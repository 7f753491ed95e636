"""The set-up: what its tables promise, and what `tools/setup` does on machines made of stand-ins."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "tools" / "requirements.lock"


def locked() -> dict[str, tuple[str, int]]:
    """Version and number of hashes by package name."""
    packages: dict[str, tuple[str, int]] = {}
    name = ""
    for line in LOCK.read_text().splitlines():
        if found := re.match(r"([a-z0-9-]+)==(\S+)", line):
            name = found[1]
            assert name not in packages
            packages[name] = (found[2], 0)
        elif re.match(r"    --hash=sha256:[0-9a-f]{64}( \\)?$", line):
            version, hashes = packages[name]
            packages[name] = (version, hashes + 1)
    return packages


def packages() -> dict[str, str]:
    """Command by package, from tools/packages.txt."""
    lines = (ROOT / "tools" / "packages.txt").read_text().splitlines()
    fields = [[field.strip() for field in line.split("|")] for line in lines if not line.startswith("#")]
    assert all(len(line) == 3 and all(line) for line in fields)
    assert len({line[0] for line in fields}) == len(fields)
    return {line[0]: line[1] for line in fields}


def test_the_lock_holds_every_dependency_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = locked()
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for requirement in map(Requirement, wanted):
        version, _ = lock[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version, prereleases=True), requirement
    assert "hatchling" in lock  # or the build backend would be fetched unchecked
    assert all(hashes for _, hashes in lock.values())


def test_the_lock_is_complete() -> None:
    """It is installed without resolving, so a dependency of a dependency must be in it, too."""
    lock = locked()
    for name in lock:
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # another platform's
        for requirement in map(Requirement, requirements):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                assert canonicalize_name(requirement.name) in lock, f"{name} needs {requirement}"


def test_no_committed_file_of_the_set_up_names_a_registry_or_a_place_on_this_machine() -> None:
    files = [
        ROOT / "Makefile",
        ROOT / ".ci" / "run",
        *(one for one in (ROOT / "tools").rglob("*") if one.is_file()),
    ]
    for file in files:
        text = file.read_text()
        assert "://" not in text, file
        assert not re.search(r"/(home|root|work)/|pypi\.org|deb\.debian\.org", text), file


# -- tools/setup on a machine made of stand-ins ---------------------------------------------------------

REAL = (
    "bash",
    "cat",
    "chmod",
    "comm",
    "cp",
    "cut",
    "dirname",
    "env",
    "find",
    "flock",
    "grep",
    "mkdir",
    "rm",
    "sha256sum",
    "sort",
    "stat",
    "tail",
    "uname",
    "wc",
    "xargs",
)

# Stands in for Python, in and outside .venv: makes a .venv like venv's, and notes what pip is asked for.
PYTHON = """#!/usr/bin/env bash
[[ ! -e "$MACHINE/python-unfit" || $0 == .venv/* ]] || exit 1
case "$*" in
    *"-m venv"*)
        rm -rf .venv # --clear
        mkdir -p .venv/bin
        cp "$0" .venv/bin/python
        echo "VIRTUAL_ENV=$PWD/.venv" >.venv/bin/activate
        echo venv >>"$MACHINE/calls" ;;
    *"-m pip"*)
        echo "pip $*" >>"$MACHINE/calls"
        [[ ! -e "$MACHINE/no-network" ]] || { echo "pip: no network"; exit 1; } ;;
    --version) echo "Python 3.12.3" ;;
esac
"""

# Stand in for apt-get, where packages bring their commands, and for sudo.
APT = """#!/usr/bin/env bash
echo "apt-get $*" >>"$MACHINE/calls"
[[ " $* " != *" --simulate "* ]] || exit 0
[[ ! -e "$MACHINE/apt-broken" ]] || { echo "E: broken"; exit 100; }
rm -f "$MACHINE/python-unfit"
for word; do
    while read -r package _ command _; do
        [[ $package == "$word" ]] || continue
        echo "#!/bin/sh" >"$MACHINE/bin/$command"
        chmod +x "$MACHINE/bin/$command"
    done <tools/packages.txt
done
"""
SUDO = """#!/usr/bin/env bash
echo "sudo $*" >>"$MACHINE/calls"
exec "$@"
"""


class Machine:
    """A checkout and a PATH of its own, with stand-ins for whatever would change a real machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.checkout = folder / "checkout"
        self.bin.mkdir(parents=True)
        shutil.copytree(ROOT / "tools", self.checkout / "tools")
        shutil.copy(ROOT / "pyproject.toml", self.checkout)
        # The script adds the system's own folders to PATH; here these are empty.
        setup = self.checkout / "tools" / "setup"
        setup.write_text(setup.read_text().replace("PATH=$PATH:/usr/sbin:/sbin", "PATH=$PATH"))
        for name in REAL:
            path = shutil.which(name)
            assert path
            (self.bin / name).symlink_to(path)
        self.stand_in("python3", PYTHON)
        self.stand_in("apt-get", APT)
        # The real one would make a mount namespace; refused, apt-install goes on without.
        for command in packages().values():
            self.stand_in(command, "#!/bin/sh\nexit 1\n")
        self.user(0)

    def stand_in(self, name: str, text: str) -> None:
        file = self.bin / name
        file.write_text(text)
        file.chmod(0o755)

    def user(self, number: int) -> None:
        self.stand_in("id", f"#!/bin/sh\necho {number}\n")

    def mark(self, name: str) -> None:
        (self.folder / name).touch()

    def setup(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run tools/setup; what was called since the last time is in ``calls``."""
        calls = self.folder / "calls"
        calls.write_text("")
        result = subprocess.run(
            ["tools/setup"],
            cwd=self.checkout,
            env={"PATH": str(self.bin), "MACHINE": str(self.folder), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        self.calls = calls.read_text().splitlines()
        return result

    def called(self, word: str) -> list[str]:
        return [call for call in self.calls if call.startswith(word)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_with_all_packages_there_only_the_virtual_environment_is_made(machine: Machine) -> None:
    assert machine.setup().returncode == 0
    assert machine.called("apt-get") == []
    assert machine.called("venv") == ["venv"]
    lock, checkout = machine.called("pip")
    assert "--require-hashes" in lock
    assert "--no-deps --no-build-isolation" in checkout


def test_the_second_time_nothing_is_called_and_nothing_is_said(machine: Machine) -> None:
    machine.setup()
    result = machine.setup()
    assert (result.returncode, result.stdout, result.stderr, machine.calls) == (0, "", "", [])


@pytest.mark.parametrize("file", ["tools/requirements.lock", "pyproject.toml"])
def test_a_changed_lock_is_installed_into_the_same_environment(machine: Machine, file: str) -> None:
    machine.setup()
    with (machine.checkout / file).open("a") as stream:
        stream.write("# changed\n")
    assert machine.setup().returncode == 0
    assert machine.called("venv") == []
    assert len(machine.called("pip")) == 2


def test_an_environment_from_another_place_is_made_anew(machine: Machine) -> None:
    machine.setup()
    machine.checkout = machine.checkout.rename(machine.folder / "moved")
    assert machine.setup().returncode == 0
    assert machine.called("venv") == ["venv"]


def test_an_environment_whose_python_has_gone_is_made_anew(machine: Machine) -> None:
    machine.setup()
    python = machine.checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    assert machine.setup().returncode == 0
    assert machine.called("venv") == ["venv"]


def test_a_set_up_that_was_broken_off_is_taken_up_again(machine: Machine) -> None:
    machine.mark("no-network")
    result = machine.setup()
    assert result.returncode == 3
    assert "pip: no network" in result.stderr
    assert "build/setup.log" in result.stderr
    (machine.folder / "no-network").unlink()
    assert machine.setup().returncode == 0
    assert len(machine.called("pip")) == 2
    assert machine.setup().returncode == 0
    assert machine.calls == []


def test_root_installs_only_the_packages_that_are_missing(machine: Machine) -> None:
    (machine.bin / "nft").unlink()
    (machine.bin / "tshark").unlink()
    assert machine.setup().returncode == 0
    (install,) = (
        call for call in machine.called("apt-get") if "--simulate" not in call and "install" in call
    )
    assert install.endswith(" nftables tshark")
    assert "--no-install-recommends" in install
    assert machine.called("sudo") == []


def test_a_user_asks_sudo_for_packages_and_for_nothing_else(machine: Machine) -> None:
    machine.user(1000)
    machine.stand_in("sudo", SUDO)
    (machine.bin / "mnexec").unlink()
    assert machine.setup().returncode == 0
    assert machine.called("sudo") == ["sudo tools/apt-install mininet"]
    assert machine.setup().returncode == 0
    assert machine.called("sudo") == []


def test_a_user_without_sudo_is_told_what_root_must_do(machine: Machine) -> None:
    machine.user(1000)
    (machine.bin / "mnexec").unlink()
    result = machine.setup()
    assert result.returncode == 3
    assert "as root: apt-get install --no-install-recommends mininet" in result.stderr
    assert machine.calls == []


def test_a_user_without_sudo_needs_none_when_the_packages_are_there(machine: Machine) -> None:
    machine.user(1000)
    assert machine.setup().returncode == 0


def test_without_apt_the_packages_are_named(machine: Machine) -> None:
    (machine.bin / "apt-get").unlink()
    (machine.bin / "nft").unlink()
    result = machine.setup()
    assert result.returncode == 3
    assert "nftables" in result.stderr


def test_when_apt_fails_its_own_words_are_shown(machine: Machine) -> None:
    machine.mark("apt-broken")
    (machine.bin / "nft").unlink()
    result = machine.setup()
    assert result.returncode == 3
    assert "E: broken" in result.stderr
    assert machine.called("pip") == []


def test_a_python_without_venv_gets_it_from_apt(machine: Machine) -> None:
    machine.mark("python-unfit")
    assert machine.setup().returncode == 0
    assert any(call.endswith("-venv") for call in machine.called("apt-get"))


def test_an_interpreter_that_was_asked_for_is_used_or_refused(machine: Machine) -> None:
    machine.mark("python-unfit")
    result = machine.setup(PYTHON="python3")
    assert result.returncode == 3
    assert "python3 is not Python 3.11 or newer" in result.stderr
    assert machine.called("apt-get") == []


def test_two_at_once_install_once(machine: Machine) -> None:
    (machine.folder / "calls").touch()
    environment = {"PATH": str(machine.bin), "MACHINE": str(machine.folder)}
    both = [subprocess.Popen(["tools/setup"], cwd=machine.checkout, env=environment) for _ in range(2)]
    assert [process.wait(30) for process in both] == [0, 0]
    calls = (machine.folder / "calls").read_text().splitlines()
    assert calls.count("venv") == 1


def test_apt_runs_where_no_service_can_be_started(tmp_path: Path) -> None:
    starters = ("/usr/sbin/invoke-rc.d", "/usr/bin/deb-systemd-invoke")
    helpers = [helper for helper in starters if Path(helper).exists()]
    as_root = ["unshare", "--user", "--map-root-user"]
    if not helpers or subprocess.run([*as_root, "unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("needs Debian's helpers and a user namespace")
    apt = tmp_path / "apt-get"
    apt.write_text(
        f"#!/bin/sh\n[ $2 = --simulate ] || for h in {' '.join(helpers)}; do cmp $h /bin/true; done\n"
    )
    apt.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    before = [Path(helper).read_bytes() for helper in helpers]
    result = subprocess.run(
        [*as_root, ROOT / "tools" / "apt-install", "unbound"],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    assert [Path(helper).read_bytes() for helper in helpers] == before


@pytest.mark.parametrize("status", [0, 100])
def test_what_packages_enabled_is_disabled_and_nothing_else(tmp_path: Path, status: int) -> None:
    commands = {
        "unshare": "exit 1",
        "apt-get": f'[ "$2" = --simulate ] || cp "$0.after" "$0.units"; exit {status}',
        "systemctl": f'[ $1 = list-unit-files ] && exec cat {tmp_path}/apt-get.units; echo "$@" >>"$0.calls"',
        "update-rc.d": "exit 1",
    }
    for name, text in commands.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "apt-get.units").write_text("cron.service enabled\n")
    (tmp_path / "apt-get.after").write_text("cron.service enabled\nnamed.service enabled\n")
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    result = subprocess.run([ROOT / "tools" / "apt-install", "bind9"], env=environment, check=False)
    assert (result.returncode == 0) == (status == 0)
    assert (tmp_path / "systemctl.calls").read_text() == "--quiet disable named.service\n"


def test_scripts_can_be_executed() -> None:
    for script in ("tools/setup", "tools/apt-install", "tools/lock", ".ci/run"):
        assert os.access(ROOT / script, os.X_OK), script
