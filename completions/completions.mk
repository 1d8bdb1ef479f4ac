# Completions for bash, zsh and fish.  Nothing here is written by hand: each
# program prints its own from the tables that parse its options
# (PROGRAM --print-completion=SHELL), so they cannot disagree.  They are made
# in $(BUILD)/completions and installed by `make install`.
COMPLETIONS := $(foreach s,bash zsh fish,$(PROGS:%=$(BUILD)/completions/$(s)/%))

.PHONY: completions
completions: $(COMPLETIONS)

define completion
$(BUILD)/completions/$(1)/%: $(BUILD)/bin/%
	@mkdir -p $$(@D)
	$$< --print-completion=$(1) >$$@.tmp && mv $$@.tmp $$@
endef
$(foreach s,bash zsh fish,$(eval $(call completion,$(s))))
