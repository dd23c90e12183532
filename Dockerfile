# Built from the wheel that `make wheel` makes:
#
#   docker build -t sweep .
#   docker run --rm --gpus all --shm-size 1g -v "$PWD":/work sweep run sweep.yaml
FROM debian:bookworm-slim

# The versions are those of the Debian release.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/sweep
ENV PATH=/opt/sweep/bin:$PATH

COPY target/package/dist /opt/dist
# The version is that of the wheel in the folder, which also limits PyTorch's.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir --find-links /opt/dist 'sweep-hpo[torch]' \
    && rm -rf /opt/dist

# NVIDIA's container runtime adds the driver for these.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

WORKDIR /work
ENTRYPOINT ["sweep"]
CMD ["--help"]
