# The two commands of the README. Everything else is cargo.
.PHONY: demo test setup setup-test

# Builds wscope and shows its verdict on a bundled capture.
demo: setup
	cargo run --release --locked --quiet -- fixtures/drop-server-killed-reset/capture.pcap

# Runs all tests, the comparison with tshark among them.
test: setup-test
	cargo test --locked

# What a build needs: a linker and libpcap's headers.
setup:
	@missing=; \
	command -v cc >/dev/null || missing="$$missing gcc libc6-dev"; \
	echo '#include <pcap/pcap.h>' | cc -E - >/dev/null 2>&1 || missing="$$missing libpcap-dev"; \
	$(install)

# What the tests need besides.
setup-test: setup
	@PATH="$$PATH:/usr/sbin:/sbin"; missing=; \
	for tool in tshark tcpdump openssl; do \
		command -v $$tool >/dev/null || missing="$$missing $$tool"; \
	done; \
	command -v gnutls-cli >/dev/null || missing="$$missing gnutls-bin"; \
	$(install)

# Installs the packages named in $missing; with sudo only for those who aren't root. A repository that can't be
# refreshed stops nothing: whether the packages can be had is the install's to say.
define install
if [ -n "$$missing" ]; then \
	command -v apt-get >/dev/null || { echo "please install:$$missing" >&2; exit 1; }; \
	echo "installing:$$missing"; \
	if [ "$$(id -u)" = 0 ]; then root=; else root=sudo; fi; \
	$$root env DEBIAN_FRONTEND=noninteractive apt-get update -q </dev/null || true; \
	$$root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing </dev/null; \
fi
endef
