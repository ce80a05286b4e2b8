metadata description = 'The workbook. Its content is built from infra/workbook/workbook.toml.'

@description('Where the workbook is.')
@minLength(1)
param location string

@description('Tags of the resource.')
param tags object

@description('The name that people see.')
@minLength(1)
@maxLength(100)
param displayName string

@description('Resource id of Application Insights.')
@minLength(1)
param insightsId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'pat-warden')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    category: 'workbook'
    displayName: displayName
    serializedData: loadTextContent('../workbook/workbook.json')
    sourceId: insightsId
  }
}

@description('Resource id of the workbook.')
output id string = workbook.id
