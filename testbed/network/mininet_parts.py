"""Mininet's classes, as we use them: hosts with a shell each, links, no switch and no controller.

Mininet configures hosts and links with one shell command after the other. Here the network is configured
in batches (:mod:`testbed.network.fabric`), and these classes tell Mininet what is there.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _StrictVersion(str):
    """Stands in for distutils.version.StrictVersion, with which Mininet compares Open vSwitch's version."""


def _import_mininet() -> tuple[ModuleType, ModuleType, ModuleType]:
    """Import Mininet without distutils.

    Mininet imports it for the sake of Open vSwitch. It left the standard library in Python 3.12, and
    setuptools' copy takes longer to import than the network takes to build.
    """
    stand_ins = {name: ModuleType(name) for name in ("distutils", "distutils.version")}
    vars(stand_ins["distutils.version"])["StrictVersion"] = _StrictVersion
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        from mininet import link, net, node  # noqa: PLC0415
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return net, node, link


_net, _node, _link = _import_mininet()
VERSION: str = _net.VERSION
"""Mininet's version."""

_net.Mininet.inited = True  # or it would raise limits of the whole machine


class Node(_node.Host):  # type: ignore[misc, name-defined]
    """A Mininet host that is configured from outside."""

    isSetup = True  # noqa: N815 - Mininet would look for ifconfig, which nothing here uses

    def config(self, **_parameters: Any) -> dict[str, Any]:
        """Nothing: it is configured already."""
        return {}


class Port(_link.Intf):  # type: ignore[misc, name-defined]
    """A Mininet interface that is configured from outside."""

    def config(self, **_parameters: Any) -> dict[str, Any]:
        """Nothing: it is configured already."""
        return {}


class Wire(_link.Link):  # type: ignore[misc, name-defined]
    """A Mininet link over a veth pair that exists already."""

    @classmethod
    def makeIntfPair(cls, *_names: Any, **_options: Any) -> None:  # noqa: N802 - Mininet's name
        """Nothing: the pair exists."""


class Net(_net.Mininet):  # type: ignore[misc, name-defined]
    """A Mininet network without switches and controllers, of hosts that were made before."""

    def __init__(self) -> None:
        super().__init__(host=Node, link=Wire, intf=Port, switch=None, controller=None, build=False)

    def adopt(self, node: Node) -> None:
        """Take over a host."""
        self.addHost(node.name, cls=lambda *_arguments, **_parameters: node)
