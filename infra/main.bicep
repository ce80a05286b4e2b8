metadata name = 'PAT Warden'
metadata description = 'The whole service in one resource group, without a stored secret.'

targetScope = 'subscription'

// What azd and Azure want to know.

@description('Name of this environment: part of the names, and a tag.')
@minLength(1)
@maxLength(32)
param environmentName string

@description('Region of all resources. It must have Flex Consumption: az functionapp list-flexconsumption-locations')
@minLength(1)
@metadata({ azd: { type: 'location' } })
param location string

@description('More tags for all resources.')
param tags object = {}

@description('Names to use instead of those made here.')
type Names = {
  @maxLength(90)
  resourceGroup: string?
  @maxLength(128)
  identity: string?
  @maxLength(24)
  storage: string?
  @maxLength(63)
  workspace: string?
  @maxLength(255)
  insights: string?
  @maxLength(63)
  emailService: string?
  @maxLength(63)
  communication: string?
  @maxLength(24)
  vault: string?
  @maxLength(60)
  plan: string?
  @maxLength(60)
  functionApp: string?
  @maxLength(50)
  systemTopic: string?
  @maxLength(260)
  actionGroup: string?
  @maxLength(64)
  network: string?
  @maxLength(128)
  application: string?
}

@description('Names of resources, where those made from the environment are not wanted.')
param names Names = {}

// The settings of the app. Defaults and limits are those of pat_core/settings.py.

@description('What to scan: contoso,fabrikam or the JSON of the README.')
@minLength(1)
param organizations string

@description('How many days before expiry an owner is told.')
@minLength(1)
param windowsDays string = '30,14,7,3,1'

@description('How long a new token may live in days, to choose from.')
@minLength(1)
param lifetimesDays string = '30,90,180,365'

@description('Most calls to Azure DevOps under way at once, in each instance.')
@minValue(1)
@maxValue(64)
param maxConcurrency int = 16

@description('Address of the pages, where it is not that of the function app.')
@maxLength(2000)
param publicUrl string = ''

@description('Read a token without target accounts as a global one.')
param nullTargetsAreGlobal bool = false

@description('Who gets the daily summary.')
@maxLength(254)
param opsAddress string = ''

@description('Where replies go.')
@maxLength(254)
param emailReplyTo string = ''

@description('Attach a calendar file with the expiries.')
param emailCalendar bool = true

@description('Mails a minute, where the provider allows other than 30, or 5 for a domain that Azure manages.')
@minValue(1)
@maxValue(3000)
param emailPerMinute int?

@description('Mails an hour, where the provider allows other than 100, or 10 for a domain that Azure manages.')
@minValue(1)
@maxValue(2500)
param emailPerHour int?

@description('Mails to one address in a day; more wait for the next.')
@minValue(1)
@maxValue(100)
param maxMailsPerAddressPerDay int = 3

@description('Do everything but send.')
param dryRun bool = false

@description('From how many days before expiry escalate_to gets a copy.')
@minValue(0)
@maxValue(365)
param escalateDays int = 3

@description('For so many days it is kept who did what to which token.')
@minValue(1)
@maxValue(3650)
param auditDays int = 400

@description('For so many days what is gone stays in the ledger: revoked tokens, owners who left.')
@minValue(1)
@maxValue(3650)
param retentionDays int = 90

@description('A token that lives longer than so many days is shown to administrators.')
@minValue(1)
@maxValue(365)
param recommendedDays int = 90

@description('Object id of an Entra group whose members are administrators of the service.')
@maxLength(36)
param adminGroup string = ''

@description('When to scan, once a day at least: second, minute, hour, day, month, weekday, UTC.')
@minLength(11)
param scanSchedule string = '0 0 5 * * *'

@description('When to send what is due.')
@minLength(11)
param sendSchedule string = '0 */5 * * * *'

@description('When to sum up for ops.')
@minLength(11)
param summarySchedule string = '0 0 7 * * *'

@description('When to revoke old tokens whose overlap is over.')
@minLength(11)
param finishSchedule string = '0 15 * * * *'

// Secrets. They go into the Key Vault, and the app reads them from there.

@description('A PAT to scan with instead of the managed identity. It goes into the Key Vault as ops-admin-token.')
@secure()
@maxLength(200)
param adminToken string = ''

@description('The Key Vault holds ops-admin-token already: use it.')
param adminTokenInVault bool = false

@description('The webhook of a Teams workflow. It goes into the Key Vault as ops-teams-webhook-url.')
@secure()
@maxLength(2000)
param teamsWebhookUrl string = ''

@description('The Key Vault holds ops-teams-webhook-url already: use it.')
param teamsWebhookUrlInVault bool = false

@description('Who gets copies, as JSON. It goes into the Key Vault as ops-routes, since it may hold webhooks.')
@secure()
@maxLength(20000)
param routes string = ''

@description('The Key Vault holds ops-routes already: use it.')
param routesInVault bool = false

// Mail.

@description('Your own domain to send from; without it Azure manages one, for a trial.')
@maxLength(253)
param emailDomain string = ''

@description('The domain was verified in Azure. Until then nothing is sent, and what is due waits.')
param emailDomainVerified bool = false

@description('The part of the sender before the @, for your own domain.')
@minLength(1)
@maxLength(64)
param emailSenderName string = 'DoNotReply'

@description('Where mails are stored while they are sent.')
@allowed([
  'Africa'
  'Asia Pacific'
  'Australia'
  'Brazil'
  'Canada'
  'Europe'
  'France'
  'Germany'
  'India'
  'Japan'
  'Korea'
  'Norway'
  'Switzerland'
  'UAE'
  'UK'
  'United States'
])
param emailDataLocation string = 'Europe'

@description('The code is deployed, so that delivery reports can be subscribed to. Azure refuses it before.')
param deliveryReports bool = false

// Sign-in.

@description('Make the application that owners sign in by. Needs the Graph permission Application.ReadWrite.All.')
param createSignIn bool = true

@description('Client id of an application that exists already; then none is made.')
@maxLength(36)
param existingClientId string = ''

// How it runs.

@description('Memory of one instance in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('How many instances may run at once. Azure DevOps sets the pace, so more are no faster.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('How often stored data is copied.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageRedundancy string = 'Standard_LRS'

@description('For how many days logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('For how many days a deleted secret can be brought back. It cannot be changed later.')
@minValue(7)
@maxValue(90)
param vaultRetentionDays int = 90

@description('Bring back the Key Vault of an earlier deployment that was torn down.')
param recoverVault bool = false

@description('Close storage to all but a network of its own.')
param privateNetwork bool = false

@description('Address range of that network, /25 or wider.')
@minLength(9)
@maxLength(18)
param networkRange string = '10.80.0.0/24'

// Alerts.

@description('Who gets the alerts, where it is not opsAddress.')
@maxLength(254)
param alertAddress string = ''

@description('So many mails and cards may fail or bounce in a day without an alert.')
@minValue(0)
@maxValue(100000)
param failuresTolerated int = 5

@description('Where the README is, for the links in alerts.')
@minLength(1)
@maxLength(500)
param readme string = 'README.md'

var abbreviations = loadJsonContent('abbreviations.json')
var token = uniqueString(subscription().id, environmentName, location)
var allTags = union(tags, { 'azd-env-name': environmentName })
var resourceGroupName = names.?resourceGroup ?? '${abbreviations.resourceGroup}${environmentName}'
var storageName = names.?storage ?? '${abbreviations.storage}${token}'
var functionAppName = names.?functionApp ?? '${abbreviations.functionApp}${token}'
var networkName = names.?network ?? '${abbreviations.network}${token}'

// The names that alerts and the join command need; a server of your own cannot be joined.
var isJson = startsWith(trim(organizations), '[')
var given = isJson ? json(organizations) : map(split(organizations, ','), each => { name: trim(each) })
var named = filter(given, each => !empty(each.name))
var organizationNames = map(named, each => string(each.name))
var hostedNames = map(filter(named, each => !contains(each, 'base_url')), each => string(each.name))

var usesAdminToken = adminTokenInVault || !empty(adminToken)
var usesTeamsWebhook = teamsWebhookUrlInVault || !empty(teamsWebhookUrl)
var usesRoutes = routesInVault || !empty(routes)
var makesApplication = createSignIn && empty(existingClientId)
// A slash at the end is left out as in pat_core/settings.py: Entra compares redirect addresses
// sign by sign.
var givenUrl = trim(publicUrl)
var ownUrl = endsWith(givenUrl, '/') ? substring(givenUrl, 0, length(givenUrl) - 1) : givenUrl
var pagesUrl = empty(ownUrl) ? functions.outputs.url : ownUrl
var clientId = makesApplication ? signIn!.outputs.clientId : existingClientId
var secretsUrl = '${vault.outputs.url}/secrets'

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: resourceGroupName
  location: location
  tags: allTags
}

module identity 'app/identity.bicep' = {
  scope: group
  params: {
    location: location
    tags: allTags
    name: names.?identity ?? '${abbreviations.identity}${token}'
  }
}

module storage 'app/storage.bicep' = {
  scope: group
  params: {
    location: location
    tags: allTags
    name: storageName
    redundancy: storageRedundancy
    isPrivate: privateNetwork
    principalId: identity.outputs.principalId
  }
}

module network 'app/network.bicep' = if (privateNetwork) {
  scope: group
  params: {
    location: location
    tags: allTags
    name: networkName
    endpointPrefix: '${abbreviations.privateEndpoint}${token}'
    addressPrefix: networkRange
    storageName: storage.outputs.name
  }
}

module monitoring 'app/monitoring.bicep' = {
  scope: group
  params: {
    location: location
    tags: allTags
    workspaceName: names.?workspace ?? '${abbreviations.workspace}${token}'
    insightsName: names.?insights ?? '${abbreviations.insights}${token}'
    retentionDays: logRetentionDays
    principalId: identity.outputs.principalId
  }
}

module email 'app/email.bicep' = {
  scope: group
  params: {
    tags: allTags
    emailServiceName: names.?emailService ?? '${abbreviations.emailService}${token}'
    communicationName: names.?communication ?? '${abbreviations.communication}${token}'
    topicName: names.?systemTopic ?? '${abbreviations.systemTopic}${token}'
    dataLocation: emailDataLocation
    domainName: emailDomain
    domainVerified: emailDomainVerified
    senderName: emailSenderName
    displayName: 'PAT Warden'
    principalId: identity.outputs.principalId
  }
}

module vault 'app/vault.bicep' = {
  scope: group
  params: {
    location: location
    tags: allTags
    name: names.?vault ?? '${abbreviations.vault}${token}'
    retentionDays: vaultRetentionDays
    recover: recoverVault
    principalId: identity.outputs.principalId
    workspaceId: monitoring.outputs.workspaceId
    adminToken: adminToken
    teamsWebhookUrl: teamsWebhookUrl
    routes: routes
  }
}

module functions 'app/functions.bicep' = {
  scope: group
  params: {
    location: location
    tags: allTags
    planName: names.?plan ?? '${abbreviations.plan}${token}'
    name: functionAppName
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    identityId: identity.outputs.id
    packages: storage.outputs.packages
    subnetId: privateNetwork ? network!.outputs.appSubnetId : ''
  }
}

module signIn 'app/sign-in.bicep' = if (makesApplication) {
  scope: group
  params: {
    uniqueName: names.?application ?? 'pat-warden-${token}'
    displayName: 'PAT Warden (${environmentName})'
    publicUrl: pagesUrl
    principalId: identity.outputs.principalId
    tellsGroups: !empty(adminGroup)
  }
}

module settings 'app/settings.bicep' = {
  scope: group
  params: {
    appName: functions.outputs.name
    storageName: storage.outputs.name
    identityClientId: identity.outputs.clientId
    telemetryAddress: monitoring.outputs.connectionString
    settings: {
      PAT_ORGANIZATIONS: organizations
      PAT_WINDOWS_DAYS: windowsDays
      PAT_LIFETIMES_DAYS: lifetimesDays
      PAT_MAX_CONCURRENCY: string(maxConcurrency)
      PAT_PUBLIC_URL: pagesUrl
      PAT_NULL_TARGETS_ARE_GLOBAL: nullTargetsAreGlobal ? 'true' : 'false'
      PAT_STORAGE_ACCOUNT: storage.outputs.name
      PAT_OPS_ADDRESS: opsAddress
      PAT_EMAIL_ENDPOINT: email.outputs.endpoint
      PAT_EMAIL_SENDER: email.outputs.sender
      PAT_EMAIL_REPLY_TO: emailReplyTo
      PAT_EMAIL_CALENDAR: emailCalendar ? 'true' : 'false'
      PAT_EMAIL_PER_MINUTE: string(emailPerMinute ?? '')
      PAT_EMAIL_PER_HOUR: string(emailPerHour ?? '')
      PAT_MAX_MAILS_PER_ADDRESS_PER_DAY: string(maxMailsPerAddressPerDay)
      PAT_DRY_RUN: dryRun ? 'true' : 'false'
      PAT_ESCALATE_DAYS: string(escalateDays)
      PAT_AUDIT_DAYS: string(auditDays)
      PAT_RETENTION_DAYS: string(retentionDays)
      PAT_RECOMMENDED_DAYS: string(recommendedDays)
      PAT_ADMIN_GROUP: adminGroup
      PAT_SCAN_SCHEDULE: scanSchedule
      PAT_SEND_SCHEDULE: sendSchedule
      PAT_SUMMARY_SCHEDULE: summarySchedule
      PAT_FINISH_SCHEDULE: finishSchedule
      PAT_TENANT_ID: empty(clientId) ? '' : tenant().tenantId
      PAT_CLIENT_ID: clientId
      PAT_KEY_VAULT_URL: vault.outputs.url
      PAT_ADMIN_TOKEN: usesAdminToken ? '@Microsoft.KeyVault(SecretUri=${secretsUrl}/ops-admin-token)' : ''
      PAT_TEAMS_WEBHOOK_URL: usesTeamsWebhook ? '@Microsoft.KeyVault(SecretUri=${secretsUrl}/ops-teams-webhook-url)' : ''
      PAT_ROUTES: usesRoutes ? '@Microsoft.KeyVault(SecretUri=${secretsUrl}/ops-routes)' : ''
    }
  }
}

module reports 'app/delivery-reports.bicep' = if (deliveryReports) {
  scope: group
  params: {
    topicName: email.outputs.topicName
    appName: functions.outputs.name
  }
}

module alerts 'app/alerts.bicep' = {
  scope: group
  params: {
    location: location
    tags: allTags
    prefix: environmentName
    actionGroupName: names.?actionGroup ?? '${abbreviations.actionGroup}${token}'
    insightsId: monitoring.outputs.insightsId
    address: empty(alertAddress) ? opsAddress : alertAddress
    organizations: organizationNames
    usesAdminToken: usesAdminToken
    failuresTolerated: failuresTolerated
    readme: readme
  }
}

module workbook 'app/workbook.bicep' = {
  scope: group
  params: {
    location: location
    tags: allTags
    displayName: 'PAT Warden (${environmentName})'
    insightsId: monitoring.outputs.insightsId
  }
}

// Named apart from the variables that main.parameters.json reads: azd writes outputs into the same
// place, and the next deployment would take them for what somebody has chosen.

@description('The resource group.')
output AZURE_RESOURCE_GROUP string = group.name

@description('The tenant of the service.')
output AZURE_TENANT_ID string = tenant().tenantId

@description('Name of the function app.')
output FUNCTION_APP_NAME string = functions.outputs.name

@description('Address of the function app.')
output FUNCTION_APP_URL string = functions.outputs.url

@description('Address of the owners\' pages.')
output PAGES_URL string = pagesUrl

@description('Name of the managed identity, as Azure DevOps shows it.')
output IDENTITY_NAME string = identity.outputs.name

@description('Object id of the managed identity: what joins an organization.')
output IDENTITY_OBJECT_ID string = identity.outputs.principalId

@description('Client id of the managed identity.')
output IDENTITY_CLIENT_ID string = identity.outputs.clientId

@description('The organizations that the identity is to join, by comma: none where an admin PAT reads them.')
output ORGANIZATION_NAMES string = usesAdminToken ? '' : join(hostedNames, ',')

@description('Name of the storage account.')
output STORAGE_ACCOUNT_NAME string = storage.outputs.name

@description('Name of the Key Vault.')
output KEY_VAULT_NAME string = vault.outputs.name

@description('Where mails are handed over.')
output EMAIL_ENDPOINT string = email.outputs.endpoint

@description('Name of the email service, which holds the domain.')
output EMAIL_SERVICE_NAME string = email.outputs.emailServiceName

@description('Name of the communication service.')
output COMMUNICATION_NAME string = email.outputs.communicationName

@description('Who mails are from; nothing until your own domain is verified.')
output EMAIL_SENDER_ADDRESS string = email.outputs.sender

@description('The DNS records that your own domain needs.')
output EMAIL_DNS_RECORDS object = email.outputs.dnsRecords

@description('Name of the Event Grid topic of delivery reports.')
output EVENT_TOPIC_NAME string = email.outputs.topicName

@description('Client id of the application that owners sign in by.')
output SIGN_IN_CLIENT_ID string = clientId

@description('The redirect address that this application must have.')
output SIGN_IN_REDIRECT_URL string = '${pagesUrl}/sign-in/callback'

@description('Where an administrator of the tenant consents once for all owners.')
output SIGN_IN_CONSENT_URL string = empty(clientId)
  ? ''
  : '${environment().authentication.loginEndpoint}${tenant().tenantId}/adminconsent?client_id=${clientId}'

@description('Name of Application Insights.')
output INSIGHTS_NAME string = monitoring.outputs.insightsName

@description('Resource id of the workbook.')
output WORKBOOK_ID string = workbook.outputs.id
