# Every target sets up what it needs first; see tools/setup.sh.

CONFIG  ?= digits-icebreaker
WORKERS ?= 2

BIN     := .venv/bin
TRISIGN := $(BIN)/trisign
REPORTS := build/reports
DEMO    := build/demo
FLOAT   := build/float

# What `make demo` compares with golden block by block, and for how long it trains in simulated RTL.
COMPARED := ternary_dot processing_element update_engine precision_controller
EPOCHS   ?= 3

export PYTHON

.PHONY: help setup demo test regress prove mutate coverage coverage-rtl bench lint clean

help:
	@echo "make demo    set up; generate $(CONFIG), train digits in its RTL against golden, build its bitstream"
	@echo "make test    set up; lint, then the test suite without its long runs (15 minutes; report: $(REPORTS)/junit.xml)"
	@echo "make prove   set up; the proofs alone (12 minutes)"
	@echo "make regress set up; the long runs that make test leaves out (2.5 hours; what failed comes first)"
	@echo "make mutate  set up; 1,000 mutants a block against its bench (1 hour; goes on where it stopped)"
	@echo "make coverage set up; branches of golden, gen and host code; lines and bits of the Verilog"
	@echo "make bench   set up, PyTorch too; area, clock and time of an epoch beside baselines (half an hour; goes on where it stopped)"
	@echo "make setup   only what the others need: Debian packages, .venv, tool caches"
	@echo "make lint    ruff and mypy"
	@echo "make clean   remove build results; .venv and tool caches stay"

setup:
	@tools/setup.sh

demo: setup
	$(TRISIGN) generate $(CONFIG) --out $(DEMO)/$(CONFIG)
	@for block in $(COMPARED); do $(TRISIGN) compare $$block --config $(CONFIG) || exit; done
	$(TRISIGN) train $(CONFIG) --engine rtl --epochs $(EPOCHS) --out $(DEMO)/training
	@echo "learning curve: $(DEMO)/training/learning_curve.png"
	$(TRISIGN) build $(CONFIG) --seeds 1 --out $(DEMO)/bitstream

test: lint
	@mkdir -p $(REPORTS)
	@rm -f $(REPORTS)/benches.txt
	TRISIGN_PASSED=$(abspath $(REPORTS)/benches.txt) $(BIN)/pytest -n $(WORKERS) \
		--dist worksteal --durations=15 --junitxml=$(REPORTS)/junit.xml
	$(BIN)/python tests/test_testplan.py $(REPORTS)/junit.xml $(REPORTS)/benches.txt

# Stopped and called again, it begins with the tests that did not pass; what was synthesised or
# compiled before is kept in build, and so is each seed of the vectors in bulk.
regress: setup
	@echo "long runs: vectors in bulk (20 seeds, about 30 min), epochs in RTL, lint of all Verilog,"
	@echo "netlists of every board (10 to 20 min each); about 2.5 h in all"
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m long --durations=0 -v --failed-first \
		-o cache_dir=build/regress

prove: setup
	@echo "stream rules, dot products and cells for all inputs, state machines (about 12 min)"
	$(BIN)/pytest -n $(WORKERS) -v -m "long or not long" --failed-first -o cache_dir=build/prove \
		tests/test_stream_rules.py tests/test_ternary_dot.py tests/test_sequencers.py \
		-k "sequencers or stream_rules or all_inputs or proved or disproved"

mutate: setup
	@echo "7 campaigns, 4,000 mutants (about 1 h of two idle cores); each says how long it takes and goes on where it stopped"
	$(BIN)/python tests/mutation/run.py --workers $(WORKERS)

coverage: setup coverage-rtl
	@echo "the test suite without its long runs, with branches counted (about 15 min)"
	$(BIN)/pytest -n $(WORKERS) --cov --cov-config=tests/coverage.ini --cov-report=term \
		--cov-report=html:$(REPORTS)/coverage --cov-fail-under=95

coverage-rtl: setup
	@echo "benches in Verilator, lines and bits of the Verilog counted (about 10 min)"
	$(BIN)/python tests/rtl_coverage.py

# PyTorch is what training is measured against and nothing else needs it: it has an environment of
# its own.
bench: setup $(FLOAT)/.ready
	$(TRISIGN) bench --float $(FLOAT)/bin/python

$(FLOAT)/.ready:
	$(or $(PYTHON),python3) -m venv --clear $(FLOAT)
	$(FLOAT)/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 numpy
	@touch $@

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
