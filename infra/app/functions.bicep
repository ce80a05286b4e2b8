metadata description = 'The function app on Flex Consumption. Its settings are in settings.bicep.'

@description('Where the app runs: a region that has Flex Consumption.')
@minLength(1)
param location string

@description('Tags of the resources.')
param tags object

@description('Name of the plan.')
@minLength(1)
@maxLength(60)
param planName string

@description('Name of the app, and of its address.')
@minLength(2)
@maxLength(60)
param name string

@description('Memory of one instance in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int

@description('How many instances may run at once.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int

@description('Resource id of the identity.')
@minLength(1)
param identityId string

@description('Address of the container that holds the package.')
@minLength(1)
param packages string

@description('Resource id of the subnet that the app calls out from, or nothing.')
param subnetId string

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  // azd looks for the app by this tag.
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packages
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: { name: 'python', version: '3.13' }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
      }
    }
  }

  // No user name and password for deployments: they go by Entra.
  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

@description('Name of the app.')
output name string = app.name

@description('Resource id of the app.')
output id string = app.id

@description('Address of the app.')
output url string = 'https://${app.properties.defaultHostName}'
