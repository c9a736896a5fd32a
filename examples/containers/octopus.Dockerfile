# An execution container for Octopus, which starts what it wants in it: no entry point may stand in its way, and its own
# program, Calamari, is made with .NET, which needs ICU. It works in a folder of the worker's, hence root.
ARG KUBESTEP=kubestep
# hadolint ignore=DL3006
FROM ${KUBESTEP}
# hadolint ignore=DL3002
USER 0
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libicu72 \
 && rm -rf /var/lib/apt/lists/*
ENTRYPOINT []
CMD []
