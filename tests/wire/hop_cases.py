"""Run in a sandbox: messages over a hop, for a moment. Prints one JSON object."""

import json

from testbed.bench.hop import measure

if __name__ == "__main__":
    print(json.dumps(measure(0.3)))
