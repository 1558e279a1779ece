metadata description = 'Three pages: for who decides, for who keeps it running, and for who guards it.'

import { Tags } from 'types.bicep'

@description('The region.')
param location string

@description('Tags.')
param tags Tags

@description('The workspace that they ask.')
param workspaceId string

@description('Resources whose metrics they show, by what pages call them. Metrics of Cosmos DB and Service Bus do not all go to a workspace, so pages ask the resources themselves.')
param resources { cosmos: string[], bus: string[], gateway: string[], sites: string[] }

var pages = [
  { name: 'executive', title: 'Polis: executive', body: loadTextContent('../workbooks/executive.json') }
  { name: 'operations', title: 'Polis: operations', body: loadTextContent('../workbooks/operations.json') }
  { name: 'security', title: 'Polis: security', body: loadTextContent('../workbooks/security.json') }
  { name: 'capacity', title: 'Polis: capacity, by quarter', body: loadTextContent('../workbooks/capacity.json') }
]

resource workbooks 'Microsoft.Insights/workbooks@2023-06-01' = [
  for p in pages: {
    name: guid(resourceGroup().id, p.name)
    location: location
    tags: tags
    kind: 'shared'
    properties: {
      displayName: p.title
      category: 'workbook'
      sourceId: workspaceId
      serializedData: reduce(
        items(resources),
        replace(p.body, 'WORKSPACE', workspaceId),
        (page, r) => replace(page, '"${toUpper(r.key)}"', join(map(r.value, id => '"${id}"'), ', '))
      )
      version: 'Notebook/1.0'
    }
  }
]
