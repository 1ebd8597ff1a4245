# make demo: install into .venv and search for a loss on the digits task.  make test: everything that must hold.
# make bench: how fast it is on this machine, on its GPU too if it has one.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: demo test lint types layers check clusters clang ray jax log report-check bench clean

demo: $(STAMP)
	if [ -e glo-out/digits/study.sqlite3 ]; then $(BIN)/glo resume glo-out/digits; \
	else $(BIN)/glo search examples/glo.glo --task digits --out glo-out/digits; fi
	$(BIN)/glo-compile glo-out/digits/best.glo -o glo-out/digits/best_kernel.py
	$(BIN)/glo-compile glo-out/digits/best.glo --target cuda:90 --emit cubin -o glo-out/digits/best.sm_90.cubin
	@ls -l glo-out/digits

test: $(STAMP) lint types layers check

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[search,test]'
	touch $@

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

layers: $(STAMP)
	$(BIN)/lint-imports

check: $(STAMP)
	PYTHONHASHSEED=0 $(BIN)/pytest -q -n auto --dist worksteal

# Clusters of blocks need Triton 3.8. PyTorch comes with an older one, so they are compiled with one beside it.
NEXT := .venv/triton-3.9

$(NEXT)/.installed: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target $(NEXT) 'triton==3.9.*'
	touch $@

clusters: $(NEXT)/.installed
	GLO_TRITON=$(abspath $(NEXT)) $(BIN)/pytest -q tests/codegen/test_triton_clusters.py

# A clang that pip can install: the C target with it, without OpenMP.
CLANG := .venv/clang

$(CLANG)/clang: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target $(CLANG)/zig 'ziglang==0.17.*'
	printf '#!/bin/sh\nexec %s cc "$$@"\n' $(abspath $(CLANG))/zig/ziglang/zig > $@
	chmod +x $@

clang: $(CLANG)/clang
	PATH=$(abspath $(CLANG)):$$PATH CC=clang PYTHONHASHSEED=0 $(BIN)/pytest -q -n auto --dist worksteal \
	  tests/codegen/test_c.py tests/ir/test_accuracy_in_c.py tests/ir/test_operators_in_c.py \
	  tests/runtime/test_build_c.py tests/runtime/test_edges.py tests/runtime/test_bundle.py tests/runtime/test_layout.py

# Ray is large, and few need it: the tests of the executor on a cluster, one of two nodes, run with one beside.
RAY := .venv/ray

$(RAY)/.installed: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --target $(RAY) 'ray>=2.50'
	touch $@

ray: $(RAY)/.installed
	PYTHONPATH=$(abspath $(RAY)) $(BIN)/pytest -q tests/evolve/executors -k ray

# The page of a search in a real browser, the one that CHROMIUM names (Debian: chromium or chromium-headless-shell):
# nothing is fetched, nothing overflows, all can be read, by day and by night, at the desk and on a telephone.
report-check: $(STAMP)
	CHROMIUM=$${CHROMIUM:-chromium} $(BIN)/python -m tests.evolve.report.in_chromium

# JAX is larger still: the tests of exports run with one beside; SymPy, which PyTorch needs, is always there.
JAX := .venv/jax

$(JAX)/.installed: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps --target $(JAX) \
	  'jax>=0.8' jaxlib ml_dtypes opt_einsum
	touch $@

jax: $(JAX)/.installed
	PYTHONPATH=$(abspath $(JAX)) $(BIN)/pytest -q tests/exports

# MLflow and wandb bring much along: the loggers of a search that use them are tested with them beside.
LOG := .venv/log

$(LOG)/.installed: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --target $(LOG) \
	  alembic mlflow-skinny sqlalchemy wandb
	touch $@

log: $(LOG)/.installed
	PYTHONPATH=$(abspath $(LOG)) $(BIN)/pytest -q tests/evolve/writers

bench: $(STAMP)
	$(BIN)/python benchmarks/cpu.py --out benchmarks/results/cpu.json
	@if $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; \
	then $(BIN)/python benchmarks/gpu.py --out benchmarks/results/gpu.json; \
	else echo "no CUDA device: benchmarks/gpu.py is left out"; fi

clean:
	rm -rf .venv glo-out
