metadata description = 'The one identity of the service: for storage, mail, vault, telemetry and Azure DevOps.'

@description('Where the identity is.')
@minLength(1)
param location string

@description('Tags of the resource.')
param tags object

@description('Name of the identity.')
@minLength(3)
@maxLength(128)
param name string

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('Resource id of the identity.')
output id string = identity.id

@description('What Entra calls the application id: for settings.')
output clientId string = identity.properties.clientId

@description('What Entra calls the object id: for roles, and for joining an organization.')
output principalId string = identity.properties.principalId

@description('Name of the identity.')
output name string = identity.name
