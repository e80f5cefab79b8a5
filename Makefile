# `make demo` and `make test` set up all they need; `make check` works in an installed environment.
PYTHON ?= python3
VENV := .venv
BIN := $(abspath $(VENV))/bin
DEMO ?= demo-run

.PHONY: demo test installed check lint types pytest docs pictures lowest slow robustness bench gpu wheel clean

demo: $(VENV)/.installed
	mkdir -p $(DEMO)
	cd $(DEMO) && $(BIN)/clipft prepare --num-classes 10
	cd $(DEMO) && $(BIN)/clipft train --config clipft.yaml
	cd $(DEMO) && $(BIN)/clipft evaluate --split test
	cd $(DEMO) && $(BIN)/clipft predict image.jpg --top-k 5
	@echo "all of this is in $(DEMO)/; README.md says how to use your own photographs"

test: $(VENV)/.installed-dev
	PATH="$(BIN):$$PATH" $(MAKE) check

installed: $(VENV)/.installed-dev

check: lint types pytest

lint:
	ruff check .
	ruff format --check .

types:
	mypy

# one torch thread a process: two processes on two cores are faster than two threads in one
pytest:
	OMP_NUM_THREADS=1 python -m pytest -q -n 2 --dist loadfile

# the suite with the lowest versions that pyproject.toml allows (needs uv): a bound that does not hold is found here
lowest:
	uv venv --clear -q .venv-lowest
	uv pip install -q --python .venv-lowest/bin/python --resolution lowest-direct -e '.[dev]'
	PATH="$(abspath .venv-lowest)/bin:$$PATH" $(MAKE) pytest

slow:
	OMP_NUM_THREADS=1 python -m pytest -q -n 2 --dist loadfile -m slow

# breaks runs on purpose, for hours, and writes docs/robustness.md; ONLY="-k soak" runs some and keeps the other figures
ONLY ?=
robustness:
	python tests/robustness/table.py $(ONLY)

# speed beside transformers, peft, timm and open_clip (extra `bench`): ROWS="full_step lora_all" chooses rows,
# OPTIONS="--model ViT-B-16-quickgelu --rounds 5" the rest; writes docs/benchmarks.md
bench:
	PYTHONPATH=tests:$$PYTHONPATH python -m benchmarks $(ROWS) $(OPTIONS)

# on a machine with a CUDA device, eight minutes: correctness, speed, what to choose; writes docs/benchmarks-gpu.md.
# STEPS="kill methods" takes some; CLIPFT_GPU_TIER_DEVICE=cpu proves the script with tiny shapes
gpu:
	PYTHONPATH=tests:$$PYTHONPATH python -m gpu --output docs $(STEPS)

docs:
	python docs/make_reference.py
	python docs/make_layouts.py

# real runs of a few minutes, photographed: the terminal as SVG, compare.html by chromium; writes docs/pictures/
pictures:
	python docs/make_pictures.py

wheel: $(VENV)/.installed-dev
	$(BIN)/python -m build --wheel

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $(VENV)/.installed $@

clean:
	rm -rf $(VENV) $(DEMO) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
