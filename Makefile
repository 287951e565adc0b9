# Every target runs the tools of the active environment: `pip install -e '.[dev]' -c constraints.txt` puts them there.

.DEFAULT_GOAL := help
WORKERS ?= auto
FUZZ_SECONDS ?= 120
SEED ?= 1
SCRATCH := tests/hw/scratch tests/runtime/verify/test_verify.py
.PHONY: help check fuzz lint format types layers test test-fast test-isa test-all filecheck docs accuracy lines

help:  ## Show what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

check: lint types layers test filecheck  ## All that must pass before a merge; what CI runs

lint:  ## Rules and format
	ruff check
	ruff format --check

format:  ## Apply the format and the fixes that are safe
	ruff check --fix
	ruff format

types:  ## Static types
	pyright

layers:  ## Imports only point down
	lint-imports

test:  ## The tests, without those that take minutes
	pytest -q -n $(WORKERS) --dist loadfile

test-fast:  ## The tests that capture no model
	pytest -q -n $(WORKERS) --dist loadfile -m "not slow and not capture"

test-isa:  ## Scratch beside this machine's library: its own instruction set, AVX2, one thread
	pytest -q $(SCRATCH) -k "peaks or convnext"
	ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 pytest -q $(SCRATCH) -k "(peaks and f32) or convnext"
	OMP_NUM_THREADS=1 pytest -q $(SCRATCH) -k "peaks or convnext"

test-all:  ## All tests, those that take minutes too
	pytest -q -n $(WORKERS) --dist loadfile -m "slow or not slow"

filecheck:  ## IR in, IR out
	@if [ -d tests/filecheck ]; then lit -v tests/filecheck; else echo "no tests/filecheck"; fi

fuzz:  ## Damaged input to every parser and pass, for FUZZ_SECONDS; SEED=2 makes others
	python tests/fuzz --seconds $(FUZZ_SECONDS) --seed $(SEED)

docs:  ## The site with the reference, into site/; needs the extra "docs"
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

accuracy:  ## docs/accuracy.md from the committed results of the benchmarks
	python benchmarks/accuracy_page.py

lines:  ## Files and lines of each folder, before the rooms and now
	python benchmarks/lines.py 545266a HEAD
