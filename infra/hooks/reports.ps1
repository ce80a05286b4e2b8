# Lets the deployed function hear whether mails arrived. azd runs it after deploying; so may you, with
# the outputs of the deployment in the environment.
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '../..')

function Stop-Here([string] $why) {
    [Console]::Error.WriteLine("reports: $why")
    exit 2
}

foreach ($name in 'AZURE_RESOURCE_GROUP', 'EVENT_TOPIC_NAME', 'FUNCTION_APP_NAME') {
    if (-not [Environment]::GetEnvironmentVariable($name)) {
        Stop-Here "$name is not set. It is an output of the deployment: azd env get-values"
    }
}
if (-not (Get-Command az -ErrorAction SilentlyContinue)) {
    Stop-Here 'The Azure CLI is not here. Install it: https://aka.ms/azure-cli'
}
az account show --output none 2> $null
if ($LASTEXITCODE -ne 0) { Stop-Here 'The Azure CLI is not signed in. Run: az login' }

$subscription = if ($env:AZURE_SUBSCRIPTION_ID) { '--subscription', $env:AZURE_SUBSCRIPTION_ID } else { @() }
# It takes a while until Azure knows the functions of a new package.
foreach ($try in 1..6) {
    az deployment group create @subscription --output none --name delivery-reports `
        --resource-group $env:AZURE_RESOURCE_GROUP --template-file infra/app/delivery-reports.bicep `
        --parameters topicName=$env:EVENT_TOPIC_NAME appName=$env:FUNCTION_APP_NAME
    if ($LASTEXITCODE -eq 0) { break }
    if ($try -eq 6) {
        Stop-Here 'Event Grid does not find the function delivery_report. Look at whether the app shows its functions in the portal, then run infra/hooks/reports.ps1 again.'
    }
    Start-Sleep -Seconds 20
}
if (Get-Command azd -ErrorAction SilentlyContinue) { azd env set DELIVERY_REPORTS true }
Write-Output "reports: delivery reports go to $env:FUNCTION_APP_NAME."
