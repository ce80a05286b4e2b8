metadata description = 'Alerts: each says what to look at, and where the README says what to do.'

@description('Where the rules are.')
@minLength(1)
param location string

@description('Tags of the resources.')
param tags object

@description('What the names of the rules begin with.')
@minLength(1)
@maxLength(60)
param prefix string

@description('Name of the action group.')
@minLength(1)
@maxLength(260)
param actionGroupName string

@description('Resource id of Application Insights.')
@minLength(1)
param insightsId string

@description('Who gets a mail, or nothing for nobody: the portal shows the alerts all the same.')
param address string

@description('Names of the organizations that must be scanned.')
@minLength(1)
param organizations string[]

@description('An admin PAT signs in instead of the managed identity.')
param usesAdminToken bool

@description('So many mails and cards may fail or bounce in a day.')
@minValue(0)
@maxValue(100000)
param failuresTolerated int

@description('Where the README is, for the links in the texts.')
@minLength(1)
param readme string

// Azure DevOps answers a stranger as it answers a wrong credential. An identity that signs itself
// in can hardly be wrong, so there it means that the organization does not know it any more.
var lostKinds = usesAdminToken
  ? '\'NotPermitted\', \'OrganizationNotFound\''
  : '\'NotSignedIn\', \'NotPermitted\', \'OrganizationNotFound\''
var signInRefused = loadTextContent('../alerts/sign-in-refused.kql')

var always = [
  {
    name: 'no-complete-scan'
    title: 'No complete scan for 26 hours'
    description: 'An organization was not scanned wholly for 26 hours, or no signal came at all, so owners may not be told in time. Look at GET /health, at the daily summary, and at whether the app runs.'
    query: replace(loadTextContent('../alerts/no-complete-scan.kql'), '{organizations}', string(organizations))
    severity: 1
    range: 'P2D'
    threshold: 0
    column: ''
    dimension: 'organization'
  }
  {
    name: 'poison-message'
    title: 'A message went to a poison queue'
    description: 'A batch of users failed for the last time, or a message was none of ours. Look at the queues pat-organizations-poison and pat-users-poison, and at the exceptions around that time.'
    query: loadTextContent('../alerts/poison-message.kql')
    severity: 2
    range: 'PT1H'
    threshold: 0
    column: ''
    dimension: 'queue'
  }
  {
    name: 'mail-failing'
    title: 'Mails or cards fail or bounce'
    description: 'More digests failed or bounced within a day than are tolerated. Look at the reasons in the daily summary, at the domain in the email service, and at the Teams workflow.'
    query: loadTextContent('../alerts/mail-failing.kql')
    severity: 2
    range: 'P1D'
    threshold: failuresTolerated
    column: 'digests'
    dimension: 'channel'
  }
  {
    name: 'outbox-at-capacity'
    title: 'The outbox is at capacity for a day'
    description: 'For a whole day owners had to wait because the mail service allows no more. Look at the outbox in the workbook, and ask Azure for a higher allowance.'
    query: loadTextContent('../alerts/outbox-at-capacity.kql')
    severity: 3
    range: 'P1D'
    threshold: 0
    column: ''
    dimension: 'channel'
  }
  {
    name: 'identity-lost'
    title: 'The identity lost its place in an organization'
    description: 'Azure DevOps refuses the service in an organization. Look at whether the identity, or the owner of the admin PAT, is still a member there and in Project Collection Administrators.'
    query: replace(signInRefused, '{kinds}', lostKinds)
    severity: 1
    range: 'P1D'
    threshold: 0
    column: ''
    dimension: 'organization'
  }
  {
    name: 'exceptions'
    title: 'Something fell over'
    description: 'A function raised an exception that nobody expected. Look at Failures in Application Insights.'
    query: loadTextContent('../alerts/exceptions.kql')
    severity: 3
    range: 'PT1H'
    threshold: 0
    column: ''
    dimension: 'operation_Name'
  }
]
var forAdminToken = [
  {
    name: 'credential-refused'
    title: 'The admin PAT is refused'
    description: 'Azure DevOps does not accept the admin PAT. Look at whether it has expired or was revoked, and put a new one into the Key Vault as ops-admin-token.'
    query: replace(signInRefused, '{kinds}', '\'NotSignedIn\'')
    severity: 1
    range: 'P1D'
    threshold: 0
    column: ''
    dimension: 'organization'
  }
]
var alerts = concat(always, usesAdminToken ? forAdminToken : [])

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(address)) {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'pat-warden'
    emailReceivers: [
      { name: 'ops', emailAddress: address, useCommonAlertSchema: true }
    ]
  }
}

resource rules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for alert in alerts: {
  name: '${prefix}-${alert.name}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'PAT Warden: ${alert.title}'
    description: '${alert.description} What to do: ${readme}#${alert.name}'
    severity: alert.severity
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: alert.range == 'PT1H' ? 'PT15M' : 'PT1H'
    windowSize: alert.range
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: alert.query
          operator: 'GreaterThan'
          threshold: alert.threshold
          timeAggregation: empty(alert.column) ? 'Count' : 'Total'
          metricMeasureColumn: empty(alert.column) ? null : alert.column
          dimensions: [
            { name: alert.dimension, operator: 'Include', values: ['*'] }
          ]
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: empty(address) ? [] : [actionGroup.id] }
  }
}]
