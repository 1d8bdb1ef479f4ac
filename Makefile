# forge: `make`, `make check`, `make install`; see README.md and HACKING.md.
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBEXECDIR ?= $(PREFIX)/libexec
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
BASHCOMPDIR ?= $(DATADIR)/bash-completion/completions
ZSHCOMPDIR ?= $(DATADIR)/zsh/site-functions
FISHCOMPDIR ?= $(DATADIR)/fish/vendor_completions.d
UNITDIR ?= $(PREFIX)/lib/systemd/system
DESTDIR ?=
BUILD ?= build
VERSION := 0.1.0

CC ?= gcc
PKG_CONFIG ?= pkg-config
INSTALL ?= install
MUSL_CC ?= musl-gcc

PKGS := sqlite3 libcrypto libcurl libgit2 popt smartcols libarchive libseccomp \
	libmnl libnftables libssl libnghttp2 libprotobuf-c
PROGS := $(filter-out forge-stream forge-garm, \
	$(notdir $(wildcard cmd/forge cmd/forge-[!in]*)))
DRIVERS := $(patsubst drivers/%.c,driver-%,$(wildcard drivers/*.c))
LIB_SRC := $(wildcard lib/*/*.c)
PROTO := $(patsubst share/proto/%.proto,%,$(wildcard share/proto/*.proto)) \
	reflection-v1alpha
PROTO_H := $(PROTO:%=$(BUILD)/gen/%.pb-c.h)
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/obj/%.o) $(PROTO:%=$(BUILD)/gen/%.pb-c.o)
UNITS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*.c))

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
	-Wwrite-strings -Wcast-qual -Wcast-align -Wvla -Wformat=2 -Wundef \
	-Wnull-dereference -Wswitch-enum -Wimplicit-fallthrough
GCC_WARN := -Wlogical-op -Wduplicated-cond -Wduplicated-branches
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection
try = $(shell $(CC) -Werror $(1) -x c -c /dev/null -o /dev/null 2>/dev/null && echo $(1))

CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=gnu17 -D_GNU_SOURCE -I. -isystem $(BUILD)/gen -fPIE $(WARN) \
	$(call try,$(GCC_WARN)) $(HARDEN) \
	$(call try,-ftrivial-auto-var-init=zero) \
	-DFORGE_VERSION='"$(VERSION)"' \
	-DFORGE_LIBEXECDIR='"$(LIBEXECDIR)/forge"' \
	-DFORGE_DATADIR='"$(DATADIR)/forge"'
ALL_LDFLAGS := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
ifdef SANITIZE
ALL_CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -DFORGE_SANITIZE
ALL_LDFLAGS += -fsanitize=$(SANITIZE)
else
ALL_CFLAGS += -D_FORTIFY_SOURCE=3
endif
ifdef DEVELOPER
ALL_CFLAGS += -Werror
endif
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
# These are loaded when they are used: archive_load.c, git2_load.c, http_curl.c,
# output_load.c, jq_load.c.
# libmnl, libnftables and libldns are forge-net's alone; STREAM_LIBS belong to
# those who speak gRPC.
STREAM_LIBS := -lssl -lnghttp2 -lprotobuf-c
LIBS := $(filter-out -larchive -lgit2 -lmnl -lnftables -lsmartcols $(STREAM_LIBS), \
	$(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null)) -lm

# What each start of a program would otherwise link anew, 2 ms of it
# libcrypto's, is linked once, here, where the archives are installed.  Of
# libcrypto only programs that need nothing but digests: PLAIN_CRYPTO.
archive = $(if $(filter /%,$(shell $(CC) -print-file-name=lib$(1).a)),-l:lib$(1).a,-l$(1))
STATIC := sqlite3 popt seccomp
PLAIN_CRYPTO := bin/forge-vm $(DRIVERS:%=libexec/%)
ifndef SHARED_LIBS
LIBS := $(foreach l,$(LIBS),$(if $(filter $(STATIC:%=-l%),$(l)),$(call archive,$(l:-l%=%)),$(l)))
$(PLAIN_CRYPTO:%=$(BUILD)/%): LIBS := $(patsubst -lcrypto,$(call archive,crypto),$(LIBS))
endif

# Programs without verbs, for other programs.
PLAIN := $(notdir $(wildcard cmd/garm-*))
BINS := $(PROGS:%=$(BUILD)/bin/%) $(PLAIN:%=$(BUILD)/bin/%)
RECIPES := $(patsubst share/%,$(BUILD)/libexec/%,$(wildcard share/recipes/*))
SHARED := $(patsubst share/%,$(BUILD)/share/forge/%,\
	$(wildcard share/providers/*/* share/formats/*.jq))
# Drivers that are scripts, and what drivers have in common.
SCRIPTS := $(patsubst drivers/%,$(BUILD)/libexec/%,\
	$(wildcard drivers/driver-* drivers/ssh-*))
HELPERS := $(SCRIPTS) $(DRIVERS:%=$(BUILD)/libexec/%) \
	$(BUILD)/libexec/forge-init $(BUILD)/libexec/forge-net \
	$(BUILD)/libexec/forge-stream $(BUILD)/libexec/forge-garm \
	$(BUILD)/libexec/forge-join \
	$(BUILD)/libexec/webhook

all: $(BINS) $(HELPERS) $(RECIPES) $(SHARED) completions
.PHONY: all FORCE

# A change of flags or compiler rebuilds everything.
$(BUILD)/.flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS) $(CFLAGS) $(ALL_LDFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(ALL_CFLAGS) $(CFLAGS) $(ALL_LDFLAGS)' >$@

$(BUILD)/obj/%.o: %.c $(BUILD)/.flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(PKG_CFLAGS) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

# Messages of gRPC, and their descriptions for server reflection (.pb).
# protoc-c would make functions of services whose names are words of C.
$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h $(BUILD)/gen/%.pb &: \
		$(BUILD)/gen/%.proto
	cd $(@D) && protoc-c --descriptor_set_out=$*.pb $*.proto && \
	mkdir -p bare && awk '/^service /{s=1} !s; s&&/^}/{s=0}' \
		$*.proto >bare/$*.proto && \
	protoc-c -Ibare --c_out=. bare/$*.proto
$(BUILD)/gen/%.proto: share/proto/%.proto
	@mkdir -p $(@D)
	@cp $< $@
$(BUILD)/gen/reflection-v1alpha.proto: share/proto/reflection.proto
	@mkdir -p $(@D)
	@sed 's/reflection\.v1;/reflection.v1alpha;/' $< >$@
$(BUILD)/gen/%.pb-c.o: $(BUILD)/gen/%.pb-c.c $(BUILD)/.flags
	$(CC) $(ALL_CFLAGS) -w $(CPPFLAGS) $(CFLAGS) -c $< -o $@
$(LIB_OBJ): | $(PROTO_H)

# The SQL is compiled in; the assembler reads it, so make must know.
$(BUILD)/obj/lib/state/migrations.o: $(wildcard share/migrations/*.sql)

$(BUILD)/libforge.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

# prog: one program from all the .c files of its folder.
define prog
$(BUILD)/$(2): $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard cmd/$(1)/*.c)) \
		$(BUILD)/libforge.a
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_LDFLAGS) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) \
		$(BUILD)/libforge.a $$(LIBS)
endef
$(foreach p,$(filter-out forge-webhook,$(PROGS)) $(PLAIN), \
	$(eval $(call prog,$(p),bin/$(p))))

# A web server starts one for each delivery: what it starts is small and
# static, and becomes the whole program only when it must.
$(eval $(call prog,forge-webhook,libexec/webhook))
DOOR_LDFLAGS := $(if $(SANITIZE),$(ALL_LDFLAGS),-static)
$(BUILD)/bin/forge-webhook: $(BUILD)/obj/cmd/forge-webhook/door/door.o \
		$(BUILD)/libforge.a $(BUILD)/libexec/webhook
	@mkdir -p $(@D)
	$(CC) $(DOOR_LDFLAGS) $(LDFLAGS) -o $@ $(filter-out %/webhook,$^) \
		-lcrypto

# Those that speak gRPC.  Of forge-register that is one verb, for which it
# becomes the program with the libraries, so that the others start sooner.
$(BUILD)/bin/forge-agent $(BUILD)/libexec/forge-join: LIBS += $(STREAM_LIBS)
$(BUILD)/libexec/forge-join: $(BUILD)/obj/cmd/forge-register/join/join.o \
		$(BUILD)/obj/cmd/forge-register/join.o \
		$(BUILD)/obj/cmd/forge-register/input.o $(BUILD)/libforge.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		$(BUILD)/libforge.a $(LIBS)

# A driver: drivers/NAME.c and all of drivers/NAME/.
define driver
$(BUILD)/libexec/driver-$(1): $(patsubst %.c,$(BUILD)/obj/%.o,\
		drivers/$(1).c $(wildcard drivers/$(1)/*.c)) \
		$(BUILD)/libforge.a
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_LDFLAGS) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) \
		$(BUILD)/libforge.a $$(LIBS)
endef
$(foreach d,$(DRIVERS:driver-%=%),$(eval $(call driver,$(d))))

$(SCRIPTS): $(BUILD)/libexec/%: drivers/%
	@mkdir -p $(@D)
	$(INSTALL) -m 755 $< $@

$(BUILD)/libexec/recipes/%: share/recipes/%
	@mkdir -p $(@D)
	$(INSTALL) -m 755 $< $@

$(BUILD)/share/forge/%: share/%
	@mkdir -p $(@D)
	$(INSTALL) -m 644 $< $@

# The streams of agents, with the libraries of gRPC.
$(eval $(call prog,forge-stream,libexec/forge-stream))
$(BUILD)/libexec/forge-stream: LIBS += $(STREAM_LIBS)
$(BUILD)/obj/lib/stream/info.o: ALL_CFLAGS += -Wa,-I$(BUILD)/gen
$(BUILD)/obj/lib/stream/info.o: $(PROTO:%=$(BUILD)/gen/%.pb)

# The place of garm's providers.
$(eval $(call prog,forge-garm,libexec/forge-garm))

# What --net tap asks of the kernel, with the libraries that only it needs.
# libnftables calls jansson, whose json_object() must not become ours.
NET_LIBS := -Wl,--exclude-libs,ALL -lmnl -lnftables -lldns
$(BUILD)/libexec/forge-net: $(BUILD)/obj/cmd/forge-net/main.o \
		$(BUILD)/libforge.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		$(BUILD)/libforge.a $(LIBS) $(NET_LIBS)

# Runs inside guests: static, against musl, with of lib/ only what needs libc.
INIT_LIB := frame pack tree tree_file walk
INIT_SRC := $(wildcard cmd/forge-init/*.c) $(INIT_LIB:%=lib/vm/%.c)
$(BUILD)/libexec/forge-init: $(INIT_SRC) $(wildcard cmd/forge-init/*.h) \
		$(INIT_LIB:%=lib/vm/%.h) lib/vm/channel.h
	@mkdir -p $(@D)
	$(MUSL_CC) -std=gnu17 -D_GNU_SOURCE -Os -static -s -I. -Wall -Wextra \
		-DFORGE_VERSION='"$(VERSION)"' -o $@ $(INIT_SRC)

$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/libforge.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) $(LDFLAGS) -o $@ $< $(BUILD)/libforge.a $(LIBS) -larchive -lcurl $(NET_LIBS) \
		$(STREAM_LIBS)

.SECONDARY:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

include completions/completions.mk
include tests/tests.mk
include contrib/install.mk
