"""The verdict: what the packets of two phases, and the answers that the client got, come to.

Pure code. ``judge.judge`` is the way in; ``expect.mismatches`` compares with what a scenario expects.
"""
