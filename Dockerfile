# One static binary in an empty image. BUILDER is any image with a Rust toolchain, gcc and libc's static archive.
ARG BUILDER=rust:1.95-slim-bookworm
FROM ${BUILDER} AS build
WORKDIR /src
# What --version says of the source: git's folder stays outside.
ARG COMMIT=
COPY Cargo.toml Cargo.lock build.rs checks.schema.json report.schema.json ./
COPY src src
COPY crates crates
# Examples and tests of the gate stay outside.
COPY scripts/static.sh scripts/static.ld scripts/
RUN BUILD_COMMIT="$COMMIT" scripts/static.sh /canary-gate

FROM scratch
LABEL org.opencontainers.image.title="canary-gate" \
      org.opencontainers.image.description="Decides whether a freshly deployed canary may take all the traffic." \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT"
COPY --from=build /canary-gate /canary-gate
# Numeric: an empty image has no /etc/passwd. No ENV and no CMD: whoever runs the gate replaces the one and adds arguments
# behind the entry point.
USER 65532:65532
ENTRYPOINT ["/canary-gate"]
