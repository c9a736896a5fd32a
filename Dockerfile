# An execution container: kubestep and the tools that every step needs. kubectl comes from Debian; name another image's
# with COPY --from, or mount one, and name it in the payload (tools: {kubectl: /path}).
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY agent agent
COPY tooling-check tooling-check
COPY tests tests
RUN cargo build --release --locked --package kubestep

FROM debian:trixie-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends bash jq findutils coreutils ca-certificates git kubernetes-client \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 kubestep
COPY --from=build /src/target/release/kubestep /usr/local/bin/kubestep
USER kubestep
WORKDIR /home/kubestep
ENTRYPOINT ["kubestep"]
CMD ["--help"]
