# Sigmatic. `make demo` and `make check` set everything up; `make help` lists the targets.
# Every variable marked ?= can be overridden on the command line or in the environment.

# MAJOR.MINOR.PATCH, of include/sigmatic/base/version.h
VERSION_NUMBER = $(shell sed -n 's/^\#define SM_VERSION_$(1) //p' include/sigmatic/base/version.h)
VERSION := $(call VERSION_NUMBER,MAJOR).$(call VERSION_NUMBER,MINOR).$(call VERSION_NUMBER,PATCH)
PREFIX  ?= /usr/local
DESTDIR ?=

# ---- tools and libraries: modules, Spack or Debian's pkg-config -------------------------------------------------
CC           := $(if $(filter default,$(origin CC)),mpicc,$(CC))
PKG_CONFIG   ?= pkg-config
HDF5_PACKAGE ?= $(shell for p in hdf5-openmpi hdf5 hdf5-serial; do $(PKG_CONFIG) --exists $$p 2>/dev/null && echo $$p && break; done)
HDF5_CFLAGS  ?= $(shell $(PKG_CONFIG) --cflags $(HDF5_PACKAGE) 2>/dev/null)
HDF5_LIBS    ?= $(or $(shell $(PKG_CONFIG) --libs $(HDF5_PACKAGE) 2>/dev/null),-lhdf5)
BLIS_CFLAGS  ?= $(shell $(PKG_CONFIG) --cflags blis 2>/dev/null)
BLIS_LIBS    ?= $(or $(shell $(PKG_CONFIG) --libs blis 2>/dev/null),-lblis)
IMAGE_CFLAGS ?= $(shell $(PKG_CONFIG) --cflags libpng libjpeg libexif 2>/dev/null)
IMAGE_LIBS   ?= $(or $(shell $(PKG_CONFIG) --libs libpng libjpeg libexif 2>/dev/null),-lpng -ljpeg -lexif)
TEXT_CFLAGS  ?= $(shell $(PKG_CONFIG) --cflags jansson 2>/dev/null)
TEXT_LIBS    ?= $(or $(shell $(PKG_CONFIG) --libs jansson 2>/dev/null),-ljansson) -lcsv
CUNIT_CFLAGS ?= $(shell $(PKG_CONFIG) --cflags cunit 2>/dev/null)
CUNIT_LIBS   ?= $(or $(shell $(PKG_CONFIG) --libs cunit 2>/dev/null),-lcunit)
OPENMP       ?= -fopenmp
SANITIZER    ?=
OPTIMIZE     ?= -O3
CFLAGS       ?= -g

WARNINGS := -Wall -Wextra -Wpointer-arith -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wconversion -Wno-sign-conversion
override SM_CFLAGS := -std=c11 $(OPTIMIZE) -fno-math-errno -ffp-contract=fast $(WARNINGS) $(OPENMP) -fPIC -Iinclude -Isrc \
             $(HDF5_CFLAGS) $(BLIS_CFLAGS) $(IMAGE_CFLAGS) $(TEXT_CFLAGS) \
             $(if $(SANITIZER),-fsanitize=$(SANITIZER) -fno-omit-frame-pointer)
# gcc 12 breaks on some loops with fmax when it vectorises them for aarch64; only tests have such.
TEST_CFLAGS = $(CUNIT_CFLAGS) -Itests $(if $(findstring aarch64,$(MACHINE)),-fno-tree-vectorize)
override SM_LIBS := $(HDF5_LIBS) $(BLIS_LIBS) $(IMAGE_LIBS) $(TEXT_LIBS) -lpthread -lm

# V=1 shows whole command lines.
Q   := $(if $(V),,@)
SAY = $(if $(V),,@echo '  $(1)')

# ---- a build folder per flag set ---------------------------------------------------------------------------------
FLAG_SET := $(CC) $(SM_CFLAGS) $(CFLAGS) $(SM_LIBS)
BUILD    ?= build/$(or $(subst $(comma),-,$(SANITIZER)),release)-$(shell printf '%s' '$(subst ','\'',$(FLAG_SET))' | cksum | cut -d' ' -f1)
comma    := ,

# Kernels in x86's instructions are left out for other processors; BLIS's micro-kernel does their work there.
MACHINE := $(or $(shell $(CC) -dumpmachine 2>/dev/null),$(shell uname -m))
LIBRARY_SOURCES := $(filter-out src/cli/% $(if $(findstring x86_64,$(MACHINE)),,%_avx2.c %_avx512.c %_avx512bf16.c %_amx.c),$(wildcard src/*/*.c))
PROGRAM_SOURCES := $(wildcard src/cli/*.c)
TEST_SOURCES    := $(wildcard tests/test_*.c)
OBJECT = $(patsubst %.c,$(BUILD)/%.o,$(1))
# What the test programs share.
TESTLIB_SOURCES := $(filter-out $(TEST_SOURCES),$(wildcard tests/*.c))
TESTS  := $(patsubst tests/%.c,$(BUILD)/tests/%,$(TEST_SOURCES))
# those whose name contains a word of T; without T all
WANTED_TESTS = $(if $(strip $(T)),$(foreach test,$(TESTS),$(if $(strip $(foreach word,$(T),$(findstring $(word),$(notdir $(test))))),$(test))),$(TESTS))

# tests/check_NAME.sh PROGRAM, for every name but those that have a target of their own
PROGRAM_CHECKS := $(filter-out layers stall hosts slurm mpich aarch64 fuzz faults threads valgrind,$(patsubst tests/check_%.sh,%,$(wildcard tests/check_*.sh)))

PYTHON ?= $(shell for p in python3 /usr/bin/python3; do $$p -c 'import h5py, numpy, matplotlib' 2>/dev/null && echo $$p && break; done)

.DEFAULT_GOAL := all
.PHONY: all help demo demo-run paper paper-run check check-fast check-layers check-program $(PROGRAM_CHECKS:%=check-%) check-stall check-hosts check-hosts-run \
        check-slurm check-faults check-faults-run check-sanitizers check-threads check-valgrind check-fuzz check-fuzz-run check-mpich check-aarch64 bench bench-run bench-setup lint lint-cppcheck lint-format lint-tidy format compile-commands reference install uninstall prefix-is-absolute dist clean

all: $(BUILD)/sigmatic $(BUILD)/libsigmatic.so ## build the program and the library
	@mkdir -p build && ln -sfn $(notdir $(BUILD)) build/current

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | column -t -s'|'

# Kernels for one instruction set carry their own flags and are chosen at run time; nothing else is compiled for one CPU.
AVX512    := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mavx2
isa_flags = $(if $(filter %_amx.c,$(1)),$(AVX512) -mavx512bf16 -mamx-tile -mamx-bf16,\
            $(if $(filter %_avx512bf16.c,$(1)),$(AVX512) -mavx512bf16,\
            $(if $(filter %_avx512.c,$(1)),$(AVX512),\
            $(if $(filter %_avx2.c,$(1)),-mavx2 -mfma))))
# Ties of distances are ties on every processor only if no product is left unrounded.
compile_flags = $(SM_CFLAGS) $(if $(filter tests/%,$(1)),$(TEST_CFLAGS)) $(call isa_flags,$(1)) \
                $(if $(filter %/optics.c %/point_tree.c,$(1)),-ffp-contract=off) $(CFLAGS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call SAY,CC   $<)
	$(Q)$(CC) $(call compile_flags,$<) -MMD -MP -c $< -o $@

$(BUILD)/libsigmatic.a: $(call OBJECT,$(LIBRARY_SOURCES))
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/libsigmatic.so: $(call OBJECT,$(LIBRARY_SOURCES)) src/libsigmatic.map
	$(call SAY,LINK $@)
	$(Q)$(CC) $(SM_CFLAGS) $(CFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=src/libsigmatic.map $(filter %.o,$^) $(LDFLAGS) $(SM_LIBS) -o $@

$(BUILD)/sigmatic: $(call OBJECT,$(PROGRAM_SOURCES)) $(BUILD)/libsigmatic.a
	$(call SAY,LINK $@)
	$(Q)$(CC) $(SM_CFLAGS) $(CFLAGS) $^ $(LDFLAGS) $(SM_LIBS) -o $@

# of the program, what reads files that may be damaged
SHOWING := $(wildcard src/cli/show_view.c src/cli/show_g*.c)
$(BUILD)/libtest.a: $(call OBJECT,$(TESTLIB_SOURCES) $(SHOWING))
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# Functions of ours that a test makes fail: a call of NAME is one of __wrap_NAME, which may call __real_NAME.
WRAPPED_BY_run_end := sm_run_log_step

$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(BUILD)/libtest.a $(BUILD)/libsigmatic.a
	$(call SAY,LINK $@)
	$(Q)$(CC) $(SM_CFLAGS) $(CFLAGS) $^ $(WRAPPED_BY_$*:%=-Wl,--wrap=%) $(LDFLAGS) $(CUNIT_LIBS) $(SM_LIBS) -o $@

# What makes file operations go wrong (tests/faults/preload.c): without MPI, as launchers and shells have to carry it too.
FAULTS_LIBRARY := $(BUILD)/tests/libfaults.so
$(FAULTS_LIBRARY): $(call OBJECT,$(wildcard tests/faults/*.c))
	$(call SAY,LINK $@)
	$(Q)$(firstword $(WRAPPED)) -shared $^ $(LDFLAGS) -ldl -o $@
.SECONDARY:

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# ---- set-up, demo, tests: make runs anew once the packages are there, so that it finds them ----------------------
SETUP ?= yes
setup = $(if $(filter yes,$(SETUP)),jobs/setup.sh $(1))
HOURS ?= 3
try_setup = $(if $(filter yes,$(SETUP)),jobs/setup.sh $(1) || echo 'going on without: what cannot run counts as skipped')
AGAIN := $(MAKE) --no-print-directory SETUP=no
# on all cores, where the caller has not said on how many
PARALLEL = $(AGAIN) $(if $(V),,-s) $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

demo: ## from a fresh machine to sigma curves: runs/demo/sigma.png and predictions.png; DEMO='--set run.epochs=1' is quicker
	@$(call setup,plot)
	@$(PARALLEL) all
	@$(AGAIN) demo-run

demo-run: all
	@PYTHON=$(PYTHON) jobs/demo.sh $(BUILD)/sigmatic $(DEMO)

paper: ## the paper's claims put to the test (analysis/paper.md), about HOURS (3) on two cores; a second call goes on
	@$(call setup,plot)
	@$(PARALLEL) all
	@$(AGAIN) paper-run

paper-run: all
	@PYTHON=$(PYTHON) SIGMATIC=$(abspath $(BUILD)/sigmatic) HOURS=$(HOURS) jobs/paper.sh

check: ## set up and run every test
	@$(call setup,check plot)
	@tests/report.sh $(AGAIN) --keep-going check-fast check-layers check-program

check-fast: ## run the CUnit tests without set-up; T=name picks some
	@$(PARALLEL) $(WANTED_TESTS) $(BUILD)/sigmatic $(FAULTS_LIBRARY)
	@PYTHON=$(PYTHON) tests/run.sh $(BUILD)/tests "$(T)"

check-layers: ## include directions between the layers
	@tests/check_layers.sh

# One more than there are cores: starting ranks is mostly waiting. What a script says appears at its end, in one piece.
check-program: all $(BUILD)/tests/test_stall ## bad input, what is printed where, stopping, stalling, memory, the same bits on other ranks, analysis/
	@$(AGAIN) --keep-going --output-sync=target -j$(shell expr $$(nproc) + 1) $(PROGRAM_CHECKS:%=check-%) check-stall

$(PROGRAM_CHECKS:%=check-%): check-%: all $(FAULTS_LIBRARY)
	@PYTHON=$(PYTHON) tests/check_$*.sh $(BUILD)/sigmatic

check-stall: $(BUILD)/tests/test_stall $(BUILD)/sigmatic
	@tests/check_stall.sh $^

check-hosts: ## train across hosts made of network namespaces, cut a link, see the diagnosis
	@$(call try_setup,hosts)
	@$(PARALLEL) all
	@$(AGAIN) check-hosts-run

check-hosts-run: all
	@PYTHON=$(PYTHON) tests/check_hosts.sh $(BUILD)/sigmatic

check-slurm: ## submit, pre-empt, requeue and finish a job under a real Slurm
	@$(call try_setup,slurm plot)
	@$(PARALLEL) all
	@tests/check_slurm.sh

check-faults: ## kills, signals, failing disks and damaged files at chosen moments; FAULTS=full, kills or soak, CELL='...' repeats one
	@$(call try_setup,plot)
	@$(PARALLEL) all
	@$(AGAIN) check-faults-run

check-faults-run: all $(FAULTS_LIBRARY)
	@PYTHON=$(PYTHON) tests/check_faults.sh $(BUILD)/sigmatic $(if $(CELL),'$(CELL)')

check-sanitizers: ## the unit tests under AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer
	@$(call setup,check plot)
	@LSAN_OPTIONS=print_suppressions=0 SIGMATIC_TEST_SHARE=$${SIGMATIC_TEST_SHARE:-0.1} $(AGAIN) SANITIZER=address,undefined OPTIMIZE=-O1 check-fast

check-threads: ## the unit tests under ThreadSanitizer: races between threads; T=name picks some
	@$(call try_setup,check threads)
	@T="$(T)" tests/check_threads.sh

check-valgrind: ## the unit tests on one rank under valgrind: values used before they are set; T=name picks some
	@$(call try_setup,check plot valgrind)
	@T="$(T)" PYTHON=$(PYTHON) tests/check_valgrind.sh

check-mpich: ## build against MPICH and serial HDF5 and run a part of the tests
	@$(call try_setup,check mpich)
	@tests/check_mpich.sh

check-aarch64: ## cross-build for aarch64, run a part of the tests under qemu
	@$(call try_setup,check cross)
	@tests/check_aarch64.sh build/aarch64

# Without any PyTorch Debian's is installed, which is an old one; bench.py says so.
bench: ## compare a training step with the newest PyTorch found: runs/bench.md; BENCH=--quick, or other flags of analysis/bench.py
	@$(call setup,plot)
	@$(if $(filter yes,$(SETUP)),python3 analysis/bench_peer.py >/dev/null 2>&1 || jobs/setup.sh torch)
	@$(PARALLEL) all
	@$(AGAIN) bench-run

bench-run: all
	@python3 analysis/bench.py --program $(BUILD)/sigmatic --output runs/bench.md $(BENCH)

bench-setup: ## PyPI's current PyTorch for make bench into build/torch: 5 GB there, 3 GB more while it is fetched
	@$(call try_setup,plot venv)
	@jobs/setup_torch.sh build/torch

# ---- fuzzing: clang builds what reads files, with its sanitizers; the rest is the library as it is -----------------
FUZZ_CC      ?= clang
FUZZ_SECONDS ?= 8
FUZZ_CFLAGS   = -std=c11 -g -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
                -Iinclude -Isrc $(filter -I% -isystem%,$(MPI_COMMAND)) $(HDF5_CFLAGS) $(IMAGE_CFLAGS) $(TEXT_CFLAGS)
FUZZ_SOURCES  = $(wildcard tests/fuzz/*.c src/base/*.c src/io/*.c src/data/*.c src/train/checkpoint*.c src/train/pretrained*.c src/train/weights*.c src/cli/show_view.c src/cli/show_g*.c)
MPI_COMMAND   = $(shell $(CC) -show 2>/dev/null)

$(BUILD)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(call SAY,CC   $<)
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/fuzz/fuzz: $(FUZZ_SOURCES:%.c=$(BUILD)/fuzz/%.o) $(BUILD)/libsigmatic.a
	$(call SAY,LINK $@)
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer,address,undefined $^ $(LDFLAGS) $(filter -L% -Wl%,$(MPI_COMMAND)) $(SM_LIBS) $(filter -l%,$(MPI_COMMAND)) -lgomp -o $@

check-fuzz: ## fuzz every reader of files for FUZZ_SECONDS (8) each, by FUZZ_SEED (1); T="png csv" picks some
	@$(call try_setup,check fuzz)
	@$(AGAIN) check-fuzz-run

check-fuzz-run:
	@CLANG="$(FUZZ_CC)" tests/check_fuzz.sh $(BUILD)/fuzz/fuzz $(FUZZ_SECONDS) $(T)

# ---- sources as tools see them -----------------------------------------------------------------------------------
FORMATTED = $(wildcard src/*/*.[ch] include/sigmatic/*/*.h tests/*.[ch] tests/fuzz/*.[ch] tests/faults/*.[ch] tests/examples/*.[ch])
COMPILED  = $(sort $(LIBRARY_SOURCES) $(PROGRAM_SOURCES) $(TEST_SOURCES) $(TESTLIB_SOURCES))
LINTED    = $(filter src/%,$(COMPILED))

lint: ## cppcheck, clang-format and clang-tidy (.clang-tidy): nothing to complain of
	@$(call setup,lint check)
	@$(AGAIN) --keep-going lint-cppcheck lint-format lint-tidy

lint-cppcheck:
	$(call SAY,LINT cppcheck)
	$(Q)cppcheck -j$(shell nproc) --quiet --std=c11 --enable=performance,portability --inline-suppr --error-exitcode=1 -Iinclude -Isrc \
	         --suppress=missingIncludeSystem --suppress=invalidPointerCast \
	         --suppress=uninitvar:src/ops/winograd_body.h --suppress=memleak:src/base/memory.c --suppress=nullPointerArithmeticRedundantCheck:src/base/memory.c $(wildcard src/*/*.c)

lint-format:
	$(call SAY,LINT clang-format)
	$(Q)clang-format --dry-run -Werror $(FORMATTED)

# The analyser follows a function for 225,000 states by default: a quarter of them takes a third of the time.
TIDY_ARGS = -Wno-unknown-warning-option -Xclang -analyzer-config -Xclang max-nodes=50000

lint-tidy: compile-commands
	$(call SAY,LINT clang-tidy)
	$(Q)printf '%s\n' $(LINTED) | xargs -n 1 -P "$$(nproc)" clang-tidy --quiet -p . $(TIDY_ARGS:%=--extra-arg=%)

format: ## lay the sources out
	clang-format -i $(FORMATTED)

# The wrapper of MPI hides where its headers are: what it calls is written down.
WRAPPED   = $(filter-out ccache -l% -L%,$(or $(shell $(CC) -show 2>/dev/null),$(CC)))
in_json   = $(subst ",\",$(subst \,\\,$(1)))
compile_command = {"directory": "$(CURDIR)", "file": "$(1)", "command": "$(call in_json,$(WRAPPED) $(call compile_flags,$(1)) -c $(1))"}

compile-commands: ## write compile_commands.json for editors and clang-tidy
	$(file >compile_commands.json,[)$(foreach source,$(COMPILED),$(file >>compile_commands.json,$(call \
	    compile_command,$(source))$(if $(filter-out $(lastword $(COMPILED)),$(source)),$(comma))))$(file >>compile_commands.json,])@:

# ---- reference -----------------------------------------------------------------------------------------------------
reference: all ## write the explanations of all keys into configs/README.md, from the program's tables
	$(Q)sed '/^<!-- make reference/q' configs/README.md >$(BUILD)/reference.md
	$(Q)$(BUILD)/sigmatic train --reference >>$(BUILD)/reference.md
	$(Q)cp $(BUILD)/reference.md configs/README.md

# ---- install -----------------------------------------------------------------------------------------------------
# A table of what is installed: below $(DESTDIR)$(PREFIX), each file by its path there.
# Which versions of the library can stand for each other, its soname says (include/README.md).
ABI       := $(if $(filter 0,$(call VERSION_NUMBER,MAJOR)),0.$(call VERSION_NUMBER,MINOR),$(call VERSION_NUMBER,MAJOR))
SONAME    := libsigmatic.so.$(ABI)
ROOT       = $(if $(filter-out /%,$(firstword $(DESTDIR))),$(CURDIR)/)$(DESTDIR)$(PREFIX)
HEADERS   := $(wildcard include/sigmatic/*/*.h)
PAGES     := README.md LICENSE include/README.md src/README.md tests/README.md
SHARED    := $(PAGES) $(wildcard tests/examples/*.[ch]) $(shell find configs jobs analysis -type f ! -path '*/__pycache__/*' ! -name '*.pyc')
LIBRARIES := libsigmatic.a libsigmatic.so.$(VERSION) $(SONAME) libsigmatic.so
MANUAL     = share/man/man1/sigmatic.1
COMPLETION = share/bash-completion/completions/sigmatic
INSTALLED  = bin/sigmatic $(LIBRARIES:%=lib/%) lib/pkgconfig/sigmatic.pc $(MANUAL) $(COMPLETION) $(HEADERS) $(SHARED:%=share/sigmatic/%)
# What runs the program, which writes its manual page, where it does not run by itself: it is built for another machine, or
# its MPI starts under a launcher only. EMULATOR='qemu-aarch64 -L ...', EMULATOR='srun -n 1'
EMULATOR ?=

# Without one, files would go to the root of the file system or to where make runs, or be taken away there.
prefix-is-absolute:
	@case '$(PREFIX)' in \
	/*) ;; \
	*) echo "PREFIX='$(PREFIX)': an absolute path is wanted, such as PREFIX=$$HOME/sigmatic" >&2; exit 2 ;; \
	esac

install: prefix-is-absolute all ## program, manual page, completion, library, headers, pkg-config file, examples, configs, jobs and analysis to $(DESTDIR)$(PREFIX)
	@install -d "$(ROOT)" && cd "$(ROOT)" && install -d $(sort $(dir $(INSTALLED)))
	@install -m 755 $(BUILD)/sigmatic "$(ROOT)/bin/"
	@install -m 644 $(BUILD)/libsigmatic.a "$(ROOT)/lib/"
	@install -m 755 $(BUILD)/libsigmatic.so "$(ROOT)/lib/libsigmatic.so.$(VERSION)"
	@ln -sf libsigmatic.so.$(VERSION) "$(ROOT)/lib/$(SONAME)"
	@ln -sf $(SONAME) "$(ROOT)/lib/libsigmatic.so"
	@printf '%s\n' 'prefix=$(PREFIX)' 'Name: Sigmatic' 'Description: multi-task training that weighs its own losses' \
	    'Version: $(VERSION)' 'Cflags: -I$${prefix}/include' 'Libs: -L$${prefix}/lib -lsigmatic -lm' \
	    'Libs.private: $(SM_LIBS) $(OPENMP)' >"$(ROOT)/lib/pkgconfig/sigmatic.pc"
	@$(EMULATOR) $(BUILD)/sigmatic --help-man >"$(ROOT)/$(MANUAL)" && \
	$(EMULATOR) $(BUILD)/sigmatic --help-bash >"$(ROOT)/$(COMPLETION)" || { \
	    rm -f "$(ROOT)/$(MANUAL)" "$(ROOT)/$(COMPLETION)"; \
	    echo '  no manual page and no completion: the program does not run here by itself; EMULATOR says what runs it'; }
	@for file in $(HEADERS); do install -m 644 $$file "$(ROOT)/$$file" || exit; done
	@for file in $(SHARED); do install -m "$$([ -x $$file ] && echo 755 || echo 644)" $$file "$(ROOT)/share/sigmatic/$$file" || exit; done
	@echo '  installed below $(ROOT)'

uninstall: prefix-is-absolute ## remove what install put there, and nothing else
	@cd "$(ROOT)" && rm -f $(INSTALLED) && \
	for folder in include/sigmatic share/sigmatic; do [ ! -d $$folder ] || find $$folder -depth -type d -empty -delete; done

# Without a repository of its own, which an unpacked tarball has not, all but what was built, trained or written for tools.
NOT_DIST = --exclude=./build --exclude=./runs --exclude=./data --exclude=./logs --exclude=./predictions --exclude=./compile_commands.json --exclude=__pycache__ --exclude='*.pyc'
dist: ## the sources of the last commit (of an unpacked tarball, as they are) as build/sigmatic-VERSION.tar.gz
	@mkdir -p build
	@if [ -e .git ]; then \
	    git archive --format=tar.gz --prefix=sigmatic-$(VERSION)/ -o build/sigmatic-$(VERSION).tar.gz HEAD; \
	else \
	    tar -czf build/sigmatic-$(VERSION).tar.gz $(NOT_DIST) --transform='s,^\.,sigmatic-$(VERSION),' .; \
	fi
	@echo '  build/sigmatic-$(VERSION).tar.gz'

clean: ## remove what was built (not runs/)
	rm -rf build
