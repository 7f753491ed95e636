"""Sandboxes: what is inside, what refuses outside, and that nothing survives the runner."""

import contextlib
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testbed.network import pcapng, sandbox
from testbed.network.availability import availability
from testbed.network.fabric import Network
from testbed.topology import load

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KILLS = 20
HOSTS = 17  # of the network that a victim builds, each with a shell
BUILD = """
from testbed.network.fabric import Network
from testbed.topology import load
Network.build(load("hosted"))
"""


@pytest.fixture(scope="module", autouse=True)
def _namespaces():
    try:
        with sandbox.launch(["-c", ""]) as worker:
            worker.wait_ready()
    except sandbox.SandboxError as error:
        pytest.skip(str(error))


def inside(code, **options):
    """Run code in a sandbox: exit status and what it printed."""
    with sandbox.launch(["-c", code], stdin=subprocess.DEVNULL, **options) as worker:
        output, _ = worker.process.communicate(timeout=60)
        return worker.process.returncode, output.decode()


def processes(token):
    """The processes that have a token in their environment."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if token.encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def gone(token, timeout=10.0):
    """Wait until no process has the token any more."""
    deadline = time.monotonic() + timeout
    while (left := processes(token)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def network_namespaces(pids):
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            found.add(Path(f"/proc/{pid}/ns/net").readlink())
    return found


def still_used(namespaces, timeout=10.0):
    """Wait until nobody is in any of these namespaces, but for other sandboxes, which get their numbers."""
    deadline = time.monotonic() + timeout
    while True:
        everybody = {entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()}
        used = namespaces & network_namespaces(everybody - {str(pid) for pid in processes(sandbox.VARIABLE)})
        if not used or time.monotonic() > deadline:
            return used
        time.sleep(0.05)


def host_state():
    """What of this machine a run could change: interfaces, rules, namespaces with names, settings."""
    commands = [["ip", "-o", "link"], ["ip", "rule"], ["ip", "netns"]]
    if os.geteuid() == 0 and shutil.which("nft"):
        commands.append(["nft", "list", "ruleset"])
    state = [subprocess.run(command, capture_output=True, check=False).stdout for command in commands]
    for pattern in ("core/*mem_max", "core/netdev_max_backlog", "ipv4/tcp_?mem", "ipv4/neigh/default/gc_*"):
        state += [path.read_bytes() for path in sorted(Path("/proc/sys/net").glob(pattern))]
    return [*state, Path("/proc/sys/fs/file-max").read_bytes(), Path("/proc/sys/kernel/pty/max").read_bytes()]


# -- what is inside --------------------------------------------------------------------------------


def test_a_sandbox_is_empty_and_private(tmp_path):
    (tmp_path / "seen").write_text("yes")
    (tmp_path.parent / "unseen").write_text("no")
    code = f"""
import os, pathlib, socket
from testbed.network import sandbox
assert sandbox.inside()
sandbox.require()
assert os.geteuid() == 0
assert [name for _, name in socket.if_nameindex() if name == "lo"]
socket.create_server(("127.0.0.1", 5000)).close()
assert pathlib.Path({str(tmp_path)!r}, "seen").read_text() == "yes"
assert not pathlib.Path({str(tmp_path.parent)!r}, "unseen").exists()
pathlib.Path({str(tmp_path)!r}, "made").write_text("inside")
pathlib.Path("/tmp/private").write_text("")
assert int(os.readlink("/proc/self")) < 10
assert "/usr/sbin" in os.environ["PATH"].split(":")
"""
    status, _ = inside(code, visible=[tmp_path])
    assert status == 0
    assert (tmp_path / "made").read_text() == "inside"
    assert not Path("/tmp/private").exists()


def test_the_exit_status_is_the_programs():
    assert inside("import sys; sys.exit(7)")[0] == 7
    assert inside("import os; os.kill(os.getpid(), 9)")[0] == 128 + signal.SIGKILL


def test_the_control_channel_is_for_control_alone():
    code = """
import os, subprocess
from testbed.network import sandbox
reader, writer = sandbox.take_control()
print("stray")
subprocess.run(["sh", "-c", "echo stray; cat"])
os.write(writer, os.read(reader, 100).upper())
"""
    with sandbox.launch(["-c", code], stderr=subprocess.DEVNULL) as worker:
        worker.stdin.write(b"order")
        worker.stdin.flush()
        assert worker.stdout.read() == b"ORDER"
        assert worker.close() == 0


def test_the_end_of_its_input_lets_a_worker_finish():
    code = "import sys, time; sys.stdin.read(); time.sleep(0.2); print('done', flush=True); sys.exit(3)"
    with sandbox.launch(["-c", code]) as worker:
        assert worker.close() == 3


def test_orphans_are_reaped():
    code = """
import pathlib, subprocess, time
for _ in range(5):
    subprocess.run(["sh", "-c", "sleep 0.05 & exit"])
time.sleep(0.3)
states = [(p / "stat").read_text().rsplit(")")[-1].split()[0] for p in pathlib.Path("/proc").iterdir()
          if p.name.isdigit()]
assert "Z" not in states, states
"""
    assert inside(code)[0] == 0


def test_sandboxes_side_by_side():
    workers = [sandbox.launch(["-c", BUILD]) for _ in range(3)]
    assert [worker.process.wait(60) for worker in workers] == [0, 0, 0]
    for worker in workers:
        worker.kill()


# -- outside ---------------------------------------------------------------------------------------


def test_outside_nothing_starts():
    assert not sandbox.inside()
    with pytest.raises(sandbox.NotInSandbox):
        Network.build(load("hosted"))


def test_the_variable_alone_is_not_believed(monkeypatch):
    for mark in ("", "x", "x net:[1] pid:[2]", "x net:[1] pid:[2] mnt:[3]"):
        monkeypatch.setenv(sandbox.VARIABLE, mark)
        assert not sandbox.inside()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make namespaces by hand")
def test_namespaces_that_no_runner_made_are_not_believed():
    code = "import sys; from testbed.network import sandbox; sys.exit(int(sandbox.inside()))"
    command = [
        "unshare",
        "-n",
        "-m",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        sys.executable,
        "-c",
        code,
    ]
    mark = sandbox.environment({})[sandbox.VARIABLE]
    assert subprocess.call(command, env={**os.environ, sandbox.VARIABLE: mark}) == 0


def test_a_namespace_with_interfaces_is_refused(tmp_path, monkeypatch):
    """Made like a sandbox but for the network namespace, which is the machine's."""
    if not [entry for entry in Path("/sys/class/net").iterdir() if entry.name != "lo"]:
        pytest.skip("this machine has no interface")
    made = sandbox.unshare_command()
    monkeypatch.setattr(sandbox, "unshare_command", lambda: [word for word in made if word != "--net"])
    with (
        (tmp_path / "log").open("wb") as log,
        sandbox.launch(["-c", ""], stderr=log.fileno()) as worker,
        pytest.raises(sandbox.SandboxError),
    ):
        worker.wait_ready()
    assert "the network namespace is not empty" in (tmp_path / "log").read_text()


# -- the end ---------------------------------------------------------------------------------------


def test_the_lifeline_ends_a_worker():
    with sandbox.launch(["-c", "import time; time.sleep(1000)"]) as worker:
        worker.wait_ready()
        worker.lifeline.close()
        assert worker.process.wait(10) == 128 + signal.SIGKILL


@pytest.mark.parametrize("whom", ["unshare", "init"])
def test_the_death_of_any_link_ends_the_rest(whom):
    token = secrets.token_hex(8)
    with sandbox.launch(["-c", "import time; time.sleep(1000)"], env={"VICTIM": token}) as worker:
        worker.wait_ready()
        family = processes(token)
        init = min(pid for pid in family if pid != worker.process.pid)
        os.kill(worker.process.pid if whom == "unshare" else init, signal.SIGKILL)
        worker.process.wait(10)
        assert not gone(token)


def test_killed_runners_leave_nothing(tmp_path):
    before = host_state()
    rng = random.Random(1)
    start_up, _ = _kill_a_runner(tmp_path, 0.0, at_work=True)
    plan = [(rng.random() * start_up, False) for _ in range(KILLS // 2)]
    plan += [(rng.random() * 0.3, True) for _ in range(KILLS // 2)]
    with ThreadPoolExecutor(2) as pool:
        killed = list(pool.map(lambda kill: _kill_a_runner(tmp_path, *kill), plan))
    # What nobody would have found alive proves nothing.
    assert all(len(family) > HOSTS for (_, family), (_, at_work) in zip(killed, plan, strict=True) if at_work)
    assert host_state() == before


def _kill_a_runner(tmp_path, moment, at_work):
    """Kill a runner some seconds after its start, or after it is at work, and look for what is left.

    Returns how long it took to get to work, and the processes that there were.
    """
    token = "victim" + secrets.token_hex(8)
    folder = tmp_path / token
    folder.mkdir()
    command = [sys.executable, str(HERE / "victim.py"), "runner", str(folder)]
    environment = {**os.environ, "VICTIM": token, "PYTHONPATH": str(ROOT)}
    started = time.monotonic()
    runner = subprocess.Popen(command, env=environment, cwd=ROOT)
    while at_work and not list(folder.iterdir()):
        assert time.monotonic() - started < 60
        time.sleep(0.01)
    took = time.monotonic() - started
    time.sleep(moment)
    family = processes(token)
    namespaces = network_namespaces(family) - network_namespaces(["self"])
    runner.kill()
    runner.wait()
    assert not gone(token), f"left after {moment:.3f} s"
    assert not still_used(namespaces)
    assert not [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - nsfs " in line]
    for place in ("/tmp", "/run", "/dev/shm", "/var/tmp"):
        if Path(place).is_dir():
            assert not [entry for entry in Path(place).iterdir() if token in entry.name]
    for entry in folder.iterdir():
        assert entry.suffix == ".pcapng"
        assert pcapng.read(entry).capture.frames
    return took, family


# -- without root ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ordinary():
    """The start of a command line that runs this project's Python as an ordinary user."""
    if os.geteuid() != 0:
        pytest.skip("all the tests above have just done that")
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is missing")
    drop = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=-all"]
    places = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    start = [*drop, "env", "-C", "/", "HOME=/nonexistent", f"PYTHONPATH={os.pathsep.join(places)}"]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        command = [*start, python]
        check = [*command, "-c", "import dns.name, mininet, testbed.network.sandbox"]
        if subprocess.call(check, stderr=subprocess.DEVNULL) == 0:
            return command
    return pytest.skip("an ordinary user cannot reach this project and its interpreter")


def test_an_ordinary_user_can_run_everything(ordinary):
    code = f"""
import sys
from testbed.network import availability, sandbox
assert not sandbox.privileged()
missing = availability.missing()
if missing:
    sys.exit(missing)
with sandbox.launch(["-c", {BUILD!r}]) as worker:
    assert worker.process.wait(60) == 0
"""
    done = subprocess.run([*ordinary, "-c", code], capture_output=True, text=True, check=False)
    if "namespaces:" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr


def test_it_is_said_why_there_are_no_namespaces(ordinary):
    """In a user namespace that may hold no others."""
    code = "from testbed.network.availability import availability\nfor found in availability(): print(found)"
    words = " ".join(f"'{word}'" for word in [*ordinary[ordinary.index("env") :], "-c", code])
    deprive = "setpriv --bounding-set=-all --inh-caps=-all --no-new-privs"
    script = f"echo 0 > /proc/sys/user/max_user_namespaces && exec {deprive} {words}"
    drop = ordinary[: ordinary.index("env")]
    done = subprocess.run(
        [*drop, "unshare", "-Ur", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    if "max_user_namespaces" in done.stderr or "unshare failed" in done.stderr:
        pytest.skip(done.stderr.strip())
    (line,) = [line for line in done.stdout.splitlines() if "name='namespaces'" in line]
    assert "ok=False" in line
    assert "sysctl -w user.max_user_namespaces" in line


def test_this_machine_has_all_it_takes():
    assert [found for found in availability() if not found.ok] == []
