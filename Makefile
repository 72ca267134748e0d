# Every target sets up what it needs first; see tools/setup.sh.

CONFIG  ?= digits-icebreaker
WORKERS ?= 2

BIN     := .venv/bin
TRISIGN := $(BIN)/trisign
REPORTS := build/reports
DEMO    := build/demo

# Blocks that `make demo` compares with golden, and parts it implements them on.
COMPARED := ternary_dot processing_element update_engine precision_controller
TARGETS  := up5k ecp5-25f xc7

export PYTHON

.PHONY: help setup demo test lint clean

help:
	@echo "make demo    set up; generate a shipped configuration, compare it with golden, place and route it"
	@echo "make test    set up; lint, then the whole test suite (report: $(REPORTS)/junit.xml)"
	@echo "make setup   only what the others need: Debian packages, .venv, tool caches"
	@echo "make lint    ruff and mypy"
	@echo "make clean   remove build results; .venv and tool caches stay"

setup:
	@tools/setup.sh

demo: setup
	$(TRISIGN) generate $(CONFIG) --out $(DEMO)/$(CONFIG)
	@for block in $(COMPARED); do $(TRISIGN) compare $$block --config $(CONFIG) || exit; done
	$(TRISIGN) implement $(CONFIG) --target $(TARGETS)

test: lint
	@mkdir -p $(REPORTS)
	$(BIN)/pytest -n $(WORKERS) --dist worksteal --durations=15 --junitxml=$(REPORTS)/junit.xml

# mypy reads the packages under the name they are installed by, whatever this folder is called.
lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@mkdir -p build/mypy && ln -sfn ../.. build/mypy/trisign
	cd build/mypy && ../../$(BIN)/mypy --config-file ../../pyproject.toml \
		--explicit-package-bases --exclude '^trisign/build/' --disable-error-code valid-type trisign

clean:
	rm -rf build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
