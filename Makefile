.PHONY: setup demo test check bench

# Finds or installs libtorch, and CIFAR-10 for the tests where an archive of it lies beside the project.
setup:
	scripts/libtorch
	scripts/cifar10

# Builds in release and runs the quickstart sweep on the built-in digits, from its beginning.
demo:
	scripts/libtorch
	cargo build --release --locked
	rm -rf results/quickstart
	target/release/sweep run sweeps/quickstart.yaml

test: setup check
	cargo test --locked

check: setup
	cargo fmt --check
	cargo clippy --locked --profile test --all-targets -- -D warnings
	cargo clippy --locked --profile test --all-targets --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --profile test --no-deps

# The trainer's step against PyTorch's. PYTHON names an interpreter with PyTorch 2.13.0 and NumPy.
bench: setup
	cargo build --release --locked
	python3 scripts/bench/steps.py
