"""A scenario in which a resolver has occasions enough to find out that a server speaks TLS."""

PROBES = """
id: engines/probes
title: A server is asked until the resolver has found out that it speaks TLS, at its only address
topology: ipv6-only
world:
  signal: [none]
  secure: [target]
resolver:
  policy: {base: opportunistic, signals: [probing]}
steps:
  - query: www.example.org A
  - query: mail.example.org A
  - query: a.example.org A
  - query: b.example.org A
  - query: c.example.org A
  - wait-idle
  - query: secret.example.org A
"""
