#!/usr/bin/env bash
# The bash of a "Run a Script" step whose execution container is the image of octopus.Dockerfile, and whose package or Git
# repository has deploy/step.yaml. The payload says `auth: {token: {fromEnv: TOKEN}}`.
set -euo pipefail
TOKEN=$(get_octopusvariable "ShopToken")
export TOKEN
exec kubestep run deploy/step.yaml
