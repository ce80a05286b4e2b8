# Puts the managed identity into each organization. azd runs it after provisioning; so may you, with
# IDENTITY_OBJECT_ID and ORGANIZATION_NAMES in the environment.
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '../..')

function Stop-Here([string] $why) {
    [Console]::Error.WriteLine("join: $why")
    exit 2
}

if (-not $env:IDENTITY_OBJECT_ID) {
    Stop-Here 'IDENTITY_OBJECT_ID is not set. It is an output of the deployment: azd env get-values'
}
# PowerShell takes an empty variable for none, so azd's other outputs say whether there was one.
if (-not $env:ORGANIZATION_NAMES) {
    if (-not $env:FUNCTION_APP_NAME) {
        Stop-Here 'ORGANIZATION_NAMES is not set. It is an output of the deployment: azd env get-values'
    }
    Write-Output 'join: there is no organization on dev.azure.com to join, or an admin PAT reads it.'
    exit 0
}
$python = '.venv/Scripts/python.exe', '.venv/bin/python' | Where-Object { Test-Path $_ } | Select-Object -First 1
if (-not $python) {
    Stop-Here 'There is no .venv here. Run: python -m venv .venv; .venv\Scripts\python -m pip install -e ".[cli]"'
}
& $python -m pat_core join --help *> $null
if ($LASTEXITCODE -ne 0) {
    Stop-Here 'python -m pat_core join does not start in .venv. Run: .venv\Scripts\python -m pip install -e ".[cli]"'
}

$worst = 0
foreach ($organization in $env:ORGANIZATION_NAMES.Split(',')) {
    & $python -m pat_core join --organization $organization --identity $env:IDENTITY_OBJECT_ID
    if ($LASTEXITCODE -gt $worst) { $worst = $LASTEXITCODE }
}
exit $worst
