metadata description = 'What the app reads from its environment. Apart from the app, since the sign-in needs its address.'

@description('Name of the app.')
@minLength(2)
@maxLength(60)
param appName string

@description('Name of the storage account.')
@minLength(3)
@maxLength(24)
param storageName string

@description('Client id of the identity.')
@minLength(36)
@maxLength(36)
param identityClientId string

@description('Where telemetry goes.')
@minLength(1)
param telemetryAddress string

@description('The settings that pat_core/settings.py reads, by their names.')
param settings object

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
}

resource appSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  properties: union(settings, {
    AzureWebJobsStorage__accountName: storageName
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identityClientId
    // The Azure clients take a system-assigned identity without this, and there is none.
    AZURE_CLIENT_ID: identityClientId
    APPLICATIONINSIGHTS_CONNECTION_STRING: telemetryAddress
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
    PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY: 'true'
    PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME: 'pat_warden'
  })
}
