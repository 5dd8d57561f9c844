# syntax=docker/dockerfile:1
# Images of vidfer; docs/how-to/docker.md says how they are built and run. Targets:
#   cpu   analysis by ONNX Runtime, statistics, plots, object stores; no PyTorch
#   app   cpu with `vidfer app` as its command, and a health check
#   cuda  training, evaluation and networks by PyTorch, on a GPU or without one
# No apt package is installed: the wheels bring all they need but libc6, libgcc-s1, libstdc++6 and zlib1g, which every slim image has.
# No CUDA image is the base either: PyTorch's wheels bring CUDA's libraries, and the host's driver is mounted by its container runtime.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS builder
ENV UV_CACHE_DIR=/cache \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /build
COPY requirements.lock pyproject.toml ./
# uv itself comes from the lock file, by pip, as in `make setup`
RUN awk '/^uv==/ {found = 1; print; next} found && !/^ / {exit} found' requirements.lock > uv.txt \
    && pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement uv.txt \
    && uv venv /opt/vidfer

FROM builder AS wheel
COPY README.md LICENSE ./
COPY vidfer vidfer
RUN --mount=type=cache,target=/cache \
    uv build --wheel --build-constraints requirements.lock --out-dir /wheel .

# Constraints choose the lock file's versions, and uv compares each wheel with the hashes there; nothing is built from source.
FROM builder AS cpu-environment
ARG EXTRAS="--extra app --extra s3 --extra study"
# hadolint ignore=SC2086
RUN --mount=type=cache,target=/cache \
    uv pip install --python /opt/vidfer --no-build --constraint requirements.lock --requirement pyproject.toml ${EXTRAS}
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel \
    uv pip install --python /opt/vidfer --no-cache --no-deps /wheel/*.whl

FROM builder AS cuda-environment
ARG CUDA_EXTRAS="--extra app --extra s3 --extra train"
# hadolint ignore=SC2086
RUN --mount=type=cache,target=/cache \
    uv pip install --python /opt/vidfer --no-build --constraint requirements.lock --requirement pyproject.toml ${CUDA_EXTRAS}
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel \
    uv pip install --python /opt/vidfer --no-cache --no-deps /wheel/*.whl

FROM ${PYTHON_IMAGE} AS base
LABEL org.opencontainers.image.title="vidfer" \
      org.opencontainers.image.description="Turn a video into a table of displayed facial expressions" \
      org.opencontainers.image.licenses="Apache-2.0"
# A store holds crops of faces: it is the user's alone, as `vidfer` makes one elsewhere
RUN useradd --uid 10001 --user-group --create-home vidfer \
    && install --directory --owner vidfer --group vidfer --mode 0700 /store /data
ENV PATH=/opt/vidfer/bin:${PATH} \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONUNBUFFERED=1 \
    VIDFER_STORE=/store
USER 10001:10001
WORKDIR /data
VOLUME ["/store"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["vidfer"]
CMD ["--help"]

FROM base AS cuda
COPY --from=cuda-environment /opt/vidfer /opt/vidfer
# configs/classifiers is a link to ../vidfer/tasks/recipes
COPY configs /usr/share/vidfer/configs
COPY vidfer/tasks/recipes /usr/share/vidfer/vidfer/tasks/recipes
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

FROM base AS cpu
COPY --from=cpu-environment /opt/vidfer /opt/vidfer

FROM cpu AS app
EXPOSE 7860
# Without the token the server answers 401, which is an answer
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 7860, timeout=4); c.request('GET', '/health'); raise SystemExit(c.getresponse().status not in (200, 401))"]
CMD ["app", "--host", "0.0.0.0", "--port", "7860"]
