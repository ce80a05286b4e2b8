#!/bin/sh
# Puts the managed identity into each organization. azd runs it after provisioning; so may you:
# IDENTITY_OBJECT_ID=… ORGANIZATION_NAMES=contoso,fabrikam infra/hooks/join.sh
set -eu
cd "$(dirname "$0")/../.."

stop() {
    echo "join: $*" >&2
    exit 2
}

[ -n "${IDENTITY_OBJECT_ID:-}" ] ||
    stop "IDENTITY_OBJECT_ID is not set. It is an output of the deployment: azd env get-values"
[ -n "${ORGANIZATION_NAMES+set}" ] ||
    stop "ORGANIZATION_NAMES is not set. It is an output of the deployment: azd env get-values"
if [ -z "$ORGANIZATION_NAMES" ]; then
    echo "join: there is no organization on dev.azure.com to join, or an admin PAT reads it."
    exit 0
fi
for python in .venv/bin/python .venv/Scripts/python.exe ""; do
    [ -n "$python" ] || stop "There is no .venv here. Run: make .venv/cli"
    [ ! -x "$python" ] || break
done
"$python" -m pat_core join --help >/dev/null 2>&1 ||
    stop "python -m pat_core join does not start in .venv. Run: make .venv/cli"

worst=0
for organization in $(echo "$ORGANIZATION_NAMES" | tr ',' ' '); do
    status=0
    "$python" -m pat_core join --organization "$organization" --identity "$IDENTITY_OBJECT_ID" ||
        status=$?
    [ "$status" -le "$worst" ] || worst=$status
done
exit "$worst"
