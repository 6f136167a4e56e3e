# fanout: one Makefile, not recursive. `make help` lists what it can do.
#
# Which modules make which program is said here and nowhere else. A module is a .c file of the room's directory,
# without the suffix. A new module is one more word in a list; a new unit test is tests/unit/test_NAME.c and needs no
# line here: it is linked with the room that has NAME.c (or with those of UNIT_ROOMS_test_NAME, or with all rooms).

LIB_MODULES = method status closest syncer jq address err base64 log clock units jobid reason url url_bare wire message heap paths since hostglob \
	recipe recipe_keys recipe_read recipe_scan recipe_json recipe_check recipe_places recipe_faults recipe_place recipe_value recipe_fill recipe_body recipe_request \
	recipe_program recipe_load printable reals head header_name link totals verdict verdict_body judge programs envelope complaint
DAEMON_MODULES = main conf conf_limits job retry sched sched_key sched_lane sched_line sched_limit sched_pick limit limit_window throttle rules engine engine_recover engine_mark engine_batch engine_lane engine_limit engine_own engine_rules engine_refuse engine_host engine_explain engine_failing engine_start engine_standby engine_end \
	plan plan_index plan_end plan_guard plan_conclude plan_doubt secrets secrets_hide unique tally \
	engine_page engine_run engine_run_read engine_run_begin engine_run_end engine_run_recover engine_run_live run_ask run_pages receipt api_pulls api_pull_run api_runs api_run_show \
	pool peer spawn timeslice watch store_sqlite store_schema store_stmt store_tx store_cache store_open store_plain store_append store_ahead store_group store_submit store_chain store_run store_mark \
	store_end store_pull store_pull_page store_pull_state store_load store_limits store_record store_read store_sweep store_keep store_checkpoint store_bodies store_check http http_request http_query http_answer api \
	api_submit api_check api_batches api_stream api_results api_events api_jobs api_limits api_explain api_hosts api_audit api_show api_daemon \
	render render_row render_limits forecast metrics spec_parse spec_members spec_headers spec_url spec_raw spec_options spec_merge arena notify private cmdline
WORKER_MODULES = main channel standby multi xfer attempt attempt_judge request target response sink lookup capacity policy outcome outcome_text \
	fields httpdate ratelimit decode
CLI_MODULES = main audit audit_show background batch bodies chains change client confcheck ctl explain failure fields feed fetch full get glob headers help hosts hosts_find http \
	input items items_columns items_form items_json items_name items_numbers items_place items_read items_sink items_view last layouts limits limits_show lines local options \
	output password patience progress pull pull_check pull_layouts pull_list pull_live pull_page pull_recipe pull_run pull_show pull_state pull_test pull_wait receipt record refusals \
	request results rows same service socket sse stop submit table template text values verbs watch when windows words wrap
APISIM_MODULES = main server reply routes plain zipped hostile memory stats counter \
	limited limited_options limited_tell window jitter options dotted \
	paged paged_options paged_place paged_cursor paged_links paged_body paged_reply paged_record
SIM_MODULES = main sim world engine limits record net life happen judge
PAGESIM_MODULES = pages_main pages pages_api pages_judge

DAEMON_LIBS = libevent libcurl sqlite3 libconfig jansson libsystemd
WORKER_LIBS = libevent libcurl zlib libbrotlidec libxxhash
# fanoutctl does without what takes long to load (cli/full.c).
CTL_LIBS = jansson smartcols
CLI_LIBS = $(CTL_LIBS) libcurl libconfig zlib libzstd libxxhash
APISIM_LIBS = libevent zlib jansson
LDLIBS_apisim = -lm
SIM_LIBS = libcurl jansson
UNIT_LIBS = cmocka
BENCH_LIBS = libevent libcurl
# libjq, libmimalloc and libhttp-parser come without a .pc file. libcurl makes and frees dozens of blocks a transfer, of the
# same sizes again and again; a sanitizer brings its own malloc.
LDLIBS_fanout-worker = -ljq $(if $(SANITIZE),,-lmimalloc)
LDLIBS_fanoutctl = -lhttp_parser
LDLIBS_fanoutctl-full = -lhttp_parser -ljq

# The Debian packages: what building (and the demo) needs, and what tests and tools need. The only such list.
BUILD_PACKAGES = \
	gcc libc6-dev make pkgconf \
	libevent-dev libcurl4-openssl-dev libsqlite3-dev libconfig-dev libjansson-dev libsmartcols-dev libsystemd-dev \
	libjq-dev libmimalloc-dev uthash-dev zlib1g-dev libbrotli-dev libxxhash-dev libzstd-dev libhttp-parser-dev libcmocka-dev
PACKAGES = $(BUILD_PACKAGES) \
	python3 python3-pytest python3-pytest-xdist python3-httpbin python3-werkzeug python3-aiohttp \
	nginx-light nghttp2-server nghttp2-client curl wget2 openssl procps strace time zstd \
	clang-format clang-tidy cppcheck shellcheck mandoc gcovr systemd

PREFIX ?= /usr/local
BINDIR = $(PREFIX)/bin
SBINDIR = $(PREFIX)/sbin
LIBEXECDIR = $(PREFIX)/libexec/fanout
MANDIR = $(PREFIX)/share/man
DOCDIR = $(PREFIX)/share/doc/fanout
SYSCONFDIR ?= /etc/fanout
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d

VERSION = 0.1.0
BUILD ?= build
# SANITIZE=address,undefined builds with gcc's sanitizers; WERROR=1 makes every warning an error; COVERAGE=1 counts lines.
SANITIZE ?=
WERROR ?=
COVERAGE ?=

ifeq ($(origin CC),default)
CC = gcc
endif
WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual \
	-Wwrite-strings -Wformat=2 -Wvla $(if $(WERROR),-Werror)
CPPFLAGS = -I. -DFANOUT_VERSION='"$(VERSION)"' -DFANOUT_LIBEXECDIR='"$(LIBEXECDIR)"'
CFLAGS = -std=gnu11 -g $(WARNINGS) -fPIE -fstack-protector-strong -fstack-clash-protection $(CF_PROTECTION)
LDFLAGS = -pie -Wl,--as-needed -Wl,-z,relro,-z,now
# x86 only; elsewhere gcc refuses the option.
CF_PROTECTION := $(if $(filter x86_64 i686,$(shell uname -m)),-fcf-protection)
ifneq ($(SANITIZE),)
CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=undefined
LDFLAGS += -fsanitize=$(SANITIZE)
# A unit test is compiled once and run once, and gcc takes up to ten times as long to improve what it instruments.
$(BUILD)/obj/tests/unit/%.o: CFLAGS += -O0
else ifneq ($(COVERAGE),)
CFLAGS += -O0 --coverage
LDFLAGS += --coverage
else
CFLAGS += -O2
CPPFLAGS += -D_FORTIFY_SOURCE=2
endif

PYTHON = /usr/bin/python3
PYTEST = PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTHONDONTWRITEBYTECODE=1 FANOUT_BUILD=$(BUILD) \
	$(PYTHON) -m pytest -p no:cacheprovider -p xdist.plugin
PYTEST_ARGS ?= -n 4
SIM_SEEDS ?= 500
PAGESIM_SEEDS ?= 5000

# Parallel by default. Output is kept apart by target, except where somebody watches it come.
LIVE_GOALS = check check-asan sim demo bench cover deps
ifeq ($(MAKELEVEL),0)
ifeq ($(findstring -j,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif
endif
ifeq ($(filter $(LIVE_GOALS),$(MAKECMDGOALS)),)
MAKEFLAGS += --output-sync=target
endif

.DEFAULT_GOAL = all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# ---- Objects ----

objects = $(patsubst %,$(BUILD)/obj/$2/%.o,$($1_MODULES))
LIB_OBJECTS := $(call objects,LIB,lib)
DAEMON_OBJECTS := $(call objects,DAEMON,daemon)
WORKER_OBJECTS := $(call objects,WORKER,worker)
CLI_OBJECTS := $(filter-out %/full.o,$(call objects,CLI,cli))
CTL_OBJECTS := $(BUILD)/obj/cli/main.o $(BUILD)/obj/cli/full.o
APISIM_OBJECTS := $(call objects,APISIM,tests/apisim)
SIM_OBJECTS := $(call objects,SIM,tests/sim)
PAGESIM_OBJECTS := $(call objects,PAGESIM,tests/sim)
SCHEMA_SQL := $(sort $(wildcard schema/sqlite/*.sql))
ifneq ($(SCHEMA_SQL),)
DAEMON_OBJECTS += $(BUILD)/gen/schema.o
endif

cflags_of = $(shell pkg-config --cflags $1 2>/dev/null)
libs_of = $(shell pkg-config --libs $1 2>/dev/null)
ALL_LIBS = $(sort $(DAEMON_LIBS) $(WORKER_LIBS) $(CLI_LIBS) $(APISIM_LIBS) $(SIM_LIBS) $(UNIT_LIBS) $(BENCH_LIBS))
PKG_CFLAGS := $(call cflags_of,$(ALL_LIBS))
HAVE_LIBS := $(shell pkg-config --exists $(ALL_LIBS) 2>/dev/null && echo yes)

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | have-libs
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/gen/%.o: $(BUILD)/gen/%.c $(BUILD)/flags | have-libs
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/gen/schema.c: schema/embed.sh $(SCHEMA_SQL)
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)sh schema/embed.sh $(SCHEMA_SQL) >$@

# Other flags mean other objects.
FLAGS_NOW := $(CC) $(CPPFLAGS) $(CFLAGS) $(PKG_CFLAGS) $(LDFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo "$$FLAGS_NOW" | cmp -s - $@ || echo "$$FLAGS_NOW" >$@
export FLAGS_NOW

V ?=
Q = $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $1 $2)

have-libs:
ifneq ($(HAVE_LIBS),yes)
	@echo "fanout cannot be built yet: libraries are missing. Run: make deps" >&2; exit 1
endif

# ---- Programs ----

PROGRAMS = $(BUILD)/fanoutd $(BUILD)/fanout-worker $(BUILD)/fanoutctl $(BUILD)/fanoutctl-full $(BUILD)/apisim
UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
UNIT_PROGRAMS := $(UNIT_SOURCES:tests/unit/%.c=$(BUILD)/unit/%)

all: $(PROGRAMS) ## build the programs (build/fanoutd, build/fanout-worker, build/fanoutctl and its -full, build/apisim)

# program, objects, libraries
define program_rule
$(BUILD)/$1: $2 $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$(filter %.o %.a,$$^) $$(call libs_of,$3) $$(LDLIBS_$1)
endef
$(eval $(call program_rule,fanoutd,$(DAEMON_OBJECTS) $(BUILD)/lib.a,$(DAEMON_LIBS)))
$(eval $(call program_rule,fanout-worker,$(WORKER_OBJECTS) $(BUILD)/lib.a,$(WORKER_LIBS)))
$(eval $(call program_rule,fanoutctl,$(CTL_OBJECTS) $(BUILD)/cli.a $(BUILD)/lib.a,$(CTL_LIBS)))
$(eval $(call program_rule,fanoutctl-full,$(CLI_OBJECTS) $(BUILD)/lib.a,$(CLI_LIBS)))
$(eval $(call program_rule,apisim,$(APISIM_OBJECTS),$(APISIM_LIBS)))
$(eval $(call program_rule,sim,$(SIM_OBJECTS) $(BUILD)/daemon.a $(BUILD)/lib.a,$(SIM_LIBS)))
$(eval $(call program_rule,pagesim,$(PAGESIM_OBJECTS) $(BUILD)/daemon.a $(BUILD)/lib.a,$(SIM_LIBS)))
$(eval $(call program_rule,bench/sched_bench,$(BUILD)/obj/tests/bench/sched_bench.o $(BUILD)/daemon.a $(BUILD)/lib.a,libcurl jansson))
$(eval $(call program_rule,bench/bare,$(BUILD)/obj/tests/bench/bare.o,$(BENCH_LIBS)))
$(eval $(call program_rule,bench/store_bench,$(BUILD)/obj/tests/bench/store_bench.o $(BUILD)/daemon.a $(BUILD)/lib.a,$(DAEMON_LIBS)))

# ---- Unit tests: one archive per room, without its main ----

define archive_rule
$(BUILD)/$1.a: $(filter-out %/main.o,$2) $(BUILD)/flags
	@mkdir -p $$(@D) && rm -f $$@
	@$$(AR) rcs $$@ $$(filter %.o,$$^)
endef
$(eval $(call archive_rule,lib,$(LIB_OBJECTS)))
$(eval $(call archive_rule,daemon,$(DAEMON_OBJECTS)))
$(eval $(call archive_rule,worker,$(WORKER_OBJECTS)))
$(eval $(call archive_rule,cli,$(CLI_OBJECTS)))

# Which room a test is about: the one (or ones) with a module of that name, or whose module begins that name
# (test_sched_fairness is about daemon/sched).
ROOMS = daemon worker cli
MODULES_lib = $(LIB_MODULES)
MODULES_daemon = $(DAEMON_MODULES)
MODULES_worker = $(WORKER_MODULES)
MODULES_cli = $(CLI_MODULES)
rooms_about = $(foreach r,lib $(ROOMS),$(if $(foreach m,$(MODULES_$r),$(filter $m $m_%,$(1:test_%=%))),$r))
rooms_named = $(foreach r,lib $(ROOMS),$(if $(filter test_$r_%,$1),$r))
rooms_of = $(or $(UNIT_ROOMS_$1),$(strip $(rooms_named)),$(rooms_about),$(ROOMS))
define unit_rule
$(BUILD)/unit/$1: $(BUILD)/obj/tests/unit/$1.o $(patsubst %,$(BUILD)/%.a,$(filter-out lib,$(call rooms_of,$1)) lib)
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$(filter %.o %.a,$$^) $$(UNIT_LINK)
endef
UNIT_LINK = $(call libs_of,$(DAEMON_LIBS) $(WORKER_LIBS) $(CLI_LIBS) $(UNIT_LIBS)) -lhttp_parser -ljq
$(foreach t,$(UNIT_PROGRAMS),$(eval $(call unit_rule,$(notdir $t))))

units: $(UNIT_PROGRAMS)

# ---- Packages ----

deps: ## install with apt what build, tests and tools need
	@missing=$$($(MISSING)); \
	if [ -z "$$missing" ]; then echo "nothing is missing"; exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
		echo "no apt-get here; fanout needs what Debian calls: $(PACKAGES)" >&2; exit 1; fi; \
	if [ "$$(id -u)" = 0 ]; then as_root=env; \
	elif command -v sudo >/dev/null; then as_root='sudo env'; \
	else echo "as root, run: apt-get update && apt-get install --no-install-recommends" $$missing >&2; exit 1; fi; \
	$$as_root DEBIAN_FRONTEND=noninteractive apt-get update -q && \
	$$as_root DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing </dev/null

# Prints those of PACKAGES that are not installed.
MISSING = for package in $(PACKAGES); do \
	dpkg-query -W -f='$${db:Status-Status}\n' $$package 2>/dev/null | grep -qx installed || printf '%s ' $$package; done

# Only where something is missing of what the goal needs.
ensure-deps:
	@if [ -n "$$(command -v dpkg-query)" ] && [ -n "$$($(MISSING))" ]; then \
		$(MAKE) --no-print-directory deps PACKAGES='$(PACKAGES)'; fi
demo: PACKAGES = $(BUILD_PACKAGES)

# ---- Running ----

# The flags of missing libraries were read before they were installed: build in a make of its own.
demo: ensure-deps ## build, start a private daemon and API simulators, fan out 100 jobs, pull all pages of an API
	@$(MAKE) --no-print-directory --output-sync=target all
	@FANOUT_BUILD=$(BUILD) tests/demo.sh

check: ensure-deps ## all tests: unit, simulated, end to end (PYTEST_ARGS='-k name' chooses)
	@$(MAKE) --no-print-directory --output-sync=target all units $(BUILD)/sim $(BUILD)/pagesim
	@tests/run-unit $(UNIT_PROGRAMS)
	@$(BUILD)/sim --seeds $(SIM_SEEDS) && $(BUILD)/sim --mutations
	@$(BUILD)/pagesim --seeds $(PAGESIM_SEEDS) && $(BUILD)/pagesim --mutations
	@$(PYTEST) $(PYTEST_ARGS) tests/e2e

sim: ensure-deps ## simulate scheduling, limits, retries and pages over many seeds (SIM_SEEDS), and with mistakes built in
	@$(MAKE) --no-print-directory --output-sync=target $(BUILD)/sim $(BUILD)/pagesim
	@$(BUILD)/sim --seeds $(SIM_SEEDS) && $(BUILD)/sim --mutations
	@$(BUILD)/pagesim --seeds $(PAGESIM_SEEDS) && $(BUILD)/pagesim --mutations
sim: SIM_SEEDS = 100000
sim: PAGESIM_SEEDS = 200000

check-asan: ## all tests with the address and undefined-behaviour sanitizers
	@$(MAKE) --no-print-directory check BUILD=$(BUILD)/asan SANITIZE=address,undefined

bench: ensure-deps ## every target against curl -Z, wget2, a bare libcurl loop and others, in one table (less than 10 minutes)
	@$(MAKE) --no-print-directory --output-sync=target all $(BUILD)/bench/bare
	@FANOUT_BUILD=$(BUILD) $(PYTHON) -u tests/bench/bench.py $(BENCH_ARGS)

cover: ## all tests with line counts; report in build/cover/report.html
	@$(MAKE) --no-print-directory check BUILD=$(BUILD)/cover COVERAGE=1
	@gcovr -r . --object-directory $(BUILD)/cover -f lib/ -f daemon/ -f worker/ -f cli/ \
		--html-details $(BUILD)/cover/report.html --print-summary

# ---- Looking after the source ----

C_FILES := $(wildcard lib/*.[ch] daemon/*.[ch] worker/*.[ch] cli/*.[ch] tests/*/*.[ch])
SHELL_FILES := .ci/run schema/embed.sh tests/run-unit $(wildcard tests/*.sh tests/*/*.sh)
MAN_PAGES := $(wildcard docs/*.[158])
EXAMPLES := $(wildcard etc/pulls.d/*.conf)
UNIT_FILES := $(wildcard systemd/*.service systemd/*.socket systemd/*.timer)

fmt: ## format the C sources
	clang-format -i $(C_FILES)

LINTS = lint-format lint-shell lint-man lint-units lint-cppcheck lint-tidy
lint: $(LINTS) ## clang-format, shellcheck, mandoc, systemd-analyze, cppcheck, clang-tidy (make -k lint: all findings)

lint-format:
	@clang-format --dry-run -Werror $(C_FILES)

lint-shell:
	@shellcheck $(SHELL_FILES)

lint-man:
	@$(if $(MAN_PAGES),mandoc -Tlint -Wwarning $(MAN_PAGES))

lint-units:
	@systemd/verify.sh $(UNIT_FILES)

lint-cppcheck:
	@cppcheck -q -j $$(nproc) --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppress=getpwuidCalled --suppress=strtokCalled --suppress=autoVariables --suppress=readdirCalled \
		--library=posix,gnu '-D_Noreturn=__attribute__((noreturn))' --include=/usr/include/$$(gcc -print-multiarch)/sys/queue.h \
		--include=/usr/include/uthash.h -I. -DFANOUT_VERSION='""' -DFANOUT_LIBEXECDIR='""' $(filter %.c,$(C_FILES))

lint-tidy: export TIDY_FLAGS = -std=gnu11 -I. -DFANOUT_VERSION="" -DFANOUT_LIBEXECDIR="" $(PKG_CFLAGS)
lint-tidy:
	@printf '%s\n' $(filter %.c,$(C_FILES)) | xargs -P $$(nproc) -n 4 tests/tidy.sh

# ---- Installing ----

# What is shipped names programs and configuration where Debian's packages have them; what is installed, where they are.
INSTALL_PATHS = umask 022 && sed 's,/usr/sbin/fanoutd,$(SBINDIR)/fanoutd,g; s,/usr/bin/fanoutctl,$(BINDIR)/fanoutctl,g; s,/etc/fanout/,$(SYSCONFDIR)/,g'

install: all ## install below PREFIX (and DESTDIR); an existing fanout.conf is kept
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(SYSCONFDIR)/pulls.d \
		$(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR) $(DESTDIR)$(TMPFILESDIR) $(DESTDIR)$(DOCDIR)
	install -d -m 0750 $(DESTDIR)$(SYSCONFDIR)/secrets
	install -m 0755 $(BUILD)/fanoutctl $(DESTDIR)$(BINDIR)/
	install -m 0755 $(BUILD)/fanoutd $(DESTDIR)$(SBINDIR)/
	install -m 0755 $(BUILD)/fanout-worker $(BUILD)/fanoutctl-full $(DESTDIR)$(LIBEXECDIR)/
	for page in $(MAN_PAGES); do \
		install -D -m 0644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/$$(basename $$page) || exit 1; done
	for unit in $(UNIT_FILES); do \
		$(INSTALL_PATHS) $$unit >$(DESTDIR)$(UNITDIR)/$$(basename $$unit) || exit 1; done
	install -m 0644 systemd/fanout.sysusers $(DESTDIR)$(SYSUSERSDIR)/fanout.conf
	$(INSTALL_PATHS) systemd/fanout.tmpfiles >$(DESTDIR)$(TMPFILESDIR)/fanout.conf
	for example in $(EXAMPLES); do \
		install -m 0644 $$example $(DESTDIR)$(SYSCONFDIR)/pulls.d/$$(basename $$example).example || exit 1; done
	$(INSTALL_PATHS) etc/cron.d/fanout >$(DESTDIR)$(DOCDIR)/fanout.cron
	install -m 0644 docs/OPERATIONS.md $(DESTDIR)$(DOCDIR)/
	if [ ! -e $(DESTDIR)$(SYSCONFDIR)/fanout.conf ]; then \
		$(INSTALL_PATHS) etc/fanout.conf >$(DESTDIR)$(SYSCONFDIR)/fanout.conf; fi

uninstall: ## remove what install installed; configuration and data stay
	rm -f $(DESTDIR)$(BINDIR)/fanoutctl $(DESTDIR)$(SBINDIR)/fanoutd $(DESTDIR)$(SYSUSERSDIR)/fanout.conf \
		$(DESTDIR)$(TMPFILESDIR)/fanout.conf $(UNIT_FILES:systemd/%=$(DESTDIR)$(UNITDIR)/%)
	rm -rf $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(DOCDIR)
	rm -f $(EXAMPLES:etc/%=$(DESTDIR)$(SYSCONFDIR)/%.example)
	for page in $(MAN_PAGES); do rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$$(basename $$page); done

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS="$$(printf '\t')" read -r target text; do printf '  make %-12s %s\n' "$$target" "$$text"; done

FORCE:
.PHONY: all units deps ensure-deps have-libs demo check sim check-asan bench cover fmt lint $(LINTS) install uninstall clean help FORCE

-include $(shell find $(BUILD)/obj $(BUILD)/gen -name '*.d' 2>/dev/null)
