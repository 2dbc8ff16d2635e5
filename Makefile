# kvm-runtime: build, run, test. `make` alone prints the targets.
#
# A target is rebuilt when one of its sources (or a folder of them: files come and go) is newer than it; when nothing
# is, make knows it by itself in milliseconds and never starts swift build.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --no-builtin-variables --no-print-directory
.DEFAULT_GOAL := help
# Every long step fills the processors by itself, and says aloud what it does.
.NOTPARALLEL:

PREFIX ?= /usr/local
DESTDIR ?=
LAYERS ?=
export PATH := $(PATH):/opt/swift/usr/bin

bin := build/bin
share := build/share/kvm-runtime
programs := $(bin)/kvm-runtime $(bin)/kvm-vmm
assets := $(share)/vmlinux $(share)/initramfs.cpio
step := scripts/step.sh
# For the scripts that call a make of their own: none of our flags and variables is meant for it.
clean_environment := env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u MAKEOVERRIDES

# sources FOLDERS…: all files and folders in them, hidden ones (build products) left out.
sources = $(if $(wildcard $(1)),$(shell find $(wildcard $(1)) -name '.*' -prune -o -print))
host_sources := Package.swift $(call sources,Sources)
kernel_sources := $(call sources,guest-agent/kernel)
# The agent is made of its own package and of the rooms it shares with the host.
agent_rooms := $(shell sed -n '/"AgentRooms"/,/\]/p' Package.swift | grep -o '"[A-Za-z0-9]*"' | tr -d '"')
agent_sources := Package.swift $(call sources,$(addprefix Sources/,$(agent_rooms))) \
    $(call sources,$(filter-out %/kernel %/Tests %/Package.resolved,$(wildcard guest-agent/*)))

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  Variables: V=1 shows the output of long steps; KERNEL_SOURCE, KVM_RUNTIME_CACHE: guest-agent/kernel/build.sh."

.PHONY: run
run: build ## run the bundle oci-fixtures/hello in a guest of its own; builds and installs what is missing
	@scripts/fixture.sh oci-fixtures/hello
	@scripts/run-hello.py $(bin)/kvm-runtime oci-fixtures/hello

.PHONY: build
build: $(programs) $(assets) ## build the runtime, the guest's kernel and its agent into build/

.PHONY: test
test: build ## run all tests; LAYERS="unit agent end-to-end", FILTER=REGEX for some of them
	@scripts/deps.sh test
	@FILTER='$(FILTER)' $(clean_environment) scripts/test.sh $(LAYERS)

.PHONY: fuzz
fuzz: | build-deps ## run hostile guests against the devices; SECONDS=600 for each of TARGET="vsock file-system …"; ADDRESS=1
	@env -u SECONDS ADDRESS='$(ADDRESS)' scripts/fuzz.sh run '$(or $(SECONDS),600)' $(TARGET)

.PHONY: fuzz-corpora
fuzz-corpora: | build-deps ## make Tests/FuzzCorpora anew of what fuzz has found, some dozens of inputs for each target
	@env -u SECONDS scripts/fuzz.sh merge 0 $(TARGET)

.PHONY: bench
bench: build ## measure speed and memory against the floor and other runtimes; ARGS= for Benchmarks/run.py
	@scripts/deps.sh test
	@$(clean_environment) Benchmarks/run.py $(ARGS)

.PHONY: fs-suites
fs-suites: build ## file system suites in a container against the host; ARGS= for scripts/fs-suites.sh
	@scripts/deps.sh test
	@$(clean_environment) scripts/fs-suites.sh $(ARGS)

.PHONY: check
check: build ## say what this machine offers and whether a container could run on it
	@$(bin)/kvm-runtime check

.PHONY: install
install: build ## install into PREFIX (/usr/local), below DESTDIR if that is set
	install -D -m 755 -t "$(DESTDIR)$(PREFIX)/bin" $(programs)
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/kvm-runtime" $(assets)

.PHONY: uninstall
uninstall: ## remove what install installed
	rm -f $(addprefix "$(DESTDIR)$(PREFIX)"/bin/,$(notdir $(programs)))
	rm -f $(addprefix "$(DESTDIR)$(PREFIX)"/share/kvm-runtime/,$(notdir $(assets)))
	rmdir "$(DESTDIR)$(PREFIX)/share/kvm-runtime" 2>/dev/null || true

.PHONY: format
format: ## format all Swift code in place
	@swift format --in-place --recursive --parallel $(wildcard Sources Tests guest-agent Package.swift)

.PHONY: lint
lint: ## check format, import directions, Unsafe in its rooms, file sizes, forbidden marks, C and shell warnings
	@scripts/lint.py

.PHONY: deps
deps: ## install what is missing for all of these, by apt
	@scripts/deps.sh build test lint

.PHONY: clean
clean: ## remove everything built in this checkout (the kernel stays in its cache)
	rm -rf build .build .build-agent oci-fixtures/*/rootfs

# What the rules below need of the machine. It is asked every time, for what was built also needs it to run; the
# answer takes dpkg 50 ms.
.PHONY: build-deps
build-deps:
	@scripts/deps.sh build

# A source that is saved while it is being built is newer than the product: products get the time at which the rule
# began, not ended.
begin = mkdir -p $(@D); touch build/$(@F).began
end = touch -r build/$(@F).began $(1); rm build/$(@F).began

$(share)/vmlinux: $(kernel_sources) | build-deps
	@$(begin)
	@echo "the guest's kernel (some minutes, unless the cache has it)" >&2
	@$(clean_environment) guest-agent/kernel/build.sh $@
	@$(call end,$@)

$(share)/initramfs.cpio: $(agent_sources) | build-deps
	@$(begin)
	@$(step) initramfs "build the guest's agent and initramfs" guest-agent/initramfs.sh $@.new
	@mv -f $@.new $@
	@$(call end,$@)

# One rule for both programs. They are stripped aside and renamed into place: the ones there may be running.
swift_build := swift build -c release --static-swift-stdlib
$(programs) &: $(host_sources) | build-deps
	@$(begin)
	@$(step) kvm-runtime "build kvm-runtime" $(swift_build) --product kvm-runtime
	@$(step) kvm-vmm "build kvm-vmm" $(swift_build) --product kvm-vmm
	@products=$$($(swift_build) --show-bin-path); \
	for program in $(programs); do \
	    strip -o $$program.new "$$products/$${program##*/}"; \
	    mv -f $$program.new $$program; \
	done
	@$(call end,$(programs))
