metadata description = 'The storage account: ledger, queues, and the package that runs. No keys.'

@description('Where the account is.')
@minLength(1)
param location string

@description('Tags of the resources.')
param tags object

@description('Name of the account.')
@minLength(3)
@maxLength(24)
param name string

@description('How often the data is copied.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param redundancy string

@description('Closed to all but private endpoints.')
param isPrivate bool

@description('Object id of the identity that works here.')
@minLength(36)
@maxLength(36)
param principalId string

var queueNames = [
  'pat-organizations'
  'pat-users'
  'pat-organizations-poison'
  'pat-users-poison'
]
var tableNames = ['owners', 'outbox', 'runs', 'sessions', 'audit', 'inventory', 'ledger']
// The host keeps locks, keys and the package in blobs, and needs to own what it locks.
var roleIds = {
  blobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  queueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  tableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
}

resource account 'Microsoft.Storage/storageAccounts@2025-01-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: redundancy }
  properties: {
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    supportsHttpsTrafficOnly: true
    networkAcls: {
      bypass: 'None'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      deleteRetentionPolicy: { enabled: true, days: 7 }
    }

    resource packages 'containers' = {
      name: 'packages'
      properties: { publicAccess: 'None' }
    }
  }

  resource queues 'queueServices' = {
    name: 'default'

    resource queue 'queues' = [for each in queueNames: {
      name: each
    }]
  }

  resource tables 'tableServices' = {
    name: 'default'

    resource table 'tables' = [for each in tableNames: {
      name: each
    }]
  }
}

resource roles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for each in items(roleIds): {
  name: guid(account.id, principalId, each.value)
  scope: account
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', each.value)
  }
}]

@description('Resource id of the account.')
output id string = account.id

@description('Name of the account.')
output name string = account.name

@description('Address of the container that holds the package.')
output packages string = '${account.properties.primaryEndpoints.blob}${account::blobs::packages.name}'
