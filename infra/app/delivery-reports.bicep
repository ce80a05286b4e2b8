metadata description = 'Tells the function delivery_report whether mails arrived.'

@description('Tags of the resources.')
param tags object = {}

@description('Name of the Event Grid topic.')
@minLength(3)
@maxLength(50)
param topicName string

@description('Name of the communication service that sends.')
@minLength(1)
@maxLength(63)
param communicationName string

@description('Name of the function app.')
@minLength(2)
@maxLength(60)
param appName string

@description('The code is deployed, so that there is a function to subscribe. Azure refuses it before.')
param isDeployed bool

resource communication 'Microsoft.Communication/communicationServices@2025-09-01' existing = {
  name: communicationName
}

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
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

resource reports 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = if (isDeployed) {
  parent: topic
  name: 'delivery-reports'
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    filter: { includedEventTypes: ['Microsoft.Communication.EmailDeliveryReportReceived'] }
    destination: {
      endpointType: 'AzureFunction'
      properties: {
        resourceId: '${app.id}/functions/delivery_report'
        maxEventsPerBatch: 1
      }
    }
    // A day, as long as Event Grid keeps an event.
    retryPolicy: { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1440 }
  }
}
