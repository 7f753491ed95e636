"""Fetching engines of other versions: what is read of apt's answers, and what is made of packages."""

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner
from unpacked import LIBRARIES, unpack

from testbed.cli import ExitCode
from testbed.cli.main import app
from testbed.engines import catalogue, description
from testbed.engines.apt import (
    FetchError,
    Mirror,
    configuration,
    is_library,
    mirror_in,
    source,
    stanzas,
    upstream,
)
from testbed.engines.fetch import describe, programs_in, write_commands
from testbed.scenario import engine as engines

TARGETS = """\
https://packages.example/apt cloud-tools-bookworm main
https://deb.example/vendor bookworm stable
http://deb.example/debian/ bookworm main
http://deb.example/debian/ bookworm main
http://deb.example/debian/ bookworm contrib
http://deb.example/debian/ bookworm-updates main
"""
SHOWN = """\
Package: bind9
Version: 1:9.20.11-4
Section: net
Description: name server
 on several lines: of text

Package: bind9-utils
Source: bind9 (1:9.20.11-3)
Version: 1:9.20.11-4
Section: net

Package: libuv1t64
Source: libuv1
Version: 1.50.0-2
Section: universe/libs

Package: adduser
Version: 3.152
Section: admin
"""


def test_the_mirror_is_the_one_that_the_release_comes_from():
    assert mirror_in(TARGETS, "bookworm") == Mirror("http://deb.example/debian/", ("main", "contrib"))
    with pytest.raises(FetchError, match="name no mirror of trixie"):
        mirror_in(TARGETS, "trixie")


def test_what_is_needed_are_packages_of_the_same_source_and_libraries():
    shown = stanzas(SHOWN)
    assert [source(each) for each in shown] == ["bind9", "bind9", "libuv1", "adduser"]
    assert [each["Package"] for each in shown if is_library(each)] == ["libuv1t64"]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1:9.20.26-1~deb13u1", "9.20.26"),
        ("1.22.0-2+deb13u1", "1.22.0"),
        ("5.3.28+dfsg2-9", "5.3.28"),
        ("2.0-rc1-3", "2.0-rc1"),
        ("1.69~deb13u1", "1.69"),
        ("3.152", "3.152"),
    ],
)
def test_a_folder_is_named_by_the_version_that_the_authors_gave(version, expected):
    assert upstream(version) == expected


def test_apt_writes_below_the_folder_only(tmp_path):
    text = configuration(tmp_path, 'Acquire::http::Proxy "http://proxy.example:3128";\n')
    assert 'Acquire::http::Proxy "http://proxy.example:3128";' in text
    places = dict(re.findall(r'^(Dir\S*) "(.*)";$', text, re.MULTILINE))
    assert {"Dir::State", "Dir::State::status", "Dir::Cache", "Dir::Log"} <= set(places)
    assert all(place == "/dev/null" or place.startswith(f"{tmp_path}/") for place in places.values())


def test_a_command_starts_its_program_with_the_loader_that_came_with_it(tmp_path):
    root = tmp_path / "root"
    unpack([shutil.which("readlink")], root)
    (root / "usr/bin/script").write_text("#!/bin/sh\n")
    programs = programs_in(root)
    assert programs == [Path("usr/bin/readlink")]
    write_commands(tmp_path, programs)
    done = subprocess.run(
        [tmp_path / "bin/readlink", "-f", "/proc/self/exe"], capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).parent == root / LIBRARIES


def test_a_package_without_a_loader_makes_no_commands(tmp_path):
    with pytest.raises(FetchError, match="no dynamic loader"):
        write_commands(tmp_path, [])


@pytest.mark.parametrize("name", catalogue.names())
def test_a_fetched_engine_is_like_the_packaged_one_but_for_its_program(name, tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "FETCHED", tmp_path)
    folder = tmp_path / f"{name}-99.1"
    folder.mkdir()
    packaged = catalogue.load(name)
    describe(packaged.folder, folder, f"adox engines fetch {name} --suite newest")
    description.load.cache_clear()
    assert engines.engine_named(folder.name, Path.cwd()) == folder.name
    found = catalogue.load(folder.name)
    changed = {"program": f"bin/{packaged.description.program}", "package": "", "how": found.description.how}
    assert found.description == packaged.description.model_copy(update=changed)
    assert catalogue.missing(found) == (
        f"bin/{packaged.description.program} is not there; adox engines fetch {name} --suite newest"
    )
    assert sorted(path.name for path in folder.glob("*.j2")) == sorted(
        path.name for path in packaged.folder.glob("*.j2")
    )


def adox(*arguments):
    return CliRunner().invoke(app, ["engines", *arguments])


def test_without_apt_nothing_can_be_fetched(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    result = adox("fetch", "unbound")
    assert result.exit_code == ExitCode.CANNOT_RUN
    assert result.output.startswith("adox: unbound cannot be fetched: apt is not there; ")
    assert result.output.count("\n") == 1


def test_one_that_would_mix_with_an_installed_version_is_not_fetched():
    result = adox("fetch", "knot-resolver")
    assert result.exit_code == ExitCode.CANNOT_RUN
    assert result.output.startswith("adox: knot-resolver cannot be fetched: it reads files of its own where ")


@pytest.mark.parametrize(
    ("step", "said", "reason"),
    [
        ("update", "E: The repository has no Release file.", "The repository has no Release file."),
        (
            "install",
            "N: a note\nE: Unable to locate package nosuch\nE: more",
            "Unable to locate package nosuch",
        ),
        ("indextargets", "something else", "apt-get indextargets failed: something else"),
    ],
)
def test_what_apt_says_is_passed_on_in_a_line(step, said, reason, tmp_path, monkeypatch):
    release = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    scripts = {
        "apt-get": f"case $1 in\n{step}) printf '{said}\\n' >&2; exit 100;;\n"
        "indextargets) echo http://deb.example/debian bookworm main;;\nesac\n",
        "apt-config": "exit 0\n",
        "dpkg-deb": "exit 0\n",
    }
    for name, text in scripts.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("testbed.engines.fetch.FETCHED", tmp_path / "build" / "engines")
    result = adox("fetch", "nosuch")
    assert result.exit_code == ExitCode.CANNOT_RUN
    assert result.output.startswith(f"adox: nosuch cannot be fetched: {reason}")
    assert result.output.count("\n") == 1
    assert list((tmp_path / "build" / "engines").iterdir()) == []
    assert list((tmp_path / "build").iterdir()) == [tmp_path / "build" / "engines"]


@pytest.mark.parametrize("arguments", [("fech", "unbound"), ("fetch",), ("fetch", "../x"), ("fetch", "-o")])
def test_what_cannot_be_meant_is_refused(arguments):
    result = adox(*arguments)
    assert result.exit_code not in (ExitCode.AS_EXPECTED, ExitCode.CANNOT_RUN)
