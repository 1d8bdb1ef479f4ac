# make check and its parts; tests/run says what each part is.
.PHONY: check check-unit check-cli check-fuzz check-headers analyze lint \
	bench fuzz soak units

units: $(UNITS) $(BUILD)/tests/forge-init

# forge-init against glibc, for tests/unit/init_agent.c: so the warnings of all
# compilers and the sanitizers see it too.
$(BUILD)/tests/forge-init: $(INIT_SRC:%.c=$(BUILD)/obj/%.o)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) $(LDFLAGS) -o $@ $^

check:
	contrib/install-packages build run demo test
	tests/run $(BUILD)

check-unit check-cli check-fuzz check-headers lint analyze:
	tests/run $(BUILD) $(@:check-%=%)

# Minutes instead of seconds for each harness.
fuzz:
	FUZZ_SECONDS=600 tests/run $(BUILD) fuzz

bench: all
	contrib/install-packages build run demo test
	tests/bench/run $(BUILD)

soak: all
	tests/soak/vm $(BUILD)
	SOAK=1 tests/run $(BUILD) fault
	BUILD=$(BUILD) CUT=60 bats tests/cli/three-hosts.bats
