#!/bin/sh
# Lets the deployed function hear whether mails arrived. azd runs it after deploying; so may you, with
# the outputs of the deployment in the environment: eval "$(azd env get-values | sed 's/^/export /')"
set -eu
cd "$(dirname "$0")/../.."
tries=6
pause=${REPORTS_PAUSE:-20}

stop() {
    echo "reports: $*" >&2
    exit 2
}

for name in AZURE_RESOURCE_GROUP EVENT_TOPIC_NAME FUNCTION_APP_NAME; do
    eval "value=\${$name:-}"
    [ -n "$value" ] ||
        stop "$name is not set. It is an output of the deployment: azd env get-values"
done
command -v az >/dev/null || stop "The Azure CLI is not here. Install it: https://aka.ms/azure-cli"
az account show --output none 2>/dev/null || stop "The Azure CLI is not signed in. Run: az login"

[ -z "${AZURE_SUBSCRIPTION_ID:-}" ] || set -- --subscription "$AZURE_SUBSCRIPTION_ID"
# It takes a while until Azure knows the functions of a new package.
until az deployment group create "$@" --output none --name delivery-reports \
    --resource-group "$AZURE_RESOURCE_GROUP" --template-file infra/app/delivery-reports.bicep \
    --parameters topicName="$EVENT_TOPIC_NAME" appName="$FUNCTION_APP_NAME"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || stop "Event Grid does not find the function delivery_report. Look at \
whether the app shows its functions in the portal, then run infra/hooks/reports.sh again."
    sleep "$pause"
done
if command -v azd >/dev/null; then
    azd env set DELIVERY_REPORTS true || echo "reports: set deliveryReports=true from now on."
fi
echo "reports: delivery reports go to $FUNCTION_APP_NAME."
