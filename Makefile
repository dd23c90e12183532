.PHONY: setup demo wheel test-install test soak fuzz check bench bench-race bench-peers bench-advice test-ecosystem

# Finds or installs libtorch, CIFAR-10 for the tests where an archive of it lies beside the project, and scikit-learn for
# the example of a program.
setup:
	scripts/libtorch
	scripts/cifar10
	scripts/scikit-learn

# Builds in release and runs the quickstart sweep on the built-in digits, from its beginning.
demo:
	scripts/libtorch
	cargo build --release --locked
	rm -rf results/quickstart
	target/release/sweep run sweeps/quickstart.yaml

# A wheel and an archive of both programs for other machines (packaging/README.md), and a test that installs them in fresh
# Debian systems. Both need root.
wheel:
	packaging/build
test-install: wheel
	packaging/test-install

# The trainer's tests run twice: as on a CPU, and on a GPU's path through the code, which the CPU can take, too.
test: setup check
	cargo test --locked
	SWEEP_FORCE_GPU_PATH=1 cargo test --locked --bin sweep-trainer

# The scripts of sweeps/programs/libraries with the real libraries, which it installs from PyPI into .venv-ecosystem: every
# metric against what the script itself knows.
test-ecosystem:
	cargo build --locked -p sweep
	scripts/ecosystem

# Kills at random moments, 2,000 rounds with trainers, 500 with programs, 500 on other hosts, 500 in a network whose cables are
# pulled, and 100 on Slurm (a tenth of them or fewer in `make test`): an hour, without libtorch.
soak:
	cargo build --locked --profile test -p sweep --example scripted-trainer
	SOAK_ROUNDS=2000 PROGRAM_SOAK_ROUNDS=500 HOSTS_ROUNDS=500 NETWORK_ROUNDS=500 SLURM_ROUNDS=100 cargo test --locked -p sweep --test suite -- --nocapture soak whatever_dies

# Damaged bytes for everything that reads foreign ones, a minute each. `make test` does it for seconds, by properties.
fuzz:
	scripts/fuzz

check: setup
	cargo fmt --check
	cargo clippy --locked --profile test --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --profile test --no-deps

# The trainer's step against PyTorch's. PYTHON names an interpreter with PyTorch 2.13.0 and NumPy.
PYTHON ?= python3
bench: setup
	cargo build --release --locked
	$(PYTHON) scripts/bench/steps.py

# The time until a good configuration is known, against Optuna 5 with PyTorch: hours. A short trial of the script:
# make bench-race FLAGS='--minutes 1 --seeds 1 --examples 1000 --tests 500'. PYTHON needs PyTorch, NumPy and Optuna.
bench-race: setup
	cargo build --release --locked
	$(PYTHON) scripts/bench/race.py $(FLAGS)

# Whether following next.yaml helps, on 24 sweeps that begin badly. The programs among them need scikit-learn.
bench-advice: setup
	cargo build --release --locked
	$(PYTHON) scripts/bench/advice.py $(FLAGS)

# The same sweeps with other tools. PEERS names the folder of their scripts, whose README says how to set them up; FLAGS
# goes to its run_all.sh: make bench-peers WORKLOAD=train8 FLAGS='--repeat 5'
PEERS ?= ../shared/bench/peers
WORKLOAD ?= train8
bench-peers: setup
	cargo build --release --locked
	CIFAR10_DIR=$(CURDIR)/data/cifar-10-batches-bin $(PEERS)/run_all.sh --out results/peers/$(WORKLOAD) $(FLAGS) \
	    --also "sweep=$(PYTHON) scripts/bench/peer.py $(PEERS) $(WORKLOAD) results/peers/$(WORKLOAD)/sweep" $(WORKLOAD)
