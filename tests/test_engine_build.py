"""Engines built from source: what is unpacked, built, put into the folder; what is said when it fails."""

import io
import tarfile

import pytest

from testbed.engines import catalogue
from testbed.engines.apt import FetchError
from testbed.engines.build import LOG, compiled, main, programs, unpacked

CONFIGURE = """#!/bin/sh
printf 'all:\\n\\tcp said my-resolver\\n' > Makefile
echo "configured $*" > said
"""


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "source.orig.tar.gz"
    with tarfile.open(path, "w:gz") as made:
        for name, text, when in (("configure", CONFIGURE, 100), ("configure.ac", "", 200)):
            member = tarfile.TarInfo(f"my-resolver-1.0/{name}")
            member.size, member.mode, member.mtime = len(text), 0o755, when
            made.addfile(member, io.BytesIO(text.encode()))
    return path


def test_what_is_generated_does_not_look_outdated(archive, tmp_path):
    tree = unpacked(archive, tmp_path / "tree")
    assert tree.name == "my-resolver-1.0"
    assert len({path.stat().st_mtime for path in tree.iterdir()}) == 1


def test_the_options_are_passed_on(archive, tmp_path):
    tree, folder = unpacked(archive, tmp_path / "tree"), tmp_path / "engine"
    compiled(tree, folder, ["--disable-x"], ["my-resolver"])
    assert (folder / "bin" / "my-resolver").read_text() == "configured --disable-x\n"
    assert "cp said my-resolver" in (folder / LOG).read_text()


def test_what_fails_is_named_and_where_to_look(archive, tmp_path):
    tree, folder = unpacked(archive, tmp_path / "tree"), tmp_path / "engine"
    with pytest.raises(FetchError, match=r"made no other; see .*build\.log"):
        compiled(tree, folder, [], ["other"])
    (tree / "configure").write_text("#!/bin/sh\nexit 7\n")
    with pytest.raises(FetchError, match=r"\./configure ended with status 7"):
        compiled(tree, folder, [], [])
    (tree / "configure").unlink()
    with pytest.raises(FetchError, match="No such file"):
        compiled(tree, folder, [], [])


def test_an_engine_needs_its_program_and_what_controls_it():
    assert programs(catalogue.load("unbound")) == ["unbound", "unbound-control"]
    assert programs(catalogue.load("knot-resolver")) == ["kresd"]


def test_wrong_arguments_are_refused(capsys):
    assert main(["nobody", "build/x"]) == 2
    assert main(["unbound"]) == 2
    assert "usage: " in capsys.readouterr().err
