"""A runner that gets killed, and its worker, which makes everything that could be left behind.

``victim.py runner FOLDER`` starts ``victim.py worker FOLDER`` in a sandbox and then waits.
"""

import asyncio
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from testbed.network import pcapng, sandbox

RULES = "table inet victim { chain pre { type filter hook prerouting priority 0; tcp dport 853 reject; }; }"


def runner(folder: Path) -> None:
    worker = sandbox.launch([__file__, "worker", str(folder)], visible=[folder, Path.cwd()])
    worker.process.wait()


def worker(folder: Path) -> None:
    from testbed.network.capture import Recorder  # noqa: PLC0415 - the runner need not wait for it
    from testbed.network.fabric import Network  # noqa: PLC0415
    from testbed.network.loop import VirtualLoop  # noqa: PLC0415
    from testbed.topology import load  # noqa: PLC0415

    network = Network.build(load("hosted"))
    loop = VirtualLoop()
    recorder = Recorder(network, loop)
    hop = network.hops["target"]
    hop.popen(["nft", RULES]).wait()
    network.resolver.popen(["sleep", "1000"])
    # An orphan in a session of its own.
    network.resolver.popen(["sh", "-c", "setsid sleep 1000 & exit"], stdout=subprocess.DEVNULL)

    async def work() -> None:
        target = network.hosts["target"]
        with target.socket(2, 2) as server, network.resolver.socket(2, 2) as client:
            server.bind((target.addresses[0], 53))
            client.connect((target.addresses[0], 53))
            number = 0
            while True:
                number += 1
                recorder.begin()
                client.send(b"query")
                await loop.sock_recv(server, 100)
                await asyncio.sleep(1)
                captures = recorder.finish(0)
                pcapng.write(folder / f"{number % 5}.pcapng", captures["target"], epoch=0)
                Path(tempfile.mkdtemp(prefix=os.environ["VICTIM"]), secrets.token_hex(4)).write_text("left?")

    loop.run_until_complete(work())


if __name__ == "__main__":
    {"runner": runner, "worker": worker}[sys.argv[1]](Path(sys.argv[2]))
