"""Finding attackers and signals: they are there because their files are there."""

import importlib
import sys
from pathlib import Path

import pytest
from scenario_files import DATA

from testbed import signals
from testbed.attack import catalogue
from testbed.attack.api import Attacker
from testbed.attack.catalogue import AttackerError
from testbed.core.signal import Signal

ATTACKER = """\
from testbed.attack.api import Attacker, Capability


class {name}(Attacker):
    capability = Capability.PASSIVE
    source = "a test"
"""


def write(folder: Path, stem: str, text: str = ATTACKER.format(name="Found")) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.py"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", catalogue.names())
def test_every_attacker_that_comes_with_the_testbed_can_be_used(name):
    attacker = catalogue.load(name)
    assert issubclass(attacker, Attacker)
    assert attacker.__module__ == f"attackers.{name.replace('-', '_')}"
    assert attacker.__doc__
    assert attacker.capability
    assert attacker.source


def test_the_attackers_that_the_first_scenarios_need():
    assert {"block-tls", "forge-ns", "impersonate", "observe", "strip-ds-glue"} <= set(catalogue.names())


def test_files_in_further_folders_are_found(tmp_path):
    write(tmp_path, "of_my_own")
    write(tmp_path, "_helper", "raise RuntimeError")
    assert set(catalogue.names([tmp_path])) - set(catalogue.names()) == {"of-my-own"}
    assert catalogue.load("of-my-own", [tmp_path]).__name__ == "Found"


def test_an_attacker_is_loaded_once(tmp_path):
    write(tmp_path, "single")
    assert catalogue.load("single", [tmp_path]) is catalogue.load("single", [tmp_path])


def test_the_same_file_is_the_same_class_however_it_is_reached():
    folder = catalogue.folders_near(Path(__file__).parent.parent / "scenarios")[0]
    assert catalogue.load("observe", [folder]) is catalogue.load("observe")
    assert catalogue.load("observe") is importlib.import_module("attackers.observe").Observe


def test_the_nearest_file_of_a_name_is_meant(tmp_path):
    near, far = tmp_path / "near", tmp_path / "far"
    write(near, "observe", ATTACKER.format(name="Near"))
    write(far, "observe", ATTACKER.format(name="Far"))
    assert catalogue.load("observe", [near, far]).__name__ == "Near"
    assert catalogue.load("observe", [far, near]).__name__ == "Far"


def test_two_files_of_a_name_do_not_get_into_each_other_s_way(tmp_path):
    write(tmp_path / "a", "same", ATTACKER.format(name="First"))
    write(tmp_path / "b", "same", ATTACKER.format(name="Second"))
    first, second = (catalogue.load("same", [tmp_path / side]) for side in "ab")
    assert (first.__name__, second.__name__) == ("First", "Second")
    assert sys.modules[first.__module__] is not sys.modules[second.__module__]


def test_folders_near_a_scenario_are_beside_it_above_it_and_here(tmp_path, monkeypatch):
    for folder in ("top", "top/middle/low", "here"):
        (tmp_path / folder / "attackers").mkdir(parents=True)
    (tmp_path / "top" / "middle" / "attackers").write_text("no folder")
    monkeypatch.chdir(tmp_path / "here")
    near = catalogue.folders_near(tmp_path / "top" / "middle" / "low")
    assert near == tuple(tmp_path / folder / "attackers" for folder in ("top/middle/low", "top", "here"))


@pytest.mark.parametrize(
    "name", ["nobody", "", "../observe", "observe.py", "_helper", "Observe", "a b", "\0", "os.path"]
)
def test_unknown_attackers(name, tmp_path):
    write(tmp_path, "_helper")
    with pytest.raises(KeyError):
        catalogue.load(name, [tmp_path])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no subclasses of Attacker are defined here; define exactly one"),
        (
            "from attackers.observe import Observe",
            "no subclasses of Attacker are defined here; define exactly one",
        ),
        (
            ATTACKER.format(name="One") + ATTACKER.format(name="Two"),
            "2 subclasses of Attacker are defined here; define exactly one",
        ),
        (
            "from testbed.attack.api import Attacker\nclass Bare(Attacker):\n    pass\n",
            "Bare does not set capability and source; set it",
        ),
        ("x = 1\nx = x / 0\n", "line 2: ZeroDivisionError: division by zero"),
        ("def f(:\n", "line 1: SyntaxError: "),
        (
            "import nothing_of_this_name",
            "line 1: ModuleNotFoundError: No module named 'nothing_of_this_name'",
        ),
    ],
)
def test_files_that_hold_no_usable_attacker(text, said, tmp_path):
    path = write(tmp_path, "bad", text)
    with pytest.raises(AttackerError) as caught:
        catalogue.load("bad", [tmp_path])
    assert str(caught.value).startswith(f"{path}: {said}")
    assert "\n" not in str(caught.value)


def test_an_attacker_that_could_not_be_loaded_leaves_no_module_behind(tmp_path):
    write(tmp_path, "half", "raise RuntimeError('no')")
    before = set(sys.modules)
    with pytest.raises(AttackerError):
        catalogue.load("half", [tmp_path])
    assert set(sys.modules) == before


@pytest.mark.parametrize("name", signals.names())
def test_every_signal_can_be_used(name):
    signal = signals.load(name)
    assert isinstance(signal, Signal)
    assert signal.name == name
    assert signal.summary
    assert signal.source


@pytest.mark.parametrize("name", signals.names())
def test_every_parameter_of_a_signal_has_a_default(name):
    """Scenario files that give none are not made to wait for the signal's file."""
    signals.load(name).Parameters()


def test_a_signal_is_found_by_being_there(tmp_path, monkeypatch):
    (tmp_path / "smoke_signal.py").write_text("SIGNAL = 'seen'\n")
    (tmp_path / "_helper.py").write_text("raise RuntimeError\n")
    known = signals.names()
    monkeypatch.setattr(signals, "__path__", [*signals.__path__, str(tmp_path)])
    assert signals.names() == tuple(sorted([*known, "smoke-signal"]))
    assert signals.load("smoke-signal") == "seen"


@pytest.mark.parametrize("name", ["nobody", "", "../none", "none.py", "__init__", "_helper", "\0"])
def test_unknown_signals(name):
    with pytest.raises(KeyError):
        signals.load(name)


def test_the_attackers_of_the_tests_are_usable():
    assert {"spray", "tamper"} <= set(catalogue.names(catalogue.folders_near(DATA)))
