# One recipe, one image per service:
#   docker build --build-arg SERVICE=vote --target final --tag tallyho-vote .
# SERVICE is vote, worker, result or loadtest; the targets are final, dev (heeds edits), proxy and test.
ARG SERVICE=vote

# ---- what all images have ----
FROM python:3.13-slim AS base
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    # in a container, loopback would reach nobody; compose.yml decides who outside may connect
    HOST=0.0.0.0
RUN useradd --uid 10001 --create-home tallyho
WORKDIR /app

# ---- how each service is started, and asked for its health: a command as a list gets its signals itself ----
FROM base AS vote
EXPOSE 5000
HEALTHCHECK --interval=2s --timeout=3s --start-period=30s --retries=3 CMD ["python", "-m", "common.probe", "5000"]
ENV HEALTH_PORT=5000
CMD ["python", "-m", "vote"]

FROM base AS worker
EXPOSE 9100
HEALTHCHECK --interval=2s --timeout=3s --start-period=30s --retries=3 CMD ["python", "-m", "common.probe", "9100"]
ENV HEALTH_PORT=9100
CMD ["python", "-m", "worker"]

FROM base AS result
EXPOSE 5001
HEALTHCHECK --interval=2s --timeout=3s --start-period=30s --retries=3 CMD ["python", "-m", "common.probe", "5001"]
ENV HEALTH_PORT=5001
CMD ["python", "-m", "result"]

FROM base AS loadtest
EXPOSE 8089 5557
ENV DATA_DIR=/data LOADTEST_HOST=0.0.0.0
RUN install --directory --owner tallyho --group tallyho /data
COPY local ./local
COPY proof ./proof
VOLUME /data
CMD ["python", "-m", "loadtest", "master"]

# ---- packages: a layer of their own, made again only when the requirements change ----
FROM base AS packages
ARG SERVICE
ENV PIP_CACHE_DIR=/var/cache/pip
RUN python -m venv --without-pip /venv
COPY ${SERVICE}/requirements.txt ${SERVICE}/
RUN --mount=type=cache,target=/var/cache/pip \
    pip --python /venv/bin/python install --quiet --disable-pip-version-check --require-hashes -r ${SERVICE}/requirements.txt

FROM packages AS dev-packages
COPY docker/requirements.txt docker/
RUN --mount=type=cache,target=/var/cache/pip \
    pip --python /venv/bin/python install --quiet --disable-pip-version-check --require-hashes -r docker/requirements.txt

# ---- for work: the code belongs to the user, so that a file can be put in its place; an edit replaces the process ----
FROM ${SERVICE} AS dev
ARG SERVICE
ENV SERVICE=${SERVICE} PYTHONPYCACHEPREFIX=/tmp/pycache PYTEST_ADDOPTS="-p no:cacheprovider"
# .data: what is wrong with an edit, for as long as something is
RUN chown tallyho: /app && install --directory --owner tallyho --group tallyho /app/.data
COPY --from=dev-packages --chown=tallyho /venv /venv
USER tallyho
COPY --chown=tallyho pyproject.toml ./
COPY --chown=tallyho common ./common
COPY --chown=tallyho local ./local
COPY --chown=tallyho db ./db
COPY --chown=tallyho proof ./proof
COPY --chown=tallyho tests ./tests
COPY --chown=tallyho ${SERVICE} ./${SERVICE}
# The old process serves while an edit is broken: that is well, and says what is wrong with the edit. The load test has
# a check of its own in docker-compose.yml, and its workers have none.
HEALTHCHECK --interval=2s --timeout=3s --start-period=30s --retries=3 \
    CMD [ -z "$HEALTH_PORT" ] || { python -m common.probe "$HEALTH_PORT" && { cat ".data/run/$SERVICE.broken" 2>/dev/null || :; }; }
CMD exec python -m local.runner "$SERVICE"

# ---- before several vote and result services: its own image, because a proxy's image would need this file as well ----
FROM debian:trixie-slim AS proxy
RUN apt-get update \
 && apt-get install -y --no-install-recommends haproxy \
 && rm -rf /var/lib/apt/lists/*
COPY docker/haproxy.cfg /etc/haproxy/haproxy.cfg
EXPOSE 8080 8081
USER haproxy
CMD ["haproxy", "-W", "-f", "/etc/haproxy/haproxy.cfg"]

# ---- `make test-image`: all tests on this image's Python, as an ordinary user ----
FROM base AS test
RUN apt-get update \
 && apt-get install -y --no-install-recommends apache2-utils chromium faketime git make procps prometheus redis-server \
 && rm -rf /var/lib/apt/lists/* \
 # a container has no user namespaces for Chromium's sandbox
 && echo 'CHROMIUM_FLAGS="$CHROMIUM_FLAGS --no-sandbox"' > /etc/chromium.d/in-a-container \
 && chown tallyho: /app
USER tallyho
COPY --chown=tallyho requirements-dev.txt ./
ENV PIP_CACHE_DIR=/var/cache/pip
RUN --mount=type=cache,target=/var/cache/pip,uid=10001 \
    python -m venv .venv \
 && .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
COPY --chown=tallyho . .
# installed, and with a Redis on PATH: nothing is left for `make test` to fetch
RUN touch .venv/.local-installed .venv/.loadtest-installed .venv/.dev-installed
ENV HOST=127.0.0.1
CMD ["make", "test"]

# ---- for use: nothing in it can be changed by what runs in it, and there is no pip in its environment ----
FROM ${SERVICE} AS final
ARG SERVICE
LABEL org.opencontainers.image.title="tallyho-${SERVICE}" \
      org.opencontainers.image.description="The ${SERVICE} of tallyho, a voting application made to be taken apart"
COPY --from=packages /venv /venv
COPY common ./common
COPY db ./db
COPY ${SERVICE} ./${SERVICE}
# imports every module of the service: a package that is missing is told here; compiles all, which it can't do itself
RUN python -c "import common.probe, pkgutil, ${SERVICE}; \
      [__import__(found.name) for found in pkgutil.walk_packages(${SERVICE}.__path__, '${SERVICE}.')]" \
 && python -m compileall -q .
USER tallyho
