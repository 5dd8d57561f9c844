# Everything here needs only python3 (3.11 or newer) and make; the first target that runs builds .venv.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-faults faults-page test-browser wheel-test lint types bench bench-check bench-peers lock columns cards pages screenshots docs docs-serve pipeline denoise finetune classify sweep clean

PYTHON ?= python3
COMMA := ,
BIN := .venv/bin
READY := .venv/.ready
CONFIG ?= configs/pipeline_$(if $(wildcard data/fer2013 data/ravdess_speech),compact,sample).yaml
PIPELINE = $(BIN)/vidfer pipeline run $(CONFIG)
WORDS = $(if $(BEST),--config $(BEST) )$(ARGS)
SWEEP_FILE = configs/sweeps/$(STAGE).yaml
SWEEP_OF = $(BIN)/vidfer sweep $(SWEEP_FILE) $(SET) --pipeline $(CONFIG) $(if $(METHOD),--method $(METHOD))
PROJECT ?= $(or $(WANDB_PROJECT),vidfer)
GIVEN := $(DATA)
DATA ?= $(if $(wildcard data/ravdess_speech),$(if $(filter fusion cnn rcnn lstm rnn,$(CLASSIFIER)),paired,ravdess),$(if $(filter fusion cnn rcnn lstm rnn,$(CLASSIFIER)),sample_paired,sample_sounds))

help:  ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z -]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## Build .venv from requirements.lock (about 5 GB, most of it PyTorch's)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "vidfer needs Python 3.11 or newer; say make PYTHON=python3.12"; exit 1; }
	@echo "Installing into .venv: about 5 GB, some minutes ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@grep -A99 '^uv==' requirements.lock | awk 'NR > 1 && !/^ / {exit} {print}' > .venv/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv/uv.txt
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes --requirement requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)  ## Make a short clip and analyse it with the shipped weights; OPEN=1 shows its report in the browser
	@$(BIN)/vidfer demo --out demo$(if $(OPEN), --open)

test: $(READY)  ## Run the default tests (without the slow and GPU ones)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-slow: $(READY)  ## Run the slow tests
	@$(BIN)/python -m pytest -m 'slow and not gpu'

test-faults faults-page: $(READY)  ## Run every test against faults, and print their table; faults-page writes it into docs/reliability.md
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/faults -m 'not gpu and not browser' -n auto --maxprocesses 2 --dist loadfile --faults-table $(if $(filter faults-page,$@),--faults-page docs/reliability.md)

wheel-test: $(READY)  ## Install the wheel without extras into a new environment, try it there, and say how large it is
	@$(BIN)/python -m pytest -m slow -s tests/integration/test_wheel.py

test-browser: $(READY)  ## Run the tests that open pages in Chromium, which has to be installed
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser -n auto --maxprocesses 2 --dist loadfile

lint: $(READY)  ## Check style, formatting, the direction of imports, unsafe calls and, where online, known vulnerabilities
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/bandit --quiet --configfile pyproject.toml --recursive vidfer stages
	@$(BIN)/python scripts/audit.py requirements.lock

types: $(READY)  ## Check types
	@$(BIN)/mypy

bench: $(READY)  ## Measure what vidfer costs, into runs/bench.json: GROUPS="cold analyze" ARGS="--quick|--long"; BASELINE=1 renews docs/performance.md
	@$(BIN)/python -m benchmarks.bench $(GROUPS) $(ARGS) --out $(if $(BASELINE),benchmarks/bench/baseline.json,runs/bench.json)
	@$(if $(BASELINE),$(BIN)/python -m benchmarks.bench --page)

bench-check: $(READY)  ## Fail where a cost beside its floor is more than 15 % above the committed baseline's
	@$(BIN)/python -m benchmarks.bench --check $(GROUPS)

bench-peers: $(READY) .venv-peers/.ready  ## Let fer, with Haar and with MTCNN, and vidfer take turns on one clip; makes .venv-peers (7 GB) first
	@$(BIN)/python -m benchmarks.bench.peers $(ARGS) --out $(if $(BASELINE),benchmarks/bench/peers.json,runs/peers.json)
	@$(if $(BASELINE),$(BIN)/python -m benchmarks.bench --page)

.venv-peers/.ready: benchmarks/bench/peers.txt
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-peers
	@$(BIN)/uv pip install --quiet --python .venv-peers/bin/python --requirement benchmarks/bench/peers.txt
	@touch $@

columns: $(READY)  ## Write the columns of all tables into docs/reference/columns.md
	@$(BIN)/python -m vidfer.results.dictionary docs/reference/columns.md

cards: $(READY)  ## Write the facts in docs/cards anew, from the cards beside the weights and the list of data sets, and digests of those files
	@$(BIN)/python -m vidfer.evaluation.cards docs/cards/models.md docs/cards/data.md

pages: $(READY)  ## Capture docs/reference/terminal.md anew, what the command prints, and draw the pictures of docs/how-to/plots.md
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/terminal_pages.py
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/plot_examples.py

docs: $(READY)  ## Build the documentation strictly into site/, which needs no network
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet && echo "site/index.html"

docs-serve: $(READY)  ## Serve the documentation at http://127.0.0.1:8000, anew after each change
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

screenshots: $(READY)  ## Draw docs/screenshots anew: report, page of a run and app, light, dark and on a phone; needs Chromium
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/screenshots.py

pipeline: $(READY)  ## Train all models of CONFIG=configs/pipeline_*.yaml and put them into a bundle
	@$(PIPELINE) $(SET)

denoise finetune: $(READY)  ## Bring the denoiser or the image network of CONFIG up to date, with what it needs before it; BEST=runs/sweeps/finetune/best.yaml
	@$(PIPELINE) $(SET) --until $@ --args="$(WORDS)"

classify: $(READY)  ## The same for a classifier of clips: CLASSIFIER=mlp|fusion|... DATA=ravdess|paired|... of configs/
	@$(PIPELINE) $(if $(CLASSIFIER),'classify.config=[classify.yaml$(COMMA)classifiers/$(CLASSIFIER).yaml]') $(if $(CLASSIFIER)$(GIVEN),classify.data=data/$(DATA).yaml) $(SET) --until $@ --args="$(WORDS)"

sweep: $(READY)  ## Search hyper-parameters on Weights & Biases, or here by LOCAL=1: STAGE=denoise|finetune|classify|fusion METHOD=grid|random|bayes COUNT=trials
	@test -n "$(SWEEP)" -o -f "$(SWEEP_FILE)" || { echo "say make sweep STAGE=classify (or denoise, finetune, fusion); SWEEP=entity/project/id helps with one that is there"; exit 2; }
ifdef LOCAL
	@$(SWEEP_OF) --local $(if $(COUNT),--trials $(COUNT)) $(ARGS)
else
	@mkdir -p runs; sweep="$(SWEEP)"; \
	test -n "$$sweep" || $(SWEEP_OF) --print > runs/sweep_$(STAGE).yaml || exit; \
	test -n "$$sweep" || sweep=$$(WANDB_DIR="$(CURDIR)/runs" $(BIN)/wandb sweep --project "$(PROJECT)" runs/sweep_$(STAGE).yaml 2>&1 \
		| tee -a /dev/stderr | tr -d '\033' | sed -n 's/\[[0-9;]*m//g; s/.*wandb agent //p'); \
	test -n "$$sweep" || { echo "no sweep was made: log in with '$(BIN)/wandb login', or search here by LOCAL=1; another server than wandb.ai is named by WANDB_BASE_URL" >&2; exit 1; }; \
	PATH="$(CURDIR)/$(BIN):$$PATH" WANDB_DIR="$(CURDIR)/runs" $(BIN)/wandb agent $(if $(COUNT),--count $(COUNT)) "$$sweep"
endif

lock: $(READY)  ## Compile requirements.lock anew, for every platform, with hashes, without any index address
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock" --quiet --output-file requirements.lock

clean:  ## Remove what the tools left behind; runs, data and .venv stay
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist site *.egg-info
