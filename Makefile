# make demo: the main job, from nothing to a picture.   make test: everything that must hold.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BLENDER := .venv-blender
HOUDINI := .venv-houdini
HOUDINIS := 20.5.487.0 21.0.512.3
OUT := out/demo

.PHONY: setup demo test check pytest test-blender clean

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("LIM needs Python 3.11 or later, $(PYTHON) is %d.%d. Try make PYTHON=python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup
	$(BIN)/python -m examples.creature $(OUT)

test: check pytest test-blender

check: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

pytest: setup $(HOUDINI)/installed
	$(BIN)/pytest --numprocesses 2 --dist loadfile --ignore tests/lim_server/serve
	$(BIN)/pytest tests/lim_server/serve

# What Houdini's own module offers, for each version that the nodes run in: stubs without code.
$(HOUDINI)/installed: Makefile | $(VENV)/installed
	for version in $(HOUDINIS); do \
	  $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade \
	    --target $(HOUDINI)/$$version types-houdini==$$version && \
	  ln -sfn hou-stubs $(HOUDINI)/$$version/hou || exit 1; done
	@touch $@

$(BLENDER)/installed: constraints-blender.txt
	$(PYTHON) -m venv $(BLENDER)
	$(BLENDER)/bin/pip install --quiet --disable-pip-version-check --requirement constraints-blender.txt
	@touch $@

# Pythons that Houdinis have, to try the light side in: python3.10 and python3.13 must be on the path.
.venv-light-3.10:
	python3.10 -m venv $@ && $@/bin/pip install --quiet --disable-pip-version-check numpy==1.24.4 pyzmq==26.4.0 msgpack

.venv-light-3.13:
	python3.13 -m venv $@ && $@/bin/pip install --quiet --disable-pip-version-check numpy pyzmq msgpack

test-blender: setup $(BLENDER)/installed
	$(BIN)/python tests/blender/run.py $(BLENDER)/bin/python

clean:
	rm -rf $(VENV) $(BLENDER) $(HOUDINI) out
