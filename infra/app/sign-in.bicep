metadata description = 'The application that owners sign in by. It has no secret: the managed identity proves it.'

extension microsoftGraphV1

@description('What keeps this application apart from others of the tenant.')
@minLength(1)
@maxLength(128)
param uniqueName string

@description('The name that people see when they sign in.')
@minLength(1)
@maxLength(120)
param displayName string

@description('Address of the pages, without a slash at its end.')
@minLength(9)
param publicUrl string

@description('Object id of the managed identity that proves the application.')
@minLength(36)
@maxLength(36)
param principalId string

@description('Entra then says of whoever signs in which groups they are in, for PAT_ADMIN_GROUP.')
param tellsGroups bool = false

var azureDevOps = '499b84ac-1321-427f-aa17-267ca6975798'
var administrator = 'PatAdministrator'
var wanted = ['vso.pats', 'vso.pats_manage']

resource azureDevOpsApi 'Microsoft.Graph/servicePrincipals@v1.0' existing = {
  appId: azureDevOps
}

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: uniqueName
  displayName: displayName
  signInAudience: 'AzureADMyOrg'
  groupMembershipClaims: tellsGroups ? 'SecurityGroup' : 'None'
  appRoles: [
    {
      id: guid(uniqueName, administrator)
      value: administrator
      displayName: 'PAT administrator'
      description: 'Sees every token of the organizations, and may revoke it.'
      allowedMemberTypes: ['User']
      isEnabled: true
    }
  ]
  web: {
    redirectUris: ['${publicUrl}/sign-in/callback']
    implicitGrantSettings: { enableIdTokenIssuance: false, enableAccessTokenIssuance: false }
  }
  requiredResourceAccess: [
    {
      resourceAppId: azureDevOps
      resourceAccess: map(
        filter(azureDevOpsApi.oauth2PermissionScopes, scope => contains(wanted, scope.value)),
        scope => { id: scope.id, type: 'Scope' }
      )
    }
  ]
}

resource proof 'Microsoft.Graph/applications/federatedIdentityCredentials@v1.0' = {
  name: '${application.uniqueName}/managed-identity'
  audiences: ['api://AzureADTokenExchange']
  issuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
  subject: principalId
}

// Consent can be given for this one only.
resource servicePrincipal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: application.appId
}

@description('The client id of the application.')
output clientId string = application.appId

@description('Object id of its service principal in this tenant.')
output servicePrincipalId string = servicePrincipal.id
