# One static binary in an empty image. BUILDER is any image with a Rust toolchain, gcc and libc's static archive.
ARG BUILDER=rust:1.95-slim-bookworm
FROM ${BUILDER} AS build
# What --version says of the source, whose history stays outside; its time, in seconds since the Unix epoch, which the file gets; and the
# folder, which leaves no trace (scripts/reproducible.sh builds in two).
ARG COMMIT= SOURCE_DATE_EPOCH=0 SOURCE=/src
# .dockerignore lets in what the binary is made of.
COPY . ${SOURCE}/
# cargo-auditable writes the list of dependencies into the binary, for scanners; it is taken as it is where the builder has it.
RUN export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/local/bin" \
    && { command -v cargo-auditable || cargo install --quiet --locked --version 0.7.7 --root /usr/local cargo-auditable; } \
    && BUILD_COMMIT="$COMMIT" "${SOURCE}/scripts/static.sh" --auditable /canary-gate

FROM scratch
# scripts/docker_build.sh gives the source's time.
ARG COMMIT= CREATED=1970-01-01T00:00:00Z
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
