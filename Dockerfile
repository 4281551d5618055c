# One image for every process: `docker run muster api`, `… worker`, `… scheduler`, `… db upgrade`.
# The base is pinned by digest; `make pin-images` finds the newest one.
ARG PYTHON_IMAGE=python:3.13.15-slim-trixie@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b
FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
COPY requirements.txt .
RUN python -m venv /opt/muster && /opt/muster/bin/pip install --no-cache-dir --require-hashes -r requirements.txt
COPY . .
RUN /opt/muster/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM ${PYTHON_IMAGE}
RUN useradd --system --uid 10001 --home-dir /var/lib/muster --create-home muster
COPY --from=build /opt/muster /opt/muster
ENV PATH=/opt/muster/bin:$PATH PYTHONUNBUFFERED=1 MUSTER_DATA_DIR=/var/lib/muster MUSTER_API_HOST=0.0.0.0
USER muster
WORKDIR /var/lib/muster
VOLUME /var/lib/muster
EXPOSE 8000
# SIGTERM: what is on the wire is finished and settled, the rest goes back (docs/operations.md).
STOPSIGNAL SIGTERM
ENTRYPOINT ["muster"]
CMD ["--help"]
