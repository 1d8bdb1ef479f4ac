# make install, uninstall, demo.
.PHONY: install uninstall demo packages
MAN := $(wildcard man/*.[1-8])
UNITS_SYSTEMD := $(wildcard contrib/systemd/*)

install: all
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBEXECDIR)/forge \
		$(DESTDIR)$(DATADIR)/forge $(DESTDIR)$(BASHCOMPDIR) \
		$(DESTDIR)$(ZSHCOMPDIR) $(DESTDIR)$(FISHCOMPDIR) \
		$(DESTDIR)$(UNITDIR)
	$(INSTALL) -m 755 $(BINS) $(DESTDIR)$(BINDIR)
	$(INSTALL) -m 755 $(HELPERS) $(DESTDIR)$(LIBEXECDIR)/forge
	$(INSTALL) -d $(DESTDIR)$(LIBEXECDIR)/forge/recipes
	$(INSTALL) -m 755 $(RECIPES) $(DESTDIR)$(LIBEXECDIR)/forge/recipes
	$(INSTALL) -m 644 share/config.sample $(DESTDIR)$(DATADIR)/forge
	for f in $(SHARED:$(BUILD)/share/forge/%=%); do \
		$(INSTALL) -D -m 644 share/$$f \
			$(DESTDIR)$(DATADIR)/forge/$$f || exit; \
	done
	for u in $(UNITS_SYSTEMD); do \
		sed 's|/usr/local/bin/|$(BINDIR)/|' $$u \
			>$(DESTDIR)$(UNITDIR)/$${u##*/} || exit; \
	done
	for m in $(MAN); do \
		d=$(DESTDIR)$(MANDIR)/man$${m##*.}; \
		$(INSTALL) -d $$d && $(INSTALL) -m 644 $$m $$d || exit; \
	done
	for p in $(PROGS); do \
		$(INSTALL) -m 644 $(BUILD)/completions/bash/$$p \
			$(DESTDIR)$(BASHCOMPDIR)/$$p && \
		$(INSTALL) -m 644 $(BUILD)/completions/zsh/$$p \
			$(DESTDIR)$(ZSHCOMPDIR)/_$$p && \
		$(INSTALL) -m 644 $(BUILD)/completions/fish/$$p \
			$(DESTDIR)$(FISHCOMPDIR)/$$p.fish || exit; \
	done

uninstall:
	rm -f $(BINS:$(BUILD)/bin/%=$(DESTDIR)$(BINDIR)/%)
	rm -f $(HELPERS:$(BUILD)/libexec/%=$(DESTDIR)$(LIBEXECDIR)/forge/%)
	rm -f $(RECIPES:$(BUILD)/libexec/%=$(DESTDIR)$(LIBEXECDIR)/forge/%)
	rm -f $(DESTDIR)$(DATADIR)/forge/config.sample
	rm -rf $(DESTDIR)$(DATADIR)/forge/providers
	for u in $(UNITS_SYSTEMD); do rm -f $(DESTDIR)$(UNITDIR)/$${u##*/}; done
	for m in $(MAN); do \
		rm -f $(DESTDIR)$(MANDIR)/man$${m##*.}/$${m#man/}; done
	for p in $(PROGS); do rm -f $(DESTDIR)$(BASHCOMPDIR)/$$p \
		$(DESTDIR)$(ZSHCOMPDIR)/_$$p $(DESTDIR)$(FISHCOMPDIR)/$$p.fish; \
	done

# One CI job all the way through a microVM; see contrib/demo/run.
demo:
	contrib/install-packages build run demo
	$(MAKE) all
	contrib/demo/run $(BUILD)
