# One static binary in an empty image. BUILDER is any image with a Rust toolchain, gcc and libc's static archive.
ARG BUILDER=rust:1.95-slim-bookworm
FROM ${BUILDER} AS build
# Writes the list of dependencies into the binary, for scanners; taken as it is where the builder has it.
RUN PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin" && { command -v cargo-auditable || cargo install --quiet --locked --version 0.7.7 --root /usr/local cargo-auditable; }
# The folder leaves no trace in the binary (scripts/reproducible.sh).
ARG SOURCE=/src
WORKDIR ${SOURCE}
COPY Cargo.toml Cargo.lock build.rs checks.schema.json report.schema.json ./
COPY src src
COPY crates crates
# Examples and tests of the gate stay outside.
COPY scripts/static.sh scripts/static.ld scripts/
# What --version says of the source, whose history stays outside; and its time, in seconds since the Unix epoch, which the file gets.
ARG COMMIT=
ARG SOURCE_DATE_EPOCH=0
RUN BUILD_COMMIT="$COMMIT" scripts/static.sh /canary-gate

FROM scratch
ARG COMMIT=
# scripts/docker_build.sh gives the source's time.
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="canary-gate" \
      org.opencontainers.image.description="Decides whether a freshly deployed canary may take all the traffic." \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$COMMIT" \
      org.opencontainers.image.source="https://github.com/canary-gate/canary-gate" \
      org.opencontainers.image.created="$CREATED"
COPY --from=build /canary-gate /canary-gate
# Numeric: an empty image has no /etc/passwd. No ENV and no CMD: whoever runs the gate replaces the one and adds arguments
# behind the entry point.
USER 65532:65532
ENTRYPOINT ["/canary-gate"]
