# Each recipe is one cargo line (`ci` is the script that checks a change).

# Build and run the embedded example
quickstart:
    cargo run --release -- run configs/quickstart.toml

# Everything a change must pass
ci:
    .ci/run

# Layout
fmt:
    cargo fmt --all --check

# Lints
clippy:
    cargo clippy --release --workspace --all-targets -- -D warnings

# Tests
test:
    cargo test --release --workspace

# Type-check with CUDA and with WebGPU
devices device="cuda":
    cargo check --release -p bimed-cli --no-default-features --features flex,{{device}}

# CubeCL's kernels on software Vulkan (mesa-vulkan-drivers, libvulkan1)
kernels:
    .ci/gpu-software

# The CUDA path on a driver without a card (NVIDIA's compiler comes from PyPI)
cuda:
    .ci/cuda-software

# Licences, advisories and sources of the dependencies
deny:
    cargo deny --locked check

# The reference of every crate
doc:
    cargo doc --release --workspace --no-deps
