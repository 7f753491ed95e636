# `make demo` and `make test` are all that is needed; both install what is missing first.
.DEFAULT_GOAL := help
.PHONY: help setup demo test engines lint bench lock clean

# Where it is set, as in many containers, every process would compile all modules and tests anew.
unexport PYTHONDONTWRITEBYTECODE

BIN    := .venv/bin
REPORT := build/report

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Those with real servers run in real time, and take as long as all others; those for engines ask real resolvers
# what the others have asked ours.
demo: setup  ## run the scenarios on a Mininet network, print the matrix, write a report
	$(BIN)/adox run $(filter-out scenarios/servers scenarios/engines,$(wildcard scenarios/*)) --report $(REPORT)

test: lint  ## everything that CI checks: style, types, unit tests, tests on the wire
	$(BIN)/pytest -n auto tests/test_*.py --junit-xml build/junit/unit.xml
	$(BIN)/pytest -n auto --dist loadfile tests/wire --junit-xml build/junit/wire.xml
	$(BIN)/pytest -n auto --dist loadfile tests/engines -m "not accepted" --junit-xml build/junit/engines.xml

engines: setup  ## run what real resolvers can run, compare with what is accepted of each; takes some minutes
	$(BIN)/pytest tests/engines -m accepted --junit-xml build/junit/accepted.xml

lint: setup  ## style and types only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: setup  ## measure the speed beside that of usual tools, which it installs
	@tools/bench-peers
	$(BIN)/python -m testbed.bench

lock:  ## resolve the Python packages of pyproject.toml anew into the lock file
	tools/lock

setup:
	@tools/setup

clean:  ## remove the virtual environment, reports and caches; results/ stays
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
