metadata description = 'Mail: Azure Communication Services with a domain of your own, or one that Azure manages.'

@description('Tags of the resources.')
param tags object

@description('Name of the email service, which holds the domain.')
@minLength(1)
@maxLength(63)
param emailServiceName string

@description('Name of the communication service, which sends.')
@minLength(1)
@maxLength(63)
param communicationName string

@description('Name of the Event Grid topic of what becomes of mails.')
@minLength(3)
@maxLength(50)
param topicName string

@description('Where mails and their logs are stored.')
@minLength(1)
param dataLocation string

@description('Your own domain, or nothing for one that Azure manages.')
@maxLength(253)
param domainName string

@description('Your own domain was verified in Azure, so that it can send.')
param domainVerified bool

@description('The part of the sender before the @.')
@minLength(1)
@maxLength(64)
param senderName string

@description('The name that people see beside the sender.')
@minLength(1)
@maxLength(100)
param displayName string

@description('Object id of the identity that sends.')
@minLength(36)
@maxLength(36)
param principalId string

var emailOwner = '09976791-48a7-449e-bb21-39d1a415f350'
// Every domain has this sender from the start.
var firstSender = 'DoNotReply'
var isManaged = empty(domainName)
// Azure refuses to link a domain that is not verified, and the whole deployment with it.
var canSend = isManaged || domainVerified

resource emailService 'Microsoft.Communication/emailServices@2025-09-01' = {
  name: emailServiceName
  location: 'global'
  tags: tags
  properties: { dataLocation: dataLocation }

  resource domain 'domains' = {
    name: isManaged ? 'AzureManagedDomain' : domainName
    location: 'global'
    tags: tags
    properties: {
      domainManagement: isManaged ? 'AzureManaged' : 'CustomerManaged'
      userEngagementTracking: 'Disabled'
    }

    resource sender 'senderUsernames' = if (!isManaged && senderName != firstSender) {
      name: senderName
      properties: {
        username: senderName
        displayName: displayName
      }
    }
  }
}

resource communication 'Microsoft.Communication/communicationServices@2025-09-01' = {
  name: communicationName
  location: 'global'
  tags: tags
  properties: {
    dataLocation: dataLocation
    disableLocalAuth: true
    linkedDomains: canSend ? [emailService::domain.id] : []
  }
}

resource role 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(communication.id, principalId, emailOwner)
  scope: communication
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', emailOwner)
  }
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: topicName
  location: 'global'
  tags: tags
  properties: {
    source: communication.id
    topicType: 'Microsoft.Communication.CommunicationServices'
  }
}

@description('Where mails are handed over.')
output endpoint string = 'https://${communication.properties.hostName}'

@description('Who mails are from; nothing while the domain can not send, so that they wait.')
output sender string = canSend
  ? '${isManaged ? firstSender : senderName}@${emailService::domain.properties.fromSenderDomain}'
  : ''

@description('The DNS records that your own domain needs before it can be verified.')
output dnsRecords object = isManaged ? {} : emailService::domain.properties.verificationRecords

@description('Name of the email service.')
output emailServiceName string = emailService.name

@description('Name of the communication service.')
output communicationName string = communication.name

@description('Name of the Event Grid topic.')
output topicName string = topic.name
