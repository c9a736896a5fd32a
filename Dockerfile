# An execution container: kubestep, tooling-check, and the tools that a step needs. Built with scripts/image build, or
# with an engine alone:
#
#   docker build --tag kubestep .
#   docker build --tag kubestep:eks --build-arg CLOUDS=eks .
#
# docs/containers.md has the arguments, and how kubestep gets into an image of your own.

# Any image with apt.
ARG BASE=docker.io/library/debian:bookworm-slim
ARG RUST=docker.io/library/rust:1.95-bookworm
ARG GO=docker.io/library/golang:1.26-bookworm
# built: all of it from source, in here. given: from target/image, which scripts/image has filled.
ARG PARTS=built

FROM ${RUST} AS kubestep
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY agent agent
COPY tooling-check tooling-check
COPY tests tests
COPY scripts/dist scripts/rust scripts/crates scripts/
# The caches are kept between builds, and are no part of any layer.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    scripts/dist --to /parts/usr/local/bin && rm /parts/usr/local/bin/SHA256SUMS

FROM ${GO} AS tools
ARG CLOUDS=""
# Other versions than those of scripts/versions, each with the checksum of its release file (scripts/image-parts --help).
ARG KUBECTL_VERSION=""
ARG KUBECTL_SHA256=""
ARG KUBECTL_URL=""
ARG HELM_VERSION=""
ARG HELM_SHA256=""
ARG HELM_URL=""
ARG AWS_IAM_AUTHENTICATOR_VERSION=""
ARG AWS_IAM_AUTHENTICATOR_SHA256=""
ARG AWS_IAM_AUTHENTICATOR_URL=""
ARG KUBELOGIN_VERSION=""
ARG KUBELOGIN_SHA256=""
ARG KUBELOGIN_URL=""
ARG GKE_GCLOUD_AUTH_PLUGIN_VERSION=""
ARG GKE_GCLOUD_AUTH_PLUGIN_SHA256=""
ARG GKE_GCLOUD_AUTH_PLUGIN_URL=""
COPY scripts /src/scripts
RUN --mount=type=cache,target=/root/.cache --mount=type=cache,target=/go/pkg \
    /src/scripts/image-parts --to /parts --clouds "${CLOUDS}"

FROM scratch AS built
COPY --from=kubestep /parts /
COPY --from=tools /parts /

FROM scratch AS given
COPY target/image /

# hadolint ignore=DL3006
FROM ${PARTS} AS parts

# hadolint ignore=DL3006
FROM ${BASE}
ARG CLOUDS=""
# Debian's; empty for the newest that it has.
ARG AWSCLI_VERSION=""
# The aws cli comes with eks, since scripts for it call aws.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends bash ca-certificates coreutils findutils git jq openssl \
 && case " ${CLOUDS} " in *" eks "*) apt-get install --yes --no-install-recommends "awscli${AWSCLI_VERSION:+=${AWSCLI_VERSION}}" ;; esac \
 && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old \
 && groupadd --gid 10001 kubestep \
 && useradd --create-home --uid 10001 --gid 10001 kubestep
COPY --from=parts /usr/local/bin/ /usr/local/bin/

ARG VERSION=""
ARG REVISION=""
LABEL org.opencontainers.image.title="kubestep" \
      org.opencontainers.image.description="Runs deployment steps against Kubernetes: credentials, supervision, masking" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# By number, so that Kubernetes' runAsNonRoot believes it.
USER 10001:10001
WORKDIR /home/kubestep
ENTRYPOINT ["kubestep"]
CMD ["--help"]

# The last word: an image in which a step cannot work is not built.
# hadolint ignore=SC2046
RUN tooling-check --no-cache --strict --prove --for generic --for helm $(for cloud in ${CLOUDS}; do printf ' --for %s' "${cloud}"; done)
