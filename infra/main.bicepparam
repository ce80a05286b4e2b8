// For: az deployment sub create --location REGION --template-file infra/main.bicep --parameters infra/main.bicepparam
// Everything that may be set here is described in main.bicep.
using 'main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'pat-warden')
param location = readEnvironmentVariable('AZURE_LOCATION')
param organizations = readEnvironmentVariable('PAT_ORGANIZATIONS')
param opsAddress = readEnvironmentVariable('PAT_OPS_ADDRESS', '')

// The first day: everything but sending. Turn it off when the summary looks right.
param dryRun = bool(readEnvironmentVariable('PAT_DRY_RUN', 'true'))

// A domain of your own; without it Azure manages one, which sends 10 mails an hour.
param emailDomain = readEnvironmentVariable('EMAIL_DOMAIN', '')
param emailDomainVerified = bool(readEnvironmentVariable('EMAIL_DOMAIN_VERIFIED', 'false'))

// false where you may not make applications in Entra; then name one that somebody made for you.
param createSignIn = bool(readEnvironmentVariable('CREATE_SIGN_IN', 'true'))
param existingClientId = readEnvironmentVariable('PAT_CLIENT_ID', '')

// true once the code is deployed.
param deliveryReports = bool(readEnvironmentVariable('DELIVERY_REPORTS', 'false'))
