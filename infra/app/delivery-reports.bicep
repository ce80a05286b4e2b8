metadata description = 'Tells the function delivery_report whether mails arrived. Azure refuses it before the code is deployed, so infra/hooks/reports.sh deploys it alone after that.'

@description('Name of the Event Grid topic.')
@minLength(3)
@maxLength(50)
param topicName string

@description('Name of the function app.')
@minLength(2)
@maxLength(60)
param appName string

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
}

resource reports 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
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
