# `make lab` is all a reader needs; `make help` lists the rest. Plain enough for make 3.81 (macOS).
PYTHON ?= python3
# an index of torch wheels to use besides the usual one: README.md says when
TORCH_INDEX ?=
LAB_FLAGS ?=
# the learner's own copies of the labs: `make clean` spares them
MINE ?= my_labs
# how many files of tests run side by side; each starts processes of its own
JOBS ?= 2

VENV = .venv
RUN = $(VENV)/bin/python
READY = $(VENV)/.ready
PIP = $(RUN) -m pip --disable-pip-version-check install

.PHONY: help setup lab labs gate test fuzz restarts frameworks grade book reach bench lint map lines classroom-env clean

help:
	@echo "make setup   make .venv from requirements.lock (does nothing when it is up to date)"
	@echo "make lab     open your own copies of the labs (in $(MINE)) in JupyterLab"
	@echo "make test    check everything: ruff, mypy, tests, labs"
	@echo "make fuzz    programs by chance, all combinations, faults in all places: many minutes"
	@echo "make restarts   twenty jobs of torchrun whose ranks are killed twice each, some minutes"
	@echo "make frameworks   install, run and test all frameworks of lab 17, and write data/frameworks.csv: 7 GB"
	@echo "make grade   all labs through nbgrader, untouched and answered, some minutes"
	@echo "make lint    check the code's form and types only"
	@echo "make labs    run all labs and rewrite their outputs"
	@echo "make gate    run all labs as a reader who predicts nothing, and once more on their core way alone"
	@echo "make book    the labs as web pages in build/book: the first time some minutes, for the explorers' pictures"
	@echo "make reach   all labs by jupyter execute, papermill, a plain kernel, JupyterLab and Notebook 7, half an hour"
	@echo "make bench   measure, and print a table"
	@echo "make map     write docs/package.md anew, from what each file says of itself"
	@echo "make lines   print how long the core of the package is, and the rest"
	@echo "make classroom-env   make .venv-classroom: JupyterHub and nbgrader, see docs/classroom.md"
	@echo "make clean   remove .venv and all that was generated, but not $(MINE)"

setup: $(READY)

# pip itself comes first: an old one doesn't show how far it has got with installing. The stamp comes last and goes first: a set-up that is cut short never counts as ready, and the
# next one begins with an empty .venv.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ddl_lab needs Python 3.11 or newer; $(PYTHON) is %d.%d: try make setup PYTHON=python3.12" % sys.version_info[:2])'
	@test -f $(READY) || { echo "$(PYTHON) -m venv $(VENV): some seconds"; $(PYTHON) -m venv --clear $(VENV); }
	@rm -f $(READY)
	$(PIP) $$(grep ^pip== requirements.lock)
	$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -r requirements.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $(READY)

lab: setup
	$(RUN) -m ddl_lab.learner.command --folder $(MINE) $(LAB_FLAGS)

labs: setup
	$(RUN) tools/make_labs.py

gate: setup
	DDL_LAB_GATE=all $(RUN) -m pytest -q tests/labs/test_gate.py tests/labs/test_ways.py tests/labs/test_lab_05.py

# whole files side by side, those that take long first (tests/conftest.py)
test: lint
	$(RUN) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

# tests that strike by chance, many times or in all combinations, at full length: after a change to an engine
fuzz: setup
	DDL_LAB_FUZZ=1 $(RUN) -m pytest tests/engines tests/processes tests/notebook/test_kernel.py

# torchrun starts killed ranks again: twenty jobs, two kills each
restarts: setup
	DDL_LAB_FUZZ=1 $(RUN) -m pytest tests/processes/test_torchrun.py -k restarted

# where they are put: DDL_LAB_FRAMEWORKS, or the learner's own folder
frameworks: setup
	$(RUN) -m tools.make_frameworks
	DDL_LAB_FRAMEWORKS="$$($(RUN) -c 'from ddl_lab.frameworks import environments; print(environments.place())')" \
		$(RUN) -m pytest tests/frameworks

grade: setup
	DDL_LAB_GRADE=all $(RUN) -m pytest tests/classroom/test_nbgrader.py

# the pages of build/book need no network and no Python; pictures are kept in build/book-pictures
book: setup
	$(RUN) -m tools.book

reach: setup
	DDL_LAB_REACH=all $(RUN) -m pytest -n $(JOBS) tests/reach

bench: setup
	$(RUN) -m benchmarks

lint: setup
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

map:
	@$(PYTHON) -m tools.house map

lines:
	@$(PYTHON) -m tools.house lines

# an environment of its own, for all users of a machine: nothing else here needs it
classroom-env:
	@$(PYTHON) tools/make_classroom.py $(if $(TORCH_INDEX),--torch-index $(TORCH_INDEX))

clean:
	rm -rf $(VENV) .venv-classroom .venv-classroom.lock .frameworks build dist downloads test-artefacts .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -path ./$(MINE) -prune -o -name __pycache__ -prune -exec rm -rf {} +
	find . -path ./$(MINE) -prune -o -name .ipynb_checkpoints -prune -exec rm -rf {} +
