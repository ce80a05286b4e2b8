metadata description = 'The Key Vault: new tokens of owners, and the few secrets that ops bring.'

@description('Where the vault is.')
@minLength(1)
param location string

@description('Tags of the resources.')
param tags object

@description('Name of the vault.')
@minLength(3)
@maxLength(24)
param name string

@description('For how many days a deleted secret can be brought back.')
@minValue(7)
@maxValue(90)
param retentionDays int

@description('Bring back the deleted vault of this name, which its protection keeps from being made anew.')
param recover bool

@description('Object id of the identity that writes secrets.')
@minLength(36)
@maxLength(36)
param principalId string

@description('Resource id of the workspace that hears who read and wrote what.')
@minLength(1)
param workspaceId string

@description('A PAT to scan with, or nothing.')
@secure()
param adminToken string

@description('The webhook of a Teams workflow, or nothing.')
@secure()
param teamsWebhookUrl string

@description('The routes, which may hold webhooks, or nothing.')
@secure()
param routes string

var secretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'

// The vault stays open to the internet, behind roles: pipelines elsewhere fetch their tokens here.
resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    createMode: recover ? 'recover' : 'default'
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enablePurgeProtection: true
    enableSoftDelete: true
    softDeleteRetentionInDays: retentionDays
  }
}

// Secrets User would not do: a rotation writes the new token.
resource role 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, secretsOfficer)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsOfficer)
  }
}

resource adminTokenSecret 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = if (!empty(adminToken)) {
  parent: vault
  name: 'ops-admin-token'
  properties: { value: adminToken }
}

resource teamsWebhookSecret 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = if (!empty(teamsWebhookUrl)) {
  parent: vault
  name: 'ops-teams-webhook-url'
  properties: { value: teamsWebhookUrl }
}

resource routesSecret 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = if (!empty(routes)) {
  parent: vault
  name: 'ops-routes'
  properties: { value: routes }
}

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'audit', enabled: true }]
  }
}

@description('Address of the vault, without a slash at its end.')
output url string = 'https://${vault.name}${environment().suffixes.keyvaultDns}'

@description('Name of the vault.')
output name string = vault.name
